"""What the pages behind the links in emails share: finding the subscriber, and masking addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request

from paperagent.digest.links import ExpiredTokenError
from paperagent.errors import InputError
from paperagent.web.http import TitledError, not_found

if TYPE_CHECKING:
    from paperagent.digest.links import Purpose
    from paperagent.digest.subscribers import Subscriber
    from paperagent.types import Paper
    from paperagent.web.site import Site

BAD_LINK = "This link is not complete. Please use the whole link in the email."
_ADDRESS = re.compile(r"[^\s<>()\[\]:;,]+@[^\s<>()\[\]:;,]+")
EXPIRED_LINK = "This link was valid for 48 hours. Subscribe again to get a new one."


def read_token(site: Site, request: Request, purpose: Purpose) -> tuple[int, tuple[str, ...]]:
    """Return the number and the values of the token in the path.

    Raises:
        HTTPException: 404 for a token that is not ours, 410 for one that has expired.
    """
    if site.tokens is None:
        raise not_found(BAD_LINK)
    try:
        return site.tokens.read(purpose, request.path_params["token"])
    except ExpiredTokenError:
        raise HTTPException(410, EXPIRED_LINK) from None
    except InputError:
        raise not_found(BAD_LINK) from None


def find_subscriber(site: Site, subscriber_id: int) -> Subscriber | None:
    """Return a subscriber; None for one who was removed."""
    try:
        return site.digest.subscribers.get(subscriber_id)
    except InputError:
        return None


def require_subscriber(site: Site, subscriber_id: int) -> Subscriber:
    """Return a subscriber.

    Raises:
        HTTPException: 404 for one who was removed.
    """
    subscriber = find_subscriber(site, subscriber_id)
    if subscriber is None:
        raise TitledError(404, "Nothing is stored about you here any more.", "Deleted")
    return subscriber


def masked(email: str) -> str:
    """Return ``a•••@example.org``, which only the owner recognizes, because emails are forwarded."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def without_addresses(text: object) -> str:
    """Return a message of a mail server without the email addresses that it repeats, for the log."""
    return _ADDRESS.sub("…", str(text))


def field(request: Request, name: str) -> str:
    """Return a text field of the submitted form, or an empty string."""
    value = request.state.form.get(name)
    return value if isinstance(value, str) else ""


def find_papers(site: Site, paper_ids: Iterable[str]) -> dict[str, Paper]:
    """Return the papers with these ids that the library still has."""
    papers = {}
    for paper_id in dict.fromkeys(paper_ids):
        try:
            papers[paper_id] = site.agent.get(paper_id)
        except InputError:
            continue
    return papers
