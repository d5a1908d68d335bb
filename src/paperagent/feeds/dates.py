"""Dates of feeds as days in UTC."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

from paperagent.types import PARTIAL_DATE

BAD_DATE = "bad-date"
FUTURE_DATE = "future-date"

_FIRST_YEAR = 1900
_MONTHS_OF_A_YEAR = 12
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_PARTS = re.compile(r"\D*?(\d{4})(?:\s*[-/.]\s*(\d{1,2})(?:\s*[-/.]\s*(\d{1,2}))?)?(?!\d)")
_SOLID = re.compile(r"\s*(\d{4})(\d\d)(\d\d)\s*", re.ASCII)
_YEAR_LAST = re.compile(r"\s*(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\s*", re.ASCII)
_LONGEST = 64


def parse_day(value: object, noticed: set[str]) -> dt.date | None:
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


def day_from_parts(year: object, month: object, day_: object, noticed: set[str]) -> dt.date | None:
    """Return the day of a date in parts, any of them missing; a month may be a name.

    What is not told is the first, with the flag ``partial-date``; without a year there is no date.
    """
    numbers = _number(year), _month(month), _number(day_)
    if not numbers[0]:
        if year not in (None, ""):
            noticed.add(BAD_DATE)
        return None
    try:
        found = dt.date(numbers[0], numbers[1] or 1, (numbers[1] and numbers[2]) or 1)
    except ValueError:
        found = None
    if found is None or found.year < _FIRST_YEAR:
        noticed.add(BAD_DATE)
        return None
    if not (numbers[1] and numbers[2]):
        noticed.add(PARTIAL_DATE)
    return parse_day(found.isoformat(), noticed)


def parse_loose_day(text: object, noticed: set[str]) -> dt.date | None:
    """Return the day that people write as ``2023``, ``2023-05``, ``2023/05/17``, ``May 17, 2023``.

    Also ``20230517`` and ``17.05.2023``. Of ``05/06/2023`` only the year is sure: some write the month first.
    """
    if not isinstance(text, str) or not text.strip():
        return None
    if len(text) > _LONGEST:
        noticed.add(BAD_DATE)
        return None
    if (whole := _day(text)) is not None:
        return parse_day(whole.isoformat(), noticed)
    if named := re.search(r"[A-Za-z]{3,9}", text):
        numbers = re.findall(r"\d+", text)
        year = next((n for n in numbers if len(n) == 4), None)
        of_month = next((n for n in numbers if len(n) < 3), None)
        return day_from_parts(year, named[0], of_month, noticed)
    year, month, day_ = _parts(text)
    return day_from_parts(year, month, day_, noticed)


def _parts(text: str) -> tuple[str | None, str | None, str | None]:
    """Return year, month and day of a date in numbers, as far as it tells them; the text where it is none."""
    if found := _SOLID.fullmatch(text) or _PARTS.match(text):
        return found[1], found[2], found[3]
    if (found := _YEAR_LAST.fullmatch(text)) is None:
        return text, None, None
    one, mark, other, year = found.groups()
    if mark == "." or int(one) > _MONTHS_OF_A_YEAR or one == other:
        return year, other, one
    return (year, one, other) if int(other) > _MONTHS_OF_A_YEAR else (year, None, None)


def _number(value: object) -> int | None:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _month(value: object) -> int | None:
    if isinstance(value, str) and value.strip()[:3].lower() in _MONTHS:
        return _MONTHS.index(value.strip()[:3].lower()) + 1
    return _number(value)


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
