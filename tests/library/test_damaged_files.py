"""Every file of a library, damaged at random: doctor sees it, no other wrong answer, and the repair mends it.

``python tests/library_damage.py 200`` runs more cases and prints a table.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

import library_damage
from library_helpers import run_python
from paperagent.library import LocalStore
from paperagent.library.local import checksums


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sound library to copy."""
    made = tmp_path_factory.mktemp("damage")
    library_damage.sound_library(made / "sound")
    return made


@pytest.fixture
def home(folder: Path, tmp_path: Path) -> Path:
    """Return a copy."""
    return Path(shutil.copytree(folder / "sound", tmp_path / "home"))


def test_damage_never_causes_a_wrong_answer_or_a_crash(folder: Path) -> None:
    """Doctor detects what has changed, and all searches are right after the repair."""
    cases = range(0, 75, 7)
    outcomes = list(library_damage.outcomes(list(cases), folder))
    assert len(outcomes) == len(cases)
    assert [outcome for outcome in outcomes if outcome.problem] == []
    assert sum(outcome.doctor != "ok" for outcome in outcomes) > 5


def test_a_copy_with_other_times_is_not_damaged(home: Path) -> None:
    """The times differ, but the contents are equal."""
    copy = home.with_name("copy")
    shutil.copytree(home, copy, copy_function=shutil.copyfile)
    with LocalStore(copy) as store:
        assert "checksums match" in str(store.doctor())
        assert library_damage.responses(store)["words"]


def test_large_indexes_are_compared_by_size_and_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor detects damage there that is not detected when the index is opened."""
    monkeypatch.setattr(checksums, "COMPARED_BYTES", 0)
    file = next((home / "vectors").glob("*/length.bin"))
    data, times = bytearray(file.read_bytes()), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    data[100] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=times)
    with LocalStore(home) as store:
        store.indexes.vector_folder.read(lambda _: None)
        assert store.doctor().failed() >= {"vector files"}


def test_chroma_may_be_opened_often(home: Path) -> None:
    """Chroma writes a row at each opening, at some point on new pages. This does not count as damage."""
    database = home / "vectors" / "chroma.sqlite3"
    for _ in range(3):
        with sqlite3.connect(database) as connection:
            connection.executemany("INSERT INTO acquire_write (lock_status) VALUES (?)", [(1,)] * 700)
        connection.close()
        with LocalStore(home) as store:
            assert store.doctor().ok
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE embeddings SET embedding_id = 'x' || embedding_id WHERE id = 5")
    connection.close()
    with LocalStore(home) as store:
        assert store.doctor().failed() >= {"vector files"}


LIMITED = """
import resource, sys; from pathlib import Path
from library_helpers import *
from paperagent.errors import OutOfResourcesError
kind, limit = sys.argv[2], int(sys.argv[3])
resource.setrlimit(getattr(resource, kind), (limit, limit))
try:
    LocalStore(Path(sys.argv[1])).doctor(repair=True)
except OutOfResourcesError as error:
    print(error)
"""


@pytest.mark.parametrize(("kind", "limit", "cause"), [("RLIMIT_NOFILE", 16, "too many files are open")])
def test_a_lack_of_resources_is_not_reported_as_damage(home: Path, kind: str, limit: int, cause: str) -> None:
    """The message names the cause, and nothing is repaired."""
    before = sorted(path.name for path in home.iterdir())
    result = run_python(LIMITED, home, kind, limit)
    assert cause in result.stdout, result.stderr
    assert sorted(path.name for path in home.iterdir()) == before
    with LocalStore(home) as store:
        assert store.doctor().ok
