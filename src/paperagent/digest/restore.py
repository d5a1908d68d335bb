"""Restore ``digest.db`` from the newest good backup and the journal of later changes.

A restore must not send an issue twice, or send one to an address that has unsubscribed. The journal contains
every message whose sending has started and every address that has unsubscribed. If transactions are missing,
every message that may have been sent becomes ``unknown``. This includes the messages of issues that are built
later for past days.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from paperagent.digest.backups import Backup, Backups
from paperagent.digest.database import (
    BACKUP_FOLDER,
    FILE_NAME,
    JOURNALED,
    SERVER_LOCK,
    DigestDatabase,
    format_timestamp,
    record_event,
    run_lock,
    utc_now,
)
from paperagent.digest.delivery.ledger import MAYBE_SENT_BEFORE
from paperagent.digest.delivery.stored_issues import damaged_issues
from paperagent.errors import StoreError, StoreLockedError, display_path
from paperagent.layout import counted
from paperagent.storage.journal import Journal, JournalContent, replay
from paperagent.storage.locks import ProcessLock
from paperagent.storage.private_files import flush_to_disk, open_private
from paperagent.storage.sqlite import connect, map_errors

DAMAGED_SUFFIX = ".damaged"
"""The suffix of the files that a restore replaces."""
_CONTENT_LOST = "text lost when digest.db was restored; the message may have arrived"
_FILES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore."""

    source: str
    """Where the restored rows come from: a backup, the damaged file itself, or an empty file."""
    replayed: int
    """Number of transactions that were replayed from the journal."""
    missing: int | None
    """Number of lost transactions; None if it is unknown."""
    lost_issues: int
    """Number of issues whose text is lost. Those that cannot have been sent are built again."""
    unknown: int
    """Number of messages that may have been sent."""

    def describe(self) -> str:
        """Return a sentence for the user."""
        text = f"restored from {self.source} and {counted(self.replayed, 'change')} in the journal"
        if self.lost_issues:
            text += f"; {counted(self.lost_issues, 'issue')} without text"
        if self.missing == 0:
            return f"{text}; nothing else is missing" if self.lost_issues else f"{text}; nothing is missing"
        lost = "an unknown number of changes" if self.missing is None else counted(self.missing, "change")
        return (
            f"{text}; lost: {lost}, which may include subscriptions and unsubscriptions; "
            f"{counted(self.unknown, 'message')} that may have been sent will not be sent again"
        )


def restore(home: Path) -> Restored:
    """Restore ``digest.db``, and keep the damaged file beside it.

    Raises:
        StoreError: No backup is good, and the journal does not go back to the first change.
        StoreLockedError: Another process is building or sending the digest, or serving the web page.
    """
    path = home / FILE_NAME
    with run_lock(home), _no_server(home), map_errors(f"digest {display_path(path)}"):
        journal = Journal(home / BACKUP_FOLDER, path.stem)
        content = journal.read()
        part = path.with_name(f"{FILE_NAME}.restored")
        try:
            source = _copy_base(Backups(journal), path, part, content)
            ids = {str(header["id"]) for header in content.headers.values()}
            last = _last_transaction(path, ids)
            with DigestDatabase(part, journaled=False) as copy:
                result = _bring_up_to_date(copy, content, source, at_least=last)
            _replace(path, part)
        finally:
            for suffix in _FILES:
                path.with_name(part.name + suffix).unlink(missing_ok=True)
        with DigestDatabase(path) as restored_database:
            # Even without later changes: the file differs from the backup by the note about the restore.
            Backups(journal).make(restored_database, force=True)
    return result


@contextmanager
def _no_server(home: Path) -> Iterator[None]:
    with ProcessLock(home / SERVER_LOCK) as lock:
        if not lock.acquire():
            raise StoreLockedError("digest: in use by 'paperagent serve'; stop it and run the command again")
        yield


def expected_state(backup: Backup, content: JournalContent, target: Path, *, until: int) -> None:
    """Write the expected content of the digest after transaction ``until`` to the new file ``target``."""
    shutil.copyfile(backup.path, target)
    with DigestDatabase(target, journaled=False) as copy, copy.writing() as db:
        _replay(db, content, after=backup.sequence, until=until)


def _replay(db: sqlite3.Connection, content: JournalContent, *, after: int, until: int) -> int:
    db.execute("PRAGMA defer_foreign_keys = ON")
    numbers = [n for n in sorted(content.transactions) if after < n <= until]
    for number in numbers:
        replay(db, content.transactions[number], JOURNALED, insert_only=("issue",))
    return len(numbers)


@dataclass(frozen=True, slots=True)
class _Base:
    name: str
    database_id: str
    sequence: int
    number: int = 0
    """The first segment of the journal that is needed; an older one may be damaged."""


def _copy_base(backups: Backups, path: Path, part: Path, content: JournalContent) -> _Base:
    """Copy the starting point of the restore to ``part``: a backup, the file itself, or an empty file."""
    ids = {str(header["id"]) for header in content.headers.values()}
    for backup in backups.newest_first():
        if ids and backup.database_id not in ids:
            continue
        _copy_private(backup.path, part)
        return _Base(
            f"the backup of {backup.at:%Y-%m-%d %H:%M} UTC",
            backup.database_id,
            backup.sequence,
            backup.number,
        )
    if not content.missing_after(0) and content.last and ids:
        with DigestDatabase(part, journaled=False) as empty, empty.writing() as db:
            db.execute("UPDATE journal SET id = ?", (min(ids),))
        return _Base("an empty file", min(ids), 0)
    with suppress(StoreError, OSError, sqlite3.Error), closing(connect(path, mode="rw")) as connection:
        if connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",):
            database_id, sequence = connection.execute("SELECT id, sequence FROM journal").fetchone()
            if not ids or database_id in ids:
                os.close(open_private(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
                connection.execute("VACUUM INTO ?", (str(part),))
                return _Base("the file itself", database_id, sequence)
    raise StoreError(
        f"digest {display_path(path)}: no backup is good; restore your own copy, or move the file and the "
        f"folder {BACKUP_FOLDER} away and add the subscribers again"
    )


def _copy_private(source: Path, target: Path) -> None:
    descriptor = open_private(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "wb") as file, source.open("rb") as original:
        shutil.copyfileobj(original, file)


def _last_transaction(path: Path, ids: set[str]) -> int:
    """Return the number of the last transaction in the current file, or 0 if it cannot be read."""
    with suppress(StoreError, OSError, sqlite3.Error), closing(connect(path, mode="rw")) as connection:
        database_id, sequence = connection.execute("SELECT id, sequence FROM journal").fetchone()
        if database_id in ids and isinstance(sequence, int):
            return sequence
    return 0


def _bring_up_to_date(
    copy: DigestDatabase, content: JournalContent, base: _Base, *, at_least: int
) -> Restored:
    at = utc_now()
    after = base.sequence
    last = max(after, content.last, at_least)
    missing = content.missing_after(after, last)
    damaged = any(number >= base.number for number in content.damaged)
    complete = missing == 0 and not damaged and base.number in content.headers
    with copy.writing() as db:
        replayed = _replay(db, content, after=after, until=last)
        if not complete:
            _add_missing_issues(db, at)
        _clear_damaged_issues(db)
        lost_issues = _resolve_lost_content(db)
        unknown = 0 if complete else _mark_unknown(db, at)
        db.execute("UPDATE journal SET sequence = ?", (last,))
        result = Restored(base.name, replayed, 0 if complete else missing or None, lost_issues, unknown)
        until = None if complete else (at + dt.timedelta(days=1)).date().isoformat()
        db.execute("INSERT INTO restored VALUES (?, ?, ?)", (format_timestamp(at), result.describe(), until))
        record_event(db, "restored", at, detail=result.describe())
        if db.execute("PRAGMA foreign_key_check").fetchone() or _damage(db):
            raise StoreError("digest: the restored file fails its check; restore your own copy")
    return result


def _damage(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",))


def _add_missing_issues(db: sqlite3.Connection, at: dt.datetime) -> None:
    """Add an empty issue for each message without one, so that the issue is not built and sent again."""
    rows = db.execute(
        "SELECT issue_id, subscriber_id FROM delivery WHERE issue_id NOT IN (SELECT id FROM issue)"
    ).fetchall()
    db.executemany(
        "INSERT INTO issue VALUES (?, ?, '', '', ?, '', '', x'', x'', '', '[]', '{}', ?)",
        [(i, i.rpartition("/")[0], subscriber, format_timestamp(at)) for i, subscriber in rows],
    )


def _clear_damaged_issues(db: sqlite3.Connection) -> None:
    """Delete the texts that cannot be read, if no backup has them."""
    db.executemany(
        "UPDATE issue SET html = x'', txt = x'', papers = '[]', facts = '{}' WHERE id = ?",
        [(issue_id,) for issue_id, _ in damaged_issues(db)],
    )


def _resolve_lost_content(db: sqlite3.Connection) -> int:
    """Delete the issues without text that cannot have been sent; return how many issues had no text."""
    lost = [str(row[0]) for row in db.execute("SELECT id FROM issue WHERE html = x''")]
    for issue_id in lost:
        row = db.execute("SELECT state FROM delivery WHERE issue_id = ?", (issue_id,)).fetchone()
        if row is None or row[0] in {"planned", "claimed", "deferred", "written", "skipped"}:
            for table, column in (("delivery", "issue_id"), ("shown", "issue_id"), ("issue", "id")):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (issue_id,))
        elif row[0] in {"in_data", "unknown"}:
            db.execute(
                "UPDATE delivery SET state = 'failed', reply = ? WHERE issue_id = ?",
                (_CONTENT_LOST, issue_id),
            )
    return len(lost)


def _mark_unknown(db: sqlite3.Connection, at: dt.datetime) -> int:
    updated = db.execute(
        "UPDATE delivery SET state = 'unknown', reply = ?, updated_at = ? "
        "WHERE state IN ('planned', 'claimed', 'in_data', 'deferred', 'written')",
        (MAYBE_SENT_BEFORE, format_timestamp(at)),
    )
    return updated.rowcount


def _replace(path: Path, part: Path) -> None:
    """Replace the file with the restored one, and keep the old file."""
    for suffix in _FILES[1:]:  # the copy was closed: everything is in the file itself
        path.with_name(part.name + suffix).unlink(missing_ok=True)
    flush_to_disk(part)
    for suffix in reversed(_FILES):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(path.with_name(f"{path.name}{DAMAGED_SUFFIX}{suffix}"))
    part.replace(path)
