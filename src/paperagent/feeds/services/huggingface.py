"""``hf-daily:2026-W47``, ``hf-daily:2026-11-20`` or ``hf-daily:2026-11``: Hugging Face's Daily Papers.

``hf-daily:`` without a period reads every week since the last complete run, the current one included; the
first run begins a week ago. A period refers to ``submittedOnDailyAt``, the day on which a paper was listed,
not to its publication.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import dates, strict_json
from paperagent.feeds.formats.huggingface import convert
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    Service,
    ServiceQuery,
    ServiceResponse,
    fingerprint,
    is_day,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.types import Paper

SCHEME = "hf-daily"
API_URL = "https://huggingface.co/api/daily_papers"
RATE_LIMIT = RateLimit("huggingface", 0.6)
"""500 requests in five minutes."""
PAGE_SIZE = 100

MAX_DAYS = 366
"""How far back a run without a period reads."""
FIRST_DAYS = 7
"""How far back the first one reads."""

_FRIDAY = 4
_MAX_PAGES = 50
_WEEK = r"\d{4}-W\d\d"


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the text is not a day, week or month."""
    _period(query)


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of the period, or else of all weeks since the last run.

    The state is ``{"period", "p", "seen"}`` between two pages. At the end it is empty, or without a period
    ``{"next"}``: the day from which the next run reads, for which a week that failed is read again.
    """
    if (period := _period(query)) is not None:
        yield from _period_pages(period, query, client, state, done={})
        return
    today, last = dates.today(), _first_day(state)
    first = max(last, today - dt.timedelta(days=MAX_DAYS))
    note = (
        f"read from {first} on, although the last run was before: give older weeks, as in hf-daily:2026-W47"
    )
    monday = first - dt.timedelta(days=first.weekday())
    while monday <= today:
        week = _week(monday)
        monday += dt.timedelta(days=7)
        resumed = state if state.get("period") == week else {}
        for page in _period_pages(
            week, query, client, resumed, done={"next": min(monday, today).isoformat()}
        ):
            yield replace(page, note=note) if first > last else page
            last = first  # one note is enough


def _first_day(state: ResumeState) -> dt.date:
    """Return the day from which a run without a period reads."""
    today, following, interrupted = dates.today(), state.get("next"), state.get("period")
    if is_day(following):
        return min(dt.date.fromisoformat(following), today)
    if isinstance(interrupted, dict) and re.fullmatch(_WEEK, name := str(interrupted.get("week"))):
        return min(dt.date.fromisocalendar(int(name[:4]), int(name[6:]), 1), today)
    return today - dt.timedelta(days=FIRST_DAYS)


def _week(day: dt.date) -> dict[str, str]:
    year, week, _ = day.isocalendar()
    return {"week": f"{year}-W{week:02d}"}


def _period_pages(
    period: dict[str, str],
    query: ServiceQuery,
    client: FeedClient,
    state: ResumeState,
    *,
    done: ResumeState,
) -> Iterator[FeedPage]:
    """Yield the pages of a period from a state on; the last one has the state ``done``."""
    last_page = str(state.get("seen", ""))
    for number in range(int(state.get("p", 0)), _MAX_PAGES):
        items = client.fetch(
            client.config.base_urls.get(SCHEME, API_URL),
            _parse,
            label=query.label,
            rate_limit=RATE_LIMIT,
            params={**period, "limit": PAGE_SIZE, "p": number},
        )
        mark = fingerprint(items)
        if mark == last_page:  # the server ignores the page number for this period
            yield FeedPage([], done)
            return
        last_page = mark
        entries = list(_convert_items(items, period))
        max_records = query.max_records(_MAX_PAGES * PAGE_SIZE)
        if len(items) < PAGE_SIZE or (number + 1) * PAGE_SIZE >= max_records:
            yield FeedPage(entries, done, note="" if items or number else _empty_note(period))
            return
        yield FeedPage(entries, {"period": period, "p": number + 1, "seen": last_page})
    raise FeedError(f"{query.label}: more than {_MAX_PAGES} pages; ask for a shorter period")


def _empty_note(period: dict[str, str]) -> str:
    """Return why a day has no papers; "" for a week or month."""
    if "date" not in period:
        return ""
    day = dt.date.fromisoformat(period["date"])
    if day.weekday() > _FRIDAY:
        return f"{day} is a {day:%A}: Hugging Face lists no papers on Saturdays and Sundays"
    if day >= dates.today():
        return f"no papers are listed for {day} yet"
    return f"no papers were listed on {day}; Hugging Face pauses on some holidays"


def _parse(response: ServiceResponse) -> list[Any]:
    return response.json_list("Hugging Face")


def _convert_items(items: list[Any], period: dict[str, str]) -> Iterator[FeedEntry]:
    """Yield the papers; if the period is a single day, papers without a listing day get it."""
    day = dates.parse_day(period.get("date"), set())
    for entry in strict_json.parse_items(items, convert):
        if isinstance(entry, Paper) and entry.listed is None and day is not None:
            yield replace(entry, listed=day)
        else:
            yield entry


def _period(query: ServiceQuery) -> dict[str, str] | None:
    """Return the parameter of the API for the period; None if the query names none."""
    text = query.text
    if not text:
        return None
    try:
        if re.fullmatch(_WEEK, text):
            dt.date.fromisocalendar(int(text[:4]), int(text[6:]), 1)
            return {"week": text}
        if re.fullmatch(r"\d{4}-\d\d", text):
            dt.date(int(text[:4]), int(text[5:]), 1)
            return {"month": text}
        return {"date": dt.date.fromisoformat(text).isoformat()}
    except ValueError:
        raise FeedError(
            f"{query.label}: not a day, week or month; "
            "write hf-daily:2026-W47, hf-daily:2026-11-20 or hf-daily:2026-11"
        ) from None


SERVICE = Service(SCHEME, frozenset({"max"}), check, pages)
