"""Faithfulness: the share of the claims that the program itself showed as supported.

    claims whose support is quoted or supported ÷ claims

The answer's own word, so a drop from here to `citation_recall` means that the two disagree.
None for an answer without claims.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    if not answer.claims:
        return None
    return sum(c.support in ("quoted", "supported") for c in answer.claims) / len(answer.claims)
