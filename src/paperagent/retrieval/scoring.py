"""Scoring of papers as pure functions: from query terms and candidates to ranked papers.

Two indexes retrieve candidates (the lexical one and the vector one); one exact score ranks
them. The score is absolute, not min-max scaled, so it compares across queries::

    score = 0.9 * BM25 / (1.9 * sum of idf) + cosine(query, paper)

BM25 (Robertson & Zaragoza 2009, k1 = 0.9, b = 0.4, title counted twice) divided by its
largest possible value is a share of the query's information. nDCG@10 on SciFact train:
.744, against .738 for a min-max convex combination, .707 for BM25 and .655 for vectors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from paperagent.text import bm25
from paperagent.text.terms import index_terms, stem, term_ids

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Hit, Vector

LEXICAL_WEIGHT = 0.9
MIN_CANDIDATES = 60
"""Minimum number of candidates per index: 100 changes no figure of `eval` and takes longer."""

_SMALL, _LARGE = 5_000, 75_000
"""Numbers of papers between which `size_factor` rises."""

_MIN_BY_WORDS, _MIN_WITH_VECTOR = (0.225, 0.4), (0.35, 0.3)
"""The least score of a hit that matches a query, and its least share of the best score."""
NAMED_BONUS = 0.5
"""Added to the score of a paper that the question names."""
NAMED_SCORE = 1.0
"""The least score of a paper that a query names by its id or its author."""
_MAX_NAME_WORDS, _MIN_TITLE_WORDS = 4, 3
_NAME_LIKE = re.compile(r"\w[A-Z0-9]|\d\w")
_CAPITALIZED = re.compile(r"[A-Z]\w{4,}")
_NAME_LIKE_WORD = re.compile(r"(?<!\S)\S*(?:\w[A-Z0-9]|\d\w)\S*")
_CAPITALIZED_INSIDE = re.compile(r"(?<=\s)[A-Z]\w{4,}")

_QUERY_STOPWORDS = frozenset(
    stem(w)
    for w in """paper papers study studies work works article author authors research researcher method
    methods approach approaches technique techniques propose proposed proposes introduce introduced present
    presented show shows shown find finding findings result results use used uses using way ways thing
    things kind kinds sort sorts type types many much long often far well best better new one ones two three
    four five six say says said tell give given gives get gets got make makes made like help call called
    exactly really actually please pls name named list ask question anyone someone somebody people recent
    describe described explain explained compare compared versus vs difference differences differ
    different anything something latest lately deal regarding""".split()
)
"""Stems of words that describe the request, not its topic."""


class TermStatistics(Protocol):
    """Statistics of a library's index terms."""

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, Mapping[str, int]]:
        """Return the number of papers, their mean length, and the document frequency of each stem."""
        ...

    def similar_stems(self, stem: str, distance: int) -> Sequence[str]:
        """Return the stems within an edit distance, most frequent first."""
        ...


class RankablePaper(Protocol):
    """The fields of a candidate that scoring uses."""

    @property
    def paper_id(self) -> str: ...

    @property
    def terms(self) -> NDArray[np.uint32]:
        """Term ids of title, title again and abstract."""
        ...

    @property
    def vector(self) -> Vector | None:
        """The paper's embedding, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """Statistics of the library for BM25."""

    papers: int
    average_length: float
    """Mean number of terms per paper, its title counted twice."""
    frequency: Mapping[str, int]
    """Stem → number of papers that contain it."""

    def idf(self, stem: str) -> float:
        """Return ln(1 + (N - n + .5) / (n + .5)), which is always positive."""
        return bm25.idf(self.papers, self.frequency.get(stem, 0))


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query as it is searched for and scored."""

    stems: tuple[str, ...]
    """Distinct stems, without query stopwords, spelling corrected."""
    vector: Vector | None
    """Embedding of the query's text, in the space of the library's vectors."""
    stats: CorpusStats
    """Statistics of the stems, and of all other terms of the query's text."""


class RankedCandidate(NamedTuple):
    """A candidate's scores. A tuple, because one search creates two hundred."""

    paper_id: str
    score: float
    lexical: float
    """BM25 as a share of the query's information, about 0 to 1."""
    vector: float | None
    """Cosine of query and paper."""


# --- from text to query ---


def build_query(
    terms: Sequence[str], statistics: TermStatistics, *, vector: Vector | None = None
) -> SearchQuery:
    """Return the query for a text.

    Args:
        terms: The text's index terms, from `text.terms.index_terms`.
        statistics: The library to search.
        vector: The text's embedding.
    """
    stems = _without_stopwords(terms)
    stats = _corpus_stats(statistics, terms)
    corrected = correct_spelling(stems, stats.frequency, statistics.similar_stems)
    if corrected != stems:
        stats = _corpus_stats(statistics, {*corrected, *terms})
    return SearchQuery(tuple(corrected), vector, stats)


def _corpus_stats(statistics: TermStatistics, stems: Iterable[str]) -> CorpusStats:
    return CorpusStats(*statistics.corpus_stats(sorted(set(stems))))


def query_stems(text: str) -> list[str]:
    """Return the distinct stems to search for; query stopwords only if there is nothing else."""
    return _without_stopwords(index_terms(text))


def _without_stopwords(terms: Sequence[str]) -> list[str]:
    stems = list(dict.fromkeys(terms))
    return [s for s in stems if s not in _QUERY_STOPWORDS] or stems


def is_query_stopword(stem: str) -> bool:
    """Return whether a stem describes the request rather than its topic."""
    return stem in _QUERY_STOPWORDS


def correct_spelling(
    stems: Sequence[str], frequency: Mapping[str, int], similar: Callable[[str, int], Sequence[str]]
) -> list[str]:
    """Replace stems that the library does not know by the most frequent similar one.

    Only alphabetic stems of five letters or more are replaced. The vector search always gets the
    original text.

    Args:
        stems: Stems of a query.
        frequency: Document frequency of each stem in the library.
        similar: Returns the library's stems within an edit distance, most frequent first.
    """
    corrected = [_closest_stem(s, similar) if _may_be_typo(s, frequency) else s for s in stems]
    return list(dict.fromkeys(corrected))


def _may_be_typo(stem: str, frequency: Mapping[str, int]) -> bool:
    return not frequency.get(stem) and len(stem) >= 5 and stem.isascii() and stem.isalpha()


def _closest_stem(stem: str, similar: Callable[[str, int], Sequence[str]]) -> str:
    for distance in (1,) if len(stem) < 8 else (1, 2):
        if stems := similar(stem, distance):
            return stems[0]
    return stem


# --- from candidates to a ranking ---


def rank(candidates: Sequence[RankablePaper], query: SearchQuery) -> list[RankedCandidate]:
    """Return the candidates by descending score; ties are broken by id."""
    import numpy as np

    if not candidates:
        return []
    lexical = bm25_shares(candidates, query.stems, query.stats)
    cosines = _cosines(candidates, query.vector)
    scores = LEXICAL_WEIGHT * lexical + np.nan_to_num(cosines, nan=0.0)
    ranked = [
        RankedCandidate(c.paper_id, score, share, None if math.isnan(cosine) else cosine)
        for c, score, share, cosine in zip(
            candidates, scores.tolist(), lexical.tolist(), cosines.tolist(), strict=True
        )
    ]
    return sorted(ranked, key=lambda r: (-r.score, r.paper_id))


def bm25_shares(
    candidates: Sequence[RankablePaper], stems: Sequence[str], stats: CorpusStats
) -> NDArray[np.float64]:
    """Return BM25 of each candidate over 1.9 times the query's total idf, shape [candidates]."""
    import numpy as np

    weights = np.array([stats.idf(s) for s in stems])
    lengths = np.array([len(c.terms) for c in candidates], float)
    if not weights.sum() or not lengths.sum():
        return np.zeros(len(candidates))
    counts = _term_counts(candidates, term_ids(stems))
    damping = bm25.damping(lengths, stats.average_length)
    scores = (weights * counts * (bm25.K1 + 1) / (counts + damping[:, None])).sum(axis=1)
    shares: NDArray[np.float64] = scores / ((bm25.K1 + 1) * weights.sum())
    return shares


def _term_counts(candidates: Sequence[RankablePaper], ids: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return how often each candidate contains each term, shape [candidates, terms]."""
    import numpy as np

    terms = np.concatenate([c.terms for c in candidates])
    ends = np.cumsum([len(c.terms) for c in candidates])
    owners = [ends.searchsorted(np.flatnonzero(terms == term_id), side="right") for term_id in ids]
    return np.stack([np.bincount(o, minlength=len(candidates)) for o in owners], axis=1).astype(float)


def _cosines(candidates: Sequence[RankablePaper], vector: Vector | None) -> NDArray[np.float64]:
    """Return the cosine of each candidate, shape [candidates]; NaN where either side has no vector."""
    import numpy as np

    cosines = np.full(len(candidates), np.nan)
    vectors = [(i, c.vector) for i, c in enumerate(candidates) if c.vector is not None]
    if vector is not None and vectors:
        rows = np.stack([v for _, v in vectors]).astype(np.float32, copy=False)
        # Not @: it wakes the BLAS threads, which busy-wait and slow down everything that follows.
        cosines[[i for i, _ in vectors]] = np.einsum("ij,j->i", rows, vector)
    return cosines


def blend_rankings(
    rankings: Sequence[RankedCandidate], context: Sequence[RankedCandidate]
) -> list[RankedCandidate]:
    """Return the mean of two rankings of the same candidates, for a follow-up question."""
    in_context = {r.paper_id: r for r in context}
    blended = [
        RankedCandidate(r.paper_id, (r.score + in_context[r.paper_id].score) / 2, r.lexical, r.vector)
        for r in rankings
        if r.paper_id in in_context
    ]
    return sorted(blended, key=lambda r: (-r.score, r.paper_id))


def score_gap(ranked: Sequence[RankedCandidate]) -> float:
    """Return the first score's lead over the mean of the next five; 1 if there is only one."""
    next_scores = [r.score for r in ranked[1:6]]
    return ranked[0].score - sum(next_scores) / len(next_scores) if next_scores else 1.0


def indexes_agree(ranked: Sequence[RankedCandidate]) -> bool:
    """Return whether words and vectors put the same paper first."""
    embedded = [r for r in ranked if r.vector is not None]
    if not embedded:
        return False
    best_by_words = max(embedded, key=lambda r: r.lexical)
    best_by_vector = max(embedded, key=lambda r: r.vector or 0.0)
    return best_by_words.lexical > 0 and best_by_words.paper_id == best_by_vector.paper_id


def size_factor(papers: int) -> float:
    """Return 0 for a library of up to 5,000 papers, 1 from 75,000 on, logarithmic in between.

    In a large library, more papers are close to any question, so more papers are read and an answer needs
    more confidence.
    """
    return min(1.0, math.log(max(papers, _SMALL) / _SMALL) / math.log(_LARGE / _SMALL))


# --- papers that a question names ---


def names_paper(question: str, title: str) -> bool:
    """Return whether a question names a paper: by its whole title, or by the name before its colon.

    A name is one to four words with a capital or a digit inside (``HelpSteer2``, ``GUIDE``), or one
    capitalized word that does not begin the question. Case counts: the word "guide" names nothing.
    """
    name, colon, _ = title.partition(":")
    name = name.strip()
    if colon and len(name.split()) <= _MAX_NAME_WORDS and _NAME_LIKE.search(name):
        return name in question and bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question))
    if colon and _CAPITALIZED.fullmatch(name):
        return name in question and bool(re.search(rf"\s{re.escape(name)}(?!\w)", question))
    return len(title.split()) >= _MIN_TITLE_WORDS and title.casefold() in question.casefold()


def boost_named_papers(hits: Sequence[Hit], question: str) -> list[Hit]:
    """Return the hits ranked again after `NAMED_BONUS` was added to those that the question names."""
    named = {h.paper_id for h in hits if names_paper(question, h.title)}
    if not named:
        return list(hits)
    boosted = [replace(h, score=h.score + NAMED_BONUS) if h.paper_id in named else h for h in hits]
    return ranked_hits(boosted)


def scores_of(paper_ids: Iterable[str], ranked: Sequence[RankedCandidate]) -> list[RankedCandidate]:
    """Return the scores of papers; a paper that is not ranked gets the lowest score."""
    scores = {r.paper_id: r for r in ranked}
    lowest = ranked[-1] if ranked else RankedCandidate("", 0.0, 0.0, None)
    return [scores.get(paper_id, lowest._replace(paper_id=paper_id)) for paper_id in paper_ids]


def boost(hits: Sequence[Hit], further: Sequence[Hit], bonus: Mapping[str, float]) -> list[Hit]:
    """Add each paper's bonus to its score, and rank all hits again."""
    by_id = {h.paper_id: h for h in (*further, *hits)}
    boosted = [replace(h, score=h.score + bonus.get(i, 0.0)) for i, h in by_id.items()]
    return ranked_hits(boosted)


def ranked_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits by descending score, with their ranks; ties are broken by id."""
    ordered = sorted(hits, key=lambda h: (-h.score, h.paper_id))
    return [replace(h, rank=rank) for rank, h in enumerate(ordered, start=1)]


def matching_hits(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits that are about the query, without those that merely come next.

    A hit must reach an absolute score and a share of the best one; a paper that the query names always
    matches. With MiniLM, the best score for a query that no paper is about is .13 to .25.
    """
    scores = [LEXICAL_WEIGHT * h.lexical + (h.vector or 0.0) for h in hits]  # without a bonus for a name
    best = max(scores, default=0.0)
    matching = []
    for hit, score in zip(hits, scores, strict=True):
        least, share = _MIN_BY_WORDS if hit.vector is None else _MIN_WITH_VECTOR
        if hit.score >= NAMED_SCORE or score >= max(least, share * best):
            matching.append(hit)
    return matching


def possibly_named(candidates: Sequence[RankablePaper], question: str) -> set[str]:
    """Return the ids of candidates whose title may contain a name in the question, by their terms alone.

    A title counts twice among the terms, so its words occur there twice or more. If every third
    word of the question has a capital, as in a title, capitals say nothing.
    """
    capitalized = _CAPITALIZED_INSIDE.findall(question)
    if 3 * len(capitalized) > len(question.split()):
        capitalized = []
    stems = index_terms(" ".join([*_NAME_LIKE_WORD.findall(question), *capitalized]))
    if not stems or not candidates:
        return set()
    max_counts = _term_counts(candidates, term_ids(set(stems))).max(axis=1)
    return {c.paper_id for c, n in zip(candidates, max_counts.tolist(), strict=True) if n > 1}
