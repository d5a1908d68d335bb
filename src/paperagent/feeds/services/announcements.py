"""arXiv's daily announcements: ``arxiv-rss:cs.AI+cs.CL``, or their address at rss.arxiv.org.

The feed holds the papers of one day of announcement and nothing older (https://info.arxiv.org/help/rss.html).
It is empty on Saturdays, Sundays and some holidays. After a run that missed such days, a note says which, and
which feed still has their papers.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zoneinfo
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from paperagent.errors import FeedError
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.arxiv import RATE_LIMIT, arxiv_reasons, categories_in
from paperagent.feeds.services.error_text import feed_error
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    RetryableError,
    Service,
    ServiceQuery,
    ServiceResponse,
    is_day,
)
from paperagent.feeds.strict_xml import BrokenXmlError

RSS_URL = "https://rss.arxiv.org/atom"
WEEKEND_NOTE = "arXiv announces nothing on Saturdays and Sundays"
HOLIDAY_NOTE = "no papers today; arXiv pauses on some holidays"

_HOSTS = frozenset({"rss.arxiv.org", "export.arxiv.org", "arxiv.org"})
_PATH = re.compile(r"/(?:rss|atom)/([A-Za-z.+*-]{1,200})")
_ENTRY = re.compile(rb"<(?:\w{1,20}:)?(?:entry|item)\b")
_DATE = re.compile(rb"<(?P<name>pubDate|lastBuildDate|updated)>\s*(?P<date>[^<]{1,60})</")
_FRIDAY = 4
_MAX_DAYS_LISTED = 366
_SUBMITTED_BEFORE = dt.timedelta(days=4)
"""How long before its announcement a paper may have been submitted, over a weekend."""


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the text names no category."""
    if not categories_in(query):
        raise FeedError(f"{query.label}: not an arXiv category; write arxiv-rss:cs.AI+cs.CL")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the page of the current day, the only page that the service has. The state is that day."""
    check(query)
    categories = "+".join(categories_in(query))
    url = f"{client.config.base_urls.get('arxiv-rss', RSS_URL)}/{categories}"

    def parse(response: ServiceResponse) -> FeedPage:
        return day_page(response, parse_entries(response), state, categories)

    with arxiv_reasons(query.label):
        page = client.fetch(url, parse, label=query.label, rate_limit=RATE_LIMIT)
    yield page


def today() -> dt.date:
    """Return the current day in arXiv's time zone: the feed of a day appears at midnight there."""
    return dt.datetime.now(zoneinfo.ZoneInfo("America/New_York")).date()


def categories_of_address(url: str) -> str | None:
    """Return the categories if ``url`` is the address of arXiv's announcements, else None."""
    parts = urlsplit(url)
    match = _PATH.fullmatch(parts.path)
    return match[1] if match and parts.hostname in _HOSTS else None


def parse_entries(response: ServiceResponse) -> list[FeedEntry]:
    """Return the papers of a feed, Atom or RSS; raise FeedError if it reports an error."""
    from paperagent.feeds.reader import parse_feed

    if reason := feed_error(response.body):
        raise FeedError(f"{response.label}: arXiv said: {reason}; change the query")
    text = response.text().lstrip()
    if not text.startswith("<"):
        raise RetryableError("the response is not XML")
    if not _ENTRY.search(response.body) and text.rstrip().endswith(("</feed>", "</rss>", "/>")):
        return []
    try:
        return parse_feed(io.BytesIO(response.body), response.label)
    except BrokenXmlError as error:
        raise response.retryable(error) from None


def day_page(
    response: ServiceResponse, entries: list[FeedEntry], state: ResumeState, categories: str
) -> FeedPage:
    """Return the page of a day. Its note says why the day is empty, and which earlier days are missing."""
    day = _feed_day(response.body) or today()
    empty = "" if entries else WEEKEND_NOTE if day.weekday() > _FRIDAY else HOLIDAY_NOTE
    note = "; ".join(filter(None, (empty, _gap_note(state, day, categories))))
    return FeedPage(entries, {"day": day.isoformat()}, len(entries), note)


def _feed_day(body: bytes) -> dt.date | None:
    """Return the day that an RSS feed says it is for, or the day in New York of an Atom feed's date."""
    head = _ENTRY.split(body[:20_000], maxsplit=1)[0]
    dates = {
        match["name"]: match["date"].decode("ascii", "replace").strip() for match in _DATE.finditer(head)
    }
    try:
        if published := dates.get(b"pubDate"):
            return parsedate_to_datetime(published).date()  # midnight with arXiv's own offset
        if updated := dates.get(b"updated"):
            return dt.datetime.fromisoformat(updated).astimezone(zoneinfo.ZoneInfo("America/New_York")).date()
    except (ValueError, OverflowError):
        return None
    return None


def _gap_note(state: ResumeState, day: dt.date, categories: str) -> str:
    """Return which announcements between the last run and ``day`` were missed; "" if none were."""
    if not is_day(last := state.get("day")):
        return ""
    first = dt.date.fromisoformat(last) + dt.timedelta(days=1)
    span = min((day - first).days, _MAX_DAYS_LISTED)
    missed = [d for d in (day - dt.timedelta(days=n) for n in range(span, 0, -1)) if d.weekday() <= _FRIDAY]
    if not missed:
        return ""
    days = f"on {missed[0]}" if len(missed) == 1 else f"from {missed[0]} to {missed[-1]}"
    source = f"arxiv:{categories.replace('+', ',')}?from={missed[0] - _SUBMITTED_BEFORE}"
    return (
        f"not read since {last}, and this feed has one day only: the papers announced {days} are missing; "
        f"read them with '{source}'"
    )


SERVICE = Service("arxiv-rss", frozenset(), check, pages)
