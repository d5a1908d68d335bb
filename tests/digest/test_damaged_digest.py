"""A damaged, deleted or swapped ``digest.db``: doctor detects it; no subscriber is lost or mailed twice.

``python tests/digest/test_damaged_digest.py 400`` runs as many seeded cases.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from damaged_digest import DAMAGES, Original, create, run_backup_case, run_case, send_again

from paperagent.digest.backups import Backups
from paperagent.digest.database import FILE_NAME, DigestDatabase
from paperagent.digest.delivery.stored_issues import ISSUE_COLUMNS, stored_issue
from paperagent.digest.health import check_digest
from paperagent.digest.subscribers import Subscribers
from paperagent.storage.sqlite import DamagedFileError


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Return a digest to copy and damage."""
    return create(tmp_path_factory.mktemp("digest") / "home")


@pytest.mark.parametrize("seed", range(2 * len(DAMAGES)))
def test_damage_is_seen_and_repaired(original: Original, tmp_path: Path, seed: int) -> None:
    """Either no row has changed, or doctor fails and its repair restores all rows except logged events."""
    assert run_case(original, tmp_path, seed) in {"seen", "unchanged"}


@pytest.mark.parametrize("seed", range(24))
def test_damaged_backups_are_seen_and_nobody_gets_mail_twice(
    original: Original, tmp_path: Path, seed: int
) -> None:
    """A backup or the journal is damaged, and often the file is gone too."""
    assert run_backup_case(original, tmp_path, seed)


@pytest.mark.parametrize("size", [None, 0, 70])
def test_an_old_copy_without_a_journal_is_seen(original: Original, tmp_path: Path, size: int | None) -> None:
    """The last backup shows that the file lacks changes, so nothing is sent from it."""
    home = Path(shutil.copytree(original.home, tmp_path / "home"))
    path, folder = home / "digest.db", home / "backups"
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(min(folder.glob("*.db")), path)
    for segment in folder.glob("*.log"):
        segment.unlink() if size is None else os.truncate(segment, size)
    with pytest.raises(DamagedFileError, match="old copy"):
        DigestDatabase(path)
    assert "; lost: " in check_digest(home, repair=True)[0].detail
    assert all(check.ok for check in check_digest(home))
    assert send_again(original, path) == 1


def test_the_current_file_without_a_journal_gets_a_new_backup(original: Original, tmp_path: Path) -> None:
    home = Path(shutil.copytree(original.home, tmp_path / "home"))
    for segment in (home / "backups").glob("*.log"):
        segment.unlink()
    with DigestDatabase(home / "digest.db") as database:
        assert database.lacks_backup
    assert send_again(original, home / "digest.db") == 1
    check_digest(home, repair=True)
    assert all(check.ok for check in check_digest(home))


def test_a_damaged_issue_without_backups(original: Original, tmp_path: Path) -> None:
    """Reading it is an error, and a repair without a backup deletes its text."""
    home = Path(shutil.copytree(original.home, tmp_path / "home"))
    path = home / "digest.db"
    shutil.rmtree(home / "backups")
    with DigestDatabase(path) as database, database.writing() as db:
        db.execute("UPDATE issue SET html = x'00' WHERE id = (SELECT max(id) FROM issue)")
    with DigestDatabase(path) as database, database.reading() as db:
        (row,) = db.execute(f"SELECT {ISSUE_COLUMNS} FROM issue WHERE html = x'00'")
        with pytest.raises(DamagedFileError, match="doctor --repair"):
            stored_issue(row)
    assert check_digest(home)[0].ok is False
    assert "1 issue without text" in check_digest(home, repair=True)[0].detail
    assert all(check.ok for check in check_digest(home))
    assert send_again(original, path) == 1


def test_a_file_without_changes_since_its_backup_is_restored_once(tmp_path: Path) -> None:
    """The restored file, with its note about the restore, passes the next check."""
    with DigestDatabase(tmp_path / FILE_NAME) as database:
        Subscribers(database).add("ana@test.example", confirmed=True)
        Backups(database.journal).make(database)
    (tmp_path / FILE_NAME).unlink()
    restored, backups = check_digest(tmp_path, repair=True)
    assert restored.ok
    assert backups.ok
    assert "nothing is missing; intact: 1 subscriber" in restored.detail
    assert all(check.ok for check in check_digest(tmp_path))


def main(cases: int) -> None:
    """Print how many cases of each damage doctor sees."""
    with tempfile.TemporaryDirectory() as folder:
        original = create(Path(folder) / "home")
        results: dict[str, Counter[str]] = {}
        for seed in range(cases):
            try:
                result = run_case(original, Path(folder), seed)
            except AssertionError as error:
                result = "FAILED"
                sys.stdout.write(f"{error}\n")
            results.setdefault(DAMAGES[seed % len(DAMAGES)].__name__, Counter())[result] += 1
            try:
                result = run_backup_case(original, Path(folder), seed)
            except AssertionError as error:
                result = "FAILED"
                sys.stdout.write(f"{error}\n")
            results.setdefault("backups and journal", Counter())[result] += 1
    for name, counts in results.items():
        sys.stdout.write(f"{name:32} {dict(counts)}\n")
    sys.stdout.write(f"all {dict(sum(results.values(), Counter()))}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
