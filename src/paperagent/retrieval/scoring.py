"""Retrieval as pure functions: from a question to query terms, from candidates to ranked papers.

Two indexes nominate candidates (the lexical one and the vector one); one
exact score ranks them. It is absolute, not min-max scaled, so it compares across queries::

    R = 0.9 * BM25 / (1.9 * sum of idf) + cosine(query, paper)

BM25 (Robertson & Zaragoza 2009, k1 = 0.9, b = 0.4, title counted twice) divided by its
largest possible value is a share of the query's information. nDCG@10 on SciFact train:
.744, against .738 for a min-max convex combination, .707 for BM25 and .655 for vectors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from paperagent.text.terms import index_terms, stem, term_ids

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Hit, Vector

K1, B = 0.9, 0.4
LEXICAL_WEIGHT = 0.9
CANDIDATES = 60
"""Papers that each index nominates, at least: 100 changes no figure of `eval` and takes longer."""

_SMALL, _LARGE = 5_000, 75_000
"""Papers between which `largeness` rises."""

NAMED_BONUS = 0.5
"""What it adds to a paper's score that the question names it."""
_NAME_WORDS, _TITLE_WORDS = 4, 3
_NAME_LIKE = re.compile(r"\w[A-Z0-9]|\d\w")
_CAPITALISED = re.compile(r"[A-Z]\w{4,}")
_NAME_LIKE_WORD = re.compile(r"\S*(?:\w[A-Z0-9]|\d\w)\S*")
_CAPITALISED_LATER = re.compile(r"(?<=\s)[A-Z]\w{4,}")

_SCAFFOLD = frozenset(
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
"""Stems that say what is asked for, not what it is about."""


class Scored(Protocol):
    """What scoring needs of a candidate."""

    @property
    def paper_id(self) -> str:
        """The paper's id."""
        ...

    @property
    def terms(self) -> NDArray[np.uint32]:
        """Term ids of title, title and abstract."""
        ...

    @property
    def vector(self) -> Vector | None:
        """The paper's embedding, where there is one."""
        ...


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """What BM25 needs to know of the library."""

    papers: int
    average_length: float
    """Mean number of terms a paper, its title counted twice."""
    frequency: Mapping[str, int]
    """Stem → number of papers that hold it."""

    def idf(self, stem: str) -> float:
        """Return ln(1 + (N - n + .5) / (n + .5)): always above zero."""
        n = self.frequency.get(stem, 0)
        return math.log(1 + (self.papers - n + 0.5) / (n + 0.5))


@dataclass(frozen=True, slots=True)
class Query:
    """What is sent to search."""

    stems: tuple[str, ...]
    """Distinct, without scaffold, spelling mended."""
    vector: Vector | None


class Ranked(NamedTuple):
    """A candidate's scores. A tuple, because a search makes two hundred."""

    paper_id: str
    score: float
    lexical: float
    """BM25 as a share of the query's information, about 0 to 1."""
    vector: float | None
    """Cosine of query and paper."""


def is_scaffold(stem: str) -> bool:
    """Tell whether a stem says what is asked for rather than what about."""
    return stem in _SCAFFOLD


def query_stems(text: str) -> list[str]:
    """Return the distinct stems to search for; scaffold words only where nothing else is left."""
    stems = list(dict.fromkeys(index_terms(text)))
    return [s for s in stems if s not in _SCAFFOLD] or stems


def mend_spelling(
    stems: Sequence[str], frequency: Mapping[str, int], similar: Callable[[str, int], Sequence[str]]
) -> list[str]:
    """Replace words that the library does not know by the most frequent similar one.

    Only alphabetic words of five letters or more; ``similar(stem, distance)`` gives the
    library's stems within that edit distance, most frequent first. The vector side always
    gets the raw text.
    """
    mended = [_mend(s, similar) if _may_be_typo(s, frequency) else s for s in stems]
    return list(dict.fromkeys(mended))


def _may_be_typo(stem: str, frequency: Mapping[str, int]) -> bool:
    return not frequency.get(stem) and len(stem) >= 5 and stem.isascii() and stem.isalpha()


def _mend(stem: str, similar: Callable[[str, int], Sequence[str]]) -> str:
    for distance in (1,) if len(stem) < 8 else (1, 2):
        found = similar(stem, distance)
        if found:
            return found[0]
    return stem


def rank(candidates: Sequence[Scored], query: Query, stats: CorpusStats) -> list[Ranked]:
    """Return the candidates by falling score; ties go by id, so that the order is fixed."""
    import numpy as np

    if not candidates:
        return []
    lexical = lexical_shares(candidates, query.stems, stats)
    cosines = _cosines(candidates, query.vector)
    scores = LEXICAL_WEIGHT * lexical + np.nan_to_num(cosines, nan=0.0)
    ranked = [
        Ranked(c.paper_id, score, share, None if math.isnan(cosine) else cosine)
        for c, score, share, cosine in zip(
            candidates, scores.tolist(), lexical.tolist(), cosines.tolist(), strict=True
        )
    ]
    return sorted(ranked, key=lambda r: (-r.score, r.paper_id))


def blend(now: Sequence[Ranked], context: Sequence[Ranked]) -> list[Ranked]:
    """Return the mean of two rankings of the same candidates, for a follow-up question."""
    other = {r.paper_id: r for r in context}
    mixed = [
        Ranked(r.paper_id, (r.score + other[r.paper_id].score) / 2, r.lexical, r.vector)
        for r in now
        if r.paper_id in other
    ]
    return sorted(mixed, key=lambda r: (-r.score, r.paper_id))


def names_paper(question: str, title: str) -> bool:
    """Tell whether a question names a paper: by its whole title, or by the name before its colon.

    A name is one to four words with a capital or a digit inside (``HelpSteer2``, ``GUIDE``), or one
    capitalised word that does not begin the question. Case counts: the word "guide" names nothing.
    """
    name, colon, _ = title.partition(":")
    name = name.strip()
    if colon and len(name.split()) <= _NAME_WORDS and _NAME_LIKE.search(name):
        return name in question and bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question))
    if colon and _CAPITALISED.fullmatch(name):
        return name in question and bool(re.search(rf"\s{re.escape(name)}(?!\w)", question))
    return len(title.split()) >= _TITLE_WORDS and title.casefold() in question.casefold()


def raise_named(hits: Sequence[Hit], question: str) -> list[Hit]:
    """Return the hits with those that the question names raised by `NAMED_BONUS`, ranked anew."""
    named = {h.paper_id for h in hits if names_paper(question, h.title)}
    if not named:
        return list(hits)
    raised = [replace(h, score=h.score + NAMED_BONUS) if h.paper_id in named else h for h in hits]
    ordered = sorted(raised, key=lambda h: (-h.score, h.paper_id))
    return [replace(h, rank=i) for i, h in enumerate(ordered, start=1)]


def could_be_named(candidates: Sequence[Scored], question: str) -> set[str]:
    """Return the ids of those whose title may hold a name in the question, going by their terms alone.

    A title counts twice among the terms, so a word of it stands there twice or more. Where every
    third word has a capital, as in a title, capitals say nothing.
    """
    capitalised = _CAPITALISED_LATER.findall(question)
    if 3 * len(capitalised) > len(question.split()):
        capitalised = []
    stems = index_terms(" ".join([*_NAME_LIKE_WORD.findall(question), *capitalised]))
    if not stems or not candidates:
        return set()
    most = _counts(candidates, term_ids(set(stems))).max(axis=1)
    return {c.paper_id for c, count in zip(candidates, most.tolist(), strict=True) if count > 1}


def largeness(papers: int) -> float:
    """Return 0 for a library of up to 5,000 papers, 1 from 75,000 on, between them by the logarithm.

    In a large library more papers are close to any question: it is read more deeply, and trusted less.
    """
    return min(1.0, math.log(max(papers, _SMALL) / _SMALL) / math.log(_LARGE / _SMALL))


def gap(ranked: Sequence[Ranked]) -> float:
    """Return how far the first stands above the mean of the next five; 1 where it stands alone."""
    rest = [r.score for r in ranked[1:6]]
    return ranked[0].score - sum(rest) / len(rest) if rest else 1.0


def lexical_shares(
    candidates: Sequence[Scored], stems: Sequence[str], stats: CorpusStats
) -> NDArray[np.float64]:
    """Return BM25 of each candidate over 1.9 times the query's total idf, shape [n]."""
    import numpy as np

    weights = np.array([stats.idf(s) for s in stems])
    lengths = np.array([len(c.terms) for c in candidates], float)
    if not weights.sum() or not lengths.sum():
        return np.zeros(len(candidates))
    counts = _counts(candidates, term_ids(stems))
    damping = K1 * (1 - B + B * lengths / max(stats.average_length, 1.0))
    scores = (weights * counts * (K1 + 1) / (counts + damping[:, None])).sum(axis=1)
    shares: NDArray[np.float64] = scores / ((K1 + 1) * weights.sum())
    return shares


def _counts(candidates: Sequence[Scored], wanted: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return how often each candidate holds each wanted term, shape [candidates, terms]."""
    import numpy as np

    terms = np.concatenate([c.terms for c in candidates])
    ends = np.cumsum([len(c.terms) for c in candidates])
    owners = [ends.searchsorted(np.flatnonzero(terms == w), side="right") for w in wanted]
    return np.stack([np.bincount(o, minlength=len(candidates)) for o in owners], axis=1).astype(float)


def _cosines(candidates: Sequence[Scored], vector: Vector | None) -> NDArray[np.float64]:
    """Return the cosine of each candidate, NaN where either side has no vector."""
    import numpy as np

    cosines = np.full(len(candidates), np.nan)
    held = [(i, c.vector) for i, c in enumerate(candidates) if c.vector is not None]
    if vector is not None and held:
        rows = np.stack([v for _, v in held]).astype(np.float32, copy=False)
        # Not @: that wakes the threads of BLAS, which then spin and slow whatever comes next.
        cosines[[i for i, _ in held]] = np.einsum("ij,j->i", rows, vector)
    return cosines
