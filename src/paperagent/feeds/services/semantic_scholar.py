"""``s2:retrieval augmented generation?year=2026`` or ``s2:ARXIV:2508.13426``: Semantic Scholar's graph.

See https://api.semanticscholar.org/api-docs/graph. A search returns at most 1,000 papers, many of them
without an abstract.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from urllib.parse import quote

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids, strict_json
from paperagent.feeds.formats.semantic_scholar import convert
from paperagent.feeds.record import JsonObject
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    Service,
    ServiceQuery,
    ServiceResponse,
    is_day,
)
from paperagent.feeds.services.rate_limit import RateLimit

SCHEME = "s2"
API_URL = "https://api.semanticscholar.org/graph/v1"
RATE_LIMIT = RateLimit("semanticscholar", 1.1)
PAGE_SIZE = 100
MAX_RECORDS = 1_000
"""Maximum number of papers that Semantic Scholar returns for one search."""

_FIELDS = "title,abstract,year,publicationDate,venue,authors.name,externalIds,url,publicationTypes"
_PAPER_ID = re.compile(r"(?:arxiv|doi|pmid|acl|corpusid|url|mag|pmcid):\S+|[0-9a-f]{40}", re.IGNORECASE)
_OVERLAP = dt.timedelta(days=30)
"""How long before the last run the next one begins: papers are indexed weeks after their publication."""
_PASSED_OPTIONS = ("year", "fieldsOfStudy", "venue")


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the query is empty."""
    if not query.text:
        raise FeedError(f"{query.label}: the query is empty; write s2:WORDS or s2:ARXIV:2508.13426")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield one paper, or the pages of a search.

    The state is ``{"offset"}`` between two pages. It is empty at the end, so that the next run reads the
    search again; after a search with more papers than one search returns, it is ``{"mark"}``, the day of the
    run, and the next run asks for what was published since.
    """
    check(query)
    base_url, key = client.config.base_urls.get(SCHEME, API_URL), client.config.keys.get(SCHEME)

    def fetch(path: str, params: dict[str, str | int]) -> JsonObject:
        return client.fetch(
            base_url + path,
            _parse,
            label=query.label,
            rate_limit=RATE_LIMIT,
            params=params,
            headers={"x-api-key": key} if key else {},
        )

    if (paper_id := _paper_id(query.text)) is not None:
        record = fetch(f"/paper/{quote(paper_id, safe=':')}", {"fields": _FIELDS})
        yield FeedPage(list(strict_json.parse_items([record], convert)), {}, 1)
        return
    limit = min(query.max_records(MAX_RECORDS), MAX_RECORDS)
    offset = int(state.get("offset", 0))
    last_run = {"mark": min(state["mark"], dates.today().isoformat())} if is_day(state.get("mark")) else {}
    filters = _filters(query, last_run.get("mark"))
    while offset < limit:
        params: dict[str, str | int] = {"query": query.text, "fields": _FIELDS, "offset": offset}
        page = fetch("/paper/search", {**params, **filters, "limit": min(PAGE_SIZE, limit - offset)})
        records = page.get("data") or []
        if not isinstance(records, list):
            raise FeedError(f"{query.label}: a response without a list of papers; run it again later")
        total = page.get("total") if isinstance(page.get("total"), int) else None
        next_offset = page.get("next")
        entries = list(strict_json.parse_items(records, convert))
        if not isinstance(next_offset, int) or next_offset <= offset or next_offset >= limit:
            is_cut = (total or 0) > limit
            mark = {"mark": dates.today().isoformat()} if is_cut or last_run else {}
            yield FeedPage(entries, mark, total, _cut_note(total or 0, limit) if is_cut else "")
            return
        offset = next_offset
        yield FeedPage(entries, {**last_run, "offset": offset}, total)


def _cut_note(total: int, limit: int) -> str:
    fix = "raise max" if limit < MAX_RECORDS else "narrow the search with ?year=, ?venue=, ?from= or ?until="
    return (
        f"read {limit:,} of {total:,} papers (Semantic Scholar gives {MAX_RECORDS:,} for a search); for the "
        f"others, {fix}; the next run asks for papers from {_OVERLAP.days} days before this one on"
    )


def _paper_id(text: str) -> str | None:
    """Return the id of one paper as the service writes it; None if ``text`` is a search."""
    if arxiv := ids.parse_arxiv_id(text):
        return f"ARXIV:{arxiv.id}"
    if len(text.split()) == 1 and (doi := ids.parse_doi(text)):
        return f"DOI:{doi}"
    if text.startswith(("https://", "http://")):
        return f"URL:{text}"
    return text if _PAPER_ID.fullmatch(text) else None


def _parse(response: ServiceResponse) -> JsonObject:
    return response.json_object("Semantic Scholar")


def _filters(query: ServiceQuery, mark: str | None) -> dict[str, str]:
    filters = {name: query.options[name] for name in _PASSED_OPTIONS if name in query.options}
    since = (dt.date.fromisoformat(mark) - _OVERLAP).isoformat() if mark else ""
    first, last = max(query.options.get("from", ""), since), query.options.get("until", "")
    return filters | ({"publicationDateOrYear": f"{first}:{last}"} if first or last else {})


SERVICE = Service(SCHEME, frozenset({*_PASSED_OPTIONS, "from", "until", "max"}), check, pages)
