"""The pages behind the links in a digest mail: unsubscribe, feedback, preferences, and the reading list.

The signed token in the address identifies the reader, so nobody has to sign in. A GET only shows a page with
a button, because mail scanners open every link; the POST acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from paperagent.digest.feedback import FEEDBACK_KINDS, FeedbackKind
from paperagent.web.http import Route, not_found, page, see_other
from paperagent.web.tokens import (
    BAD_LINK,
    field,
    find_papers,
    find_subscriber,
    masked,
    read_token,
    require_subscriber,
)

if TYPE_CHECKING:
    from paperagent.web.site import Site


# --- unsubscribe ---


def show_unsubscribe(site: Site, request: Request) -> Response:
    """Show the button that stops the mails."""
    subscriber_id, _ = read_token(site, request, "unsubscribe")
    subscriber = find_subscriber(site, subscriber_id)
    stopped = subscriber is None or subscriber.state == "unsubscribed"
    address = masked(subscriber.email) if subscriber else ""
    return page(site, request, "unsubscribe.html.j2", stopped=stopped, address=address, done=False)


def unsubscribe(site: Site, request: Request) -> Response:
    """Stop the mails: for the button, and for mail programs that do it with one click (RFC 8058).

    A second time changes nothing, and a reader who was removed is told the same.
    """
    subscriber_id, _ = read_token(site, request, "unsubscribe")
    subscriber = find_subscriber(site, subscriber_id)
    if subscriber is not None:
        site.digest.subscribers.unsubscribe(subscriber_id)
    if field(request, "List-Unsubscribe"):
        return PlainTextResponse("You are unsubscribed.\n")
    address = masked(subscriber.email) if subscriber else ""
    return page(site, request, "unsubscribe.html.j2", stopped=True, address=address, done=True)


# --- feedback ---


def show_feedback(site: Site, request: Request) -> Response:
    """Show the button that keeps the feedback or, if it is kept already, what can be changed about it."""
    subscriber_id, (paper_id, linked_kind) = read_token(site, request, "feedback")
    require_subscriber(site, subscriber_id)
    tokens = site.tokens
    assert tokens is not None
    return page(
        site,
        request,
        "feedback.html.j2",
        kind=_known_kind(request.query_params.get("kind")) or linked_kind,
        paper=find_papers(site, [paper_id]).get(paper_id),
        kept={rating.kind for rating in site.digest.feedback.ratings(subscriber_id, paper_id)},
        saved=f"/saved/{tokens.create('saved', subscriber_id)}",
        preferences=f"/preferences/{tokens.create('preferences', subscriber_id)}",
    )


def give_feedback(site: Site, request: Request) -> Response:
    """Keep or undo feedback; without fields, keep the feedback that the link names."""
    subscriber_id, (paper_id, linked_kind) = read_token(site, request, "feedback")
    require_subscriber(site, subscriber_id)
    kind = _known_kind(field(request, "kind") or linked_kind)
    if kind is None:
        raise not_found(BAD_LINK)
    if field(request, "undo"):
        site.digest.feedback.unrate(subscriber_id, paper_id, kind)
    else:
        site.digest.feedback.rate(subscriber_id, paper_id, kind)
    return see_other(f"{request.url.path}?kind={kind}")


def _known_kind(text: str | None) -> FeedbackKind | None:
    return next((kind for kind in FEEDBACK_KINDS if kind == text), None)


ROUTES = (
    Route("/unsubscribe/{token}", show_unsubscribe, public=True),
    Route("/unsubscribe/{token}", unsubscribe, methods=("POST",), public=True),
    Route("/feedback/{token}", show_feedback, public=True),
    Route("/feedback/{token}", give_feedback, methods=("POST",), public=True),
)
