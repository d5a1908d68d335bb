"""Dates of feeds as days in UTC."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

BAD_DATE = "bad-date"
FUTURE_DATE = "future-date"

_FIRST_YEAR = 1900
_LONGEST = 64


def day(value: object, noticed: set[str]) -> dt.date | None:
    """Return the UTC day of an ISO 8601 or RFC 822 date; None with the flag ``bad-date`` where it is none.

    A plain date stands for itself. A time needs its offset: without one the day is a guess, so it
    is refused. A day after tomorrow is kept and flagged ``future-date``.
    """
    if value is None or value == "":
        return None
    found = _day(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    if found is None:
        noticed.add(BAD_DATE)
    elif found > today() + dt.timedelta(days=1):
        noticed.add(FUTURE_DATE)
    return found


def today() -> dt.date:
    """Return the day it is now, UTC."""
    return dt.datetime.now(dt.UTC).date()


@lru_cache(maxsize=4096)
def _day(text: str) -> dt.date | None:
    text = text.strip()
    if len(text) == len("2026-11-21"):
        found = _iso_day(text)
    else:
        moment = _moment(text)
        found = None if moment is None else _utc_day(moment)
    return found if found and found.year >= _FIRST_YEAR else None


def _iso_day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return _mail_moment(text)


def _mail_moment(text: str) -> dt.datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _utc_day(moment: dt.datetime) -> dt.date | None:
    if moment.tzinfo is None:
        return None
    try:
        return moment.astimezone(dt.UTC).date()
    except (OverflowError, ValueError):
        return None
