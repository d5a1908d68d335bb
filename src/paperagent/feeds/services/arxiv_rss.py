"""``arxiv-rss:cs.AI+cs.CL``: what arXiv announced today (https://info.arxiv.org/help/rss.html)."""

from __future__ import annotations

from collections.abc import Iterator

from paperagent.errors import FeedError
from paperagent.feeds.services import arxiv
from paperagent.feeds.services.http_client import FeedClient
from paperagent.feeds.services.page import FeedPage, ResumeState, ServiceQuery

SCHEME = "arxiv-rss"
BASE = "https://rss.arxiv.org/atom"
OPTIONS: frozenset[str] = frozenset()


def check(query: ServiceQuery) -> None:
    """Raise FeedError where the text names no category."""
    if not arxiv.categories(query):
        raise FeedError(f"{query.label}: no category of arXiv; write arxiv-rss:cs.AI+cs.CL")


def pages(query: ServiceQuery, client: FeedClient, state: ResumeState) -> Iterator[FeedPage]:
    """Yield the day's one page; there is nothing to go on from."""
    del state
    check(query)
    base = client.access.urls.get(SCHEME, BASE)
    entries = client.get(
        f"{base}/{'+'.join(arxiv.categories(query))}", arxiv.read_atom, label=query.label, pace=arxiv.PACE
    )
    note = "" if entries else "arXiv announced nothing today (it does not at weekends and on holidays)"
    yield FeedPage(entries, {}, len(entries), note)
