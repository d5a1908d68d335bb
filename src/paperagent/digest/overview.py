"""Cited overviews of any papers, for ``summarize``: the digest's writer on a search instead of a week.

One paper gives its summary: the problem, what is new, the result. Several papers give an overview and a
sentence on each, by theme; the checks of each claim name its theme. Both are verified like an answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from paperagent.answering import citations
from paperagent.answering.answers import (
    EMPTY_LIBRARY,
    NOTHING_FOUND,
    StageTimer,
    fallback_note,
    injection_notes,
    withdrawal_notes,
)
from paperagent.answering.call_budget import Budget, CompletionRequest, complete, priced
from paperagent.answering.claims import ClaimChecker
from paperagent.answering.passages import Passages
from paperagent.answering.reply import claim_schema, object_schema, parse_claim, parse_object
from paperagent.digest.issue import (
    ONLY_NAME,
    OTHER_NAME,
    CitationNumbering,
    CitedClaim,
    Issue,
    Item,
    Period,
    Reason,
    Selection,
    Theme,
    quote_sentence,
)
from paperagent.digest.preferences import Preferences
from paperagent.digest.write.highlights import highlights
from paperagent.digest.write.llm_writer import checked_sentence
from paperagent.types import Answer, Citation, Claim, Hit, Paper, Usage

if TYPE_CHECKING:
    from paperagent.digest.write.writer import IssueWriter
    from paperagent.llm.prompts import Prompt
    from paperagent.llm.protocol import TextModel
    from paperagent.types import Vector

OVERVIEW = ""
"""The theme of the sentences before the first theme."""
MIN_SHARE_OF_BEST, MIN_SCORE, MIN_LEXICAL_SCORE = 0.6, 0.5, 0.3
"""A hit is relevant if its score is this share of the best one's, and above the minimum.

For topics of a library of 75,000 papers the best scores are .7 to 1.5, for other queries .4.
"""
FURTHER_PAPERS, ALL_PAPERS = "Further papers", "Papers"
"""The theme of papers without a theme of their own, and of all papers if no two share a theme."""
NO_OVERVIEW = 3
"""The number of papers up to which there is no overview before their sentences."""
_REPLY_TOKENS = 450
_MAX_SENTENCES = 3
_NOTHING_STATED = "The abstracts do not say. There is no sentence that could be quoted."

SCHEMA = object_schema(sentences={"type": "array", "items": claim_schema()})


def relevant_hits(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits that match the query; a search always returns something."""
    if not hits:
        return []
    minimum = MIN_SCORE if any(h.vector is not None for h in hits) else MIN_LEXICAL_SCORE
    minimum = max(minimum, MIN_SHARE_OF_BEST * hits[0].score)
    return [h for h in hits if h.score >= minimum]


def no_papers_answer(question: str, *, empty: bool) -> Answer:
    """Return the answer if no paper is relevant, or if the library is ``empty``."""
    reason, text = ("empty_library", EMPTY_LIBRARY) if empty else ("no_evidence", NOTHING_FOUND)
    return Answer(question, "abstained", reason, text)


# --- one paper ---


@dataclass(frozen=True, slots=True)
class SummaryLLM:
    """Summarizes one paper with a model."""

    model: TextModel
    prompt: Prompt
    check: ClaimChecker
    salt: str
    """The library's secret, for the fence around passages."""
    budget: Budget


def summarize_paper(question: str, hit: Hit, llm: SummaryLLM | None = None) -> Answer:
    """Return the summary of one paper in at most three cited sentences.

    The model's sentences are used if at least two pass their check; otherwise sentences are quoted.
    """
    timer = StageTimer()
    cited_claims, usage, notes = _model_sentences(hit.paper, llm) if llm else ([], Usage(), ())
    if len(cited_claims) < 2:
        cited_claims = _quoted_sentences(hit.paper)
    numbering = CitationNumbering()
    claims = tuple(map(numbering.add, cited_claims))
    timer.end_stage("generate")
    answer = Answer(
        question=question,
        status="answered" if claims else "abstained",
        reason=None if claims else "no_evidence",
        answer=citations.join_claims(claims, numbering.citations) if claims else _NOTHING_STATED,
        claims=claims,
        citations=tuple(numbering.citations),
        hits=(replace(hit, rank=1),),
        usage=usage,
        notes=(*notes, *injection_notes([hit.paper]), *withdrawal_notes(numbering.citations, [hit.paper])),
    )
    if llm and any(c.support != "quoted" for c in claims):
        answer = replace(answer, mode="llm", model=llm.model.model, prompt_hash=llm.prompt.hash)
    citations.verify(answer, {hit.paper_id: hit.paper})
    timer.end_stage("verify")
    return replace(answer, timings_ms=timer.timings_ms())


def _quoted_sentences(paper: Paper) -> list[CitedClaim]:
    sentences = highlights(paper)
    return [quote_sentence(paper, s) for s in sentences.summary] if sentences else []


def _model_sentences(paper: Paper, llm: SummaryLLM) -> tuple[list[CitedClaim], Usage, tuple[str, ...]]:
    """Return the model's sentences that passed their check, the usage, and notes."""
    passages = Passages.from_papers([paper], salt=llm.salt)
    messages = llm.prompt.fill(fence=passages.fence, passages=passages.text())
    call = CompletionRequest(messages, SCHEMA, "summary", _REPLY_TOKENS)
    if not llm.budget.allows_call(llm.model, call):
        return [], Usage(), (fallback_note(llm.budget.refusal()),)
    outcome = complete(llm.model, call, lambda text: parse_object(text, "sentences"))
    usage = priced(outcome.usage, llm.budget.pricing)
    if outcome.value is None:
        return [], usage, (fallback_note(outcome.error),)
    written = outcome.value["sentences"] if isinstance(outcome.value["sentences"], list) else []
    written = written[:_MAX_SENTENCES]
    checked = [checked_sentence(parse_claim(s), passages, llm.check) for s in written]
    passed = [c for c in checked if c is not None]
    failed = len(written) - len(passed)
    note = f"withheld: {failed} of the model's sentences failed their check"
    return passed, usage, (note,) if failed else ()


# --- several papers ---


def summarize_papers(
    question: str, hits: Sequence[Hit], writer: IssueWriter, vectors: Mapping[str, Vector | None]
) -> Answer:
    """Return an overview of papers and a sentence on each, grouped by theme.

    Args:
        question: The search query, or a title for the overview.
        hits: The papers.
        writer: Writes about them.
        vectors: The papers' embeddings by id.
    """
    timer = StageTimer()
    selection = _selection(question, hits, vectors)
    timer.end_stage("retrieve")
    writer.draft([selection])
    issue = writer.write(selection)
    timer.end_stage("generate")
    answer = _answer(question, hits, issue if len(hits) > NO_OVERVIEW else _without_overview(issue))
    papers = {h.paper_id: h.paper for h in hits}
    citations.verify(answer, papers)
    timer.end_stage("verify")
    notes = (*answer.notes, *withdrawal_notes(answer.citations, papers.values()))
    return replace(answer, notes=notes, timings_ms=timer.timings_ms())


def _selection(question: str, hits: Sequence[Hit], vectors: Mapping[str, Vector | None]) -> Selection:
    """Return the papers by theme, like the selection of a digest."""
    from paperagent.digest.select.candidates import stack_vectors
    from paperagent.digest.select.phrases import ThemePhrases
    from paperagent.digest.select.themes import build_themes

    papers = [h.paper for h in hits]
    rows, has_vector = stack_vectors([vectors.get(p.paper_id) for p in papers])
    reason = Reason("interest", question)
    clusters = build_themes(range(len(papers)), ThemePhrases(papers, rows, has_vector), rows, {})
    # The digest's names for groups without a theme do not fit here: a search finds old papers too.
    named = [c for c in clusters if c.name not in {OTHER_NAME, ONLY_NAME}]
    unnamed = [c for c in clusters if c not in named]
    themes = tuple(
        Theme(
            cluster.name if cluster in named else FURTHER_PAPERS if named else ALL_PAPERS,
            tuple(Item(papers[n], reason, score=hits[n].score) for n in cluster.members),
            cluster.key,
        )
        for cluster in (*named, *unnamed)
    )
    day = dt.date.min
    return Selection(Period(question, day, day), Preferences(), themes, screened=len(papers))


def _answer(question: str, hits: Sequence[Hit], issue: Issue) -> Answer:
    claims = [_with_theme(c, OVERVIEW) for c in issue.overview]
    claims += [_with_theme(c, t.name) for t in issue.themes for i in t.items for c in i.claims]
    return Answer(
        question=question,
        status="answered" if claims else "abstained",
        reason=None if claims else "no_evidence",
        answer=_text(claims, issue.citations) if claims else _NOTHING_STATED,
        claims=tuple(claims),
        citations=issue.citations,
        hits=tuple(replace(h, rank=i) for i, h in enumerate(hits, start=1)),
        mode=issue.mode,
        model=issue.model,
        usage=issue.usage,
        notes=issue.notes,
    )


def _without_overview(issue: Issue) -> Issue:
    """Return the issue with only its items, and their citations renumbered."""
    numbering = CitationNumbering()
    by_number = {c.n: c for c in issue.citations}

    def renumbered(claim: Claim) -> Claim:
        return numbering.add(CitedClaim(claim, tuple(by_number[n] for n in claim.citations)))

    themes = tuple(
        replace(t, items=tuple(replace(i, claims=tuple(map(renumbered, i.claims))) for i in t.items))
        for t in issue.themes
    )
    return replace(issue, overview=(), themes=themes, citations=tuple(numbering.citations))


def _with_theme(claim: Claim, theme: str) -> Claim:
    return replace(claim, checks={**claim.checks, "theme": theme})


def _text(claims: Sequence[Claim], cited: Sequence[Citation]) -> str:
    """Return the overview, then under each theme the claims with the titles of their papers."""
    by_number = {c.n: c for c in cited}
    parts = []
    for theme, members in groupby(claims, key=lambda c: str(c.checks["theme"])):
        if theme == OVERVIEW:
            parts.append(citations.claims_as_text(list(members), by_number))
            continue
        lines = [citations.escape_line(theme)]
        for claim in members:
            title = citations.escape_markers(by_number[claim.citations[0]].title)
            lines.append(f"- {title}: {citations.claim_with_markers(claim)}")
            lines += [f"  {line}" for line in citations.quote_lines(claim, by_number)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
