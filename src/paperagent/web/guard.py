"""Checks every request before a handler sees it, adds security headers, and logs one line per request.

The order: the host (DNS rebinding), the origin of unsafe methods (CSRF), the size of the body, the rate
limit. Neither the log nor an error contains a token or a question: paths are logged as route templates.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paperagent.web import access, http

if TYPE_CHECKING:
    from paperagent.web.site import Site

LOG = logging.getLogger("paperagent.web")
MAX_BODY = 64 * 1024
"""Bytes of a request body."""
MAX_HEADER_BYTES = 16 * 1024
"""Bytes of a request's target and headers together."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
}
"""Headers of every response that does not set them itself."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyTooLargeError(Exception):
    """The body of a request exceeds `MAX_BODY`."""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; pass other scopes on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["request_id"] = secrets.token_hex(6)
        is_https = access.origin(self._site, scope).is_https
        if is_https:
            scope["scheme"] = "https"
        response = _SentResponse(send, hsts=is_https and self._site.is_https)
        try:
            await self._respond(scope, receive, response)
        except Exception as error:
            LOG.exception("request %s failed", scope["request_id"])
            if not response.status:  # otherwise the response has begun, and uvicorn cuts it off
                page = http.error_page(self._site, Request(scope), error)
                await page(scope, receive, response)
        finally:
            seconds = time.perf_counter() - started
            is_failure = int(response.status >= 500)
            self._site.counters.add(requests=1, request_seconds=seconds, errors=is_failure)
            LOG.info(
                "%s %s %d %.0f ms %d bytes %s",
                scope["method"],
                scope.get("route_path", "-"),
                response.status,
                seconds * 1000,
                response.size,
                scope["request_id"],
            )

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            check_header_size(scope)
            check_host(request, self._site)
            check_origin(request, self._site)
            check_length(request)
            await self._app(scope, _limited(receive), send)
        except ClientDisconnect:
            pass
        except (HTTPException, BodyTooLargeError) as error:
            refusal = error if isinstance(error, HTTPException) else _too_large()
            await http.error_page(self._site, request, refusal)(scope, receive, send)


class _SentResponse:
    """Adds security headers to a response as it is sent, and remembers its status and size."""

    def __init__(self, send: Send, *, hsts: bool) -> None:
        self.status, self.size = 0, 0
        self._send = send
        self._hsts = hsts

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self._hsts:
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)


def check_header_size(scope: Scope) -> None:
    """Raise 431 if the request's target and headers are too long."""
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if size + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        raise HTTPException(431, f"At most {MAX_HEADER_BYTES // 1024} kB of headers are accepted.")


def check_host(request: Request, site: Site) -> None:
    """Raise 421 if the request was sent to a name that is not ours, as after DNS rebinding."""
    host = access.host_name(request.headers)
    if host not in access.LOOPBACK_HOSTS and host != site.public_host:
        raise HTTPException(421, "This server does not answer to that host name.")


def check_origin(request: Request, site: Site) -> None:
    """Raise 403 if an unsafe request was sent by a page of another site.

    Browsers say where a request comes from in ``Sec-Fetch-Site``, older browsers in ``Origin``. A request
    with neither does not come from a page, but from a mail server (RFC 8058) or a program.
    """
    if request.method in _SAFE_METHODS:
        return
    fetch_site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if fetch_site is not None:
        allowed = fetch_site in {"same-origin", "none"}
    else:
        public = urlsplit(site.public_url or "").netloc  # a proxy may have changed the host
        hosts = {request.headers.get("host"), public or None}
        allowed = origin is None or origin.partition("://")[2] in hosts
    if not allowed:
        raise HTTPException(403, "This form was sent from another site.")


def check_length(request: Request) -> None:
    """Raise 413 if the announced body is too large."""
    length = Headers(scope=request.scope).get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
        raise _too_large()


def _too_large() -> HTTPException:
    return HTTPException(413, f"At most {MAX_BODY // 1024} kB are accepted.")


def _limited(receive: Receive) -> Receive:
    """Return ``receive`` that raises when a body without an announced length grows too large."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise BodyTooLargeError
        return message

    return limited
