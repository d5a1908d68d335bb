"""Readers: who gets the digest, what they want, and who must never be written to.

One reader, as a value and as a row.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from paperagent.digest import preferences
from paperagent.digest.database import (
    DigestDatabase,
    format_timestamp,
    parse_timestamp,
    record_event,
    utc_now,
)
from paperagent.digest.delivery import message
from paperagent.digest.delivery.message import MailAddress
from paperagent.digest.issue import Profile
from paperagent.digest.preferences import FREQUENCIES, Frequency, Preferences
from paperagent.errors import InputError, visible

FeedbackKind = Literal["more", "less", "save"]
REMOVED = "removed"
"""The reason of a suppression that the person who runs this made, and may take back."""
MAX_SUBSCRIBERS = 100_000
MAX_PAPER_ID = 300
CONFIRMATION_INTERVAL = dt.timedelta(days=1)
"""A pending reader gets at most one confirmation mail in this time, whoever types the address."""


@dataclass(frozen=True, slots=True)
class AddResult:
    """What adding a reader did."""

    subscriber: Subscriber
    new: bool
    note: str = ""


class Subscribers:
    """The readers of one digest."""

    def __init__(self, database: DigestDatabase, *, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._db = database
        self._clock = clock

    def add(
        self,
        email: str,
        wishes: Preferences | None = None,
        *,
        frequency: Frequency | None = None,
        confirmed: bool = False,
        resubscribe: bool = False,
    ) -> AddResult:
        """Add a reader, or change the wishes of one who is there; ``confirmed`` says that they agreed.

        What is not given stays as it was; a new reader gets a weekly digest about anything.

        An address that unsubscribed comes back only with ``resubscribe``, which is for a reader
        who asked for it.

        Raises:
            InputError: the address, the frequency or the number of readers; an address that unsubscribed.
        """
        address = message.parse_address(email)
        if frequency is not None and frequency not in FREQUENCIES:
            raise InputError(f"frequency: must be weekly or daily, got {visible(str(frequency), limit=20)}")
        with self._db.writing() as db:
            note = self._lift(db, address, resubscribe=resubscribe)
            known = by_key(db, address.key)
            if known is None:
                self._insert(db, address, wishes or Preferences(), frequency or "weekly")
            else:
                kept = preferences.merged(known.preferences, wishes) if wishes else known.preferences
                db.execute(
                    "UPDATE subscriber SET profile = ?, frequency = ? WHERE id = ?",
                    (kept.to_json(), frequency or known.frequency, known.id),
                )
                note = note or _same_mailbox(known, address)
            self._settle(db, address.key, known, confirmed=confirmed)
            subscriber = by_key(db, address.key)
        assert subscriber is not None
        return AddResult(subscriber, known is None, note)

    def _insert(
        self, db: sqlite3.Connection, address: MailAddress, wishes: Preferences, frequency: Frequency
    ) -> None:
        if db.execute("SELECT count(*) FROM subscriber").fetchone()[0] >= MAX_SUBSCRIBERS:
            raise InputError(f"subscribers: there are {MAX_SUBSCRIBERS:,} already; that is the limit")
        at = self._clock()
        row = db.execute(
            "INSERT INTO subscriber (email, key, state, frequency, profile, created_at) "
            "VALUES (?, ?, 'pending', ?, ?, ?)",
            (address.email, address.key, frequency, wishes.to_json(), format_timestamp(at)),
        )
        record_event(db, "subscriber_added", at, subscriber=row.lastrowid)

    def _settle(self, db: sqlite3.Connection, key: str, known: Subscriber | None, *, confirmed: bool) -> None:
        """Bring the state where it belongs after an addition."""
        if confirmed:
            self._confirm(db, key)
        elif known is not None and known.state in {"unsubscribed", "bounced"}:
            db.execute("UPDATE subscriber SET state = 'pending', asked_at = NULL WHERE key = ?", (key,))

    def _lift(self, db: sqlite3.Connection, address: MailAddress, *, resubscribe: bool) -> str:
        """Take the address from the suppression list where that is allowed; return what to say about it."""
        row = db.execute("SELECT reason, at FROM suppression WHERE key = ?", (address.key,)).fetchone()
        if row is None:
            return ""
        reason, day = str(row[0]), str(row[1])[:10]
        if reason != REMOVED and not resubscribe:
            raise InputError(
                f"email {visible(address.email, limit=80)}: {reason} on {day}; "
                "only where the reader asked to come back, add it with --resubscribe"
            )
        db.execute("DELETE FROM suppression WHERE key = ?", (address.key,))
        record_event(db, "suppression_lifted", self._clock(), detail=reason)
        return f"was {reason} on {day}, is subscribed again"

    def confirm(self, subscriber_id: int) -> Subscriber:
        """Note that a reader agreed to be written to; a second time changes nothing.

        Raises:
            InputError: there is no such reader, or they unsubscribed since.
        """
        with self._db.writing() as db:
            known = by_id(db, subscriber_id)
            if known.state == "unsubscribed" or is_suppressed(db, known.key):
                raise InputError("subscriber: unsubscribed since; subscribe again first")
            self._confirm(db, known.key)
            return by_id(db, subscriber_id)

    def _confirm(self, db: sqlite3.Connection, key: str) -> None:
        at = self._clock()
        done = db.execute(
            "UPDATE subscriber SET state = 'confirmed', confirmed_at = ? "
            "WHERE key = ? AND state != 'confirmed'",
            (format_timestamp(at), key),
        )
        if done.rowcount:
            (number,) = db.execute("SELECT id FROM subscriber WHERE key = ?", (key,)).fetchone()
            record_event(db, "subscriber_confirmed", at, subscriber=number)

    def unsubscribe(self, subscriber_id: int, *, reason: str = "unsubscribed") -> bool:
        """Stop writing to a reader, for good; return False where that was so already."""
        with self._db.writing() as db:
            known = by_id(db, subscriber_id)
            return self._stop(db, known.key, known.id, reason)

    def remove(self, email: str) -> bool:
        """Forget a reader's wishes and history and never write to them by mistake; False where unknown."""
        address = message.parse_address(email)
        with self._db.writing() as db:
            known = by_key(db, address.key)
            if known is None:
                return False
            self._stop(db, known.key, known.id, REMOVED)
            for table in ("shown", "feedback"):
                db.execute(f"DELETE FROM {table} WHERE subscriber_id = ?", (known.id,))
            db.execute("DELETE FROM subscriber WHERE id = ?", (known.id,))
            return True

    def _stop(self, db: sqlite3.Connection, key: str, subscriber_id: int, reason: str) -> bool:
        at = self._clock()
        added = db.execute(
            "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?)", (key, reason, format_timestamp(at))
        )
        db.execute("UPDATE subscriber SET state = 'unsubscribed' WHERE id = ?", (subscriber_id,))
        if added.rowcount:
            record_event(db, "unsubscribed", at, subscriber=subscriber_id, detail=reason)
        return bool(added.rowcount)

    def suppress(self, email: str, reason: str = "unsubscribed") -> bool:
        """Never write to an address, subscriber or not; return False where that was so already."""
        address = message.parse_address(email)
        with self._db.writing() as db:
            known = by_key(db, address.key)
            return self._stop(db, address.key, known.id if known else 0, reason)

    def record_confirmation_sent(self, subscriber_id: int) -> None:
        """Note that the confirmation mail went out."""
        with self._db.writing() as db:
            at = self._clock()
            db.execute(
                "UPDATE subscriber SET asked_at = ? WHERE id = ?", (format_timestamp(at), subscriber_id)
            )
            record_event(db, "confirmation_sent", at, subscriber=subscriber_id)

    def may_send_confirmation(self, subscriber: Subscriber) -> bool:
        """Tell whether a confirmation mail may go to this reader now."""
        if subscriber.state != "pending" or self.is_suppressed(subscriber.key):
            return False
        return (
            subscriber.confirmation_sent_at is None
            or self._clock() - subscriber.confirmation_sent_at >= CONFIRMATION_INTERVAL
        )

    def rate(self, subscriber_id: int, paper_id: str, kind: FeedbackKind) -> None:
        """Keep what a reader thinks of a paper; ``more`` and ``less`` replace each other."""
        if kind not in get_args(FeedbackKind):
            raise InputError(f"feedback: must be more, less or save, got {visible(str(kind), limit=20)}")
        if not paper_id or len(paper_id) > MAX_PAPER_ID:
            raise InputError("feedback: no such paper")
        with self._db.writing() as db:
            by_id(db, subscriber_id)
            if kind != "save":
                db.execute(
                    "DELETE FROM feedback WHERE subscriber_id = ? AND paper_id = ? AND kind != 'save'",
                    (subscriber_id, paper_id),
                )
            at = self._clock()
            db.execute(
                "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?)",
                (subscriber_id, paper_id, kind, format_timestamp(at)),
            )
            record_event(db, "feedback", at, subscriber=subscriber_id, detail=f"{kind} {paper_id}")

    def find(self, email: str) -> Subscriber:
        """Return the reader of an address.

        Raises:
            InputError: there is none.
        """
        address = message.parse_address(email)
        with self._db.reading() as db:
            found = by_key(db, address.key)
        if found is None:
            raise InputError(
                f"subscriber: {visible(address.email, limit=80)} does not exist; "
                "see 'paperagent subscribers list'"
            )
        return found

    def get(self, subscriber_id: int) -> Subscriber:
        """Return a reader by number.

        Raises:
            InputError: there is none.
        """
        with self._db.reading() as db:
            return by_id(db, subscriber_id)

    def all(
        self, *, state: SubscriberState | None = None, frequency: Frequency | None = None
    ) -> list[Subscriber]:
        """Return the readers in the order in which they came."""
        limits = {"state": state, "frequency": frequency}
        given = {name: value for name, value in limits.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given) or "1"
        with self._db.reading() as db:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM subscriber WHERE {where} ORDER BY id", tuple(given.values())
            )
            return [from_row(row) for row in rows]

    def is_suppressed(self, key: str) -> bool:
        """Tell whether an address must not be written to."""
        with self._db.reading() as db:
            return is_suppressed(db, key)

    def preferences_with_feedback(self, subscriber: Subscriber, *, excluding: str = "") -> Profile:
        """Return what the reader wants, what they liked and what they were shown.

        What the issue ``excluding`` showed does not count: it is being made again.
        """
        with self._db.reading() as db:
            rated = db.execute(
                "SELECT paper_id, kind FROM feedback WHERE subscriber_id = ? ORDER BY at DESC, paper_id",
                (subscriber.id,),
            ).fetchall()
            shown = db.execute(
                "SELECT paper_id FROM shown WHERE subscriber_id = ? AND issue_id != ?",
                (subscriber.id, excluding),
            )
            seen = frozenset(str(row[0]) for row in shown)
        return replace(
            subscriber.preferences.profile(),
            liked=tuple(dict.fromkeys(p for p, kind in rated if kind != "less")),
            disliked=tuple(p for p, kind in rated if kind == "less"),
            shown=seen,
        )


def _same_mailbox(known: Subscriber, address: MailAddress) -> str:
    if known.email.casefold() == address.email.casefold():
        return ""
    return f"the same mailbox as {known.email}, which stays"


SubscriberState = Literal["pending", "confirmed", "unsubscribed", "bounced"]
COLUMNS = "id, email, key, state, frequency, profile, created_at, confirmed_at, asked_at"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A reader."""

    id: int
    email: str
    key: str
    state: SubscriberState
    frequency: Frequency
    preferences: Preferences
    created_at: dt.datetime
    confirmed_at: dt.datetime | None = None
    confirmation_sent_at: dt.datetime | None = None
    """When the confirmation mail was last sent."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "id": self.id,
            "email": self.email,
            "state": self.state,
            "frequency": self.frequency,
            **self.preferences.to_dict(),
            "created_at": format_timestamp(self.created_at),
            "confirmed_at": format_timestamp(self.confirmed_at) if self.confirmed_at else None,
        }


def by_key(db: sqlite3.Connection, key: str) -> Subscriber | None:
    """Return the reader of an address, or None."""
    row = db.execute(f"SELECT {COLUMNS} FROM subscriber WHERE key = ?", (key,)).fetchone()
    return from_row(row) if row else None


def by_id(db: sqlite3.Connection, subscriber_id: int) -> Subscriber:
    """Return a reader by number; raise InputError where there is none."""
    row = db.execute(f"SELECT {COLUMNS} FROM subscriber WHERE id = ?", (subscriber_id,)).fetchone()
    if row is None:
        raise InputError("subscriber: there is no such reader any more")
    return from_row(row)


def is_suppressed(db: sqlite3.Connection, key: str) -> bool:
    """Tell whether an address must not be written to."""
    return db.execute("SELECT 1 FROM suppression WHERE key = ?", (key,)).fetchone() is not None


def from_row(row: tuple[Any, ...]) -> Subscriber:
    """Return the reader whose `COLUMNS` a row holds."""
    number, email, key, state, frequency, wishes, created, confirmed, asked = row
    return Subscriber(
        number,
        email,
        key,
        state,
        frequency,
        preferences.from_json(wishes),
        parse_timestamp(created),
        parse_timestamp(confirmed) if confirmed else None,
        parse_timestamp(asked) if asked else None,
    )
