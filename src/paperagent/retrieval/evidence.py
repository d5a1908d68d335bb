"""Read papers for a question and choose the sentences that answer it, without a model's help.

Late interaction (Khattab & Zaharia 2020, arXiv:2004.12832): each word piece of the question
looks for its best match among the word pieces of a sentence, by the cosine of their token
states. From that one matrix of matches, weighted by how rare each word is, come the second
ranking of the papers and the choice of sentences (and, in `abstention`, whether to answer).

Where there is no encoder the matches are those of stems, 1 or 0, and the rest is the same.
Weights were set on the development questions; `make eval` prints what they reach.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.retrieval.question import Question
from paperagent.retrieval.scoring import is_scaffold
from paperagent.text.injection import looks_like_instruction
from paperagent.text.terms import STOP_WORDS, index_terms, stem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Encoded, Hit, Sentence

RERANK_WEIGHT = 3.0
"""How much a paper's coverage of the question (0 to 1) adds to its retrieval score."""

_BACKGROUND = re.compile(
    r"\b(?:however|existing|previous|prior|recently|recent|despite|although|traditional|typically|often"
    r"|challenge|remains?|lack|limited|limitation)\b",
    re.IGNORECASE,
)
_AUTHORS = re.compile(r"\b(?:we|our|this (?:paper|work|study))\b", re.IGNORECASE)
_WORK = re.compile(
    r"\b(?:propos|introduc|present|develop|design|study|investigat|build|explor|examin)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One paper read for one question."""

    hit: Hit
    sentences: tuple[Sentence, ...]
    match: NDArray[np.float64]
    """Best match of each question piece in each sentence, shape [sentences, pieces]."""
    title_match: NDArray[np.float64]
    """Best match of each question piece in the title, shape [pieces]."""
    similarity: float
    """Cosine of the question and the closest sentence (or the title); 0 without an encoder."""
    score: float
    """Retrieval score plus weighted coverage: what papers are ranked by."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A chosen sentence: the reading's place and the sentence's."""

    paper: int
    sentence: int
    score: float


def read(
    question: Question,
    hit: Hit,
    sentences: Sequence[Sentence],
    encoded: Sequence[Encoded | None] | None,
) -> Reading:
    """Match a question with one paper, as `read_all` does with several."""
    return read_all(question, [(hit, sentences)], None if encoded is None else [encoded])[0]


def read_all(
    question: Question,
    papers: Sequence[tuple[Hit, Sequence[Sentence]]],
    encoded: Sequence[Sequence[Encoded | None]] | None,
) -> list[Reading]:
    """Match a question with papers; of each ``encoded`` holds the title and then each sentence.

    None in it stands for a sentence that was not read: it matches nothing.
    """
    import numpy as np

    if not papers:
        return []
    if question.encoded is None or encoded is None:
        texts = ([hit.title, *(s.text for s in sentences)] for hit, sentences in papers)
        tables = [np.stack([_same_stems(question, text) for text in held]) for held in texts]
        return [_reading(question, *paper, table, 0.0) for paper, table in zip(papers, tables, strict=True)]
    # One product for all: on a busy machine each waits for its threads, however small it is.
    whole = _late_interaction(question.encoded, [e for held in encoded for e in held])
    parts = np.split(whole, np.cumsum([len(held) for held in encoded])[:-1])
    vector = question.encoded.vector
    closest = [max(float(e.vector @ vector) for e in held if e is not None) for held in encoded]
    return [
        _reading(question, *paper, table, similarity)
        for paper, table, similarity in zip(papers, parts, closest, strict=True)
    ]


def _reading(
    question: Question,
    hit: Hit,
    sentences: Sequence[Sentence],
    table: NDArray[np.float64],
    similarity: float,
) -> Reading:
    coverage = weighted(table.max(axis=0), question.weights)
    score = hit.score + RERANK_WEIGHT * coverage
    return Reading(hit, tuple(sentences), table[1:], table[0], similarity, score)


def promising(question: Question, sentences: Sequence[Sentence], count: int) -> set[int]:
    """Return the places of the sentences that hold most of the question's weight by stems."""
    shares = _stem_coverage(question, [s.text for s in sentences])
    ordered = sorted(range(len(sentences)), key=lambda j: (-shares[j], j))
    return set(ordered[:count])


def _late_interaction(question: Encoded, texts: Sequence[Encoded | None]) -> NDArray[np.float64]:
    """Return the best match of each question piece in each text, shape [texts, pieces]; unread: 0.

    All texts in one product: many small ones cost five times as much.
    """
    import numpy as np

    table = np.zeros((len(texts), len(question.states)))
    read = [(i, e.states) for i, e in enumerate(texts) if e is not None and len(e.states)]
    if read and len(question.states):
        cosines = np.concatenate([states for _, states in read]) @ question.states.T
        starts = np.cumsum([0, *(len(states) for _, states in read[:-1])])
        table[[i for i, _ in read]] = np.maximum.reduceat(cosines, starts, axis=0)
    return table


def _same_stems(question: Question, text: str) -> NDArray[np.float64]:
    import numpy as np

    held = set(index_terms(text))
    return np.array([float(bool(p) and stem(p) in held) for p in question.pieces])


def weighted(match: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the mean of ``match`` by ``weights``; 0 where nothing weighs."""
    total = weights.sum()
    return float((match * weights).sum() / total) if total else 0.0


def rerank(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings by falling score; ties go by id."""
    return sorted(readings, key=lambda r: (-r.score, r.hit.paper_id))


SINGLE, COMPARE_EACH, LIST_PAPERS, LIST_EACH = 4, 3, 6, 2
"""Sentences from the best paper; from each of two compared; papers and sentences of a list."""
LIST_MARGIN, LIST_LEAST = 0.6, 3
"""A list holds the papers whose score is that near the best, and never fewer than three."""
OTHERS, OTHER_MARGIN = 2, 0.4
"""Further papers that give one sentence each to the answer of one, if their score is that near the best."""


def select(question: Question, readings: Sequence[Reading]) -> list[Pick]:
    """Choose the sentences to show from ranked readings: best paper first, abstract order within it."""
    if question.kind == "compare":
        plan = [(i, COMPARE_EACH) for i in range(min(2, len(readings)))]
    elif question.kind == "list":
        near = max(_near(readings[:LIST_PAPERS], LIST_MARGIN), min(LIST_LEAST, len(readings)))
        plan = [(i, LIST_EACH) for i in range(near)]
    else:
        near = _near(readings[: 1 + OTHERS], OTHER_MARGIN)
        plan = [(0, SINGLE), *((i, 1) for i in range(1, near))]
    picks: list[Pick] = []
    for place, count in plan:
        chosen = _best_sentences(question, readings[place], count)
        picks += [Pick(place, s, score) for s, score in sorted(chosen)]
    return picks


NEAR_A_PICK = 0.4
"""A sentence is relevant if it scores at most so much below the least of those that are quoted, in a paper
near the best. Of the gold sentences of 55 development questions .91 are, and of the sentences of other papers
that a model is shown .32 (by words alone .73 and .27)."""


def relevant(question: Question, readings: Sequence[Reading], reading: Reading) -> NDArray[np.bool_]:
    """Tell which sentences of a paper have to do with the question, shape [sentences].

    ``readings`` are those of all papers, ranked; ``reading`` is one paper read whole.
    """
    margin = OTHER_MARGIN if question.kind == "single" else LIST_MARGIN
    least = min(pick.score for pick in select(question, readings)) - NEAR_A_PICK
    near = reading.score >= readings[0].score - margin
    return (sentence_scores(question, reading) >= least) & near


def _near(readings: Sequence[Reading], margin: float) -> int:
    """Return how many of the ranked readings score at most ``margin`` below the first."""
    return sum(r.score >= readings[0].score - margin for r in readings)


def _best_sentences(question: Question, reading: Reading, count: int) -> list[tuple[int, float]]:
    """Pick greedily: a sentence's own score, plus what it covers that earlier picks do not.

    Sentences that give orders to whoever processes them report nothing and are left out.
    """
    import numpy as np

    scores = sentence_scores(question, reading)
    orders = [looks_like_instruction(s.text) for s in reading.sentences]
    covered = np.zeros(len(question.weights))
    chosen: list[tuple[int, float]] = []
    left = {j for j, order in enumerate(orders) if not order} or set(range(len(scores)))
    while left and len(chosen) < count:
        fresh = np.maximum(reading.match - covered, 0.0) if chosen else np.zeros_like(reading.match)
        best = max(left, key=lambda j: (scores[j] + weighted(fresh[j], question.weights), -j))
        left.remove(best)
        chosen.append((best, float(scores[best])))
        covered = np.maximum(covered, reading.match[best])
    return chosen


def sentence_scores(question: Question, reading: Reading) -> NDArray[np.float64]:
    """Score each sentence of a paper, shape [sentences].

    ``3 match + 8 gain + .25 coverage + .35 place - .3 background + .6 number``: match is the
    weighted mean of the pieces' best matches; gain what the sentence matches better than the
    paper's other sentences and its title do; place 0 for the first and 1 for the last.
    """
    import numpy as np

    texts = [s.text for s in reading.sentences]
    n = len(texts)
    total = question.weights.sum() or 1.0
    match: NDArray[np.float64] = reading.match @ question.weights / total
    gain = _gain(reading) @ question.weights / total
    place = np.arange(n) / max(n - 1, 1)
    background = np.array([bool(_BACKGROUND.search(t)) for t in texts], float)
    number = np.array([question.asks_number and bool(re.search(r"\d", t)) for t in texts], float)
    coverage = _stem_coverage(question, texts)
    scores: NDArray[np.float64] = (
        3 * match + 8 * gain + 0.25 * coverage + 0.35 * place - 0.3 * background + 0.6 * number
    )
    if question.kind == "list":
        scores += 0.6 * np.array([_states_work(t) for t in texts], float)
    return scores


def _states_work(text: str) -> bool:
    """Tell whether a sentence says what its authors did."""
    # Two searches: one pattern with both takes quadratic time on a hostile abstract.
    authors = _AUTHORS.search(text)
    return authors is not None and _WORK.search(text, authors.end()) is not None


def _gain(reading: Reading) -> NDArray[np.float64]:
    """Return how much each sentence exceeds all others and the title, [sentences, pieces]."""
    import numpy as np

    match = reading.match
    best = match.max(axis=0)
    second = np.sort(match, axis=0)[-2] if len(match) > 1 else np.zeros_like(best)
    others = np.where(match >= best, second, best)
    gained: NDArray[np.float64] = np.maximum(match - np.maximum(others, reading.title_match), 0.0)
    return gained


def _stem_coverage(question: Question, texts: Sequence[str]) -> NDArray[np.float64]:
    import numpy as np

    wanted: dict[str, float] = {}
    for piece, weight in zip(question.pieces, question.weights, strict=True):
        if piece and piece not in STOP_WORDS and not is_scaffold(stem(piece)):
            wanted[stem(piece)] = float(weight)
    total = sum(wanted.values())
    if not total:
        return np.zeros(len(texts))
    shares = [
        sum(w for s, w in wanted.items() if s in held) / total for held in map(set, map(index_terms, texts))
    ]
    return np.array(shares)
