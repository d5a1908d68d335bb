"""Curves over confidence."""

from __future__ import annotations

import pytest

from paperagent.evals import calibrate

CASES = [(0.05, False), (0.15, True), (0.2, False), (0.55, True), (0.6, False), (0.95, True), (1.0, True)]


def test_a_bin_says_how_often_the_confidence_was_right() -> None:
    """Cases of similar confidence are counted together; empty bins are left out; 1.0 is in the last."""
    found = calibrate.reliability(CASES, bins=2)
    assert [(b.n, round(b.share, 3)) for b in found] == [(3, 0.333), (4, 0.75)]
    assert found[0].confidence == pytest.approx(0.4 / 3)
    assert all(b.low <= b.share <= b.high for b in found)
    assert sum(b.n for b in calibrate.reliability(CASES)) == len(CASES)


def test_a_threshold_trades_refusals_for_precision() -> None:
    """What is below it is kept back: a share of the answerable and one of the others."""
    found = calibrate.point(CASES, 0.5)
    assert found == calibrate.Point(0.5, 4 / 7, 0.75, 0.25, 2 / 3)
    assert calibrate.point([(0.5, True)], 0.9) == calibrate.Point(0.9, 0.0, None, 1.0, None)


def test_the_sweep_runs_from_everything_to_nothing() -> None:
    """The first threshold keeps nothing back, the last all; between them coverage only falls."""
    points = calibrate.sweep(CASES)
    assert (points[0].coverage, points[-1].coverage) == (1.0, 0.0)
    assert len(points) == len(CASES) + 1
    assert [p.coverage for p in points] == sorted((p.coverage for p in points), reverse=True)
    assert calibrate.sweep([])[0].precision is None


def test_a_histogram_counts_every_value() -> None:
    """Values outside the edges count at the ends."""
    assert calibrate.histogram([-1, 0, 0.5, 1, 5, 99], [0, 1, 2, 10]) == [3, 1, 2]
