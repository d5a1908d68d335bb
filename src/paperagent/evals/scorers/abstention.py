"""Abstention: whether the decision to answer was right, and how well the confidence predicts it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from paperagent.evals.cases import Case
from paperagent.evals.results import Row
from paperagent.types import Answer, Paper

_BINS = 10


def answered(answer: Answer) -> bool:
    """Return whether the answer has claims and no caveat."""
    return answer.status in ("answered", "incomplete") and has_claims(answer)


def has_claims(answer: Answer) -> bool:
    """Return whether the answer has a claim, with or without a caveat."""
    return any(c.text.strip() for c in answer.claims)


def abstained(answer: Answer) -> bool:
    """Return whether the answer declines to answer and gives a reason."""
    return answer.status in ("abstained", "refused") and bool(answer.reason)


def answerable_accuracy(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if an answerable question was answered or an unanswerable one abstained from, else 0.

    The no-answer decision of SQuAD 2.0 (Rajpurkar et al. 2018). A doubtful answer and one without a claim
    are neither and count as wrong. The content of the answer does not matter.
    """
    return float(answered(answer) if case.answerable else abstained(answer))


def correct_abstention(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if an unanswerable question was abstained from, else 0; None for answerable questions."""
    return None if case.answerable else float(abstained(answer))


def declined(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if an unanswerable question was abstained from or doubtful; None for answerable questions."""
    return None if case.answerable else float(abstained(answer) or answer.status == "doubtful")


def confident(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if an answerable question was answered without a caveat; None for unanswerable questions."""
    return float(answered(answer)) if case.answerable else None


def over_refusal(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return 1 if an answerable question was abstained from, else 0; None for unanswerable questions."""
    return float(abstained(answer)) if case.answerable else None


def brier(case: Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    """Return the Brier score of the confidence: (confidence − 1 if answerable, else confidence)².

    Brier 1950; a constant confidence of ½ gives .25. None without a confidence (answers by a model).
    """
    if answer.confidence is None:
        return None
    return (answer.confidence - float(case.answerable)) ** 2


def auroc(rows: Sequence[Row]) -> float | None:
    """Return P(confidence of an answerable case > confidence of an unanswerable one), ties counting ½.

    The Mann-Whitney statistic (Hanley & McNeil 1982). Errors and rows without a confidence are left
    out. None if either side is empty.
    """
    labeled = _labeled(rows)
    positives = [c for c, answerable in labeled if answerable]
    negatives = sorted(c for c, answerable in labeled if not answerable)
    if not positives or not negatives:
        return None
    wins = sum(bisect_left(negatives, c) + bisect_right(negatives, c) for c in positives) / 2
    return wins / (len(positives) * len(negatives))


def ece(rows: Sequence[Row]) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015; Guo et al. 2017).

        Σ_bins share of cases × |mean confidence − share answerable|, with ten bins of equal width

    Errors and rows without a confidence are left out. None if no row is left. With few cases it is
    biased upwards; compare runs of the same cases only.
    """
    labeled = _labeled(rows)
    if not labeled:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, answerable in labeled:
        bins.setdefault(min(int(confidence * _BINS), _BINS - 1), []).append((confidence, answerable))
    gaps = (abs(sum(c for c, _ in b) - sum(a for _, a in b)) for b in bins.values())
    return sum(gaps) / len(labeled)


def _labeled(rows: Sequence[Row]) -> list[tuple[float, bool]]:
    return [(r.confidence, r.answerable) for r in rows if r.state == "ok" and r.confidence is not None]
