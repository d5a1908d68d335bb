"""A library in memory with exact search: the reference that the real store is held against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from paperagent.text import analyse, term_ids
from paperagent.types import Filters, Paper


@dataclass(frozen=True)
class Held:
    """One candidate."""

    paper_id: str
    terms: np.ndarray
    vector: np.ndarray | None


class MemoryLibrary:
    """Implements `answer.Library` over a list of papers; nominates all that match the filters."""

    def __init__(self, papers, embedder=None):
        self.papers = {p.paper_id: p for p in papers}
        self.stems = {p.paper_id: analyse(p.title) * 2 + analyse(p.abstract) for p in papers}
        self.frequency = Counter(s for stems in self.stems.values() for s in set(stems))
        texts = [f"{p.title}\n{p.abstract}" for p in papers]
        vectors = list(embedder.embed(texts)) if embedder else [None] * len(texts)
        self.held = [
            Held(p.paper_id, term_ids(self.stems[p.paper_id]), v) for p, v in zip(papers, vectors, strict=True)
        ]

    def count(self):
        return len(self.papers)

    def corpus_stats(self, stems):
        lengths = [len(s) for s in self.stems.values()]
        return len(lengths), sum(lengths) / max(len(lengths), 1), {s: self.frequency[s] for s in stems}

    def fuzzy(self, stem, distance):
        near = [s for s in self.frequency if s[0] == stem[0] and s.isalpha() and _within(s, stem, distance)]
        return sorted(near, key=lambda s: (-self.frequency[s], s))

    def candidates(self, *, stems, vector, limit, filters: Filters):
        return [h for h in self.held if filters.admits(self.papers[h.paper_id])]

    def get_many(self, paper_ids) -> dict[str, Paper]:
        return {i: self.papers[i] for i in paper_ids if i in self.papers}


def _within(a: str, b: str, distance: int) -> bool:
    """Tell whether the edit distance, transpositions counted as one, is at most ``distance``."""
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
