"""The parts of BM25 (Robertson and Zaragoza 2009) that all lexical scores share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from numpy.typing import NDArray

K1, B = 0.9, 0.4


def idf(papers: int, matching: int) -> float:
    """Return ln(1 + (N - n + .5) / (n + .5)), which is always positive.

    Args:
        papers: N, the number of papers.
        matching: n, the number of papers that contain the term.
    """
    return math.log(1 + (papers - matching + 0.5) / (matching + 0.5))


@overload
def damping(length: float, mean_length: float) -> float: ...
@overload
def damping(length: NDArray[Any], mean_length: float) -> NDArray[Any]: ...
def damping(length: float | NDArray[Any], mean_length: float) -> float | NDArray[Any]:
    """Return the term that BM25 adds to a count in the denominator: k1 (1 - b + b · length / mean length).

    Args:
        length: The number of terms of a paper, or of several, shape [n].
        mean_length: The mean number of terms per paper.
    """
    return K1 * (1 - B + B * length / max(mean_length, 1.0))
