"""Choose the abstention thresholds of a library, from cases that are known to be answerable or not.

The best score of a library grows with its size, because a larger library holds something similar to anything:
thresholds fitted on another library do not transfer. Two are chosen:

abstain
    the threshold that rejects the most unanswerable questions while refusing at most ``max_refused`` of the
    answerable ones
doubt
    the lowest threshold above which ``sure`` of the answers are to answerable questions, with 90 %
    confidence if there are enough cases (`guaranteed_threshold`); answers between the two thresholds are
    doubtful

Errors measured on the same cases are too optimistic, so they are also estimated by cross validation. The
module also computes the curves of the report: `reliability` (is the confidence honest?) and `sweep` (what
does each threshold cost?).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from paperagent.answering.abstention import Thresholds
from paperagent.errors import EvalError
from paperagent.evals.cases import Case
from paperagent.evals.conversations import Conversations
from paperagent.evals.report.tables import Table, number
from paperagent.evals.runner import gold_papers_by_id
from paperagent.evals.stats import clopper_pearson_upper, wilson
from paperagent.types import Progress

if TYPE_CHECKING:
    from paperagent.agent import PaperAgent

MIN_CASES = 10
"""Number of answerable and of unanswerable cases that are needed to choose a threshold."""
MAX_REFUSED, SURE = 0.05, 0.9
CONFIDENCE = 0.9
"""The confidence of the bound on wrong answers."""
FOLDS = 10
_MOST_CASES = 10_000

LabeledConfidences = Sequence[tuple[float, bool]]
"""The confidence of each case, and whether the case is answerable."""


@dataclass(frozen=True, slots=True)
class ConfidenceSample:
    """The confidence of the answer to one case."""

    group: str
    """The case's cluster, or the case itself: the unit of cross validation."""
    confidence: float
    answerable: bool


@dataclass(frozen=True, slots=True)
class Point:
    """Effect of a threshold on the confidence."""

    threshold: float
    coverage: float
    """Share of all cases that are answered."""
    precision: float | None
    """Share of the answered cases that are answerable; None if none is answered."""
    refused: float | None
    """Share of the answerable cases that are not answered (over-refusal); None without such cases."""
    caught: float | None
    """Share of the unanswerable cases that are not answered; None without such cases."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Cases of similar confidence."""

    n: int
    confidence: float
    """Their mean confidence."""
    share: float
    """Share of them that are answerable."""
    low: float
    """Low end of the share's 95 % interval."""
    high: float
    """High end of the share's 95 % interval."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two thresholds, and the evidence for them."""

    thresholds: Thresholds
    before: Thresholds
    """The thresholds that the library used so far."""
    samples: tuple[ConfidenceSample, ...]
    held_out: Point
    """Effect of the abstain threshold on held-out cases."""
    sure: float = SURE
    """Share of the answers above the doubt threshold that must be right."""
    guarantee: float | None = None
    """The lowest threshold above which that share is reached with 90 % confidence; None if too few cases."""

    @property
    def summary(self) -> str:
        """The bound on the share of wrong answers, or how many cases it takes."""
        error, confidence = f"{1 - self.sure:.0%}", f"{CONFIDENCE:.0%}"
        if self.guarantee is not None:
            n = sum(s.confidence >= self.guarantee for s in self.samples)
            return (
                f"At a confidence of {self.guarantee:g} or more, at most {error} of the answers are wrong, "
                f"with {confidence} confidence ({n} of {len(self.samples)} cases)."
            )
        needed, with_errors = cases_needed(self.sure), cases_needed(self.sure, errors=2)
        return (
            f"These cases are too few, or too often wrong, to say with {confidence} confidence that at most "
            f"{error} of the answers are wrong: at least {needed} answered cases are needed if none is "
            f"wrong, and {with_errors} if two are."
        )

    @property
    def labeled(self) -> LabeledConfidences:
        """The cases as input of the curves."""
        return [(s.confidence, s.answerable) for s in self.samples]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values, including the whole curve."""
        return {
            "thresholds": self.thresholds.to_dict(),
            "before": self.before.to_dict(),
            "answerable": sum(s.answerable for s in self.samples),
            "unanswerable": sum(not s.answerable for s in self.samples),
            "guarantee": self.guarantee,
            "held_out": {"refused": self.held_out.refused, "caught": self.held_out.caught},
            "curve": [
                {"threshold": p.threshold, "coverage": p.coverage, "precision": p.precision,
                 "refused": p.refused, "caught": p.caught}
                for p in sweep(self.labeled)
            ],
        }  # fmt: skip


def measure_confidences(
    agent: PaperAgent, cases: Sequence[Case], *, k: int, progress: Progress | None = None
) -> list[ConfidenceSample]:
    """Ask the cases extractively and return their confidences; an answer without one counts as 0.

    Raises:
        EvalError: There are too few answerable or unanswerable cases.
    """
    answerable_count = sum(case.answerable for case in cases)
    unanswerable = len(cases) - answerable_count
    if min(answerable_count, unanswerable) < MIN_CASES:
        raise EvalError(
            f"cases: {answerable_count} answerable and {unanswerable} unanswerable are too few; "
            f"write at least {MIN_CASES} of each"
        )
    samples = []
    conversations = Conversations(gold_papers_by_id(agent, cases))
    for i, case in enumerate(cases, start=1):
        history = conversations.history(case)
        answer = agent.ask(case.question, history=history, k=case.k or k, mode="extractive")
        conversations.add(case, answer)
        # A case from an answer that was rated bad has its claims in must_not.
        rated_bad = "bad" in case.tags and bool(case.must_not)
        answerable = case.answerable and not rated_bad
        samples.append(ConfidenceSample(case.group, answer.confidence or 0.0, answerable))
        if progress:
            progress("cases", i, len(cases))
    return samples


def calibrate(
    samples: Sequence[ConfidenceSample],
    *,
    before: Thresholds,
    max_refused: float = MAX_REFUSED,
    sure: float = SURE,
) -> Calibration:
    """Choose both thresholds.

    Args:
        samples: Confidences of the cases.
        before: The thresholds that the library uses now.
        max_refused: Share of the answerable cases that may be refused.
        sure: Share of the answers without doubt that must be answerable.
    """
    cases = [(s.confidence, s.answerable) for s in samples]
    abstain = abstain_below(cases, max_refused)
    guarantee = guaranteed_threshold(cases, sure)
    doubt = max(abstain, doubt_below(cases, sure) if guarantee is None else guarantee)
    held_out = _cross_validate(samples, max_refused)
    return Calibration(Thresholds(abstain, doubt), before, tuple(samples), held_out, sure, guarantee)


def abstain_below(cases: LabeledConfidences, max_refused: float) -> float:
    """Return the lowest threshold that catches the most unanswerable cases within the limit."""
    allowed = [p for p in sweep(cases) if (p.refused or 0.0) <= max_refused]
    most_caught = max(p.caught or 0.0 for p in allowed)
    return round(next(p.threshold for p in allowed if (p.caught or 0.0) == most_caught), 4)


def doubt_below(cases: LabeledConfidences, sure: float) -> float:
    """Return the lowest threshold with a precision of at least ``sure``, or the one of highest precision."""
    points = [(p.threshold, p.precision) for p in sweep(cases) if p.precision is not None]
    sufficient = [t for t, precision in points if precision >= sure]
    return round(sufficient[0] if sufficient else max(points, key=lambda p: (p[1], -p[0]))[0], 4)


def guaranteed_threshold(cases: LabeledConfidences, sure: float) -> float | None:
    """Return the lowest threshold above which ``sure`` of the answers are right, with 90 % confidence.

    Thresholds are tested in a fixed sequence, beginning with the fewest answers that can be enough, until the
    Clopper-Pearson bound on the errors exceeds the limit (Angelopoulos et al. 2021, Learn then Test). Returns
    None if the first one already exceeds it.
    """
    ranked = sorted(cases, reverse=True)
    lowest = None
    for n in range(cases_needed(sure), len(ranked) + 1):
        if n < len(ranked) and ranked[n][0] == ranked[n - 1][0]:
            continue  # all cases with the same confidence are answered, or none
        errors = sum(not answerable for _, answerable in ranked[:n])
        if clopper_pearson_upper(errors, n, CONFIDENCE) > 1 - sure:
            break
        lowest = ranked[n - 1][0]
    return None if lowest is None else math.floor(lowest * 10_000) / 10_000


def cases_needed(sure: float, errors: int = 0) -> int:
    """Return how many answered cases it takes, with this many errors, to show that ``sure`` are right."""
    n = errors + 1
    while clopper_pearson_upper(errors, n, CONFIDENCE) > 1 - sure and n < _MOST_CASES:
        n += 1
    return n


def _cross_validate(samples: Sequence[ConfidenceSample], max_refused: float) -> Point:
    """Return the effect of thresholds on each tenth of the groups when chosen on the others."""
    groups = sorted({s.group for s in samples})
    decisions: list[tuple[float, bool]] = []
    for fold in range(FOLDS):
        test_groups = set(groups[fold::FOLDS])
        threshold = abstain_below(
            [(s.confidence, s.answerable) for s in samples if s.group not in test_groups], max_refused
        )
        decisions += [
            (float(s.confidence >= threshold), s.answerable) for s in samples if s.group in test_groups
        ]
    return point(decisions, 0.5)


def point(cases: LabeledConfidences, threshold: float) -> Point:
    """Return the effect of one threshold."""
    answered = [answerable for c, answerable in cases if c >= threshold]
    withheld = [answerable for c, answerable in cases if c < threshold]
    total_answerable = sum(answerable for _, answerable in cases)
    total_unanswerable = len(cases) - total_answerable
    return Point(
        threshold,
        len(answered) / len(cases) if cases else 0.0,
        sum(answered) / len(answered) if answered else None,
        sum(withheld) / total_answerable if total_answerable else None,
        (len(withheld) - sum(withheld)) / total_unanswerable if total_unanswerable else None,
    )


def sweep(cases: LabeledConfidences) -> list[Point]:
    """Return the point of every threshold that makes a difference, in ascending order.

    Thresholds are halfway between adjacent confidences. The first answers everything, the last nothing.
    """
    confidences = sorted({c for c, _ in cases})
    between = [(a + b) / 2 for a, b in pairwise(confidences)]
    last = 1.0 if not confidences or confidences[-1] < 1 else 1.01
    return [point(cases, threshold) for threshold in (0.0, *between, last)]


def reliability(cases: LabeledConfidences, *, bins: int = 10) -> list[Bin]:
    """Return the non-empty bins of equal width: a confidence is honest if ``share`` is near it."""
    filled = []
    for i in range(bins):
        inside = [(c, answerable) for c, answerable in cases if i == min(int(c * bins), bins - 1)]
        if inside:
            n, answerable = len(inside), sum(yes for _, yes in inside)
            mean = sum(c for c, _ in inside) / n
            filled.append(Bin(n, mean, answerable / n, *wilson(answerable, n)))
    return filled


def histogram(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    """Count the values between adjacent edges; values outside count in the first or last bin."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[sum(value >= edge for edge in edges[1:-1])] += 1
    return counts


def calibration_tables(calibration: Calibration) -> Iterator[Table]:
    """Return a table with the curve and both thresholds on it, old and new."""
    now, before = calibration.thresholds, calibration.before
    marks = {before.abstain_below: "abstain below, before", before.doubt_below: "doubt below, before"}
    marks |= {now.abstain_below: "abstain below", now.doubt_below: "doubt below"}
    thresholds = sorted({*marks, *(i / 10 for i in range(10))})
    rows = tuple(_curve_row(point(calibration.labeled, t), marks.get(t, "")) for t in thresholds)
    head = ("threshold", "answered", "answerable of them", "refused", "caught", "")
    held_out = calibration.held_out
    note = (
        f"refused: share of the answerable; caught: share of the unanswerable. By cross validation: "
        f"refused {_percent(held_out.refused)}, caught {_percent(held_out.caught)}."
    )
    answerable = sum(s.answerable for s in calibration.samples)
    title = (
        f"Confidence below which nothing is answered: {answerable} answerable, "
        f"{len(calibration.samples) - answerable} unanswerable cases"
    )
    yield Table(title, head, rows, note, words=True)


def _curve_row(p: Point, mark: str) -> tuple[str, ...]:
    return (number(p.threshold), *map(_percent, (p.coverage, p.precision, p.refused, p.caught)), mark)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
