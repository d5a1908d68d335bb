"""Signing in without a password: an emailed link that works once, then a cookie.

A GET shows a page with a button, because mail scanners open every link; the POST signs in. The database
holds hashes of the random tokens, and no cookie is set before somebody signs in.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paperagent.digest.database import format_timestamp
from paperagent.digest.delivery.message import parse_address
from paperagent.errors import InputError, MailError
from paperagent.web.access import COOKIE, can_sign_in, is_asker, token_hash, visitor
from paperagent.web.http import Route, not_found, page, see_other
from paperagent.web.tokens import field, masked, without_addresses

if TYPE_CHECKING:
    from paperagent.web.site import Site

LOG = logging.getLogger("paperagent.web")
LINK_LIFETIME = dt.timedelta(minutes=15)
SESSION_LIFETIME = dt.timedelta(days=30)
MAX_MAILS_PER_HOUR = 5
"""Sign-in emails to one address."""


def show_form(site: Site, request: Request) -> Response:
    """Show the form for the address, or who is signed in."""
    _require_sign_in(site)
    return _form_page(site, request)


def send_link(site: Site, request: Request) -> Response:
    """Answer the same for every address. In the background, email the link to those who may sign in."""
    _require_sign_in(site)
    text = field(request, "email").strip()
    try:
        address = parse_address(text)
    except InputError:
        problem = "This is not an email address. Write it like name@example.org."
        return _form_page(site, request, status=422, problem=problem, address=text[:254])
    response = page(site, request, "sign_in_sent.html.j2")
    response.background = BackgroundTask(site.run_later, mail_link, site, address.email)
    return response


def _form_page(
    site: Site, request: Request, *, status: int = 200, problem: str = "", address: str = ""
) -> Response:
    visitor(site, request)  # for the page
    return page(
        site,
        request,
        "sign_in.html.j2",
        status=status,
        problem=problem,
        address=address,
        has_model=site.settings.answer_mode != "extractive",
    )


def mail_link(site: Site, address: str) -> None:
    """Send a sign-in link to an address that may sign in, at most `MAX_MAILS_PER_HOUR`."""
    if not is_asker(site.settings, address):
        return
    now, key, token = site.clock(), address.lower(), secrets.token_urlsafe(32)
    with site.database.writing() as db:
        hour = (format_timestamp(now - dt.timedelta(hours=1)), format_timestamp(now + dt.timedelta(hours=1)))
        (count,) = db.execute(
            "SELECT count(*) FROM mailing WHERE key = ? AND kind = 'sign-in' AND sent_at BETWEEN ? AND ?",
            (key, *hour),
        ).fetchone()
        if count >= MAX_MAILS_PER_HOUR:
            return
        db.execute("INSERT INTO mailing VALUES (?, 'sign-in', ?)", (key, format_timestamp(now)))
        expires_at = format_timestamp(now + LINK_LIFETIME)
        valid = (format_timestamp(now), expires_at)  # a later time was written by a wrong clock
        db.execute("DELETE FROM sign_in WHERE expires_at <= ? OR expires_at > ?", valid)
        db.execute("INSERT INTO sign_in VALUES (?, ?, ?)", (token_hash(token), key, expires_at))
    try:
        site.digest.mailer.send_sign_in(address, now, link=f"{site.public_url}/sign-in/{token}")
    except MailError as error:
        LOG.warning("%s", without_addresses(error))


def show_button(site: Site, request: Request) -> Response:
    """Show the button that signs in; the link stays unused."""
    _require_sign_in(site)
    with site.database.reading() as db:
        row = db.execute(
            "SELECT address FROM sign_in WHERE hash = ? AND expires_at > ? AND expires_at <= ?",
            _link_values(site, request),
        ).fetchone()
    if row is None:
        raise _used_or_expired()
    return page(site, request, "sign_in_button.html.j2", address=masked(row[0]))


def sign_in(site: Site, request: Request) -> Response:
    """Use a link, once: start a session and set its cookie."""
    _require_sign_in(site)
    now, token = site.clock(), secrets.token_urlsafe(32)
    with site.database.writing() as db:
        row = db.execute(
            "DELETE FROM sign_in WHERE hash = ? AND expires_at > ? AND expires_at <= ? RETURNING address",
            _link_values(site, request),
        ).fetchone()
        if row is None or not is_asker(site.settings, row[0]):
            raise _used_or_expired()
        expires_at = format_timestamp(now + SESSION_LIFETIME)
        db.execute(
            "DELETE FROM session WHERE expires_at <= ? OR expires_at > ?", (format_timestamp(now), expires_at)
        )
        db.execute("INSERT INTO session VALUES (?, ?, ?)", (token_hash(token), row[0], expires_at))
    response = see_other("/")
    max_age = int(SESSION_LIFETIME.total_seconds())
    response.set_cookie(COOKIE, token, max_age=max_age, path="/", secure=True, httponly=True, samesite="lax")
    return response


def show_sign_out(site: Site, request: Request) -> Response:
    """Show the button that ends all sessions."""
    _require_sign_in(site)
    visitor(site, request)  # for the page
    return page(site, request, "sign_out.html.j2")


def sign_out(site: Site, request: Request) -> Response:
    """End all sessions of the reader, in every browser."""
    _require_sign_in(site)
    user = visitor(site, request).user
    with site.database.writing() as db:
        db.execute("DELETE FROM session WHERE address = ?", (user or "",))
    response = see_other("/")
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def _link_values(site: Site, request: Request) -> tuple[str, str, str]:
    now = site.clock()
    latest = format_timestamp(now + LINK_LIFETIME)
    return token_hash(request.path_params["token"]), format_timestamp(now), latest


def _used_or_expired() -> HTTPException:
    return HTTPException(410, "This link has been used or is older than 15 minutes. Request a new one.")


def _require_sign_in(site: Site) -> None:
    if not can_sign_in(site.settings):
        raise not_found("Sign-in is not set up here.")


ROUTES = (
    Route("/sign-in", show_form, public=True),
    Route("/sign-in", send_link, methods=("POST",), limit="sign-in", public=True),
    Route("/sign-in/{token}", show_button, public=True),
    Route("/sign-in/{token}", sign_in, methods=("POST",), public=True),
    Route("/sign-out", show_sign_out, public=True),
    Route("/sign-out", sign_out, methods=("POST",), public=True),
)
