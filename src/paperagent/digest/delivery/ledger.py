"""What was written for whom, and what became of each message.

::

    planned → claimed → in_data → sent | deferred (4xx) | failed (5xx) | unknown
                 └─→ skipped (unsubscribed)

Content is frozen with its plan in one transaction, so that a rerun never writes it anew. Each
step is committed before the next word is said to the mail server. After a crash ``claimed`` has
told the server nothing and goes back to ``planned``; ``in_data`` may or may not have been
accepted and becomes ``unknown``, which only a person sends again.

What the ledger keeps, as values.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from paperagent.digest.database import DigestDatabase, format_timestamp, parse_timestamp, record_event
from paperagent.digest.issue import Period
from paperagent.digest.subscribers import is_suppressed
from paperagent.errors import InputError, visible

_MAX_REPLY_LENGTH = 300
_ISSUE_COLUMNS = (
    "id, period, subscriber_id, subject, preheader, html, txt, content_hash, papers, facts, frozen_at"
)
_SELECT_DELIVERIES = """
  SELECT d.issue_id, d.subscriber_id, coalesce(s.email, ''), d.message_id, d.state, d.attempts,
         i.frozen_at, d.code, d.reply, d.next_at
  FROM delivery d JOIN issue i ON i.id = d.issue_id LEFT JOIN subscriber s ON s.id = d.subscriber_id
"""


DeliveryState = Literal["planned", "claimed", "in_data", "sent", "deferred", "failed", "skipped", "unknown"]
DELIVERY_STATES: tuple[DeliveryState, ...] = (
    "planned", "claimed", "in_data", "sent", "deferred", "failed", "skipped", "unknown",
)  # fmt: skip
MAX_ISSUE_AGE = dt.timedelta(days=3)
"""An issue frozen longer ago is sent only when forced: old news is worse than none."""


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue ready to be frozen."""

    period: Period
    subscriber_id: int | None
    """None: for nobody in particular; it is kept but never sent."""
    subject: str
    preheader: str
    html: str
    text: str
    papers: tuple[str, ...] = ()
    """Ids of what it shows, near-duplicates that were merged included."""
    message_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What `digest list` tells: papers screened, mode, cost, notes."""

    @property
    def issue_id(self) -> str:
        """The same for the same period and reader, so that it can be frozen only once."""
        return f"{self.period.name}/{self.subscriber_id or 0}"


@dataclass(frozen=True, slots=True)
class StoredIssue:
    """An issue as it was frozen."""

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


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """One message to one reader, as the ledger knows it."""

    issue_id: str
    subscriber_id: int
    email: str
    message_id: str
    state: DeliveryState
    attempts: int
    stored_at: dt.datetime
    code: int | None = None
    reply: str | None = None
    next_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What became of an attempt."""

    state: DeliveryState
    code: int | None = None
    reply: str = ""
    next_at: dt.datetime | None = None
    bounced: bool = False
    """Whether the mailbox does not exist: its reader is not written to again."""


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """One period's issues and messages, counted."""

    period: str
    stored_at: dt.datetime
    issues: int
    states: Mapping[DeliveryState, int]


class Ledger:
    """The issues and deliveries of one digest."""

    def __init__(self, database: DigestDatabase) -> None:
        self._db = database

    # --- freezing ---

    def store_issues(self, drafts: Iterable[NewIssue], at: dt.datetime) -> int:
        """Keep issues, plan their messages and mark their papers as shown, all or nothing.

        An issue that was frozen before stays as it is. Return how many are new.
        """
        with self._db.writing() as db:
            return sum(_store_issue(db, draft, at) for draft in drafts)

    def stored_for(self, period: str) -> frozenset[int]:
        """Return the numbers of the readers whose issue of a period is frozen; 0 is nobody in particular."""
        with self._db.reading() as db:
            rows = db.execute("SELECT coalesce(subscriber_id, 0) FROM issue WHERE period = ?", (period,))
            return frozenset(int(row[0]) for row in rows)

    def issue(self, issue_id: str) -> StoredIssue:
        """Return a frozen issue.

        Raises:
            InputError: there is none of this id.
        """
        with self._db.reading() as db:
            row = db.execute(f"SELECT {_ISSUE_COLUMNS} FROM issue WHERE id = ?", (issue_id,)).fetchone()
        if row is None:
            raise InputError(f"issue {visible(issue_id, limit=60)}: there is none; 'digest list' shows them")
        return _stored_issue(row)

    def general_issues(self) -> list[StoredIssue]:
        """Return the issues for nobody in particular, oldest period first: what may be published."""
        with self._db.reading() as db:
            rows = db.execute(
                f"SELECT {_ISSUE_COLUMNS} FROM issue WHERE subscriber_id IS NULL ORDER BY since, until, id"
            ).fetchall()
        return [_stored_issue(row) for row in rows]

    # --- sending ---

    def recover(self, at: dt.datetime) -> int:
        """Settle what a crash left, see above; return how many messages are unknown by it.

        A message that was unknown before it was claimed stays unknown.
        """
        lost = "the run ended while the server was taking it; it may have arrived"
        with self._db.writing() as db:
            rows = db.execute(
                "SELECT issue_id, subscriber_id FROM delivery "
                "WHERE state = 'in_data' OR (state = 'claimed' AND before = 'unknown')"
            ).fetchall()
            for where in rows:
                record_event(
                    db, "unknown", at, issue=where[0], subscriber=where[1], detail="found after a crash"
                )
                db.execute(
                    "UPDATE delivery SET state = 'unknown', reply = ?, updated_at = ? "
                    "WHERE issue_id = ? AND subscriber_id = ?",
                    (lost, format_timestamp(at), *where),
                )
            db.execute(
                "UPDATE delivery SET state = 'planned', attempts = attempts - 1, updated_at = ? "
                "WHERE state = 'claimed'",
                (format_timestamp(at),),
            )
            return len(rows)

    def due(
        self, at: dt.datetime, *, period: str | None = None, key: str | None = None, unknown: bool = False
    ) -> list[PendingDelivery]:
        """Return what may be sent now, old issues included, in the order in which it was planned.

        ``key`` is one reader's address (`Address.key`); ``unknown`` adds what may have arrived already.
        """
        states = "d.state = 'planned' OR (d.state = 'deferred' AND coalesce(d.next_at, '') <= :at)"
        if unknown:
            states += " OR d.state = 'unknown'"
        return self._select(f"({states})", at=format_timestamp(at), period=period, key=key)

    def deliveries(
        self, *, period: str | None = None, states: Iterable[DeliveryState] = DELIVERY_STATES
    ) -> list[PendingDelivery]:
        """Return messages by what became of them."""
        chosen = tuple(states)
        marks = ", ".join(f"'{s}'" for s in DELIVERY_STATES if s in chosen)
        return self._select(f"d.state IN ({marks})", period=period)

    def _select(
        self, where: str, *, at: str = "", period: str | None = None, key: str | None = None
    ) -> list[PendingDelivery]:
        limits = "(:period IS NULL OR i.period = :period) AND (:key IS NULL OR s.key = :key)"
        with self._db.reading() as db:
            rows = db.execute(
                f"{_SELECT_DELIVERIES} WHERE {where} AND {limits} "
                "ORDER BY i.frozen_at, i.period, d.subscriber_id",
                {"at": at, "period": period, "key": key},
            ).fetchall()
        return [_pending_delivery(row) for row in rows]

    def claim(self, due: PendingDelivery, at: dt.datetime) -> DeliveryState | None:
        """Take a message for sending: ``claimed``, or ``skipped`` where its reader wants none any more.

        None where its state is no longer what ``due`` says.
        """
        with self._db.writing() as db:
            return _claim(db, due, at)

    def is_wanted(self, due: PendingDelivery) -> bool:
        """Tell whether the reader of a message still wants it."""
        with self._db.reading() as db:
            return _still_wanted(db, due)

    def release(self, due: PendingDelivery, at: dt.datetime) -> None:
        """Give back a claim of a message that the server was certainly not given."""
        with self._db.writing() as db:
            db.execute(
                "UPDATE delivery SET state = ?, attempts = ?, updated_at = ? "
                "WHERE issue_id = ? AND subscriber_id = ? AND state IN ('claimed', 'in_data')",
                (due.state, due.attempts, format_timestamp(at), due.issue_id, due.subscriber_id),
            )

    def enter_data(self, due: PendingDelivery, message: bytes, at: dt.datetime) -> None:
        """Note that the server is about to be given the message; from here on it may arrive."""
        with self._db.writing() as db:
            db.execute(
                "UPDATE delivery SET state = 'in_data', message_hash = ?, updated_at = ? "
                "WHERE issue_id = ? AND subscriber_id = ? AND state = 'claimed'",
                (hashlib.sha256(message).hexdigest(), format_timestamp(at), due.issue_id, due.subscriber_id),
            )

    def finish(
        self,
        due: PendingDelivery,
        outcome: DeliveryOutcome,
        at: dt.datetime,
        *,
        then: PendingDelivery | None = None,
    ) -> DeliveryState | None:
        """Note what became of a message that was claimed, and claim the one to be sent ``then``.

        One commit for both, because on most disks commits are what sending waits for. Return what
        `claim` returns, None without a next message.
        """
        reply = visible(outcome.reply, limit=_MAX_REPLY_LENGTH)
        where = (due.issue_id, due.subscriber_id)
        with self._db.writing() as db:
            db.execute(
                "UPDATE delivery SET state = ?, code = ?, reply = ?, next_at = ?, updated_at = ? "
                "WHERE issue_id = ? AND subscriber_id = ?",
                (
                    outcome.state,
                    outcome.code,
                    reply,
                    format_timestamp(outcome.next_at) if outcome.next_at else None,
                    format_timestamp(at),
                    *where,
                ),
            )
            if outcome.state == "failed":  # they never saw it: its papers may come again
                db.execute("DELETE FROM shown WHERE issue_id = ? AND subscriber_id = ?", where)
            if outcome.bounced:
                db.execute("UPDATE subscriber SET state = 'bounced' WHERE id = ?", (due.subscriber_id,))
            detail = f"{outcome.code or ''} {reply}".strip()
            record_event(
                db, outcome.state, at, issue=due.issue_id, subscriber=due.subscriber_id, detail=detail
            )
            return _claim(db, then, at) if then else None

    # --- telling ---

    def period_summaries(self) -> list[PeriodSummary]:
        """Return what was built and sent, newest period last."""
        with self._db.reading() as db:
            periods = db.execute(
                "SELECT period, min(frozen_at), count(*) FROM issue "
                "GROUP BY period ORDER BY min(since), period"
            ).fetchall()
            states = db.execute(
                "SELECT i.period, d.state, count(*) FROM delivery d "
                "JOIN issue i ON i.id = d.issue_id GROUP BY 1, 2"
            ).fetchall()
        return [
            PeriodSummary(
                period,
                parse_timestamp(at),
                issues,
                {
                    state: sum(n for p, s, n in states if (p, s) == (period, state))
                    for state in DELIVERY_STATES
                },
            )
            for period, at, issues in periods
        ]


def _store_issue(db: sqlite3.Connection, draft: NewIssue, at: dt.datetime) -> int:
    content = hashlib.sha256(f"{draft.subject}\0{draft.html}\0{draft.text}".encode()).hexdigest()
    done = db.execute(
        "INSERT OR IGNORE INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            draft.issue_id,
            draft.period.name,
            draft.period.since.isoformat(),
            draft.period.until.isoformat(),
            draft.subscriber_id,
            draft.subject,
            draft.preheader,
            _compress(draft.html),
            _compress(draft.text),
            content,
            json.dumps(draft.papers),
            json.dumps(dict(draft.facts)),
            format_timestamp(at),
        ),
    )
    if done.rowcount and draft.subscriber_id is not None:
        _plan(db, draft, draft.subscriber_id, at)
    return done.rowcount


def _plan(db: sqlite3.Connection, draft: NewIssue, subscriber_id: int, at: dt.datetime) -> None:
    assert draft.message_id, "an issue for a reader is sent under an id"
    db.execute(
        "INSERT INTO delivery (issue_id, subscriber_id, message_id, state, updated_at) "
        "VALUES (?, ?, ?, 'planned', ?)",
        (draft.issue_id, subscriber_id, draft.message_id, format_timestamp(at)),
    )
    db.executemany(
        "INSERT OR IGNORE INTO shown VALUES (?, ?, ?)",
        [(subscriber_id, paper, draft.issue_id) for paper in draft.papers],
    )
    record_event(db, "planned", at, issue=draft.issue_id, subscriber=subscriber_id)


def _claim(db: sqlite3.Connection, due: PendingDelivery, at: dt.datetime) -> DeliveryState | None:
    wanted = _still_wanted(db, due)
    state: DeliveryState = "claimed" if wanted else "skipped"
    done = db.execute(
        "UPDATE delivery SET before = state, state = ?, attempts = attempts + ?, updated_at = ? "
        "WHERE issue_id = ? AND subscriber_id = ? AND state = ?",
        (state, int(wanted), format_timestamp(at), due.issue_id, due.subscriber_id, due.state),
    )
    if not done.rowcount:
        return None
    if not wanted:
        record_event(db, state, at, issue=due.issue_id, subscriber=due.subscriber_id)
    return state


def _still_wanted(db: sqlite3.Connection, due: PendingDelivery) -> bool:
    row = db.execute("SELECT key, state FROM subscriber WHERE id = ?", (due.subscriber_id,)).fetchone()
    return row is not None and row[1] == "confirmed" and not is_suppressed(db, row[0])


def _compress(text: str) -> bytes:
    return zlib.compress(text.encode(), 6)


def _decompress(blob: bytes) -> str:
    return zlib.decompress(blob).decode()


def _stored_issue(row: tuple[Any, ...]) -> StoredIssue:
    number, period, subscriber, subject, preheader, html, txt, content, papers, facts, at = row
    return StoredIssue(
        issue_id=number,
        period=period,
        subscriber_id=subscriber,
        subject=subject,
        preheader=preheader,
        html=_decompress(html),
        text=_decompress(txt),
        content_hash=content,
        papers=tuple(json.loads(papers)),
        facts=json.loads(facts),
        stored_at=parse_timestamp(at),
    )


def _pending_delivery(row: tuple[Any, ...]) -> PendingDelivery:
    issue, subscriber, email, message_id, state, attempts, frozen, code, reply, next_at = row
    return PendingDelivery(
        issue_id=issue,
        subscriber_id=subscriber,
        email=email,
        message_id=message_id,
        state=state,
        attempts=attempts,
        stored_at=parse_timestamp(frozen),
        code=code,
        reply=reply,
        next_at=parse_timestamp(next_at) if next_at else None,
    )
