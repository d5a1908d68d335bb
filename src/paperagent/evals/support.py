"""φ: whether sentences support a claim. The one place where scorers ask the checks."""

from __future__ import annotations

from functools import lru_cache

from paperagent.types import Answer, Citation, Claim
from paperagent.verification import check


def supports(claim: str, cited: tuple[Citation, ...], answer: Answer) -> bool:
    """Tell whether what is cited supports ``claim``, by the check of an answer; nothing supports nothing."""
    papers = {c.paper_id for c in cited}
    abstracts = tuple(h.paper.abstract for h in answer.hits if h.paper_id in papers)
    return _supports(claim, cited, abstracts, answer.question)


@lru_cache(maxsize=16_384)
def _supports(claim: str, cited: tuple[Citation, ...], abstracts: tuple[str, ...], question: str) -> bool:
    quotes, titles = [c.quote for c in cited], list(dict.fromkeys(c.title for c in cited))
    verdict = check(claim, quotes, titles=titles, abstracts=abstracts, question=question)
    return verdict.support in ("quoted", "supported")


def claim_citations(claim: Claim, answer: Answer) -> tuple[Citation, ...]:
    """Return what a claim points at, in its order; a pointer at nothing gives nothing."""
    by_n = {c.n: c for c in answer.citations}
    return tuple(by_n[n] for n in dict.fromkeys(claim.citations) if n in by_n)


def count_dangling(claim: Claim, answer: Answer) -> int:
    """Return how many of a claim's pointers point at nothing, in its citations or as its check noted."""
    numbers = {c.n for c in answer.citations}
    noted = claim.checks.get("dangling", ())
    lost = sum(n not in numbers for n in dict.fromkeys(claim.citations))
    return lost + (len(noted) if isinstance(noted, (list, tuple)) else 0)
