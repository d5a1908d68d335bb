"""Live services: feeds that are fetched page by page.

`find_live_feed` turns a source such as ``arxiv:cs.CL`` or ``https://…`` into a `LiveFeed`. Each service is a
module with a `page.Service`: a check of the query, which needs no network, and a generator of pages. A page
carries the state to store once its records are in the library, so that a run resumes where it stopped.
`http_client.FeedClient` sends all requests.

A service is imported only when a source names it: reading a file loads no HTTP client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.errors import FeedError, visible
from paperagent.feeds.source import SERVICE_SCHEMES, URL_SCHEMES

if TYPE_CHECKING:
    from paperagent.feeds.ids import ArxivId
    from paperagent.feeds.services.http_client import FeedClient
    from paperagent.feeds.services.page import FeedPage, ResumeState, Service, ServiceQuery

_SECONDS_BETWEEN_REQUESTS = 1.0
"""Rate limit for a host whose rules are unknown."""
_MAX_VALIDATOR_LENGTH = 200

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """A feed that is fetched from a service."""

    source: str
    """The source as written, stripped; its state is stored under this name."""
    pages: Callable[[FeedClient, ResumeState], Iterator[FeedPage]]
    """Yields the feed's pages from a state on."""


def find_live_feed(source: str | Path) -> LiveFeed | None:
    """Return the live feed that ``source`` names, or None if it is a file, ``-`` or unknown.

    Raises:
        FeedError: ``source`` names a service, but its query cannot be used.
    """
    text = str(source).strip()
    match = _SCHEME.match(text)
    if isinstance(source, Path) or match is None or _file_exists(source):
        return None
    scheme = match[1].lower()
    if scheme in URL_SCHEMES:
        return _url_feed(text)
    if scheme not in SERVICE_SCHEMES:
        return None
    from paperagent.feeds.services.page import ServiceQuery

    service = _service(scheme)
    query = ServiceQuery.parse(text, text[len(scheme) + 1 :], allowed=service.options)
    service.check(query)
    return LiveFeed(text, lambda client, state: service.pages(query, client, state))


def arxiv_papers(arxiv_ids: Sequence[ArxivId], label: str) -> LiveFeed:
    """Return the papers with these arXiv ids as a feed. ``label`` names the list that contains the ids."""
    from paperagent.feeds.services import arxiv
    from paperagent.feeds.services.page import fingerprint

    name = f"{label} {fingerprint(' '.join(map(str, arxiv_ids)))}"  # another list starts from its beginning
    return LiveFeed(name, lambda client, state: arxiv.id_pages(arxiv_ids, client, state, label=label))


def _service(scheme: str) -> Service:
    from paperagent.feeds.services import announcements as arxiv_rss
    from paperagent.feeds.services import arxiv, arxiv_oai, huggingface, openalex, semantic_scholar, zotero

    services = (
        arxiv.SERVICE,
        arxiv_rss.SERVICE,
        arxiv_oai.SERVICE,
        huggingface.SERVICE,
        semantic_scholar.SERVICE,
        openalex.SERVICE,
        zotero.SERVICE,
    )
    return {service.scheme: service for service in services}[scheme]


def _file_exists(source: str) -> bool:
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _url_feed(url: str) -> LiveFeed:
    """Return a feed of any known format at a web address."""
    from paperagent.feeds.services.page import ServiceQuery
    from paperagent.feeds.services.ssrf_guard import split_url

    query = ServiceQuery(_url_label(url), url, {})
    split_url(url, label=query.label)
    return LiveFeed(url, lambda client, state: _fetch_url(query, client, state))


def _url_label(url: str) -> str:
    """Return a URL without its query, which may hold a key; raise FeedError for credentials in it."""
    address = url.split("?", maxsplit=1)[0]
    if "@" in address.partition("://")[2].partition("/")[0]:
        raise FeedError("feed address: credentials in it are not allowed (not shown); remove them")
    return visible(address, limit=200)


def _fetch_url(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the whole feed as one page, or an empty one if it has not changed.

    ``state`` holds the server's validators for the last version. The body is parsed as bytes: an address in
    it is text, and is never fetched.
    """
    import io
    from urllib.parse import urlsplit

    from paperagent.feeds.reader import parse_feed
    from paperagent.feeds.services import announcements
    from paperagent.feeds.services.page import FeedPage, ServiceResponse, fingerprint
    from paperagent.feeds.services.rate_limit import RateLimit

    categories = announcements.categories_of_address(query.text)

    def parse(response: ServiceResponse) -> FeedPage:
        if response.status == 304:
            day = {"day": announcements.today().isoformat()} if categories else {}
            return FeedPage([], state | day, 0, "not changed since the last time")
        validators = {
            "etag": response.headers.get("etag"),
            "modified": response.headers.get("last-modified"),
        }
        if categories:
            entries = announcements.parse_entries(response)
            page = announcements.day_page(response, entries, state, categories)
            return replace(page, state=page.state | _valid_headers(validators))
        entries = parse_feed(io.BytesIO(response.body), query.label)
        return FeedPage(entries, _valid_headers(validators), len(entries))

    conditions = {"If-None-Match": state.get("etag"), "If-Modified-Since": state.get("modified")}
    host = urlsplit(query.text).netloc.lower()
    yield client.fetch(
        query.text,
        parse,
        label=query.label,
        rate_limit=RateLimit(f"web-{fingerprint(host)}", _SECONDS_BETWEEN_REQUESTS),
        headers=_valid_headers(conditions),
    )


def _valid_headers(values: Mapping[str, object]) -> dict[str, str]:
    """Return the values that can be sent in a header."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str)
        and 0 < len(value) <= _MAX_VALIDATOR_LENGTH
        and value.isascii()
        and value.isprintable()
    }
