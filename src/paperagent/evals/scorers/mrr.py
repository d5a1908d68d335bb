"""Reciprocal rank of the first gold paper; its mean is MRR (Voorhees 1999, TREC-8 QA).

    rr = 1 ÷ rank of the first gold paper; 0 where none was found

None for a case without gold papers.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    return 1 / min(gold.places(answer).values(), default=float("inf"))
