"""Intervals and tests for an evaluation: Wilson, bootstrap by cluster, McNemar, sign flips.

Cases about the same paper or written from one template are not independent: where clusters are
given, they and not the cases are drawn. Everything is seeded, so a report is the same twice.
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
"""Of a two-sided interval of 95 %."""
ROUNDS = 2_000
"""Bootstrap samples; the ends of an interval then move by about a fiftieth of its width."""
FLIPS = 10_000
"""Sign flips of a test; the smallest p is 1 in this many."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval; all None where there is nothing to estimate."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Cases that count."""
    null: int = 0
    """Cases for which the figure is not defined."""

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the interval as JSON-ready values."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "null": self.null}


def mean_with_interval(
    values: Sequence[float | bool | None],
    clusters: Sequence[Hashable | None] | None = None,
    *,
    seed: int = 0,
    amounts: bool = False,
) -> Interval:
    """Return the mean of the values that are not None: a share by Wilson, else by bootstrap.

    A share is what holds only 0 and 1, unless they are ``amounts``, such as calls. ``clusters``
    names each value's cluster; None is one of its own.
    """
    kept = [i for i, v in enumerate(values) if v is not None]
    known = [float(values[i] or 0.0) for i in kept]
    null = len(values) - len(known)
    if not known:
        return Interval(None, None, None, 0, null)
    groups = _numbered(clusters, kept)
    if not amounts and set(known) <= {0.0, 1.0}:
        low, high = wilson(sum(known), len(known), effective=_effective(known, groups))
    else:
        low, high = _bootstrap_mean(known, groups, seed)
    return Interval(math.fsum(known) / len(known), low, high, len(known), null)


def wilson(successes: float, n: int, *, effective: float | None = None) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927).

    ``effective`` is the number of independent cases that ``n`` clustered ones are worth.
    """
    if not n:
        return 0.0, 1.0
    size, share = effective or n, successes / n
    centre = (share + Z * Z / (2 * size)) / (1 + Z * Z / size)
    half = Z / (1 + Z * Z / size) * math.sqrt(share * (1 - share) / size + Z * Z / (4 * size * size))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def _effective(values: Sequence[float], groups: Sequence[int]) -> float:
    """Return how many independent cases these are worth: n over the design effect (Kish 1965).

    A share of 0 or 1 shows no variance between clusters; each then counts once, to be safe.
    """
    n, count = len(values), len(set(groups))
    if count == n:
        return n
    share = sum(values) / n
    if share in (0.0, 1.0) or count == 1:
        return count
    away = [0.0] * (max(groups) + 1)
    for value, group in zip(values, groups, strict=True):
        away[group] += value - share
    variance = math.fsum(a * a for a in away) * count / (count - 1) / n**2
    effect = variance / (share * (1 - share) / n)
    most = sum(groups.count(g) ** 2 for g in set(groups)) / n  # where cases of a cluster never differ
    return n / min(max(effect, 1.0), most)


def _numbered(clusters: Sequence[Hashable | None] | None, kept: Sequence[int]) -> list[int]:
    """Return the number of each kept value's cluster; one without a cluster has one of its own."""
    numbers: dict[Hashable, int] = {}
    named = [(i, None if clusters is None else clusters[i]) for i in kept]
    return [numbers.setdefault(("alone", i) if c is None else ("in", c), len(numbers)) for i, c in named]


def _bootstrap_mean(values: Sequence[float], groups: Sequence[int], seed: int) -> tuple[float, float]:
    """Return the percentile interval of a mean over clusters drawn with replacement."""
    import numpy as np

    sums = np.bincount(groups, weights=values)
    sizes = np.bincount(groups)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(ROUNDS, len(sums)))
    return _ends(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))


def _ends(estimates: Numbers) -> tuple[float, float]:
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
) -> Interval:
    """Return a figure over all cases, such as AUROC, with its percentile interval.

    ``statistic`` takes the row numbers of a sample and returns None where it is not defined
    there; such samples are left out of the interval.
    """
    import numpy as np

    value = statistic(np.arange(n)) if n else None
    if value is None:
        return Interval(None, None, None, 0, n)
    groups = np.array(_numbered(clusters, range(n)))
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(members), size=len(members)) for _ in range(rounds))
    found = [statistic(np.concatenate([members[j] for j in sample])) for sample in drawn]
    low, high = _ends(np.array([value, *(f for f in found if f is not None)], dtype=float))
    return Interval(value, low, high, n)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from A to B over the same cases."""

    value: float
    """Mean of B minus mean of A."""
    low: float
    high: float
    p: float | None
    """Two-sided, by flipping signs: how often chance alone makes a difference as large; None: not tested."""
    n: int


def paired(
    before: Sequence[float],
    after: Sequence[float],
    clusters: Sequence[Hashable | None] | None = None,
    *,
    seed: int = 0,
) -> Difference | None:
    """Compare two runs case by case; None without a case.

    The interval is a paired bootstrap (clusters drawn whole); p is a randomisation test that
    flips the sign of each cluster's difference (Fisher; for single cases of 0 and 1 it is
    McNemar's test).
    """
    import numpy as np

    if not before:
        return None
    change = np.array(after, float) - np.array(before, float)
    groups = _numbered(clusters, range(len(change)))
    low, high = _bootstrap_mean([float(c) for c in change], groups, seed)
    return Difference(float(change.mean()), low, high, _sign_flip(change, groups, seed), len(change))


def _sign_flip(change: Numbers, groups: Sequence[int], seed: int) -> float:
    import numpy as np

    totals = np.bincount(groups, weights=change)
    totals = totals[np.abs(totals) > 1e-12]
    if not len(totals):
        return 1.0
    seen = abs(totals.sum()) - 1e-9
    if len(totals) <= 13:  # few enough to try all
        signs = ((np.arange(2 ** len(totals))[:, None] >> np.arange(len(totals))) & 1) * 2 - 1
        return float(np.mean(np.abs(signs @ totals) >= seen))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, size=(FLIPS, len(totals)), dtype=np.int8) * 2 - 1
    return float((np.count_nonzero(np.abs(signs @ totals) >= seen) + 1) / (FLIPS + 1))


def mcnemar(lost: int, gained: int) -> float:
    """Return the exact two-sided p of McNemar's test (1947) from the cases that flipped either way."""
    n, fewer = lost + gained, min(lost, gained)
    if not n:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / (1 << n))


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several (Holm 1979), in the order given."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, ps[i] * (len(ps) - rank)))
        adjusted[i] = highest
    return adjusted


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which ``share`` of the values lie, interpolated; None without values."""
    import numpy as np

    return float(np.quantile(np.asarray(values, float), share)) if len(values) else None
