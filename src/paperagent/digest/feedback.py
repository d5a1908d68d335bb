"""Subscribers' ratings of papers (more or less like this) and their reading lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from paperagent.digest.database import (
    DigestDatabase,
    format_timestamp,
    parse_timestamp,
    record_event,
    utc_now,
)
from paperagent.digest.subscribers import find_by_id
from paperagent.errors import InputError, visible

FeedbackKind = Literal["more", "less", "save"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)
MAX_PAPER_ID = 300


@dataclass(frozen=True, slots=True)
class Rating:
    """Feedback of one subscriber on one paper."""

    paper_id: str
    kind: FeedbackKind
    at: dt.datetime


class Feedback:
    """The feedback in the digest's database."""

    def __init__(self, database: DigestDatabase, *, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._db = database
        self._clock = clock

    def rate(self, subscriber_id: int, paper_id: str, kind: FeedbackKind) -> None:
        """Record feedback on a paper; ``more`` and ``less`` replace each other.

        The same feedback a second time changes nothing.

        Raises:
            InputError: an unknown kind, an invalid paper id, or no such subscriber.
        """
        if kind not in FEEDBACK_KINDS:
            raise InputError(f"feedback: must be more, less or save, got {visible(str(kind), limit=20)}")
        if not paper_id or len(paper_id) > MAX_PAPER_ID:
            raise InputError("feedback: no such paper")
        at = self._clock()
        with self._db.writing() as db:
            find_by_id(db, subscriber_id)
            added = db.execute(
                "INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?)",
                (subscriber_id, paper_id, kind, format_timestamp(at)),
            )
            if not added.rowcount:
                return
            if kind != "save":
                db.execute(
                    "DELETE FROM feedback "
                    "WHERE subscriber_id = ? AND paper_id = ? AND kind NOT IN ('save', ?)",
                    (subscriber_id, paper_id, kind),
                )
            record_event(db, "feedback", at, subscriber=subscriber_id, detail=f"{kind} {paper_id}")

    def unrate(self, subscriber_id: int, paper_id: str, kind: FeedbackKind) -> None:
        """Remove feedback; nothing changes if there is none."""
        with self._db.writing() as db:
            removed = db.execute(
                "DELETE FROM feedback WHERE subscriber_id = ? AND paper_id = ? AND kind = ?",
                (subscriber_id, paper_id, kind),
            )
            if removed.rowcount:
                detail = f"not {kind} {paper_id}"
                record_event(db, "feedback", self._clock(), subscriber=subscriber_id, detail=detail)

    def ratings(self, subscriber_id: int, paper_id: str | None = None) -> list[Rating]:
        """Return a subscriber's feedback, latest first; with ``paper_id`` only that on one paper."""
        with self._db.reading() as db:
            rows = db.execute(
                "SELECT paper_id, kind, at FROM feedback "
                "WHERE subscriber_id = :id AND (:paper IS NULL OR paper_id = :paper) "
                "ORDER BY at DESC, paper_id, kind",
                {"id": subscriber_id, "paper": paper_id},
            )
            return [Rating(paper, kind, parse_timestamp(at)) for paper, kind, at in rows]
