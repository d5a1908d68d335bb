"""Citation precision (ALCE: Gao, Yen, Yu & Chen 2023).

    pointers that are right ÷ pointers of all claims

A pointer is right where its claim is supported by all its quotes together and the pointer is not
irrelevant: alone it does not support the claim, and without it the others still do. φ is
`checks.check`. A pointer at nothing is wrong. None where no claim has a pointer.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.support import claim_citations, count_dangling, supports
from paperagent.types import Answer, Citation, Claim, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    right = total = 0
    for claim in answer.claims:
        cited = claim_citations(claim, answer)
        right += _right(claim, cited, answer)
        total += len(cited) + count_dangling(claim, answer)
    return right / total if total else None


def _right(claim: Claim, cited: tuple[Citation, ...], answer: Answer) -> int:
    if not supports(claim.text, cited, answer):
        return 0
    return sum(
        supports(claim.text, (one,), answer)
        or not supports(claim.text, (*cited[:i], *cited[i + 1 :]), answer)
        for i, one in enumerate(cited)
    )
