"""The papers of one period in memory: an index that scores all of them against a query at once.

The score equals that of `retrieval.scoring.rank`, ``0.9 * lexical share + cosine``. If a cosine is
unknown, the value that the lexical share predicts takes its place, so one threshold fits all papers.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.retrieval.names import written_out
from paperagent.retrieval.scoring import LEXICAL_WEIGHT, CorpusStats
from paperagent.text import bm25
from paperagent.text.terms import index_terms, term_ids, title_key, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.library.protocol import PaperWithFeatures
    from paperagent.types import Matrix, Paper, Vector

    Scores = NDArray[np.float32]

DUPLICATE_COSINE = 0.95
"""Cosine above which two papers count as duplicates. In ten weeks of arXiv (14,713 papers) no pair had it."""
_SIMILAR_COSINE, _SIMILAR_TITLES = 0.85, 0.75
"""Papers above this cosine are also duplicates if their titles share this much of their words."""
_EXPECTED_COSINE, _EXPECTED_SLOPE = 0.12, 0.5
"""The cosine to expect of a paper that shares words with a query: this, plus this times the lexical share."""
RELEVANCE_WEIGHTS, RELEVANCE_BIAS = (1.15, 1.3, 2.3, 5.0), -6.4
"""A logistic regression over `QueryMatch.features`, fitted on judged papers: see ``eval/digest.py --fit``."""
_EXEMPLARS = 3
"""The number of best papers whose mean vector represents a query."""
_PHRASE_SLACK, _MAX_PHRASE_WINDOW = 2, 64
"""Further terms that may stand between the words of a phrase; the greatest number of terms of a phrase."""
_IN_PARENTHESES = re.compile(r"\(([A-Z][A-Za-z]{0,4}[A-Z])s?\)")
_MAX_LONG_FORM = 100
"""Characters before an acronym in parentheses in which its long form is looked for."""
_BLOCK_ROWS = 2048
_HASH_DIMENSIONS = 1021
_MIN_TITLE_LENGTH = 12
"""Letters below which equal titles do not identify a paper (``Editorial``)."""


@dataclass(frozen=True, slots=True)
class SeenPaper:
    """A paper that a subscriber rated or saw. Has only the fields that comparisons need, to save memory."""

    title: str
    names: tuple[str, ...]
    """Every id of the paper."""
    vector: NDArray[np.float16] | None

    @classmethod
    def of(cls, stored: PaperWithFeatures, index: PeriodIndex) -> SeenPaper:
        """Make a `SeenPaper` from a paper of the library, comparable with those of ``index``."""
        import numpy as np

        vector = index.vector_of(stored)
        return cls(stored.paper.title, stored.names, None if vector is None else vector.astype(np.float16))


@dataclass(frozen=True, slots=True)
class QueryMatch:
    """How well the papers match a query; the arrays have one entry per paper."""

    score: Scores
    """The retrieval score."""
    relevance: Scores
    """The log-odds that someone with this interest wants the paper."""
    features: Matrix
    """What `relevance` is computed from with an embedding, shape [n, 4]: the cosine, the query's share in
    the title, its largest share that occurs as a phrase, the cosine to the mean of the three best papers."""


class PeriodIndex:
    """The new papers of a period, without withdrawn ones and with duplicates merged."""

    def __init__(self, stored: Sequence[PaperWithFeatures]) -> None:
        new = sorted((s for s in stored if s.new and not s.paper.withdrawn), key=lambda s: s.paper.paper_id)
        vectors, has_vector = stack_vectors([s.vector for s in new])
        self._hasher = None if has_vector.any() else _TermHasher([s.terms for s in new])
        if self._hasher is not None:
            vectors = self._hasher.vectors([s.terms for s in new])
        groups = duplicates([s.paper.title for s in new], vectors)
        best = [min(group, key=lambda i: _preference(new[i].paper)) for group in groups]
        self.stored = [new[i] for i in best]
        """The papers with their terms and vectors."""
        self.papers = [s.paper for s in self.stored]
        self.names = [tuple(name for i in group for name in new[i].names) for group in groups]
        """All ids of each paper and of its duplicates."""
        self.duplicates = [
            tuple(new[i].paper.paper_id for i in group if i != first)
            for group, first in zip(groups, best, strict=True)
        ]
        """The ids of each paper's duplicates."""
        self.vectors: Matrix = vectors[best]
        """Unit vectors, shape [n, dim]: the embeddings, with zero rows for papers without one; if no paper
        has an embedding, hashed term vectors."""
        self.has_embedding: NDArray[np.bool_] = has_vector[best]
        """Shape [n]."""
        self.comparable = self.has_embedding if has_vector.any() else ~self.has_embedding
        """Which rows of `vectors` can be compared, shape [n]."""
        self.titles = [distinctive_title_key(p.title) for p in self.papers]
        self._postings = _TermPostings([s.terms for s in self.stored])
        self._title_postings = _TermPostings([term_ids(index_terms(p.title)) for p in self.papers])
        self._acronyms = _acronyms(p.abstract for p in self.papers)

    def __len__(self) -> int:
        return len(self.papers)

    def vector_of(self, stored: PaperWithFeatures) -> Vector | None:
        """Return the vector of a paper of any period, comparable with `vectors`; None if it has none."""
        return self.comparable_vector(stored.vector, stored.terms)

    def comparable_vector(self, embedding: Vector | None, terms: NDArray[np.uint32]) -> Vector | None:
        """Return the vector of a text, comparable with `vectors`; None without the embedding they need."""
        return embedding if self._hasher is None else self._hasher.vectors([terms])[0]

    def match(self, stems: Sequence[str], vector: Vector | None, stats: CorpusStats) -> QueryMatch:
        """Return the score and relevance of each paper for a query.

        Args:
            stems: The query's stems.
            vector: The query's embedding, shape [dim], or None to match by words only.
            stats: The library's statistics of the stems.
        """
        import numpy as np

        weights = [stats.idf(s) for s in stems]
        lexical = self._postings.bm25_shares(stems, weights, stats.average_length)
        expected = np.where(lexical > 0, _EXPECTED_COSINE + _EXPECTED_SLOPE * lexical, 0)
        # einsum instead of @ in per-subscriber code: @ wakes the BLAS threads, which wait for busy cores.
        cosine = expected if vector is None else np.where(self.has_embedding, self.cosines(vector), expected)
        score = (LEXICAL_WEIGHT * lexical + cosine).astype(np.float32)
        terms = self._terms_for(stems)
        in_title = self._title_postings.coverage(terms, weights)
        phrase = self._postings.phrase_coverage(terms, weights)
        by_words = (2.9 * lexical + 1.3 * in_title + 0.9 * phrase - 2.3).astype(np.float32)
        if vector is None:
            return QueryMatch(score, by_words, np.zeros((len(self), 4), np.float32))
        center = self.vectors[np.argsort(-score, kind="stable")[:_EXEMPLARS]].mean(axis=0)
        to_center = self.cosines(center / max(float(np.linalg.norm(center)), 1e-6))
        features = np.stack([cosine, in_title, phrase, to_center], axis=1).astype(np.float32)
        relevance = np.einsum("ij,j->i", features, np.array(RELEVANCE_WEIGHTS, np.float32)) + RELEVANCE_BIAS
        return QueryMatch(score, np.where(self.has_embedding, relevance, by_words), features)

    def _terms_for(self, stems: Sequence[str]) -> list[list[int]]:
        """Return for each stem of a query its term, and those of the acronyms for words that include it."""
        terms = [[int(term)] for term in term_ids(stems)]
        for start, end in itertools.combinations(range(len(stems) + 1), 2):
            for acronym in self._acronyms.get(tuple(stems[start:end]), ()):
                for alternatives in terms[start:end]:
                    alternatives.append(acronym)
        return terms

    def nearest(
        self,
        stems: Sequence[str],
        vector: Vector | None,
        stats: CorpusStats,
        eligible: NDArray[np.bool_],
        limit: int,
    ) -> tuple[list[int], list[float]]:
        """Return the numbers and retrieval scores of the best papers by words and by vector, best first.

        Args:
            stems: The query's stems.
            vector: The query's embedding, shape [dim], or None.
            stats: The library's statistics of the stems.
            eligible: Which papers to search, shape [n].
            limit: The most papers by words, and by vector.
        """
        import numpy as np

        lexical = self._postings.bm25_shares(stems, [stats.idf(s) for s in stems], stats.average_length)
        by_words = np.where(eligible & (lexical > 0), lexical, 0)
        cosine = np.zeros(len(self), np.float32)
        if vector is not None and self.has_embedding.any():
            cosine = np.where(eligible & self.has_embedding, self.cosines(vector), 0).astype(np.float32)
        scores = (LEXICAL_WEIGHT * lexical + cosine).round(6)
        best = {
            int(n)
            for values in (by_words, cosine)
            for n in np.argsort(-values, kind="stable")[:limit]
            if values[n] > 0
        }
        ranked = sorted(best, key=lambda n: (-scores[n], n))
        return ranked, [float(scores[n]) for n in ranked]

    def cosines(self, vector: Vector) -> Scores:
        """Return the cosine of each paper to a unit vector, shape [n]."""
        import numpy as np

        cosines: Scores = np.einsum("ij,j->i", self.vectors, vector)
        return cosines


def _acronyms(texts: Iterable[str]) -> dict[tuple[str, ...], list[int]]:
    """Return the terms of the acronyms that texts introduce in parentheses, by the stems of the long form.

    An acronym of two letters must be introduced by two texts.
    """
    counts: Counter[tuple[tuple[str, ...], str]] = Counter()
    for text in texts:
        for match in _IN_PARENTHESES.finditer(text):
            before = text[max(0, match.start() - _MAX_LONG_FORM) : match.start()].rstrip()
            for start, end in written_out(match[1].upper(), before):
                if end == len(before):
                    counts[tuple(index_terms(before[start:end])), match[1]] += 1
    acronyms: dict[tuple[str, ...], list[int]] = {}
    for (stems, acronym), count in counts.items():
        if count > 1 or len(acronym) > 2:
            acronyms.setdefault(stems, []).extend(int(t) for t in term_ids(index_terms(acronym)))
    return acronyms


class _TermPostings:
    """An inverted index: the papers that contain each term, with term frequencies."""

    def __init__(self, terms: Sequence[NDArray[np.uint32]]) -> None:
        import numpy as np

        self.lengths = np.array([len(t) for t in terms], np.float32)
        flat = np.concatenate(terms).astype(np.uint64) if terms else np.zeros(0, np.uint64)
        owners = np.repeat(np.arange(len(terms), dtype=np.uint64), self.lengths.astype(int))
        pairs, counts = np.unique(flat << np.uint64(32) | owners, return_counts=True)
        self._owners = (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
        self._counts = counts.astype(np.float32)
        self._ids, self._starts = np.unique((pairs >> np.uint64(32)).astype(np.uint32), return_index=True)
        self._ends = np.append(self._starts[1:], len(pairs))
        # The terms of all papers in a row, with gaps between papers that no phrase spans.
        gaps = np.arange(len(terms), dtype=np.int64) * _MAX_PHRASE_WINDOW
        self._first_places = np.concatenate([[0], np.cumsum(self.lengths)])[:-1].astype(np.int64) + gaps
        places = np.arange(len(flat)) + owners.astype(np.int64) * _MAX_PHRASE_WINDOW
        self._places = places[np.argsort(flat, kind="stable")]
        self._occurrences = np.unique(flat, return_counts=True)[1]
        self._place_ends = np.cumsum(self._occurrences)

    def bm25_shares(self, stems: Sequence[str], weights: Sequence[float], average_length: float) -> Scores:
        """Return each paper's BM25 score as a share of the query's total weight, shape [n]."""
        import numpy as np

        shares = np.zeros(len(self.lengths), np.float32)
        damping = bm25.damping(self.lengths, average_length)
        for weight, (owners, counts) in zip(weights, self._postings_of(stems), strict=True):
            shares[owners] += weight * counts / (counts + damping[owners])
        return shares / np.float32(sum(weights) or 1)

    def coverage(self, terms: Sequence[Sequence[int]], weights: Sequence[float]) -> Scores:
        """Return the share of the query's weight that each paper contains, shape [n].

        Args:
            terms: For each stem of the query the ids of the terms that count as that stem.
            weights: The weight of each stem.
        """
        import numpy as np

        coverage = np.zeros(len(self.lengths), np.float32)
        for weight, alternatives in zip(weights, terms, strict=True):
            matched = np.zeros(len(self.lengths), bool)
            for term in alternatives:
                matched[self._owners[self._span(term)]] = True
            coverage += np.float32(weight) * matched
        return coverage / np.float32(sum(weights) or 1)

    def phrase_coverage(self, terms: Sequence[Sequence[int]], weights: Sequence[float]) -> Scores:
        """Return the greatest share of the query's weight that occurs close together in each paper.

        Close together means within as many terms as the query has, and two more. Shape [n]. The arguments
        are those of `coverage`.
        """
        import numpy as np

        window = min(len(terms) + _PHRASE_SLACK, _MAX_PHRASE_WINDOW)
        places = [
            np.sort(np.concatenate([np.zeros(0, np.int64), *(self._places_of(t) for t in alternatives)]))
            for alternatives in terms
        ]
        starts = np.concatenate([np.zeros(0, np.int64), *places])
        matched = np.zeros(len(starts), np.float32)
        for weight, occurrences in zip(weights, places, strict=True):
            if len(occurrences):
                following = occurrences[np.minimum(occurrences.searchsorted(starts), len(occurrences) - 1)]
                matched += np.float32(weight) * ((following >= starts) & (following < starts + window))
        coverage = np.zeros(len(self.lengths), np.float32)
        np.maximum.at(coverage, self._first_places.searchsorted(starts, "right") - 1, matched)
        return coverage / np.float32(sum(weights) or 1)

    def _places_of(self, term: int) -> NDArray[np.int64]:
        """Return where a term occurs, in a row of all papers' terms."""
        index = self._index_of(term)
        if index is None:
            return self._places[:0]
        return self._places[self._place_ends[index] - self._occurrences[index] : self._place_ends[index]]

    def _postings_of(self, stems: Sequence[str]) -> Iterator[tuple[NDArray[np.int64], Scores]]:
        """Yield for each stem the papers that contain it, and the term frequency in each."""
        for term in term_ids(stems):
            span = self._span(int(term))
            yield self._owners[span], self._counts[span]

    def _span(self, term: int) -> slice:
        index = self._index_of(term)
        return slice(0) if index is None else slice(self._starts[index], self._ends[index])

    def _index_of(self, term: int) -> int | None:
        index = int(self._ids.searchsorted(term))
        return index if index < len(self._ids) and self._ids[index] == term else None


def stack_vectors(vectors: Sequence[Vector | NDArray[np.float16] | None]) -> tuple[Matrix, NDArray[np.bool_]]:
    """Return the vectors as rows (zeros for None), shape [n, dim], and which rows have one, shape [n]."""
    import numpy as np

    has_vector = np.array([v is not None for v in vectors], bool)
    dim = next((len(v) for v in vectors if v is not None), 1)
    rows = np.zeros((len(vectors), dim), np.float32)
    for row, vector in zip(rows, vectors, strict=True):
        if vector is not None:
            row[:] = vector
    return rows, has_vector


class _TermHasher:
    """Makes vectors of hashed, rarity-weighted terms, to compare papers without an embedding model.

    Feature hashing: Weinberger et al. 2009 (arXiv:0902.2206).
    """

    def __init__(self, terms: Sequence[NDArray[np.uint32]]) -> None:
        """Take the terms of the papers among which rarity is measured."""
        import numpy as np

        distinct = np.concatenate([np.zeros(0, np.uint32), *(np.unique(t) for t in terms)])
        self._terms, self._frequency = np.unique(distinct, return_counts=True)
        self._count = len(terms)

    def vectors(self, terms: Sequence[NDArray[np.uint32]]) -> Matrix:
        """Return a unit vector for the terms of each paper, shape [n, dim]."""
        import numpy as np

        rows = np.zeros((len(terms), _HASH_DIMENSIONS), np.float32)
        for row, of_paper in zip(rows, terms, strict=True):
            ids, counts = np.unique(of_paper, return_counts=True)
            values = np.where(ids & 1, 1, -1) * np.log1p(counts) * self._rarity(ids)
            row[:] = np.bincount((ids >> 1) % _HASH_DIMENSIONS, values, minlength=_HASH_DIMENSIONS)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
        return rows

    def _rarity(self, ids: NDArray[np.uint32]) -> NDArray[np.float64]:
        import numpy as np

        if not len(self._terms):
            return np.ones(len(ids))
        places = self._terms.searchsorted(ids).clip(max=len(self._terms) - 1)
        frequency = np.where(self._terms[places] == ids, self._frequency[places], 1)
        rarity: NDArray[np.float64] = np.log((self._count + 1) / frequency)
        return rarity


def distinctive_title_key(title: str) -> str:
    """Return `title_key` of a title, or ``""`` if it is too short to tell papers apart (``Editorial``)."""
    key = title_key(title)
    return key if len(key) >= _MIN_TITLE_LENGTH else ""


def duplicates(titles: Sequence[str], vectors: Matrix) -> list[list[int]]:
    """Return the papers grouped by duplicates, the groups in order of their first paper.

    Duplicates have equal titles, a cosine of `DUPLICATE_COSINE`, or a high cosine and similar titles.
    """
    leader = list(range(len(titles)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    first: dict[str, int] = {}
    for i, title in enumerate(titles):
        if key := distinctive_title_key(title):
            leader[find(i)] = find(first.setdefault(key, i))
    for i, j, cosine in _similar_pairs(vectors):
        if cosine >= DUPLICATE_COSINE or _have_similar_titles(titles[i], titles[j]):
            low, high = sorted((find(i), find(j)))
            leader[high] = low
    order = sorted(range(len(titles)), key=lambda i: (find(i), i))
    return [list(group) for _, group in itertools.groupby(order, key=find)]


def _similar_pairs(vectors: Matrix) -> list[tuple[int, int, float]]:
    """Return the pairs (i < j) above `_SIMILAR_COSINE`, with their cosine."""
    import numpy as np

    pairs = []
    for start in range(0, len(vectors), _BLOCK_ROWS):
        cosines = vectors[start : start + _BLOCK_ROWS] @ vectors.T
        for i, j in zip(*np.nonzero(cosines >= _SIMILAR_COSINE), strict=True):
            if start + i < j:
                pairs.append((start + int(i), int(j), float(cosines[i, j])))
    return pairs


def _have_similar_titles(one: str, other: str) -> bool:
    a, b = set(words(one)), set(words(other))
    return len(a & b) >= _SIMILAR_TITLES * len(a | b)


def _preference(paper: Paper) -> tuple[int, int, int, str]:
    """Return a sort key that puts the best of several records of one paper first."""
    has_abstract = bool(paper.abstract.strip())
    return -has_abstract, -bool(paper.arxiv_id), -(paper.upvotes or 0), paper.paper_id
