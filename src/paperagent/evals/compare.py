"""Compare two runs, paired by case: whether answers got better or worse from run A to run B."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from paperagent.errors import EvalError, visible
from paperagent.evals import stats
from paperagent.evals.results import Row, Run
from paperagent.evals.scorers import METRICS, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verdict = Literal["better", "worse", "no difference"]
DECISIVE = ("correct", "citation_recall")
"""Metrics that decide the verdict by default: correct cases and correct citations."""
DECISIVE_RETRIEVAL = ("ndcg@10",)
"""The same for runs that only search."""
ALPHA = 0.05
OUTCOME = "correct"


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric in both runs, over the cases that have a score in both."""

    name: str
    before: float
    after: float
    difference: stats.Difference
    """After minus before."""
    lost: int
    """Number of cases where the score fell."""
    gained: int
    """Number of cases where it rose."""
    mcnemar: float | None
    """Exact p-value of the flips, for a metric of 0 and 1."""
    adjusted: float | None = None
    """P-value after Holm's correction; only for metrics that decide the verdict."""

    @property
    def judged(self) -> bool:
        """Whether it decides the verdict."""
        return self.adjusted is not None

    @property
    def leaning(self) -> Verdict:
        """The direction of the change if its 95 % interval excludes 0."""
        if self.difference.low <= 0 <= self.difference.high:
            return "no difference"
        return self._direction()

    @property
    def verdict(self) -> Verdict:
        """The direction of the change if it is significant after the correction for several metrics."""
        significant = self.adjusted is not None and self.adjusted < ALPHA
        return self._direction() if significant else "no difference"

    def _direction(self) -> Verdict:
        better = METRICS[self.name].better
        if better == "neither":
            return "no difference"
        return "better" if (self.difference.value > 0) == (better == "higher") else "worse"


def p_text(p: float | None) -> str:
    """Return a p-value as text: ``= .031`` or ``< .001``."""
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else "= 1" if p == 1 else f"= {p:.3f}".replace("0.", ".")


@dataclass(frozen=True, slots=True)
class Flip:
    """A case that is correct in only one of the runs."""

    id: str
    kind: str
    question: str
    before: str
    """``right``, or why the case failed."""
    after: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The changes from run A to run B."""

    a: Run
    b: Run
    shared: int
    changes: tuple[MetricChange, ...]
    lost: tuple[Flip, ...]
    """Cases that are right in A only."""
    gained: tuple[Flip, ...]
    """Cases that are right in B only."""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Worse if any decisive metric is worse; otherwise better if any is better."""
        verdicts = {c.verdict for c in self.changes}
        return "worse" if "worse" in verdicts else "better" if "better" in verdicts else "no difference"

    @property
    def sentence(self) -> str:
        """The verdict as a sentence, with the metrics that decided it."""
        judged = [c for c in self.changes if c.judged]
        parts = [
            f"{c.name} {c.before:.3f} → {c.after:.3f} ({c.difference.value:+.3f}, 95 % "
            f"{c.difference.low:+.3f} to {c.difference.high:+.3f}, p {p_text(c.adjusted)})"
            for c in judged
        ]
        return f"{self.verdict}: {'; '.join(parts)}; {self.shared} shared cases"

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready values."""
        return {
            "a": self.a.id, "b": self.b.id, "shared": self.shared, "verdict": self.verdict,
            "metrics": {c.name: _change(c) for c in self.changes},
            "lost": [_flip(f) for f in self.lost], "gained": [_flip(f) for f in self.gained],
            "notes": list(self.notes),
        }  # fmt: skip


def _change(c: MetricChange) -> dict[str, Any]:
    d = c.difference
    return {
        "before": c.before, "after": c.after, "difference": d.value, "low": d.low, "high": d.high, "p": d.p,
        "n": d.n, "lost": c.lost, "gained": c.gained, "mcnemar_p": c.mcnemar, "judged": c.judged,
        "adjusted_p": c.adjusted, "leaning": c.leaning,
    }  # fmt: skip


def _flip(f: Flip) -> dict[str, str]:
    return {"id": f.id, "kind": f.kind, "question": f.question, "before": f.before, "after": f.after}


def compare(
    a: tuple[Run, Sequence[Row]],
    b: tuple[Run, Sequence[Row]],
    *,
    judged: Sequence[str] = (),
    seed: int = 0,
) -> RunComparison:
    """Compare two runs.

    A case that ended in an error counts as incorrect and has no other score.

    Args:
        a: The earlier run and its rows.
        b: The later run and its rows.
        judged: Names of the metrics that decide the verdict; by default `DECISIVE`.
        seed: Seed of the intervals and tests.

    Raises:
        EvalError: The runs share no case, or lack a metric in ``judged``.
    """
    pairs = _pairs(a[1], b[1])
    if not pairs:
        raise EvalError(
            f"compare: {visible(a[0].id)} and {visible(b[0].id)} share no case; run the same cases"
        )
    changes = [c for m in METRICS.values() if (c := _compare_metric(m, pairs, seed=seed)) is not None]
    tested = {c.name for c in changes if c.difference.p is not None}
    decisive = (
        list(judged) or [n for n in DECISIVE if n in tested] or [n for n in DECISIVE_RETRIEVAL if n in tested]
    )
    for name in decisive:
        if name not in tested:
            raise EvalError(f"compare: not every case has {visible(name)}; choose among {_in_order(tested)}")
    flips = [f for before, after in pairs if (f := _flipped(before, after)) is not None]
    return RunComparison(
        a=a[0],
        b=b[0],
        shared=len(pairs),
        changes=tuple(_with_holm(changes, decisive)),
        lost=tuple(f for f in flips if f.before == _RIGHT),
        gained=tuple(f for f in flips if f.after == _RIGHT),
        notes=tuple(_notes(a, b, len(pairs))),
    )


_RIGHT = "right"


def _in_order(names: set[str]) -> str:
    return ", ".join(n for n in METRICS if n in names) or "none"


def _pairs(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return both rows of each case that has the same question in both runs, in the order of A."""
    after = {row.id: row for row in b}
    return [(row, after[row.id]) for row in a if row.id in after and after[row.id].question == row.question]


def _score(row: Row, name: str) -> float | None:
    if row.state == "error":
        return 0.0 if name == OUTCOME else None
    return row.scores.get(name)


def _compare_metric(metric: Metric, pairs: Sequence[tuple[Row, Row]], *, seed: int) -> MetricChange | None:
    if metric.over is not None:
        return _compare_run_metric(metric, pairs, seed=seed)
    if metric.name == OUTCOME and not any(OUTCOME in row.scores for pair in pairs for row in pair):
        return None  # both runs only searched
    both = [
        (x, y, before.group)
        for before, after in pairs
        if (x := _score(before, metric.name)) is not None and (y := _score(after, metric.name)) is not None
    ]
    before, after, groups = [b for b, _, _ in both], [a for _, a, _ in both], [g for _, _, g in both]
    difference = stats.paired(before, after, groups, seed=seed)
    if difference is None:
        return None
    lost, gained = sum(y < x for x, y, _ in both), sum(y > x for x, y, _ in both)
    return MetricChange(
        metric.name,
        sum(before) / len(both),
        sum(after) / len(both),
        difference,
        lost,
        gained,
        stats.mcnemar(lost, gained) if metric.share else None,
    )


def _compare_run_metric(
    metric: Metric, pairs: Sequence[tuple[Row, Row]], *, seed: int
) -> MetricChange | None:
    """Compare a metric that is not a mean, such as AUROC: with an interval, but without flips and test."""
    assert metric.over is not None
    over = metric.over
    before, after = over([a for a, _ in pairs]), over([b for _, b in pairs])
    if before is None or after is None:
        return None

    def statistic(sample: NDArray[np.intp]) -> float | None:
        x, y = over([pairs[i][0] for i in sample]), over([pairs[i][1] for i in sample])
        return None if x is None or y is None else y - x

    estimate = stats.bootstrap(statistic, len(pairs), [a.cluster for a, _ in pairs], seed=seed, rounds=300)
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    difference = stats.Difference(estimate.value, estimate.low, estimate.high, None, estimate.n)
    return MetricChange(metric.name, before, after, difference, 0, 0, None)


def _with_holm(changes: Sequence[MetricChange], decisive: Sequence[str]) -> Iterator[MetricChange]:
    ps = {c.name: c.difference.p for c in changes if c.name in decisive and c.difference.p is not None}
    adjusted = dict(zip(ps, stats.holm(list(ps.values())), strict=True))
    for change in changes:
        yield replace(change, adjusted=adjusted.get(change.name))


def _outcome(row: Row) -> str | None:
    if row.state == "error":
        return "error"
    score = row.scores.get(OUTCOME)
    return None if score is None else _RIGHT if score else (row.failure or "wrong").replace("_", " ")


def _flipped(before: Row, after: Row) -> Flip | None:
    x, y = _outcome(before), _outcome(after)
    if x is None or y is None or (x == _RIGHT) == (y == _RIGHT):
        return None
    return Flip(before.id, before.kind, before.question, x, y)


def _notes(a: tuple[Run, Sequence[Row]], b: tuple[Run, Sequence[Row]], shared: int) -> Iterator[str]:
    ids_a, ids_b = {r.id for r in a[1]}, {r.id for r in b[1]}
    for name, only in (("A", ids_a - ids_b), ("B", ids_b - ids_a)):
        if only:
            yield f"cases left out (only in {name}): {len(only)}"
    if len(ids_a & ids_b) > shared:
        yield f"cases left out (another question in B): {len(ids_a & ids_b) - shared}"
    if a[0].cases_hash != b[0].cases_hash:
        yield "the cases differ: what they expect may have changed too"
    if a[0].library_hash != b[0].library_hash:
        yield "the libraries differ"
    for name, run in (("A", a), ("B", b)):
        errors = sum(r.state == "error" for r in run[1])
        if errors:
            yield f"{errors} cases of {name} ended in an error and count as not right"
