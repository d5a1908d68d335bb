"""Routes, pages and errors: what every handler of the web page uses.

A handler is a plain function ``(site, request) -> Response`` that runs in a worker thread. The fields of a
POST are in ``request.state.form``. Its `Route` says how its responses may be cached.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from paperagent import templating
from paperagent.digest.links import paper_path
from paperagent.digest.render import formatting
from paperagent.digest.render.view import describe_reason
from paperagent.errors import InputError, NoLibraryError, StoreError, StoreLockedError
from paperagent.text.sanitize import safe_url
from paperagent.web import access

if TYPE_CHECKING:
    from jinja2 import Environment

    from paperagent.config import Settings
    from paperagent.web.site import Site

Handler = Callable[["Site", Request], Response]
TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
NO_STORE = "no-store"
REVALIDATE = "private, no-cache"
"""Browsers keep a copy, and ask before each use whether it has changed."""
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Route:
    """A path with its handler."""

    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    """``GET`` includes ``HEAD``."""
    cache: str = NO_STORE
    """The default ``Cache-Control`` of successful responses; other responses are never cached."""
    indexed: bool = False
    """Whether search engines may index the page."""
    limit: str = "page"
    """The rate limit of the route; see `rate_limit`. If it has POST, only POSTs count against it."""
    public: bool = False
    """Whether everybody may see the page, even if only signed-in readers may read the library."""


def endpoint(route: Route) -> Callable[[Request], Awaitable[Response]]:
    """Return the Starlette endpoint of a route."""

    async def call(request: Request) -> Response:
        site: Site = request.app.state.site
        request.scope["route_path"] = route.path
        check_encoding(request.scope["query_string"])
        check_rate(site, request, _limit_of(route, request))
        request.state.form = await _form(request) if request.method == "POST" else FormData()
        return await run_in_threadpool(_respond, route, site, request)

    return call


async def _form(request: Request) -> FormData:
    """Return the fields of a POST.

    Raises:
        HTTPException: 415 for a body that is no form; 400 for a file, or text that is not UTF-8.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _FORMS and await request.body():
        raise HTTPException(415, "Only forms are accepted.")
    if media_type == _FORMS[0]:
        check_encoding(await request.body())
    try:
        form = await request.form(max_files=0)
        for name, value in form.multi_items():
            f"{name}{value}".encode()  # a multipart form may be in any encoding, which may have surrogates
    except UnicodeError:
        raise _not_utf8() from None
    return form


def check_encoding(encoded: bytes) -> None:
    """Raise 400 if a query or an encoded form is not UTF-8."""
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise _not_utf8() from None


def _not_utf8() -> HTTPException:
    return HTTPException(400, "The text is not valid UTF-8.")


def _respond(route: Route, site: Site, request: Request) -> Response:
    if not (route.public or access.may_read(site, request)):
        if not (request.method in {"GET", "HEAD"} and access.can_sign_in(site.settings)):
            raise HTTPException(403, "Only signed-in readers can see these pages.")
        response: Response = RedirectResponse("/sign-in", status_code=303)
    else:
        if not route.public:
            access.visitor(site, request)  # for the page
        response = route.handler(site, request)
    return _with_cache_headers(route, site, request, response)


def _limit_of(route: Route, request: Request) -> str:
    if request.method != "POST" and "POST" in route.methods:
        return "page"
    is_search = route.limit == "page" and request.method != "POST" and request.query_params.get("q")
    return "search" if is_search else route.limit


def check_rate(site: Site, request: Request, limit: str) -> None:
    """Raise 429 if the sender has made too many requests of a kind. The person at this machine has no limit.

    Args:
        site: The site.
        request: The request.
        limit: One of `rate_limit.LIMITS`.
    """
    origin = access.origin(site, request.scope)
    seconds = 0 if origin.is_local else site.limiter.take(limit, origin.address)
    if seconds:
        site.counters.add(rate_limited=1)
        when = "in a minute" if seconds <= 60 else f"in {math.ceil(seconds / 60)} minutes"
        raise HTTPException(429, f"Please try again {when}.", {"Retry-After": str(seconds)})


def _with_cache_headers(route: Route, site: Site, request: Request, response: Response) -> Response:
    headers = response.headers
    if not route.indexed:
        headers.setdefault("X-Robots-Tag", "noindex")
    cacheable = request.method in {"GET", "HEAD"} and response.status_code == 200
    headers.setdefault("Cache-Control", route.cache if cacheable else NO_STORE)
    if not route.public and access.is_personal(site, request):
        headers["Cache-Control"] = re.sub(r"\bpublic\b", "private", headers["Cache-Control"])
    if not route.public and site.settings.web_askers:
        headers.add_vary_header("Cookie")
    if not cacheable or isinstance(response, StreamingResponse) or NO_STORE in headers["Cache-Control"]:
        return response
    if "ETag" not in headers:
        headers["ETag"] = f'"{hashlib.sha256(response.body).hexdigest()[:20]}"'
    requested = request.headers.get("if-none-match", "")
    if headers["ETag"] in {tag.strip().removeprefix("W/") for tag in requested.split(",")}:
        unchanged = Response(status_code=304)
        for name in ("etag", "cache-control", "vary", "x-robots-tag", "last-modified"):
            if name in headers:
                unchanged.headers[name] = headers[name]
        return unchanged
    return response


# --- pages ---


def page(site: Site, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        site: The site.
        request: The request, for the address and the signed-in reader.
        template: The name of a template that extends ``base.html.j2``.
        status: The HTTP status.
        **values: What the template shows. Strings are escaped.
    """
    return HTMLResponse(render(site, request, template, **values), status)


def render(site: Site, request: Request, template: str, **values: Any) -> str:
    """Return a template as text, with the values that every page uses."""
    who = request.scope.get("paperagent.visitor")  # not looked up for the page of an error
    common = {
        "user": who.user if who else None,
        "can_sign_in": access.can_sign_in(site.settings),
        "site_title": site.settings.web_title,
        "path": request.url.path,
        "contact": contact_url(site.settings),
        "public_url": base_url(site, request),
    }
    return templating.fill_template(environment(), template, **common, **values)


def contact_url(settings: Settings) -> str | None:
    """Return the address of the operator as a link, if it is set."""
    contact = (settings.contact or "").removeprefix("mailto:")
    if "@" in contact and ":" not in contact:
        return f"mailto:{contact}"
    return safe_url(contact) or None


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates' environment."""
    result = templating.template_environment(TEMPLATES)
    result.filters.update(
        day=formatting.format_day,
        days=formatting.format_days,
        authors=formatting.format_authors,
        clean=formatting.clean_text,
        paper_path=paper_path,
        reason=describe_reason,
    )
    result.globals.update(static=static_url)
    return result


def load_templates() -> None:
    """Compile all templates, which takes about as long as answering a question."""
    for name in environment().list_templates():
        environment().get_template(name)


def base_url(site: Site, request: Request) -> str:
    """Return the address of the site without a slash at its end."""
    return site.public_url or str(request.base_url).rstrip("/")


def see_other(path: str) -> Response:
    """Redirect the browser to ``path`` with GET after a POST."""
    return RedirectResponse(path, status_code=303)


class TitledError(HTTPException):
    """An error whose page has a heading of its own."""

    def __init__(self, status: int, message: str, title: str) -> None:
        super().__init__(status, message)
        self.title = title


def not_found(message: str = "There is no such page.") -> HTTPException:
    """Return an error to raise for something that does not exist."""
    return HTTPException(404, message)


# --- errors ---

_TITLES = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "This page cannot be opened",
    408: "The request took too long",
    410: "This link has expired",
    413: "Too much data",
    415: "Wrong kind of data",
    421: "Wrong address",
    422: "Something is missing",
    429: "Too many requests",
    431: "Headers too large",
    500: "Something went wrong",
    503: "Temporarily unavailable",
}
_MESSAGES = {
    404: "There is no such page.",
    405: "This address only accepts data from a form.",
}
"""Status → the message of an error that the framework raised."""


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, InputError):
        return 400
    return 503 if isinstance(error, StoreError) else 500


def message_of(error: Exception) -> str:
    """Return the message of an error for readers, without the server's files and settings."""
    if isinstance(error, HTTPException):
        is_default = error.detail == HTTPStatus(error.status_code).phrase
        return _MESSAGES.get(error.status_code, "") if is_default else error.detail
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, NoLibraryError):
        return "The library is empty. Papers appear here after the first “paperagent ingest”."
    if isinstance(error, StoreLockedError):
        return "The library is being changed. Please try again in a minute."
    return "The server could not answer. The error is in its log."


def _prefers_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def error_page(site: Site, request: Request, error: Exception) -> Response:
    """Return the page for an error, or a JSON object if the client asks for one."""
    status = status_of(error)
    title, message = _TITLES.get(status, "Error"), message_of(error)
    if isinstance(error, TitledError):
        title = error.title
    if isinstance(error, InputError) and request.method in {"GET", "HEAD"}:
        name, _, problem = message.partition(": ")
        title, message = "Check the address", f"The parameter “{name}” cannot be used: {problem}."
    values = {
        "title": title,
        "message": message,
        "reference": request.scope.get("request_id", "") if status >= 500 else "",
    }
    if _prefers_json(request):
        response: Response = JSONResponse({"status": status, **values}, status)
    else:
        response = page(site, request, "error.html.j2", status=status, **values)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    if isinstance(error, StoreError):
        response.headers["Retry-After"] = "60"
    response.headers["Cache-Control"] = NO_STORE
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def is_expected(error: Exception) -> bool:
    """Return whether an error is part of normal operation, so its traceback is not logged."""
    expected = (HTTPException, InputError, NoLibraryError, StoreLockedError)
    return isinstance(error, expected) and status_of(error) != 500


# --- static files ---


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A stylesheet, script or icon."""

    body: bytes
    media_type: str
    version: str
    """The hash in the address, so that browsers may keep the file for a year."""


_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@lru_cache(maxsize=1)
def static_files() -> dict[str, StaticFile]:
    """Return the static files by name. The stylesheet is a template that includes its parts, ``_*.css``."""
    files = {}
    for path in sorted(STATIC.iterdir()):
        if path.suffix not in _MEDIA_TYPES or path.name.startswith("_"):
            continue
        if path.suffix == ".css":
            styles = templating.template_environment(STATIC)
            body = templating.fill_template(styles, path.name).encode()
        else:
            body = path.read_bytes()
        version = hashlib.sha256(body).hexdigest()[:12]
        files[path.name] = StaticFile(body, _MEDIA_TYPES[path.suffix], version)
    return files


def static_url(name: str) -> str:
    """Return the address of a static file."""
    return f"/static/{name}?v={static_files()[name].version}"


def static_file(_site: Site, request: Request) -> Response:
    """Handle ``/static/{name}``."""
    file = static_files().get(request.path_params["name"])
    if file is None:
        raise not_found()
    return Response(file.body, media_type=file.media_type)


ROUTES = (
    Route(
        "/static/{name}",
        static_file,
        cache="public, max-age=31536000, immutable",
        indexed=True,
        limit="none",
        public=True,
    ),
)
