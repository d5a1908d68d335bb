"""Judged support: the share of the claims that a second reader was asked about and calls supported.

    claims whose probability of support is above one half ÷ claims with a probability

A model's opinion (`--judge`), beside `citation_recall`'s. A claim of which nothing is known is
unscored, never wrong. Labels of earlier versions count as the probabilities that they stand for.
None where no claim was judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.answering.judge import parse_probability
from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    said = [p for claim in answer.claims if (p := parse_probability(claim.checks.get("judge"))) is not None]
    return sum(p > 0.5 for p in said) / len(said) if said else None
