"""Nearest papers, also inside filters, at the price of an unfiltered search.

Chroma's own ``where`` costs 700 ms at 100,000 papers. Instead: where a filter admits few papers, the
query is compared with their stored vectors; where it admits many, Chroma is asked for more and the
rest is dropped; a process that filters again and again keeps the vectors in memory.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.store.embeddings import sound
from paperagent.store.lexical import LexicalIndex
from paperagent.store.library import Library
from paperagent.store.matrix import Matrix, nearest_of
from paperagent.store.vectors import VectorIndex
from paperagent.types import Filters

if TYPE_CHECKING:
    from paperagent.types import Vector

_FEW = 1_000
"""So many vectors are read from the database faster than Chroma answers."""
_WIDEST = 600
"""Chroma's time grows with the results asked for: 2.6 ms up to 250, 4 ms for 600, 10 ms for 2,000."""
_LITTLE_WIDER = 2
"""A question to Chroma that is this much wider still takes less time than comparing with most vectors."""
_SPARE = 1.25
"""Ask for this much more than the filter's share suggests: the nearest papers are no random sample."""
_PATIENCE = 3
"""Filtered searches before the vectors are kept in memory, which takes a quarter of a second once."""
_LARGEST_MATRIX = 2**30
"""Bytes of vectors that may be kept in memory (700,000 papers of 384 numbers)."""
_BLOCK = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest papers, by row or by id, best first."""

    rows: Sequence[int] = ()
    ids: Sequence[str] = ()


class Dense:
    """Searches the vectors of one embedder."""

    def __init__(self, library: Library, *, number: int, dim: int) -> None:
        self._library = library
        self._number = number
        self._dim = dim
        self._lock = threading.Lock()
        self._filtered = 0
        self._large = False
        """Whether the library is too large to be kept in memory."""
        self._matrix: Matrix | None = None
        self._counts: dict[Filters, int] = {}

    def forget(self) -> None:
        """Drop what was kept of the library: it has changed."""
        with self._lock:
            self._matrix = None
            self._counts = {}

    def search(
        self,
        vector: Vector,
        *,
        limit: int,
        filters: Filters,
        lexical: LexicalIndex,
        index: VectorIndex | None,
    ) -> Found:
        """Return the nearest papers inside ``filters``; without an ``index`` by the stored vectors."""
        vector = sound(vector, self._dim, "query")
        if index is not None and not filters:
            return Found(ids=[paper_id for paper_id, _ in index.query(vector, limit)])
        admitted = self._count(filters, lexical)
        self._large = 4 * self._dim * lexical.count > _LARGEST_MATRIX
        if admitted > _FEW and index is not None:
            found = self._wider(vector, limit, filters, index, lexical.count / admitted)
            if found is not None:
                return found
        if admitted <= _FEW or self._large:
            return Found(rows=self._scan(vector, limit, lexical.matching(filters)))
        return Found(rows=self._kept().nearest(vector, limit, filters, lexical))

    def _count(self, filters: Filters, lexical: LexicalIndex) -> int:
        if filters not in self._counts:
            self._counts[filters] = lexical.count_matching(filters)
        return self._counts[filters]

    def _wider(
        self, vector: Vector, limit: int, filters: Filters, index: VectorIndex, share: float
    ) -> Found | None:
        """Ask Chroma for more; None where that would be slow, finds too little, or the memory is faster."""
        wanted = math.ceil(limit * share * _SPARE) + limit // 4
        self._filtered += 1
        often = self._filtered > _PATIENCE and not self._large
        if wanted > _WIDEST or (often and wanted > _LITTLE_WIDER * limit):
            return None
        ids = [paper_id for paper_id, _ in index.query(vector, wanted)]
        inside = self._library.admitted(ids, filters)
        return Found(ids=inside[:limit]) if len(inside) >= limit else None

    def _kept(self) -> Matrix:
        with self._lock:
            if self._matrix is None:
                self._matrix = Matrix(self._library, number=self._number, dim=self._dim)
            return self._matrix

    def _scan(self, vector: Vector, limit: int, rows: Sequence[int]) -> Sequence[int]:
        """Compare with the stored vectors of ``rows``, block by block."""
        import numpy as np

        ordered, found, scores = sorted(rows), list[int](), np.empty(0, np.float32)
        for start in range(0, len(ordered), _BLOCK):
            block = ordered[start : start + _BLOCK]
            held, vectors = self._library.embeddings.load(self._number, self._dim, block)
            found += held.tolist()
            scores = np.concatenate([scores, np.einsum("ij,j->i", vectors, vector)])
        return nearest_of(found, scores, limit)
