"""Over-refusal: of the answerable questions, the share that was abstained from.

    1 if an answerable question was abstained from, else 0; lower is better

None for unanswerable questions.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.outcomes import abstained
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    del papers
    return float(abstained(answer)) if case.answerable else None
