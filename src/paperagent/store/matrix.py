"""All vectors of a library in memory, in the order of days: a range of days is a slice of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paperagent.store.identity import day_number
from paperagent.store.lexical import LexicalIndex
from paperagent.store.library import Library
from paperagent.types import Filters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector

_COPYABLE = 6
"""Copying one row in six costs as much as comparing with all."""
_KEPT = 8


class Matrix:
    """The vectors of one embedder at one state of the library."""

    def __init__(self, library: Library, *, number: int, dim: int) -> None:
        import numpy as np

        dated = np.array(library.days(), np.int64).reshape(-1, 2)
        place = np.full(library.highest_row() + 1, -1, np.int64)
        place[dated[:, 0]] = np.arange(len(dated))
        self._vectors = np.zeros((len(dated), dim), np.float32)
        held = np.zeros(len(dated), bool)
        for rows, vectors in library.embeddings.pages(number, dim):
            places = place[rows]
            self._vectors[places] = vectors
            held[places] = True
        self._rows, self._days, self._held = dated[:, 0], dated[:, 1], held
        self._masks: dict[Filters, NDArray[np.bool_]] = {}

    def nearest(self, vector: Vector, limit: int, filters: Filters, lexical: LexicalIndex) -> list[int]:
        """Return the rows nearest to ``vector`` inside ``filters``, best first."""
        import numpy as np

        first, last = self._range(filters)
        admitted = self._mask(filters, lexical)[first:last]
        places = np.flatnonzero(admitted)
        if _COPYABLE * len(places) < last - first:
            cosines = np.einsum("ij,j->i", self._vectors[first + places], vector)
        else:
            cosines = np.einsum("ij,j->i", self._vectors[first:last], vector)[places]
        return [int(row) for row in self._rows[first + places[best(limit, cosines)]]]

    def _range(self, filters: Filters) -> tuple[int, int]:
        import numpy as np

        if not filters.since and not filters.until:
            return 0, len(self._days)
        since, until = day_number(filters.since) or 1, day_number(filters.until) or 99_999_999
        return int(np.searchsorted(self._days, since)), int(np.searchsorted(self._days, until, side="right"))

    def _mask(self, filters: Filters, lexical: LexicalIndex) -> NDArray[np.bool_]:
        """Return which papers have a vector and are inside category and source."""
        import numpy as np

        tagged = Filters(category=filters.category, source=filters.source)
        if not tagged:
            return self._held
        mask = self._masks.get(tagged)
        if mask is None:
            mask = self._held & np.isin(self._rows, np.array(lexical.matching(tagged), np.int64))
            while len(self._masks) >= _KEPT:
                self._masks.pop(next(iter(self._masks)))
            self._masks[tagged] = mask
        return mask


def best(limit: int, scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the places of the ``limit`` highest scores, highest first."""
    import numpy as np

    if len(scores) > limit:
        top = np.argpartition(-scores, limit)[:limit]
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")


def nearest_of(rows: Sequence[int], scores: NDArray[np.float32], limit: int) -> list[int]:
    """Return the ``limit`` rows with the highest scores, highest first."""
    return [rows[place] for place in best(limit, scores).tolist()]
