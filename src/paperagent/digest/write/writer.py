"""Write an issue about selected papers: sentences with citations, checked against the library's texts.

By default sentences are quoted from the abstracts; with a model, it writes them. Work that depends only
on a paper or a question is done once for all subscribers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from paperagent.answering.answers import as_fallback, injection_notes, server_failed
from paperagent.answering.citations import contract_violations
from paperagent.answering.pipeline import AnswerRequest, Pipeline
from paperagent.digest.issue import (
    CitationNumbering,
    CitedClaim,
    Issue,
    Item,
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
from paperagent.types import Answer, Hit, Paper, Usage

if TYPE_CHECKING:
    from paperagent.answering.abstention import Thresholds
    from paperagent.answering.call_budget import Budget
    from paperagent.answering.llm_pipeline import LLMAnswerer
    from paperagent.digest.preferences import Preferences
    from paperagent.digest.write.translation import Translator
    from paperagent.retrieval.scoring import RankablePaper, TermStatistics
    from paperagent.types import QueryEmbedder, TokenEncoder

MAX_OVERVIEW = 3
"""Sentences of an overview."""
_LOG = logging.getLogger(__name__)
_NO_DRAFT = ThemeDraft()
_SENDABLE_SUPPORT = ("quoted", "supported", "unverified")
"""The view shows the cited sentences under an unverified claim."""


@dataclass(slots=True)
class DigestLLM:
    """Writes about themes, and answers standing questions, with a model."""

    theme_writer: ThemeWriter
    budget: Budget
    answerer: Callable[[Pipeline, float | None], LLMAnswerer]
    """Returns an answerer over a pipeline, limited to the given cost in US dollars."""
    translator: Translator | None = None
    consecutive_failures: int = 0

    def answer(self, pipeline: Pipeline, request: AnswerRequest) -> Answer | None:
        """Answer a standing question; return None if the endpoint failed too often."""
        if self.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            return None
        *_, last = self.answerer(pipeline, self.budget.remaining).stream(request)
        assert last.answer is not None
        failed = server_failed(last.answer)
        self.consecutive_failures = self.consecutive_failures + 1 if failed else 0
        self.budget.add(last.answer.usage)
        return last.answer


class _Description(NamedTuple):
    """The sentences about one paper."""

    claim: CitedClaim
    """What is new, for the item."""
    headline: CitedClaim | None
    """Another sentence, for the overview."""


class IssueWriter:
    """Writes the issues of one period. Not thread-safe."""

    def __init__(
        self,
        statistics: TermStatistics,
        scored: Iterable[RankablePaper] = (),
        *,
        encoder: TokenEncoder | None = None,
        embedder: QueryEmbedder | None = None,
        llm: DigestLLM | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Create a writer.

        Args:
            statistics: The library's term statistics.
            scored: The period's papers with their terms and vectors; other papers are found by words only.
            encoder: Encodes sentences.
            embedder: Embeds questions, if the library's vectors are not those of ``encoder``.
            llm: The model that writes; None to quote sentences.
            thresholds: The library's own confidence thresholds, if it has any.
        """
        self._corpus = CachingCorpus(statistics)
        self._scored: dict[str, RankablePaper] = {s.paper_id: s for s in scored}
        self._encoder = CachingEncoder(encoder) if encoder else None
        self._embedder = CachingEmbedder(embedder) if embedder else None
        self._thresholds = raise_thresholds(thresholds, encoder=encoder is not None)
        self._llm = llm
        self._highlights: dict[tuple[str, str], Highlights | None] = {}
        self._suspicions: dict[tuple[str, str], tuple[str, ...]] = {}
        self._drafts: dict[str, ThemeDraft] = {}
        self._drafted_claims: dict[str, CitedClaim] = {}

    @property
    def uses_llm(self) -> bool:
        """Whether a model writes."""
        return self._llm is not None

    @property
    def translator(self) -> Translator | None:
        """Translates the issues; None without a model."""
        return self._llm.translator if self._llm else None

    @property
    def usage(self) -> Usage:
        """Usage of the model so far, including standing questions."""
        return self._llm.budget.usage if self._llm else Usage()

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        """Encode the questions of many subscribers at once. This only saves time."""
        questions = list(dict.fromkeys(question for p in preferences for question in p.questions))
        if self._encoder is not None:
            self._encoder.encode(questions)
        if self._embedder is not None:
            self._embedder.embed(questions)

    def estimate(self, selections: Iterable[Selection]) -> Usage:
        """Return the maximum that `draft` may use for these selections."""
        return self._llm.theme_writer.estimate(_all_themes(selections)) if self._llm else Usage()

    def draft(self, selections: Iterable[Selection]) -> Usage:
        """Let the model write about the themes, which the issues share, and return its usage.

        Without a model this does nothing. `write` quotes a sentence wherever there is no draft.
        """
        if self._llm is None:
            return Usage()
        self._drafts = self._llm.theme_writer.write(_all_themes(selections))
        self._drafted_claims = {i: claim for d in self._drafts.values() for i, claim in d.papers.items()}
        return sum((d.usage for d in self._drafts.values()), Usage())

    def write(self, selection: Selection) -> Issue:
        """Write and check one issue.

        A paper without a sentence to quote is listed under "Also noticed" instead, with a note.

        Raises:
            PaperAgentError: the issue does not pass its check and must not be sent.
        """
        themes, descriptions = self._describe(_merge_themes(selection.themes))
        papers = [item.paper for theme in themes for item in theme.items]
        undescribed = [i.paper for i in selection.items if i.paper.paper_id not in descriptions]
        numbering = CitationNumbering()
        overview = tuple(map(numbering.add, self._overview(themes, descriptions)))
        written = tuple(self._written_theme(t, descriptions, numbering) for t in themes)
        standing, usage = self._standing_answers(selection.preferences.questions, papers, numbering)
        keys = dict.fromkeys(theme.key for theme in themes)
        drafts = [self._drafts[key] for key in keys if key in self._drafts]
        issue = Issue(
            period=selection.period,
            overview=overview,
            themes=written,
            standing=standing,
            also=(*undescribed, *selection.also),
            updates=selection.updates,
            citations=tuple(numbering.citations),
            screened=selection.screened,
            usage=sum((d.usage for d in drafts), usage),
            notes=tuple(self._notes(undescribed, papers, drafts)),
        )
        return check_issue(self._with_mode(issue), {p.paper_id: p for p in papers})

    def _describe(self, themes: Sequence[Theme]) -> tuple[list[Theme], dict[str, _Description]]:
        """Return the themes, without papers that have no usable sentence, and the sentences by paper id."""
        descriptions: dict[str, _Description] = {}
        described: list[Theme] = []
        for theme in themes:
            items = []
            for item in theme.items:
                if description := self._description(item.paper):
                    descriptions[item.paper.paper_id] = description
                    items.append(item)
            if items:
                described.append(replace(theme, items=tuple(items)))
        return described, descriptions

    def _description(self, paper: Paper) -> _Description | None:
        try:
            sentences = self._paper_highlights(paper)
        except Exception:  # noqa: BLE001 - one bad paper must not cost a subscriber the whole issue
            _LOG.warning("cannot choose a sentence of %s", visible(paper.paper_id), exc_info=True)
            return None
        if sentences is None:
            return None
        new = sentences.alone[0]
        headline = sentences.headline([new])
        claim = self._drafted_claims.get(paper.paper_id) or quote_sentence(paper, new)
        return _Description(claim, quote_sentence(paper, headline) if headline else None)

    def _paper_highlights(self, paper: Paper) -> Highlights | None:
        key = (paper.paper_id, paper.abstract)
        if key not in self._highlights:
            self._highlights[key] = highlights(paper)
        return self._highlights[key]

    def _overview(
        self, themes: Sequence[Theme], descriptions: Mapping[str, _Description]
    ) -> list[CitedClaim]:
        """Return a sentence about each of the first themes, then about further papers.

        Papers without a sentence besides the item's are passed over.
        """
        claims: list[CitedClaim] = []
        others: list[tuple[float, CitedClaim]] = []
        for theme in themes:
            draft = self._drafts.get(theme.key, _NO_DRAFT)
            drafted = [o for o in draft.overviews if {c.paper_id for c in o.citations} <= descriptions.keys()]
            items = sorted(theme.items, key=lambda i: -i.score)
            headlines = [(i.score, descriptions[i.paper.paper_id].headline) for i in items]
            quoted = [(score, headline) for score, headline in headlines if headline]
            if drafted:
                claims.append(drafted[0])
            elif quoted:
                claims.append(quoted.pop(0)[1])
            others += quoted
        others.sort(key=lambda pair: -pair[0])
        return [*claims, *(headline for _, headline in others)][:MAX_OVERVIEW]

    def _written_theme(
        self, theme: Theme, descriptions: Mapping[str, _Description], numbering: CitationNumbering
    ) -> Theme:
        drafted = None if theme.key.endswith(f":{OTHER}") else self._drafts.get(theme.key, _NO_DRAFT).name
        items = tuple(
            replace(item, claims=(numbering.add(descriptions[item.paper.paper_id].claim),))
            for item in theme.items
        )
        return replace(theme, name=drafted or theme.name, items=items)

    def _notes(
        self, undescribed: Sequence[Paper], papers: Sequence[Paper], drafts: Sequence[ThemeDraft]
    ) -> Iterator[str]:
        yield from (f"not described: “{p.title}” has no sentence that could be quoted" for p in undescribed)
        yield from dict.fromkeys(d.note for d in drafts if d.note)
        for paper in papers:
            key = (paper.paper_id, paper.abstract)
            if key not in self._suspicions:
                self._suspicions[key] = injection_notes([paper])
            yield from self._suspicions[key]

    def _with_mode(self, issue: Issue) -> Issue:
        """Name the model as the author, unless the issue shows nothing that it wrote."""
        if self._llm is None or all(c.support == "quoted" for c in issue.claims):
            return issue
        return replace(issue, mode="llm", model=self._llm.theme_writer.model)

    # --- standing questions ---

    def _standing_answers(
        self, questions: Sequence[str], papers: Sequence[Paper], numbering: CitationNumbering
    ) -> tuple[tuple[StandingAnswer, ...], Usage]:
        """Answer each question from the issue's papers; return the answers and the model's usage."""
        if not questions:
            return (), Usage()
        for paper in papers:
            if paper.paper_id not in self._scored:
                self._scored[paper.paper_id] = TermsOnlyPaper.of(paper)
        library = IssueLibrary(papers, self._scored, self._corpus)
        pipeline = Pipeline(
            library, encoder=self._encoder, embedder=self._embedder, thresholds=self._thresholds
        )
        answers = [self._answer(pipeline, AnswerRequest(question)) for question in questions]
        offer_starts = {p.paper_id: self._offer_start(p) for p in papers}
        standing = tuple(shorten_answer(a, numbering, offer_starts) for a in answers)
        return standing, sum((a.usage for a in answers), Usage())

    def _offer_start(self, paper: Paper) -> int:
        """Return where a paper's own work begins in its abstract, after the background."""
        sentences = self._paper_highlights(paper)
        return sentences.offer.start if sentences else 0

    def _answer(self, pipeline: Pipeline, request: AnswerRequest) -> Answer:
        """Answer with the model if possible, otherwise with quoted sentences."""
        answer = self._llm.answer(pipeline, request) if self._llm else None
        if answer is None:
            return pipeline.extract(request).answer
        if answer.status in ("answered", "doubtful", "abstained"):
            return answer
        quoted = pipeline.extract(request).answer
        return as_fallback(quoted, answer.reason or answer.status, answer.answer, usage=answer.usage)


def _merge_themes(themes: Sequence[Theme]) -> list[Theme]:
    """Return the themes, with those of the same key and name merged into one."""
    merged: dict[tuple[str, str], Theme] = {}
    for theme in themes:
        earlier = merged.get((theme.key, theme.name))
        merged[theme.key, theme.name] = (
            replace(theme, items=(*earlier.items, *theme.items)) if earlier else theme
        )
    return list(merged.values())


def _all_themes(selections: Iterable[Selection]) -> Iterator[Theme]:
    return (theme for s in selections for theme in _merge_themes(s.themes))


# --- the check of an issue ---


def check_issue(issue: Issue, papers: Mapping[str, Paper]) -> Issue:
    """Check an issue's claims and citations against the library's texts and return it.

    Args:
        issue: The issue.
        papers: The library's papers by id.

    Raises:
        PaperAgentError: a check failed, because of a bug or because a paper has changed meanwhile. The issue
            must not be sent.
    """
    for problem in issue_problems(issue, papers):
        raise PaperAgentError(f"issue {issue.period.name} withheld: {problem}; build it again")
    return issue


def issue_problems(issue: Issue, papers: Mapping[str, Paper]) -> Iterator[str]:
    """Yield each way in which an issue breaks the citation contract."""
    ids = [p.paper_id for p in issue.papers]
    if len(set(ids)) != len(ids):
        yield "a paper is shown twice"
    yield from contract_violations(_as_answer(issue), papers)
    if [c.n for c in issue.citations] != list(range(1, len(issue.citations) + 1)):
        yield "the citations are not numbered from 1"
    if {n for c in issue.claims for n in c.citations} != {c.n for c in issue.citations}:
        yield "a citation belongs to no claim"
    for claim in issue.claims:
        if claim.support not in _SENDABLE_SUPPORT or not claim.citations:
            yield "a claim that failed its check is shown"
    for item in issue.items:
        yield from _item_problems(item, issue, papers)


def _as_answer(issue: Issue) -> Answer:
    """Return the issue as an answer, so that the checks of answers apply to it."""
    hits = tuple(Hit(p, 0.0, i) for i, p in enumerate(issue.papers, start=1))
    text = "".join(f"[{n}]" for c in issue.claims for n in c.citations)
    return Answer("", "answered", None, text, issue.claims, issue.citations, hits)


def _item_problems(item: Item, issue: Issue, papers: Mapping[str, Paper]) -> Iterator[str]:
    own = {c.n for c in issue.citations if c.paper_id == item.paper.paper_id}
    if not item.claims:
        yield "a paper is shown without a sentence"
    if not {n for c in item.claims for n in c.citations} <= own:
        yield "a paper is described with the words of another"
    stored = papers.get(item.paper.paper_id)
    if stored is None:
        yield "a paper is shown that is not in the library"
    elif (stored.title, stored.url, stored.authors) != (item.paper.title, item.paper.url, item.paper.authors):
        yield "a paper is shown under another title, address or authors"
