"""The digest's SQLite file: subscribers, issues and deliveries.

It is separate from the library, because the library can be rebuilt from its feeds and this file cannot.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from paperagent.errors import StoreLockedError
from paperagent.storage.locks import ProcessLock
from paperagent.storage.sqlite import SqliteDatabase

FILE_NAME = "digest.db"
LOCK_NAME = "digest.lock"
OUTBOX_FOLDER = "outbox"
"""The folder for emails without a mail server, beside the file."""
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
    VERSION = 4
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
    }
    PRAGMAS = ("synchronous = FULL", "foreign_keys = ON")
    FOREIGN = "not a paperagent digest; move it away, or change PAPERAGENT_HOME"
    DAMAGED = "restore a backup, or move it away and add the subscribers again"
    OTHERWISE = "it cannot be used; see --debug"

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
