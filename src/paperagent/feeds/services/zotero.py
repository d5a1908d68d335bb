"""``zotero:users/12345`` or ``zotero:groups/678/collections/ABCD2345``: a Zotero library.

(https://www.zotero.org/support/dev/web_api/v3/basics). After a whole run only what changed since the
library's version then is asked for. Attachments and notes are no papers and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery, fingerprint, json_of
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.services.response import RetryableError, ServiceResponse
from paperagent.types import RETRACTED, Paper

SCHEME = "zotero"
NAME = "zotero"
BASE = "https://api.zotero.org"
OPTIONS = frozenset({"max"})
PACE = RateLimit("zotero", 0.5)
PAGE_SIZE = 100

_WHERE = re.compile(r"(?:users|groups)/\d{1,12}(?:/collections/[A-Z0-9]{8})?")
_NO_PAPER = frozenset({"attachment", "note", "annotation"})
_IN_EXTRA = re.compile(r"\barXiv:\s*(\S+)", re.IGNORECASE)
_MARKED = re.compile(r"\bretracted\b", re.IGNORECASE)


def check(query: ServiceQuery) -> None:
    """Raise FeedError where the text names no library."""
    if not _WHERE.fullmatch(query.text):
        raise FeedError(f"{query.label}: no library of Zotero; write zotero:users/12345 or zotero:groups/678")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the items page by page.

    ``state`` in the middle is ``{"start", "version", "since"}``, at the end ``{"since"}``.
    """
    check(query)
    key = client.access.keys.get(SCHEME)
    headers = {"Zotero-API-Version": "3"} | ({"Zotero-API-Key": key} if key else {})
    url = f"{client.access.urls.get(SCHEME, BASE)}/{query.text}/items/top"
    start, since = int(state.get("start", 0)), int(state.get("since", 0))
    version, seen = int(state.get("version", 0)), ""
    while True:
        params: dict[str, str | int] = {
            "format": "json",
            "limit": PAGE_SIZE,
            "start": start,
            "sort": "dateAdded",
            "direction": "asc",
        }
        if since:
            params["since"] = since
        items, total, told = client.get(
            url, _read, label=query.label, pace=PACE, params=params, headers=headers
        )
        version = version or told
        papers = [item for item in items if not _is_no_paper(item)]
        entries = list(strict_json.parse_items(papers, convert))
        start += len(items)
        # Where the server does not say how many there are: until a page is empty, or comes again.
        again, seen = seen, fingerprint(items)
        if not items or again == seen or start >= min(total or start + 1, query.most(start + 1)):
            yield FeedPage(entries, {"since": version} if version else {}, total)
            return
        yield FeedPage(entries, {"start": start, "version": version, "since": since}, total)


def convert(item: JsonObject) -> Paper:
    """Return the paper of one item."""
    noticed: set[str] = set()
    inner = item.get("data")
    data: JsonObject = inner if isinstance(inner, dict) else item
    title = clean_title(data.get("title"), noticed)
    abstract = clean_abstract(data.get("abstractNote"), noticed)
    extra = str(data.get("extra") or "")[:5_000]
    found, doi = arxiv_and_doi(_arxiv(data, extra), data.get("DOI") or data.get("url"))
    gone = marked_retracted(title) or bool(_MARKED.match(extra))
    if gone:
        noticed.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(found, doi, None, (title, abstract)),
        title=title,
        abstract=abstract,
        authors=clean_names(_authors(data.get("creators")), noticed),
        published=dates.parse_loose_day(data.get("date"), noticed),
        url=paper_url(found, doi, data.get("url"), noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        sources=(NAME,),
        withdrawn=gone,
        flags=flags(noticed),
    )


def _arxiv(data: JsonObject, extra: str) -> Any:
    said = _IN_EXTRA.search(extra)
    places = (data.get("archiveID"), said[1] if said else None, data.get("url"))
    return next((place for place in places if ids.parse_arxiv_id(place)), None)


def _authors(creators: object) -> list[Any]:
    if not isinstance(creators, list):
        return []
    people = [c for c in creators if isinstance(c, dict) and c.get("creatorType", "author") == "author"]
    return [c.get("name") or f"{c.get('firstName') or ''} {c.get('lastName') or ''}".strip() for c in people]


def _is_no_paper(item: object) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return isinstance(data, dict) and data.get("itemType") in _NO_PAPER


def _read(reply: ServiceResponse) -> tuple[list[Any], int | None, int]:
    found = json_of(reply)
    if not isinstance(found, list):
        raise RetryableError("the answer is no list")
    return found, _count(reply, "total-results"), _count(reply, "last-modified-version") or 0


def _count(reply: ServiceResponse, name: str) -> int | None:
    text = reply.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
