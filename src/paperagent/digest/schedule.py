"""The periods that issues cover (days, weeks, months)."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import NoReturn

from paperagent.digest.issue import Period
from paperagent.digest.preferences import Frequency
from paperagent.errors import InputError, visible

_WEEK = re.compile(r"([0-9]{4})-?[Ww]([0-9]{2})")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_ONE_DAY = dt.timedelta(days=1)


def parse_week(text: str) -> Period:
    """Return the ISO week (ISO 8601, Monday to Sunday) that ``text`` names, such as ``2026-W26``.

    Raises:
        InputError: ``text`` is not a calendar week.
    """
    match = _WEEK.fullmatch(text.strip())
    if not match:
        raise InputError(f"week {visible(text, limit=40)}: not an ISO week; write it like 2026-W26")
    year, week = int(match[1]), int(match[2])
    name = f"{year:04}-W{week:02}"
    try:
        monday = dt.date.fromisocalendar(year, week, 1)
        return Period(name, monday, monday + 6 * _ONE_DAY)
    except (ValueError, OverflowError):
        raise InputError(f"week {name}: no such week; weeks go from W01 to W52 or W53") from None


def week_of(day: dt.date) -> Period:
    """Return the ISO week that contains ``day``."""
    year, week, _ = day.isocalendar()
    return parse_week(f"{year:04}-W{week:02}")


def parse_month(text: str) -> Period:
    """Return the calendar month that ``text`` names, such as ``2026-06``.

    Raises:
        InputError: ``text`` is not a month.
    """
    match = _MONTH.fullmatch(text.strip())
    try:
        return month_of(dt.date(int(match[1]), int(match[2]), 1)) if match else _no_month(text)
    except (ValueError, OverflowError):
        return _no_month(text)


def _no_month(text: str) -> NoReturn:
    raise InputError(
        f"month {visible(text, limit=40)}: not a calendar month; write it like 2026-06"
    ) from None


def month_of(day: dt.date) -> Period:
    """Return the calendar month that contains ``day``."""
    last = calendar.monthrange(day.year, day.month)[1]
    return Period(f"{day:%Y-%m}", day.replace(day=1), day.replace(day=last))


def days_between(since: dt.date, until: dt.date) -> Period:
    """Return the period from ``since`` to ``until``, inclusive; a whole week or month gets its name.

    Raises:
        InputError: ``since`` is after ``until``.
    """
    if since > until:
        raise InputError(f"period: ends on {until}, before it begins on {since}; swap the two days")
    if since == until:
        return Period(since.isoformat(), since, until)
    if since.isoweekday() == 1 and (until - since).days == 6:
        return week_of(since)
    if month_of(since) == Period(f"{since:%Y-%m}", since, until):
        return month_of(since)
    return Period(f"{since.isoformat()}..{until.isoformat()}", since, until)


def last_full_week(today: dt.date) -> Period:
    """Return the last ISO week that ended before ``today``."""
    try:
        return week_of(today - 7 * _ONE_DAY)
    except OverflowError as error:
        raise InputError(f"day {today}: no week before it") from error


def last_full_period(frequency: Frequency, today: dt.date) -> Period:
    """Return the last day, ISO week or month that ended before ``today``.

    Raises:
        InputError: no such day; ``today`` is at the beginning of the calendar.
    """
    if frequency == "weekly":
        return last_full_week(today)
    try:
        if frequency == "monthly":
            return month_of(today.replace(day=1) - _ONE_DAY)
        return days_between(today - _ONE_DAY, today - _ONE_DAY)
    except OverflowError as error:
        raise InputError(f"day {today}: no day before it") from error


def frequency_of(period: Period) -> Frequency | None:
    """Return the frequency of the subscribers who get issues of this length; None for any other span of days.

    Any seven days count as a week, also if they do not begin on a Monday.
    """
    days = (period.until - period.since).days + 1
    if period == month_of(period.since):
        return "monthly"
    return "daily" if days == 1 else "weekly" if days == 7 else None


def choose_period(
    name: str | None, since: dt.date | None, until: dt.date | None, *, today: dt.date
) -> Period:
    """Return the period that the arguments name, or else the last full week.

    Raises:
        InputError: no such week or month, only one of ``since`` and ``until``, or several periods.
    """
    if name is not None and (since or until):
        raise InputError("digest: cannot combine a week with since or until; give one of them")
    if name is not None:
        return parse_month(name) if _MONTH.fullmatch(name.strip()) else parse_week(name)
    if since is None and until is None:
        return last_full_week(today)
    if since is None or until is None:
        raise InputError("digest: give both since and until, or a week")
    return days_between(since, until)
