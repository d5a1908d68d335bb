"""What an answer cost: calls, tokens, dollars, time, and how much the reader gets to read.

Counts as the server reported them (estimated where it did not, see `Usage`); dollars are None
where the price is not known, never 0. Latency is the answer's own time, without the harness.
"""

from __future__ import annotations

from collections.abc import Mapping

from paperagent.evals.cases import Case
from paperagent.evals.gold import cited
from paperagent.evals.outcomes import answered, count_withheld
from paperagent.types import Answer, Paper


def calls(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the calls of the model."""
    del case, papers
    return float(answer.usage.calls)


def input_tokens(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the tokens sent, cached ones among them."""
    del case, papers
    return float(answer.usage.input_tokens)


def output_tokens(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the tokens that the model wrote."""
    del case, papers
    return float(answer.usage.output_tokens)


def cost_usd(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return US dollars."""
    del case, papers
    return answer.usage.cost_usd


def latency_ms(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return milliseconds from question to finished answer."""
    del case, papers
    return answer.timings_ms.get("total")


def sentences(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the sentences of abstracts that an answer cites; None where nothing is answered."""
    del case, papers
    return float(len(cited(answer))) if answered(answer) else None


def claims_withheld(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the claims that failed their check and were kept back, or replaced by their sentence."""
    del case, papers
    return float(count_withheld(answer))


def quoted_instead(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 where sentences were quoted since the model gave no answer, else 0."""
    del case, papers
    return float(answer.fallback is not None)
