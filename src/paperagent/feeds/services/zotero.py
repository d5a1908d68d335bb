"""``zotero:users/12345`` or ``zotero:groups/678/collections/ABCD2345``: a Zotero library.

See https://www.zotero.org/support/dev/web_api/v3/basics. After a complete run, only items that changed since
that version of the library are requested. Attachments and notes are not papers and are ignored.
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
    marked_retracted,
    paper_url,
    sorted_flags,
)
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import (
    FeedPage,
    ResumeState,
    Service,
    ServiceQuery,
    ServiceResponse,
    fingerprint,
)
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.types import RETRACTED, Paper

SCHEME = "zotero"
API_URL = "https://api.zotero.org"
RATE_LIMIT = RateLimit("zotero", 0.5)
PAGE_SIZE = 100

_LIBRARY = re.compile(r"(?:users|groups)/\d{1,12}(?:/collections/[A-Z0-9]{8})?")
_OTHER_ITEMS = frozenset({"attachment", "note", "annotation"})
_ARXIV_IN_EXTRA = re.compile(r"\barXiv:\s*(\S+)", re.IGNORECASE)
_DOI_IN_EXTRA = re.compile(r"^DOI:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_PMID_IN_EXTRA = re.compile(r"^PMID:\s*(\d{1,9})\b", re.IGNORECASE | re.MULTILINE)
_RETRACTED_IN_EXTRA = re.compile(r"\bretracted\b", re.IGNORECASE)
_MAX_EXTRA_LENGTH = 5_000
_NO_LIMIT = 10**9


def check(query: ServiceQuery) -> None:
    """Raise FeedError if the text names no library."""
    if not _LIBRARY.fullmatch(query.text):
        raise FeedError(f"{query.label}: not a Zotero library; write zotero:users/12345 or zotero:groups/678")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the pages of items.

    The state is ``{"start", "version", "since"}`` between two pages, and after ``max`` items. It is
    ``{"since"}`` at the end.
    """
    check(query)
    key = client.config.keys.get(SCHEME)
    headers = {"Zotero-API-Version": "3"} | ({"Zotero-API-Key": key} if key else {})
    url = f"{client.config.base_urls.get(SCHEME, API_URL)}/{query.text}/items/top"
    start, since = int(state.get("start", 0)), int(state.get("since", 0))
    version, last_page = int(state.get("version", 0)), ""
    limit = start + query.max_records(_NO_LIMIT)
    while True:
        params: dict[str, str | int] = {
            "format": "json",
            "limit": min(PAGE_SIZE, limit - start),
            "start": start,
            "sort": "dateAdded",
            "direction": "asc",
        }
        if since:
            params["since"] = since
        items, total, page_version = client.fetch(
            url, _parse, label=query.label, rate_limit=RATE_LIMIT, params=params, headers=headers
        )
        version = version or page_version
        entries = list(strict_json.parse_items([item for item in items if _may_be_paper(item)], convert))
        start += len(items)
        # If the server gives no total, the list ends with a page that is empty or repeated.
        previous_page, last_page = last_page, fingerprint(items)
        is_repeated = previous_page == last_page
        if not items or is_repeated or (total is not None and start >= total):
            yield FeedPage(entries, {"since": version} if version else {}, total)
            return
        resume: ResumeState = {"start": start, "version": version, "since": since}
        if start >= limit:
            of_all = f" of {total:,}" if total else ""
            yield FeedPage(entries, resume, total, f"read up to item {start:,}{of_all}; the next run goes on")
            return
        yield FeedPage(entries, resume, total)


def convert(item: JsonObject) -> Paper:
    """Convert one item."""
    flags: set[str] = set()
    inner = item.get("data")
    data: JsonObject = inner if isinstance(inner, dict) else item
    title = clean_title(data.get("title"), flags)
    abstract = clean_abstract(data.get("abstractNote"), flags)
    extra = str(data.get("extra") or "")[:_MAX_EXTRA_LENGTH]
    arxiv, doi = arxiv_and_doi(_arxiv_value(data, extra), _doi_value(data, extra))
    pmid = _PMID_IN_EXTRA.search(extra)
    service_id = ids.service_id("pmid", pmid[1]) if pmid else None
    is_retracted = marked_retracted(title) or bool(_RETRACTED_IN_EXTRA.match(extra))
    if is_retracted:
        flags.add(RETRACTED)
    return Paper(
        paper_id=choose_paper_id(arxiv, doi, service_id, title, abstract),
        title=title,
        abstract=abstract,
        authors=clean_names(_author_names(data.get("creators")), flags),
        published=dates.parse_loose_day(data.get("date"), flags),
        url=paper_url(arxiv, doi, data.get("url"), flags),
        arxiv_id=arxiv.id if arxiv else None,
        doi=doi,
        sources=(SCHEME,),
        withdrawn=is_retracted,
        flags=sorted_flags(flags),
    )


def _arxiv_value(data: JsonObject, extra: str) -> Any:
    match = _ARXIV_IN_EXTRA.search(extra)
    values = (data.get("archiveID"), match[1] if match else None, data.get("url"))
    return next((value for value in values if ids.parse_arxiv_id(value)), None)


def _doi_value(data: JsonObject, extra: str) -> Any:
    """Return the DOI: item types without a field for it have it in Extra or as the address."""
    match = _DOI_IN_EXTRA.search(extra)
    values = (data.get("DOI"), match[1] if match else None, data.get("url"))
    return next((v for v in values if ids.parse_doi(v) or ids.parse_arxiv_id(v)), None)


def _author_names(creators: object) -> list[Any]:
    if not isinstance(creators, list):
        return []
    authors = [c for c in creators if isinstance(c, dict) and c.get("creatorType", "author") == "author"]
    return [a.get("name") or f"{a.get('firstName') or ''} {a.get('lastName') or ''}".strip() for a in authors]


def _may_be_paper(item: object) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return not (isinstance(data, dict) and data.get("itemType") in _OTHER_ITEMS)


def _parse(response: ServiceResponse) -> tuple[list[Any], int | None, int]:
    """Return the items, their total number and the version of the library."""
    items = response.json_list("Zotero")
    version = _number_header(response, "last-modified-version") or 0
    return items, _number_header(response, "total-results"), version


def _number_header(response: ServiceResponse, name: str) -> int | None:
    text = response.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


SERVICE = Service(SCHEME, frozenset({"max"}), check, pages)
