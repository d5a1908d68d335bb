"""A damaged, deleted or swapped ``digest.db``: doctor detects it; no subscriber is lost or mailed twice.

``python tests/digest/test_damaged_digest.py 400`` runs as many seeded cases.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from damaged_digest import DAMAGES, Original, create, run_backup_case, run_case


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
