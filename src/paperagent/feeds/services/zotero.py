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
    Record,
    abstract_of,
    address,
    flags,
    identity,
    known_ids,
    names,
    retracted,
    title_of,
)
from paperagent.feeds.services.http_client import Client
from paperagent.feeds.services.page import Page, Query, State, fingerprint, json_of
from paperagent.feeds.services.rate_limit import Pace
from paperagent.feeds.services.response import AgainError, Reply
from paperagent.types import RETRACTED, Paper

SCHEME = "zotero"
NAME = "zotero"
BASE = "https://api.zotero.org"
OPTIONS = frozenset({"max"})
PACE = Pace("zotero", 0.5)
PAGE_SIZE = 100

_WHERE = re.compile(r"(?:users|groups)/\d{1,12}(?:/collections/[A-Z0-9]{8})?")
_NO_PAPER = frozenset({"attachment", "note", "annotation"})
_IN_EXTRA = re.compile(r"\barXiv:\s*(\S+)", re.IGNORECASE)
_MARKED = re.compile(r"\bretracted\b", re.IGNORECASE)


def check(query: Query) -> None:
    """Raise FeedError where the text names no library."""
    if not _WHERE.fullmatch(query.text):
        raise FeedError(f"{query.label}: no library of Zotero; write zotero:users/12345 or zotero:groups/678")


def pages(query: Query, client: Client, state: State) -> Iterator[Page]:
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
        entries = list(strict_json.items(papers, convert))
        start += len(items)
        # Where the server does not say how many there are: until a page is empty, or comes again.
        again, seen = seen, fingerprint(items)
        if not items or again == seen or start >= min(total or start + 1, query.most(start + 1)):
            yield Page(entries, {"since": version} if version else {}, total)
            return
        yield Page(entries, {"start": start, "version": version, "since": since}, total)


def convert(item: Record) -> Paper:
    """Return the paper of one item."""
    noticed: set[str] = set()
    inner = item.get("data")
    data: Record = inner if isinstance(inner, dict) else item
    title = title_of(data.get("title"), noticed)
    abstract = abstract_of(data.get("abstractNote"), noticed)
    extra = str(data.get("extra") or "")[:5_000]
    found, doi = known_ids(_arxiv(data, extra), data.get("DOI") or data.get("url"))
    gone = retracted(title) or bool(_MARKED.match(extra))
    if gone:
        noticed.add(RETRACTED)
    return Paper(
        paper_id=identity(found, doi, None, (title, abstract)),
        title=title,
        abstract=abstract,
        authors=names(_authors(data.get("creators")), noticed),
        published=dates.loose(data.get("date"), noticed),
        url=address(found, doi, data.get("url"), noticed),
        arxiv_id=found.id if found else None,
        doi=doi,
        sources=(NAME,),
        withdrawn=gone,
        flags=flags(noticed),
    )


def _arxiv(data: Record, extra: str) -> Any:
    said = _IN_EXTRA.search(extra)
    places = (data.get("archiveID"), said[1] if said else None, data.get("url"))
    return next((place for place in places if ids.arxiv_id(place)), None)


def _authors(creators: object) -> list[Any]:
    if not isinstance(creators, list):
        return []
    people = [c for c in creators if isinstance(c, dict) and c.get("creatorType", "author") == "author"]
    return [c.get("name") or f"{c.get('firstName') or ''} {c.get('lastName') or ''}".strip() for c in people]


def _is_no_paper(item: object) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return isinstance(data, dict) and data.get("itemType") in _NO_PAPER


def _read(reply: Reply) -> tuple[list[Any], int | None, int]:
    found = json_of(reply)
    if not isinstance(found, list):
        raise AgainError("the answer is no list")
    return found, _count(reply, "total-results"), _count(reply, "last-modified-version") or 0


def _count(reply: Reply, name: str) -> int | None:
    text = reply.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
