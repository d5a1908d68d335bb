"""Citations: whether pointers and quotes are valid, and whether quotes support the claims that cite them.

φ, the test of support, is `paperagent.verification.check` instead of an entailment model: it sees wording,
numbers, negation, direction, hedges and names, but has no world knowledge. Claims are readable text, so
quotes are converted with `readable` before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from paperagent.answering.judge import parse_probability
from paperagent.evals.cases import Case
from paperagent.text.readable import readable
from paperagent.types import Answer, Citation, Claim, Paper
from paperagent.verification import check, numbers
from paperagent.verification.tokens import analyze

_SUPPORTED = ("quoted", "supported")


def supports(claim: str, citations: tuple[Citation, ...], answer: Answer) -> bool:
    """Return whether the citations together support ``claim``; False without citations."""
    paper_ids = {c.paper_id for c in citations}
    abstracts = tuple(readable(h.paper.abstract) for h in answer.hits if h.paper_id in paper_ids)
    return _supports(claim, citations, abstracts, answer.question)


@lru_cache(maxsize=16_384)
def _supports(claim: str, citations: tuple[Citation, ...], abstracts: tuple[str, ...], question: str) -> bool:
    quotes = [readable(c.quote) for c in citations]
    titles = list(dict.fromkeys(readable(c.title) for c in citations))
    verdict = check(claim, quotes, titles=titles, abstracts=abstracts, question=question)
    return verdict.support in _SUPPORTED


def claim_citations(claim: Claim, answer: Answer) -> tuple[Citation, ...]:
    """Return the citations that a claim points at, in the claim's order; dangling pointers are ignored."""
    by_number = {c.n: c for c in answer.citations}
    return tuple(by_number[n] for n in dict.fromkeys(claim.citations) if n in by_number)


def count_dangling(claim: Claim, answer: Answer) -> int:
    """Count a claim's dangling pointers, both among its citations and as noted by its check."""
    existing = {c.n for c in answer.citations}
    noted = claim.checks.get("dangling", ())
    missing = sum(n not in existing for n in dict.fromkeys(claim.citations))
    return missing + (len(noted) if isinstance(noted, (list, tuple)) else 0)


def pointer_validity(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the claims' pointers that point at a citation of a retrieved paper.

    A pointer that a check noted as dangling counts as a pointer. This measures the invariant that
    `paperagent.answering.citations` asserts. None if no claim has a pointer.
    """
    retrieved = {h.paper_id for h in answer.hits}
    existing = {c.n for c in answer.citations}
    valid = {c.n for c in answer.citations if c.paper_id in retrieved}
    right = wrong = 0
    for claim in answer.claims:
        pointers = set(claim.citations)
        right += len(pointers & valid)
        wrong += len(pointers & existing - valid) + count_dangling(claim, answer)
    return right / (right + wrong) if right + wrong else None


def quote_validity(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the citations with ``abstract[start:end] == quote``, and not empty.

    Compared character by character with the library's text. None without citations.
    """
    if not answer.citations:
        return None
    right = 0
    for c in answer.citations:
        paper = papers.get(c.paper_id)
        inside = paper is not None and 0 <= c.start < c.end <= len(paper.abstract)
        right += inside and paper is not None and paper.abstract[c.start : c.end] == c.quote
    return right / len(answer.citations)


def precision(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return citation precision: right pointers ÷ pointers of all claims (ALCE: Gao, Yen, Yu & Chen 2023).

    A pointer is right if all quotes of its claim together support the claim, and the pointer is not
    irrelevant: it supports the claim alone, or the others do not support it without this one. A
    dangling pointer is wrong. None if no claim has a pointer.
    """
    right = total = 0
    for claim in answer.claims:
        citations = claim_citations(claim, answer)
        right += _count_right(claim, citations, answer)
        total += len(citations) + count_dangling(claim, answer)
    return right / total if total else None


def _count_right(claim: Claim, citations: tuple[Citation, ...], answer: Answer) -> int:
    if not supports(claim.text, citations, answer):
        return 0
    return sum(
        supports(claim.text, (citation,), answer)
        or not supports(claim.text, (*citations[:i], *citations[i + 1 :]), answer)
        for i, citation in enumerate(citations)
    )


def recall(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return citation recall: claims that their own citations together support ÷ claims.

    ALCE (Gao, Yen, Yu & Chen 2023, "Enabling LLMs to Generate Text with Citations"). A claim without
    citations is not supported, whatever the adjacent claims cite. None for an answer without claims.
    """
    if not answer.claims:
        return None
    supported = sum(supports(c.text, claim_citations(c, answer), answer) for c in answer.claims)
    return supported / len(answer.claims)


def faithfulness(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the claims that the program itself showed as quoted or supported.

    If it exceeds `recall`, the program and the scorers disagree. None for an answer without claims.
    """
    if not answer.claims:
        return None
    return sum(c.support in _SUPPORTED for c in answer.claims) / len(answer.claims)


def judged_support(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the judged claims whose probability of support is above one half.

    A model's opinion (`--judge`), to compare with `recall`. Claims that were not judged are left out.
    Labels of earlier versions count as the probabilities that they stand for. None if no claim was
    judged.
    """
    judged = [p for claim in answer.claims if (p := parse_probability(claim.checks.get("judge"))) is not None]
    return sum(p > 0.5 for p in judged) / len(judged) if judged else None


def number_support(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the share of the claims' numbers that occur in the sentences they cite.

    Numbers match if value, unit, sign and mark agree (`verification.numbers`). Each number is compared on its
    own; whether it belongs to the right thing is measured by `recall`. A number of a claim without citations
    is not supported. None without numbers.
    """
    right = total = 0
    for claim in answer.claims:
        quotes = [readable(c.quote) for c in claim_citations(claim, answer)]
        claimed = _numbers(claim.text)
        cited = claimed if claim.text in quotes else [n for quote in quotes for n in _numbers(quote)]
        right += sum(any(numbers.compare(n, other) is None for other in cited) for n in claimed)
        total += len(claimed)
    return right / total if total else None


def _numbers(text: str) -> list[numbers.Number]:
    return [token.number for token in analyze(text).numbers if token.number is not None]
