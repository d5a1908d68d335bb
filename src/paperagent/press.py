"""Wiring of one period's issues: the library's papers, what chooses, what writes, what lays out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent import wiring
from paperagent.digest import message
from paperagent.digest.issue import Issue, Period, Profile, Selection
from paperagent.digest.links import LinkMaker
from paperagent.digest.render import Rendered, render
from paperagent.digest.select import Selector
from paperagent.digest.view import ReaderLinks
from paperagent.digest.write import Writer
from paperagent.types import Usage

if TYPE_CHECKING:
    from paperagent.store import LocalStore


class LocalPress:
    """Makes the issues of a period from a library. Implements `digest.build.Press`."""

    def __init__(
        self,
        period: Period,
        store: LocalStore,
        models: wiring.Models,
        *,
        links: LinkMaker,
        domain: str,
        theme_dir: Path | None = None,
    ) -> None:
        encoder, embedder = models.encoder, models.embedder
        if embedder is not None:
            wiring.require_same_space(store, embedder.embedder_id)
        papers = store.within(period.since, period.until)
        self._selector = Selector(papers, period=period, library=store, embedder=embedder)
        self._writer = Writer(
            store, papers, encoder=encoder, embedder=None if embedder is encoder else embedder
        )
        self._links = links
        self._domain = domain
        self._theme_dir = theme_dir

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Embed the wishes of many readers at once."""
        self._selector.prepare(profiles)

    def select(self, profile: Profile) -> Selection:
        """Choose for a reader."""
        return self._selector.select(profile)

    def draft(self, selections: Iterable[Selection]) -> Usage:
        """Do nothing: quoted sentences need no model."""
        del selections
        return Usage()

    def write(self, selection: Selection) -> Issue:
        """Write and check an issue."""
        return self._writer.write(selection)

    def render(self, issue: Issue, subscriber_id: int | None) -> Rendered:
        """Lay an issue out, with the reader's own links; for nobody in particular, with none."""
        reader = self._links.of(subscriber_id) if subscriber_id else ReaderLinks()
        return render(issue, reader=reader, theme_dir=self._theme_dir)

    def message_id(self, issue_id: str, email: str) -> str:
        """Name the message of an issue to a reader."""
        return message.message_id(issue_id, message.mailbox(email).address, self._domain)
