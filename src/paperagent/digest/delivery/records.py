"""What the ledger keeps, as values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from paperagent.digest.issue import Period

State = Literal["planned", "claimed", "in_data", "sent", "deferred", "failed", "skipped", "unknown"]
STATES: tuple[State, ...] = (
    "planned", "claimed", "in_data", "sent", "deferred", "failed", "skipped", "unknown",
)  # fmt: skip
TOO_OLD = dt.timedelta(days=3)
"""An issue frozen longer ago is sent only when forced: old news is worse than none."""


@dataclass(frozen=True, slots=True)
class Draft:
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
class Frozen:
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
    frozen_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Due:
    """One message to one reader, as the ledger knows it."""

    issue_id: str
    subscriber_id: int
    email: str
    message_id: str
    state: State
    attempts: int
    frozen_at: dt.datetime
    code: int | None = None
    reply: str | None = None
    next_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt."""

    state: State
    code: int | None = None
    reply: str = ""
    next_at: dt.datetime | None = None
    bounced: bool = False
    """Whether the mailbox does not exist: its reader is not written to again."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One period's issues and messages, counted."""

    period: str
    frozen_at: dt.datetime
    issues: int
    states: Mapping[State, int]
