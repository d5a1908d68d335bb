"""Content: whether an answer has the required facts and the gold evidence, and why a case failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from paperagent.answering.citations import without_quotes
from paperagent.evals.cases import Case
from paperagent.evals.results import Failure, ModelCall
from paperagent.evals.scorers.abstention import abstained, has_claims
from paperagent.evals.scorers.effort import count_withheld
from paperagent.evals.scorers.retrieval import GoldPapers
from paperagent.types import Answer, Citation, Paper
from paperagent.verification.normalize import normalize

_MARKER = re.compile(r"\s?\[\d+\]")


def correct(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if the case as a whole is correct, else 0.

    answerable:
        with all of must_include, nothing of must_not, citing gold evidence (a gold paper if the case
        has no evidence) and no paper of not_cited
    unanswerable:
        abstained, with a reason

    An empty answer is wrong. If a case only says that it is answerable, any answer is right.
    """
    if not case.answerable:
        return float(abstained(answer))
    text = visible_text(answer)
    right = (
        has_claims(answer)
        and all(contains_each(text, case.must_include))
        and not any(contains_each(text, case.must_not))
        and _cites_gold(case, answer, papers)
        and not _cites_forbidden(case, answer, papers)
    )
    return float(right)


def turn_correct(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return `correct` for a case with earlier turns; None for a case without.

    For an unanswerable question, a doubtful answer is also correct, and so is one from a paper's record that
    claims nothing, such as that the feed gives no authors.
    """
    if not case.history and case.follows is None:
        return None
    states_record = answer.kind == "library" and not has_claims(answer)
    if not case.answerable and (answer.status == "doubtful" or states_record):
        return 1.0
    return correct(case, answer, papers)


def _cites_forbidden(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> bool:
    forbidden = {papers[i].paper_id if i in papers else i for i in case.not_cited}
    return any(c.paper_id in forbidden for c in used_citations(answer))


def _cites_gold(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> bool:
    if case.evidence:
        return any(evidence_cited(case, answer, papers))
    gold = GoldPapers.of(case, papers)
    return not gold.gains or any(gold.key(c.paper_id, c.title) for c in used_citations(answer))


def evidence_any(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if a claim's citation overlaps any piece of evidence in a gold paper, else 0.

    None without gold evidence.
    """
    cited = evidence_cited(case, answer, papers)
    return float(any(cited)) if cited else None


def evidence_recall(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the pieces of evidence that a claim's citation overlaps in a gold paper.

    By position in the abstract, not by similarity: SciFact's rationale recall (Wadden et al. 2020) at
    the level of characters. An abstention cites nothing. None without gold evidence.
    """
    cited = evidence_cited(case, answer, papers)
    return sum(cited) / len(cited) if cited else None


def gold_cited(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the gold papers that a claim cites; None without gold papers."""
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    cited = {gold.key(c.paper_id, c.title) for c in used_citations(answer)} - {None}
    return len(cited) / len(gold.gains)


def coverage(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the texts of must_include that the answer contains.

    Nugget recall with hand-written nuggets (Voorhees 2003, TREC QA). Case and the spelling of dashes
    and quotes do not matter; numbers match as a whole. An abstention contains nothing. None without
    such texts.
    """
    present = contains_each(visible_text(answer), case.must_include)
    return sum(present) / len(present) if present else None


def must_include(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if the answer contains every text of must_include, else 0; None without such texts."""
    present = contains_each(visible_text(answer), case.must_include)
    return float(all(present)) if present else None


def must_not(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 if the answer contains any text of must_not, else 1; None without such texts.

    An abstention says nothing, so it passes.
    """
    return float(not any(contains_each(visible_text(answer), case.must_not))) if case.must_not else None


def used_citations(answer: Answer) -> list[Citation]:
    """Return the citations that a claim points at, each once, in the order of their numbers."""
    used = {n for claim in answer.claims for n in claim.citations}
    return [c for c in answer.citations if c.n in used]


def evidence_cited(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> list[bool]:
    """Return for each piece of evidence whether a claim's citation overlaps it in a gold paper."""
    gold = GoldPapers.of(case, papers)
    citations = [c for c in used_citations(answer) if not gold.gains or gold.key(c.paper_id, c.title)]
    return [any(_overlaps(c, text, papers) for c in citations) for text in case.evidence]


def _overlaps(citation: Citation, evidence: str, papers: Mapping[str, Paper]) -> bool:
    paper = papers.get(citation.paper_id)
    spans = spans_of(evidence, paper.abstract) if paper else ()
    return any(citation.start < end and start < citation.end for start, end in spans)


@lru_cache(maxsize=8_192)
def spans_of(evidence: str, abstract: str) -> tuple[tuple[int, int], ...]:
    """Return the (start, end) of each occurrence of the evidence in an abstract; white space may differ."""
    return tuple(_spans(evidence, abstract))


def _spans(evidence: str, abstract: str) -> Iterator[tuple[int, int]]:
    words = evidence.split()
    if words and words[0] in abstract:
        yield from (m.span() for m in re.finditer(r"\s+".join(map(re.escape, words)), abstract))


def visible_text(answer: Answer) -> str:
    """Return the answer's own text, `normalized`; empty for an abstention.

    Citation markers are left out, and so are the sentences shown under unverified claims.
    """
    return normalized(_MARKER.sub("", without_quotes(answer.answer))) if has_claims(answer) else ""


@lru_cache(maxsize=8_192)
def normalized(text: str) -> str:
    """Return text in the form used for comparison: uniform dashes and quotes, single spaces, no case."""
    return " ".join(normalize(text).casefold().split())


def contains(text: str, alternatives: str) -> bool:
    """Return whether a `normalized` text contains one of the alternatives ``a|b``.

    A word may continue (``terminat`` matches *terminated*), a number may not: 15 does not match in
    2015, 15.5 or 1,500.
    """
    return any(_pattern(part).search(text) is not None for part in alternatives.split("|"))


@lru_cache(maxsize=8_192)
def _pattern(part: str) -> re.Pattern[str]:
    text = normalized(part)
    before = r"(?<!\d)(?<!\d[.,])" if text[:1].isdigit() else ""
    after = r"(?![.,]?\d)" if text[-1:].isdigit() else ""
    return re.compile(before + re.escape(text) + after)


def contains_each(text: str, expected: Iterable[str]) -> list[bool]:
    """Return for each expected text whether a `normalized` text `contains` it."""
    return [contains(text, alternatives) for alternatives in expected]


def classify_failure(
    case: Case, answer: Answer, papers: Mapping[str, Paper], raw: Sequence[ModelCall] | None = None
) -> Failure | None:
    """Return why a case is not `correct`, or None if it is: the first step that went wrong.

    retrieval_miss:
        a gold paper was not retrieved
    check_too_strict:
        a claim that a check withheld would have been right
    should_have_answered:
        everything was retrieved, but it abstained (or said nothing)
    evidence_ignored:
        everything was retrieved, but it answered something else
    should_have_abstained:
        it answered an unanswerable question
    """
    if correct(case, answer, papers):
        return None
    if not case.answerable:
        return "should_have_abstained"
    gold = GoldPapers.of(case, papers)
    if len(gold.ranks(answer)) < len(gold.gains):
        return "retrieval_miss"
    if _withheld_a_right_claim(case, answer, raw):
        return "check_too_strict"
    nothing_said = abstained(answer) or not answer.claims
    return "should_have_answered" if nothing_said else "evidence_ignored"


def _withheld_a_right_claim(case: Case, answer: Answer, raw: Sequence[ModelCall] | None) -> bool:
    """Return whether withheld claims say what the case expects and point at the gold evidence.

    Only a human can judge whether they are true, so a claim counts as right if it adds no number and no
    negation to the cited sentences.
    """
    if not count_withheld(answer):
        return False
    if raw is None:
        return answer.reason == "withheld_unsupported"
    sound = [claim for call in raw for claim in reply_claims(call) if _adds_nothing(claim, call.shown)]
    text = normalized(" ".join(str(claim.get("text", "")) for claim in sound))
    sentences = [
        normalized(call.shown[p]) for call in raw for c in sound for p in claim_pointers(c) if p in call.shown
    ]
    points_at_evidence = not case.evidence or any(
        normalized(e) in s or s in normalized(e) for e in case.evidence for s in sentences
    )
    says_enough = all(contains_each(text, case.must_include)) and not any(contains_each(text, case.must_not))
    return bool(sound) and points_at_evidence and says_enough


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = re.compile(r"\b(?:not?|never|none|without|cannot|neither|nor)\b|n't\b")


def _adds_nothing(claim: Mapping[str, Any], sentences: Mapping[str, str]) -> bool:
    sources = normalized(" ".join(sentences.get(p, "") for p in claim_pointers(claim)))
    text = normalized(str(claim.get("text", "")))
    adds_no_number = set(_NUMBER.findall(text)) <= set(_NUMBER.findall(sources))
    return (
        bool(sources) and adds_no_number and len(_NEGATION.findall(text)) <= len(_NEGATION.findall(sources))
    )


def claim_pointers(claim: Mapping[str, Any]) -> list[str]:
    """Return the pointers of a claim in a model's reply; none if its evidence is not a list."""
    pointers = claim.get("evidence")
    return [str(p) for p in pointers] if isinstance(pointers, list) else []


def reply_claims(call: ModelCall) -> list[dict[str, Any]]:
    """Return the claims of a reply that is plain JSON; none of any other reply."""
    try:
        reply = json.loads(call.text)
    except (ValueError, RecursionError):
        return []
    claims = reply.get("claims") if isinstance(reply, dict) else None
    return [c for c in claims if isinstance(c, dict)] if isinstance(claims, list) else []
