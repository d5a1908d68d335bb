"""The subscribers of the digest, their preferences, and the addresses that must not be mailed again."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from paperagent.digest.database import (
    DigestDatabase,
    format_timestamp,
    parse_timestamp,
    record_event,
    utc_now,
)
from paperagent.digest.delivery.message import WEBHOOK_PREFIX, MailAddress, parse_address, parse_recipient
from paperagent.digest.preferences import FREQUENCIES, Frequency, Preferences
from paperagent.digest.webhooks import Webhook, store_webhook
from paperagent.errors import InputError, visible

SubscriberState = Literal["pending", "confirmed", "unsubscribed", "bounced"]
SignupState = Literal["new", "pending", "confirmed", "unsubscribed", "blocked"]
"""What a sign-up for an address meets; ``blocked``: bounced, complained or removed, so nothing is sent."""
REMOVED = "removed"
"""Reason of a suppression by the operator, which the operator may lift."""
UNSUBSCRIBED = "unsubscribed"
"""Reason of a suppression by the subscriber, who may lift it by confirming a new sign-up."""
MAX_SUBSCRIBERS = 100_000
CONFIRMATION_INTERVAL = dt.timedelta(days=1)
"""A pending subscriber gets at most one confirmation mail in this time, whoever enters the address."""
_COLUMNS = "id, email, key, state, frequency, profile, created_at, confirmed_at, asked_at"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscriber of the digest."""

    id: int
    email: str
    key: str
    """The address in the form by which mailboxes are compared; see `MailAddress.key`."""
    state: SubscriberState
    frequency: Frequency
    preferences: Preferences
    """The subscriber's preferences, without feedback."""
    created_at: dt.datetime
    confirmed_at: dt.datetime | None = None
    confirmation_sent_at: dt.datetime | None = None
    """When the confirmation mail was last sent."""

    @property
    def is_webhook(self) -> bool:
        """Whether it is a channel that gets its issues by HTTP; `email` is then its label."""
        return self.key.startswith(WEBHOOK_PREFIX)

    @property
    def is_confirmed(self) -> bool:
        """Whether the subscriber gets the digest."""
        return self.state == "confirmed"

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


@dataclass(frozen=True, slots=True)
class AddResult:
    """The result of adding a subscriber."""

    subscriber: Subscriber
    new: bool
    note: str = ""


class Subscribers:
    """The subscribers in the digest's database."""

    def __init__(self, database: DigestDatabase, *, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._db = database
        self._clock = clock

    def add(
        self,
        email: str,
        preferences: Preferences | None = None,
        *,
        frequency: Frequency | None = None,
        replace_lists: bool = False,
        without: Iterable[str] = (),
        confirmed: bool = False,
        resubscribe: bool = False,
        webhook: Webhook | None = None,
    ) -> AddResult:
        """Add a subscriber, or change an existing one.

        Values that are not given stay as they are; a new subscriber gets a weekly digest of all topics.

        Args:
            email: The address.
            preferences: What the subscriber wants to read, in addition to the present entries.
            frequency: How often.
            replace_lists: Whether each non-empty list in ``preferences`` replaces the present one instead.
            without: Entries to remove first, whatever list they are in.
            confirmed: Whether the subscriber has agreed already.
            resubscribe: Whether to accept an address that unsubscribed, because the subscriber asked for it.
            webhook: Where to post, for a webhook.

        Raises:
            InputError: an invalid address or frequency, too many subscribers or entries, an unsubscribed
                address, or no such entry to remove.
        """
        address = parse_recipient(email)
        if frequency is not None and frequency not in FREQUENCIES:
            raise InputError(
                f"frequency: must be {' or '.join(FREQUENCIES)}, got {visible(str(frequency), limit=20)}"
            )
        with self._db.writing() as db:
            note = self._lift_suppression(db, address, resubscribe=resubscribe)
            existing = find_by_key(db, address.key)
            updated = (existing.preferences if existing else Preferences()).without(without)
            if preferences:
                updated = updated.updated_with(preferences, replace_lists=replace_lists)
            if existing is None:
                self._insert(db, address, updated, frequency or "weekly")
            else:
                _update(db, existing.id, updated, frequency or existing.frequency)
                note = note or _same_mailbox_note(existing, address)
            self._update_state(db, address.key, existing, confirmed=confirmed)
            subscriber = find_by_key(db, address.key)
            assert subscriber is not None
            store_webhook(db, subscriber.id, address.key, webhook)
        return AddResult(subscriber, existing is None, note)

    def _insert(
        self, db: sqlite3.Connection, address: MailAddress, preferences: Preferences, frequency: Frequency
    ) -> None:
        if db.execute("SELECT count(*) FROM subscriber").fetchone()[0] >= MAX_SUBSCRIBERS:
            raise InputError(f"subscribers: limit of {MAX_SUBSCRIBERS:,} reached; remove some first")
        at = self._clock()
        row = db.execute(
            "INSERT INTO subscriber (email, key, state, frequency, profile, created_at) "
            "VALUES (?, ?, 'pending', ?, ?, ?)",
            (address.email, address.key, frequency, preferences.to_json(), format_timestamp(at)),
        )
        record_event(db, "subscriber_added", at, subscriber=row.lastrowid)

    def _update_state(
        self, db: sqlite3.Connection, key: str, existing: Subscriber | None, *, confirmed: bool
    ) -> None:
        """Set the state after an addition."""
        if confirmed:
            self._set_confirmed(db, key)
        elif existing is not None and existing.state in {"unsubscribed", "bounced"}:
            db.execute("UPDATE subscriber SET state = 'pending', asked_at = NULL WHERE key = ?", (key,))

    def _lift_suppression(self, db: sqlite3.Connection, address: MailAddress, *, resubscribe: bool) -> str:
        """Remove the address from the suppression list if that is allowed; return a note about it."""
        row = db.execute("SELECT reason, at FROM suppression WHERE key = ?", (address.key,)).fetchone()
        if row is None:
            return ""
        reason, day = str(row[0]), str(row[1])[:10]
        if reason != REMOVED and not resubscribe:
            raise InputError(
                f"email {visible(address.email, limit=80)}: {reason} on {day}; "
                "use --resubscribe only if the subscriber asked to come back"
            )
        db.execute("DELETE FROM suppression WHERE key = ?", (address.key,))
        record_event(db, "suppression_lifted", self._clock(), detail=reason)
        return f"was {reason} on {day}, is subscribed again"

    def confirm(self, subscriber_id: int) -> Subscriber:
        """Mark a subscriber as confirmed; a second time changes nothing.

        Raises:
            InputError: no such subscriber, or one who has unsubscribed since.
        """
        with self._db.writing() as db:
            subscriber = find_by_id(db, subscriber_id)
            if subscriber.state == "unsubscribed" or is_suppressed(db, subscriber.key):
                raise InputError("subscriber: unsubscribed since; subscribe again first")
            self._set_confirmed(db, subscriber.key)
            return find_by_id(db, subscriber_id)

    def _set_confirmed(self, db: sqlite3.Connection, key: str) -> None:
        at = self._clock()
        updated = db.execute(
            "UPDATE subscriber SET state = 'confirmed', confirmed_at = ? "
            "WHERE key = ? AND state != 'confirmed'",
            (format_timestamp(at), key),
        )
        if updated.rowcount:
            (subscriber_id,) = db.execute("SELECT id FROM subscriber WHERE key = ?", (key,)).fetchone()
            record_event(db, "subscriber_confirmed", at, subscriber=subscriber_id)

    def signup_state(self, key: str) -> tuple[SignupState, Subscriber | None]:
        """Return what a sign-up for an address meets, and the subscriber with this address, if any."""
        with self._db.reading() as db:
            reason, subscriber = _suppression_reason(db, key), find_by_key(db, key)
        if reason is not None:
            return ("unsubscribed" if reason == UNSUBSCRIBED else "blocked"), subscriber
        if subscriber is None:
            return "new", None
        return ("blocked" if subscriber.state == "bounced" else subscriber.state), subscriber

    def unsubscribed_at(self, key: str) -> dt.datetime | None:
        """Return when the owner of an address unsubscribed; None if it is not unsubscribed."""
        with self._db.reading() as db:
            row = db.execute(
                "SELECT at FROM suppression WHERE key = ? AND reason = ?", (key, UNSUBSCRIBED)
            ).fetchone()
        return parse_timestamp(row[0]) if row else None

    def confirm_signup(self, email: str, preferences: Preferences, *, frequency: Frequency) -> Subscriber:
        """Subscribe an address whose owner has confirmed a sign-up, in one transaction.

        The preferences replace those of an existing subscriber, and the address is mailed again if its
        owner had unsubscribed. A second time changes nothing.

        Raises:
            InputError: an invalid address, too many subscribers, or an address that must not be mailed.
        """
        address = parse_address(email)
        with self._db.writing() as db:
            reason = _suppression_reason(db, address.key)
            if reason not in {None, UNSUBSCRIBED}:
                raise InputError("subscriber: this address receives no email from here")
            if reason is not None:
                db.execute("DELETE FROM suppression WHERE key = ?", (address.key,))
                record_event(db, "suppression_lifted", self._clock(), detail=reason)
            existing = find_by_key(db, address.key)
            if existing is None:
                self._insert(db, address, preferences, frequency)
            else:
                old = existing.preferences
                kept_items = preferences.max_items or old.max_items
                updated = replace(preferences, max_items=kept_items, examples=old.examples)
                _update(db, existing.id, updated, frequency)
            self._set_confirmed(db, address.key)
            subscriber = find_by_key(db, address.key)
        assert subscriber is not None
        return subscriber

    def set_preferences(self, subscriber_id: int, preferences: Preferences, *, frequency: Frequency) -> None:
        """Replace a subscriber's preferences.

        Raises:
            InputError: no such subscriber.
        """
        with self._db.writing() as db:
            find_by_id(db, subscriber_id)
            _update(db, subscriber_id, preferences, frequency)

    def unsubscribe(self, subscriber_id: int, *, reason: str = UNSUBSCRIBED) -> bool:
        """Never mail a subscriber again; return False if the address was suppressed already."""
        with self._db.writing() as db:
            subscriber = find_by_id(db, subscriber_id)
            return self._suppress(db, subscriber.key, subscriber.id, reason)

    def remove(self, email: str, *, reason: str = REMOVED) -> bool:
        """Delete a subscriber with all data, issues included, and suppress the address.

        Returns:
            Whether there was such a subscriber.
        """
        address = parse_recipient(email)
        with self._db.writing() as db:
            subscriber = find_by_key(db, address.key)
            if subscriber is None:
                return False
            self._suppress(db, subscriber.key, subscriber.id, reason)
            for table in ("shown", "feedback", "delivery", "issue", "webhook"):
                db.execute(f"DELETE FROM {table} WHERE subscriber_id = ?", (subscriber.id,))
            db.execute("DELETE FROM subscriber WHERE id = ?", (subscriber.id,))
            return True

    def _suppress(self, db: sqlite3.Connection, key: str, subscriber_id: int, reason: str) -> bool:
        at = self._clock()
        added = db.execute(
            "INSERT OR IGNORE INTO suppression VALUES (?, ?, ?)", (key, reason, format_timestamp(at))
        )
        db.execute("UPDATE subscriber SET state = 'unsubscribed' WHERE id = ?", (subscriber_id,))
        if added.rowcount:
            record_event(db, "unsubscribed", at, subscriber=subscriber_id, detail=reason)
        return bool(added.rowcount)

    def suppress(self, email: str, reason: str = "unsubscribed") -> bool:
        """Never mail an address, subscribed or not; return False if it was suppressed already."""
        address = parse_recipient(email)
        with self._db.writing() as db:
            subscriber = find_by_key(db, address.key)
            return self._suppress(db, address.key, subscriber.id if subscriber else 0, reason)

    def record_confirmation_sent(self, subscriber_id: int) -> None:
        """Record that the confirmation mail was sent."""
        with self._db.writing() as db:
            at = self._clock()
            db.execute(
                "UPDATE subscriber SET asked_at = ? WHERE id = ?", (format_timestamp(at), subscriber_id)
            )
            record_event(db, "confirmation_sent", at, subscriber=subscriber_id)

    def may_send_confirmation(self, subscriber: Subscriber) -> bool:
        """Return whether a confirmation mail may be sent to this subscriber now."""
        if subscriber.state != "pending" or self.is_suppressed(subscriber.key):
            return False
        sent_at = subscriber.confirmation_sent_at
        # A time far in the future was written by a wrong clock.
        return sent_at is None or abs(self._clock() - sent_at) >= CONFIRMATION_INTERVAL

    def find_or_none(self, email: str) -> Subscriber | None:
        """Return the subscriber with an address, or None; raise InputError for an invalid address."""
        with self._db.reading() as db:
            return find_by_key(db, parse_recipient(email).key)

    def find(self, email: str) -> Subscriber:
        """Return the subscriber with an address.

        Raises:
            InputError: there is none.
        """
        subscriber = self.find_or_none(email)
        if subscriber is None:
            raise InputError(
                f"subscriber: {visible(email.strip(), limit=80)} does not exist; "
                "see 'paperagent subscribers list'"
            )
        return subscriber

    def get(self, subscriber_id: int) -> Subscriber:
        """Return a subscriber by id.

        Raises:
            InputError: there is none.
        """
        with self._db.reading() as db:
            return find_by_id(db, subscriber_id)

    def all(
        self, *, state: SubscriberState | None = None, frequency: Frequency | None = None
    ) -> list[Subscriber]:
        """Return the subscribers in the order in which they were added."""
        filters = {"state": state, "frequency": frequency}
        values = {name: value for name, value in filters.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in values) or "1"
        with self._db.reading() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM subscriber WHERE {where} ORDER BY id", tuple(values.values())
            )
            return [_subscriber(row) for row in rows]

    def is_suppressed(self, key: str) -> bool:
        """Return whether an address must not be mailed."""
        with self._db.reading() as db:
            return is_suppressed(db, key)

    def preferences_with_feedback(self, subscriber: Subscriber, *, excluding: str = "") -> Preferences:
        """Return a subscriber's preferences, with the papers that they rated or saw.

        Args:
            subscriber: The subscriber.
            excluding: The id of an issue whose papers do not count as seen, because it is built again.
        """
        with self._db.reading() as db:
            rated = db.execute(
                "SELECT paper_id, kind FROM feedback WHERE subscriber_id = ? ORDER BY at DESC, paper_id",
                (subscriber.id,),
            ).fetchall()
            rows = db.execute(
                "SELECT paper_id FROM shown WHERE subscriber_id = ? AND issue_id != ?",
                (subscriber.id, excluding),
            )
            seen = frozenset(str(row[0]) for row in rows)
        return replace(
            subscriber.preferences,
            liked=tuple(dict.fromkeys(p for p, kind in rated if kind != "less")),
            disliked=tuple(p for p, kind in rated if kind == "less"),
            seen=seen,
        )


def _same_mailbox_note(existing: Subscriber, address: MailAddress) -> str:
    if existing.email.casefold() == address.email.casefold():
        return ""
    return f"the same mailbox as {existing.email}, which stays"


# --- queries within a transaction ---


def find_by_key(db: sqlite3.Connection, key: str) -> Subscriber | None:
    """Return the subscriber with an address key, or None."""
    row = db.execute(f"SELECT {_COLUMNS} FROM subscriber WHERE key = ?", (key,)).fetchone()
    return _subscriber(row) if row else None


def find_by_id(db: sqlite3.Connection, subscriber_id: int) -> Subscriber:
    """Return a subscriber by id.

    Raises:
        InputError: there is none.
    """
    row = db.execute(f"SELECT {_COLUMNS} FROM subscriber WHERE id = ?", (subscriber_id,)).fetchone()
    if row is None:
        raise InputError("subscriber: no longer exists")
    return _subscriber(row)


def is_suppressed(db: sqlite3.Connection, key: str) -> bool:
    """Return whether an address must not be mailed."""
    return _suppression_reason(db, key) is not None


def _suppression_reason(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT reason FROM suppression WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def _update(
    db: sqlite3.Connection, subscriber_id: int, preferences: Preferences, frequency: Frequency
) -> None:
    db.execute(
        "UPDATE subscriber SET profile = ?, frequency = ? WHERE id = ?",
        (preferences.to_json(), frequency, subscriber_id),
    )


def _subscriber(row: tuple[Any, ...]) -> Subscriber:
    subscriber_id, email, key, state, frequency, preferences, created_at, confirmed_at, sent_at = row
    return Subscriber(
        subscriber_id,
        email,
        key,
        state,
        frequency,
        Preferences.from_json(preferences),
        parse_timestamp(created_at),
        parse_timestamp(confirmed_at) if confirmed_at else None,
        parse_timestamp(sent_at) if sent_at else None,
    )
