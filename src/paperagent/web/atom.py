"""The papers as an Atom feed (RFC 4287), so that every search is an alert in a feed reader."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from paperagent.digest.links import paper_path
from paperagent.digest.render import formatting
from paperagent.errors import NoLibraryError
from paperagent.retrieval.scoring import matching_hits
from paperagent.web import http
from paperagent.web.archive import ATOM
from paperagent.web.feed_query import FeedQuery
from paperagent.web.page_cache import cached

if TYPE_CHECKING:
    from paperagent.types import Paper
    from paperagent.web.site import Site

SIZE = 40
SEARCHED_DAYS = 30
"""A search without `since` finds papers from this many days before the newest paper."""
_MAX_ABSTRACT = 10_000
_MAX_AUTHORS = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """A paper in the feed."""

    identity: str
    """A permanent id, which does not depend on the address of the site."""
    title: str
    url: str
    updated: dt.date
    published: dt.date | None
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    abstract: str


@cached
def feed(site: Site, request: Request) -> Response:
    """Return the newest papers that match the parameters of the front page."""
    query = FeedQuery.parse(request.query_params)
    try:
        papers = _search(site, query) if query.q else site.agent.list_by_day(limit=SIZE, **query.filters)
    except NoLibraryError:
        papers = []
    base = http.base_url(site, request)
    entries = [_entry(paper, base) for paper in papers]
    updated = max((entry.updated for entry in entries), default=None) or _last_ingest(site)
    text = http.render(
        site,
        request,
        "feed.atom.j2",
        title=" · ".join(["Papers", *filter(None, [query.q]), *(text for text, _ in query.removable())]),
        self_path=query.address("/feed.atom", sort="relevance"),
        page_path=query.address("/", sort="new"),
        updated=updated,
        entries=entries,
    )
    modified = dt.datetime.combine(updated, dt.time(), dt.UTC)
    return Response(text, media_type=ATOM, headers={"Last-Modified": format_datetime(modified, usegmt=True)})


def _search(site: Site, query: FeedQuery) -> list[Paper]:
    """Return the best matches of the newest days, the newest first."""
    filters = query.filters
    if query.since is None:
        latest = query.until or max(site.agent.count_by_day(**filters), default=site.today())
        first = min(latest, site.today()).toordinal() - SEARCHED_DAYS
        filters["since"] = dt.date.fromordinal(max(first, 1))
    papers = [hit.paper for hit in matching_hits(site.agent.search(query.q, k=SIZE, **filters))]
    return sorted(papers, key=lambda paper: paper.appeared or dt.date.min, reverse=True)


def _last_ingest(site: Site) -> dt.date:
    """Return the day of the library's last ingest; today if none is recorded."""
    try:
        last = site.agent.status(details=True)["last_ingest"]
    except NoLibraryError:
        last = None
    return dt.datetime.fromisoformat(last["time"]).date() if last else site.today()


def _entry(paper: Paper, base: str) -> Entry:
    appeared = paper.appeared or dt.date.min
    notice = f"{paper.taken_back.capitalize()}: " if paper.taken_back else ""
    return Entry(
        identity=f"urn:paperagent:paper:{quote(paper.paper_id, safe='')}",
        title=notice + formatting.clean_text(paper.title, formatting.MAX_TITLE),
        url=base + paper_path(paper.paper_id),
        updated=max(appeared, paper.updated or appeared),
        published=paper.published,
        authors=tuple(
            formatting.clean_text(name, formatting.MAX_NAME) for name in paper.authors[:_MAX_AUTHORS]
        ),
        categories=tuple(formatting.clean_text(name, formatting.MAX_NAME) for name in paper.categories),
        abstract=formatting.clean_text(paper.abstract, _MAX_ABSTRACT),
    )


ROUTES = (http.Route("/feed.atom", feed, cache="public, max-age=900", indexed=True),)
