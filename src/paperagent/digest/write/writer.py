"""From a selection to an issue: sentences quoted from abstracts, each with its citation.

Everything that depends on a paper or a question alone is worked out once for all readers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from paperagent.answering import answers as fallback
from paperagent.answering.abstention import Thresholds
from paperagent.answering.answers import injection_notes
from paperagent.answering.call_budget import Budget
from paperagent.answering.pipeline import AnswerRequest, Pipeline
from paperagent.digest.issue import Chosen, Group, Issue, Item, Profile, Selection, Standing, Theme
from paperagent.digest.select.themes import OTHER
from paperagent.digest.write.cited_claims import Numbers, Said, quoted
from paperagent.digest.write.highlights import Highlights, highlights
from paperagent.digest.write.llm_writer import GIVE_UP, Draft, Drafter
from paperagent.digest.write.standing_questions import (
    Bare,
    Corpus,
    IssueLibrary,
    Remembered,
    RememberingEmbedder,
    RememberingEncoder,
    in_short,
    stricter,
)
from paperagent.digest.write.verification import check_issue
from paperagent.errors import visible
from paperagent.types import Answer, Event, Paper, QueryEmbedder, TokenEncoder, Usage

if TYPE_CHECKING:
    from paperagent.retrieval.scoring import RankablePaper

__all__ = ["Writer", "check_issue"]

OVERVIEW = 3
"""Sentences of an overview."""


@dataclass(frozen=True, slots=True)
class _Written:
    """An item before its citations have numbers."""

    chosen: Chosen
    said: tuple[Said, ...]
    headline: Said
    """What the overview says of it."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A theme of one issue before its citations have numbers."""

    group: Group
    items: tuple[_Written, ...]


@dataclass(slots=True)
class Model:
    """What a model does for an issue, and what that may cost."""

    drafter: Drafter
    budget: Budget
    writer: Callable[[Pipeline, float | None], Answerer]
    """Returns what answers over a pipeline for so many dollars at most."""
    faults: int = 0
    """Answers that failed one after another."""

    def answer(self, pipeline: Pipeline, request: AnswerRequest) -> Answer | None:
        """Answer a standing question; None where the endpoint failed too often."""
        if self.faults >= GIVE_UP:
            return None
        *_, last = self.writer(pipeline, self.budget.remaining).stream(request)
        assert last.answer is not None
        self.faults = self.faults + 1 if fallback.server_failed(last.answer) else 0
        self.budget.add(last.answer.usage)
        return last.answer


class Answerer(Protocol):
    """Answers by events, as `generate.Writer` does."""

    def stream(self, request: AnswerRequest) -> Iterator[Event]:
        """Yield the steps of an answer."""
        ...


_LOG = logging.getLogger(__name__)
_NO_DRAFT = Draft()


class Writer:
    """Writes the issues of one period. Not to be shared between threads."""

    def __init__(
        self,
        corpus: Corpus,
        held: Iterable[RankablePaper] = (),
        *,
        encoder: TokenEncoder | None = None,
        embedder: QueryEmbedder | None = None,
        model: Model | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Take the whole library's figures, and the period's papers with terms and vectors.

        A paper that is not among ``held`` is searched by its words. ``embedder`` is given where
        the library's vectors are not those of ``encoder``. With a ``model``, `draft` has it write.
        ``thresholds`` are those of the library's answers.
        """
        self._corpus = Remembered(corpus)
        self._held: dict[str, RankablePaper] = {c.paper_id: c for c in held}
        self._encoder = RememberingEncoder(encoder) if encoder else None
        self._embedder = RememberingEmbedder(embedder) if embedder else None
        self._highlights: dict[tuple[str, str], Highlights | None] = {}
        self._thresholds = stricter(thresholds, encoder=encoder is not None)
        self._suspicions: dict[tuple[str, str], tuple[str, ...]] = {}
        self._model = model
        self._drafts: dict[str, Draft] = {}
        self._said: dict[str, Said] = {}

    def prepare(self, profiles: Iterable[Profile]) -> None:
        """Read the questions of many readers at once; saves time, changes nothing."""
        questions = list(dict.fromkeys(q for p in profiles for q in p.questions))
        if self._encoder is not None:
            self._encoder.encode(questions)
        if self._embedder is not None:
            self._embedder.embed(questions)

    def estimate(self, selections: Iterable[Selection]) -> Usage:
        """Return the most that `draft` may use for these issues; nothing without a model."""
        return self._model.drafter.estimate(_groups(selections)) if self._model else Usage()

    def draft(self, selections: Iterable[Selection]) -> Usage:
        """Have the model write what these issues share, one call a theme; return what it used.

        Without a model, and for what the model did not write or what failed its check, `write` quotes.
        """
        if self._model is None:
            return Usage()
        self._drafts = self._model.drafter.draft(_groups(selections))
        self._said = {i: said for d in self._drafts.values() for i, said in d.papers.items()}
        return sum((d.usage for d in self._drafts.values()), Usage())

    def write(self, selection: Selection) -> Issue:
        """Write and check the issue of one reader.

        A paper of which nothing can be quoted is named under "also noticed" instead, and a note
        says so.

        Raises:
            PaperAgentError: the issue does not pass its check and must not be sent.
        """
        groups = _distinct(selection.groups)
        written = [_Group(g, tuple(w for c in g.chosen if (w := self._item(c)))) for g in groups]
        written = [g for g in written if g.items]
        shown = [w.chosen.paper for g in written for w in g.items]
        kept = {p.paper_id for p in shown}
        left = [c.paper for c in selection.chosen if c.paper.paper_id not in kept]
        numbers = Numbers()
        overview = tuple(map(numbers.take, self._overview(written)))
        themes = tuple(self._theme(g, numbers) for g in written)
        standing, asked = self._standing(selection.profile.questions, shown, numbers)
        keys = dict.fromkeys(g.group.key for g in written)
        drafts = [self._drafts[key] for key in keys if key in self._drafts]
        issue = Issue(
            period=selection.period,
            overview=overview,
            themes=themes,
            standing=standing,
            also=(*left, *selection.also),
            updates=selection.updates,
            citations=tuple(numbers.citations),
            screened=selection.screened,
            usage=sum((d.usage for d in drafts), asked),
            notes=tuple(self._notes(left, shown, drafts)),
        )
        return check_issue(self._labelled(issue), {p.paper_id: p for p in shown})

    def _notes(self, left: Sequence[Paper], shown: Sequence[Paper], drafts: Sequence[Draft]) -> Iterator[str]:
        yield from (f"not described: “{p.title}” has no sentence that could be quoted" for p in left)
        yield from dict.fromkeys(d.note for d in drafts if d.note)
        for paper in shown:
            key = (paper.paper_id, paper.abstract)
            if key not in self._suspicions:
                self._suspicions[key] = injection_notes([paper])
            yield from self._suspicions[key]

    def _labelled(self, issue: Issue) -> Issue:
        """Say that a model wrote the issue, unless nothing of what it wrote is shown."""
        if self._model is None or all(c.support == "quoted" for c in issue.claims):
            return issue
        return replace(issue, mode="llm", model=self._model.drafter.model)

    def _item(self, chosen: Chosen) -> _Written | None:
        """Return what is said of a paper; None where its abstract states nothing."""
        try:
            found = self._found(chosen.paper)
        except Exception:  # noqa: BLE001 - one bad paper must not cost a reader the whole issue
            _LOG.warning("no sentence chosen of %s", visible(chosen.paper.paper_id), exc_info=True)
            return None
        if found is None:
            return None
        new = self._said.get(chosen.paper.paper_id) or quoted(chosen.paper, found.new)
        return _Written(chosen, (new,), quoted(chosen.paper, found.headline))

    def _found(self, paper: Paper) -> Highlights | None:
        key = (paper.paper_id, paper.abstract)
        if key not in self._highlights:
            self._highlights[key] = highlights(paper)
        return self._highlights[key]

    def _overview(self, groups: Sequence[_Group]) -> list[Said]:
        """Return a sentence on each theme; on further papers where themes are few."""
        chosen, shown = [], {w.chosen.paper.paper_id for g in groups for w in g.items}
        used: set[str] = set()
        for group in groups[:OVERVIEW]:
            draft = self._drafts.get(group.group.key, _NO_DRAFT)
            own = (o for o in draft.overviews if {c.paper_id for c in o.citations} <= shown)
            best = max(group.items, key=lambda w: w.chosen.score)
            used.add(best.chosen.paper.paper_id)
            chosen.append(next(own, best.headline))
        rest = [w for g in groups for w in g.items if w.chosen.paper.paper_id not in used]
        chosen += [w.headline for w in sorted(rest, key=lambda w: -w.chosen.score)]
        return chosen[:OVERVIEW]

    def _theme(self, group: _Group, numbers: Numbers) -> Theme:
        key = group.group.key
        own = None if key.endswith(f":{OTHER}") else self._drafts.get(key, _NO_DRAFT).name
        name = own or group.group.name
        items = (Item(w.chosen.paper, tuple(map(numbers.take, w.said)), w.chosen.why) for w in group.items)
        return Theme(name, tuple(items))

    # --- standing questions ---

    def _standing(
        self, questions: Sequence[str], papers: Sequence[Paper], numbers: Numbers
    ) -> tuple[tuple[Standing, ...], Usage]:
        """Answer each question from the papers alone, in the way of `ask()`; return what that used."""
        if not questions:
            return (), Usage()
        for paper in papers:
            if paper.paper_id not in self._held:
                self._held[paper.paper_id] = Bare.of(paper)
        library = IssueLibrary(papers, self._held, self._corpus)
        pipeline = Pipeline(
            library, encoder=self._encoder, embedder=self._embedder, thresholds=self._thresholds
        )
        answers = [self._answer(pipeline, AnswerRequest(question)) for question in questions]
        background = {p.paper_id: self._offered(p) for p in papers}
        standing = tuple(in_short(a, numbers, background) for a in answers)
        return standing, sum((a.usage for a in answers), Usage())

    def _offered(self, paper: Paper) -> int:
        """Return where a paper's own work begins in its abstract: before that stands background."""
        found = self._found(paper)
        return found.offer.start if found else 0

    def _answer(self, pipeline: Pipeline, request: AnswerRequest) -> Answer:
        """Have the model answer where it may; quote where it refuses or its answer breaks off."""
        answer = self._model.answer(pipeline, request) if self._model else None
        if answer is None:
            return pipeline.extract(request).answer
        if answer.status in ("answered", "abstained"):
            return answer
        quoted = pipeline.extract(request).answer
        return fallback.as_fallback(quoted, answer.reason or answer.status, answer.answer, usage=answer.usage)


def _distinct(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with those of one key and name joined: a heading stands once."""
    joined: dict[tuple[str, str], Group] = {}
    for group in groups:
        known = joined.get((group.key, group.name))
        joined[group.key, group.name] = (
            replace(group, chosen=(*known.chosen, *group.chosen)) if known else group
        )
    return list(joined.values())


def _groups(selections: Iterable[Selection]) -> Iterator[Group]:
    return (g for s in selections for g in _distinct(s.groups))
