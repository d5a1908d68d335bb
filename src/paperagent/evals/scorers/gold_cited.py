"""Gold papers cited: the share of the gold papers that a claim cites.

    gold papers with a citation of a claim ÷ gold papers

None for a case without gold papers.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import GoldPapers, cited
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    gold = GoldPapers.of(case, papers)
    if not gold.gains:
        return None
    named = {gold.key(c.paper_id, c.title) for c in cited(answer)} - {None}
    return len(named) / len(gold.gains)
