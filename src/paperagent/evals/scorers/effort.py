"""Effort: calls, tokens, cost and time of an answer, and its length.

Counts are those the server reported (estimated if it did not, see `Usage`). Latency is the answer's own time,
without the harness.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.scorers.abstention import has_claims
from paperagent.types import Answer, Paper

_WITHHELD = re.compile(r"^withheld: .*?(?:; (\d+) claims)?\)$", re.DOTALL)


def calls(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the number of model calls."""
    return float(answer.usage.calls)


def input_tokens(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the tokens sent, including cached ones."""
    return float(answer.usage.input_tokens)


def output_tokens(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the tokens that the model wrote."""
    return float(answer.usage.output_tokens)


def cost_usd(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the cost in US dollars; None, never 0, if the price is not known."""
    return answer.usage.cost_usd


def latency_ms(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the milliseconds from question to finished answer."""
    return answer.timings_ms.get("total")


def sentences(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the number of cited sentences; None if nothing is answered."""
    used = {n for claim in answer.claims for n in claim.citations}
    return float(sum(c.n in used for c in answer.citations)) if has_claims(answer) else None


def claims_withheld(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the number of claims that failed their check and were withheld or replaced by their sentence."""
    return float(count_withheld(answer))


def quoted_instead(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if sentences were quoted because the model gave no answer, else 0."""
    return float(answer.fallback is not None)


def count_withheld(answer: Answer) -> int:
    """Count the claims that were withheld, as the answer's notes say, or replaced by their sentence."""
    matches = (_WITHHELD.match(note) for note in answer.notes)
    replaced = sum(bool(claim.checks.get("replaced")) for claim in answer.claims)
    return replaced + sum(int(m[1] or 1) for m in matches if m)
