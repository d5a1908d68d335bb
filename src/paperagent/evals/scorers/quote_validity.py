"""Quote validity: the share of the citations whose quote is what the abstract says there.

    citations with abstract[start:end] == quote, and not empty ÷ citations

To the letter, against the library's text: the contract's first invariant, measured. None
without citations.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case
    if not answer.citations:
        return None
    right = 0
    for c in answer.citations:
        paper = papers.get(c.paper_id)
        inside = paper is not None and 0 <= c.start < c.end <= len(paper.abstract)
        right += inside and paper is not None and paper.abstract[c.start : c.end] == c.quote
    return right / len(answer.citations)
