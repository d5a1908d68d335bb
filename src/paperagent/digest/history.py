"""The history of one subscriber: issues with their papers and deliveries, and why nothing is sent."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperagent.digest.database import DigestDatabase, format_timestamp, parse_timestamp
from paperagent.digest.issue import Period
from paperagent.digest.schedule import frequency_of

if TYPE_CHECKING:
    from paperagent.digest.feedback import Rating
    from paperagent.digest.subscribers import Subscriber

_STATE_REASONS = {
    "planned": "'paperagent digest send' sends it",
    "written": "it is in the outbox, because no mail server was set",
    "skipped": "the subscriber had opted out",
}
_ISSUES = """
  SELECT i.period, i.subject, i.facts, i.frozen_at, d.state, d.updated_at, d.code, d.reply, d.next_at
  FROM issue i LEFT JOIN delivery d ON d.issue_id = i.id
  WHERE i.subscriber_id = ? ORDER BY i.since DESC, i.id DESC LIMIT ?
"""
_MISSED = """
  SELECT g.period, g.since, g.until FROM issue g
  WHERE g.subscriber_id IS NULL AND g.frozen_at >= ?
    AND NOT EXISTS (SELECT 1 FROM issue i WHERE i.period = g.period AND i.subscriber_id = ?)
  ORDER BY g.since DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class ChosenPaper:
    """A paper of an issue, with the reason that the issue gives."""

    paper_id: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class SentIssue:
    """A stored issue of one subscriber, and the state of its message."""

    period: str
    subject: str
    built_at: dt.datetime
    papers: tuple[ChosenPaper, ...]
    """In reading order; empty for issues of an older version of paperagent."""
    state: str
    """The state of the message; see `delivery.ledger`."""
    at: dt.datetime | None = None
    """When the state last changed."""
    reply: str = ""
    """The mail server's reply, if any."""
    next_at: dt.datetime | None = None
    """When the next attempt is due."""


@dataclass(frozen=True, slots=True)
class History:
    """The issues and ratings of one subscriber, newest first."""

    subscriber: Subscriber
    issues: tuple[SentIssue, ...]
    missed: tuple[str, ...]
    """The periods that were built after the confirmation, without an issue for the subscriber."""
    ratings: tuple[Rating, ...]
    suppressed: str
    """The reason why the address must not be mailed; empty if it may be."""
    suppressed_at: dt.datetime | None

    @property
    def why_nothing(self) -> str:
        """Why nothing is sent, or why the last message did not arrive; empty if all is well."""
        return self._why_not_mailed() or self._why_not_delivered()

    def _why_not_mailed(self) -> str:
        subscriber = self.subscriber
        if self.suppressed_at is not None:
            return f"{self.suppressed} on {self.suppressed_at.date()}; this address is not mailed"
        if subscriber.state == "pending":
            sent_at = subscriber.confirmation_sent_at
            sent = f"the message was sent on {sent_at.date()}" if sent_at else "no message was sent yet"
            return f"waiting for the confirmation: {sent}"
        return "" if subscriber.is_confirmed else f"{subscriber.state}; this address is not mailed"

    def _why_not_delivered(self) -> str:
        if not self.issues:
            if self.missed:
                return "no new paper matched in the periods that were built"
            return "no issue has been built since the confirmation; run 'paperagent digest run'"
        last = self.issues[0]
        if last.state in {"sent", "exported"}:
            return ""
        reason = last.reply or _STATE_REASONS.get(last.state, "see 'paperagent digest list'")
        return f"the last message, of {last.period}, is {last.state}: {reason}"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "subscriber": self.subscriber.to_dict(),
            "why_nothing_is_sent": self.why_nothing or None,
            "issues": [
                {
                    "period": issue.period,
                    "subject": issue.subject,
                    "built_at": format_timestamp(issue.built_at),
                    "state": issue.state,
                    "at": format_timestamp(issue.at) if issue.at else None,
                    "reply": issue.reply or None,
                    "next_at": format_timestamp(issue.next_at) if issue.next_at else None,
                    "papers": [
                        {"paper_id": p.paper_id, "title": p.title, "reason": p.reason} for p in issue.papers
                    ],
                }
                for issue in self.issues
            ],
            "periods_without_issue": list(self.missed),
            "ratings": [
                {"paper_id": r.paper_id, "kind": r.kind, "at": format_timestamp(r.at)} for r in self.ratings
            ],
        }


def read_history(
    database: DigestDatabase, subscriber: Subscriber, ratings: Sequence[Rating], *, limit: int
) -> History:
    """Return the last ``limit`` issues of a subscriber, and why nothing is sent."""
    since = format_timestamp(subscriber.confirmed_at) if subscriber.confirmed_at else "9999"
    with database.reading() as db:
        issues = tuple(_sent_issue(row) for row in db.execute(_ISSUES, (subscriber.id, limit)))
        built = db.execute(_MISSED, (since, subscriber.id, 4 * limit)).fetchall()
        suppression = db.execute(
            "SELECT reason, at FROM suppression WHERE key = ?", (subscriber.key,)
        ).fetchone()
    periods = (Period(name, *map(dt.date.fromisoformat, days)) for name, *days in built)
    missed = [p.name for p in periods if frequency_of(p) in {None, subscriber.frequency}]
    return History(
        subscriber,
        issues,
        tuple(missed[:limit]),
        tuple(ratings),
        suppressed=suppression[0] if suppression else "",
        suppressed_at=parse_timestamp(suppression[1]) if suppression else None,
    )


def _sent_issue(row: tuple[Any, ...]) -> SentIssue:
    period, subject, facts, built_at, state, at, code, reply, next_at = row
    return SentIssue(
        period,
        subject,
        parse_timestamp(built_at),
        tuple(ChosenPaper(**chosen) for chosen in json.loads(facts).get("chosen", ())),
        state=state or "not planned",
        at=parse_timestamp(at) if at else None,
        reply=f"{code or ''} {reply or ''}".strip(),
        next_at=parse_timestamp(next_at) if next_at else None,
    )
