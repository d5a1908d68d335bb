"""Rotating backups of ``digest.db``. A backup gets its final name after it has passed its checks."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from paperagent.digest.database import APPLICATION_ID, DigestDatabase, utc_now
from paperagent.errors import StoreError, display_path
from paperagent.storage.journal import Journal
from paperagent.storage.private_files import flush_to_disk, open_private
from paperagent.storage.sqlite import connect, map_errors

MAX_BACKUPS = 7
MAX_AGE = dt.timedelta(days=1)
"""A new backup is made when the last one is older than this and something has changed."""
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup whose file passed its checks."""

    number: int
    path: Path
    database_id: str
    sequence: int
    """The number of the last transaction that it contains."""
    at: dt.datetime
    """When it was made."""


class Backups:
    """The backups in the folder of a journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def make(self, database: DigestDatabase, *, force: bool = False, only: bool = False) -> bool:
        """Make a backup unless nothing has changed since the last one, and delete old ones.

        Args:
            database: The file.
            force: Whether to make one even if nothing has changed.
            only: Whether to delete all other backups, because they contain data that was removed.

        Returns:
            Whether there is a new backup.

        Raises:
            StoreError: The file is damaged, or the disk is full; the other backups stay.
        """
        journal = self._journal
        with map_errors(f"backup of the digest {display_path(journal.folder)}"):
            if not (force or only) and self._is_current(database):
                return False
            number = max([0, *journal.numbers(), *journal.numbers("db")]) + 1
            journal.folder.mkdir(mode=0o700, exist_ok=True)
            part = journal.path(number, f"{os.getpid()}.part")
            try:
                self._write(database, part)
                with _open_checked(part) as connection:
                    (sequence,) = connection.execute("SELECT sequence FROM journal").fetchone()
                header = {"id": database.database_id, "sequence": sequence, "sha256": file_hash(part)}
                journal.start_segment(number, header)
                part.replace(journal.path(number, "db"))
                flush_to_disk(journal.folder)
            finally:
                part.unlink(missing_ok=True)
            self._prune(keep=1 if only else MAX_BACKUPS)
        return True

    def make_if_due(self, database: DigestDatabase) -> bool:
        """Make a backup if the journal lacks changes, or if the last backup is outdated and a day old."""
        if database.lacks_backup:
            database.lacks_backup = False
            return self.make(database)
        numbers = self._journal.numbers("db")
        if numbers:
            age = utc_now().timestamp() - self._journal.path(numbers[-1], "db").stat().st_mtime
            if abs(age) < MAX_AGE.total_seconds():  # a time in the future was set by a wrong clock
                return False
        elif not database.sequence():
            return False
        return self.make(database)

    def newest_first(self) -> Iterator[Backup]:
        """Yield the backups that pass their checks."""
        headers = self._journal.read().headers
        for number in reversed(self._journal.numbers("db")):
            with suppress(StoreError):
                yield self.check(number, str(headers.get(number, {}).get("sha256", "")))

    def check(self, number: int, sha256: str) -> Backup:
        """Check a backup and return it.

        Args:
            number: The number of the backup.
            sha256: Its checksum, from the first line of the journal segment; empty if that cannot be read.

        Raises:
            StoreError: The backup is damaged.
        """
        path = self._journal.path(number, "db")
        with map_errors(f"backup {display_path(path)}"):
            if sha256 and file_hash(path) != sha256:
                raise StoreError(f"backup {display_path(path)}: it is damaged; an older one is used")
            at = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
            with _open_checked(path) as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version > DigestDatabase.VERSION:
                    raise StoreError(
                        f"backup {display_path(path)}: it was written by a newer version; upgrade paperagent"
                    )
                database_id, sequence = connection.execute("SELECT id, sequence FROM journal").fetchone()
        return Backup(number, path, database_id, sequence, at)

    def delete(self, number: int) -> None:
        """Delete a damaged backup, but not its segment of the journal."""
        self._journal.path(number, "db").unlink(missing_ok=True)

    def _is_current(self, database: DigestDatabase) -> bool:
        numbers = self._journal.numbers("db")
        if not numbers:
            return False
        header = self._journal.header(numbers[-1])
        return header is not None and header["sequence"] == database.sequence()

    def _write(self, database: DigestDatabase, part: Path) -> None:
        os.close(open_private(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        database.copy_to(part)
        flush_to_disk(part)

    def _prune(self, *, keep: int) -> None:
        """Delete old backups.

        Of each day, only the last backup is kept, except that the two newest backups always stay. At most
        ``keep`` backups are kept in all. Segments of the journal that no backup needs are deleted, too.
        """
        journal, days = self._journal, set[dt.date]()
        newest: list[int] = []
        for index, number in enumerate(reversed(journal.numbers("db"))):
            path = journal.path(number, "db")
            day = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
            if len(newest) < keep and (index < 2 or day not in days):
                newest.append(number)
                days.add(day)
            else:
                path.unlink()
        for number in journal.numbers():
            if number < newest[-1]:
                journal.path(number).unlink()


@contextmanager
def _open_checked(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a backup after SQLite has checked the whole file."""
    with closing(connect(path, mode="ro&immutable=1")) as connection:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise StoreError(f"backup {display_path(path)}: not a paperagent digest; an older one is used")
        (report,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if report != "ok":
            raise StoreError(f"backup {display_path(path)}: it is damaged; an older one is used")
        yield connection


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
