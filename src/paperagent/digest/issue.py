"""What a digest is made of: a reader's wishes, and the issue written for them. Plain values.

What is said in an issue, with the sentences it rests on, and the numbers that those get.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from paperagent.answering.citations import cite, quoted_claim
from paperagent.types import Citation, Claim, Mode, Paper, Sentence, Usage


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
class Reason:
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
    why: Reason
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
    why: Reason


@dataclass(frozen=True, slots=True)
class Theme:
    """Papers that belong together."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class StandingAnswer:
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
    standing: tuple[StandingAnswer, ...] = ()
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


@dataclass(frozen=True, slots=True)
class CitedClaim:
    """One claim with its citations, numbered among themselves."""

    claim: Claim
    citations: tuple[Citation, ...]

    @property
    def quotes(self) -> tuple[str, ...]:
        """The sentences that it rests on."""
        return tuple(c.quote for c in self.citations)


def quote_sentence(paper: Paper, sentence: Sentence) -> CitedClaim:
    """Return a sentence of a paper, said verbatim."""
    citation = cite(1, paper, sentence)
    return CitedClaim(quoted_claim(citation), (citation,))


def split_claims(claims: Iterable[Claim], citations: Sequence[Citation]) -> list[CitedClaim]:
    """Return the claims of an answer, each with its own citations."""
    by_n = {c.n: c for c in citations}
    return [CitedClaim(claim, tuple(by_n[n] for n in claim.citations)) for claim in claims]


@dataclass(slots=True)
class CitationNumbering:
    """Numbers the citations of one issue from 1 in the order of first use."""

    citations: list[Citation] = field(default_factory=list)
    _held: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def take(self, said: CitedClaim) -> Claim:
        """Return the claim under the issue's numbers."""
        own = {c.n: self._number(c) for c in said.citations}
        return replace(said.claim, citations=tuple(dict.fromkeys(own[n] for n in said.claim.citations)))

    def _number(self, citation: Citation) -> int:
        key = (citation.paper_id, citation.start, citation.end)
        if key not in self._held:
            self._held[key] = len(self.citations) + 1
            self.citations.append(replace(citation, n=self._held[key]))
        return self._held[key]
