"""The ledger: every issue that was built, and the state of every message.

::

    planned → claimed → in_data → sent | deferred (4xx) | failed (5xx) | unknown
                 │                └─→ written (outbox, until there is a mail server) | exported (--outbox)
                 └─→ skipped (unsubscribed)

An issue and its delivery are stored in one transaction and never change, so a second run does not write
the issue again. Each step is committed before the next command is sent to the mail server. After a crash,
a ``claimed`` message was certainly not sent and becomes ``planned`` again. An ``in_data`` message may have
been accepted; it becomes ``unknown``, and is sent again only on request (``--resend-unknown``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from paperagent.digest.database import DigestDatabase, format_timestamp, parse_timestamp, record_event
from paperagent.digest.delivery.stored_issues import (
    ISSUE_COLUMNS,
    NewIssue,
    StoredIssue,
    insert_issue,
    stored_issue,
)
from paperagent.digest.subscribers import is_suppressed
from paperagent.errors import InputError, visible

DeliveryState = Literal[
    "planned", "claimed", "in_data", "written", "exported", "sent", "bounced", "deferred", "failed",
    "skipped", "unknown",
]  # fmt: skip
DELIVERY_STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)
BounceKind = Literal["bounced", "suspended", "ignored"]
"""``ignored``: the bounce was recorded before."""
_MAY_BOUNCE: frozenset[str] = frozenset({"sent", "exported", "unknown", "bounced"})
MAX_ISSUE_AGE = dt.timedelta(days=3)
"""Older issues are sent only if forced: old news is worse than none."""
MAX_RETRY_DELAY = dt.timedelta(days=1)  # the longest wait before another attempt
MAYBE_SENT_BEFORE = "may have been sent before digest.db was restored"
"""The reply of a message whose earlier state was lost."""
_MAX_REPLY_LENGTH = 300
_SELECT_BOUNCED = """
  SELECT d.issue_id, d.subscriber_id, d.state, s.key, s.email
  FROM delivery d JOIN subscriber s ON s.id = d.subscriber_id WHERE d.message_id = ?
"""
_SELECT_DELIVERIES = """
  SELECT d.issue_id, d.subscriber_id, coalesce(s.email, ''), d.message_id, d.state, d.attempts,
         i.frozen_at, d.code, d.reply, d.next_at
  FROM delivery d JOIN issue i ON i.id = d.issue_id LEFT JOIN subscriber s ON s.id = d.subscriber_id
"""


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A message to one subscriber, with its last known state."""

    issue_id: str
    subscriber_id: int
    email: str
    message_id: str
    state: DeliveryState
    attempts: int
    stored_at: dt.datetime
    """When its issue was stored."""
    code: int | None = None
    reply: str | None = None
    next_at: dt.datetime | None = None
    """When to try again."""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The result of an attempt to send a message."""

    state: DeliveryState
    code: int | None = None
    reply: str = ""
    next_at: dt.datetime | None = None
    bounced: bool = False
    """Whether the mailbox does not exist; then the subscriber is not mailed again."""
    concerns_recipient: bool = False
    """Whether the server rejected only this recipient, and so may accept others."""


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """The number of issues and messages of one period."""

    period: str
    stored_at: dt.datetime
    """When its first issue was stored."""
    issues: int
    states: Mapping[DeliveryState, int]


class Ledger:
    """The issues and deliveries in the digest's database."""

    def __init__(self, database: DigestDatabase) -> None:
        self._db = database

    # --- issues ---

    def store_issues(self, issues: Iterable[NewIssue], at: dt.datetime) -> int:
        """Store issues, plan their messages and mark their papers as seen, in one transaction.

        An issue that is already stored stays as it is.

        Returns:
            The number of issues that were not stored before.
        """
        with self._db.writing() as db:
            return sum(_store_issue(db, issue, at) for issue in issues)

    def stored_for(self, period: str) -> frozenset[int]:
        """Return the ids of the subscribers with an issue of a period; 0 stands for the general issue."""
        with self._db.reading() as db:
            rows = db.execute("SELECT coalesce(subscriber_id, 0) FROM issue WHERE period = ?", (period,))
            return frozenset(int(row[0]) for row in rows)

    def issue(self, issue_id: str) -> StoredIssue:
        """Return a stored issue.

        Raises:
            InputError: there is none with this id.
        """
        with self._db.reading() as db:
            row = db.execute(f"SELECT {ISSUE_COLUMNS} FROM issue WHERE id = ?", (issue_id,)).fetchone()
        if row is None:
            raise InputError(f"issue {visible(issue_id, limit=60)}: does not exist; see 'digest list'")
        return stored_issue(row)

    def general_issues(self) -> list[StoredIssue]:
        """Return the general issues, oldest period first; only these may be published."""
        with self._db.reading() as db:
            rows = db.execute(
                f"SELECT {ISSUE_COLUMNS} FROM issue WHERE subscriber_id IS NULL ORDER BY until, since, id"
            ).fetchall()
        return [stored_issue(row) for row in rows]

    # --- deliveries ---

    def recover(self, at: dt.datetime) -> int:
        """Resolve the states that a crash left behind; see the module's docstring.

        A message that was unknown before it was claimed stays unknown.

        Returns:
            The number of messages whose state is now unknown.
        """
        reply = "the run ended while the server was receiving it; it may have arrived"
        with self._db.writing() as db:
            keys = db.execute(
                "SELECT issue_id, subscriber_id FROM delivery "
                "WHERE state = 'in_data' OR (state = 'claimed' AND before = 'unknown')"
            ).fetchall()
            for key in keys:
                record_event(db, "unknown", at, issue=key[0], subscriber=key[1], detail="found after a crash")
                db.execute(
                    "UPDATE delivery SET state = 'unknown', reply = ?, updated_at = ? "
                    "WHERE issue_id = ? AND subscriber_id = ?",
                    (reply, format_timestamp(at), *key),
                )
            db.execute(
                "UPDATE delivery SET state = 'planned', attempts = attempts - 1, updated_at = ? "
                "WHERE state = 'claimed'",
                (format_timestamp(at),),
            )
            return len(keys)

    def due(
        self,
        at: dt.datetime,
        *,
        period: str | None = None,
        key: str | None = None,
        written: bool = False,
        unknown: bool = False,
        webhooks: bool | None = None,
    ) -> list[PendingDelivery]:
        """Return the deliveries that may be sent now, old issues included, in the order of planning.

        Args:
            at: The time.
            period: The name of a period, to return only its issues.
            key: A subscriber's address key (`MailAddress.key`), to return only that subscriber's.
            written: Whether to include messages that were only written to the outbox.
            unknown: Whether to include messages that may have arrived already.
            webhooks: Whether to return only messages to webhooks, or only emails; None for both.
        """
        after, latest = at + dt.timedelta(seconds=1), at + MAX_RETRY_DELAY  # a wrong clock set later times
        times = {"after": format_timestamp(after), "latest": format_timestamp(latest)}
        waits = "coalesce(d.next_at, '') BETWEEN :after AND :latest"
        states = f"d.state = 'planned' OR (d.state = 'deferred' AND NOT {waits})"
        if written:
            states += " OR d.state = 'written'"
        if unknown:
            states += " OR d.state = 'unknown'"
        where = f"({states}) AND (:webhooks IS NULL OR (coalesce(s.key, '') GLOB 'webhook:*') = :webhooks)"
        return self._select(where, period=period, key=key, webhooks=webhooks, **times)

    def deliveries(
        self, *, period: str | None = None, states: Iterable[DeliveryState] = DELIVERY_STATES
    ) -> list[PendingDelivery]:
        """Return the deliveries in the given states."""
        selected = tuple(states)
        names = ", ".join(f"'{s}'" for s in DELIVERY_STATES if s in selected)
        return self._select(f"d.state IN ({names})", period=period)

    def _select(
        self,
        where: str,
        *,
        period: str | None = None,
        key: str | None = None,
        webhooks: bool | None = None,
        **times: str,
    ) -> list[PendingDelivery]:
        filters = "(:period IS NULL OR i.period = :period) AND (:key IS NULL OR s.key = :key)"
        with self._db.reading() as db:
            rows = db.execute(
                f"{_SELECT_DELIVERIES} WHERE {where} AND {filters} "
                "ORDER BY i.frozen_at, i.period, d.subscriber_id",
                {"period": period, "key": key, "webhooks": webhooks, **times},
            ).fetchall()
        return [_pending_delivery(row) for row in rows]

    def claim(self, delivery: PendingDelivery, at: dt.datetime) -> DeliveryState | None:
        """Claim a message for sending.

        Returns:
            ``claimed``; ``skipped`` if the subscriber has opted out; None if the state is no longer the
            one in ``delivery``.
        """
        with self._db.writing() as db:
            return _claim(db, delivery, at)

    def is_wanted(self, delivery: PendingDelivery) -> bool:
        """Return whether the subscriber has not opted out."""
        with self._db.reading() as db:
            return _is_wanted(db, delivery)

    def release(self, delivery: PendingDelivery, at: dt.datetime) -> None:
        """Undo the claim of a message that was certainly not sent."""
        with self._db.writing() as db:
            key = (delivery.issue_id, delivery.subscriber_id)
            db.execute(
                "UPDATE delivery SET state = ?, attempts = ?, updated_at = ? "
                "WHERE issue_id = ? AND subscriber_id = ? AND state IN ('claimed', 'in_data')",
                (delivery.state, delivery.attempts, format_timestamp(at), *key),
            )

    def enter_data(self, delivery: PendingDelivery, message: bytes, at: dt.datetime) -> None:
        """Record that the message is about to be sent; from now on it may arrive."""
        message_hash = hashlib.sha256(message).hexdigest()
        with self._db.writing() as db:
            db.execute(
                "UPDATE delivery SET state = 'in_data', message_hash = ?, updated_at = ? "
                "WHERE issue_id = ? AND subscriber_id = ? AND state = 'claimed'",
                (message_hash, format_timestamp(at), delivery.issue_id, delivery.subscriber_id),
            )

    def finish(
        self,
        delivery: PendingDelivery,
        outcome: DeliveryOutcome,
        at: dt.datetime,
        *,
        claim_next: PendingDelivery | None = None,
    ) -> DeliveryState | None:
        """Record the outcome of a claimed message, and claim the next one in the same commit.

        One commit instead of two, because sending mostly waits for commits.

        Returns:
            The result of `claim` for ``claim_next``; None without a next message.
        """
        reply = visible(outcome.reply, limit=_MAX_REPLY_LENGTH)
        key = (delivery.issue_id, delivery.subscriber_id)
        next_at = format_timestamp(outcome.next_at) if outcome.next_at else None
        with self._db.writing() as db:
            db.execute(
                "UPDATE delivery SET state = ?, code = ?, reply = ?, next_at = ?, updated_at = ? "
                "WHERE issue_id = ? AND subscriber_id = ?",
                (outcome.state, outcome.code, reply, next_at, format_timestamp(at), *key),
            )
            if outcome.state == "failed":  # the subscriber never saw the papers, so they may come again
                db.execute("DELETE FROM shown WHERE issue_id = ? AND subscriber_id = ?", key)
            if outcome.bounced:
                db.execute("UPDATE subscriber SET state = 'bounced' WHERE id = ?", (delivery.subscriber_id,))
            detail = f"{outcome.code or ''} {reply}".strip()
            record_event(db, outcome.state, at, issue=key[0], subscriber=key[1], detail=detail)
            return _claim(db, claim_next, at) if claim_next else None

    def record_bounce(
        self,
        message_ids: Iterable[str],
        keys: frozenset[str],
        status: str,
        at: dt.datetime,
        *,
        dry_run: bool = False,
    ) -> tuple[BounceKind, str] | None:
        """Record that a message came back, and suspend the subscriber after the second in a row.

        Args:
            message_ids: The Message-IDs that the bounce returned.
            keys: The keys of the addresses that failed (`MailAddress.key`).
            status: The enhanced status code.
            at: The time.
            dry_run: Whether to change nothing.

        Returns:
            The outcome, and the subscriber's address; None if no such message was sent to one of the
            addresses.
        """
        with self._db.writing() as db:
            for message_id in message_ids:
                row = db.execute(_SELECT_BOUNCED, (message_id,)).fetchone()
                if row is None or row[3] not in keys or row[2] not in _MAY_BOUNCE:
                    continue
                if row[2] == "bounced":
                    return "ignored", row[4]
                return self._bounced(db, (row[0], row[1]), status, at, dry_run=dry_run), row[4]
        return None

    def _bounced(
        self, db: sqlite3.Connection, key: tuple[str, int], status: str, at: dt.datetime, *, dry_run: bool
    ) -> BounceKind:
        states = dict(
            db.execute(
                "SELECT i.id, d.state FROM delivery d JOIN issue i ON i.id = d.issue_id "
                "JOIN subscriber s ON s.id = d.subscriber_id "
                "WHERE s.id = ? AND (d.state IN ('sent', 'bounced') OR i.id = ?) "
                "AND (i.frozen_at >= coalesce(s.confirmed_at, '') OR s.confirmed_at > ?) "
                "ORDER BY i.frozen_at, i.id",
                (key[1], key[0], format_timestamp(at)),
            ).fetchall()
        )
        states[key[0]] = "bounced"
        twice = any(first == second == "bounced" for first, second in pairwise(states.values()))
        if dry_run:
            return "suspended" if twice else "bounced"
        reply = f"bounced with status {status}"
        db.execute(
            "UPDATE delivery SET state = 'bounced', reply = ?, updated_at = ? "
            "WHERE issue_id = ? AND subscriber_id = ?",
            (reply, format_timestamp(at), *key),
        )
        db.execute("DELETE FROM shown WHERE issue_id = ? AND subscriber_id = ?", key)
        record_event(db, "bounced", at, issue=key[0], subscriber=key[1], detail=reply)
        if not twice:
            return "bounced"
        db.execute("UPDATE subscriber SET state = 'bounced' WHERE id = ? AND state = 'confirmed'", key[1:])
        record_event(db, "suspended", at, subscriber=key[1], detail="two bounces in a row")
        return "suspended"

    # --- summaries ---

    def period_summaries(self) -> list[PeriodSummary]:
        """Return the number of issues and messages per period, newest period last."""
        with self._db.reading() as db:
            periods = db.execute(
                "SELECT period, min(frozen_at), count(*) FROM issue "
                "GROUP BY period ORDER BY min(until), period"
            ).fetchall()
            rows = db.execute(
                "SELECT i.period, d.state, count(*) FROM delivery d "
                "JOIN issue i ON i.id = d.issue_id GROUP BY 1, 2"
            ).fetchall()
        counts = {(period, state): count for period, state, count in rows}
        return [
            PeriodSummary(
                period,
                parse_timestamp(at),
                issues,
                {state: counts.get((period, state), 0) for state in DELIVERY_STATES},
            )
            for period, at, issues in periods
        ]


def _store_issue(db: sqlite3.Connection, issue: NewIssue, at: dt.datetime) -> int:
    """Store an issue and plan its message; return 1, or 0 if it was stored before."""
    is_new = insert_issue(db, issue, at)
    if is_new and issue.subscriber_id is not None:
        _plan_delivery(db, issue, issue.subscriber_id, at)
    return is_new


def _plan_delivery(db: sqlite3.Connection, issue: NewIssue, subscriber_id: int, at: dt.datetime) -> None:
    assert issue.message_id, "the issue of a subscriber needs a Message-ID"
    (uncertain,) = db.execute("SELECT coalesce(max(uncertain_until), '') FROM restored").fetchone()
    maybe_sent = issue.period.until.isoformat() <= uncertain
    state, reply = ("unknown", MAYBE_SENT_BEFORE) if maybe_sent else ("planned", None)
    db.execute(
        "INSERT INTO delivery (issue_id, subscriber_id, message_id, state, reply, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (issue.issue_id, subscriber_id, issue.message_id, state, reply, format_timestamp(at)),
    )
    db.executemany(
        "INSERT OR IGNORE INTO shown VALUES (?, ?, ?)",
        [(subscriber_id, paper_id, issue.issue_id) for paper_id in issue.papers],
    )
    record_event(db, state, at, issue=issue.issue_id, subscriber=subscriber_id)


def _claim(db: sqlite3.Connection, delivery: PendingDelivery, at: dt.datetime) -> DeliveryState | None:
    opted_in = _is_wanted(db, delivery)
    state: DeliveryState = "claimed" if opted_in else "skipped"
    key = (delivery.issue_id, delivery.subscriber_id)
    updated = db.execute(
        "UPDATE delivery SET before = state, state = ?, attempts = attempts + ?, updated_at = ? "
        "WHERE issue_id = ? AND subscriber_id = ? AND state = ?",
        (state, int(opted_in), format_timestamp(at), *key, delivery.state),
    )
    if not updated.rowcount:
        return None
    if not opted_in:
        record_event(db, state, at, issue=delivery.issue_id, subscriber=delivery.subscriber_id)
    return state


def _is_wanted(db: sqlite3.Connection, delivery: PendingDelivery) -> bool:
    row = db.execute("SELECT key, state FROM subscriber WHERE id = ?", (delivery.subscriber_id,)).fetchone()
    return row is not None and row[1] == "confirmed" and not is_suppressed(db, row[0])


def _pending_delivery(row: tuple[Any, ...]) -> PendingDelivery:
    issue_id, subscriber_id, email, message_id, state, attempts, stored_at, code, reply, next_at = row
    return PendingDelivery(
        issue_id=issue_id,
        subscriber_id=subscriber_id,
        email=email,
        message_id=message_id,
        state=state,
        attempts=attempts,
        stored_at=parse_timestamp(stored_at),
        code=code,
        reply=reply,
        next_at=parse_timestamp(next_at) if next_at else None,
    )
