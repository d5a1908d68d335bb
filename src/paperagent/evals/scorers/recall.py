"""Recall@k: the share of the gold papers that are among the first k.

    recall@k = |gold ∩ first k| ÷ |gold|

None for a case without gold papers (0/0).
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int = 10) -> float | None:
    """Return 0..1."""
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    return sum(rank <= k for rank in gold.places(answer).values()) / len(gold.gains)
