"""Weeks and spans of days."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.digest.issue import Period
from paperagent.digest.schedule import days_between, last_full_week, parse_week, week_of
from paperagent.errors import InputError

DAYS = st.dates(dt.date(1950, 1, 1), dt.date(2190, 1, 1))


def test_a_week_goes_from_monday_to_sunday() -> None:
    """ISO 8601: the first week of 2026 begins in 2025."""
    assert parse_week("2026-W01") == Period("2026-W01", dt.date(2025, 12, 29), dt.date(2026, 1, 4))
    assert parse_week("2026-W53").until == dt.date(2027, 1, 3)


@pytest.mark.parametrize("text", ["2026-W26", "2026W26", " 2026-w26 "])
def test_a_week_may_be_written_loosely(text: str) -> None:
    """Without the hyphen, in small letters, with space around it."""
    assert parse_week(text).name == "2026-W26"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "W26",
        "2026-26",
        "2026-W6",
        "2025-W53",
        "2026-W00",
        "2026-W99",
        "0000-W10",
        "9999-W53",
        "２０２６-W26",
        "x\x1b[2J",
    ],
)
def test_what_is_no_week_is_refused_in_one_line(text: str) -> None:
    """The error says what a week looks like, and shows no control character."""
    with pytest.raises(InputError) as caught:
        parse_week(text)
    assert str(caught.value).startswith("week ")
    assert str(caught.value).isprintable()


@given(DAYS)
def test_every_day_lies_in_its_week(day: dt.date) -> None:
    """Its name leads back to it."""
    week = week_of(day)
    assert week.since <= day <= week.until
    assert (week.since.isoweekday(), week.until.isoweekday()) == (1, 7)
    assert parse_week(week.name) == week == days_between(week.since, week.until)


@given(DAYS)
def test_the_current_week_is_the_last_whole_one(today: dt.date) -> None:
    """It is over, and less than two weeks old."""
    week = last_full_week(today)
    assert week.until < today <= week.until + dt.timedelta(days=7)


def test_spans_are_named_by_their_days() -> None:
    """One day by that day, others by first and last."""
    day = dt.date(2026, 6, 24)
    assert days_between(day, day).name == "2026-06-24"
    assert days_between(day, dt.date(2026, 6, 30)).name == "2026-06-24..2026-06-30"


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    """The error names both days."""
    with pytest.raises(InputError, match="ends on 2026-06-23, before it begins on 2026-06-24"):
        days_between(dt.date(2026, 6, 24), dt.date(2026, 6, 23))


def test_there_is_no_week_before_the_first() -> None:
    """The end of the calendar is an error of the input."""
    with pytest.raises(InputError, match="no week before"):
        last_full_week(dt.date(1, 1, 3))
