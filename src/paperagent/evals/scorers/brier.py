"""Brier score of the abstention signal (Brier 1950): its mean over cases is the figure.

    (confidence − 1 if the library holds the answer, else confidence)²; lower is better

0.25 is what always saying ½ gives. None where the answer has no confidence (answers by a model).
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del papers
    if answer.confidence is None:
        return None
    return (answer.confidence - float(case.answerable)) ** 2
