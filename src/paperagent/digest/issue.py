"""What a digest is made of: a reader's wishes, and the issue written for them. Plain values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from paperagent.types import Citation, Claim, Mode, Paper, Usage


@dataclass(frozen=True, slots=True)
class Period:
    """The days that an issue covers."""

    name: str
    """``2026-W26``, ``2026-06-24`` for one day, ``2026-06-01..2026-06-20`` for any other span."""
    since: dt.date
    until: dt.date
    """The last day, included."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a reader wants to read; empty for nobody in particular."""

    interests: tuple[str, ...] = ()
    """Topics in the reader's words."""
    questions: tuple[str, ...] = ()
    """Standing questions, answered from each issue's papers."""
    categories: tuple[str, ...] = ()
    """Only papers of these categories (``cs`` holds ``cs.CL``); any where empty."""
    max_items: int = 12
    """Papers in an issue, 1 to 30."""
    liked: tuple[str, ...] = ()
    """Ids of papers of which the reader wants more."""
    disliked: tuple[str, ...] = ()
    """Ids of papers of which the reader wants less."""
    shown: frozenset[str] = frozenset()
    """Ids of papers that earlier issues showed to this reader."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a paper is in a reader's issue."""

    kind: Literal["interest", "question", "liked", "category", "upvotes", "central"]
    """``central`` is for nobody in particular: the paper is typical of what the period brought."""
    text: str
    """The interest, question, category or liked title as the reader knows it; the number of upvotes."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A paper selected for a reader, not yet written about."""

    paper: Paper
    score: float
    """Comparable within one issue."""
    why: Why
    merged: tuple[str, ...] = ()
    """Ids of near-duplicates that this paper stands for."""


@dataclass(frozen=True, slots=True)
class Group:
    """Chosen papers on one theme, best first."""

    key: str
    """The same for all readers of a period whose issue has the theme."""
    name: str
    """Its distinctive terms, readable."""
    chosen: tuple[Chosen, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a reader's issue will be about."""

    period: Period
    profile: Profile
    groups: tuple[Group, ...] = ()
    also: tuple[Paper, ...] = ()
    """"Also noticed": titles only."""
    updates: tuple[Paper, ...] = ()
    """Papers shown before of which a new version, or their withdrawal, came in this period."""
    screened: int = 0
    """Papers that the period brought (in the reader's categories)."""

    @property
    def chosen(self) -> Iterator[Chosen]:
        """All chosen papers in the order of the issue."""
        return (c for g in self.groups for c in g.chosen)


@dataclass(frozen=True, slots=True)
class Item:
    """One paper as an issue shows it."""

    paper: Paper
    claims: tuple[Claim, ...]
    """What is new: one claim as a rule."""
    why: Why


@dataclass(frozen=True, slots=True)
class Theme:
    """Papers that belong together."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A standing question with its answer from this issue's papers."""

    question: str
    claims: tuple[Claim, ...] = ()
    """Empty: nothing new."""
    note: str = ""
    """What is to be said besides, such as that the claims are only the closest passages."""


@dataclass(frozen=True, slots=True)
class Issue:
    """A digest, written and checked: every claim cites sentences, every citation is verified.

    Claims hold numbers into `citations`, which are numbered from 1 in reading order.
    """

    period: Period
    overview: tuple[Claim, ...] = ()
    themes: tuple[Theme, ...] = ()
    standing: tuple[Standing, ...] = ()
    also: tuple[Paper, ...] = ()
    updates: tuple[Paper, ...] = ()
    citations: tuple[Citation, ...] = ()
    screened: int = 0
    mode: Mode = "extractive"
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()

    @property
    def items(self) -> Iterator[Item]:
        """All items in reading order."""
        return (i for t in self.themes for i in t.items)

    @property
    def papers(self) -> tuple[Paper, ...]:
        """The papers shown, in reading order."""
        return tuple(i.paper for i in self.items)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims in reading order."""
        items = (c for i in self.items for c in i.claims)
        return (*self.overview, *items, *(c for s in self.standing for c in s.claims))

    @property
    def minutes(self) -> int:
        """Reading time at 200 words a minute, 1 or more."""
        words = sum(len(c.text.split()) for c in self.claims) + 12 * sum(1 for _ in self.items)
        return max(1, round(words / 200))
