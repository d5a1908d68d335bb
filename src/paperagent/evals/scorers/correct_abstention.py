"""Correct abstention: of the unanswerable questions, the share that was abstained from.

    1 if an unanswerable question was abstained from, with a reason, else 0

None for answerable questions: the two errors are kept apart (see `over_refusal`).
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.outcomes import abstained
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    del papers
    return None if case.answerable else float(abstained(answer))
