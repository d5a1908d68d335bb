"""The feed: papers by day and week, and search."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from paperagent.digest.render.formatting import format_day, format_days
from paperagent.errors import NoLibraryError
from paperagent.retrieval.scoring import matching_hits
from paperagent.web.cards import Section, card, day_sections, hit_card, papers_in_words, weekday
from paperagent.web.feed_query import SORTS, FeedQuery, Sort
from paperagent.web.http import REVALIDATE, Route, not_found, page
from paperagent.web.page_cache import cached

if TYPE_CHECKING:
    from paperagent.types import Paper
    from paperagent.web.site import Site

PAGE_SIZE = 40
MAX_HITS = 100
"""Papers that a search shows, on all pages together."""
_SUGGESTIONS = 50
"""Feeds and categories that the filters suggest."""
_FIELDS = {"category": "Category", "source": "Feed", "author": "Author"}
_NO_PAPERS = "The library has no papers from that date."
_REACH = (31, 400)
"""How many days away the neighboring period is looked for: at first, and then."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")


def front(site: Site, request: Request) -> Response:
    """Show the newest papers, or those that match a search."""
    if any(not value.strip() for value in request.query_params.values()):  # a form with empty fields
        return RedirectResponse(_parse(request).address(request.url.path, page=_parse(request).page), 302)
    return _cached_front(site, request)


@cached
def _cached_front(site: Site, request: Request) -> Response:
    query = _parse(request)
    try:
        response = _search(site, request, query) if query.q else _newest(site, request, query)
    except NoLibraryError:
        response = None
    if response is None:
        return page(site, request, "empty.html.j2")
    if not query.q:
        response.headers["Cache-Control"] = "public, max-age=60"
    return response


def _newest(site: Site, request: Request, query: FeedQuery) -> Response | None:
    """Return the page of the newest papers; None if the library is empty."""
    papers, more = _papers_of_page(site, query, query.filters)
    if not papers and not query.is_filtered and query.page == 1:
        return None
    views: list[tuple[str, str, bool]] = []
    if papers and not query.is_filtered:
        newest = papers[0] if query.page == 1 else site.agent.list_by_day(limit=1)[0]
        week = f"/week/{week_name(newest.appeared or site.today())}"
        views = [
            ("Newest", "/", query.sort == "new"),
            (
                "This week" if week == f"/week/{week_name(site.today())}" else "Latest week",
                week,
                False,
            ),
        ]
        if any(paper.upvotes for paper in papers):
            views.append(("Most votes of the week", f"{week}?sort=votes", False))
    elif papers:
        views = _sort_views(query, "/", papers)
    return _listing(
        site,
        request,
        query,
        sections=_sections(site, query, papers, query.filters),
        title="Newest papers" if query.sort == "new" else "Papers with the most votes",
        views=views,
        more=more,
    )


def _search(site: Site, request: Request, query: FeedQuery) -> Response | None:
    hits = matching_hits(site.agent.search(query.q, k=MAX_HITS, **query.filters))
    if not hits and not site.agent.count():
        return None
    if query.sort == "new":
        hits.sort(key=lambda hit: hit.paper.day or dt.date.min, reverse=True)
    elif query.sort == "votes":
        hits.sort(key=lambda hit: -(hit.paper.upvotes or 0))
    start = (query.page - 1) * PAGE_SIZE
    on_page = hits[start : start + PAGE_SIZE]
    if query.page > 1 and not on_page:
        raise not_found(f"There is no page {query.page} of these results.")
    total = f"The {MAX_HITS} best matches" if len(hits) == MAX_HITS else papers_in_words(len(hits))
    return _listing(
        site,
        request,
        query,
        sections=[Section(total, tuple(map(hit_card, on_page)))] if hits else [],
        title=f"Results for “{query.q}”",
        views=_sort_views(query, "/", [hit.paper for hit in hits], sorts=("relevance", "new", "votes")),
        more=len(hits) > start + PAGE_SIZE,
    )


def day(site: Site, request: Request) -> Response:
    """Show the papers of a day."""
    text = request.path_params["day"]
    try:
        date = dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        date = None
    if date is None:
        raise not_found("There is no such day.")
    return _period(site, request, date, date, title=weekday(date))


def week(site: Site, request: Request) -> Response:
    """Show the papers of an ISO week."""
    match = _WEEK.fullmatch(request.path_params["week"])
    try:
        monday = dt.date.fromisocalendar(int(match[1]), int(match[2]), 1) if match else None
        sunday = monday + dt.timedelta(days=6) if monday else None
    except (ValueError, OverflowError):
        monday = sunday = None
    if monday is None or sunday is None:
        raise not_found("There is no such week.")
    title = f"Week {monday.isocalendar().week}, {format_days(monday, sunday)}"
    return _period(site, request, monday, sunday, title=title)


def _period(site: Site, request: Request, since: dt.date, until: dt.date, *, title: str) -> Response:
    """Return the page of a day or a week, with the neighboring one that has papers."""
    query = replace(_parse(request), q="", since=None, until=None)
    path = request.url.path
    try:
        counts = site.agent.count_by_day(since=since, until=until)
        earlier, later = (
            _nearest_day(site, {}, since, until, earlier=side, far=bool(counts)) for side in (True, False)
        )
    except NoLibraryError:
        raise not_found(_NO_PAPERS) from None
    if not counts and not (earlier and later):
        raise not_found(_NO_PAPERS)
    if query.is_filtered:
        counts = site.agent.count_by_day(**{**query.filters, "since": since, "until": until})
        earlier, later = (
            _nearest_day(site, query.filters, since, until, earlier=side, far=False) for side in (True, False)
        )
    period = {**query.filters, "since": since, "until": until}
    papers, more = _papers_of_page(site, query, period)
    if since == until:
        only_added = bool(papers) and all(paper.public_day is None for paper in papers)
        title = f"Added on {title}" if only_added else title
        heading = papers_in_words(counts.get(since, 0))
        sections = (
            [Section(heading, section.cards) for section in day_sections(papers, counts)]
            if query.sort == "new"
            else _sections(site, query, papers, period)
        )
    else:
        sections = _sections(site, query, papers, period)
    neighbor = partial(_day_link, query) if since == until else partial(_week_link, query, since)
    response = _listing(
        site,
        request,
        query,
        sections=sections,
        title=title,
        views=_sort_views(query, path, papers),
        more=more,
        earlier=neighbor(earlier) if earlier else None,
        later=neighbor(later) if later else None,
        form=replace(query, since=since, until=until),
    )
    if until < site.today():
        response.headers["Cache-Control"] = "public, max-age=3600"
    return response


def _nearest_day(
    site: Site, filters: dict[str, Any], since: dt.date, until: dt.date, *, earlier: bool, far: bool
) -> dt.date | None:
    """Return the nearest day with papers before or after a period, reading no more days than necessary.

    Args:
        site: The site.
        filters: Filters other than days.
        since: The first day of the period.
        until: Its last day.
        earlier: Look before the period instead of after it.
        far: Look at any distance, instead of at most `_REACH` days away.
    """
    if (since == dt.date.min) if earlier else (until == dt.date.max):
        return None
    for reach in (*_REACH, *((None,) if far else ())):
        if earlier:
            bounds = {"since": _shifted(since, -reach) if reach else None, "until": _shifted(since, -1)}
        else:
            bounds = {"since": _shifted(until, 1), "until": _shifted(until, reach) if reach else None}
        if days := site.agent.count_by_day(**{**filters, **bounds}):
            return max(days) if earlier else min(days)
    return None


def _shifted(date: dt.date, days: int) -> dt.date:
    """Return the day so many days later, or the calendar's first or last one."""
    return dt.date.fromordinal(min(max(date.toordinal() + days, 1), dt.date.max.toordinal()))


def week_name(date: dt.date) -> str:
    """Return the ISO week of a day as ``2026-W26``."""
    calendar = date.isocalendar()
    return f"{calendar.year:04}-W{calendar.week:02}"


def _week_link(query: FeedQuery, monday: dt.date, date: dt.date) -> tuple[str, str]:
    """Return the address and the name of the week of a day. The name says whether weeks are skipped."""
    year, number, weekday = date.isocalendar()
    name = f"Week {number}" if year == monday.isocalendar().year else f"Week {number} of {year}"
    weeks = ((date - monday).days + 1 - weekday) // 7
    if abs(weeks) > 1:
        name += f", the {'next' if weeks > 0 else 'previous'} week with papers"
    return query.address(f"/week/{week_name(date)}"), name


def _day_link(query: FeedQuery, date: dt.date) -> tuple[str, str]:
    """Return the address and the name of a day."""
    return query.address(f"/day/{date}"), format_day(date)


def _parse(request: Request) -> FeedQuery:
    return FeedQuery.parse(request.query_params)


def _papers_of_page(site: Site, query: FeedQuery, filters: dict[str, Any]) -> tuple[list[Paper], bool]:
    """Return the papers of a page, and whether there are more."""
    papers = site.agent.list_by_day(
        sort="upvotes" if query.sort == "votes" else "newest",
        limit=PAGE_SIZE + 1,
        offset=(query.page - 1) * PAGE_SIZE,
        **filters,
    )
    if query.page > 1 and not papers:
        raise not_found(f"There is no page {query.page} of this list.")
    return papers[:PAGE_SIZE], len(papers) > PAGE_SIZE


def _sections(
    site: Site, query: FeedQuery, papers: Sequence[Paper], filters: dict[str, Any]
) -> list[Section]:
    """Return a section for each day, or one for papers that are sorted by votes."""
    if not papers:
        return []
    if query.sort == "votes":
        return [Section("Most votes first", tuple(map(card, papers)))]
    days = [paper.appeared for paper in papers if paper.appeared]
    bounds = {"since": min(days), "until": max(days)} if days else {}
    return day_sections(papers, site.agent.count_by_day(**{**filters, **bounds}))


def _sort_views(
    query: FeedQuery, path: str, papers: Iterable[Paper], *, sorts: Sequence[Sort] = ("new", "votes")
) -> list[tuple[str, str, bool]]:
    """Return the orders of a list; by votes only if any paper has votes."""
    has_votes = query.sort == "votes" or any(paper.upvotes for paper in papers)
    views = [
        (SORTS[sort], query.address(path, sort=sort), query.sort == sort)
        for sort in sorts
        if sort != "votes" or has_votes
    ]
    return views if len(views) > 1 else []


def _listing(
    site: Site,
    request: Request,
    query: FeedQuery,
    *,
    sections: Sequence[Section],
    title: str,
    views: Sequence[tuple[str, str, bool]],
    more: bool,
    form: FeedQuery | None = None,
    earlier: tuple[str, str] | None = None,
    later: tuple[str, str] | None = None,
) -> Response:
    path = request.url.path
    address = partial(query.address, path)
    values: dict[str, Any] = {
        "title": title,
        "sections": sections,
        "views": views,
        "query": form or query,
        "chips": query.removable(path),
        "orders": _orders(site, query),
        "fields": _fields(site, query),
        "unfiltered": query.address("/", **dict.fromkeys(query.filters)),
        "previous": address(page=query.page - 1) if query.page > 1 else None,
        "following": address(page=query.page + 1) if more else None,
        "earlier": earlier,
        "later": later,
        "atom": query.address("/feed.atom", sort="relevance"),
    }
    response = page(site, request, "feed.html.j2", **values)
    if set(request.query_params) - {"page"}:
        response.headers["X-Robots-Tag"] = "noindex"
    return response


def _fields(site: Site, query: FeedQuery) -> list[tuple[str, str, list[str]]]:
    """Return the name, the label and the suggestions of each filter for which the library has values."""
    categories = site.categories()
    if categories is None:
        return [(name, label, []) for name, label in _FIELDS.items()]
    values: dict[str, Iterable[str]] = {"category": categories, "source": site.agent.facets().sources}
    return [
        (name, label, list(values.get(name, ()))[:_SUGGESTIONS])
        for name, label in _FIELDS.items()
        if values.get(name, True) or query.filters[name]
    ]


def _orders(site: Site, query: FeedQuery) -> list[tuple[str, str]]:
    """Return the orders that the form offers, and their names; by votes only if any paper has votes."""
    has_votes = query.sort == "votes" or bool(site.settings.chroma_url)
    if not has_votes:
        has_votes = any(paper.upvotes for paper in site.agent.list_by_day(sort="upvotes", limit=1))
    return [(sort, SORTS[sort]) for sort in (("new", "votes") if has_votes else ("new",))]


ROUTES = (
    Route("/", front, cache=REVALIDATE, indexed=True),
    Route("/day/{day}", cached(day), cache=REVALIDATE, indexed=True),
    Route("/week/{week}", cached(week), cache=REVALIDATE, indexed=True),
)
