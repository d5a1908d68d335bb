"""Live services: feeds that are fetched page by page.

One module a service: ``check`` refuses a request before anything is sent, ``pages`` yields `FeedPage`s, each
with the state to keep once its records are in the library. The client behind them all is polite and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from paperagent.errors import FeedError, visible
from paperagent.feeds.services import (
    arxiv,
    arxiv_oai,
    arxiv_rss,
    huggingface,
    openalex,
    semantic_scholar,
    ssrf_guard,
    web_url,
    zotero,
)
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery


class _Service(NamedTuple):
    check: Callable[[ServiceQuery], None]
    pages: Callable[[ServiceQuery, FeedClient, ResumeState], Iterator[FeedPage]]
    options: frozenset[str]


_SERVICES = {
    module.SCHEME: _Service(module.check, module.pages, module.OPTIONS)
    for module in (arxiv, arxiv_rss, arxiv_oai, huggingface, semantic_scholar, openalex, zotero)
}
SCHEMES = tuple(_SERVICES)
"""The services that have a scheme of their own."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """A source that is fetched."""

    source: str
    """As written, trimmed: the name under which its state is kept."""
    pages: Callable[[FeedClient, ResumeState], Iterator[FeedPage]]
    """Yields the feed's pages, from where a state says."""


def find_live_feed(source: str | Path) -> LiveFeed | None:
    """Return the live source that ``source`` names, or None where it is a file, ``-`` or nothing of ours.

    Raises FeedError where it names a service and the rest cannot be used.
    """
    text = str(source).strip()
    match = _SCHEME.match(text)
    if isinstance(source, Path) or match is None or _is_there(source):
        return None
    scheme = match[1].lower()
    if scheme in web_url.SCHEMES:
        query = ServiceQuery(_shown(text), text, {})
        ssrf_guard.split_url(text, label=query.label)
        return LiveFeed(text, lambda client, state: web_url.pages(text, query, client, state))
    if scheme not in _SERVICES:
        return None
    service = _SERVICES[scheme]
    query = ServiceQuery.parsed(text, text[len(scheme) + 1 :], allowed=service.options)
    service.check(query)
    return LiveFeed(text, lambda client, state: service.pages(query, client, state))


def _is_there(source: str) -> bool:
    """Tell whether a file has this name, however odd the name is."""
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _shown(url: str) -> str:
    """Return an address without its query, which may hold a key. Raises FeedError for credentials in it."""
    before = url.split("?", maxsplit=1)[0]
    if "@" in before.partition("://")[2].partition("/")[0]:
        raise FeedError("feed address: credentials in it are not allowed (not shown); remove them")
    return visible(before, limit=200)
