"""The metrics of an evaluation run, in five families of scorers and one registry.

A scorer is a function ``(case, answer, papers) -> float | None``: it scores one answer, where ``papers``
maps ids to the papers of the library, and returns None if the metric does not apply to the case (0/0). A
run scorer is a function ``(rows) -> float | None`` over all rows, for metrics that are not a mean, such as
AUROC.

To add a metric, write a function in the module of its family (`retrieval`, `citations`, `content`,
`abstention`, `effort`), with formula and source in its docstring, and add one line to `_METRICS` below. The
line decides everything else: where reports list the metric, which direction is better, how its interval is
computed. `eval run`, `eval report`, `eval compare` and gates then know it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from paperagent.evals import stats
from paperagent.evals.cases import Case
from paperagent.evals.results import Figure, Row, Score
from paperagent.evals.scorers import abstention, citations, content, effort, retrieval
from paperagent.types import Answer, Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Scorer = Callable[[Case, Answer, Mapping[str, Paper]], Score]
RunScorer = Callable[[Sequence[Row]], Score]
Better = Literal["higher", "lower", "neither"]
Group = Literal["overall", "retrieval", "citations", "content", "abstention", "effort"]
GROUPS: tuple[Group, ...] = ("overall", "retrieval", "citations", "content", "abstention", "effort")
RETRIEVAL_GROUPS = ("retrieval",)
"""Groups that apply to a retrieval-only run."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a run: the mean of a scorer over the cases or, with ``over``, a run scorer of all rows."""

    name: str
    group: Group
    about: str
    """Short description."""
    score: Scorer | None = None
    over: RunScorer | None = None
    better: Better = "higher"
    share: bool = False
    """Whether each score is 0 or 1, so that the mean is a share."""
    depth: int = 1
    """Number of retrieved papers below which the metric is not computed."""

    def over_rows(self, rows: Sequence[Row], *, seed: int = 0) -> Figure:
        """Return the metric over answered rows, with its 95 % interval.

        ``null`` counts the rows to which the metric does not apply.
        """
        if self.over is not None:
            over = self.over

            def statistic(sample: NDArray[np.intp]) -> Score:
                return over([rows[i] for i in sample])

            estimate = stats.bootstrap(statistic, len(rows), [row.cluster for row in rows], seed=seed)
        else:
            scored = [row for row in rows if self.name in row.scores]
            estimate = stats.mean_with_interval(
                [row.scores[self.name] for row in scored],
                [row.cluster for row in scored],
                seed=seed,
                amounts=self.group == "effort",
            )
        return Figure(
            value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, null=estimate.null
        )


def _at(
    depths: Sequence[int],
    name: str,
    about: str,
    score: Callable[..., Score],
    *,
    share: bool = False,
) -> list[Metric]:
    """Return a retrieval metric for each depth k, which replaces ``{k}`` in the texts."""
    return [
        Metric(name.format(k=k), "retrieval", about.format(k=k), partial(score, k=k), share=share, depth=k)
        for k in depths
    ]


_METRICS = (
    Metric("correct", "overall", "correct cases", content.correct, share=True),
    Metric("turn_correct", "overall", "correct turns of conversations after the first", content.turn_correct,
           share=True),
    Metric("pointer_validity", "citations", "pointers that are not dangling", citations.pointer_validity),
    Metric("quote_validity", "citations", "quotes that match the abstract", citations.quote_validity),
    Metric("citation_precision", "citations", "pointers that support their claim", citations.precision),
    Metric("citation_recall", "citations", "claims supported by their citations", citations.recall),
    Metric("faithfulness", "citations", "claims shown as supported", citations.faithfulness),
    Metric("judged_support", "citations", "claims that the judge finds supported", citations.judged_support),
    Metric("number_support", "citations", "numbers that occur in the cited sentences",
           citations.number_support),
    Metric("evidence_any", "content", "cites gold evidence", content.evidence_any, share=True),
    Metric("evidence_recall", "content", "gold evidence that is cited", content.evidence_recall),
    Metric("gold_cited", "content", "gold papers that are cited", content.gold_cited),
    Metric("coverage", "content", "share of the required texts in the answer", content.coverage),
    Metric("must_include", "content", "contains all required texts", content.must_include, share=True),
    Metric("must_not", "content", "contains no forbidden text", content.must_not, share=True),
    Metric("answerable_accuracy", "abstention", "correctly answered or abstained",
           abstention.answerable_accuracy, share=True),
    Metric("correct_abstention", "abstention", "unanswerable and abstained from",
           abstention.correct_abstention, share=True),
    Metric("declined", "abstention", "unanswerable and abstained from or doubtful",
           abstention.declined, share=True),
    Metric("confident", "abstention", "answerable and answered without a caveat",
           abstention.confident, share=True),
    Metric("over_refusal", "abstention", "answerable but abstained from",
           abstention.over_refusal, better="lower", share=True),
    Metric("auroc", "abstention", "confidence separates answerable from unanswerable", over=abstention.auroc),
    Metric("brier", "abstention", "squared error of confidence", abstention.brier, better="lower"),
    Metric("ece", "abstention", "calibration error of confidence", over=abstention.ece, better="lower"),
    *_at((5, 10), "ndcg@{k}", "rank quality of the gold papers, first {k}", retrieval.ndcg),
    *_at((1, 3, 5, 10, 20, 50, 100), "recall@{k}", "gold papers among the first {k}", retrieval.recall),
    *_at((5, 10), "all_gold@{k}", "all gold papers among the first {k}", retrieval.all_gold, share=True),
    Metric("mrr", "retrieval", "reciprocal rank of the first gold paper", retrieval.reciprocal_rank),
    Metric("calls", "effort", "model calls", effort.calls, better="lower"),
    Metric("input_tokens", "effort", "tokens sent", effort.input_tokens, better="lower"),
    Metric("output_tokens", "effort", "tokens written", effort.output_tokens, better="lower"),
    Metric("cost_usd", "effort", "US dollars per answer", effort.cost_usd, better="lower"),
    Metric("latency_ms", "effort", "milliseconds per answer", effort.latency_ms, better="lower"),
    Metric("sentences", "effort", "cited sentences shown", effort.sentences, better="neither"),
    Metric("claims_withheld", "effort", "claims withheld", effort.claims_withheld, better="neither"),
    Metric("quoted_instead", "effort", "quoted because the model gave no answer",
           effort.quoted_instead, better="neither", share=True),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _METRICS}
"""Every metric by name."""


def score_case(
    case: Case, answer: Answer, papers: Mapping[str, Paper], *, k: int, groups: Sequence[str] = GROUPS
) -> dict[str, Score]:
    """Return every score of an answer for which ``k`` papers were retrieved."""
    return {
        name: metric.score(case, answer, papers)
        for name, metric in METRICS.items()
        if metric.score is not None and metric.depth <= k and metric.group in groups
    }


def summarize(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Figure]:
    """Return every metric that at least one row has a score for; rows with an error are left out."""
    answered = [row for row in rows if row.state == "ok"]
    figures = {name: metric.over_rows(answered, seed=seed) for name, metric in METRICS.items()}
    return {name: figure for name, figure in figures.items() if figure.value is not None}
