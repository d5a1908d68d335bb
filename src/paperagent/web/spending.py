"""Limits the daily cost of the model's answers: reserved before the call, settled after it.

A reservation that is never settled, because the process was killed, still counts on its day.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from paperagent.web.database import WebDatabase

MICROS = 1_000_000
"""The database stores millionths of a US dollar, as integers that add up exactly."""
KEEP_DAYS = 31


class Spending:
    """The cost of today's answers (UTC), in the web database."""

    def __init__(
        self, database: WebDatabase, *, per_day: float, per_asker: float, clock: Callable[[], dt.datetime]
    ) -> None:
        """Create an account.

        Args:
            database: The web database.
            per_day: US dollars that all answers of a day may cost.
            per_asker: US dollars that the answers for one asker may cost on a day.
            clock: Returns the current time in UTC.
        """
        self._database = database
        self._per_day = _micros(per_day)
        self._per_asker = _micros(per_asker)
        self._clock = clock

    def reserve(self, asker: str, dollars: float) -> int | None:
        """Reserve the most that an answer can cost.

        Args:
            asker: A mail address or a network; only its hash is stored.
            dollars: US dollars.

        Returns:
            The id of the reservation, or None if it would exceed a limit.

        Raises:
            StoreError: the web database cannot be used.
        """
        today = self._clock().date()
        day, key, micros = today.isoformat(), _hash(today, asker), _micros(dollars)
        oldest = (today - dt.timedelta(KEEP_DAYS)).isoformat()
        with self._database.writing() as db:  # BEGIN IMMEDIATE: no other process reserves in between
            if _sum(db, day) + micros > self._per_day or _sum(db, day, key) + micros > self._per_asker:
                return None
            tomorrow = (today + dt.timedelta(1)).isoformat()  # later days are from a wrong clock
            db.execute("DELETE FROM spending WHERE day < ? OR day > ?", (oldest, tomorrow))
            row = db.execute("INSERT INTO spending (day, asker, micros) VALUES (?, ?, ?)", (day, key, micros))
            return row.lastrowid

    def settle(self, reservation: int, dollars: float | None) -> None:
        """Replace a reservation by the actual cost in US dollars; None, for an unknown cost, keeps it."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE spending SET micros = coalesce(?, micros), settled = 1 WHERE id = ?",
                (None if dollars is None else _micros(dollars), reservation),
            )

    def today(self) -> float:
        """Return the US dollars spent and reserved today."""
        with self._database.reading() as db:
            return _sum(db, self._clock().date().isoformat()) / MICROS


def _sum(db: sqlite3.Connection, day: str, asker: str | None = None) -> int:
    where = "day = ?" if asker is None else "day = ? AND asker = ?"
    values = (day,) if asker is None else (day, asker)
    total = db.execute(f"SELECT coalesce(sum(micros), 0) FROM spending WHERE {where}", values)
    return int(total.fetchone()[0])


def _hash(day: dt.date, asker: str) -> str:
    return hashlib.sha256(f"{day} {asker}".encode()).hexdigest()[:24]


def _micros(dollars: float) -> int:
    return round(dollars * MICROS)
