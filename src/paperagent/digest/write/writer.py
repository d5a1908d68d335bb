"""Write an issue about selected papers: sentences with citations, checked against the library's texts.

By default sentences are quoted from the abstracts; with a model, it writes them. Work that depends only
on a paper or a question is done once for all subscribers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from paperagent.answering.answers import injection_notes, server_failed
from paperagent.answering.call_budget import MAX_CONSECUTIVE_FAILURES
from paperagent.answering.citations import contract_violations
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
from paperagent.digest.write.llm_writer import ThemeDraft, ThemeWriter
from paperagent.errors import PaperAgentError, visible
from paperagent.text.discourse import refers_back, standalone
from paperagent.text.terms import words
from paperagent.types import Answer, Citation, Hit, Paper, Sentence, Usage

if TYPE_CHECKING:
    from paperagent.answering.call_budget import Budget
    from paperagent.answering.llm_pipeline import LLMAnswerer
    from paperagent.answering.pipeline import AnswerRequest, Pipeline
    from paperagent.digest.write.translation import Translator

MIN_OVERVIEW, MAX_OVERVIEW = 3, 5
"""Sentences of an overview; only sentences of a model exceed the minimum."""
_LOG = logging.getLogger(__name__)
_NO_DRAFT = ThemeDraft()
_HEADING_REASONS = frozenset({"interest", "author", "question"})
"""Reasons whose papers are under a heading in the subscriber's words, which no model renames."""
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

    def __init__(self, llm: DigestLLM | None = None) -> None:
        """Create a writer.

        Args:
            llm: The model that writes; None to quote sentences.
        """
        self._llm = llm
        self._highlights: dict[tuple[str, str], Highlights | None] = {}
        self._suspicions: dict[tuple[str, str], tuple[str, ...]] = {}
        self._drafts: dict[str, ThemeDraft] = {}
        self._drafted_claims: dict[str, CitedClaim] = {}
        self._drafted_overviews: dict[str, list[CitedClaim]] = {}

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
        self._drafted_overviews = {}
        for claim in (claim for d in self._drafts.values() for claim in d.overview):
            for paper_id in claim.paper_ids:
                self._drafted_overviews.setdefault(paper_id, []).append(claim)
        return sum((d.usage for d in self._drafts.values()), Usage())

    def write(self, selection: Selection) -> Issue:
        """Write and check one issue.

        A paper without a sentence to quote is listed under "Also noticed" instead, with a note.

        Raises:
            PaperAgentError: the issue does not pass its check and must not be sent.
        """
        all_papers = {item.paper.paper_id: item.paper for item in selection.items}
        answers = [replace(a, claims=_read_alone(a.claims, all_papers)) for a in selection.answers]
        answered = [claim for answer in answers for claim in answer.claims]
        cited = [c for claim in answered for c in claim.citations]
        themes, descriptions = self._describe(_merge_themes(selection.themes), cited)
        papers = [item.paper for theme in themes for item in theme.items]
        undescribed = [i.paper for i in selection.items if i.paper.paper_id not in descriptions]
        numbering = CitationNumbering()
        overview = tuple(map(numbering.add, self._overview(themes, descriptions, answered)))
        written = tuple(self._written_theme(t, descriptions, numbering) for t in themes)
        standing = tuple(StandingAnswer(a.question, tuple(map(numbering.add, a.claims))) for a in answers)
        usage = sum((a.usage for a in answers), Usage())
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
            unmatched=selection.unmatched,
            usage=sum((d.usage for d in drafts), usage),
            notes=tuple(self._notes(undescribed, papers, drafts)),
        )
        return check_issue(self._with_mode(issue), {p.paper_id: p for p in papers})

    def _describe(
        self, themes: Sequence[Theme], cited: Sequence[Citation]
    ) -> tuple[list[Theme], dict[str, _Description]]:
        """Return the themes, without papers that have no usable sentence, and the sentences by paper id.

        No sentence that the answers cite is used, unless an abstract has no other.
        """
        descriptions: dict[str, _Description] = {}
        described: list[Theme] = []
        for theme in themes:
            items = []
            for item in theme.items:
                if description := self._description(item.paper, cited):
                    descriptions[item.paper.paper_id] = description
                    items.append(item)
            if items:
                described.append(replace(theme, items=tuple(items)))
        return described, descriptions

    def _description(self, paper: Paper, cited: Sequence[Citation]) -> _Description | None:
        sentences = self.highlights_of(paper)
        if sentences is None:
            return None
        ends = {c.end for c in cited if c.paper_id == paper.paper_id}
        usable = (*sentences.alone, *sentences.others)
        new = next((s for s in usable if s.end not in ends), sentences.new)
        claim = self._drafted_claims.get(paper.paper_id) or quote_sentence(paper, new)
        ends |= {c.end for c in claim.citations}
        headline = sentences.headline([s for s in usable if s.end in ends])
        return _Description(claim, quote_sentence(paper, headline) if headline else None)

    def highlights_of(self, paper: Paper) -> Highlights | None:
        """Return the sentences that describe a paper; None if it has none that could be quoted."""
        key = (paper.paper_id, paper.abstract)
        if key not in self._highlights:
            try:
                self._highlights[key] = highlights(paper)
            except Exception:  # noqa: BLE001 - one bad paper must not cost a subscriber the whole issue
                _LOG.warning("cannot choose a sentence of %s", visible(paper.paper_id), exc_info=True)
                self._highlights[key] = None
        return self._highlights[key]

    def _overview(
        self,
        themes: Sequence[Theme],
        descriptions: Mapping[str, _Description],
        answered: Sequence[CitedClaim],
    ) -> list[CitedClaim]:
        """Return the overview: a sentence about each of the first themes, then further ones, in their order.

        The model's sentences come first; quoted ones fill up. No paper is spoken of twice. Papers without a
        sentence besides the item's are passed over. Nothing is quoted about an issue with no more papers than
        the overview has sentences: that would only name each paper twice.
        """
        is_short = sum(len(theme.items) for theme in themes) <= MIN_OVERVIEW
        elsewhere = [*answered, *(d.claim for d in descriptions.values())]
        written: list[list[CitedClaim]] = []
        quoted: list[list[tuple[float, CitedClaim]]] = []
        for theme in themes:
            items = sorted(theme.items, key=lambda i: -i.score)
            drafted = (c for i in items for c in self._drafted_overviews.get(i.paper.paper_id, ()))
            own = [c for c in drafted if c.paper_ids <= descriptions.keys() and not _repeats(c, elsewhere)]
            written.append(sorted(own, key=lambda c: c.claim.support == "unverified"))
            headlines = ((i.score, descriptions[i.paper.paper_id].headline) for i in items)
            quoted.append([(score, headline) for score, headline in headlines if headline and not is_short])
        chosen: list[tuple[int, CitedClaim]] = []

        def choose(theme: int, candidates: Iterable[CitedClaim], limit: int) -> None:
            if len(chosen) < limit:
                earlier = [c for _, c in chosen]
                covered = {paper_id for c in earlier for paper_id in c.paper_ids}
                new = (c for c in candidates if not c.paper_ids & covered and not _repeats(c, earlier))
                chosen.extend((theme, c) for c in islice(new, 1))

        for n, own in enumerate(written):
            choose(n, [*own, *(c for _, c in quoted[n])], MIN_OVERVIEW)
        spoken_of = {n for n, _ in chosen}
        for n in sorted(range(len(themes)), key=spoken_of.__contains__) * MAX_OVERVIEW:
            choose(n, written[n], MAX_OVERVIEW)
        further = [(-score, n, c) for n, headlines in enumerate(quoted) for score, c in headlines]
        for _, n, headline in sorted(further, key=itemgetter(0)):
            choose(n, [headline], MIN_OVERVIEW)
        return [claim for _, claim in sorted(chosen, key=itemgetter(0))]

    def _written_theme(
        self, theme: Theme, descriptions: Mapping[str, _Description], numbering: CitationNumbering
    ) -> Theme:
        is_computed = not any(item.reason.kind in _HEADING_REASONS for item in theme.items)
        drafted = self._drafts.get(theme.key, _NO_DRAFT).name if is_computed else None
        drafted = None if theme.key.endswith(f":{OTHER}") else drafted
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


def _read_alone(claims: Sequence[CitedClaim], papers: Mapping[str, Paper]) -> tuple[CitedClaim, ...]:
    """Return the claims of an answer, quotes without a lead-in that refers to an earlier sentence.

    A quote that still refers back is left out if the answer quotes something else of its paper.
    """
    shortened = [_without_lead_in(claim, papers) for claim in claims]
    clear = [c for c in shortened if not _quotes_reference(c)]
    covered = {paper_id for c in clear for paper_id in c.paper_ids}
    return tuple(c for c in shortened if c in clear or not c.paper_ids <= covered)


def _without_lead_in(cited: CitedClaim, papers: Mapping[str, Paper]) -> CitedClaim:
    citation = cited.citations[0]
    if cited.claim.support != "quoted" or len(cited.citations) > 1 or citation.paper_id not in papers:
        return cited
    sentence = standalone(Sentence(0, citation.quote, citation.start, citation.end))
    return quote_sentence(papers[citation.paper_id], sentence) if sentence.is_cut else cited


def _quotes_reference(cited: CitedClaim) -> bool:
    return cited.claim.support == "quoted" and refers_back(cited.citations[0].quote)


def _repeats(written: CitedClaim, others: Iterable[CitedClaim]) -> bool:
    """Return whether a sentence has the words of another, or rests on no more than it."""
    sources = _sources(written)
    text_words = words(written.claim.text)
    return any(sources <= _sources(c) or text_words == words(c.claim.text) for c in others)


def _sources(cited: CitedClaim) -> set[tuple[str, int]]:
    """Return the cited sentences; their ends stay the same without a lead-in."""
    return {(c.paper_id, c.end) for c in cited.citations}


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
    yield from _question_problems(issue)


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


def _question_problems(issue: Issue) -> Iterator[str]:
    """Yield each standing answer without its papers, and each paper of a question without its answer."""
    paper_of = {c.n: c.paper_id for c in issue.citations}
    cited = {
        answer.question: {paper_of.get(n) for claim in answer.claims for n in claim.citations}
        for answer in issue.standing
    }
    paper_ids = {p.paper_id for p in issue.papers}
    if not all(ids <= paper_ids for ids in cited.values()):
        yield "an answer cites a paper that is not in the issue"
    for item in issue.items:
        reason = item.reason
        if reason.kind == "question" and item.paper.paper_id not in cited.get(reason.text, ()):
            yield "a paper is shown for a question whose answer does not cite it"
