"""Wiring of one period's issues: the library's papers, what chooses, what writes, what lays out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from paperagent import factory
from paperagent.digest import assembly
from paperagent.digest.delivery import message
from paperagent.digest.issue import Issue, Period, Profile, Selection
from paperagent.digest.links import LinkBuilder
from paperagent.digest.render.renderer import Rendered, render_issue
from paperagent.digest.render.view import SubscriberLinks
from paperagent.digest.select.selector import PaperSelector
from paperagent.types import Usage

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.digest.assembly import LLMContext
    from paperagent.library import Store


class LocalPress:
    """Makes the issues of a period from a library. Implements `digest.build.Press`."""

    def __init__(
        self,
        period: Period,
        store: Store,
        settings: Settings,
        *,
        links: LinkBuilder,
        domain: str,
        hand: LLMContext | None = None,
    ) -> None:
        """Take the period's papers; with a ``hand``, a model writes what it can pay for."""
        models = factory.load_embedding_models(settings)
        papers = store.papers_between(period.since, period.until)
        model = assembly.digest_model(settings, hand) if hand else None
        self._writer = assembly.issue_writer(store, models, papers, model=model)
        # A library that was read without a model has no vectors to hold a query's against.
        embedder = models.embedder if store.embedder_id else None
        self._selector = PaperSelector(papers, period=period, library=store, embedder=embedder)
        self._budget = model.budget if model else None
        self._links = links
        self._domain = domain
        self._theme_dir = settings.digest_theme

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Embed the wishes of many readers at once."""
        wished = list(profiles)
        self._selector.prepare(wished)
        self._writer.prepare(wished)

    def select(self, profile: Profile) -> Selection:
        """Choose for a reader."""
        return self._selector.select(profile)

    def estimate(self, selections: Iterable[Selection]) -> Usage:
        """Return the most that `draft` may use; nothing without a model."""
        return self._writer.estimate(selections)

    def draft(self, selections: Iterable[Selection]) -> None:
        """Have the model write what the issues share; without one do nothing."""
        self._writer.draft(selections)

    @property
    def usage(self) -> Usage:
        """What the model used so far, standing questions included."""
        return self._budget.usage if self._budget else Usage()

    def write(self, selection: Selection) -> Issue:
        """Write and check an issue."""
        return self._writer.write(selection)

    def render(self, issue: Issue, subscriber_id: int | None) -> Rendered:
        """Lay an issue out, with the reader's own links; for nobody in particular, with none."""
        reader = self._links.of(subscriber_id) if subscriber_id else SubscriberLinks()
        return render_issue(issue, reader=reader, theme_dir=self._theme_dir)

    def message_id(self, issue_id: str, email: str) -> str:
        """Name the message of an issue to a reader."""
        return message.message_id(issue_id, message.mailbox(email).address, self._domain)
