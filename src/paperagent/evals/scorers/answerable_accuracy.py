"""Answerable accuracy: whether it was decided rightly to answer or not.

    1 if an answerable question was answered, or an unanswerable one abstained from, else 0

SQuAD 2.0's (Rajpurkar et al. 2018) no-answer decision. An answer without a claim is neither and
counts as wrong. What the answer says is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.outcomes import abstained, answered
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    del papers
    return float(answered(answer) if case.answerable else abstained(answer))
