"""Routes for operators and crawlers: health checks and robots.txt."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from paperagent.errors import PaperAgentError
from paperagent.web import access
from paperagent.web.http import Route, contact_url, not_found

if TYPE_CHECKING:
    from paperagent.web.site import Site

_NOT_CRAWLED = (
    "/ask /c/ /confirm /unsubscribe /preferences /feedback /saved /sign-in /subscribe "
    "/?q= /?since= /?until= /?category= /?source= /?author= /?sort= /day/*?sort= /week/*?sort="
)
"""Paths that act, cost or are private, and lists with parameters. The pages of days lead to every paper."""


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
    rules = "".join(f"Disallow: {path}\n" for path in _NOT_CRAWLED.split())
    return PlainTextResponse(f"User-agent: *\n{rules}")


def metrics(site: Site, request: Request) -> Response:
    """Show the counters to programs on this machine, if the settings allow it."""
    if not site.settings.web_metrics or not access.origin(site, request.scope).is_local:
        raise not_found()
    return PlainTextResponse(site.counters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def security(site: Site, _request: Request) -> Response:
    """Say where to report a vulnerability (RFC 9116), if a contact is set."""
    contact = contact_url(site.settings)
    if contact is None:
        raise not_found()
    expires = site.clock() + dt.timedelta(days=180)
    return PlainTextResponse(f"Contact: {contact}\nExpires: {expires:%Y-%m-01T00:00:00Z}\n")


ROUTES = (
    Route("/healthz", healthz, limit="none", public=True),
    Route("/readyz", readyz, limit="none", public=True),
    Route("/robots.txt", robots, cache="public, max-age=86400", indexed=True, public=True),
    Route("/metrics", metrics, limit="none", public=True),
    Route("/.well-known/security.txt", security, cache="public, max-age=86400", public=True),
)
