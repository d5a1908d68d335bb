"""The feed: papers by day and week, and search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from paperagent.web.http import REVALIDATE, Route, page

if TYPE_CHECKING:
    from paperagent.web.site import Site

PAGE_SIZE = 40


def front(site: Site, request: Request) -> Response:
    """Show the newest papers."""
    return page(site, request, "feed.html.j2", papers=site.agent.list(limit=PAGE_SIZE))


ROUTES = (Route("/", front, cache=REVALIDATE, indexed=True),)
