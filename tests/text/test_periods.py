"""Periods of time in English words."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from paperagent.text.periods import PERIOD, parse_period

TODAY = dt.date(2026, 7, 1)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("today", "2026-07-01", "2026-07-01"),
        ("from yesterday", "2026-06-30", "2026-06-30"),
        ("this week", "2026-06-29", "2026-07-05"),
        ("of last week", "2026-06-22", "2026-06-28"),
        ("in the last 3 days", "2026-06-29", None),
        ("the past week", "2026-06-25", None),
        ("last two weeks", "2026-06-18", None),
        ("posted last month", "2026-06-01", "2026-06-30"),
        ("this year", "2026-01-01", "2026-12-31"),
        ("since May", "2026-05-01", None),
        ("since December", "2025-12-01", None),
        ("since May 3rd", "2026-05-03", None),
        ("after 3 May 2025", "2025-05-04", None),
        ("before March", None, "2026-02-28"),
        ("until 2026-03", None, "2026-03-31"),
        ("in June 2026", "2026-06-01", "2026-06-30"),
        ("during 2025", "2025-01-01", "2025-12-31"),
        ("between May and June", "2026-05-01", "2026-06-30"),
        ("from 2025-01-02 to 2025-02-03", "2025-01-02", "2025-02-03"),
    ],
)
def test_a_period_has_a_first_and_a_last_day(text: str, first: str | None, last: str | None) -> None:
    assert re.fullmatch(PERIOD, text.lower())
    days = tuple(day and dt.date.fromisoformat(day) for day in (first, last))
    assert parse_period(text, TODAY) == days


@pytest.mark.parametrize("text", ["on June 31", "in the survey", "since it works", "may be", ""])
def test_what_is_no_period(text: str) -> None:
    assert parse_period(text, TODAY) is None
