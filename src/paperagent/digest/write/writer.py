"""From a selection to an issue: sentences quoted from abstracts, each with its citation.

Everything that depends on a paper or a question alone is worked out once for all readers.

The proof that an issue may be sent: every claim rests on sentences that stand in the library.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from paperagent.answering import answers as fallback
from paperagent.answering.abstention import Thresholds
from paperagent.answering.answers import injection_notes
from paperagent.answering.call_budget import Budget
from paperagent.answering.citations import contract_violations
from paperagent.answering.pipeline import AnswerRequest, Pipeline
from paperagent.digest.issue import (
    Chosen,
    CitationNumbering,
    CitedClaim,
    Group,
    Issue,
    Item,
    Profile,
    Selection,
    StandingAnswer,
    Theme,
    quote_sentence,
)
from paperagent.digest.select.themes import OTHER
from paperagent.digest.write.highlights import Highlights, highlights
from paperagent.digest.write.llm_writer import MAX_CONSECUTIVE_FAILURES, ThemeDraft, ThemeWriter
from paperagent.digest.write.standing_questions import (
    CachingCorpus,
    CachingEmbedder,
    CachingEncoder,
    IssueLibrary,
    TermsOnlyPaper,
    raise_thresholds,
    shorten_answer,
)
from paperagent.errors import PaperAgentError, visible
from paperagent.retrieval.scoring import TermStatistics
from paperagent.types import Answer, Event, Hit, Paper, QueryEmbedder, TokenEncoder, Usage

if TYPE_CHECKING:
    from paperagent.retrieval.scoring import RankablePaper

__all__ = ["IssueWriter", "check_issue"]

OVERVIEW = 3
"""Sentences of an overview."""


@dataclass(frozen=True, slots=True)
class _Written:
    """An item before its citations have numbers."""

    chosen: Chosen
    said: tuple[CitedClaim, ...]
    headline: CitedClaim
    """What the overview says of it."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A theme of one issue before its citations have numbers."""

    group: Group
    items: tuple[_Written, ...]


@dataclass(slots=True)
class DigestLLM:
    """What a model does for an issue, and what that may cost."""

    drafter: ThemeWriter
    budget: Budget
    writer: Callable[[Pipeline, float | None], Answerer]
    """Returns what answers over a pipeline for so many dollars at most."""
    faults: int = 0
    """Answers that failed one after another."""

    def answer(self, pipeline: Pipeline, request: AnswerRequest) -> Answer | None:
        """Answer a standing question; None where the endpoint failed too often."""
        if self.faults >= MAX_CONSECUTIVE_FAILURES:
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
_NO_DRAFT = ThemeDraft()


class IssueWriter:
    """Writes the issues of one period. Not to be shared between threads."""

    def __init__(
        self,
        corpus: TermStatistics,
        held: Iterable[RankablePaper] = (),
        *,
        encoder: TokenEncoder | None = None,
        embedder: QueryEmbedder | None = None,
        model: DigestLLM | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Take the whole library's figures, and the period's papers with terms and vectors.

        A paper that is not among ``held`` is searched by its words. ``embedder`` is given where
        the library's vectors are not those of ``encoder``. With a ``model``, `draft` has it write.
        ``thresholds`` are those of the library's answers.
        """
        self._corpus = CachingCorpus(corpus)
        self._held: dict[str, RankablePaper] = {c.paper_id: c for c in held}
        self._encoder = CachingEncoder(encoder) if encoder else None
        self._embedder = CachingEmbedder(embedder) if embedder else None
        self._highlights: dict[tuple[str, str], Highlights | None] = {}
        self._thresholds = raise_thresholds(thresholds, encoder=encoder is not None)
        self._suspicions: dict[tuple[str, str], tuple[str, ...]] = {}
        self._model = model
        self._drafts: dict[str, ThemeDraft] = {}
        self._said: dict[str, CitedClaim] = {}

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
        numbers = CitationNumbering()
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

    def _notes(
        self, left: Sequence[Paper], shown: Sequence[Paper], drafts: Sequence[ThemeDraft]
    ) -> Iterator[str]:
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
        new = self._said.get(chosen.paper.paper_id) or quote_sentence(chosen.paper, found.new)
        return _Written(chosen, (new,), quote_sentence(chosen.paper, found.headline))

    def _found(self, paper: Paper) -> Highlights | None:
        key = (paper.paper_id, paper.abstract)
        if key not in self._highlights:
            self._highlights[key] = highlights(paper)
        return self._highlights[key]

    def _overview(self, groups: Sequence[_Group]) -> list[CitedClaim]:
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

    def _theme(self, group: _Group, numbers: CitationNumbering) -> Theme:
        key = group.group.key
        own = None if key.endswith(f":{OTHER}") else self._drafts.get(key, _NO_DRAFT).name
        name = own or group.group.name
        items = (Item(w.chosen.paper, tuple(map(numbers.take, w.said)), w.chosen.why) for w in group.items)
        return Theme(name, tuple(items))

    # --- standing questions ---

    def _standing(
        self, questions: Sequence[str], papers: Sequence[Paper], numbers: CitationNumbering
    ) -> tuple[tuple[StandingAnswer, ...], Usage]:
        """Answer each question from the papers alone, in the way of `ask()`; return what that used."""
        if not questions:
            return (), Usage()
        for paper in papers:
            if paper.paper_id not in self._held:
                self._held[paper.paper_id] = TermsOnlyPaper.of(paper)
        library = IssueLibrary(papers, self._held, self._corpus)
        pipeline = Pipeline(
            library, encoder=self._encoder, embedder=self._embedder, thresholds=self._thresholds
        )
        answers = [self._answer(pipeline, AnswerRequest(question)) for question in questions]
        background = {p.paper_id: self._offered(p) for p in papers}
        standing = tuple(shorten_answer(a, numbers, background) for a in answers)
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


_MAY_BE_SENT = ("quoted", "supported", "unverified")
"""Under an unverified claim the view shows the sentences that it cites."""


def check_issue(issue: Issue, papers: Mapping[str, Paper]) -> Issue:
    """Prove an issue's claims and citations against the library's texts, by id, and return it.

    Raises:
        PaperAgentError: one does not hold, which is a fault of this program or a paper that was
            changed meanwhile: the issue must not be sent.
    """
    for problem in issue_problems(issue, papers):
        raise PaperAgentError(f"issue {issue.period.name} withheld: {problem}; build it anew")
    return issue


def issue_problems(issue: Issue, papers: Mapping[str, Paper]) -> Iterator[str]:
    """Yield each way in which an issue breaks the contract; nothing for a right one."""
    shown = issue.papers
    ids = [p.paper_id for p in shown]
    if len(set(ids)) != len(ids):
        yield "a paper is shown twice"
    yield from contract_violations(_as_answer(issue, shown), papers)
    if [c.n for c in issue.citations] != list(range(1, len(issue.citations) + 1)):
        yield "the citations are not numbered from 1"
    if {n for c in issue.claims for n in c.citations} != {c.n for c in issue.citations}:
        yield "a citation stands behind no claim"
    for claim in issue.claims:
        if claim.support not in _MAY_BE_SENT or not claim.citations:
            yield "a claim that failed its check is shown"
    for item in issue.items:
        yield from _of_item(item, issue, papers)


def _as_answer(issue: Issue, shown: tuple[Paper, ...]) -> Answer:
    """Return the issue as the answer that `citations.problems` takes: same invariants, same code."""
    hits = tuple(Hit(p, 0.0, i) for i, p in enumerate(shown, start=1))
    text = "".join(f"[{n}]" for c in issue.claims for n in c.citations)
    return Answer("", "answered", None, text, issue.claims, issue.citations, hits)


def _of_item(item: Item, issue: Issue, papers: Mapping[str, Paper]) -> Iterator[str]:
    own = {c.n for c in issue.citations if c.paper_id == item.paper.paper_id}
    if not item.claims:
        yield "a paper is shown without a sentence"
    if not {n for c in item.claims for n in c.citations} <= own:
        yield "a paper is described by the words of another"
    held = papers.get(item.paper.paper_id)
    if held is None:
        yield "a paper is shown that is not in the library"
    elif (held.title, held.url, held.authors) != (item.paper.title, item.paper.url, item.paper.authors):
        yield "a paper is shown under another title, address or authors"
