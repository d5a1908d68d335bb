"""Subscribing to the digest: the public form, its preview, and the page that confirms the address."""

from __future__ import annotations

import datetime as dt
from email.utils import parseaddr
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paperagent.digest.delivery.message import parse_address
from paperagent.errors import InputError
from paperagent.web.http import Route, TitledError, not_found, page
from paperagent.web.preference_form import PreferenceForm
from paperagent.web.signup import (
    SignupRequest,
    answer_request,
    confirm_request,
    find_request,
    store_request,
)
from paperagent.web.tokens import EXPIRED_LINK, field, masked, read_token, require_subscriber

if TYPE_CHECKING:
    from paperagent.digest.issue import Issue
    from paperagent.digest.preferences import Preferences
    from paperagent.digest.subscribers import Subscriber
    from paperagent.web.site import Site

MIN_FORM_SECONDS, MAX_FORM_SECONDS = 2, 12 * 3600
"""A form that is sent sooner or later than this was not filled in by a person."""
HONEYPOT = "comment"
"""The name of a field that people do not see, so that only programs fill it in."""
PREVIEW_DAYS = 7


# --- the form ---


def show_form(site: Site, request: Request) -> Response:
    """Show the form or, if emails cannot be sent, how else to subscribe."""
    if not site.settings.signup_open:
        sender = parseaddr(site.settings.mail_from or "")[1]
        return page(site, request, "subscribe.html.j2", form=None, sender=sender)
    return _form_page(site, request, PreferenceForm())


def subscribe(site: Site, request: Request) -> Response:
    """Store a request to subscribe, and answer the same for every valid address."""
    _require_form(site)
    form = PreferenceForm.filled_in(request.state.form)
    address = form.check("email", lambda: parse_address(form.values["email"]))
    preferences, frequency = form.preferences(site.categories()), form.frequency()
    if address is None or form.errors:
        return _form_page(site, request, form, status=422)
    response = page(site, request, "subscribe_sent.html.j2")
    if _is_from_a_person(site, request):
        request_id = store_request(site, address, preferences, frequency)
        # Only after the response, so that its time does not depend on what the address calls for.
        response.background = BackgroundTask(site.run_later, answer_request, site, request_id)
    return response


def preview(site: Site, request: Request) -> Response:
    """Show the form again, with the titles that its preferences select from the newest papers."""
    _require_form(site)
    form = PreferenceForm.filled_in(request.state.form)
    preferences = form.preferences(site.categories())
    form.frequency()
    issue = None if form.errors else _preview_issue(site, preferences)
    return _form_page(site, request, form, status=422 if form.errors else 200, issue=issue)


def _require_form(site: Site) -> None:
    if not site.settings.signup_open:
        raise not_found()


def _form_page(
    site: Site, request: Request, form: PreferenceForm, *, status: int = 200, issue: Issue | None = None
) -> Response:
    assert site.tokens is not None, "the form is open only with a secret"
    opened = field(request, "t") or site.tokens.create("form", int(site.clock().timestamp()))
    return page(
        site,
        request,
        "subscribe.html.j2",
        status=status,
        form=form,
        categories=site.categories(),
        translates=site.settings.answer_mode == "llm",
        opened=opened,
        issue=issue,
    )


def _is_from_a_person(site: Site, request: Request) -> bool:
    """Return whether the hidden field is empty and the time since the form was opened is plausible."""
    assert site.tokens is not None
    try:
        opened, _ = site.tokens.read("form", field(request, "t"))
    except InputError:
        return False
    seconds = site.clock().timestamp() - opened
    return not field(request, HONEYPOT) and MIN_FORM_SECONDS <= seconds <= MAX_FORM_SECONDS


def _preview_issue(site: Site, preferences: Preferences) -> Issue:
    """Return an issue of the last seven days or, if they have no papers, of the last seven days with some."""
    today = site.today()
    issue = _issue_until(site, today, preferences)
    if not issue.screened:
        newest = next(iter(site.agent.list(limit=1)), None)
        if newest is not None and newest.public_day is not None:
            issue = _issue_until(site, newest.public_day, preferences)
    return issue


def _issue_until(site: Site, until: dt.date, preferences: Preferences) -> Issue:
    return site.agent.digest(
        since=until - dt.timedelta(days=PREVIEW_DAYS - 1),
        until=until,
        interests=preferences.interests,
        categories=preferences.categories,
        exclude=preferences.exclude,
        authors=preferences.authors,
        mode="extractive",
    )


# --- confirmation ---


def show_confirmation(site: Site, request: Request) -> Response:
    """Show what will be sent, and the button that confirms it."""
    target = _find_target(site, request)
    return page(site, request, "confirm.html.j2", target=target, address=masked(target.email), link=None)


def confirm(site: Site, request: Request) -> Response:
    """Subscribe the address; a second time changes nothing."""
    target = _find_target(site, request)
    if target.is_confirmed:
        return show_confirmation(site, request)
    try:
        if isinstance(target, SignupRequest):
            subscriber = confirm_request(site, target)
        else:
            subscriber = site.digest.subscribers.confirm(target.id)
    except InputError:
        raise TitledError(410, "This address receives no email from here.", "Not subscribed") from None
    assert site.tokens is not None
    return page(
        site,
        request,
        "confirm.html.j2",
        target=subscriber,
        address=masked(subscriber.email),
        link=f"/preferences/{site.tokens.create('preferences', subscriber.id)}",
    )


def _find_target(site: Site, request: Request) -> SignupRequest | Subscriber:
    """Return the request of a visitor, or the subscriber whom the operator added, that the token names."""
    try:
        request_id, _ = read_token(site, request, "signup")
    except HTTPException as error:
        if error.status_code != 404:
            raise
        subscriber_id, _ = read_token(site, request, "confirm")
        return require_subscriber(site, subscriber_id)
    signup_request = find_request(site, request_id)
    if signup_request is None:
        raise HTTPException(410, EXPIRED_LINK)
    return signup_request


ROUTES = (
    Route("/subscribe", show_form, public=True),
    Route("/subscribe", subscribe, methods=("POST",), limit="subscribe", public=True),
    Route("/subscribe/preview", preview, methods=("POST",), limit="preview"),
    Route("/confirm/{token}", show_confirmation, public=True),
    Route("/confirm/{token}", confirm, methods=("POST",), public=True),
)
