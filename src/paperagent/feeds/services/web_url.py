"""``https://…``: a feed of any known format, fetched by its address; what did not change is not sent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TypeGuard
from urllib.parse import urlsplit

from paperagent.feeds import reader
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery, fingerprint
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.feeds.services.response import ServiceResponse

SCHEMES = ("https", "http")
_SECONDS = 1.0
_LONGEST = 200


def pages(url: str, query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the feed whole; ``state`` keeps what the server calls this version of it.

    The body is read as bytes: an address in it is text, and is never fetched.
    """
    asked = {"If-None-Match": state.get("etag"), "If-Modified-Since": state.get("modified")}
    pace = RateLimit(f"web-{fingerprint(urlsplit(url).netloc.lower())}", _SECONDS)
    yield client.get(
        url,
        lambda reply: _read(reply, query, state),
        label=query.label,
        pace=pace,
        headers={name: value for name, value in asked.items() if _fits(value)},
    )


def _read(reply: ServiceResponse, query: ServiceQuery, state: ResumeState) -> FeedPage:
    if reply.status == 304:
        return FeedPage([], state, 0, "not changed since the last time")
    found = reader.parse_feed(io.BytesIO(reply.body), query.label)
    told = {"etag": reply.headers.get("etag"), "modified": reply.headers.get("last-modified")}
    return FeedPage(found, {name: value for name, value in told.items() if _fits(value)}, len(found))


def _fits(value: object) -> TypeGuard[str]:
    """Tell whether a server's name for a version can be sent back to it as it is."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isascii() and value.isprintable()
