"""One flipped bit in every column of ``library.db``: doctor sees it, and the repair undoes it.

``python tests/library_damage.py 200`` flips bits anywhere in the files.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

import library_damage
from library_helpers import FakeEmbedder, candidate_ids, filled_store, ingest, paper
from paperagent.errors import StoreError
from paperagent.library import LocalStore
from paperagent.library.local import doctor
from paperagent.library.local.database import PAPER_COLUMNS, LibraryDatabase
from paperagent.library.local.papers import PaperTable
from paperagent.library.local.row_checksums import checked_tables

COUNT = 12
EMBEDDER = FakeEmbedder()
TABLES = (*checked_tables(LibraryDatabase.SCHEMA), "papers")
UNCOMPARED = ("papers", "revision")
"""It is only read if the paper has no row in the search table, which doctor reports."""

Row = tuple[object, ...]


class Flip(NamedTuple):
    """A bit to flip."""

    table: str
    column: str
    row: Row

    def apply(self, home: Path) -> None:
        """Flip it. The checksum stays as it was, unless the bit is in the checksum."""
        checksum = self.row[-1]
        new = _flipped(self.row[_columns(home, self.table).index(self.column)])
        with closing(sqlite3.connect(home / "library.db", isolation_level=None)) as connection:
            if self.column == "checksum" and self.table != "papers":
                column, new, checksum = _columns(home, self.table)[0], self.row[0], new
            else:
                column = self.column
            connection.create_function("row_checksum", -1, lambda *_: checksum, deterministic=True)
            key = " AND ".join(f"{name} IS ?" for name in _columns(home, self.table))
            query = f"UPDATE {self.table} SET {column} = ? WHERE {key}"
            assert connection.execute(query, (new, *self.row)).rowcount == 1


def _flipped(value: object) -> object:
    if isinstance(value, int):
        return value ^ 64
    raw = bytearray(value if isinstance(value, bytes) else str(value).encode())
    raw[len(raw) // 2] ^= 2
    return bytes(raw) if isinstance(value, bytes) else raw.decode()


def _columns(home: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(home / "library.db")) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_xinfo({table})")]


def contents(home: Path) -> dict[str, list[Row]]:
    """Return the rows of all tables, except the number of commits."""
    with closing(sqlite3.connect(home / "library.db")) as connection:
        rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    rows["meta"] = [row for row in rows["meta"] if row[0] != "generation"]
    return rows


def flips(home: Path) -> Iterator[Flip]:
    """Yield a flip for every column of a row of every table, and of all rows of ``meta``."""
    for table, rows in contents(home).items():
        for row in rows if table == "meta" else rows[len(rows) // 2 :][:1]:
            for column, value in zip(_columns(home, table), row, strict=True):
                if value is not None:
                    yield Flip(table, column, row)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library with rows in every table."""
    home = tmp_path_factory.mktemp("flipped") / "sound"
    with filled_store(home, COUNT, embedder=EMBEDDER) as store:
        ingest(store, [paper(1, abstract="Another text."), paper(COUNT)])
        store.remove([paper(COUNT).paper_id])
        store.embed_pending(EMBEDDER)
        store.set_setting("calibration", {"threshold": 0.5})
        store.reindex()  # a replaced paper counts twice until then
    assert all(contents(home).values())
    return home


def test_each_flipped_bit_is_found_and_undone(sound: Path, tmp_path: Path) -> None:
    """In every column of every table, and in every counter and note."""
    expected, undone = contents(sound), 0
    for flip in flips(sound):
        shutil.copy(sound / "library.db", tmp_path)
        flip.apply(tmp_path)
        assert contents(tmp_path) != expected or flip.row[0] == "generation"
        with closing(PaperTable(tmp_path / "library.db")) as table:
            if flip.table == "papers":
                assert doctor._papers(table).ok == (flip[:2] == UNCOMPARED), flip
                doctor._accept_damaged(table)
                assert doctor._papers(table).ok, flip
            else:
                assert table.db.damaged_rows() == {flip.table: 1}, flip
                assert table.db.repair_rows() == {flip.table}
                assert not table.db.damaged_rows()
        if flip[:2] != UNCOMPARED:
            assert contents(tmp_path)[flip.table] == expected[flip.table], flip
            undone += 1
    assert undone > 80


def test_a_damaged_paper_is_never_returned(sound: Path, tmp_path: Path) -> None:
    """Whichever of its values is damaged, reading it is an error that names the repair."""
    columns = PAPER_COLUMNS.split(", ")
    damaged = [flip for flip in flips(sound) if flip.table == "papers" and flip.column in columns]
    assert len(damaged) > 10
    for flip in damaged:
        shutil.copy(sound / "library.db", tmp_path)
        flip.apply(tmp_path)
        with (
            closing(PaperTable(tmp_path / "library.db")) as table,
            pytest.raises(StoreError, match="is damaged; run 'paperagent doctor --repair'"),
        ):
            list(table.papers())


@pytest.mark.parametrize("table", TABLES)
def test_no_answer_is_wrong_after_a_repair(sound: Path, tmp_path: Path, table: str) -> None:
    home = Path(shutil.copytree(sound, tmp_path / "home"))
    with LocalStore(sound) as store:
        expected = library_damage.responses(store)
    (flip, *_) = [flip for flip in flips(sound) if flip.table == table]
    flip.apply(home)
    with LocalStore(home) as store:
        with suppress(StoreError):
            library_damage.responses(store)
        assert not store.doctor().ok
        assert store.doctor(repair=True).ok
        assert library_damage.responses(store) == expected
        assert candidate_ids(store, vector=EMBEDDER.one("vision"), limit=COUNT)


@pytest.mark.parametrize("key", ["lexical_files", "vectors_files"])
def test_damaged_checksums_of_files_are_an_error_in_one_line(sound: Path, tmp_path: Path, key: str) -> None:
    """Also two bits that leave valid JSON with invalid base64; writing replaces them."""
    home = Path(shutil.copytree(sound, tmp_path / "home"))
    (row,) = [row for row in contents(home)["meta"] if row[0] == key]
    damaged = str(row[1]).replace('", "', "", 1)[:-4] + "é}}"
    with closing(sqlite3.connect(home / "library.db", isolation_level=None)) as connection:
        connection.create_function("row_checksum", -1, lambda *_: row[2], deterministic=True)
        connection.execute("UPDATE meta SET value = ? WHERE key = ?", (damaged, key))
    with LocalStore(home) as store:
        message = "its checksums in library.db cannot be read; run 'paperagent doctor --repair'"
        with pytest.raises(StoreError, match=message):
            candidate_ids(store, stems=["studi"], vector=EMBEDDER.one("vision"))
        assert store.doctor().failed() >= {"rows"}
        assert store.doctor(repair=True).ok
        assert len(candidate_ids(store, vector=EMBEDDER.one("vision"), limit=COUNT)) == COUNT


def test_damage_that_cannot_be_undone(sound: Path, tmp_path: Path) -> None:
    """Rows with several changed bits are deleted; the library computes again what it can."""
    home = Path(shutil.copytree(sound, tmp_path / "home"))
    with closing(sqlite3.connect(home / "library.db", isolation_level=None)) as connection:
        connection.create_function("row_checksum", -1, lambda *_: 0, deterministic=True)
        for table in ("meta", "facts", "seen", "settings"):
            column = "value" if table in ("meta", "settings") else "row"
            connection.execute(f"UPDATE {table} SET {column} = {column}")
        connection.execute("UPDATE embeddings SET text_hash = x'00' WHERE slot & 255 = 3")
    with LocalStore(home) as store:
        assert not store.doctor().ok
        repaired = store.doctor(repair=True)
        assert repaired.ok
        (rows,) = [check.detail for check in repaired.checks if check.name == "rows"]
        assert rows.startswith("repaired: all match their checksums; before: some differ")
        assert "repaired" not in " ".join(check.detail for check in store.doctor().checks)
        assert store.get_setting("calibration") is None
        assert len(candidate_ids(store, stems=["studi"], limit=COUNT)) == COUNT
        ingest(store, [paper(number) for number in range(2 * COUNT)])
        store.embed_pending(EMBEDDER)
        assert len(candidate_ids(store, vector=EMBEDDER.one("vision"), limit=99)) == 2 * COUNT
        assert store.doctor().ok


def test_a_repair_says_which_papers_still_need_their_feed(sound: Path, tmp_path: Path) -> None:
    """Several changed bits of a paper cannot be undone."""
    home = Path(shutil.copytree(sound, tmp_path / "home"))
    with closing(sqlite3.connect(home / "library.db", isolation_level=None)) as connection:
        connection.execute("UPDATE papers SET abstract = 'lost' WHERE row = 2")
    with LocalStore(home) as store:
        repaired = store.doctor(repair=True)
        assert repaired.ok
        (papers,) = [check.detail for check in repaired.checks if check.name == "papers"]
        assert ", 1 still with damaged text: ingest the feeds again; before: 1 differ" in papers
