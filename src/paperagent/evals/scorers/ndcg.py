"""nDCG@k: how near the top the gold papers stand.

    nDCG@k = Σ_{gold papers found at rank r ≤ k} g / log2(r + 1)  ÷  the same of the best order possible

g is the paper's grade, 1 where judgements are not graded. Järvelin & Kekäläinen 2002, with the
linear gain of trec_eval and BEIR. None for a case without gold papers.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int = 10) -> float | None:
    """Return 0..1."""
    import math

    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    found = gold.places(answer).items()
    gain = sum(gold.gains[key] / math.log2(rank + 1) for key, rank in found if rank <= k)
    best = sorted(gold.gains.values(), reverse=True)[:k]
    return gain / sum(g / math.log2(rank + 1) for rank, g in enumerate(best, start=1))
