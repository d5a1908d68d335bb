"""Judged support: the share of the claims that a judge was asked about and called supported.

    claims labelled supported ÷ claims with a label (supported, partly, not_supported)

A model's second opinion (`--judge`), beside `citation_recall`'s. A judge's answer outside the labels
offered leaves the claim unscored, never wrong. None where no claim has a label.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.types import Answer, Paper

LABELS = ("supported", "partly", "not_supported")


def score(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 0..1."""
    del case, papers
    labels = [label for claim in answer.claims if (label := claim.checks.get("judge")) in LABELS]
    return labels.count("supported") / len(labels) if labels else None
