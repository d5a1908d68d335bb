"""``s2:retrieval augmented generation?year=2026`` or ``s2:ARXIV:2508.13426``: Semantic Scholar's graph.

(https://api.semanticscholar.org/api-docs/graph). A search gives at most 1,000 papers; many have no abstract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from paperagent.errors import FeedError
from paperagent.feeds import dates, ids, strict_json
from paperagent.feeds.record import (
    JsonObject,
    arxiv_and_doi,
    choose_paper_id,
    clean_abstract,
    clean_names,
    clean_title,
    flags,
    marked_retracted,
    paper_url,
)
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery, json_of
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.services.response import RetryableError, ServiceResponse
from paperagent.types import RETRACTED, Paper

SCHEME = "s2"
NAME = "semantic-scholar"
BASE = "https://api.semanticscholar.org/graph/v1"
OPTIONS = frozenset({"year", "fieldsOfStudy", "venue", "from", "until", "max"})
PACE = RateLimit("semanticscholar", 1.1)
PAGE_SIZE = 100
GIVEN_AT_MOST = 1_000

_FIELDS = "title,abstract,year,publicationDate,venue,authors.name,externalIds,url,publicationTypes"
_ONE = re.compile(r"(?:arxiv|doi|pmid|acl|corpusid|url|mag|pmcid):\S+|[0-9a-f]{40}", re.IGNORECASE)


def check(query: ServiceQuery) -> None:
    """Raise FeedError where nothing is asked for."""
    if not query.text:
        raise FeedError(f"{query.label}: no search; write s2:WORDS or s2:ARXIV:2508.13426")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield one paper, or a search page by page; ``state`` is ``{"offset"}`` in the middle."""
    check(query)
    base, key = client.access.urls.get(SCHEME, BASE), client.access.keys.get(SCHEME)
    headers = {"x-api-key": key} if key else {}

    def ask(path: str, params: dict[str, str | int]) -> Any:
        return client.get(base + path, _object, label=query.label, pace=PACE, params=params, headers=headers)

    if _ONE.fullmatch(query.text):
        found = ask(f"/paper/{quote(query.text, safe=':')}", {"fields": _FIELDS})
        yield FeedPage(list(strict_json.parse_items([found], convert)), {}, 1)
        return
    most = min(query.most(GIVEN_AT_MOST), GIVEN_AT_MOST)
    offset = int(state.get("offset", 0))
    while offset < most:
        asked: dict[str, str | int] = {"query": query.text, "fields": _FIELDS, "offset": offset}
        asked |= _limits(query)
        answer = ask("/paper/search", {**asked, "limit": min(PAGE_SIZE, most - offset)})
        found = answer.get("data") or []
        if not isinstance(found, list):
            raise FeedError(f"{query.label}: an answer without a list of papers; run it again later")
        total = answer.get("total") if isinstance(answer.get("total"), int) else None
        following = answer.get("next")
        entries = list(strict_json.parse_items(found, convert))
        if not isinstance(following, int) or following <= offset or following >= most:
            note = f"Semantic Scholar gives {GIVEN_AT_MOST:,} papers of a search" if following else ""
            yield FeedPage(entries, {}, total, note if (total or 0) > GIVEN_AT_MOST else "")
            return
        offset = following
        yield FeedPage(entries, {"offset": offset}, total)


def convert(record: JsonObject) -> Paper:
    """Return the paper of one record."""
    noticed: set[str] = set()
    title = clean_title(record.get("title"), noticed)
    abstract = clean_abstract(record.get("abstract"), noticed)
    external = record.get("externalIds")
    others: JsonObject = external if isinstance(external, dict) else {}
    found, doi = arxiv_and_doi(others.get("ArXiv"), others.get("DOI"))
    native = _native(record, others)
    gone = marked_retracted(title)
    if gone:
        noticed.add(RETRACTED)
    authors = record.get("authors")
    published = dates.parse_day(record.get("publicationDate"), noticed)
    return Paper(
        paper_id=choose_paper_id(found, doi, native, (title, abstract)),
        title=title,
        abstract=abstract,
        authors=clean_names([a.get("name") for a in authors if isinstance(a, dict)], noticed)
        if isinstance(authors, list)
        else (),
        published=published or dates.day_from_parts(record.get("year"), None, None, noticed),
        url=paper_url(found, doi, record.get("url"), noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        sources=(NAME,),
        withdrawn=gone,
        flags=flags(noticed),
    )


def _native(record: JsonObject, others: JsonObject) -> str | None:
    """Return the id of the place that a reader may know best."""
    named = (("acl", others.get("ACL")), ("pmid", others.get("PubMed")), ("s2", record.get("paperId")))
    return next((found for scheme, text in named if (found := ids.service_id(scheme, text))), None)


def _object(reply: ServiceResponse) -> JsonObject:
    found = json_of(reply)
    if not isinstance(found, dict):
        raise RetryableError("the answer is no object")
    return found


def _limits(query: ServiceQuery) -> dict[str, str]:
    limits: dict[str, str] = {
        str(name): query.options[name] for name in ("year", "fieldsOfStudy", "venue") if name in query.options
    }
    if {"from", "until"} & query.options.keys():
        limits["publicationDateOrYear"] = f"{query.options.get('from', '')}:{query.options.get('until', '')}"
    return limits
