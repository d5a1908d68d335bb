"""Coverage: the share of what an answer must say that it says.

    texts of must_include that the answer holds ÷ texts of must_include

Nugget recall with the nuggets written by hand (Voorhees 2003, TREC QA). Letters without case,
one spelling of dashes and quotes, numbers whole. An abstention says none. None without such texts.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.outcomes import contains_each, visible_text
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del papers
    found = contains_each(visible_text(answer), case.must_include)
    return sum(found) / len(found) if found else None
