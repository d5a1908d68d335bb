"""Checksums of the rows of ``library.db``, by which ``paperagent doctor`` finds a flipped bit.

SQLite does not notice a changed byte in a text or number. So every table but ``papers``, which has stronger
checksums, has a column ``checksum`` that SQLite computes with `row_checksum` whenever it writes a row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from zlib import crc32

_CREATE = re.compile(r"CREATE TABLE (\w+)")
_GENERATED = "checksum INTEGER AS"
_MAX_BYTES = 2**14
"""A flipped bit is not looked for in a longer value: a list of checksums, which the repair computes again."""
_INTEGER_BYTES = (1, 2, 3, 4, 6, 8)
"""Sizes in which SQLite stores an integer."""

Values = tuple[Any, ...]


def row_checksum(*values: object) -> int:
    """Return the CRC-32 of the values of a row: None, numbers, texts and bytes."""
    checksum = 0
    for value in values:
        data = value if isinstance(value, bytes) else ascii(value).encode()
        checksum = crc32(data, checksum ^ len(data))
    return checksum


def checked_tables(schema: str) -> Iterator[str]:
    """Yield the tables whose rows have checksums."""
    for statement in schema.split("\n;\n"):
        match = _CREATE.search(statement)
        if match and _GENERATED in statement:
            yield match[1]


def add_row_checksums(connection: sqlite3.Connection, schema: str) -> None:
    """Copy the tables of a file without row checksums into tables that have them, inside a transaction."""
    for statement in schema.split("\n;\n"):
        if table := next(checked_tables(statement), None):
            connection.execute(f"ALTER TABLE {table} RENAME TO former")
            connection.execute(statement)
            columns = _columns(connection, table)
            connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM former")
            connection.execute("DROP TABLE former")
        elif "CREATE INDEX" in statement:
            connection.execute(statement)  # it was dropped with its table


def count_damaged_rows(connection: sqlite3.Connection, table: str) -> int:
    """Return how many rows of a table differ from their checksum."""
    return sum(row_checksum(*values) != checksum for *values, checksum in _rows(connection, table))


def repair_rows(connection: sqlite3.Connection, table: str) -> None:
    """Restore the rows of a table in which one bit has flipped, and delete other damaged rows.

    All rows are written again, because a lookup may miss a row with a damaged key. The caller has begun a
    transaction.
    """
    columns = _columns(connection, table)
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.execute(f"CREATE TEMP TABLE intact AS SELECT {columns} FROM {table} LIMIT 0")
    connection.executemany(f"INSERT INTO temp.intact VALUES ({marks})", _intact_rows(connection, table))
    connection.execute(f"DELETE FROM {table}")
    connection.execute(f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {columns} FROM temp.intact")
    connection.execute("DROP TABLE temp.intact")


def _intact_rows(connection: sqlite3.Connection, table: str) -> Iterator[Values]:
    for *row, checksum in _rows(connection, table):
        values = tuple(row)
        computed = row_checksum(*values)
        if computed == checksum:
            yield values
        elif isinstance(checksum, int):
            if (computed ^ checksum).bit_count() == 1:  # the checksum itself is damaged
                yield values
            elif restored := restore(values, partial(_has_checksum, checksum)):
                yield restored


def _has_checksum(checksum: int, values: Values) -> bool:
    return row_checksum(*values) == checksum


def restore(values: Values, matches: Callable[[Values], bool]) -> Values | None:
    """Return the values of a row before one bit was flipped; None if more has changed.

    Args:
        values: The values, with texts as by `readable_text`.
        matches: Whether the values have the right checksum.
    """
    for position, value in enumerate(values):
        before, after = values[:position], values[position + 1 :]
        for candidate in _one_bit_away(value):
            if matches((*before, candidate, *after)):
                return (*before, candidate, *after)
    return None


def _one_bit_away(value: object) -> Iterator[object]:
    if isinstance(value, int):
        for bit in range(63):
            yield value ^ (1 << bit)
        for size in _INTEGER_BYTES:
            sign = 1 << (8 * size - 1)
            yield value + sign if value < 0 else value - sign
    elif isinstance(value, str | bytes):
        raw = value if isinstance(value, bytes) else value.encode(errors="surrogateescape")
        if len(raw) > _MAX_BYTES:
            return
        yield from _as_both(raw)  # one bit of a record's header distinguishes texts from bytes
        for position, byte in enumerate(raw):
            for bit in range(8):
                flipped = raw[:position] + bytes((byte ^ (1 << bit),)) + raw[position + 1 :]
                yield from [flipped] if isinstance(value, bytes) else _as_text(flipped)


def _as_both(raw: bytes) -> Iterator[object]:
    yield raw
    yield from _as_text(raw)


def _as_text(raw: bytes) -> Iterator[str]:
    try:
        yield raw.decode()
    except UnicodeDecodeError:
        return


@contextmanager
def readable_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Read damaged text inside the block. Bytes that are not UTF-8 are decoded as surrogate escapes."""
    connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[Sequence[Any]]:
    query = f"SELECT {_columns(connection, table)}, checksum FROM {table}"
    with readable_text(connection):
        yield from connection.execute(query)


def _columns(connection: sqlite3.Connection, table: str) -> str:
    """Return the names of the columns without the checksum, which is generated."""
    return ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
