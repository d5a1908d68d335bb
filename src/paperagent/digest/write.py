"""From a selection to an issue: sentences quoted from abstracts, each with its citation.

Everything that depends on a paper or a question alone is worked out once for all readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.answer import Encoder, Pipeline, QueryEmbedder, Request
from paperagent.digest.check import check_issue
from paperagent.digest.issue import Chosen, Issue, Item, Selection, Standing, Theme
from paperagent.digest.said import Numbers, Said, apart, quoted
from paperagent.digest.standing import (
    Bare,
    Corpus,
    IssueLibrary,
    Remembered,
    RememberingEmbedder,
    RememberingEncoder,
)
from paperagent.evidence import LIST_MARGIN
from paperagent.highlights import Highlights, highlights
from paperagent.types import Answer, Paper

if TYPE_CHECKING:
    from paperagent.retrieve import Scored

__all__ = ["Writer", "check_issue"]

OVERVIEW = 3
"""Sentences of an overview."""
STANDING_CLAIMS = 3
"""Sentences that answer a standing question, at most."""


@dataclass(frozen=True, slots=True)
class _Written:
    """An item before its citations have numbers."""

    chosen: Chosen
    said: tuple[Said, ...]
    headline: Said
    """What the overview says of it."""


class Writer:
    """Writes the issues of one period. Not to be shared between threads."""

    def __init__(
        self,
        corpus: Corpus,
        held: Iterable[Scored] = (),
        *,
        encoder: Encoder | None = None,
        embedder: QueryEmbedder | None = None,
    ) -> None:
        """Take the whole library's figures, and the period's papers with terms and vectors.

        A paper that is not among ``held`` is searched by its words. ``embedder`` is given where
        the library's vectors are not those of ``encoder``.
        """
        self._corpus = Remembered(corpus)
        self._held: dict[str, Scored] = {c.paper_id: c for c in held}
        self._encoder = RememberingEncoder(encoder) if encoder else None
        self._embedder = RememberingEmbedder(embedder) if embedder else None
        self._highlights: dict[tuple[str, str], Highlights | None] = {}

    def prepare(self, selections: Iterable[Selection]) -> None:
        """Read the questions of many readers at once; saves time, changes nothing."""
        questions = list(dict.fromkeys(q for s in selections for q in s.profile.questions))
        if self._encoder is not None:
            self._encoder.encode(questions)
        if self._embedder is not None:
            self._embedder.embed(questions)

    def write(self, selection: Selection) -> Issue:
        """Write and check the issue of one reader.

        A paper of which nothing can be quoted is named under "also noticed" instead, and a note
        says so.

        Raises:
            PaperAgentError: the issue does not pass its check and must not be sent.
        """
        written = [(g.name, [w for c in g.chosen if (w := self._item(c))]) for g in selection.groups]
        written = [(name, items) for name, items in written if items]
        shown = [w.chosen.paper for _, items in written for w in items]
        kept = {p.paper_id for p in shown}
        left = [c.paper for c in selection.chosen if c.paper.paper_id not in kept]
        numbers = Numbers()
        issue = Issue(
            period=selection.period,
            overview=tuple(map(numbers.take, _overview([items for _, items in written]))),
            themes=tuple(_theme(name, items, numbers) for name, items in written),
            standing=tuple(self._standing(selection.profile.questions, shown, numbers)),
            also=(*left, *selection.also),
            updates=selection.updates,
            citations=tuple(numbers.citations),
            screened=selection.screened,
            notes=tuple(f"not described: “{p.title}” has no sentence that could be quoted" for p in left),
        )
        return check_issue(issue, {p.paper_id: p for p in shown})

    def _item(self, chosen: Chosen) -> _Written | None:
        """Return what is said of a paper; None where its abstract states nothing."""
        found = self._found(chosen.paper)
        if found is None:
            return None
        new = quoted(chosen.paper, found.new)
        return _Written(chosen, (new,), quoted(chosen.paper, found.headline))

    def _found(self, paper: Paper) -> Highlights | None:
        key = (paper.paper_id, paper.abstract)
        if key not in self._highlights:
            self._highlights[key] = highlights(paper)
        return self._highlights[key]

    def _standing(
        self, questions: Sequence[str], papers: Sequence[Paper], numbers: Numbers
    ) -> Iterator[Standing]:
        """Answer each question from the papers alone, in the way of `ask()`."""
        for paper in papers:
            self._held.setdefault(paper.paper_id, Bare.of(paper))
        library = IssueLibrary(papers, self._held, self._corpus)
        pipeline = Pipeline(library, encoder=self._encoder, embedder=self._embedder)
        for question in questions:
            *_, last = pipeline.stream(Request(question))
            assert last.answer is not None
            yield _standing(question, last.answer, numbers)


def _overview(groups: Sequence[Sequence[_Written]]) -> list[Said]:
    """Return the headlines of the best papers, one a theme; of further ones where themes are few."""
    best = [max(items, key=lambda w: w.chosen.score) for items in groups]
    chosen = best[:OVERVIEW]
    rest = sorted((w for items in groups for w in items if w not in chosen), key=lambda w: -w.chosen.score)
    return [w.headline for w in (*chosen, *rest)][:OVERVIEW]


def _theme(name: str, items: Sequence[_Written], numbers: Numbers) -> Theme:
    return Theme(
        name,
        tuple(Item(w.chosen.paper, tuple(map(numbers.take, w.said)), w.chosen.why) for w in items),
    )


def _standing(question: str, answer: Answer, numbers: Numbers) -> Standing:
    if answer.status != "answered":
        return Standing(question)
    claims = _few(answer)
    return Standing(question, tuple(map(numbers.take, claims)), " ".join(_doubt(answer.notes)))


def _few(answer: Answer) -> list[Said]:
    """Return the first sentences, one a paper before a second of any; none of papers far below the best."""
    score = {h.paper_id: h.score for h in answer.hits}
    least = max(score.values()) - LIST_MARGIN
    said = apart(answer.claims, answer.citations)
    said = [one for one in said if score[one.citations[0].paper_id] >= least]
    seen: dict[str, int] = {}
    turns: list[tuple[int, int]] = []
    for place, one in enumerate(said):
        paper = one.citations[0].paper_id
        seen[paper] = seen.get(paper, -1) + 1
        turns.append((seen[paper], place))
    kept = sorted(place for _, place in sorted(turns)[:STANDING_CLAIMS])
    return [said[place] for place in kept]


def _doubt(notes: Sequence[str]) -> Iterator[str]:
    yield from (n for n in notes if n.startswith("closest passages"))
