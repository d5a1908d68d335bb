"""Expected calibration error of the abstention signal over a run (Naeini et al. 2015; Guo et al. 2017).

    Σ_bins share of cases × |mean confidence − share answerable|, ten bins of equal width; lower is better

Errors and cases without a confidence are left out. None where none is left. With few cases it is
biased upwards; compare runs of the same cases only.
"""

from __future__ import annotations

from collections.abc import Sequence

from paperagent.evals.results import Row

BINS = 10


def over(rows: Sequence[Row]) -> float | None:
    """Return 0..1."""
    known = [(r.confidence, r.answerable) for r in rows if r.state == "ok" and r.confidence is not None]
    if not known:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, answerable in known:
        bins.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, answerable))
    gaps = (abs(sum(c for c, _ in b) - sum(a for _, a in b)) for b in bins.values())
    return sum(gaps) / len(known)
