"""Dates as days in UTC."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.feeds import dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-18", dt.date(2025, 3, 18)),
        ("2025-03-31T23:30:00.000Z", dt.date(2025, 3, 31)),
        ("2025-03-31T23:30:00-04:00", dt.date(2025, 4, 1)),
        ("Mon, 2 Apr 2007 19:18:42 GMT", dt.date(2007, 4, 2)),
        ("Mon, 2 Apr 2007 23:18:42 -0500", dt.date(2007, 4, 3)),
    ],
)
def test_dates_become_days_in_utc(text: str, expected: dt.date) -> None:
    """ISO and mail dates give the day it was in UTC."""
    noticed: set[str] = set()
    assert dates.parse_day(text, noticed) == expected
    assert not noticed


@pytest.mark.parametrize(
    "value",
    [
        "9999-99-99",
        "0000",
        "2025-03-31T23:30:00",
        "yesterday",
        20250331,
        "2026-02-30",
        "0001-01-01",
        "x" * 100,
        "9999-12-31T23:59:59-12:00",
        "Mon, 99 Foo 2007",
    ],
)
def test_what_is_no_day_is_none_and_flagged(value: object) -> None:
    """An impossible date, a time without its offset and a number raise ``bad-date``."""
    noticed: set[str] = set()
    assert dates.parse_day(value, noticed) is None
    assert noticed == {"bad-date"}


@pytest.mark.parametrize("value", [None, ""])
def test_no_date_is_no_fault(value: object) -> None:
    """A missing date raises no flag."""
    noticed: set[str] = set()
    assert dates.parse_day(value, noticed) is None
    assert not noticed


def test_a_future_day_is_kept_and_flagged() -> None:
    """A day after tomorrow is kept under ``future-date``; tomorrow is somebody's today."""
    noticed: set[str] = set()
    assert dates.parse_day("2199-01-01", noticed) == dt.date(2199, 1, 1)
    assert noticed == {"future-date"}
    tomorrow = dates.today() + dt.timedelta(days=1)
    noticed.clear()
    assert dates.parse_day(tomorrow.isoformat(), noticed) == tomorrow
    assert not noticed


@given(st.dates(dt.date(1900, 1, 1), dt.date(2026, 1, 1)))
def test_iso_days_round_trip(day: dt.date) -> None:
    """Every day since 1900 is read back from its ISO form."""
    assert dates.parse_day(day.isoformat(), set()) == day


@given(st.text(max_size=40))
def test_any_text_is_read_without_failing(text: str) -> None:
    """Whatever stands where a date should gives a day or the flag."""
    noticed: set[str] = set()
    assert (dates.parse_day(text, noticed) is not None) or noticed == {"bad-date"} or not text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260501", dt.date(2026, 5, 1)),
        ("17.05.2026", dt.date(2026, 5, 17)),
        ("05.06.2026", dt.date(2026, 6, 5)),
        ("05/17/2026", dt.date(2026, 5, 17)),
        ("17-05-2026", dt.date(2026, 5, 17)),
        ("5/5/2026", dt.date(2026, 5, 5)),
    ],
)
def test_days_are_read_as_people_write_them(text: str, expected: dt.date) -> None:
    """Without marks, or the year last, where only one reading is a day; after points the day is first."""
    noticed: set[str] = set()
    assert dates.parse_loose_day(text, noticed) == expected
    assert not noticed


@pytest.mark.parametrize("text", ["05/06/2026", "5-6-2026"])
def test_a_day_that_may_be_a_month_is_not_guessed(text: str) -> None:
    """The year is sure, and is kept."""
    noticed: set[str] = set()
    assert dates.parse_loose_day(text, noticed) == dt.date(2026, 1, 1)
    assert noticed == {"partial-date"}


@pytest.mark.parametrize("text", ["20261399", "31.02.2026", "123456", "99/99/2026", "1.2-2026"])
def test_numbers_that_are_no_day_are_none(text: str) -> None:
    """They are flagged."""
    noticed: set[str] = set()
    assert dates.parse_loose_day(text, noticed) is None
    assert noticed == {"bad-date"}
