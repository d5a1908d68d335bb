"""Intervals and tests of the evaluation."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperagent.evals import stats


def test_a_share_has_the_interval_of_wilson() -> None:
    """The ends are those of the published formula: 8 of 10 is .490 to .943."""
    found = stats.mean_with_interval([True] * 8 + [False] * 2)
    assert (found.value, found.n, found.null) == (0.8, 10, 0)
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)


def test_a_share_of_one_is_not_certain() -> None:
    """Ten of ten leaves room below, and nothing above."""
    found = stats.mean_with_interval([1.0] * 10)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.7225, abs=1e-4)


def test_undefined_values_are_counted_but_not_averaged() -> None:
    """None is left out of the mean and counted; all None is no figure at all."""
    assert stats.mean_with_interval([1.0, None, 0.0, None]).to_dict() | {"low": 0, "high": 0} == {
        "value": 0.5, "low": 0, "high": 0, "n": 2, "null": 2,
    }  # fmt: skip
    assert stats.mean_with_interval([None, None]) == stats.Estimate(None, None, None, 0, 2)
    assert stats.mean_with_interval([]) == stats.Estimate(None, None, None, 0, 0)


def test_amounts_are_not_shares() -> None:
    """No call in any case is 0 calls, not a share of cases that could be .05."""
    found = stats.mean_with_interval([0.0] * 70, amounts=True)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_clusters_widen_the_interval() -> None:
    """Ten times the same case is worth one case, for a share and for a mean."""
    shares = [1.0] * 50 + [0.0] * 50
    means = [0.9] * 50 + [0.2] * 50
    for values in (shares, means):
        alone, together = (
            stats.mean_with_interval(values),
            stats.mean_with_interval(values, [i // 10 for i in range(100)]),
        )
        assert width(together) > 2 * width(alone)
    assert stats.mean_with_interval([1.0] * 100, ["one"] * 100).low == stats.mean_with_interval([1.0]).low


def test_a_cluster_of_none_is_a_case_of_its_own() -> None:
    """Leaving the clusters out and naming none gives the same interval."""
    values = [0.1, 0.5, 0.9, 0.3]
    assert stats.mean_with_interval(values) == stats.mean_with_interval(values, [None] * 4)


def test_the_bootstrap_covers_the_truth() -> None:
    """Of 95 % intervals over known means, about 95 % hold the mean."""
    rng = random.Random(5)  # noqa: S311 - a seeded test, no secret
    held = 0
    for seed in range(200):
        found = stats.mean_with_interval([rng.betavariate(2, 1) for _ in range(40)], seed=seed)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 2 / 3 <= found.high
    assert 180 <= held <= 199


def test_the_same_seed_gives_the_same_interval() -> None:
    """A report of the same run is the same report."""
    values = [0.1, 0.4, 0.35, 0.8, 0.77]
    assert stats.mean_with_interval(values, seed=3) == stats.mean_with_interval(values, seed=3)
    assert stats.mean_with_interval(values, seed=3) != stats.mean_with_interval(values, seed=4)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1), st.booleans()), max_size=30), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_an_interval_holds_its_value(values: list[float | None], per: int) -> None:
    """Low ≤ value ≤ high (a bootstrap's ends may miss by rounding), n + null = all."""
    found = stats.mean_with_interval(values, [i // per for i in range(len(values))])
    assert found.n + found.null == len(values)
    if found.value is not None:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.high <= 1
        if found.n > 3 and per == 1:
            assert found.low - 1e-9 <= found.value <= found.high + 1e-9


def test_a_difference_is_judged_pair_by_pair() -> None:
    """A small change in every case is certain although the cases differ widely."""
    before = [i / 20 for i in range(16)]
    found = stats.paired(before, [b + 0.05 for b in before])
    assert found is not None
    assert found.value == pytest.approx(0.05)
    assert found.low == pytest.approx(0.05)
    assert found.p is not None
    assert found.p < 0.001
    assert stats.paired([], []) is None


def test_no_change_is_no_difference() -> None:
    """Two equal runs differ by 0 with p = 1."""
    assert stats.paired([0.0, 1.0, 0.5], [0.0, 1.0, 0.5]) == stats.Difference(0.0, 0.0, 0.0, 1.0, 3)


@pytest.mark.parametrize(("lost", "gained"), [(0, 5), (1, 9), (3, 3), (2, 8), (0, 0)])
def test_sign_flips_equal_mcnemar_for_single_cases(lost: int, gained: int) -> None:
    """For 0 and 1 without clusters the randomisation test and McNemar's exact one agree."""
    before = [1.0] * lost + [0.0] * gained + [1.0] * 7
    after = [0.0] * lost + [1.0] * gained + [1.0] * 7
    found = stats.paired(before, after)
    assert found is not None
    assert found.p == pytest.approx(stats.mcnemar(lost, gained), abs=0.01)


def test_mcnemar_is_exact() -> None:
    """Six flips in one direction are p = .03125; as many in both are no sign of anything."""
    assert stats.mcnemar(6, 0) == stats.mcnemar(0, 6) == 0.03125
    assert stats.mcnemar(5, 5) == stats.mcnemar(0, 0) == 1.0


def test_a_cluster_counts_once_in_a_test() -> None:
    """Twenty flips of one template are one observation."""
    found = stats.paired([0.0] * 20, [1.0] * 20, ["same"] * 20)
    assert found is not None
    assert found.p == 1.0


def test_holm_correction() -> None:
    """Holm's values are the textbook's, in the order given."""
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([]) == []


def test_bootstrap_of_a_statistic_over_all_cases() -> None:
    """Samples in which the figure is not defined are left out."""
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.65, 0.2])
    good = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)

    def figure(rows: Sequence[int]) -> float | None:
        yes, no = scores[rows][good[rows]], scores[rows][~good[rows]]
        return float((yes[:, None] > no[None, :]).mean()) if len(yes) and len(no) else None

    found = stats.bootstrap(figure, 8, seed=1)
    assert found.value == pytest.approx(15 / 16)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value <= found.high
    assert stats.bootstrap(figure, 0).value is None


def test_quantiles_of_nothing_are_none() -> None:
    """The median of 1..4 is 2.5; of nothing, None."""
    assert stats.quantile([4, 1, 3, 2], 0.5) == 2.5
    assert stats.quantile([], 0.5) is None


def width(interval: stats.Estimate) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low
