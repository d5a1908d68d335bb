"""SQLite files: formats, transactions, error lines."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from paperagent.errors import StoreError
from paperagent.storage.sqlite import SqliteDatabase, connect, map_errors, transaction


class NotesDatabase(SqliteDatabase):
    KIND = "notes"
    APPLICATION_ID = 0x4E4F5445
    SCHEMA = "CREATE TABLE note (text TEXT NOT NULL)\n;\nCREATE TABLE commits (n INTEGER)"
    FOREIGN = "not ours; choose another file"
    DAMAGED = "restore a backup"

    def _before_commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO commits VALUES (1)")


def count(database: SqliteDatabase, table: str) -> int:
    with database.reading() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_transaction_is_committed_whole_or_rolled_back(tmp_path: Path) -> None:
    with NotesDatabase(tmp_path / "notes.db") as database:
        with database.writing() as connection:
            connection.execute("INSERT INTO note VALUES ('one')")
        with pytest.raises(StoreError), database.writing() as connection:
            connection.executemany("INSERT INTO note VALUES (?)", [("two",), (None,)])
    with NotesDatabase(tmp_path / "notes.db") as database:
        assert (count(database, "note"), count(database, "commits")) == (1, 1)


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("application_id = 7", "not ours; choose another file"), ("user_version = 9", "a newer paperagent")],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, pragma: str, message: str) -> None:
    path = tmp_path / "notes.db"
    NotesDatabase(path).close()
    with closing(connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(StoreError, match=message):
        NotesDatabase(path)


def test_an_empty_file_is_filled_and_garbage_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with NotesDatabase(tmp_path / "empty.db") as database:
        assert count(database, "note") == 0
    (tmp_path / "bad.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError, match=r"bad\.db: it is damaged; restore a backup"):
        NotesDatabase(tmp_path / "bad.db")


def test_transaction_rolls_back_a_plain_connection(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (n INTEGER NOT NULL)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.executemany("INSERT INTO t VALUES (?)", [(1,), (None,)])
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (PermissionError(13, "Permission denied"), "cannot be written"),
        (sqlite3.DatabaseError("database disk image is malformed"), "it is damaged; ask"),
        (sqlite3.OperationalError("unable to open database file"), "cannot be opened"),
        (sqlite3.OperationalError("something else"), "see --debug"),
        (sqlite3.OperationalError("disk I/O error"), "over a quota or failing"),
    ],
)
def test_every_error_becomes_one_line(error: Exception, message: str) -> None:
    with (
        pytest.raises(StoreError, match=f"^file: .*{message}") as raised,
        map_errors("file", damaged="ask", otherwise="see --debug"),
    ):
        raise error
    assert raised.value.__cause__ is error
