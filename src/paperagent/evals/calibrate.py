"""Choose the confidence that an answer from this library needs, from cases with known answerability.

The best score of a library grows with its size, since a larger one holds something similar to
anything: thresholds fitted elsewhere do not transfer. Two are chosen:

abstain
    keeps back as many unanswerable questions as it can while refusing at most ``max_refused`` of
    the answerable ones.
doubt
    the lowest one above which ``sure`` of the answers are to answerable questions; what lies
    between the two is worded as closest passages.

What a threshold does on the cases that it was chosen on flatters it, so the errors are also
estimated by leaving cases out.

Curves over the confidence of answers: how honest it is, and what a threshold on it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from paperagent.answering.abstention import Thresholds
from paperagent.errors import EvalError
from paperagent.evals.cases import Case
from paperagent.evals.report.tables import Table, number
from paperagent.evals.stats import wilson
from paperagent.types import Answer, Progress

if TYPE_CHECKING:
    from paperagent.arguments import AskOptions

FEWEST = 10
"""Cases of each side without which nothing can be chosen."""
MAX_REFUSED, SURE = 0.05, 0.9
FOLDS = 10


class Agent(Protocol):
    """What is asked."""

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question."""
        ...


@dataclass(frozen=True, slots=True)
class ConfidenceSample:
    """The confidence that a case was answered with."""

    group: str
    """The case's cluster, or itself: left out together."""
    confidence: float
    answerable: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two thresholds, and what speaks for them."""

    thresholds: Thresholds
    before: Thresholds
    asked: tuple[ConfidenceSample, ...]
    held_out: Point
    """What the abstain threshold does to cases that it was not chosen on."""

    @property
    def labelled(self) -> Labelled:
        """The cases as curves take them."""
        return [(a.confidence, a.answerable) for a in self.asked]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values, the whole curve among it."""
        return {
            "thresholds": self.thresholds.to_dict(),
            "before": self.before.to_dict(),
            "answerable": sum(a.answerable for a in self.asked),
            "unanswerable": sum(not a.answerable for a in self.asked),
            "held_out": {"refused": self.held_out.refused, "caught": self.held_out.caught},
            "curve": [
                {"threshold": p.threshold, "coverage": p.coverage, "precision": p.precision,
                 "refused": p.refused, "caught": p.caught}
                for p in sweep(self.labelled)
            ],
        }  # fmt: skip


def measure_confidences(
    agent: Agent, cases: Sequence[Case], *, k: int, progress: Progress | None = None
) -> list[ConfidenceSample]:
    """Ask the cases extractively and return their confidences; a case without one counts as unsure.

    Raises:
        EvalError: too few answerable or unanswerable cases to choose from.
    """
    yes = sum(case.answerable for case in cases)
    if min(yes, len(cases) - yes) < FEWEST:
        raise EvalError(
            f"cases: {yes} answerable and {len(cases) - yes} unanswerable are too few; "
            f"write at least {FEWEST} of each"
        )
    found = []
    for i, case in enumerate(cases, start=1):
        answer = agent.ask(case.question, history=list(case.history), k=case.k or k, mode="extractive")
        found.append(ConfidenceSample(case.group, answer.confidence or 0.0, case.answerable))
        if progress:
            progress("cases", i, len(cases))
    return found


def calibrate(
    asked: Sequence[ConfidenceSample],
    *,
    before: Thresholds,
    max_refused: float = MAX_REFUSED,
    sure: float = SURE,
) -> Calibration:
    """Choose both thresholds; ``max_refused`` and ``sure`` are shares."""
    cases = [(a.confidence, a.answerable) for a in asked]
    low = abstain_below(cases, max_refused)
    high = max(low, doubt_below(cases, sure))
    return Calibration(Thresholds(low, high), before, tuple(asked), _held_out(asked, max_refused))


def abstain_below(cases: Labelled, max_refused: float) -> float:
    """Return the lowest threshold of those that keep back the most unanswerable cases, within the limit."""
    allowed = [p for p in sweep(cases) if (p.refused or 0.0) <= max_refused]
    most = max(p.caught or 0.0 for p in allowed)
    return round(next(p.threshold for p in allowed if (p.caught or 0.0) == most), 4)


def doubt_below(cases: Labelled, sure: float) -> float:
    """Return the lowest threshold whose answers are sure enough; the surest where none is."""
    known = [(p.threshold, p.precision) for p in sweep(cases) if p.precision is not None]
    good = [t for t, precision in known if precision >= sure]
    return round(good[0] if good else max(known, key=lambda k: (k[1], -k[0]))[0], 4)


def _held_out(asked: Sequence[ConfidenceSample], max_refused: float) -> Point:
    """Return what thresholds chosen without a tenth of the groups do to that tenth, in all."""
    groups = sorted({a.group for a in asked})
    kept: list[tuple[float, bool]] = []
    for fold in range(FOLDS):
        out = set(groups[fold::FOLDS])
        chosen = abstain_below(
            [(a.confidence, a.answerable) for a in asked if a.group not in out], max_refused
        )
        kept += [(float(a.confidence >= chosen), a.answerable) for a in asked if a.group in out]
    return point(kept, 0.5)


def calibration_tables(found: Calibration) -> Iterator[Table]:
    """Return the curve and the two thresholds on it, before and now."""
    now, before = found.thresholds, found.before
    marks = {before.abstain_below: "abstain below, before", before.doubt_below: "doubt below, before"}
    marks |= {now.abstain_below: "abstain below", now.doubt_below: "doubt below"}
    wanted = sorted({*marks, *(i / 10 for i in range(10))})
    rows = tuple(_row(point(found.labelled, t), marks.get(t, "")) for t in wanted)
    head = ("threshold", "answered", "answerable of them", "refused", "caught", "")
    held = found.held_out
    note = (
        f"refused: of the answerable; caught: of the unanswerable. On cases left out of the choice: "
        f"refused {_share(held.refused)}, caught {_share(held.caught)}."
    )
    yes = sum(a.answerable for a in found.asked)
    title = f"Confidence below which nothing is answered: {yes} answerable, {len(found.asked) - yes} not"
    yield Table(title, head, rows, note, words=True)


def _row(p: Point, mark: str) -> tuple[str, ...]:
    return (number(p.threshold), *map(_share, (p.coverage, p.precision, p.refused, p.caught)), mark)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


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
