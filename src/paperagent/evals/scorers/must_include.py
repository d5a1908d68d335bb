"""Must-include: whether the answer says all that it must.

    1 if every text of must_include is held by the answer, else 0

The strict companion of `coverage`. None without such texts.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.outcomes import contains_each, visible_text
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0 or 1."""
    del papers
    found = contains_each(visible_text(answer), case.must_include)
    return float(all(found)) if found else None
