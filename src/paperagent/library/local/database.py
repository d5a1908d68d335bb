"""The one SQLite file: its marker, its tables, its transactions.

WAL with ``synchronous=FULL``: a committed batch survives a kill and a power cut. One connection,
shared by the threads of a process under a lock; every commit bumps ``generation``, by which
other processes notice that something changed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from paperagent.errors import NoLibraryError, StoreError
from paperagent.library.errors import RESTORE, shown, storing
from paperagent.library.home import writable

APPLICATION_ID = 0x50415047
"""``PAPG``: tells our file from any other SQLite file (https://sqlite.org/fileformat.html#application_id)."""
VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- The source of truth: every paper whole, with the hash of its text and a checksum of everything.
CREATE TABLE papers (
  row INTEGER PRIMARY KEY, paper_id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
  title TEXT NOT NULL, abstract TEXT NOT NULL, authors TEXT NOT NULL,
  published TEXT, updated TEXT, listed TEXT, first_seen TEXT,
  categories TEXT NOT NULL, url TEXT, arxiv_id TEXT, doi TEXT, version INTEGER, sources TEXT NOT NULL,
  upvotes INTEGER, withdrawn INTEGER NOT NULL, flags TEXT NOT NULL,
  text_hash BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE versions (
  row INTEGER NOT NULL, text_hash BLOB NOT NULL, title TEXT NOT NULL, abstract TEXT NOT NULL,
  version INTEGER, updated TEXT, PRIMARY KEY (row, text_hash)) WITHOUT ROWID;
CREATE TABLE aliases (alias TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (alias, row)) WITHOUT ROWID;
CREATE INDEX aliases_row ON aliases (row);
-- The records read so far, by source: what was read before is skipped without a look at the paper.
CREATE TABLE seen (
  hash BLOB PRIMARY KEY, row INTEGER NOT NULL, source TEXT NOT NULL, run INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX seen_row ON seen (row);

-- Derived from papers and narrow, because a search reads hundreds of rows of it.
-- indexed: the revision at which something that an index holds last changed.
CREATE TABLE facts (
  row INTEGER PRIMARY KEY, paper_id TEXT NOT NULL UNIQUE, indexed INTEGER NOT NULL, day INTEGER,
  tags TEXT NOT NULL, text_hash BLOB NOT NULL, terms BLOB NOT NULL);
CREATE INDEX facts_indexed ON facts (indexed);
CREATE INDEX facts_day ON facts (day);
CREATE TABLE removed (revision INTEGER PRIMARY KEY, row INTEGER, paper_id TEXT NOT NULL);

-- slot = embedder number << 40 | row: one look-up a vector, whichever embedder.
CREATE TABLE embedders (number INTEGER PRIMARY KEY, embedder_id TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL);
CREATE TABLE embeddings (slot INTEGER PRIMARY KEY, text_hash BLOB NOT NULL, vector BLOB NOT NULL);
"""
SLOT_BITS = 40
_MAPPED = 2**29
"""Bytes of a file that is read by mapping it, which saves .3 ms a search. Of a larger one (125,000 papers and
more) the pages read would soon fill a fifth of the process's memory."""


class Database:
    """An open ``library.db``.

    Raises `StoreError` where there is none, or the file is garbage, another program's, or newer
    than this program. ``read_only`` is true where the file or its folder cannot be written.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._what = f"library {shown(path)}"
        self._pid = os.getpid()
        self._lock = threading.RLock()
        with storing(self._what):
            if not create and not path.exists():
                raise NoLibraryError(shown(path.parent), f"no {path.name}")
            self._connection, self.read_only = _connect(path)
            try:
                self._prepare(create=create)
            except BaseException:
                self._connection.close()
                raise
        self._data_version = -1

    def _prepare(self, *, create: bool) -> None:
        run = self._connection.execute
        marker = run("PRAGMA application_id").fetchone()[0]
        empty = not run("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if marker == 0 and empty:  # a kill between creating the file and its tables leaves this
            if not create:
                raise NoLibraryError(shown(self.path.parent), "never filled")
            self._create()
        elif marker != APPLICATION_ID:
            raise StoreError(f"{self._what}: not a paperagent library; choose another PAPERAGENT_HOME")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"{self._what}: made by a newer paperagent (format {version}, not {VERSION}); upgrade it"
            )
        run("PRAGMA synchronous = FULL")
        run("PRAGMA cache_size = -16384")
        run(f"PRAGMA mmap_size = {_MAPPED if self.path.stat().st_size <= _MAPPED else 0}")

    def _create(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("BEGIN IMMEDIATE")
        (tables,) = run("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:  # another process may have been faster
            for statement in _SCHEMA.split(";\n"):
                run(statement)
            counters = (
                "revision",
                "generation",
                "vector_generation",
                "lexical_mark",
                "vector_mark",
                "length",
                "run",
            )
            self._connection.executemany("INSERT INTO meta VALUES (?, 0)", [(key,) for key in counters])
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {VERSION}")
        run("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, alone, for reading."""
        if os.getpid() != self._pid:
            raise StoreError(f"{self._what}: opened before a fork; open the library anew in each process")
        with self._lock, storing(self._what):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, alone, inside one transaction that commits with the block."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def meta(self, key: str) -> int:
        """Return the counter or mark ``key``."""
        with self.reading() as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if found is None or not isinstance(found[0], int):
            raise StoreError(f"{self._what}: it is damaged; {RESTORE}")
        return found[0]

    def note(self, key: str) -> str | None:
        """Return the text kept under ``key``, or None."""
        with self.reading() as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return None if found is None else str(found[0])

    def changed(self) -> bool:
        """Tell whether another connection has committed since the last call (true at first)."""
        with self.reading() as connection:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
        before, self._data_version = self._data_version, version
        return bool(before != version)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if os.getpid() == self._pid:  # closing in a forked child would drop the parent's locks
            self._connection.close()


def put(connection: sqlite3.Connection, key: str, value: int | str) -> None:
    """Write a counter, mark or note inside a transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open for writing where possible, else for reading. Returns the connection and read_only."""
    can_write = writable(path.parent) and (not path.exists() or os.access(path, os.W_OK, effective_ids=True))
    modes = ["rwc"] if can_write else ["ro"]
    if not can_write and not Path(f"{path}-wal").exists():
        modes.append("ro&immutable=1")  # a clean WAL file in a read-only folder opens in no other way
    for mode in modes:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=20,
        )
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
