"""The web application: all routes, startup, errors and shutdown."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from paperagent.errors import PaperAgentError
from paperagent.web import (
    archive,
    atom,
    conversations,
    feed,
    health,
    http,
    papers,
    preferences,
    sign_in,
    subscriptions,
)
from paperagent.web.guard import Guard
from paperagent.web.site import CLOSE_SECONDS, Site

LOG = logging.getLogger("paperagent.web")
ROUTES: tuple[http.Route, ...] = (
    *health.ROUTES,
    *http.ROUTES,
    *feed.ROUTES,
    *archive.ROUTES,
    *atom.ROUTES,
    *preferences.ROUTES,
    *subscriptions.ROUTES,
    *sign_in.ROUTES,
    *conversations.ROUTES,
    *papers.ROUTES,
)
"""Every route, in the order in which they are tried."""


def create_app(site: Site) -> Starlette:
    """Return the ASGI application of a site.

    At startup, a thread loads templates and models, so that the first question does not wait for them.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        thread = threading.Thread(target=_warm, args=(site, app.state.warm), name="warm", daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join(CLOSE_SECONDS)  # a model may still be loading
            site.close()

    app = Starlette(
        routes=[StarletteRoute(r.path, http.endpoint(r), methods=list(r.methods)) for r in ROUTES],
        middleware=[Middleware(Guard, site=site)],
        exception_handlers={error: partial(_show_error, site) for error in (HTTPException, PaperAgentError)},
        lifespan=lifespan,
    )
    app.state.site = site
    app.state.warm = threading.Event()
    return app


def _warm(site: Site, warm: threading.Event) -> None:
    try:
        http.load_templates()
        site.agent.warm()
        site.turns  # noqa: B018 - ends the turns of a server that was killed
    except PaperAgentError as error:
        LOG.warning("the models are not loaded yet: %s", error)
    finally:
        warm.set()


def _show_error(site: Site, request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 404:
        try:
            http.check_rate(site, request, "page")
        except HTTPException as too_many:
            error = too_many
    if not http.is_expected(error):
        LOG.error("request %s failed", request.scope.get("request_id"), exc_info=error)
    return http.error_page(site, request, error)
