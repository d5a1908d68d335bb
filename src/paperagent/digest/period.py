"""The days that an issue covers: ISO weeks as a rule (ISO 8601: Monday to Sunday), else any span."""

from __future__ import annotations

import datetime as dt
import re

from paperagent.digest.issue import Period
from paperagent.errors import InputError, visible

_WEEK = re.compile(r"([0-9]{4})-?[Ww]([0-9]{2})")
_DAY = dt.timedelta(days=1)


def parse_week(text: str) -> Period:
    """Return the ISO week that ``text`` names, such as ``2026-W26``.

    Raises:
        InputError: it names none.
    """
    found = _WEEK.fullmatch(text.strip())
    if not found:
        raise InputError(f"week {visible(text, limit=40)}: not an ISO week; write it like 2026-W26")
    year, week = int(found[1]), int(found[2])
    name = f"{year:04}-W{week:02}"
    try:
        monday = dt.date.fromisocalendar(year, week, 1)
        return Period(name, monday, monday + 6 * _DAY)
    except (ValueError, OverflowError) as error:
        raise InputError(f"week {name}: no such week; weeks go from W01 to W52 or W53") from error


def week_of(day: dt.date) -> Period:
    """Return the ISO week that holds ``day``."""
    year, week, _ = day.isocalendar()
    return parse_week(f"{year:04}-W{week:02}")


def span(since: dt.date, until: dt.date) -> Period:
    """Return the days from ``since`` to ``until``, both included: a week has the name of a week.

    Raises:
        InputError: ``since`` is after ``until``.
    """
    if since > until:
        raise InputError(f"period: it begins on {since} and ends on {until}, before that; swap the two days")
    if since == until:
        return Period(since.isoformat(), since, until)
    if since.isoweekday() == 1 and (until - since).days == 6:
        return week_of(since)
    return Period(f"{since.isoformat()}..{until.isoformat()}", since, until)


def current_week(today: dt.date) -> Period:
    """Return the last ISO week that is over on ``today``."""
    try:
        return week_of(today - 7 * _DAY)
    except OverflowError as error:
        raise InputError(f"day {today}: no week before it") from error


def previous(period: Period) -> Period:
    """Return the period of the same length that ends on the day before ``period``.

    Raises:
        InputError: the calendar begins with ``period``.
    """
    try:
        until = period.since - _DAY
        return span(until - (period.until - period.since), until)
    except OverflowError as error:
        raise InputError(f"period {visible(period.name, limit=40)}: no day before it") from error
