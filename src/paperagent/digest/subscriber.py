"""One reader, as a value and as a row."""

from __future__ import annotations

import datetime as dt
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from paperagent.digest import preferences
from paperagent.digest.database import moment, stamp
from paperagent.digest.preferences import Frequency, Wishes
from paperagent.errors import InputError

State = Literal["pending", "confirmed", "unsubscribed", "bounced"]
COLUMNS = "id, email, key, state, frequency, profile, created_at, confirmed_at, asked_at"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A reader."""

    id: int
    email: str
    key: str
    state: State
    frequency: Frequency
    wishes: Wishes
    created_at: dt.datetime
    confirmed_at: dt.datetime | None = None
    asked_at: dt.datetime | None = None
    """When the confirmation mail was last sent."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "id": self.id,
            "email": self.email,
            "state": self.state,
            "frequency": self.frequency,
            **self.wishes.to_dict(),
            "created_at": stamp(self.created_at),
            "confirmed_at": stamp(self.confirmed_at) if self.confirmed_at else None,
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
        moment(created),
        moment(confirmed) if confirmed else None,
        moment(asked) if asked else None,
    )
