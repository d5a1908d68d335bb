"""Routes for operators and crawlers: health checks and robots.txt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from paperagent.errors import PaperAgentError
from paperagent.web.http import Route

if TYPE_CHECKING:
    from paperagent.web.site import Site

_ROBOTS = "".join(
    f"Disallow: {path}\n"
    for path in "/ask /c/ /confirm /unsubscribe /preferences /feedback /saved /sign-in /subscribe /*?".split()
)


def healthz(_site: Site, _request: Request) -> Response:
    """Say that the process answers, without touching the library."""
    return JSONResponse({"status": "ok"})


def readyz(site: Site, request: Request) -> Response:
    """Say whether the library can be read and the models are loaded."""
    if not request.app.state.warm.is_set():
        return PlainTextResponse("starting\n", 503)
    try:
        site.agent.count()
    except PaperAgentError:
        return PlainTextResponse("library\n", 503)
    return PlainTextResponse("ready\n")


def robots(_site: Site, _request: Request) -> Response:
    """Keep crawlers away from everything that acts, costs or is private."""
    return PlainTextResponse(f"User-agent: *\n{_ROBOTS}")


ROUTES = (
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/robots.txt", robots, cache="public, max-age=86400", indexed=True),
)
