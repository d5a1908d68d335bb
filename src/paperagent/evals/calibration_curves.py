"""Curves over the confidence of answers: how honest it is, and what a threshold on it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from paperagent.evals.stats import wilson

Labelled = Sequence[tuple[float, bool]]
"""Confidence of each case, and whether the library holds its answer."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of similar confidence."""

    n: int
    confidence: float
    """Their mean."""
    share: float
    """Of them that are answerable."""
    low: float
    high: float
    """The share's 95 % interval."""


def reliability(cases: Labelled, *, bins: int = 10) -> list[Bin]:
    """Return bins of equal width that hold cases: a confidence is honest where ``share`` is near it."""
    found = []
    for i in range(bins):
        inside = [(c, yes) for c, yes in cases if i == min(int(c * bins), bins - 1)]
        if inside:
            n, yes = len(inside), sum(y for _, y in inside)
            found.append(Bin(n, sum(c for c, _ in inside) / n, yes / n, *wilson(yes, n)))
    return found


@dataclass(frozen=True, slots=True)
class Point:
    """What follows if answers below ``threshold`` are kept back."""

    threshold: float
    coverage: float
    """Share of all cases that are answered."""
    precision: float | None
    """Share of the answered ones that are answerable; None where none is answered."""
    refused: float | None
    """Share of the answerable ones that are kept back (over-refusal)."""
    caught: float | None
    """Share of the unanswerable ones that are kept back (correct abstention)."""


def point(cases: Labelled, threshold: float) -> Point:
    """Return what a threshold does to the cases."""
    answered = [yes for c, yes in cases if c >= threshold]
    held = [yes for c, yes in cases if c < threshold]
    yes, no = sum(y for _, y in cases), sum(not y for _, y in cases)
    return Point(
        threshold,
        len(answered) / len(cases) if cases else 0.0,
        sum(answered) / len(answered) if answered else None,
        sum(held) / yes if yes else None,
        (len(held) - sum(held)) / no if no else None,
    )


def sweep(cases: Labelled) -> list[Point]:
    """Return every threshold that makes a difference, rising: half way between neighbouring cases.

    The first keeps nothing back, the last all.
    """
    seen = sorted({c for c, _ in cases})
    between = [(a + b) / 2 for a, b in pairwise(seen)]
    return [point(cases, t) for t in (0.0, *between, 1.0 if not seen or seen[-1] < 1 else 1.01)]


def histogram(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    """Count the values from each edge to the next; those outside count at the ends."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        above = sum(value >= e for e in edges[1:-1])
        counts[above] += 1
    return counts
