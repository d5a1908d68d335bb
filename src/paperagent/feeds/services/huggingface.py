"""``hf-daily:2026-W47``, ``hf-daily:2026-11-20`` or ``hf-daily:2026-11``: Hugging Face's Daily Papers.

Without a period it is the present week. The period is that of ``submittedOnDailyAt``, the day on which
the paper was listed, not of its publication.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from paperagent.errors import FeedError, visible
from paperagent.feeds import dates, strict_json
from paperagent.feeds.formats import huggingface_json
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery, fingerprint, json_of
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.services.response import RetryableError, ServiceResponse
from paperagent.types import Paper

SCHEME = "hf-daily"
BASE = "https://huggingface.co/api/daily_papers"
OPTIONS = frozenset({"max"})
PACE = RateLimit("huggingface", 0.6)
"""500 requests in five minutes."""
PAGE_SIZE = 100

_MOST_PAGES = 50


def check(query: ServiceQuery) -> None:
    """Raise FeedError where the text is no day, week or month."""
    _period(query)


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the period page by page; one that was left in its middle is finished before today's is begun.

    ``state`` is ``{"period", "p", "seen"}`` in the middle, empty at the end.
    """
    asked = _period(query)
    left = state.get("period")
    if isinstance(left, dict) and left != asked:
        yield from _of_period(left, query, client, state)
        state = {}
    yield from _of_period(asked, query, client, state)


def _of_period(
    period: dict[str, str], query: ServiceQuery, client: FeedClient, state: ResumeState
) -> Iterator[FeedPage]:
    seen = str(state.get("seen", ""))
    for number in range(int(state.get("p", 0)), _MOST_PAGES):
        items = client.get(
            client.access.urls.get(SCHEME, BASE),
            _read,
            label=query.label,
            pace=PACE,
            params={**period, "limit": PAGE_SIZE, "p": number},
        )
        mark = fingerprint(items)
        if mark == seen:  # the server does not turn pages for this period
            yield FeedPage([], {})
            return
        seen = mark
        entries = list(_entries(items, period))
        if len(items) < PAGE_SIZE or (number + 1) * PAGE_SIZE >= query.most(_MOST_PAGES * PAGE_SIZE):
            yield FeedPage(entries, {})
            return
        yield FeedPage(entries, {"period": period, "p": number + 1, "seen": seen})
    raise FeedError(f"{query.label}: more than {_MOST_PAGES} pages; ask for a shorter period")


def _read(reply: ServiceResponse) -> list[Any]:
    found = json_of(reply)
    if isinstance(found, dict):
        said = found.get("error")
        raise FeedError(
            f"{reply.label}: Hugging Face said: {visible(str(said), limit=120)}; change the period"
        )
    if not isinstance(found, list):
        raise RetryableError("the answer is no list")
    return found


def _entries(items: list[Any], period: dict[str, str]) -> Iterator[FeedEntry]:
    day = dates.parse_day(period.get("date"), set())
    for entry in strict_json.parse_items(items, huggingface_json.convert):
        known = isinstance(entry, Paper) and entry.listed is None and day is not None
        yield replace(entry, listed=day) if known and isinstance(entry, Paper) else entry


def _period(query: ServiceQuery) -> dict[str, str]:
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
            f"{query.label}: no period; write hf-daily:2026-W47, hf-daily:2026-11-20 or hf-daily:2026-11"
        ) from None
