"""The figures of a run: each metric over its rows, with a 95 % interval. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paperagent.evals import stats
from paperagent.evals.results import Figure, Row, Score
from paperagent.evals.scorers import METRICS, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def summarize(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Figure]:
    """Return every metric that some row has a score for; errors have none and are counted apart."""
    answered = [row for row in rows if row.state == "ok"]
    found = {name: summarize_metric(metric, answered, seed=seed) for name, metric in METRICS.items()}
    return {name: one for name, one in found.items() if one.value is not None}


def summarize_metric(metric: Metric, rows: Sequence[Row], *, seed: int = 0) -> Figure:
    """Return one metric over answered rows; ``null`` counts those to which it does not apply."""
    if metric.over is not None:
        over = metric.over

        def statistic(sample: NDArray[np.intp]) -> Score:
            return over([rows[i] for i in sample])

        found = stats.bootstrap(statistic, len(rows), [row.cluster for row in rows], seed=seed)
    else:
        scored = [row for row in rows if metric.name in row.scores]
        values = [row.scores[metric.name] for row in scored]
        clusters, amounts = [row.cluster for row in scored], metric.group == "effort"
        found = stats.summary(values, clusters, seed=seed, amounts=amounts)
    return Figure(value=found.value, low=found.low, high=found.high, n=found.n, null=found.null)
