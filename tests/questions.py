"""Analysed questions and matches, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fake_encoder import FakeEncoder
from paperagent.retrieval.evidence import PaperMatch, match_papers
from paperagent.retrieval.question import Question
from paperagent.retrieval.scoring import CorpusStats, SearchQuery, query_stems
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms
from paperagent.types import Hit, Paper

PAPERS = math.e - 1
"""Size of a library in which a word that no paper contains has the weight ln(1 + N) = 1."""


def analyzed(
    text: str, encoder: FakeEncoder | None = None, *, weights: Mapping[str, float] | None = None
) -> Question:
    """Return a question whose words have the ``weights`` by stem, 1 where none is given."""
    frequency = {stem: PAPERS / (math.exp(w) - 1) - 1 for stem, w in (weights or {}).items()}
    stats = CorpusStats(PAPERS, 1.0, frequency)  # type: ignore[arg-type]
    encoded = encoder.encode([text])[0] if encoder else None
    query = SearchQuery(tuple(query_stems(text)), None, stats)
    return Question(text, tuple(index_terms(text)), query, encoded)


def hit(abstract: str, title: str = "A title", *, paper_id: str = "p", score: float = 1.0) -> Hit:
    """Return a hit for a paper with this abstract."""
    return Hit(Paper(paper_id, title, abstract), score, 1)


def matched(question: Question, found: Hit, encoder: FakeEncoder | None = None) -> PaperMatch:
    """Return the match of one paper, all of whose sentences are encoded if there is an encoder."""
    sentences = split_sentences(found.paper.abstract)
    texts = [found.title, *(s.text for s in sentences)]
    return match_papers(question, [(found, sentences)], [encoder.encode(texts)] if encoder else None)[0]
