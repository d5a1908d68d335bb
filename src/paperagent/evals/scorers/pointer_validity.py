"""Pointer validity: the share of the claims' pointers that point at something.

    pointers into the answer's citations whose paper was retrieved ÷ pointers of all claims

A pointer that a check called dangling counts as a pointer. The invariant of the contract
(`citations.problems`), measured instead of asserted. None where no claim has a pointer.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.support import count_dangling
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    retrieved = {h.paper_id for h in answer.hits}
    sound = {c.n for c in answer.citations if c.paper_id in retrieved}
    right = wrong = 0
    for claim in answer.claims:
        numbers = set(claim.citations)
        right += len(numbers & sound)
        known = {c.n for c in answer.citations}
        wrong += len(numbers & known - sound) + count_dangling(claim, answer)
    return right / (right + wrong) if right + wrong else None
