"""A journal of changed rows, which brings an older copy of a database up to date.

Each transaction has a number and one line in the journal, with a checksum and the written rows as JSON. The
line is written after the transaction is committed and before the caller continues. The journal consists of
segments: ``NAME-000001.log`` and so on. A segment is started when a backup with the same number is made, and
is deleted when no older backup is left.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from paperagent.storage.private_files import open_private, read_at

Operation = Literal["put", "del"]
Change = tuple[Operation, str, dict[str, Any]]
"""Operation, table, and columns of the row: those of the primary key for ``del``, otherwise all."""
_TAIL_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a journal."""

    database_id: str | None
    """The random id of the database to which the journal belongs; None if it cannot be read."""
    sequence: int
    """The number of the last transaction."""


@dataclass(slots=True)
class JournalContent:
    """The readable lines of a journal."""

    headers: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Number of a segment → its first line."""
    transactions: dict[int, list[Change]] = field(default_factory=dict)
    damaged: dict[int, int] = field(default_factory=dict)
    """Number of a segment → number of its damaged lines."""

    @property
    def last(self) -> int:
        """The number of the last transaction."""
        started = [int(header["sequence"]) for header in self.headers.values()]
        return max([*started, *self.transactions], default=0)

    def missing_after(self, sequence: int, until: int | None = None) -> int:
        """Return how many transactions after ``sequence`` cannot be read."""
        numbers = range(sequence + 1, (self.last if until is None else until) + 1)
        return sum(number not in self.transactions for number in numbers)


class Journal:
    """The segments of one database's journal. Their folder is created at the first write.

    Args:
        folder: The folder of the segments and the backups.
        name: The prefix of their file names.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._name = name
        self._pattern = re.compile(re.escape(name) + r"-([0-9]{6,})\.(log|db)")

    def path(self, number: int, suffix: str = "log") -> Path:
        """Return the path of a segment, or of the backup with the same number (``db``)."""
        return self.folder / f"{self._name}-{number:06}.{suffix}"

    def numbers(self, suffix: str = "log") -> list[int]:
        """Return the numbers of the segments, or of the backups (``db``), in order."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        matches = (self._pattern.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in matches if match and match[2] == suffix)

    def start_segment(self, number: int, header: Mapping[str, Any]) -> None:
        """Begin a segment. Do nothing if it exists already.

        Args:
            number: The number of the segment.
            header: JSON values, including the ``id`` of the database and its ``sequence``.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = open_private(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return
        try:
            os.write(descriptor, _line(json.dumps(dict(header))))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, database_id: str, sequence: int, changes: Iterable[str], *, durable: bool) -> None:
        """Write the changes of a transaction.

        Args:
            database_id: The id of the database.
            sequence: The number of the transaction.
            changes: The changes, each as a JSON text.
            durable: Whether to flush them to disk, so that they survive a power failure.
        """
        segments = self.numbers()
        if not segments:
            self.start_segment(0, {"id": database_id, "sequence": sequence - 1})
            segments = [0]
        descriptor = open_private(self.path(segments[-1]), os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            line = _line(f'{{"sequence": {sequence}, "changes": [{", ".join(changes)}]}}')
            size = os.fstat(descriptor).st_size
            if size and read_at(descriptor, 1, size - 1) != b"\n":  # the last writer was killed
                line = b"\n" + line
            if os.write(descriptor, line) != len(line):
                raise OSError(28, "No space left on device", str(self.path(segments[-1])))
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def position(self) -> Position | None:
        """Return the end of the journal, read from its last segment; None without segments and backups."""
        segments = self.numbers()
        if not segments:
            return Position(None, 0) if self.numbers("db") else None
        head = self.header(segments[-1])
        with self.path(segments[-1]).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            length = _TAIL_BYTES
            while True:
                file.seek(max(0, size - length))
                tail = [_parsed(line) for line in file.read(length).split(b"\n")]
                if length >= size or any(tail):
                    break
                length *= 4
        values = [line for line in (head, *tail) if line]
        database_id = next((str(v["id"]) for v in values if "id" in v), None)
        return Position(database_id, max((int(v["sequence"]) for v in values), default=0))

    def header(self, number: int) -> dict[str, Any] | None:
        """Return the first line of a segment, or None if it cannot be read."""
        try:
            with self.path(number).open("rb") as file:
                value = _parsed(file.readline(_TAIL_BYTES))
        except FileNotFoundError:
            return None
        return value if value and "id" in value else None

    def read(self) -> JournalContent:
        """Return all readable lines."""
        content = JournalContent()
        for number in self.numbers():
            lines = self.path(number).read_bytes().split(b"\n")
            for index, raw in enumerate(lines):
                value = _parsed(raw)
                if value is None or (index and "id" in value) or (not index and "id" not in value):
                    if raw or not index:
                        content.damaged[number] = content.damaged.get(number, 0) + 1
                elif not index:
                    content.headers[number] = value
                else:
                    changes = [(op, table, row) for op, table, row in value["changes"]]
                    content.transactions.setdefault(int(value["sequence"]), []).extend(changes)
        return content


def _line(text: str) -> bytes:
    data = text.encode()
    return b"%08x %s\n" % (crc32(data), data)


def _parsed(line: bytes) -> dict[str, Any] | None:
    checksum, _, data = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % crc32(data) or not data:
        return None
    value = json.loads(data)
    assert isinstance(value, dict)
    return value


def record_changes(
    connection: sqlite3.Connection, tables: Mapping[str, str], record: Callable[[str, str, str], None]
) -> None:
    """Call ``record(operation, table, row as JSON)`` for each row that this connection writes.

    Args:
        connection: The connection.
        tables: The tables, each with an SQL condition on ``NEW``, which may be empty. Blobs are left out.
        record: A function that is called within the transaction.
    """
    connection.create_function("record_change", 3, record)
    for table, condition in tables.items():
        columns = journaled_columns(connection, table)
        key = primary_key(connection, table)
        when = f"WHEN {condition}" if condition else ""
        put = f"SELECT record_change('put', '{table}', {_json_object('NEW', columns)})"
        delete = f"SELECT record_change('del', '{table}', {_json_object('OLD', key)})"
        for event, condition_of_event, body in (
            ("INSERT", when, put),
            ("UPDATE", when, put),
            ("DELETE", "", delete),
        ):
            connection.execute(
                f"CREATE TEMP TRIGGER journal_{table}_{event} AFTER {event} ON {table} "
                f"{condition_of_event} BEGIN {body}; END"
            )


def journaled_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns of a table that a journal stores: all except blobs."""
    rows = connection.execute(f"PRAGMA main.table_info ({table})").fetchall()
    return [str(row[1]) for row in rows if row[2] != "BLOB"]


def primary_key(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns of a table's primary key, in its order."""
    rows = connection.execute(f"PRAGMA main.table_info ({table})").fetchall()
    return [str(row[1]) for row in sorted(rows, key=lambda row: row[5]) if row[5]]


def replay(
    connection: sqlite3.Connection,
    changes: Iterable[Change],
    tables: Mapping[str, str],
    *,
    insert_only: Sequence[str] = (),
) -> None:
    """Apply changes in an open transaction.

    Args:
        connection: The connection.
        changes: The changes. Those of other tables and unknown columns are ignored.
        tables: The tables, as for `record_changes`.
        insert_only: Tables with blobs, which the journal does not contain. Existing rows are not changed, and
            missing rows are added with empty blobs.
    """
    blobs = {table: dict.fromkeys(_blob_columns(connection, table), b"") for table in insert_only}
    columns = {table: frozenset(journaled_columns(connection, table)) for table in tables}
    for operation, table, row in changes:
        if table not in tables:
            continue
        values = {name: value for name, value in row.items() if name in columns[table]}
        if operation == "del":
            where = " AND ".join(f"{name} = ?" for name in values)
            connection.execute(f"DELETE FROM {table} WHERE {where}", tuple(values.values()))
            continue
        values |= blobs.get(table, {})
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        conflict = "IGNORE" if table in insert_only else "REPLACE"
        connection.execute(
            f"INSERT OR {conflict} INTO {table} ({names}) VALUES ({marks})", tuple(values.values())
        )


def _blob_columns(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    for row in connection.execute(f"PRAGMA main.table_info ({table})").fetchall():
        if row[2] == "BLOB":
            yield str(row[1])


def _json_object(row: str, columns: Iterable[str]) -> str:
    pairs = ", ".join(f"'{name}', {row}.{name}" for name in columns)
    return f"json_object({pairs})"
