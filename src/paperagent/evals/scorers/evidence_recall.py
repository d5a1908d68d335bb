"""Evidence recall: the share of the gold evidence that the answer's claims cite.

    pieces of evidence that a claim's citation overlaps, in a gold paper ÷ pieces of evidence

By position in the abstract, not by likeness (SciFact's rationale recall, Wadden et al. 2020, at
the level of characters). An abstention cites nothing. None without gold evidence.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import evidence_found
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    found = evidence_found(case, answer, papers)
    return sum(found) / len(found) if found else None
