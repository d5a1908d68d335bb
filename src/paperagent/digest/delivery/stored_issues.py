"""The issues of the ledger: each is stored once, and never changes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from paperagent.digest.database import DigestDatabase, format_timestamp, parse_timestamp
from paperagent.digest.issue import Period
from paperagent.errors import visible
from paperagent.storage.sqlite import DamagedFileError

ISSUE_COLUMNS = (
    "id, period, subscriber_id, subject, preheader, html, txt, content_hash, papers, facts, frozen_at"
)


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue to be stored."""

    period: Period
    subscriber_id: int | None
    """None for the general issue, which is stored but never sent."""
    subject: str
    preheader: str
    html: str
    text: str
    papers: tuple[str, ...] = ()
    """Ids of the papers in the issue and of their near-duplicates."""
    message_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For ``digest list``: papers screened, mode, model, notes."""

    @property
    def issue_id(self) -> str:
        """The id of the issue."""
        return self.id_for(self.period.name, self.subscriber_id)

    @staticmethod
    def id_for(period: str, subscriber_id: int | None) -> str:
        """Return the unique id of a subscriber's issue, so that it can be stored only once."""
        return f"{period}/{subscriber_id or 0}"


@dataclass(frozen=True, slots=True)
class StoredIssue:
    """An issue as it was stored."""

    issue_id: str
    period: str
    subscriber_id: int | None
    subject: str
    preheader: str
    html: str
    text: str
    content_hash: str
    papers: tuple[str, ...]
    facts: Mapping[str, Any]
    stored_at: dt.datetime


def insert_issue(db: sqlite3.Connection, issue: NewIssue, at: dt.datetime) -> bool:
    """Store an issue; return False if it was stored before."""
    content_hash = hashlib.sha256(f"{issue.subject}\0{issue.html}\0{issue.text}".encode()).hexdigest()
    inserted = db.execute(
        "INSERT OR IGNORE INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            issue.issue_id,
            issue.period.name,
            issue.period.since.isoformat(),
            issue.period.until.isoformat(),
            issue.subscriber_id,
            issue.subject,
            issue.preheader,
            _compress(issue.html),
            _compress(issue.text),
            content_hash,
            json.dumps(issue.papers),
            json.dumps(dict(issue.facts)),
            format_timestamp(at),
        ),
    )
    return bool(inserted.rowcount)


def _compress(text: str) -> bytes:
    return zlib.compress(text.encode(), 6)


def _decompress(blob: bytes) -> str:
    return zlib.decompress(blob).decode() if blob else ""  # empty after a restore that lost the text


def stored_issue(row: tuple[Any, ...]) -> StoredIssue:
    """Return the issue in a row of `ISSUE_COLUMNS`.

    Raises:
        DamagedFileError: The row cannot be read.
    """
    issue_id, period, subscriber_id, subject, preheader, html, text, content_hash, papers, facts, at = row
    try:
        return StoredIssue(
            issue_id=issue_id,
            period=period,
            subscriber_id=subscriber_id,
            subject=subject,
            preheader=preheader,
            html=_decompress(html),
            text=_decompress(text),
            content_hash=content_hash,
            papers=tuple(json.loads(papers)),
            facts=json.loads(facts),
            stored_at=parse_timestamp(at),
        )
    except (ValueError, TypeError, zlib.error) as error:
        raise DamagedFileError(
            f"digest: issue {visible(str(issue_id))}: damaged; {DigestDatabase.DAMAGED}"
        ) from error


def damaged_issues(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield the id of each issue whose text differs from its checksum or cannot be read, and the reason."""
    rows = db.execute("SELECT id, subject, html, txt, content_hash, papers, facts FROM issue").fetchall()
    for issue_id, subject, html, text, content_hash, papers, facts in rows:
        try:
            json.loads(papers)
            json.loads(facts)
            content = f"{subject}\0{_decompress(html)}\0{_decompress(text)}"
        except (ValueError, TypeError, zlib.error) as error:
            yield issue_id, str(error)
            continue
        # Without HTML, the text was lost in a restore.
        if html and hashlib.sha256(content.encode()).hexdigest() != content_hash:
            yield issue_id, f"{issue_id} differs from its checksum"
