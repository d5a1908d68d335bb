"""Check and repair ``digest.db`` and its backups, for ``paperagent doctor``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from paperagent.digest.backups import Backups
from paperagent.digest.database import (
    BACKUP_FOLDER,
    FILE_NAME,
    JOURNALED,
    DigestDatabase,
    parse_timestamp,
    run_lock,
)
from paperagent.digest.delivery.message import parse_recipient
from paperagent.digest.delivery.stored_issues import damaged_issues
from paperagent.digest.preferences import Preferences
from paperagent.digest.restore import expected_state, restore
from paperagent.errors import InputError, StoreError, visible
from paperagent.layout import counted
from paperagent.storage.journal import Journal, journaled_columns
from paperagent.storage.sqlite import DamagedFileError, connect

DATABASE_CHECK, BACKUP_CHECK = "digest", "digest backups"
RESTORE = "run 'paperagent doctor --repair' to restore it from its backups"
NEW_BACKUP = "run 'paperagent doctor --repair' to make a new backup"
_TIMES = {
    "subscriber": ("created_at", "confirmed_at", "asked_at"),
    "suppression": ("at",),
    "feedback": ("at",),
    "issue": ("frozen_at",),
    "delivery": ("next_at", "updated_at"),
}


class Check(NamedTuple):
    """The result of one check, with the fields of `paperagent.library.protocol.Check`."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def check_digest(home: Path, *, repair: bool = False) -> tuple[Check, ...]:
    """Check ``digest.db`` and its backups; with ``repair``, restore the file or make a new backup.

    Args:
        home: The library's folder.
        repair: Whether to repair a file that fails its check.
    """
    checks = _checks(home)
    failed = [check for check in checks if not check.ok]
    if not repair or not failed:
        return checks
    note = ""
    try:
        if failed[0].name == BACKUP_CHECK:
            _renew_backups(home)
        elif failed[0].fix == RESTORE:
            note = restore(home).describe()
        else:  # not damaged: a system limit was reached, or a newer version wrote the file
            return checks
    except StoreError as error:
        return (_failure(failed[0].name, error), *(check for check in checks if check.name != failed[0].name))
    checks = _checks(home)
    if note and checks[0].ok:
        return (Check(DATABASE_CHECK, True, f"{note}; {checks[0].detail}"), *checks[1:])
    return checks


def _checks(home: Path) -> tuple[Check, ...]:
    path, journal = home / FILE_NAME, Journal(home / BACKUP_FOLDER, Path(FILE_NAME).stem)
    if not path.exists() and journal.position() is None:
        return (Check(DATABASE_CHECK, True, "none yet"),)
    try:
        with DigestDatabase(path) as database:
            damage = database.find_damage() or _damaged_row(database)
            if damage:
                return (Check(DATABASE_CHECK, False, f"damaged: {damage}", RESTORE),)
            return _compare_with_backups(database, journal)
    except DamagedFileError as error:
        what = str(error).rpartition("; ")[0]
        return (Check(DATABASE_CHECK, False, what, RESTORE),)
    except StoreError as error:
        return (_failure(DATABASE_CHECK, error),)


def _failure(name: str, error: StoreError) -> Check:
    what, _, fix = str(error).rpartition("; ")
    return Check(name, False, what or str(error), fix)


def _damaged_row(database: DigestDatabase) -> str:
    """Describe the first row that the program cannot read; empty if it can read all."""
    with database.reading() as connection:
        for check in (_check_times, _check_subscribers, _check_issues):
            try:
                check(connection)
            except (ValueError, TypeError, KeyError, InputError) as error:
                return visible(f"{check.__name__.removeprefix('_check_')}: {error}", limit=200)
    return ""


def _check_times(connection: sqlite3.Connection) -> None:
    for table, columns in _TIMES.items():
        for column in columns:
            query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"
            for (text,) in connection.execute(query):
                parse_timestamp(text)


def _check_subscribers(connection: sqlite3.Connection) -> None:
    for email, key, profile in connection.execute("SELECT email, key, profile FROM subscriber"):
        if parse_recipient(email).key != key:
            raise ValueError(f"the key of {email} does not match")
        Preferences.from_json(profile)


def _check_issues(connection: sqlite3.Connection) -> None:
    for _, reason in damaged_issues(connection):
        raise ValueError(reason)


def _compare_with_backups(database: DigestDatabase, journal: Journal) -> tuple[Check, ...]:
    """Compare the file with the newest good backup and the changes since then."""
    sequence, content, backups = database.sequence(), journal.read(), Backups(journal)
    good, problems = [], []
    for number in journal.numbers("db"):
        try:
            good.append(backups.check(number, str(content.headers.get(number, {}).get("sha256", ""))))
        except StoreError as error:
            problems.append(str(error).partition(": ")[2].rpartition("; ")[0] + f" (backup {number})")
    newest = max((b for b in good if b.sequence <= sequence), key=lambda b: b.number, default=None)
    missing = content.missing_after(newest.sequence if newest else 0, sequence)
    if missing:
        problems.append(f"the journal lacks {counted(missing, 'change')} since the last good backup")
    damaged = sum(n for number, n in content.damaged.items() if newest is None or number >= newest.number)
    if damaged:
        problems.append(f"the journal has {counted(damaged, 'damaged line')}")
    differences = ""
    if newest is not None and not missing:
        with TemporaryDirectory() as folder:
            expected = Path(folder) / FILE_NAME
            expected_state(newest, content, expected, until=sequence)
            differences = _differences(database.path, expected, sequence)
    summary = _summary(database)
    if differences:
        return (Check(DATABASE_CHECK, False, f"damaged: {differences}", RESTORE),)
    check = Check(DATABASE_CHECK, True, summary)
    if problems:
        return check, Check(BACKUP_CHECK, False, "; ".join(problems), NEW_BACKUP)
    since = sequence - (newest.sequence if newest else 0)
    latest = f", the last at {newest.at:%Y-%m-%d %H:%M} UTC" if newest else ""
    name = f"{counted(len(good), 'backup')}{latest}"
    return check, Check(BACKUP_CHECK, True, f"{name}; {counted(since, 'later change')} in the journal")


def _summary(database: DigestDatabase) -> str:
    with database.reading() as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("subscriber", "suppression", "issue", "delivery")
        ]
    subscribers, suppressed, issues, messages = counts
    return (
        f"intact: {counted(subscribers, 'subscriber')}, {counted(suppressed, 'suppression')}, "
        f"{counted(issues, 'issue')}, {counted(messages, 'message')}"
    )


def _differences(path: Path, expected: Path, sequence: int) -> str:
    """Describe how many rows differ; empty if all match or another process has changed the file."""
    with closing(connect(path, mode="rw")) as connection:
        connection.execute("ATTACH ? AS expected", (str(expected),))
        connection.execute("BEGIN")
        if connection.execute("SELECT sequence FROM main.journal").fetchone()[0] != sequence:
            return ""
        rows = 0
        for table in JOURNALED:
            columns = ", ".join(journaled_columns(connection, table))
            condition = " WHERE state != 'claimed'" if table == "delivery" else ""
            rows += _differing_rows(connection, f"SELECT {columns} FROM {{}}.{table}{condition}")
        rows += _differing_rows(connection, "SELECT * FROM {}.restored")
        rows += _differing_rows(
            connection, "SELECT max(seq) FROM {}.sqlite_sequence WHERE name = 'subscriber'"
        )
    return f"{counted(rows, 'row')} different from the backup and the journal" if rows else ""


def _differing_rows(connection: sqlite3.Connection, query: str) -> int:
    ours, theirs = query.format("main"), query.format("expected")
    counts: list[int] = [
        connection.execute(f"SELECT count(*) FROM ({first} EXCEPT {second})").fetchone()[0]
        for first, second in ((ours, theirs), (theirs, ours))
    ]
    return max(counts)


def _renew_backups(home: Path) -> None:
    """Delete the damaged backups and make a new one."""
    journal = Journal(home / BACKUP_FOLDER, Path(FILE_NAME).stem)
    backups = Backups(journal)
    headers = journal.read().headers
    with run_lock(home), DigestDatabase(home / FILE_NAME) as database:
        for number in journal.numbers("db"):
            try:
                backups.check(number, str(headers.get(number, {}).get("sha256", "")))
            except StoreError:
                backups.delete(number)
        backups.make(database, force=True)
