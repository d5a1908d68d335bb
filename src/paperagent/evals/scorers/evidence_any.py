"""Evidence hit: whether the answer's claims cite any of the gold evidence.

    1 if a claim's citation overlaps a piece of evidence, in a gold paper, else 0

The lenient companion of `evidence_recall`. None without gold evidence.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import evidence_found
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    found = evidence_found(case, answer, papers)
    return float(any(found)) if found else None
