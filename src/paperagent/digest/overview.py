"""Cited overviews of any papers: the digest's writer over a search or a list instead of a week.

One paper gives its summary: the problem, what is new, the result. Several give an overview and a
sentence on each, by theme; each claim's checks name its theme. Both are `Answer`s, verified like one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from paperagent.answering import answers, citations
from paperagent.answering.answers import (
    EMPTY_LIBRARY,
    NOTHING_FOUND,
    StageTimer,
    injection_notes,
    withdrawal_notes,
)
from paperagent.answering.call_budget import Budget, CompletionRequest, complete, priced
from paperagent.answering.claims import ClaimChecker
from paperagent.answering.passages import Passages
from paperagent.answering.reply import claim_schema, object_schema, parse_claim, parse_object
from paperagent.digest.issue import (
    Chosen,
    CitationNumbering,
    CitedClaim,
    Group,
    Issue,
    Period,
    Profile,
    Reason,
    Selection,
    quote_sentence,
)
from paperagent.digest.write.highlights import highlights
from paperagent.digest.write.llm_writer import checked_sentence
from paperagent.types import Answer, Citation, Claim, Hit, Paper, Usage

if TYPE_CHECKING:
    from paperagent.digest.write.writer import IssueWriter
    from paperagent.llm.prompts import Prompt
    from paperagent.llm.protocol import TextModel
    from paperagent.types import Vector

OVERVIEW = ""
"""The theme of the sentences that stand before the themes."""
NEAR_THE_BEST, LEAST, LEAST_BY_WORDS = 0.6, 0.5, 0.3
"""A hit is on the topic if its score is that share of the best one's, and above the least.

Topics of a library of 75,000 papers have best scores of .7 to 1.5, off-topic queries of .4.
"""
FURTHER, ALL = "Further papers", "Papers"
"""The theme of those that share none, and of all where no two do."""
NO_OVERVIEW = 3
"""Papers up to which each has its sentence and nothing stands before them."""
_REPLY_TOKENS = 450
_SENTENCES = 3

SCHEMA = object_schema(sentences={"type": "array", "items": claim_schema()})


def relevant_hits(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits that have to do with the query; a search always finds something."""
    if not hits:
        return []
    least = LEAST if any(h.vector is not None for h in hits) else LEAST_BY_WORDS
    least = max(least, NEAR_THE_BEST * hits[0].score)
    return [h for h in hits if h.score >= least]


def no_papers_answer(question: str, *, empty: bool) -> Answer:
    """Return the answer where no paper is on the topic, or there is none at all."""
    reason, text = ("empty_library", EMPTY_LIBRARY) if empty else ("no_evidence", NOTHING_FOUND)
    return Answer(question, "abstained", reason, text)


# --- one paper ---


@dataclass(frozen=True, slots=True)
class SummaryLLM:
    """What a model summarises one paper with."""

    model: TextModel
    prompt: Prompt
    check: ClaimChecker
    salt: str
    budget: Budget


def summarize_paper(question: str, hit: Hit, model: SummaryLLM | None = None) -> Answer:
    """Return the summary of one paper in at most three cited sentences.

    With a model, its sentences if at least two pass their check; else sentences quoted.
    """
    clock = StageTimer()
    said, usage, notes = _written(hit.paper, model) if model else ([], Usage(), ())
    said = said if len(said) > 1 else _quoted(hit.paper)
    numbers = CitationNumbering()
    claims = tuple(map(numbers.take, said))
    clock.end_stage("generate")
    answer = Answer(
        question=question,
        status="answered" if claims else "abstained",
        reason=None if claims else "no_evidence",
        answer=citations.join_claims(claims, numbers.citations) if claims else _STATES_NOTHING,
        claims=claims,
        citations=tuple(numbers.citations),
        hits=(replace(hit, rank=1),),
        usage=usage,
        notes=(*notes, *injection_notes([hit.paper]), *withdrawal_notes(numbers.citations, [hit.paper])),
    )
    if model and any(c.support != "quoted" for c in claims):
        answer = replace(answer, mode="llm", model=model.model.model, prompt_hash=model.prompt.hash)
    citations.verify(answer, {hit.paper_id: hit.paper})
    clock.end_stage("verify")
    return replace(answer, timings_ms=clock.timings_ms())


def _quoted(paper: Paper) -> list[CitedClaim]:
    found = highlights(paper)
    return [quote_sentence(paper, s) for s in found.summary] if found else []


def _written(paper: Paper, by: SummaryLLM) -> tuple[list[CitedClaim], Usage, tuple[str, ...]]:
    """Return the model's sentences that passed their check, what they cost, and what is to be said."""
    passages = Passages.from_papers([paper], salt=by.salt)
    messages = by.prompt.fill(fence=passages.fence, passages=passages.text())
    call = CompletionRequest(messages, SCHEMA, "summary", _REPLY_TOKENS)
    if not by.budget.allows_call(by.model, call):
        return [], Usage(), (answers.fallback_note(by.budget.refusal()),)
    made = complete(by.model, call, lambda text: parse_object(text, "sentences"))
    usage = priced(made.usage, by.budget.pricing)
    if made.value is None:
        return [], usage, (answers.fallback_note(made.error),)
    listed = made.value["sentences"] if isinstance(made.value["sentences"], list) else []
    found = [checked_sentence(parse_claim(s), passages, by.check) for s in listed[:_SENTENCES]]
    said = [s for s in found if s is not None]
    failed = len(listed[:_SENTENCES]) - len(said)
    note = f"withheld: {failed} of the model's sentences failed their check"
    return said, usage, (note,) if failed else ()


# --- several ---


def summarize_papers(
    question: str, hits: Sequence[Hit], writer: IssueWriter, vectors: Mapping[str, Vector | None]
) -> Answer:
    """Return an overview of papers and a sentence on each, grouped by theme."""
    clock = StageTimer()
    selection = _selection(question, hits, vectors)
    clock.end_stage("retrieve")
    writer.draft([selection])
    issue = writer.write(selection)
    clock.end_stage("generate")
    answer = _answer(question, hits, issue if len(hits) > NO_OVERVIEW else _without_overview(issue))
    papers = {h.paper_id: h.paper for h in hits}
    citations.verify(answer, papers)
    clock.end_stage("verify")
    notes = (*answer.notes, *withdrawal_notes(answer.citations, papers.values()))
    return replace(answer, notes=notes, timings_ms=clock.timings_ms())


def _selection(question: str, hits: Sequence[Hit], vectors: Mapping[str, Vector | None]) -> Selection:
    """Return the papers in themes, as a week's selection."""
    from paperagent.digest.select.candidates import matrix
    from paperagent.digest.select.phrases import ThemePhrases
    from paperagent.digest.select.themes import ONLY_NAME, OTHER_NAME, build_themes

    papers = [h.paper for h in hits]
    rows, known = matrix([vectors.get(p.paper_id) for p in papers])
    why = Reason("interest", question)
    clusters = build_themes(range(len(papers)), ThemePhrases(papers, rows, known), rows, {})
    named = [c for c in clusters if c.name not in {OTHER_NAME, ONLY_NAME}]  # a search finds old papers too
    rest = FURTHER if named else ALL
    groups = [
        Group(
            c.key,
            c.name if c in named else rest,
            tuple(Chosen(papers[n], hits[n].score, why) for n in c.members),
        )
        for c in (*named, *(c for c in clusters if c not in named))
    ]
    day = dt.date.min
    return Selection(Period(question, day, day), Profile(), tuple(groups), screened=len(papers))


def _answer(question: str, hits: Sequence[Hit], issue: Issue) -> Answer:
    claims = [_of_theme(c, OVERVIEW) for c in issue.overview]
    claims += [_of_theme(c, t.name) for t in issue.themes for i in t.items for c in i.claims]
    return Answer(
        question=question,
        status="answered" if claims else "abstained",
        reason=None if claims else "no_evidence",
        answer=_text(claims, issue.citations) if claims else _STATES_NOTHING,
        claims=tuple(claims),
        citations=issue.citations,
        hits=tuple(replace(h, rank=i) for i, h in enumerate(hits, start=1)),
        mode=issue.mode,
        model=issue.model,
        usage=issue.usage,
        notes=issue.notes,
    )


def _without_overview(issue: Issue) -> Issue:
    """Return the issue with its items alone, their citations numbered anew."""
    numbers = CitationNumbering()
    by_n = {c.n: c for c in issue.citations}

    def again(claim: Claim) -> Claim:
        return numbers.take(CitedClaim(claim, tuple(by_n[n] for n in claim.citations)))

    themes = tuple(
        replace(t, items=tuple(replace(i, claims=tuple(map(again, i.claims))) for i in t.items))
        for t in issue.themes
    )
    return replace(issue, overview=(), themes=themes, citations=tuple(numbers.citations))


def _of_theme(claim: Claim, theme: str) -> Claim:
    return replace(claim, checks={**claim.checks, "theme": theme})


def _text(claims: Sequence[Claim], cited: Sequence[Citation]) -> str:
    """Return the claims under their themes, each with the title of its paper but for the overview."""
    by_n = {c.n: c for c in cited}
    parts = []
    for theme, members in groupby(claims, key=lambda c: str(c.checks["theme"])):
        if theme == OVERVIEW:
            parts.append(citations.claims_as_text(list(members), by_n))
            continue
        lines = [citations.escape_line(theme)]
        for claim in members:
            title = citations.escape_markers(by_n[claim.citations[0]].title)
            lines.append(f"- {title}: {citations.claim_with_markers(claim)}")
            lines += [f"  {line}" for line in citations.quote_lines(claim, by_n)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


_STATES_NOTHING = "The abstracts do not say: there is no sentence that could be quoted."
