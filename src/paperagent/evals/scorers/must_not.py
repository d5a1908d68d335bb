"""Must-not: whether the answer keeps clear of what it must not say.

    0 if any text of must_not is held by the answer, else 1

An abstention says nothing, so it passes. None without such texts.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.outcomes import contains_each, visible_text
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    del papers
    return float(not any(contains_each(visible_text(answer), case.must_not))) if case.must_not else None
