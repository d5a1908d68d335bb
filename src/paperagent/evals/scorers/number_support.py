"""Number support: the share of the claims' numbers that stand in the sentences they cite.

    numbers of claims with one of the same value, unit, sign and mark in their quotes ÷ numbers of claims

Compared as `checks.numbers` compares them, each for itself; which number belongs to what is
`citation_recall`'s business. A claim without citations has no number supported. None without numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.support import claim_citations
from paperagent.types import Answer, Paper
from paperagent.verification import numbers
from paperagent.verification.tokens import analyse


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    right = total = 0
    for claim in answer.claims:
        quotes = [c.quote for c in claim_citations(claim, answer)]
        claimed = _numbers(claim.text)
        known = claimed if claim.text in quotes else [n for quote in quotes for n in _numbers(quote)]
        right += sum(any(numbers.compare(n, other) is None for other in known) for n in claimed)
        total += len(claimed)
    return right / total if total else None


def _numbers(text: str) -> list[numbers.Number]:
    return [token.number for token in analyse(text).numbers if token.number is not None]
