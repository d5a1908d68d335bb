"""Match papers with a question and select the sentences that answer it, without a language model.

Late interaction (Khattab & Zaharia 2020, arXiv:2004.12832): each word piece of the question
looks for its best match among the word pieces of a sentence, by the cosine of their token
states. That one matrix of matches, weighted by how rare each word is, gives the reranking of the
papers and the choice of sentences (and, in `abstention`, whether to answer).

Without an encoder the matches are those of stems, 1 or 0, and everything else is the same.
The weights were tuned on the development questions; `make eval` prints the results.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent.retrieval.question import Question
from paperagent.text.injection import looks_like_instruction
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Encoded, Hit, Sentence

RERANK_WEIGHT = 3.0
"""How much a paper's coverage of the question (0 to 1) adds to its retrieval score."""
SINGLE_SENTENCES, COMPARE_SENTENCES, LIST_SENTENCES, MAX_LIST_PAPERS = 4, 3, 2, 6
"""Sentences from the best paper; from each of two compared; from each of a list, and papers in a list."""
LIST_MARGIN, MIN_LIST_PAPERS = 0.6, 3
"""A list contains the papers whose score is within this margin of the best, but at least three."""
FURTHER_PAPERS, FURTHER_MARGIN = 2, 0.4
"""Further papers that add one sentence each to a single answer, if their score is within this margin."""
RELEVANCE_MARGIN = 0.4
"""A sentence is relevant if it scores at most this much below the lowest selected one, in a paper near
the best. Of the gold sentences of 55 development questions .91 are, and of the sentences of other papers
that a model is shown .32 (by words alone .73 and .27)."""
_SNIPPET_LENGTH = 300
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
class PaperMatch:
    """How well one paper matches a question."""

    hit: Hit
    sentences: tuple[Sentence, ...]
    match: NDArray[np.float64]
    """Best match of each question piece in each sentence, shape [sentences, pieces]."""
    title_match: NDArray[np.float64]
    """Best match of each question piece in the title, shape [pieces]."""
    similarity: float
    """Cosine of the question and the closest sentence (or the title); 0 without an encoder."""
    score: float
    """Retrieval score plus weighted coverage, by which papers are reranked."""


@dataclass(frozen=True, slots=True)
class SelectedSentence:
    """A sentence chosen for the answer."""

    paper: int
    """Index of the match."""
    sentence: int
    """Index of the sentence within the abstract."""
    score: float


# --- matching ---


def match_papers(
    question: Question,
    papers: Sequence[tuple[Hit, Sequence[Sentence]]],
    encoded: Sequence[Sequence[Encoded | None]] | None,
) -> list[PaperMatch]:
    """Match a question with papers.

    Args:
        question: The question.
        papers: Each paper's hit and the sentences of its abstract.
        encoded: Per paper the token states of its title and of each sentence. None stands for a
            sentence that was not encoded, which matches nothing. Ignored if the question has no states.
    """
    import numpy as np

    if not papers:
        return []
    if question.encoded is None or encoded is None:
        texts = ([hit.title, *(s.text for s in sentences)] for hit, sentences in papers)
        tables = [np.stack([_stem_match(question, text) for text in paper_texts]) for paper_texts in texts]
        return [
            _paper_match(question, *paper, table, 0.0) for paper, table in zip(papers, tables, strict=True)
        ]
    # One product for all: on a busy machine each product waits for its threads, however small it is.
    table = _late_interaction(question.encoded, [e for states in encoded for e in states])
    tables = np.split(table, np.cumsum([len(states) for states in encoded])[:-1])
    vector = question.encoded.vector
    similarities = [max(float(e.vector @ vector) for e in states if e is not None) for states in encoded]
    return [
        _paper_match(question, *paper, table, similarity)
        for paper, table, similarity in zip(papers, tables, similarities, strict=True)
    ]


def _paper_match(
    question: Question,
    hit: Hit,
    sentences: Sequence[Sentence],
    table: NDArray[np.float64],
    similarity: float,
) -> PaperMatch:
    """Return the match of one paper; ``table`` has shape [1 + sentences, pieces], the title first."""
    coverage = weighted_mean(table.max(axis=0), question.weights)
    score = hit.score + RERANK_WEIGHT * coverage
    return PaperMatch(hit, tuple(sentences), table[1:], table[0], similarity, score)


def _late_interaction(question: Encoded, texts: Sequence[Encoded | None]) -> NDArray[np.float64]:
    """Return the best match of each question piece in each text, shape [texts, pieces]; 0 if not encoded.

    One product for all texts, because many small ones cost five times as much.
    """
    import numpy as np

    table = np.zeros((len(texts), len(question.states)))
    encoded = [(i, e.states) for i, e in enumerate(texts) if e is not None and len(e.states)]
    if encoded and len(question.states):
        cosines = np.concatenate([states for _, states in encoded]) @ question.states.T
        starts = np.cumsum([0, *(len(states) for _, states in encoded[:-1])])
        table[[i for i, _ in encoded]] = np.maximum.reduceat(cosines, starts, axis=0)
    return table


def _stem_match(question: Question, text: str) -> NDArray[np.float64]:
    """Return 1 for each question piece whose stem occurs in the text, else 0, shape [pieces]."""
    import numpy as np

    terms = set(index_terms(text))
    return np.array([float(bool(root) and root in terms) for root in question.piece_stems])


def weighted_mean(match: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the weighted mean of ``match``, both of shape [pieces]; 0 if all weights are 0."""
    total = weights.sum()
    return float((match * weights).sum() / total) if total else 0.0


def rank_matches(matches: Sequence[PaperMatch]) -> list[PaperMatch]:
    """Return the matches by descending score; ties are broken by id."""
    return sorted(matches, key=lambda m: (-m.score, m.hit.paper_id))


def preselect_sentences(question: Question, sentences: Sequence[Sentence], count: int) -> set[int]:
    """Return the indexes of the ``count`` sentences that cover most of the question by stems."""
    coverage = _stem_coverage(question, [s.text for s in sentences])
    ordered = sorted(range(len(sentences)), key=lambda i: (-coverage[i], i))
    return set(ordered[:count])


# --- selecting sentences ---


def select_sentences(question: Question, matches: Sequence[PaperMatch]) -> list[SelectedSentence]:
    """Select the sentences to show from ranked papers: best paper first, within it in abstract order."""
    if question.kind == "compare":
        counts = [COMPARE_SENTENCES] * min(2, len(matches))
    elif question.kind == "list":
        close = _count_close(matches[:MAX_LIST_PAPERS], LIST_MARGIN)
        counts = [LIST_SENTENCES] * max(close, min(MIN_LIST_PAPERS, len(matches)))
    else:
        close = _count_close(matches[: 1 + FURTHER_PAPERS], FURTHER_MARGIN)
        counts = [SINGLE_SENTENCES, *[1] * (close - 1)]
    return [
        SelectedSentence(paper, sentence, score)
        for paper, count in enumerate(counts)
        for sentence, score in sorted(_best_sentences(question, matches[paper], count))
    ]


def relevant_sentences(
    question: Question, matches: Sequence[PaperMatch], paper: PaperMatch
) -> NDArray[np.bool_]:
    """Return which sentences of a paper are relevant to the question, shape [sentences].

    Args:
        question: The question.
        matches: The ranked matches of all papers.
        paper: The match of one paper with all its sentences.
    """
    margin = FURTHER_MARGIN if question.kind == "single" else LIST_MARGIN
    selected = select_sentences(question, matches)
    min_score = min(sentence.score for sentence in selected) - RELEVANCE_MARGIN
    is_close = paper.score >= matches[0].score - margin
    return (sentence_scores(question, paper) >= min_score) & is_close


def _count_close(matches: Sequence[PaperMatch], margin: float) -> int:
    """Return how many of the ranked matches score at most ``margin`` below the first."""
    return sum(m.score >= matches[0].score - margin for m in matches)


def _best_sentences(question: Question, paper: PaperMatch, count: int) -> list[tuple[int, float]]:
    """Select greedily, by a sentence's own score plus its coverage beyond earlier sentences.

    Sentences that give instructions are left out.
    """
    import numpy as np

    scores = sentence_scores(question, paper)
    statements = {i for i, s in enumerate(paper.sentences) if not looks_like_instruction(s.text)}
    remaining = statements or set(range(len(scores)))
    covered = np.zeros(len(question.weights))
    selected: list[tuple[int, float]] = []
    while remaining and len(selected) < count:
        new = np.maximum(paper.match - covered, 0.0) if selected else np.zeros_like(paper.match)
        best = max(remaining, key=lambda i: (scores[i] + weighted_mean(new[i], question.weights), -i))
        remaining.remove(best)
        selected.append((best, float(scores[best])))
        covered = np.maximum(covered, paper.match[best])
    return selected


def sentence_scores(question: Question, paper: PaperMatch) -> NDArray[np.float64]:
    """Score each sentence of a paper, shape [sentences].

    ``3 match + 8 gain + .25 coverage + .35 position - .3 background + .6 number``: match is the
    weighted mean of the pieces' best matches; gain is the amount by which the sentence matches better than
    the paper's other sentences and its title do; position is 0 for the first sentence and 1 for the last.
    """
    import numpy as np

    texts = [s.text for s in paper.sentences]
    n = len(texts)
    total = question.weights.sum() or 1.0
    match: NDArray[np.float64] = paper.match @ question.weights / total
    gain = _gain(paper) @ question.weights / total
    position = np.arange(n) / max(n - 1, 1)
    background = np.array([bool(_BACKGROUND.search(t)) for t in texts], float)
    number = np.array([question.asks_number and bool(re.search(r"\d", t)) for t in texts], float)
    coverage = _stem_coverage(question, texts)
    scores: NDArray[np.float64] = (
        3 * match + 8 * gain + 0.25 * coverage + 0.35 * position - 0.3 * background + 0.6 * number
    )
    if question.kind == "list":
        scores += 0.6 * np.array([_states_own_work(t) for t in texts], float)
    return scores


def _states_own_work(text: str) -> bool:
    """Return whether a sentence says what its authors did."""
    # Two searches, because one pattern with both takes quadratic time on a hostile abstract.
    authors = _AUTHORS.search(text)
    return authors is not None and _WORK.search(text, authors.end()) is not None


def _gain(paper: PaperMatch) -> NDArray[np.float64]:
    """Return how much each sentence exceeds all others and the title, shape [sentences, pieces]."""
    import numpy as np

    match = paper.match
    best = match.max(axis=0)
    second = np.sort(match, axis=0)[-2] if len(match) > 1 else np.zeros_like(best)
    others = np.where(match >= best, second, best)
    gain: NDArray[np.float64] = np.maximum(match - np.maximum(others, paper.title_match), 0.0)
    return gain


def _stem_coverage(question: Question, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the share of the question's content words in each text, by weight, shape [texts]."""
    import numpy as np

    weights = question.content_weights
    total = sum(weights.values())
    if not total:
        return np.zeros(len(texts))
    terms = [set(index_terms(text)) for text in texts]
    return np.array([sum(w for s, w in weights.items() if s in text_terms) / total for text_terms in terms])


def with_snippet(hit: Hit, stem_weights: Sequence[tuple[str, float]]) -> Hit:
    """Return the hit with the sentence that contains most of the query's stems, by their weights.

    Stems are searched for as substrings of the lower-cased sentence: nearly every stem is a prefix of its
    words, and this takes a tenth of the time of stemming every sentence of ten papers.
    """

    def weight(sentence: Sentence) -> float:
        text = sentence.text.lower()
        return sum([weight for stem, weight in stem_weights if stem in text])

    sentences = split_sentences(hit.paper.abstract)
    best = max(sentences, key=weight).text if sentences else ""  # the first of equals
    snippet = best if len(best) <= _SNIPPET_LENGTH else best[: _SNIPPET_LENGTH - 1] + "…"
    return replace(hit, snippet=snippet)
