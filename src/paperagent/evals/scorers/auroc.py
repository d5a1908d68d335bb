"""AUROC of the abstention signal over a run: how well confidence tells answerable from unanswerable.

    P(confidence of an answerable case > confidence of an unanswerable one), ties counting ½

The Mann-Whitney statistic (Hanley & McNeil 1982). Errors and cases without a confidence are left
out. None where either side is empty.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from paperagent.evals.results import Row


def over(rows: Sequence[Row]) -> float | None:
    """Return 0..1."""
    known = [(r.confidence, r.answerable) for r in rows if r.state == "ok" and r.confidence is not None]
    wanted = [c for c, answerable in known if answerable]
    others = sorted(c for c, answerable in known if not answerable)
    if not wanted or not others:
        return None
    wins = sum(bisect_left(others, c) + bisect_right(others, c) for c in wanted) / 2
    return wins / (len(wanted) * len(others))
