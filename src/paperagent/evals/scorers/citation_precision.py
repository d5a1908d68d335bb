"""Citation precision (ALCE: Gao, Yen, Yu & Chen 2023).

    pointers that are right ÷ pointers of all claims

A pointer is right where its claim is supported by all its quotes together and the pointer is not
irrelevant: alone it does not support the claim, and without it the others still do. φ is
`checks.check`. A pointer at nothing is wrong. None where no claim has a pointer.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.phi import dangling, quotes_of, supports
from paperagent.types import Answer, Claim, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    right = total = 0
    for claim in answer.claims:
        quotes = quotes_of(claim, answer)
        right += _right(claim, quotes)
        total += len(quotes) + dangling(claim, answer)
    return right / total if total else None


def _right(claim: Claim, quotes: tuple[str, ...]) -> int:
    if not supports(claim.text, quotes):
        return 0
    return sum(
        supports(claim.text, (quote,)) or not supports(claim.text, (*quotes[:i], *quotes[i + 1 :]))
        for i, quote in enumerate(quotes)
    )
