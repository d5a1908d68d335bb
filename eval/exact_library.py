"""An in-memory library with exact search, as a reference for the real store."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.text.terms import index_terms, term_ids
from paperagent.types import Filters, Paper

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Embedder, Vector


@dataclass(frozen=True)
class ExactCandidate:
    """One candidate."""

    paper_id: str
    terms: NDArray[np.uint32]
    vector: Vector | None


class ExactLibrary:
    """A library over a list of papers; every paper that matches the filters is a candidate."""

    def __init__(self, papers: Sequence[Paper], embedder: Embedder | None = None) -> None:
        self.papers = {p.paper_id: p for p in papers}
        self.stems = {p.paper_id: index_terms(p.title) * 2 + index_terms(p.abstract) for p in papers}
        texts = [f"{p.title}\n{p.abstract}" for p in papers]
        vectors = list(embedder.embed(texts)) if embedder else [None] * len(texts)
        self.candidate_by_id = {
            p.paper_id: ExactCandidate(p.paper_id, term_ids(self.stems[p.paper_id]), v)
            for p, v in zip(papers, vectors, strict=True)
        }
        self._count()

    def _count(self) -> None:
        self.frequency = Counter(s for i in self.papers for s in set(self.stems[i]))
        lengths = [len(self.stems[i]) for i in self.papers]
        self.average_length = sum(lengths) / max(len(lengths), 1)

    def without(self, *paper_ids: str, only: Collection[str] | None = None) -> ExactLibrary:
        """Return a view without some papers, or with only some, without embedding them again."""
        view = copy.copy(self)
        papers = self.papers if only is None else {i: self.papers[i] for i in only}
        view.papers = {i: p for i, p in papers.items() if i not in paper_ids}
        view._count()
        return view

    def count(self) -> int:
        """Return the number of papers."""
        return len(self.papers)

    def corpus_stats(self, stems: Collection[str]) -> tuple[int, float, dict[str, int]]:
        """Return number of papers, mean length in stems, and document frequencies."""
        return len(self.papers), self.average_length, {s: self.frequency[s] for s in stems}

    def similar_stems(self, stem: str, distance: int) -> list[str]:
        """Return the stems within an edit distance, most frequent first."""
        near = [
            s
            for s in self.frequency
            if s[0] == stem[0] and s.isalpha() and _within_edit_distance(s, stem, distance)
        ]
        return sorted(near, key=lambda s: (-self.frequency[s], s))

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int, filters: Filters
    ) -> list[ExactCandidate]:
        """Return every paper that matches the filters."""
        del stems, vector, limit
        return [self.candidate_by_id[i] for i, p in self.papers.items() if filters.admits(p)]

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers by id."""
        return {i: self.papers[i] for i in paper_ids if i in self.papers}


def _within_edit_distance(a: str, b: str, distance: int) -> bool:
    """Return whether the edit distance, with transpositions as one edit, is at most ``distance``."""
    if abs(len(a) - len(b)) > distance:
        return False
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[i - 2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1] <= distance
