"""``hf-daily:2026-W47``, ``hf-daily:2026-11-20`` or ``hf-daily:2026-11``: Hugging Face's Daily Papers.

The default is the current week. A period refers to ``submittedOnDailyAt``, the day on which a paper was
listed, not to its publication.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, strict_json
from paperagent.feeds.formats.huggingface import convert
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    RetryableError,
    Service,
    ServiceQuery,
    ServiceResponse,
    fingerprint,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.types import Paper

SCHEME = "hf-daily"
API_URL = "https://huggingface.co/api/daily_papers"
RATE_LIMIT = RateLimit("huggingface", 0.6)
"""500 requests in five minutes."""
PAGE_SIZE = 100

_MAX_PAGES = 50


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the text is not a day, week or month."""
    _period(query)


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of a period; an interrupted period is completed before the current one begins.

    The state is ``{"period", "p", "seen"}`` between two pages, and empty at the end.
    """
    period = _period(query)
    interrupted = state.get("period")
    if isinstance(interrupted, dict) and interrupted != period:
        yield from _period_pages(interrupted, query, client, state)
        state = {}
    yield from _period_pages(period, query, client, state)


def _period_pages(
    period: dict[str, str], query: ServiceQuery, client: FeedClient, state: ResumeState
) -> Iterator[FeedPage]:
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
            yield FeedPage([], {})
            return
        last_page = mark
        entries = list(_convert_items(items, period))
        max_records = query.max_records(_MAX_PAGES * PAGE_SIZE)
        if len(items) < PAGE_SIZE or (number + 1) * PAGE_SIZE >= max_records:
            yield FeedPage(entries, {})
            return
        yield FeedPage(entries, {"period": period, "p": number + 1, "seen": last_page})
    raise FeedError(f"{query.label}: more than {_MAX_PAGES} pages; ask for a shorter period")


def _parse(response: ServiceResponse) -> list[Any]:
    value = response.json()
    if isinstance(value, dict):
        message = visible(str(value.get("error")), limit=120)
        raise FeedError(f"{response.label}: Hugging Face said: {message}; change the period")
    if not isinstance(value, list):
        raise RetryableError("the response is not a list")
    return value


def _convert_items(items: list[Any], period: dict[str, str]) -> Iterator[FeedEntry]:
    """Yield the papers; if the period is a single day, papers without a listing day get it."""
    day = dates.parse_day(period.get("date"), set())
    for entry in strict_json.parse_items(items, convert):
        if isinstance(entry, Paper) and entry.listed is None and day is not None:
            yield replace(entry, listed=day)
        else:
            yield entry


def _period(query: ServiceQuery) -> dict[str, str]:
    """Return the parameter of the API for the period."""
    text = query.text
    if not text:
        year, week, _ = dates.today().isocalendar()
        return {"week": f"{year}-W{week:02d}"}
    try:
        if re.fullmatch(r"\d{4}-W\d\d", text):
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
