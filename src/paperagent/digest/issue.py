"""The parts of a digest issue, from the selection of papers to the written text. Plain values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from paperagent.answering.citations import cite, quoted_claim
from paperagent.layout import Block, counted, single_claim_blocks, source_blocks
from paperagent.notebook import Displayed
from paperagent.text.languages import Language
from paperagent.types import Citation, Claim, Mode, Paper, Sentence, Usage

if TYPE_CHECKING:
    from paperagent.digest.preferences import Preferences

OTHER_NAME, ONLY_NAME = "Also for you", "New papers"
"""The name of a theme without a phrase or interest of its own: beside other themes, and alone."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days that an issue covers."""

    name: str
    """``2026-W26``, ``2026-06-24`` for a day, ``2026-06`` for a month, else ``2026-06-01..2026-06-20``."""
    since: dt.date
    until: dt.date
    """The last day, inclusive."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a paper is in an issue."""

    kind: Literal["interest", "question", "liked", "example", "author", "category", "upvotes", "central"]
    """``central``: the paper is typical of the period; used without interests."""
    text: str
    """The interest, question, liked or named paper, author, category, topic, or number of upvotes."""


@dataclass(frozen=True, slots=True)
class Item:
    """One paper in an issue."""

    paper: Paper
    reason: Reason
    claims: tuple[Claim, ...] = ()
    """Claims about what is new in the paper, usually one; empty until the issue is written."""
    score: float = 0.0
    """The relevance to the subscriber, comparable within one issue."""
    duplicates: tuple[str, ...] = ()
    """Ids of near-duplicates that this paper represents."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Papers that belong together."""

    name: str
    items: tuple[Item, ...]
    key: str = ""
    """Identifies the theme across the issues of a period."""


@dataclass(frozen=True, slots=True)
class CitedClaim:
    """A claim with its own citations, whose numbers are local to it."""

    claim: Claim
    citations: tuple[Citation, ...]

    @property
    def paper_ids(self) -> frozenset[str]:
        """The ids of the cited papers."""
        return frozenset(c.paper_id for c in self.citations)


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """A standing question with its answer from the papers of a period, before the issue exists."""

    question: str
    claims: tuple[CitedClaim, ...] = ()
    """Empty if the papers do not answer the question."""
    usage: Usage = field(default_factory=Usage)
    """The model's usage."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The papers selected for one issue, before anything is written about them."""

    period: Period
    preferences: Preferences
    themes: tuple[Theme, ...] = ()
    answers: tuple[QuestionAnswer, ...] = ()
    """The standing questions; their answers cite only papers of the themes."""
    also: tuple[Paper, ...] = ()
    """The papers listed by title under "Also noticed"."""
    updates: tuple[Paper, ...] = ()
    """Papers of earlier issues that were revised or withdrawn in this period."""
    screened: int = 0
    """The number of new papers in the subscriber's categories."""
    unmatched: tuple[str, ...] = ()
    """The interests without a relevant paper in this period."""

    @property
    def items(self) -> Iterator[Item]:
        """All items in reading order."""
        return (item for theme in self.themes for item in theme.items)


@dataclass(frozen=True, slots=True)
class StandingAnswer:
    """A standing question with its answer from the new papers."""

    question: str
    claims: tuple[Claim, ...] = ()
    """Empty if the new papers do not answer it. They cite only papers that the issue shows."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A model's translation of an issue's sentences. Its meaning is not checked."""

    language: Language
    model: str
    sentences: Mapping[str, str]
    """English sentence → translation; some sentences may have none."""

    @property
    def label(self) -> str:
        """The label above each translation."""
        return f"{self.language.name} translation, by {self.model}, not checked:"


@dataclass(frozen=True, slots=True)
class Issue(Displayed):
    """A written and verified issue.

    The numbers in the claims refer to `citations`, which are numbered from 1 in reading order.
    """

    period: Period
    overview: tuple[Claim, ...] = ()
    themes: tuple[Theme, ...] = ()
    standing: tuple[StandingAnswer, ...] = ()
    also: tuple[Paper, ...] = ()
    updates: tuple[Paper, ...] = ()
    citations: tuple[Citation, ...] = ()
    screened: int = 0
    unmatched: tuple[str, ...] = ()
    """The interests without a relevant paper in this period."""
    mode: Mode = "extractive"
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    notes: tuple[str, ...] = ()
    translation: Translation | None = None

    def __repr__(self) -> str:
        """Return a short form for debugging."""
        return f"Issue({self.period.name}, papers={len(self.papers)}, citations={len(self.citations)})"

    def _blocks(self) -> Iterator[Block]:
        by_number = {c.n: c for c in self.citations}
        yield Block("heading", f"{self.period.name}: {counted(len(self.papers), 'new paper')}")
        yield from self._overview_blocks(by_number)
        for theme in self.themes:
            yield Block("heading", theme.name)
            for item in theme.items:
                yield Block("item", item.paper.title, detail=item.paper.paper_id, url=item.paper.url)
                for claim in item.claims:
                    yield from single_claim_blocks(claim, by_number, tight=True)
        for answer in self.standing:
            yield Block("heading", answer.question)
            for claim in answer.claims:
                yield from single_claim_blocks(claim, by_number)
            if not answer.claims:
                yield Block("note", "nothing new in this issue")
        if self.also:
            yield Block("heading", "Also noticed")
            yield from (Block("item", p.title, detail=p.paper_id, url=p.url, tight=True) for p in self.also)
        if self.citations:
            yield Block("heading", "Sources")
            yield from source_blocks(self.citations)
        yield from (Block("note", note) for note in self.notes)

    def _overview_blocks(self, by_number: Mapping[int, Citation]) -> Iterator[Block]:
        for claim in self.overview:
            quoted = claim.support == "quoted"
            if quoted:
                cited = by_number[claim.citations[0]]
                yield Block("item", cited.title, detail=cited.paper_id, url=cited.url)
            yield from single_claim_blocks(claim, by_number, tight=quoted)

    @property
    def items(self) -> Iterator[Item]:
        """All items in reading order."""
        return (item for theme in self.themes for item in theme.items)

    @property
    def papers(self) -> tuple[Paper, ...]:
        """The papers of all items, in reading order."""
        return tuple(item.paper for item in self.items)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims in reading order."""
        item_claims = (claim for item in self.items for claim in item.claims)
        standing_claims = (claim for answer in self.standing for claim in answer.claims)
        return (*self.overview, *item_claims, *standing_claims)

    @property
    def minutes(self) -> int:
        """The reading time at 200 words per minute, at least 1."""
        words = sum(len(c.text.split()) for c in self.claims) + 12 * sum(1 for _ in self.items)
        return max(1, round(words / 200))


# --- claims before their citations have the numbers of the issue ---


def quote_sentence(paper: Paper, sentence: Sentence) -> CitedClaim:
    """Return a sentence of a paper as a claim that quotes it verbatim."""
    citation = cite(1, paper, sentence)
    return CitedClaim(quoted_claim(citation, is_cut=sentence.is_cut), (citation,))


def split_claims(claims: Iterable[Claim], citations: Sequence[Citation]) -> list[CitedClaim]:
    """Return the claims of an answer, each with the citations that it uses."""
    by_number = {c.n: c for c in citations}
    return [CitedClaim(claim, tuple(by_number[n] for n in claim.citations)) for claim in claims]


@dataclass(slots=True)
class CitationNumbering:
    """Numbers the citations of one issue from 1, in order of first use."""

    citations: list[Citation] = field(default_factory=list)
    _numbers: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def add(self, cited: CitedClaim) -> Claim:
        """Return the claim with the numbers that its citations have in the issue."""
        number_of = {c.n: self._number(c) for c in cited.citations}
        numbers = tuple(dict.fromkeys(number_of[n] for n in cited.claim.citations))
        return replace(cited.claim, citations=numbers)

    def _number(self, citation: Citation) -> int:
        key = (citation.paper_id, citation.start, citation.end)
        if key not in self._numbers:
            self._numbers[key] = len(self.citations) + 1
            self.citations.append(replace(citation, n=self._numbers[key]))
        return self._numbers[key]
