"""Confidence intervals and significance tests: Wilson, bootstrap by cluster, McNemar, sign flips.

Cases about the same paper or from the same template are not independent: if clusters are given, clusters
are resampled instead of cases. Everything is seeded, so that a report is reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

Z = 1.959963984540054
"""Quantile of the normal distribution for a two-sided 95 % interval."""
ROUNDS = 2_000
"""Bootstrap samples; with so many, the ends of an interval vary by about 2 % of its width."""
FLIPS = 10_000
"""Random sign flips of a test; the smallest p-value is 1 in this many."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its 95 % interval; all None if there is nothing to estimate."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Number of cases with a value."""
    null: int = 0
    """Number of cases without a value."""

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the estimate as JSON-ready values."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "null": self.null}


def mean_with_interval(
    values: Sequence[float | bool | None],
    clusters: Sequence[Hashable | None] | None = None,
    *,
    seed: int = 0,
    amounts: bool = False,
) -> Estimate:
    """Return the mean of the values that are not None, with its 95 % interval.

    Args:
        values: Scores of the cases.
        clusters: The cluster of each value; None for a cluster of one.
        seed: Seed of the bootstrap.
        amounts: Whether the values are amounts, such as calls. Otherwise values of only 0 and 1 are a
            share, whose interval is Wilson's instead of the bootstrap's.
    """
    indices = [i for i, v in enumerate(values) if v is not None]
    present = [float(values[i] or 0.0) for i in indices]
    null = len(values) - len(present)
    if not present:
        return Estimate(None, None, None, 0, null)
    groups = _cluster_numbers(clusters, indices)
    if not amounts and set(present) <= {0.0, 1.0}:
        effective = _effective_size(present, groups)
        low, high = wilson(sum(present), len(present), effective=effective)
    else:
        low, high = _bootstrap_mean(present, groups, seed)
    return Estimate(math.fsum(present) / len(present), low, high, len(present), null)


def wilson(successes: float, n: int, *, effective: float | None = None) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927).

    ``effective`` is the number of independent cases that the ``n`` clustered ones are worth.
    """
    if not n:
        return 0.0, 1.0
    size, share = effective or n, successes / n
    center = (share + Z * Z / (2 * size)) / (1 + Z * Z / size)
    half = Z / (1 + Z * Z / size) * math.sqrt(share * (1 - share) / size + Z * Z / (4 * size * size))
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def clopper_pearson_upper(events: int, n: int, confidence: float) -> float:
    """Return the exact upper bound of a share at a one-sided confidence (Clopper & Pearson 1934)."""
    if events >= n:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        tail = math.fsum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(events + 1))
        low, high = (share, high) if tail > 1 - confidence else (low, share)
    return high


def _effective_size(values: Sequence[float], groups: Sequence[int]) -> float:
    """Return the effective sample size: n over the design effect (Kish 1965).

    A share of 0 or 1 shows no variance between clusters; each cluster then counts once, conservatively.
    """
    n, count = len(values), len(set(groups))
    if count == n:
        return n
    share = sum(values) / n
    if share in (0.0, 1.0) or count == 1:
        return count
    deviations = [0.0] * (max(groups) + 1)
    for value, group in zip(values, groups, strict=True):
        deviations[group] += value - share
    variance = math.fsum(d * d for d in deviations) * count / (count - 1) / n**2
    effect = variance / (share * (1 - share) / n)
    max_effect = sum(groups.count(g) ** 2 for g in set(groups)) / n  # if cases of a cluster never differ
    return n / min(max(effect, 1.0), max_effect)


def _cluster_numbers(clusters: Sequence[Hashable | None] | None, indices: Sequence[int]) -> list[int]:
    """Return the cluster of each index as a number; an index without a cluster gets its own number."""
    numbers: dict[Hashable, int] = {}
    pairs = [(i, None if clusters is None else clusters[i]) for i in indices]
    return [numbers.setdefault(("alone", i) if c is None else ("in", c), len(numbers)) for i, c in pairs]


def _bootstrap_mean(values: Sequence[float], groups: Sequence[int], seed: int) -> tuple[float, float]:
    """Return the percentile interval of a mean over clusters resampled with replacement."""
    import numpy as np

    sums = np.bincount(groups, weights=values)
    sizes = np.bincount(groups)
    samples = np.random.default_rng(seed).integers(len(sums), size=(ROUNDS, len(sums)))
    return _percentile_interval(sums[samples].sum(axis=1) / sizes[samples].sum(axis=1))


def _percentile_interval(estimates: Numbers) -> tuple[float, float]:
    import numpy as np

    low, high = np.percentile(estimates, [2.5, 97.5])
    return float(low), float(high)


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float | None],
    n: int,
    clusters: Sequence[Hashable | None] | None = None,
    *,
    seed: int = 0,
    rounds: int = 500,
) -> Estimate:
    """Return a statistic of all cases, such as AUROC, with its percentile interval.

    Args:
        statistic: Takes the case numbers of a sample, shape [cases]; returns None if it is not defined
            there. Such samples are left out of the interval.
        n: Number of cases.
        clusters: The cluster of each case; None for a cluster of one.
        seed: Seed of the bootstrap.
        rounds: Number of samples.
    """
    import numpy as np

    value = statistic(np.arange(n)) if n else None
    if value is None:
        return Estimate(None, None, None, 0, n)
    groups = np.array(_cluster_numbers(clusters, range(n)))
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    rng = np.random.default_rng(seed)
    samples = (rng.integers(len(members), size=len(members)) for _ in range(rounds))
    estimates = [statistic(np.concatenate([members[j] for j in sample])) for sample in samples]
    low, high = _percentile_interval(np.array([value, *(e for e in estimates if e is not None)], dtype=float))
    return Estimate(value, low, high, n)


@dataclass(frozen=True, slots=True)
class Difference:
    """The change from A to B over the same cases."""

    value: float
    """Mean of B minus mean of A."""
    low: float
    high: float
    p: float | None
    """Two-sided p-value of the sign-flip test; None if not tested."""
    n: int


def paired(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[Hashable | None] | None = None,
    *,
    seed: int = 0,
) -> Difference | None:
    """Compare two runs case by case; return None without cases.

    The interval is that of a paired bootstrap over clusters. The p-value is that of a randomization test that
    flips the sign of each cluster's difference (Fisher), which for unclustered values of 0 and 1 is McNemar's
    test.
    """
    import numpy as np

    if not before:
        return None
    change = np.array(after, float) - np.array(before, float)
    groups = _cluster_numbers(clusters, range(len(change)))
    low, high = _bootstrap_mean([float(c) for c in change], groups, seed)
    return Difference(float(change.mean()), low, high, _sign_flip(change, groups, seed), len(change))


def _sign_flip(change: Numbers, groups: Sequence[int], seed: int) -> float:
    import numpy as np

    totals = np.bincount(groups, weights=change)
    totals = totals[np.abs(totals) > 1e-12]
    if not len(totals):
        return 1.0
    observed = abs(totals.sum()) - 1e-9
    if len(totals) <= 13:  # few enough for an exact test
        signs = ((np.arange(2 ** len(totals))[:, None] >> np.arange(len(totals))) & 1) * 2 - 1
        return float(np.mean(np.abs(signs @ totals) >= observed))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, size=(FLIPS, len(totals)), dtype=np.int8) * 2 - 1
    return float((np.count_nonzero(np.abs(signs @ totals) >= observed) + 1) / (FLIPS + 1))


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (1947) from the numbers of flipped cases."""
    n, fewer = lost + gained, min(lost, gained)
    if not n:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / (1 << n))


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple comparisons (Holm 1979), in the same order."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, ps[i] * (len(ps) - rank)))
        adjusted[i] = highest
    return adjusted


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the interpolated quantile of the values; None without values."""
    import numpy as np

    return float(np.quantile(np.asarray(values, float), share)) if len(values) else None
