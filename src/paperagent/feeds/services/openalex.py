"""``openalex:concepts.id:C41008148`` (a filter) or ``openalex:open retrieval`` (words): OpenAlex.

See https://docs.openalex.org/api-entities/works. A key is required, and OpenAlex only accepts it in the URL.
It is only added when the request is sent: no message or log shows a URL with its query.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids, strict_json
from paperagent.feeds.formats.openalex import convert
from paperagent.feeds.record import JsonObject
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    RetryableError,
    Service,
    ServiceQuery,
    ServiceRefusedError,
    ServiceResponse,
    fingerprint,
    is_day,
)
from paperagent.feeds.services.rate_limit import RateLimit

SCHEME = "openalex"
API_URL = "https://api.openalex.org"
RATE_LIMIT = RateLimit("openalex", 0.2)
PAGE_SIZE = 100
DEFAULT_MAX_RECORDS = 10_000

_BAD_REQUEST = 400
_FILTER = re.compile(r"[a-z_]+(?:\.[a-z_]+)*:\S")
_WORK_ID = re.compile(r"(?:https?://(?:api\.)?openalex\.org/(?:works/)?)?(W\d{1,12})", re.IGNORECASE)
_OVERLAP = dt.timedelta(days=30)
"""How long before the last run the next one begins: works are indexed weeks after their publication."""


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the query is empty."""
    if not query.text:
        raise FeedError(f"{query.label}: the query is empty; write openalex:FILTER or openalex:WORDS")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of works.

    The state is ``{"cursor", "read"}`` between two pages. It is empty at the end, so that the next run reads
    the search again; after one with more works than the limit, it is ``{"mark"}``, the day of the run, and
    the next run asks for what was published since, newest first.
    """
    check(query)
    key = client.config.keys.get(SCHEME)
    url = f"{client.config.base_urls.get(SCHEME, API_URL)}/works"
    if key is None and SCHEME not in client.config.base_urls:
        raise FeedError(f"{query.label}: OpenAlex needs a key; set PAPERAGENT_OPENALEX_KEY")
    cursor, count = str(state.get("cursor", "*")), int(state.get("read", 0))
    cursors = {fingerprint(cursor)}
    limit = query.max_records(DEFAULT_MAX_RECORDS)
    last_run: ResumeState = (
        {"mark": min(state["mark"], dates.today().isoformat())} if is_day(state.get("mark")) else {}
    )
    while True:
        params = {**_params(query, last_run.get("mark")), "per_page": PAGE_SIZE, "cursor": cursor}
        try:
            page = client.fetch(
                url,
                _parse,
                label=query.label,
                rate_limit=RATE_LIMIT,
                params=params | ({"api_key": key} if key else {}),
            )
        except ServiceRefusedError as error:
            if error.status != _BAD_REQUEST or cursor != state.get("cursor"):
                raise
            cursor, count, state = "*", 0, {}  # the stored cursor has expired
            cursors.clear()
            continue
        entries = list(strict_json.parse_items(page["results"], convert))
        count += len(entries)
        meta = page.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        total = meta.get("count") if isinstance(meta.get("count"), int) else None
        next_cursor = meta.get("next_cursor")
        if not isinstance(next_cursor, str) or not entries or count >= limit:
            is_cut = (total or 0) > count
            mark = {"mark": dates.today().isoformat()} if is_cut or last_run else {}
            yield FeedPage(entries, mark, total, _cut_note(count, total or 0) if is_cut else "")
            return
        if fingerprint(next_cursor) in cursors:
            yield FeedPage(entries, last_run, total)
            raise FeedError(f"{query.label}: the server repeats a cursor; run it again later")
        cursors.add(fingerprint(next_cursor))
        cursor = next_cursor
        yield FeedPage(entries, {**last_run, "cursor": cursor, "read": count}, total)


def _cut_note(count: int, total: int) -> str:
    return (
        f"read {count:,} of {total:,} works; for the others, raise max or narrow the search with ?from= or "
        f"?until=; the next run asks for works from {_OVERLAP.days} days before this one on"
    )


def _parse(response: ServiceResponse) -> JsonObject:
    value = response.json_object("OpenAlex")
    if not isinstance(value.get("results"), list):
        raise RetryableError("the response has no results")
    return value


def _params(query: ServiceQuery, mark: str | None) -> dict[str, str | int]:
    """Return the parameters for one work, a filter or words, and for what was published since ``mark``."""
    filters = []
    params: dict[str, str | int] = {}
    if (work := _work_filter(query.text)) is not None:
        filters.append(work)
    elif _FILTER.match(query.text):
        filters.append(query.text)
    else:
        params["search"] = query.text
    since = (dt.date.fromisoformat(mark) - _OVERLAP).isoformat() if mark else ""
    if first := max(query.options.get("from", ""), since):
        filters.append(f"from_publication_date:{first}")
    if mark:
        params["sort"] = "publication_date:desc"
    if "until" in query.options:
        filters.append(f"to_publication_date:{query.options['until']}")
    return params | ({"filter": ",".join(filters)} if filters else {})


def _work_filter(text: str) -> str | None:
    """Return the filter for a work's id in any writing; None if ``text`` is not the id of a work."""
    if arxiv := ids.parse_arxiv_id(text):
        return f"doi:10.48550/arxiv.{arxiv.id}"
    if len(text.split()) == 1 and (doi := ids.parse_doi(text)):
        return f"doi:{doi}"
    if match := _WORK_ID.fullmatch(text):
        return f"ids.openalex:{match[1].upper()}"
    return None


SERVICE = Service(SCHEME, frozenset({"from", "until", "max"}), check, pages)
