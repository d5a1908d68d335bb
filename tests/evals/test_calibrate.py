"""Thresholds chosen from cases."""

from __future__ import annotations

import random
from typing import Any

import pytest

from paperagent.answering.abstention import Thresholds
from paperagent.errors import EvalError
from paperagent.evals import calibrate
from paperagent.evals.calibrate import ConfidenceSample
from paperagent.evals.cases import Case
from paperagent.types import Answer

CLEAR = [ConfidenceSample(f"n{i}", 0.1 + i / 200, answerable=False) for i in range(20)]
CLEAR += [ConfidenceSample(f"y{i}", 0.5 + i / 100, answerable=True) for i in range(20)]


def test_a_clear_gap_is_cut_in_its_middle() -> None:
    """Where confidence separates the two, nothing is refused and everything caught, held out too."""
    found = calibrate.calibrate(CLEAR, before=Thresholds())
    assert found.thresholds.abstain_below == pytest.approx((0.195 + 0.5) / 2, abs=1e-3)
    assert (found.held_out.refused, found.held_out.caught) == (0.0, 1.0)
    assert found.thresholds.doubt_below >= found.thresholds.abstain_below


def test_refusals_are_limited() -> None:
    """At most the given share of the answerable is refused, to catch as many of the others as that allows."""
    mixed = [
        (0.1, True),
        (0.2, False),
        (0.3, True),
        (0.4, False),
        *((0.5 + i / 100, True) for i in range(18)),
    ]
    assert calibrate.abstain_below(mixed, 0.0) == pytest.approx(0.05, abs=0.06)
    assert calibrate.abstain_below(mixed, 0.05) == pytest.approx(0.25)
    assert calibrate.abstain_below(mixed, 0.1) == pytest.approx(0.45)


def test_a_useless_signal_withholds_nothing() -> None:
    """Where the unanswerable are the surer ones, no threshold within the limit helps."""
    upside_down = [(0.9, False)] * 10 + [(0.1 + i / 100, True) for i in range(10)]
    assert calibrate.abstain_below(upside_down, 0.05) == 0.0
    assert calibrate.doubt_below(upside_down, 0.9) == pytest.approx(0.0, abs=1e-9)


def test_doubt_ends_where_answers_are_sure_enough() -> None:
    """It is the lowest threshold with the wanted share; never below the first threshold."""
    cases = [(0.1, False), (0.2, False), (0.3, True), (0.4, False), (0.6, True), (0.7, True)]
    assert calibrate.doubt_below(cases, 0.9) == pytest.approx(0.5)
    assert calibrate.doubt_below(cases, 0.7) == pytest.approx(0.25)
    found = calibrate.calibrate(CLEAR, before=Thresholds(), sure=0.1)
    assert found.thresholds.doubt_below == found.thresholds.abstain_below


class FakeAgent:
    """Answers with a confidence that stands in the question."""

    def __init__(self) -> None:
        self.options: list[dict[str, Any]] = []

    def ask(self, question: str, **options: Any) -> Answer:
        self.options.append(options)
        words = question.split()
        confidence = None if words[-1] == "none" else float(words[-1])
        return Answer(question, "answered", None, "", confidence=confidence)


def cases(yes: int, no: int) -> list[Case]:
    return [
        Case(id=f"c{i}", question=f"How sure {'none' if i == 0 else i / 100}", answerable=i < yes, kind="x",
             k=7, cluster="one" if i < 2 else None)
        for i in range(yes + no)
    ]  # fmt: skip


def test_cases_are_asked_without_a_model() -> None:
    """Each in extractive mode with its own k; no confidence counts as none; clusters stay together."""
    agent, seen = FakeAgent(), []
    asked = calibrate.measure_confidences(agent, cases(10, 12), k=5, progress=lambda *step: seen.append(step))
    assert {(o["mode"], o["k"]) for o in agent.options} == {("extractive", 7)}
    assert asked[0] == ConfidenceSample("one", 0.0, answerable=True)
    assert asked[1].group == "one"
    assert seen[-1] == ("cases", 22, 22)


@pytest.mark.parametrize(("yes", "no"), [(9, 30), (30, 9), (0, 0)])
def test_too_few_cases_are_refused(yes: int, no: int) -> None:
    """Nothing is asked, and what is missing is said."""
    agent = FakeAgent()
    with pytest.raises(EvalError, match=rf"{yes} answerable and {no} unanswerable are too few"):
        calibrate.measure_confidences(agent, cases(yes, no), k=5)
    assert agent.options == []


def test_the_curve_is_in_the_table_and_the_json() -> None:
    """The table marks the thresholds before and after; the document holds every point."""
    found = calibrate.calibrate(CLEAR, before=Thresholds())
    (table,) = calibrate.calibration_tables(found)
    marks = {row[-1] for row in table.rows if row[-1]}
    assert {"abstain below, before", "doubt below, before"} <= marks
    assert any(mark in ("abstain below", "doubt below") for mark in marks)
    kept = found.to_dict()
    assert (kept["answerable"], kept["unanswerable"], len(kept["curve"])) == (20, 20, 41)
    assert kept["thresholds"] == found.thresholds.to_dict()


CURVE_CASES = [
    (0.05, False),
    (0.15, True),
    (0.2, False),
    (0.55, True),
    (0.6, False),
    (0.95, True),
    (1.0, True),
]


def test_bins_hold_cases_of_similar_confidence() -> None:
    """Cases of similar confidence are counted together; empty bins are left out; 1.0 is in the last."""
    found = calibrate.reliability(CURVE_CASES, bins=2)
    assert [(b.n, round(b.share, 3)) for b in found] == [(3, 0.333), (4, 0.75)]
    assert found[0].confidence == pytest.approx(0.4 / 3)
    assert all(b.low <= b.share <= b.high for b in found)
    assert sum(b.n for b in calibrate.reliability(CURVE_CASES)) == len(CURVE_CASES)


def test_a_threshold_trades_refusals_for_precision() -> None:
    """What is below it is kept back: a share of the answerable and one of the others."""
    found = calibrate.point(CURVE_CASES, 0.5)
    assert found == calibrate.Point(0.5, 4 / 7, 0.75, 0.25, 2 / 3)
    assert calibrate.point([(0.5, True)], 0.9) == calibrate.Point(0.9, 0.0, None, 1.0, None)


def test_the_sweep_runs_from_everything_to_nothing() -> None:
    """The first threshold keeps nothing back, the last all; between them coverage only falls."""
    points = calibrate.sweep(CURVE_CASES)
    assert (points[0].coverage, points[-1].coverage) == (1.0, 0.0)
    assert len(points) == len(CURVE_CASES) + 1
    assert [p.coverage for p in points] == sorted((p.coverage for p in points), reverse=True)
    assert calibrate.sweep([])[0].precision is None


def test_a_histogram_counts_every_value() -> None:
    """Values outside the edges count at the ends."""
    assert calibrate.histogram([-1, 0, 0.5, 1, 5, 99], [0, 1, 2, 10]) == [3, 1, 2]


def test_the_guarantee_needs_enough_cases() -> None:
    """22 answers without an error show an error of at most 10 % with 90 % confidence; 21 do not."""
    assert calibrate.cases_needed(0.9) == 22
    assert calibrate.guaranteed_threshold([(0.9, True)] * 21, 0.9) is None
    assert calibrate.guaranteed_threshold([(0.9, True)] * 22, 0.9) == 0.9


def test_the_guarantee_ends_where_errors_begin() -> None:
    cases = [(0.5 + i / 100, True) for i in range(30)] + [(0.1 + i / 100, False) for i in range(10)]
    threshold = calibrate.guaranteed_threshold(cases, 0.9)
    assert threshold == pytest.approx(0.5, abs=1e-3)
    assert calibrate.guaranteed_threshold([(c, False) for c, _ in cases], 0.9) is None


def test_the_guarantee_holds_for_new_questions() -> None:
    """Of 300 calibrations, at most about 10 % choose a threshold above which more than 10 % are wrong."""
    rng = random.Random(3)  # noqa: S311 - a seeded simulation

    def draw(n: int) -> list[tuple[float, bool]]:
        confidences = [rng.random() for _ in range(n)]
        return [(c, rng.random() < c) for c in confidences]

    broken = 0
    for _ in range(300):
        threshold = calibrate.guaranteed_threshold(draw(200), 0.9)
        if threshold is not None:
            broken += (1 - threshold) / 2 > 0.1  # the expected share of errors above it
    assert broken <= 45


def test_the_sentence_says_whether_there_are_enough_cases() -> None:
    before = Thresholds()
    few = [ConfidenceSample(str(i), 0.9 if i % 2 else 0.1, bool(i % 2)) for i in range(20)]
    many = [ConfidenceSample(str(i), 0.9 if i % 2 else 0.1, bool(i % 2)) for i in range(100)]
    assert "too few" in calibrate.calibrate(few, before=before).summary
    assert "at least 22 answered cases" in calibrate.calibrate(few, before=before).summary
    sure = calibrate.calibrate(many, before=before)
    assert "at most 10% of the answers are wrong, with 90% confidence (50 of 100" in sure.summary
    assert sure.thresholds.doubt_below == 0.9
