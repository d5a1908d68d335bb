"""The digest's SQLite file: subscribers, issues and deliveries.

It is separate from the library, because the library can be rebuilt from its feeds and this file cannot. Every
changed row is also written to a journal (`storage.journal`), from which `restore` rebuilds the file.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from paperagent.errors import StoreLockedError, display_path
from paperagent.layout import counted
from paperagent.storage.journal import Journal, Position, record_changes
from paperagent.storage.locks import ProcessLock
from paperagent.storage.sqlite import DamagedFileError, SqliteDatabase, connect

FILE_NAME = "digest.db"
LOCK_NAME = "digest.lock"
SERVER_LOCK = "web.lock"
"""The lock of the web server, which has the file open."""
OUTBOX_FOLDER = "outbox"
"""The folder for emails without a mail server, beside the file."""
BACKUP_FOLDER = "backups"
"""The folder of the journal and the backups, beside the file."""
JOURNALED = {
    "subscriber": "",
    "suppression": "",
    "webhook": "",
    "feedback": "",
    "issue": "",
    "shown": "",
    "delivery": "NEW.state != 'claimed'",
    "event": "",
}
"""The tables in the journal, each with an SQL condition. The texts of issues (blobs) are only in the backups.
A claimed message has not been sent, so that state is left out."""
_DURABLE_TABLES = frozenset({"subscriber", "suppression", "webhook", "feedback"})
APPLICATION_ID = 0x50414447
"""``PADG``: identifies the file among other SQLite files."""

_DELIVERY = """
-- before: the state before the claim.
CREATE TABLE delivery (
  issue_id TEXT NOT NULL REFERENCES issue (id), subscriber_id INTEGER NOT NULL,
  message_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('planned', 'claimed', 'in_data', 'written', 'exported', 'sent',
    'bounced', 'deferred', 'failed', 'skipped', 'unknown')),
  before TEXT, attempts INTEGER NOT NULL DEFAULT 0, next_at TEXT, code INTEGER, reply TEXT, message_hash TEXT,
  updated_at TEXT NOT NULL, PRIMARY KEY (issue_id, subscriber_id)) WITHOUT ROWID
;
CREATE INDEX delivery_state ON delivery (state)
"""
_SUBSCRIBER = """
-- key: the address in the form by which mailboxes are compared (`message.MailAddress`).
CREATE TABLE subscriber (
  id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'unsubscribed', 'bounced')),
  frequency TEXT NOT NULL CHECK (frequency IN ('daily', 'weekly', 'monthly')),
  profile TEXT NOT NULL, created_at TEXT NOT NULL, confirmed_at TEXT, asked_at TEXT)
"""
_WEBHOOK = """
-- The subscribers that get their issues by HTTP instead of mail.
CREATE TABLE webhook (subscriber_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, url TEXT NOT NULL)
"""
_JOURNAL = """
-- One row: a random id, and the number of the last transaction in the journal (`storage.journal`).
CREATE TABLE journal (id TEXT NOT NULL, sequence INTEGER NOT NULL)
"""
_RESTORED = """
-- uncertain_until: lost transactions may have sent issues of days up to this one; NULL if none are lost.
CREATE TABLE restored (at TEXT NOT NULL, detail TEXT NOT NULL, uncertain_until TEXT)
"""
_SCHEMA = f"""
{_SUBSCRIBER.strip()}
;
-- Takes precedence over everything else; stays when the subscriber is removed.
CREATE TABLE suppression (key TEXT PRIMARY KEY, reason TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID
;
-- A row is written once and never changes. The general issue has no subscriber.
CREATE TABLE issue (
  id TEXT PRIMARY KEY, period TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
  subscriber_id INTEGER, subject TEXT NOT NULL, preheader TEXT NOT NULL, html BLOB NOT NULL,
  txt BLOB NOT NULL, content_hash TEXT NOT NULL, papers TEXT NOT NULL, facts TEXT NOT NULL,
  frozen_at TEXT NOT NULL, UNIQUE (period, subscriber_id))
;
{_DELIVERY.strip()}
;
CREATE TABLE shown (
  subscriber_id INTEGER NOT NULL, paper_id TEXT NOT NULL, issue_id TEXT NOT NULL,
  PRIMARY KEY (subscriber_id, paper_id)) WITHOUT ROWID
;
CREATE INDEX shown_issue ON shown (issue_id)
;
CREATE TABLE feedback (
  subscriber_id INTEGER NOT NULL, paper_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('more', 'less', 'save')), at TEXT NOT NULL,
  PRIMARY KEY (subscriber_id, paper_id, kind)) WITHOUT ROWID
;
{_WEBHOOK.strip()}
;
{_JOURNAL.strip()}
;
INSERT INTO journal VALUES (lower(hex(randomblob(16))), 0)
;
{_RESTORED.strip()}
;
-- A log for humans. Without addresses, so that a subscriber can be removed completely.
CREATE TABLE event (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, issue_id TEXT, subscriber_id INTEGER,
  detail TEXT NOT NULL)
;
CREATE TRIGGER event_stays BEFORE UPDATE ON event
  BEGIN SELECT RAISE (ABORT, 'events are only added'); END
;
CREATE TRIGGER event_kept BEFORE DELETE ON event
  BEGIN SELECT RAISE (ABORT, 'events are only added'); END
"""


class DigestDatabase(SqliteDatabase):
    """An open ``digest.db``, created when it is first used.

    One connection, which the threads of a process share under a lock.

    Raises:
        StoreError: The file is damaged, another program's, newer than this program, or cannot be written.
    """

    KIND = "digest"
    APPLICATION_ID = APPLICATION_ID
    VERSION = 5
    SCHEMA = _SCHEMA
    MIGRATIONS: ClassVar[dict[int, str]] = {
        1: f"""
ALTER TABLE delivery RENAME TO delivery_of_version_1
;
DROP INDEX delivery_state
;
{_DELIVERY.strip()}
;
INSERT INTO delivery SELECT * FROM delivery_of_version_1
;
DROP TABLE delivery_of_version_1
""",
        # The new table continues the sequence, so that the id in an old link belongs to nobody else.
        2: f"""
ALTER TABLE subscriber RENAME TO subscriber_of_version_2
;
{_SUBSCRIBER.strip()}
;
INSERT INTO subscriber SELECT * FROM subscriber_of_version_2
;
DELETE FROM sqlite_sequence WHERE name = 'subscriber'
;
INSERT INTO sqlite_sequence SELECT 'subscriber', seq FROM sqlite_sequence
  WHERE name = 'subscriber_of_version_2'
;
DROP TABLE subscriber_of_version_2
""",
        3: _WEBHOOK.strip(),
        # This is not 0, because the journal does not contain the existing rows.
        4: f"""
{_JOURNAL.strip()}
;
INSERT INTO journal VALUES (lower(hex(randomblob(16))), 1)
;
{_RESTORED.strip()}
""",
    }
    PRAGMAS = ("synchronous = FULL", "foreign_keys = ON")
    FOREIGN = "not a paperagent digest; move it away, or change PAPERAGENT_HOME"
    DAMAGED = "run 'paperagent doctor --repair' to restore it from its backups"
    OTHERWISE = "it cannot be used; see --debug"

    def __init__(self, path: Path, *, journaled: bool = True) -> None:
        self.journal = Journal(path.parent / BACKUP_FOLDER, path.stem)
        self._journaled = journaled
        self._changes: list[str] = []
        self._is_durable = False
        self._sequence = 0
        self._identity = (0, 0)
        self.database_id = ""
        self.lacks_backup = False
        """Whether the journal lacks changes, so that a backup is needed."""
        super().__init__(path)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lock the connection for this thread and yield it for reading. A replaced file is opened again.

        Raises:
            StoreError: SQLite cannot read the file, the file is missing, or this process is a fork.
        """
        with self._lock:
            if os.getpid() == self._pid and not self._connection.in_transaction:
                self._reopen_if_replaced()
            with super().reading() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lock the connection for this thread, and commit a transaction if the block succeeds.

        The changes are written to the journal after the commit, before the ``with`` statement ends.
        """
        with self._lock:
            self._changes.clear()
            self._is_durable = False
            with super().writing() as connection:
                yield connection
            if self._changes:
                with self._map_errors():
                    self.journal.append(
                        self.database_id, self._sequence, self._changes, durable=self._is_durable
                    )

    def sequence(self) -> int:
        """Return the number of the last transaction, which the journal must contain."""
        with self.reading() as connection:
            return int(connection.execute("SELECT sequence FROM journal").fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        self._expected = self._expected_position() if self._journaled else None
        if self._expected is not None and not _has_content(self.path):
            raise DamagedFileError(f"{self.description}: missing; {restore_advice(self.journal.folder)}")
        return super()._connect()

    def _expected_position(self) -> Position | None:
        """Return the end of the journal, or of the last backup if the journal after it does not begin."""
        position, backups = self.journal.position(), self.journal.numbers("db")
        if position is not None and backups and self.journal.header(backups[-1]) is None:
            self.lacks_backup = True
            with (
                suppress(sqlite3.Error, OSError),
                closing(connect(self.journal.path(backups[-1], "db"), mode="ro&immutable=1")) as backup,
            ):
                database_id, sequence = backup.execute("SELECT id, sequence FROM journal").fetchone()
                if position.database_id in {None, database_id} and sequence > position.sequence:
                    return Position(str(database_id), int(sequence))
        return position

    def _prepare(self) -> None:
        super()._prepare()
        execute = self._connection.execute
        self.database_id, sequence = execute("SELECT id, sequence FROM journal").fetchone()
        status = self.path.stat()
        self._identity = (status.st_dev, status.st_ino)
        if not self._journaled:
            return
        expected = self._expected
        if expected is not None and expected.database_id not in {None, self.database_id}:
            raise DamagedFileError(
                f"{self.description}: not the file that the journal belongs to; "
                f"{restore_advice(self.journal.folder)}"
            )
        if expected is not None and expected.sequence > sequence:
            raise DamagedFileError(
                f"{self.description}: damaged or an old copy: lacks "
                f"{counted(expected.sequence - sequence, 'change')}; {restore_advice(self.journal.folder)}"
            )
        self.lacks_backup |= sequence > (expected.sequence if expected else 0)
        record_changes(self._connection, JOURNALED, self._record)

    def _record(self, operation: str, table: str, row: str) -> None:
        self._changes.append(f'["{operation}", "{table}", {row}]')
        self._is_durable |= table in _DURABLE_TABLES or '"state":"in_data"' in row

    def _before_commit(self, connection: sqlite3.Connection) -> None:
        if self._changes:
            connection.execute("UPDATE journal SET sequence = sequence + 1")
            (self._sequence,) = connection.execute("SELECT sequence FROM journal").fetchone()

    def _reopen_if_replaced(self) -> None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            raise DamagedFileError(
                f"{self.description}: missing; {restore_advice(self.journal.folder)}"
            ) from None
        if self._identity != (status.st_dev, status.st_ino):
            with self._map_errors():
                self._connection.close()
                self._connection = self._connect()
                self._prepare()

    def _on_empty_file(self) -> None:
        self.path.chmod(0o600)  # it holds email addresses
        super()._on_empty_file()

    def _after_migration(self, connection: sqlite3.Connection, version: int) -> None:
        if version == 1:  # it called messages that were only written to a file sent
            written = "state = 'sent' AND code = 250 AND reply LIKE 'written to %.eml'"
            connection.execute(f"UPDATE delivery SET state = 'exported' WHERE {written}")
            files = {f"written to {path.name}" for path in (self.path.parent / OUTBOX_FOLDER).glob("*.eml")}
            connection.executemany(
                "UPDATE delivery SET state = 'written' WHERE state = 'exported' AND reply = ?",
                [(reply,) for reply in files],
            )


def restore_advice(backups: Path) -> str:
    """Return advice on a file that is missing or outdated."""
    return (
        f"run 'paperagent doctor --repair' to restore it, or move {display_path(backups)} away to continue "
        "without the missing changes"
    )


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextmanager
def run_lock(home: Path) -> Iterator[None]:
    """Hold the digest's lock for the block, so that one process at a time builds and sends.

    Raises:
        StoreLockedError: Another process holds it.
    """
    with ProcessLock(home / LOCK_NAME) as lock:
        if not lock.acquire():
            holder = lock.holder()
            process = holder or "another process"
            raise StoreLockedError(
                f"digest is locked: {process} is building or sending it; wait for it to end",
                pid=holder.pid if holder else None,
            )
        lock.write_note()
        yield


def format_timestamp(moment: dt.datetime) -> str:
    """Return a time as it is stored: in UTC, to the second, sortable as text."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> dt.datetime:
    """Return the time that `format_timestamp` wrote."""
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)


def utc_now() -> dt.datetime:
    """Return the current time in UTC."""
    return dt.datetime.now(dt.UTC)


def record_event(
    connection: sqlite3.Connection,
    kind: str,
    at: dt.datetime,
    *,
    issue: str | None = None,
    subscriber: int | None = None,
    detail: str = "",
) -> None:
    """Append an event, in the transaction of the change that it describes."""
    connection.execute(
        "INSERT INTO event (at, kind, issue_id, subscriber_id, detail) VALUES (?, ?, ?, ?, ?)",
        (format_timestamp(at), kind, issue, subscriber, detail),
    )
