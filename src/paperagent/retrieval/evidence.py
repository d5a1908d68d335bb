"""Match papers with a question, without a language model.

Late interaction (Khattab & Zaharia 2020, arXiv:2004.12832): each word piece of the question
looks for its best match among the word pieces of a sentence, by the cosine of their token
states. That one matrix of matches, weighted by how rare each word is, gives the reranking of the
papers, in `sentence_selection` the choice of sentences, and in `abstention` whether to answer.

Without an encoder the matches are those of stems, 1 or 0, and everything else is the same.
The weights were tuned on the development questions; `make eval` prints the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent.retrieval.names import find_acronyms, written_out
from paperagent.retrieval.question import Question
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Encoded, Hit, Sentence

RERANK_WEIGHT = 3.0
"""How much a paper's coverage of the question (0 to 1) adds to its retrieval score."""
_SNIPPET_LENGTH = 300
_ACRONYM_MATCH = 0.9
"""Match of an acronym and its long form."""


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
    _match_acronyms(question, [hit.title, *(s.text for s in sentences)], table)
    coverage = weighted_mean(table.max(axis=0), question.weights)
    score = hit.score + RERANK_WEIGHT * coverage
    return PaperMatch(hit, tuple(sentences), table[1:], table[0], similarity, score)


def _match_acronyms(question: Question, texts: Sequence[str], table: NDArray[np.float64]) -> None:
    """Match the acronyms of the question with texts that write them out, and the other way round."""
    acronyms = find_acronyms(question.text)
    for row, text in zip(table, texts, strict=True):
        spans = [(start, end) for acronym, start, end in acronyms if written_out(acronym, text)]
        spans += [span for acronym, *_ in find_acronyms(text) for span in written_out(acronym, question.text)]
        for i, (start, end) in enumerate(question.spans if spans else ()):
            if any(low <= start and end <= high for low, high in spans):
                row[i] = max(row[i], _ACRONYM_MATCH)


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
    """Return the hit with the sentence that contains the most of the query's stems, by weight.

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
