"""All-gold@k: whether every gold paper is among the first k; what a comparison of two papers needs.

    all_gold@k = 1 if gold ⊆ first k else 0

HotpotQA's and MultiHop-RAG's "all supporting documents found". None without gold papers.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int = 10) -> float | None:
    """Return 0 or 1."""
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    places = gold.places(answer)
    return float(all(places.get(key, k + 1) <= k for key in gold.gains))
