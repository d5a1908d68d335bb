"""The pages behind the links in the digest's emails: unsubscribe, feedback, preferences, reading list.

The signed token in the address identifies the subscriber, so nobody has to sign in. A GET only shows a page
with a button, because mail scanners open every link; the POST acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from paperagent.digest.database import format_timestamp
from paperagent.digest.feedback import FEEDBACK_KINDS, FeedbackKind
from paperagent.digest.subscribers import UNSUBSCRIBED
from paperagent.text.sanitize import safe_json
from paperagent.ui import export
from paperagent.web.cards import card
from paperagent.web.http import Route, not_found, page, see_other
from paperagent.web.preference_form import PreferenceForm
from paperagent.web.signup import forget_address
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
    from paperagent.digest.subscribers import Subscriber
    from paperagent.types import Paper
    from paperagent.web.site import Site

MAX_RATINGS_SHOWN = 100
MAX_QUERY = 300
"""Characters of a search in the reading list."""


# --- unsubscribe ---


def show_unsubscribe(site: Site, request: Request) -> Response:
    """Show the button that unsubscribes."""
    subscriber_id, _ = read_token(site, request, "unsubscribe")
    subscriber = find_subscriber(site, subscriber_id)
    stopped = subscriber is None or subscriber.state == "unsubscribed"
    address = masked(subscriber.email) if subscriber else ""
    return page(site, request, "unsubscribe.html.j2", stopped=stopped, address=address, done=False)


def unsubscribe(site: Site, request: Request) -> Response:
    """Unsubscribe, by the button or by the one-click POST of a mail program (RFC 8058).

    A second time changes nothing, and a removed subscriber sees the same page. Any other POST is refused.
    """
    subscriber_id, _ = read_token(site, request, "unsubscribe")
    is_one_click = field(request, "List-Unsubscribe").casefold() == "one-click"
    if not (is_one_click or field(request, "stop")):
        raise HTTPException(400, "To unsubscribe, open this address and press the button.")
    subscriber = find_subscriber(site, subscriber_id)
    if subscriber is not None:
        site.digest.subscribers.unsubscribe(subscriber_id)
    if is_one_click:
        return PlainTextResponse("You are unsubscribed.\n")
    address = masked(subscriber.email) if subscriber else ""
    return page(site, request, "unsubscribe.html.j2", stopped=True, address=address, done=True)


# --- feedback ---


def show_feedback(site: Site, request: Request) -> Response:
    """Show the button that stores the feedback or, if it is stored already, the buttons that change it."""
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
    """Store or undo feedback; without fields, store the feedback that the link names."""
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


# --- preferences ---


def show_preferences(site: Site, request: Request) -> Response:
    """Show a subscriber's preferences, ratings and further actions."""
    subscriber_id, _ = read_token(site, request, "preferences")
    subscriber = require_subscriber(site, subscriber_id)
    form = PreferenceForm.showing(subscriber.preferences, subscriber.frequency)
    return _preferences_page(site, request, subscriber, form)


def change_preferences(site: Site, request: Request) -> Response:
    """Do what the pressed button says: save the preferences, undo a rating, or delete the data.

    A POST without a button is refused, because its missing fields would erase the preferences.
    """
    subscriber_id, _ = read_token(site, request, "preferences")
    subscriber = require_subscriber(site, subscriber_id)
    action = field(request, "action")
    if action == "forget":
        site.digest.remove_subscriber(subscriber.email, reason=UNSUBSCRIBED)
        forget_address(site, subscriber.key)
        return page(site, request, "forgotten.html.j2")
    if action == "undo":
        kind = _known_kind(field(request, "kind"))
        if kind is not None:
            site.digest.feedback.unrate(subscriber_id, field(request, "paper"), kind)
        return see_other(f"{request.url.path}#papers")
    if action != "save":
        raise HTTPException(400, "To change what you get, open this address and press a button.")
    form = PreferenceForm.filled_in(request.state.form)
    preferences, frequency = form.preferences(site.categories()), form.frequency()
    if form.errors:
        return _preferences_page(site, request, subscriber, form, status=422)
    preferences = preferences.with_examples(subscriber.preferences.examples)  # not in the form
    site.digest.subscribers.set_preferences(subscriber_id, preferences, frequency=frequency)
    return see_other(f"{request.url.path}?saved=1")


def _preferences_page(
    site: Site, request: Request, subscriber: Subscriber, form: PreferenceForm, *, status: int = 200
) -> Response:
    ratings = site.digest.feedback.ratings(subscriber.id)
    papers = find_papers(site, [rating.paper_id for rating in ratings[:MAX_RATINGS_SHOWN]])
    tokens = site.tokens
    assert tokens is not None
    return page(
        site,
        request,
        "preferences.html.j2",
        status=status,
        address=masked(subscriber.email),
        state=subscriber.state,
        form=form,
        categories=site.categories(),
        translates=site.settings.answer_mode == "llm",
        changed="saved" in request.query_params,
        ratings=[(rating, papers.get(rating.paper_id)) for rating in ratings[:MAX_RATINGS_SHOWN]],
        hidden=max(0, len(ratings) - MAX_RATINGS_SHOWN),
        saved=f"/saved/{tokens.create('saved', subscriber.id)}",
        unsubscribe=f"/unsubscribe/{tokens.create('unsubscribe', subscriber.id)}",
    )


def download_data(site: Site, request: Request) -> Response:
    """Return what is stored about a subscriber, with the whole address, which no page shows."""
    subscriber_id, _ = read_token(site, request, "preferences")
    subscriber = require_subscriber(site, subscriber_id)
    seen = site.digest.subscribers.preferences_with_feedback(subscriber).seen
    data = {
        "subscriber": subscriber.to_dict(),
        "feedback": [
            {"paper_id": rating.paper_id, "kind": rating.kind, "at": format_timestamp(rating.at)}
            for rating in site.digest.feedback.ratings(subscriber_id)
        ],
        "papers_sent": sorted(seen),
    }
    return Response(
        safe_json(data) + "\n",
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="paper-digest.json"'},
    )


# --- reading list ---


def show_saved(site: Site, request: Request) -> Response:
    """Show a subscriber's saved papers, or those that contain the words of ``q``."""
    query = request.query_params.get("q", "")[:MAX_QUERY].strip()
    saved = _saved_papers(site, request)
    words = query.casefold().split()
    cards = [card(paper) for paper in saved if all(word in _searchable(paper) for word in words)]
    return page(site, request, "saved.html.j2", cards=cards, count=len(saved), query=query)


def export_saved(site: Site, request: Request) -> Response:
    """Return the saved papers as BibTeX or RIS."""
    write = {"bib": export.bibtex, "ris": export.ris}.get(request.path_params["format"])
    if write is None:
        raise not_found()
    name = f"reading-list.{request.path_params['format']}"
    return PlainTextResponse(
        "".join(write(_saved_papers(site, request))),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _saved_papers(site: Site, request: Request) -> list[Paper]:
    """Return the saved papers that the library still has, latest first."""
    subscriber_id, _ = read_token(site, request, "saved")
    require_subscriber(site, subscriber_id)
    ratings = site.digest.feedback.ratings(subscriber_id)
    return list(find_papers(site, [r.paper_id for r in ratings if r.kind == "save"]).values())


def _searchable(paper: Paper) -> str:
    return " ".join((paper.title, *paper.authors, paper.abstract, paper.paper_id)).casefold()


ROUTES = (
    Route("/unsubscribe/{token}", show_unsubscribe, public=True),
    # One mail server unsubscribes many subscribers.
    Route("/unsubscribe/{token}", unsubscribe, methods=("POST",), limit="none", public=True),
    Route("/feedback/{token}", show_feedback, public=True),
    Route("/feedback/{token}", give_feedback, methods=("POST",), public=True),
    Route("/preferences/{token}", show_preferences, public=True),
    Route("/preferences/{token}", change_preferences, methods=("POST",), public=True),
    Route("/preferences/{token}/data.json", download_data, public=True),
    Route("/saved/{token}", show_saved, public=True),
    Route("/saved/{token}/papers.{format}", export_saved, public=True),
)
