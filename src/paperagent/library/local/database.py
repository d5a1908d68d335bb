"""The SQLite file of a local library: its schema, and the conversion between rows and papers."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from paperagent.errors import NoLibraryError, StoreError, display_path, visible
from paperagent.library.home import writable
from paperagent.library.identity import text_hash
from paperagent.library.local.row_checksums import (
    add_row_checksums,
    checked_tables,
    count_damaged_rows,
    repair_rows,
    row_checksum,
)
from paperagent.storage.sqlite import DamagedFileError, SqliteDatabase, connect
from paperagent.types import Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix

RESTORE = "restore a backup, or move it away and ingest again"
REPAIR = "run 'paperagent doctor --repair'"
SLOT_BITS = 40
_FIRST_WITH_ROW_CHECKSUMS = 3
"""The first format with checksums in the rows of all tables."""
COLUMNS = (
    "title, abstract, authors, published, updated, listed, first_seen, categories, url, arxiv_id, doi, "
    "version, sources, upvotes, withdrawn, flags"
)
PAPER_VALUES = f"paper_id, {COLUMNS}"
"""The columns that the checksum of a paper covers."""
PAPER_COLUMNS = f"{PAPER_VALUES}, checksum"
_VALUE_COUNT = len(PAPER_VALUES.split(","))
_MAX_VARIABLES = 500
"""Values of one ``IN (…)``: below the limit of every SQLite version."""
_MAX_MAPPED_BYTES = 2**29
"""A file up to this size is memory-mapped, which saves .3 ms per search. The pages of a larger file (more
than 125,000 papers) would soon take up a fifth of the process's memory."""
_COUNTERS = ("revision", "generation", "vector_generation", "lexical_mark", "vector_mark", "length", "run")
_LOWEST_COUNTERS = {
    "revision": "SELECT max(coalesce((SELECT max(revision) FROM papers), 0), "
    "coalesce((SELECT max(indexed) FROM facts), 0), coalesce((SELECT max(revision) FROM removed), 0))",
    "run": "SELECT coalesce(max(run), 0) FROM seen",
    "generation": "strftime('%s') + 0",
    "vector_generation": "strftime('%s') + 0",
}
"""Counter → an expression for a value that is not too low; other programs must notice a new generation."""
# SQLite computes a checksum whenever it writes a row. Other programs can read these tables, not write them.
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value,
  checksum INTEGER AS (row_checksum(key, value)) STORED) WITHOUT ROWID
;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL,
  checksum INTEGER AS (row_checksum(key, value)) STORED) WITHOUT ROWID
;
-- The source of truth: every paper with the hash of its text and a checksum of all columns.
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
  version INTEGER, updated TEXT,
  checksum INTEGER AS (row_checksum(row, text_hash, title, abstract, version, updated)) STORED,
  PRIMARY KEY (row, text_hash)) WITHOUT ROWID
;
CREATE TABLE aliases (alias TEXT NOT NULL, row INTEGER NOT NULL,
  checksum INTEGER AS (row_checksum(alias, row)) STORED,
  PRIMARY KEY (alias, row)) WITHOUT ROWID
;
CREATE INDEX aliases_row ON aliases (row)
;
-- The records read so far, by source. A record that was read before is skipped without looking at its paper.
CREATE TABLE seen (
  hash BLOB PRIMARY KEY, row INTEGER NOT NULL, source TEXT NOT NULL, run INTEGER NOT NULL,
  checksum INTEGER AS (row_checksum(hash, row, source, run)) STORED) WITHOUT ROWID
;
CREATE INDEX seen_row ON seen (row)
;
-- Derived from papers, and narrow because a search reads hundreds of rows.
-- indexed: the revision at which anything in an index last changed.
CREATE TABLE facts (
  row INTEGER PRIMARY KEY, paper_id TEXT NOT NULL UNIQUE, indexed INTEGER NOT NULL, day INTEGER,
  tags TEXT NOT NULL, text_hash BLOB NOT NULL, terms BLOB NOT NULL,
  checksum INTEGER AS (row_checksum(row, paper_id, indexed, day, tags, text_hash, terms)) STORED)
;
CREATE INDEX facts_indexed ON facts (indexed)
;
CREATE INDEX facts_day ON facts (day)
;
CREATE TABLE removed (revision INTEGER PRIMARY KEY, row INTEGER, paper_id TEXT NOT NULL,
  checksum INTEGER AS (row_checksum(revision, row, paper_id)) STORED)
;
-- slot = embedder number << 40 | row: one look-up per vector, for any embedder.
CREATE TABLE embedders (number INTEGER PRIMARY KEY, embedder_id TEXT NOT NULL UNIQUE, dim INTEGER NOT NULL,
  checksum INTEGER AS (row_checksum(number, embedder_id, dim)) STORED)
;
CREATE TABLE embeddings (slot INTEGER PRIMARY KEY, text_hash BLOB NOT NULL, vector BLOB NOT NULL,
  checksum INTEGER AS (row_checksum(slot, text_hash, vector)) STORED)
"""


class LibraryDatabase(SqliteDatabase):
    """An open ``library.db``.

    Every commit increments the counter ``generation``, by which other processes notice a change.
    ``read_only`` is true if the file or its folder cannot be written.

    Raises:
        StoreError: There is no file (unless ``create``), or it is damaged, another program's, or newer than
            this
            program.
    """

    KIND = "library"
    APPLICATION_ID = 0x50415047  # "PAPG"
    VERSION = 3
    SCHEMA = _SCHEMA
    # From format 2 on, `meta` names the folders of the indexes, which format 1 would not find. Format 3 has a
    # checksum in every row.
    MIGRATIONS: ClassVar[dict[int, str]] = {
        1: "PRAGMA user_version = 2",
        2: "PRAGMA user_version = 3",
    }
    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {"row_checksum": row_checksum}
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
        with self.reading() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        self.has_row_checksums: bool = version >= _FIRST_WITH_ROW_CHECKSUMS
        """False for a file of an earlier version that cannot be written."""

    def meta(self, key: str) -> int:
        """Return a counter or mark."""
        value = self._value("meta", key)
        if not isinstance(value, int):
            raise DamagedFileError(f"{self.description}: it is damaged; {RESTORE}")
        return value

    def note(self, key: str) -> str | None:
        """Return the text stored under ``key``, or None."""
        value = self._value("meta", key)
        return None if value is None else str(value)

    def setting(self, key: str) -> str | None:
        """Return the JSON text of a setting, or None."""
        value = self._value("settings", key)
        return None if value is None else str(value)

    def _value(self, table: str, key: str) -> object:
        with self.reading() as connection:
            if self.has_row_checksums:
                return read_value(connection, table, key)
            row = connection.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()
            return row and row[0]

    def damaged_rows(self) -> dict[str, int]:
        """Return how many rows differ from their checksum, by table; tables without damage are left out."""
        with self.reading() as connection, without_mmap(connection):
            counts = {name: count_damaged_rows(connection, name) for name in checked_tables(self.SCHEMA)}
        return {name: count for name, count in counts.items() if count}

    def repair_rows(self) -> set[str]:
        """Restore or delete damaged rows, rebuild SQLite's indexes, and return the changed tables.

        A counter that cannot be restored gets a value with which the indexes are built again.
        """
        damaged = self.damaged_rows()
        with self.writing() as connection:
            for table in damaged:
                repair_rows(connection, table)
            connection.execute("REINDEX")
            counters = dict.fromkeys(_COUNTERS, "0") | _LOWEST_COUNTERS
            for key, value in counters.items():
                connection.execute(f"INSERT OR IGNORE INTO meta VALUES (?, ({value}))", (key,))
        return set(damaged)

    def changed(self) -> bool:
        """Return whether another connection has committed since the last call (true at first)."""
        with self.reading() as connection:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
        before, self._data_version = self._data_version, version
        return bool(before != version)

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

    def _migrate(self) -> None:
        if not self.read_only:  # formats 1 and 2 can be read as they are
            super()._migrate()

    def _after_migration(self, connection: sqlite3.Connection, version: int) -> None:
        if version + 1 == _FIRST_WITH_ROW_CHECKSUMS:
            add_row_checksums(connection, self.SCHEMA)

    def _prepare(self) -> None:
        super()._prepare()
        mapped = _MAX_MAPPED_BYTES if self.path.stat().st_size <= _MAX_MAPPED_BYTES else 0
        self._connection.execute(f"PRAGMA mmap_size = {mapped}")


def read_value(connection: sqlite3.Connection, table: str, key: str) -> Any:
    """Return a value of ``meta`` or ``settings``, or None.

    Raises:
        DamagedFileError: It differs from its checksum.
    """
    query = f"SELECT value, checksum FROM {table} WHERE key = ?"
    value, checksum = connection.execute(query, (key,)).fetchone() or (None, None)
    if value is not None and checksum != row_checksum(key, value):
        raise DamagedFileError(f"library: the value {visible(key)} is damaged; {REPAIR}")
    return value


def put_meta(connection: sqlite3.Connection, key: str, value: int | str) -> None:
    """Write a counter, mark or note inside a transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


@contextmanager
def without_mmap(connection: sqlite3.Connection) -> Iterator[None]:
    """Let the block read the whole file without its pages staying in this process's memory."""
    (mapped,) = connection.execute("PRAGMA mmap_size").fetchone()
    connection.execute("PRAGMA mmap_size = 0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA mmap_size = {mapped}")


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


# --- rows ---


def row_values(paper: Paper) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`, then the hash of the text and the checksum of all."""
    columns = (
        paper.title,
        paper.abstract,
        json.dumps(paper.authors, ensure_ascii=False),
        _iso(paper.published),
        _iso(paper.updated),
        _iso(paper.listed),
        _iso(paper.first_seen),
        json.dumps(paper.categories, ensure_ascii=False),
        paper.url,
        paper.arxiv_id,
        paper.doi,
        paper.version,
        json.dumps(paper.sources, ensure_ascii=False),
        paper.upvotes,
        int(paper.withdrawn),
        json.dumps(paper.flags, ensure_ascii=False),
    )
    return (*columns, text_hash(paper.title, paper.abstract), checksum((paper.paper_id, *columns)))


def checksum(row: Sequence[Any]) -> bytes:
    """Return the 16-byte checksum of the values of `PAPER_VALUES`, which reveals a flipped byte."""
    return _digest(ascii(tuple(row)))


def has_checksum(row: Sequence[Any], stored: bytes) -> bool:
    """Return whether the values of `PAPER_VALUES` have this checksum, of this or an earlier version."""
    # The result of `repr` depends on the characters that the Python version knows.
    return _digest(ascii(tuple(row))) == stored or _digest(repr(tuple(row))) == stored


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def paper_from_row(row: Sequence[Any]) -> Paper:
    """Return the paper of a row that begins with `PAPER_COLUMNS`.

    Raises:
        StoreError: Its values differ from their checksum.
    """
    if not has_checksum(row[:_VALUE_COUNT], row[_VALUE_COUNT]):
        raise _damaged_paper(row)
    try:
        return Paper(
            paper_id=row[0],
            title=row[1],
            abstract=row[2],
            authors=tuple(json.loads(row[3])),
            published=_day(row[4]),
            updated=_day(row[5]),
            listed=_day(row[6]),
            first_seen=_day(row[7]),
            categories=_strings(row[8]),
            url=row[9],
            arxiv_id=row[10],
            doi=row[11],
            version=row[12],
            sources=_strings(row[13]),
            upvotes=row[14],
            withdrawn=bool(row[15]),
            flags=_strings(row[16]),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise _damaged_paper(row) from error


def _damaged_paper(row: Sequence[Any]) -> StoreError:
    return StoreError(f"library: paper {visible(str(row[0]), limit=60)} is damaged; {REPAIR}")


def pack_tags(tags: Sequence[str]) -> str:
    """Return the tags as one text, in which a whole tag can be found by the line breaks around it."""
    return "".join(f"\n{tag.replace(chr(10), ' ')}" for tag in tags) + "\n"


def unpack_tags(text: str) -> list[str]:
    """Return the tags of `pack_tags`."""
    return text[1:-1].split("\n") if len(text) > 1 else []


def pack_terms(stems: Sequence[str]) -> bytes:
    """Return the ids of ``stems`` as little-endian uint32."""
    from paperagent.text.terms import term_ids

    return term_ids(stems).astype("<u4").tobytes()


def unpack_terms(blob: bytes) -> NDArray[np.uint32]:
    """Return the ids of `pack_terms`, shape [n].

    Raises:
        StoreError: They are damaged.
    """
    import numpy as np

    try:
        return np.frombuffer(blob, "<u4")
    except (ValueError, TypeError) as error:
        raise StoreError(f"library: the terms of a paper are damaged; {REPAIR}") from error


def unpack_vectors(blobs: Sequence[bytes]) -> Matrix:
    """Return stored vectors of one embedder, shape [n, dim].

    Raises:
        StoreError: They are damaged.
    """
    import numpy as np

    try:
        return np.frombuffer(b"".join(blobs), "<f2").astype(np.float32).reshape(len(blobs), -1)
    except (ValueError, TypeError) as error:
        raise StoreError(f"library: stored embeddings are damaged; {REPAIR}") from error


def placeholders(values: Iterable[Any], size: int = _MAX_VARIABLES) -> Iterator[tuple[str, list[Any]]]:
    """Yield the values in parts, each with its placeholders ``?, ?, …``."""
    remaining = list(values)
    for start in range(0, len(remaining), size):
        part = remaining[start : start + size]
        yield ", ".join("?" * len(part)), part


@lru_cache(maxsize=4096)
def _strings(text: str) -> tuple[str, ...]:
    """Return a list of categories, feeds or flags; a library has few different ones."""
    return tuple(json.loads(text))


def _iso(day: dt.date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)
