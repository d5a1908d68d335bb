"""The SQLite file of a local library: its tables, its counters, and read-only opening."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from paperagent.errors import NoLibraryError, StoreError
from paperagent.library.home import writable
from paperagent.storage.sqlite import SqliteDatabase, connect, display_path

APPLICATION_ID = 0x50415047
"""``PAPG``: tells our file from any other SQLite file (https://sqlite.org/fileformat.html#application_id)."""
RESTORE = "restore a backup, or move it away and ingest again"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID
;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
;
-- The source of truth: every paper whole, with the hash of its text and a checksum of everything.
CREATE TABLE papers (
  row INTEGER PRIMARY KEY, paper_id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
  title TEXT NOT NULL, abstract TEXT NOT NULL, authors TEXT NOT NULL,
  published TEXT, updated TEXT, listed TEXT, first_seen TEXT,
  categories TEXT NOT NULL, url TEXT, arxiv_id TEXT, doi TEXT, version INTEGER, sources TEXT NOT NULL,
  upvotes INTEGER, withdrawn INTEGER NOT NULL, flags TEXT NOT NULL,
  text_hash BLOB NOT NULL, checksum BLOB NOT NULL)
;
CREATE TABLE versions (
  row INTEGER NOT NULL, text_hash BLOB NOT NULL, title TEXT NOT NULL, abstract TEXT NOT NULL,
  version INTEGER, updated TEXT, PRIMARY KEY (row, text_hash)) WITHOUT ROWID
;
CREATE TABLE aliases (alias TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (alias, row)) WITHOUT ROWID
;
CREATE INDEX aliases_row ON aliases (row)
;
-- The records read so far, by source: what was read before is skipped without a look at the paper.
CREATE TABLE seen (
  hash BLOB PRIMARY KEY, row INTEGER NOT NULL, source TEXT NOT NULL, run INTEGER NOT NULL) WITHOUT ROWID
;
CREATE INDEX seen_row ON seen (row)
;
-- Derived from papers and narrow, because a search reads hundreds of rows of it.
-- indexed: the revision at which something that an index holds last changed.
CREATE TABLE facts (
  row INTEGER PRIMARY KEY, paper_id TEXT NOT NULL UNIQUE, indexed INTEGER NOT NULL, day INTEGER,
  tags TEXT NOT NULL, text_hash BLOB NOT NULL, terms BLOB NOT NULL)
;
CREATE INDEX facts_indexed ON facts (indexed)
;
CREATE INDEX facts_day ON facts (day)
;
CREATE TABLE removed (revision INTEGER PRIMARY KEY, row INTEGER, paper_id TEXT NOT NULL)
;
-- slot = embedder number << 40 | row: one look-up a vector, whichever embedder.
CREATE TABLE embedders (number INTEGER PRIMARY KEY, embedder_id TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL)
;
CREATE TABLE embeddings (slot INTEGER PRIMARY KEY, text_hash BLOB NOT NULL, vector BLOB NOT NULL)
"""
SLOT_BITS = 40
_COUNTERS = ("revision", "generation", "vector_generation", "lexical_mark", "vector_mark", "length", "run")
_MAX_MAPPED_BYTES = 2**29
"""Bytes of a file that is read by mapping it, which saves .3 ms a search. Of a larger one (125,000 papers and
more) the pages read would soon fill a fifth of the process's memory."""


class LibraryDatabase(SqliteDatabase):
    """An open ``library.db``.

    One connection, which the threads of a process share under a lock. Every commit increments ``generation``,
    by which other processes notice a change. ``read_only`` is true if the file or its folder cannot be
    written.

    Raises:
        StoreError: There is no file (unless ``create``), or it is damaged, another program's, or newer than
            this
            program.
    """

    KIND = "library"
    APPLICATION_ID = APPLICATION_ID
    SCHEMA = _SCHEMA
    PRAGMAS = ("synchronous = FULL", "cache_size = -16384")
    FOREIGN = "not a paperagent library; choose another PAPERAGENT_HOME"
    DAMAGED = RESTORE

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.read_only = False
        self._create_tables = create
        if not create and not path.exists():
            raise NoLibraryError(display_path(path.parent), f"no {path.name}")
        super().__init__(path)
        self._data_version = -1

    def _connect(self) -> sqlite3.Connection:
        connection, self.read_only = _open(self.path)
        return connection

    def _on_empty_file(self) -> None:
        if not self._create_tables:
            raise NoLibraryError(display_path(self.path.parent), "never filled")
        super()._on_empty_file()

    def _on_create(self, connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT INTO meta VALUES (?, 0)", [(counter,) for counter in _COUNTERS])

    def _before_commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def _prepare(self) -> None:
        super()._prepare()
        mapped = _MAX_MAPPED_BYTES if self.path.stat().st_size <= _MAX_MAPPED_BYTES else 0
        self._connection.execute(f"PRAGMA mmap_size = {mapped}")

    def meta(self, key: str) -> int:
        """Return the counter or mark ``key``."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None or not isinstance(row[0], int):
            raise StoreError(f"{self.description}: it is damaged; {RESTORE}")
        return row[0]

    def note(self, key: str) -> str | None:
        """Return the text kept under ``key``, or None."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

    def changed(self) -> bool:
        """Tell whether another connection has committed since the last call (true at first)."""
        with self.reading() as connection:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
        before, self._data_version = self._data_version, version
        return bool(before != version)


def put(connection: sqlite3.Connection, key: str, value: int | str) -> None:
    """Write a counter, mark or note inside a transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _open(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open ``path`` for writing if possible, else for reading; return the connection and ``read_only``."""
    can_write = writable(path.parent) and (not path.exists() or os.access(path, os.W_OK, effective_ids=True))
    modes = ["rwc"] if can_write else ["ro"]
    if not can_write and not Path(f"{path}-wal").exists():
        modes.append("ro&immutable=1")  # the only way to open a clean WAL file in a read-only folder
    for mode in modes:
        connection = connect(path, mode=mode)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if mode == modes[-1]:
                raise
        except BaseException:
            connection.close()
            raise
        else:
            return connection, not can_write
    raise AssertionError("the last mode returns or raises")
