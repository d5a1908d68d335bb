"""The registry of metrics: each scorer is a pure function in a module of its own, named here.

A scorer takes a case, its answer and the papers by id, and returns a number or None (it does not
apply: 0/0). A new metric is a new module and one line below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from paperagent.evals.cases import Case
from paperagent.evals.results import Row, Score
from paperagent.evals.scorers import (
    all_gold,
    answerable_accuracy,
    auroc,
    brier,
    citation_precision,
    citation_recall,
    correct,
    correct_abstention,
    coverage,
    ece,
    evidence_any,
    evidence_recall,
    faithfulness,
    gold_cited,
    judged_support,
    mrr,
    must_include,
    must_not,
    ndcg,
    number_support,
    over_refusal,
    pointer_validity,
    quote_validity,
    recall,
    usage,
)
from paperagent.types import Answer, Paper

Scorer = Callable[[Case, Answer, Mapping[str, Paper]], Score]
Over = Callable[[Sequence[Row]], Score]
Better = Literal["higher", "lower", "neither"]
Group = Literal["overall", "retrieval", "citations", "content", "abstention", "effort"]
GROUPS: tuple[Group, ...] = ("overall", "retrieval", "citations", "content", "abstention", "effort")


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a run: the mean of a score over cases, or, with ``over``, a figure of all rows."""

    name: str
    group: Group
    about: str
    """What it says, in a phrase."""
    score: Scorer | None = None
    over: Over | None = None
    better: Better = "higher"
    share: bool = False
    """Whether each score is 0 or 1, so that the mean is a share."""
    depth: int = 1
    """Papers that must have been retrieved for it to mean anything."""


def _retrieval() -> list[Metric]:
    found = [
        Metric(f"ndcg@{k}", "retrieval", f"how near the top gold papers are, first {k}",
               partial(ndcg.score, k=k), depth=k) for k in (5, 10)
    ]  # fmt: skip
    found += [
        Metric(f"recall@{k}", "retrieval", f"gold papers among the first {k}",
               partial(recall.score, k=k), depth=k) for k in (1, 3, 5, 10, 20, 50, 100)
    ]  # fmt: skip
    found += [
        Metric(f"all_gold@{k}", "retrieval", f"all gold papers among the first {k}",
               partial(all_gold.score, k=k), share=True, depth=k) for k in (5, 10)
    ]  # fmt: skip
    return [*found, Metric("mrr", "retrieval", "reciprocal rank of the first gold paper", mrr.score)]


def _answers() -> list[Metric]:
    return [
        Metric("correct", "overall", "cases that came out right", correct.score, share=True),
        Metric("pointer_validity", "citations", "pointers that point at something", pointer_validity.score),
        Metric("quote_validity", "citations", "quotes that are what the abstract says", quote_validity.score),
        Metric("citation_precision", "citations", "pointers that support their claim",
               citation_precision.score),
        Metric("citation_recall", "citations", "claims that their citations support", citation_recall.score),
        Metric("faithfulness", "citations", "claims shown as supported", faithfulness.score),
        Metric("judged_support", "citations", "claims that the judge calls supported", judged_support.score),
        Metric("number_support", "citations", "numbers that stand in the cited sentences",
               number_support.score),
        Metric("evidence_any", "content", "cites gold evidence", evidence_any.score, share=True),
        Metric("evidence_recall", "content", "gold evidence that is cited", evidence_recall.score),
        Metric("gold_cited", "content", "gold papers that are cited", gold_cited.score),
        Metric("coverage", "content", "what must be said that is said", coverage.score),
        Metric("must_include", "content", "says all that it must", must_include.score, share=True),
        Metric("must_not", "content", "says nothing that it must not", must_not.score, share=True),
        Metric("answerable_accuracy", "abstention", "rightly answered or abstained",
               answerable_accuracy.score, share=True),
        Metric("correct_abstention", "abstention", "unanswerable and abstained from",
               correct_abstention.score, share=True),
        Metric("over_refusal", "abstention", "answerable but abstained from",
               over_refusal.score, better="lower", share=True),
        Metric("auroc", "abstention", "confidence tells answerable from unanswerable", over=auroc.over),
        Metric("brier", "abstention", "squared error of confidence", brier.score, better="lower"),
        Metric("ece", "abstention", "calibration error of confidence", over=ece.over, better="lower"),
    ]  # fmt: skip


def _effort() -> list[Metric]:
    return [
        Metric("calls", "effort", "calls of the model", usage.calls, better="lower"),
        Metric("input_tokens", "effort", "tokens sent", usage.input_tokens, better="lower"),
        Metric("output_tokens", "effort", "tokens written", usage.output_tokens, better="lower"),
        Metric("cost_usd", "effort", "US dollars an answer", usage.cost_usd, better="lower"),
        Metric("latency_ms", "effort", "milliseconds an answer", usage.latency_ms, better="lower"),
        Metric("sentences", "effort", "cited sentences shown", usage.sentences, better="neither"),
        Metric("claims_withheld", "effort", "claims kept back", usage.claims_withheld, better="neither"),
        Metric(
            "quoted_instead",
            "effort",
            "quoted, since the model gave no answer",
            usage.quoted_instead,
            better="neither",
            share=True,
        ),
    ]


METRICS: Mapping[str, Metric] = {m.name: m for m in (*_answers(), *_retrieval(), *_effort())}
"""Every metric by name, in the order of reports."""

SEARCHED = ("retrieval",)
"""Groups that a retrieval-only run has."""


def score_case(
    case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int, groups: Sequence[str] = GROUPS
) -> dict[str, Score]:
    """Return each score of an answer for which ``k`` papers were retrieved."""
    return {
        name: metric.score(case, answer, papers)
        for name, metric in METRICS.items()
        if metric.score is not None and metric.depth <= k and metric.group in groups
    }
