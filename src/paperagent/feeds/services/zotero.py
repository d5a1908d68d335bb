"""``zotero:users/12345`` or ``zotero:groups/678/collections/ABCD2345``: a Zotero library.

See https://www.zotero.org/support/dev/web_api/v3/basics. After a complete run, only items that changed since
that version of the library are requested. Attachments and notes are not papers and are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from paperagent.errors import FeedError
from paperagent.feeds import strict_json
from paperagent.feeds.formats.zotero import OTHER_ITEMS, convert
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

SCHEME = "zotero"
API_URL = "https://api.zotero.org"
RATE_LIMIT = RateLimit("zotero", 0.5)
PAGE_SIZE = 100

_LIBRARY = re.compile(r"(?:users|groups)/\d{1,12}(?:/collections/[A-Z0-9]{8})?")
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


def _may_be_paper(item: object) -> bool:
    data = item.get("data") if isinstance(item, dict) else None
    return not (isinstance(data, dict) and data.get("itemType") in OTHER_ITEMS)


def _parse(response: ServiceResponse) -> tuple[list[Any], int | None, int]:
    """Return the items, their total number and the version of the library."""
    items = response.json_list("Zotero")
    version = _number_header(response, "last-modified-version") or 0
    return items, _number_header(response, "total-results"), version


def _number_header(response: ServiceResponse, name: str) -> int | None:
    text = response.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


SERVICE = Service(SCHEME, frozenset({"max"}), check, pages)
