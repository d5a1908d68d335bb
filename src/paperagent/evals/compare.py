"""Did answers get better or worse from run A to run B? Paired, on the cases that both have. Pure."""

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
JUDGED = ("correct", "citation_recall")
"""What the verdict rests on where nothing is named: whether cases came out right, on right citations."""
JUDGED_SEARCH = ("ndcg@10",)
"""Likewise for runs of the search alone."""
ALPHA = 0.05
OUTCOME = "correct"


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric in both runs, over the cases that have it in both."""

    name: str
    before: float
    after: float
    difference: stats.Difference
    """After minus before."""
    lost: int
    """Cases where the score fell."""
    gained: int
    """Cases where it rose."""
    mcnemar: float | None
    """Exact p of the flips, for a metric of 0 and 1."""
    adjusted: float | None = None
    """Holm's p, for a metric that the verdict rests on."""

    @property
    def judged(self) -> bool:
        """Whether the verdict rests on it."""
        return self.adjusted is not None

    @property
    def leaning(self) -> Verdict:
        """Which way it went, where its 95 % interval leaves 0 out."""
        if self.difference.low <= 0 <= self.difference.high:
            return "no difference"
        return self._direction()

    @property
    def verdict(self) -> Verdict:
        """Which way it went, where that is no chance after allowing for several metrics."""
        sure = self.adjusted is not None and self.adjusted < ALPHA
        return self._direction() if sure else "no difference"

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
    """A case that came out right in one run only."""

    id: str
    kind: str
    question: str
    before: str
    """``right``, or why it was not."""
    after: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What changed from A to B."""

    a: Run
    b: Run
    shared: int
    changes: tuple[MetricChange, ...]
    lost: tuple[Flip, ...]
    """Cases that were right and are not."""
    gained: tuple[Flip, ...]
    """Cases that are right and were not."""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Worse if any judged metric is; else better if any is."""
        found = {c.verdict for c in self.changes}
        return "worse" if "worse" in found else "better" if "better" in found else "no difference"

    @property
    def sentence(self) -> str:
        """The verdict in words, with what it rests on."""
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
    """Compare two runs; ``judged`` names the metrics that the verdict rests on.

    An error counts as a case that did not come out right, and has no other score.

    Raises:
        EvalError: the runs share no case, or a metric that is judged is not in both.
    """
    pairs = _pairs(a[1], b[1])
    if not pairs:
        raise EvalError(
            f"compare: {visible(a[0].id)} and {visible(b[0].id)} share no case; run the same cases"
        )
    changes = [c for m in METRICS.values() if (c := _changed(m, pairs, seed=seed)) is not None]
    known = {c.name for c in changes if c.difference.p is not None}
    wanted = list(judged) or [n for n in JUDGED if n in known] or [n for n in JUDGED_SEARCH if n in known]
    for name in wanted:
        if name not in known:
            raise EvalError(f"compare: not every case has {visible(name)}; choose among {_some(known)}")
    flips = [f for before, after in pairs if (f := _flipped(before, after)) is not None]
    return RunComparison(
        a=a[0],
        b=b[0],
        shared=len(pairs),
        changes=tuple(_with_holm(changes, wanted)),
        lost=tuple(f for f in flips if f.before == _RIGHT),
        gained=tuple(f for f in flips if f.after == _RIGHT),
        notes=tuple(_notes(a, b, len(pairs))),
    )


_RIGHT = "right"


def _some(names: set[str]) -> str:
    return ", ".join(n for n in METRICS if n in names) or "none"


def _pairs(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return the rows of the cases that ask the same in both runs, in the order of A."""
    after = {row.id: row for row in b}
    return [(row, after[row.id]) for row in a if row.id in after and after[row.id].question == row.question]


def _score(row: Row, name: str) -> float | None:
    if row.state == "error":
        return 0.0 if name == OUTCOME else None
    return row.scores.get(name)


def _changed(metric: Metric, pairs: Sequence[tuple[Row, Row]], *, seed: int) -> MetricChange | None:
    if metric.over is not None:
        return _changed_over(metric, pairs, seed=seed)
    if metric.name == OUTCOME and not any(OUTCOME in row.scores for pair in pairs for row in pair):
        return None  # runs of the search alone
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


def _changed_over(metric: Metric, pairs: Sequence[tuple[Row, Row]], *, seed: int) -> MetricChange | None:
    """Compare a figure that is no mean, such as AUROC: an interval, but no flips and no test."""
    assert metric.over is not None
    over = metric.over
    whole = over([a for a, _ in pairs]), over([b for _, b in pairs])
    if whole[0] is None or whole[1] is None:
        return None

    def statistic(sample: NDArray[np.intp]) -> float | None:
        x, y = over([pairs[i][0] for i in sample]), over([pairs[i][1] for i in sample])
        return None if x is None or y is None else y - x

    found = stats.bootstrap(statistic, len(pairs), [a.cluster for a, _ in pairs], seed=seed, rounds=300)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    difference = stats.Difference(found.value, found.low, found.high, None, found.n)
    return MetricChange(metric.name, whole[0], whole[1], difference, 0, 0, None)


def _with_holm(changes: Sequence[MetricChange], wanted: Sequence[str]) -> Iterator[MetricChange]:
    ps = {c.name: c.difference.p for c in changes if c.name in wanted and c.difference.p is not None}
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
            yield f"cases left out, being only in {name}: {len(only)}"
    if len(ids_a & ids_b) > shared:
        yield f"cases left out, asking another question in B: {len(ids_a & ids_b) - shared}"
    if a[0].cases_hash != b[0].cases_hash:
        yield "the cases differ: what is wanted of a case may have changed too"
    if a[0].library_hash != b[0].library_hash:
        yield "the libraries differ"
    for name, run in (("A", a), ("B", b)):
        errors = sum(r.state == "error" for r in run[1])
        if errors:
            yield f"{errors} cases of {name} ended in an error; they count as not right"
