"""Parse the dates of feeds into UTC days."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

from paperagent.types import PARTIAL_DATE

BAD_DATE = "bad-date"
FUTURE_DATE = "future-date"

_MIN_YEAR = 1900
_MONTHS_PER_YEAR = 12
_MONTH_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_YEAR_FIRST = re.compile(r"\D*?(\d{4})(?:\s*[-/.]\s*(\d{1,2})(?:\s*[-/.]\s*(\d{1,2}))?)?(?!\d)")
_COMPACT = re.compile(r"\s*(\d{4})(\d\d)(\d\d)\s*", re.ASCII)
_YEAR_LAST = re.compile(r"\s*(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\s*", re.ASCII)
_MONTH_AND_YEAR = re.compile(r"\s*(0?[1-9]|1[0-2])[-/. ](\d{4})\s*", re.ASCII)
_MAX_LENGTH = 64


def today() -> dt.date:
    """Return the current UTC day."""
    return dt.datetime.now(dt.UTC).date()


def parse_day(value: object, flags: set[str]) -> dt.date | None:
    """Return the UTC day of an ISO 8601 or RFC 822 date.

    A date without a time is used unchanged. A time without an offset is rejected because its UTC day is
    ambiguous.

    Args:
        value: the date as the feed gives it. None and "" mean that there is none.
        flags: receives ``bad-date`` if ``value`` is not a date, and ``future-date`` if the day is later
            than tomorrow.
    """
    if value is None or value == "":
        return None
    day = _parse_strict(value) if isinstance(value, str) and len(value) <= _MAX_LENGTH else None
    if day is None:
        flags.add(BAD_DATE)
    elif day > today() + dt.timedelta(days=1):
        flags.add(FUTURE_DATE)
    return day


def day_from_parts(year: object, month: object, day: object, flags: set[str]) -> dt.date | None:
    """Return the day for a year, a month (a number or a name) and a day, or None without a year.

    A missing month or day counts as 1 and adds the flag ``partial-date``.
    """
    year_number, month_number, day_number = _number(year), _month_number(month), _number(day)
    if not year_number:
        if year not in (None, ""):
            flags.add(BAD_DATE)
        return None
    try:
        date = dt.date(year_number, month_number or 1, (month_number and day_number) or 1)
    except ValueError:
        date = None
    if date is None or date.year < _MIN_YEAR:
        flags.add(BAD_DATE)
        return None
    if not (month_number and day_number):
        flags.add(PARTIAL_DATE)
    return parse_day(date.isoformat(), flags)


def latest_day(month: str, day: str, year: str | None) -> dt.date | None:
    """Return the day with this month and day; without a year, the last one that is not in the future."""
    last = today() + dt.timedelta(days=1)
    years = [int(year)] if year else range(last.year, last.year - 8, -1)  # February 29
    for number in years:
        try:
            date = dt.date(number, _MONTH_NAMES.index(month[:3].lower()) + 1, int(day))
        except ValueError:
            continue
        if date <= last:
            return date
    return None


def parse_loose_day(text: object, flags: set[str]) -> dt.date | None:
    """Parse a date in one of the usual notations.

    Reads ``2023``, ``2023-05``, ``05/2023``, ``2023/05/17``, ``20230517``, ``17.05.2023`` and
    ``May 17, 2023``. Month and day of ``05/06/2023`` are ambiguous, so only its year is used.
    """
    if not isinstance(text, str) or not text.strip():
        return None
    if len(text) > _MAX_LENGTH:
        flags.add(BAD_DATE)
        return None
    if (date := _parse_strict(text)) is not None:
        return parse_day(date.isoformat(), flags)
    if month_name := re.search(r"[A-Za-z]{3,9}", text):
        numbers = re.findall(r"\d+", text)
        year = next((n for n in numbers if len(n) == 4), None)
        day = next((n for n in numbers if len(n) < 3), None)
        return day_from_parts(year, month_name[0], day, flags)
    return day_from_parts(*_split_numeric(text), flags)


def _split_numeric(text: str) -> tuple[str | None, str | None, str | None]:
    """Return year, month and day of a numeric date; ``text`` as the year if it is not one."""
    if match := _COMPACT.fullmatch(text) or _YEAR_FIRST.match(text):
        return match[1], match[2], match[3]
    if match := _MONTH_AND_YEAR.fullmatch(text):
        return match[2], match[1], None
    if (match := _YEAR_LAST.fullmatch(text)) is None:
        return text, None, None
    first, separator, second, year = match.groups()
    if separator == "." or int(first) > _MONTHS_PER_YEAR or first == second:
        return year, second, first
    return (year, first, second) if int(second) > _MONTHS_PER_YEAR else (year, None, None)


def _number(value: object) -> int | None:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _month_number(value: object) -> int | None:
    if isinstance(value, str) and value.strip()[:3].lower() in _MONTH_NAMES:
        return _MONTH_NAMES.index(value.strip()[:3].lower()) + 1
    return _number(value)


@lru_cache(maxsize=4096)
def _parse_strict(text: str) -> dt.date | None:
    text = text.strip()
    if len(text) == len("2026-11-21"):
        day = _parse_iso_date(text)
    else:
        moment = _parse_datetime(text)
        day = None if moment is None else _utc_day(moment)
    return day if day and day.year >= _MIN_YEAR else None


def _parse_iso_date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _parse_datetime(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return _parse_rfc822(text)


def _parse_rfc822(text: str) -> dt.datetime | None:
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
