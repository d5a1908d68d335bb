"""The digest's own SQLite file: who reads, what was written for whom, what was sent.

Apart from the library, which can be made again from its feeds: this cannot. WAL with
``synchronous=FULL``, so that what the mail server was told survives a power cut.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from paperagent.errors import StoreError, StoreLockedError, visible

FILE = "digest.db"
LOCK = "digest.lock"
APPLICATION_ID = 0x50414447
"""``PADG``: tells our file from any other SQLite file."""
VERSION = 1

_SCHEMA = """
-- key: the address in the one spelling by which mailboxes are compared (`addresses.Address`).
CREATE TABLE subscriber (
  id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'unsubscribed', 'bounced')),
  frequency TEXT NOT NULL CHECK (frequency IN ('weekly', 'daily')),
  profile TEXT NOT NULL, created_at TEXT NOT NULL, confirmed_at TEXT, asked_at TEXT)
;
-- Wins over everything; stays when the subscriber is gone.
CREATE TABLE suppression (key TEXT PRIMARY KEY, reason TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID
;
-- Frozen: a row is written once and never changed. No subscriber: for nobody in particular.
CREATE TABLE issue (
  id TEXT PRIMARY KEY, period TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
  subscriber_id INTEGER, subject TEXT NOT NULL, preheader TEXT NOT NULL, html BLOB NOT NULL,
  txt BLOB NOT NULL, content_hash TEXT NOT NULL, papers TEXT NOT NULL, facts TEXT NOT NULL,
  frozen_at TEXT NOT NULL, UNIQUE (period, subscriber_id))
;
-- before: the state from which it was claimed.
CREATE TABLE delivery (
  issue_id TEXT NOT NULL REFERENCES issue (id), subscriber_id INTEGER NOT NULL,
  message_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN
    ('planned', 'claimed', 'in_data', 'sent', 'deferred', 'failed', 'skipped', 'unknown')),
  before TEXT, attempts INTEGER NOT NULL DEFAULT 0, next_at TEXT, code INTEGER, reply TEXT, message_hash TEXT,
  updated_at TEXT NOT NULL, PRIMARY KEY (issue_id, subscriber_id)) WITHOUT ROWID
;
CREATE INDEX delivery_state ON delivery (state)
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
-- What happened, for a person who asks why. Holds no address, so that a reader can be forgotten.
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


class DigestDatabase:
    """An open ``digest.db``, made at the first use. One connection, shared by threads under a lock.

    Raises:
        StoreError: the file is damaged, another program's, newer than this program, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._storing():
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=20
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        run = self._connection.execute
        marker = run("PRAGMA application_id").fetchone()[0]
        if marker == 0 and not run("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._create()
        elif marker != APPLICATION_ID:
            raise StoreError(
                f"digest {self._shown}: not a paperagent digest; move it away, or change PAPERAGENT_HOME"
            )
        version = run("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(
                f"digest {self._shown}: of a newer paperagent (format {version}, not {VERSION}); upgrade it"
            )
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")

    def _create(self) -> None:
        run = self._connection.execute
        self.path.chmod(0o600)  # it holds addresses
        run("PRAGMA journal_mode = WAL")
        run("BEGIN IMMEDIATE")
        (tables,) = run("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:  # another process may have been faster
            for statement in _SCHEMA.split("\n;\n"):
                run(statement)
            run(f"PRAGMA application_id = {APPLICATION_ID}")
            run(f"PRAGMA user_version = {VERSION}")
        run("COMMIT")

    @property
    def _shown(self) -> str:
        return visible(str(self.path), limit=200)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, alone, for reading."""
        with self._lock, self._storing():
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection, alone, inside one transaction that commits with the block."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Turn what SQLite and the file system raise into one line; blocks do nothing else."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"digest {self._shown}: {_why(error)}") from error

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _why(error: Exception) -> str:
    text = str(error).lower()
    if "full" in text or "disk i/o" in text:
        return "the disk is full or failing; free some space and run the same command again"
    if "readonly" in text or "unable to open" in text or isinstance(error, OSError):
        return "it cannot be written; check the permissions of the library's folder"
    if "malformed" in text or "not a database" in text or "no such" in text:
        return "it is damaged; restore a backup, or move it away and add the subscribers again"
    return "it cannot be used; see --debug"


@contextmanager
def run_lock(home: Path) -> Iterator[None]:
    """Hold the digest's lock for the block: one process builds and sends.

    Raises:
        StoreLockedError: another process holds it.
    """
    handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(os.pread(handle, 64, 0)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _locked(raw: bytes) -> StoreLockedError:
    pid = int(raw) if raw.isdigit() and len(raw) < 11 else None
    who = f"process {pid}" if pid else "another process"
    return StoreLockedError(f"digest is locked: {who} is building or sending it; wait for it to end", pid=pid)


def format_timestamp(moment: dt.datetime) -> str:
    """Return a moment as it is kept: UTC, to the second, sortable as text."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> dt.datetime:
    """Return the moment that `format_timestamp` wrote."""
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)


def utc_now() -> dt.datetime:
    """Return the moment, UTC."""
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
    """Append an event, inside the transaction of what it tells."""
    connection.execute(
        "INSERT INTO event (at, kind, issue_id, subscriber_id, detail) VALUES (?, ?, ?, ?, ?)",
        (format_timestamp(at), kind, issue, subscriber, detail),
    )
