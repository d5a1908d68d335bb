"""Decide whether to answer at all, by a small logistic regression over signals from the best paper.

The weights were fitted on the development questions, on our own (`eval/cases/answerability.jsonl`) and on
another author's, and on the same questions with their evidence sentences or their papers removed
(`eval/abstention.py`). A name that no paper contains is the clearest sign. "The right paper, but the fact is
absent" is the hardest kind; `retrieval/attributes.py` finds most of those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperagent.answering.answers import closest_passages
from paperagent.retrieval import attributes
from paperagent.retrieval.evidence import PaperMatch, weighted_mean
from paperagent.retrieval.names import Name, is_only_a_word, occurs, written_out
from paperagent.retrieval.question import Question
from paperagent.retrieval.scoring import size_factor
from paperagent.text.terms import index_terms
from paperagent.types import Answer, Citation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WELL_MATCHED = 0.6
"""Match of a word from which on it says nothing against a paper."""
_SIMILAR_WORD = 0.7
"""Match from which on a word says the same as one of the question."""
_UNMATCHED_FOREIGN = 0.05
"""The encoder does not understand other languages: that their words are unmatched says little."""
_MAX_NAMED = 3
"""Missing names that an answer mentions."""
_PAPERS_WITH_NAMES = 5
"""Papers in which a name is looked for in other spellings, such as written out."""
_MIN_TOPIC_SIMILARITY = 0.25
"""If the closest sentence is less similar than this, the library has nothing on the topic."""
_MIN_TOPIC_COVERAGE = 0.6
"""A paper that covers this much of the question is on topic even if no sentence is similar."""


@dataclass(frozen=True, slots=True)
class AnswerabilitySignals:
    """Signals that distinguish answerable questions from those that the library cannot answer."""

    similarity: float
    """Cosine of the question and the closest sentence of the best paper."""
    number_fit: float
    """If the question asks for a number: match of the things counted with sentences that contain numbers,
    minus .75; otherwise 0.
    """
    agree: float
    """1 if words and vectors put the same paper first."""
    coverage: float
    """Weighted share of the question that the best paper matches."""
    gap: float
    """Lead of the best paper's score over the next five, before reranking."""
    missing_name: float
    """1 if the question contains a name that no paper contains."""
    attribute_absent: float
    """1 if the question asks for something, such as a cost, of which the best paper has no words."""
    count_match: float
    """1 if the best paper counts what the question asks to count, -1 if not, 0 for other questions."""
    unmatched: float
    """Weighted mean of how far the matches of the question's words in the best paper fall short of .6."""
    lead: float
    """Lead of the best paper's coverage over that of all others. It is large if the question names a paper,
    whether that paper answers it or not.
    """
    sentence: float
    """Weighted mean of the question's matches in the one sentence of the best paper that matches most."""
    absent_word: float
    """How far the match of the least matched topic word that the best paper lacks falls short of .7."""

    def as_dict(self) -> Mapping[str, float]:
        """Return the signals by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def answerability_signals(
    question: Question, matches: Sequence[PaperMatch], *, indexes_agree: bool, gap: float
) -> AnswerabilitySignals:
    """Return the signals for a question.

    Args:
        question: The question.
        matches: Reranked papers, best first.
        indexes_agree: Whether words and vectors put the same paper first.
        gap: Lead of the best paper before reranking.
    """
    import numpy as np

    best = matches[0]
    match = best.match.max(axis=0)
    unexplained = question.weights * np.clip(1 - best.title_match, 0, 1)
    missing = names_missing(question, matches)
    if question.is_follow_up:
        missing += _names_lacked(question, best)
    covered = np.maximum(match, best.title_match)
    coverage = weighted_mean(covered, question.weights)
    sentences = [s.text for s in best.sentences]
    return AnswerabilitySignals(
        missing_name=float(any(n.is_certain for n in missing)),
        attribute_absent=float(attributes.lacks_attribute(question.text, best.hit.title, sentences)),
        similarity=best.similarity,
        number_fit=_number_fit(question, best, unexplained),
        agree=float(indexes_agree),
        coverage=coverage,
        count_match=attributes.count_match(question.text, sentences) if question.asks_number else 0.0,
        unmatched=_UNMATCHED_FOREIGN
        if question.is_foreign
        else weighted_mean(np.clip(_WELL_MATCHED - covered, 0, None), question.weights),
        lead=coverage - max((_coverage(question, m) for m in matches[1:]), default=0.0),
        gap=gap,
        sentence=float((best.match @ question.weights).max()) / float(question.weights.sum()),
        absent_word=0.0 if question.is_foreign else _absent_word(question, best, covered),
    )


def _absent_word(question: Question, paper: PaperMatch, covered: NDArray[np.float64]) -> float:
    """Return how far the least matched topic word without its stem in a paper falls short of .7, or 0."""
    present = set(index_terms(" ".join([paper.hit.title, *(s.text for s in paper.sentences)])))
    pieces = zip(question.piece_stems, covered.tolist(), strict=True)
    matches = [m for s, m in pieces if s in question.content_weights and s not in present]
    return max(0.0, _SIMILAR_WORD - min(matches, default=1.0))


def _names_lacked(question: Question, paper: PaperMatch) -> list[Name]:
    """Return the certain names in a question that a paper lacks."""
    text = f"{paper.hit.title}. {paper.hit.paper.abstract}"
    return [
        n
        for n in question.names
        if n.is_certain
        and n.key not in attributes.COMMON_ACRONYMS
        and not occurs(n, [text])
        and not written_out(n.text.upper(), text)
    ]


def _coverage(question: Question, paper: PaperMatch) -> float:
    """Return the weighted share of the question that a paper matches."""
    import numpy as np

    return weighted_mean(np.maximum(paper.match.max(axis=0), paper.title_match), question.weights)


def names_missing(question: Question, matches: Sequence[PaperMatch]) -> list[Name]:
    """Return the names in a question that no paper contains, nor the best papers in another spelling."""
    texts = [f"{m.hit.title}. {m.hit.paper.abstract}" for m in matches[:_PAPERS_WITH_NAMES]]
    words_only = [n for n in question.names if n.is_certain and is_only_a_word(n, texts)]
    return [n for n in question.missing if not occurs(n, texts)] + words_only


def abstain(
    question: Question,
    cited: tuple[Citation, ...],
    signals: AnswerabilitySignals,
    confidence: float,
    missing: str,
) -> Answer:
    """Return an abstention, which names what is missing and quotes the closest passages on the topic."""
    missing = missing[:1].upper() + missing[1:]
    is_on_topic = signals.similarity >= _MIN_TOPIC_SIMILARITY or signals.coverage >= _MIN_TOPIC_COVERAGE
    if not (is_on_topic or question.is_follow_up):
        text = f"The abstracts do not say. {missing or 'Nothing in the library is about this'}."
        return Answer(question.text, "abstained", "no_evidence", text, confidence=confidence)
    text = (
        f"The abstracts do not say. {missing or 'No sentence found answers this'}.{closest_passages(cited)}"
    )
    return Answer(
        question.text, "abstained", "not_in_abstracts", text, citations=cited, confidence=confidence
    )


def is_unknown(question: Question) -> bool:
    """Return whether no word of an English question occurs in the library, such as "asdf".

    A follow-up, such as "why?", needs no word of its paper.
    """
    if question.is_foreign or question.is_follow_up:
        return False
    return not any(question.query.stats.frequency.get(root) for root in question.query.stems)


def describe_missing(names: Sequence[Name]) -> str:
    """Return a phrase such as ``no paper here mentions “LoRA”``; an empty string without names."""
    certain = [n.text for n in names if n.is_certain] or [n.text for n in names]
    quoted = " or ".join(f"“{name}”" for name in certain[:_MAX_NAMED])
    return f"no paper here mentions {quoted}" if quoted else ""


def _number_fit(question: Question, paper: PaperMatch, unexplained: NDArray[np.float64]) -> float:
    if not question.asks_number:
        return 0.0
    counts = bool(attributes.counted_noun(question.text))
    with_number = [i for i, s in enumerate(paper.sentences) if attributes.has_number(s.text, counts=counts)]
    focus = question.weights * question.counted
    if question.is_follow_up and not focus.sum() and with_number:  # "how large is it?"
        return 0.0
    focus = focus if focus.sum() else unexplained
    return max((weighted_mean(paper.match[i], focus) for i in with_number), default=0.0) - 0.75


_ENCODER_WEIGHTS = {
    "similarity": 4.38,
    "unmatched": -21.05,
    "number_fit": 4.2,
    "count_match": 1.11,
    "agree": 0.74,
    "lead": -3.42,
    "missing_name": -2.29,
    "attribute_absent": -3.5,
}
_ENCODER_BIAS = -0.83
_FOLLOW_UP_WEIGHTS = {
    "sentence": 2.8,
    "number_fit": 3.95,
    "count_match": 1.4,
    "attribute_absent": -4.3,
    "missing_name": -3.0,
    "absent_word": -2.9,
}
_FOLLOW_UP_BIAS = -0.84
"""For a follow-up whose paper is known: its few words say little about similarity, and nothing about how well
the paper was found. Fitted on conversations in English, and on the same questions with the sentences that
answer them removed."""
FOLLOW_UP_FACTOR = 1 / 3
"""Factor on the threshold below which such a follow-up is not answered. Above it, the closest sentences are
shown, with the caveat."""
_STEM_WEIGHTS = {
    "coverage": 2.44,
    "gap": 1.46,
    "count_match": 1.88,
    "missing_name": -3.5,
    "attribute_absent": -3.24,
}
_STEM_BIAS = -0.98


def confidence(signals: AnswerabilitySignals, *, encoder: bool, follow_up: bool = False) -> float:
    """Return the estimated probability, 0 to 1, that the library contains the answer.

    Args:
        signals: The signals.
        encoder: Whether they come from an encoder rather than from stems.
        follow_up: Whether the question refers to the best paper, which was cited earlier.
    """
    weights, bias = (_ENCODER_WEIGHTS, _ENCODER_BIAS) if encoder else (_STEM_WEIGHTS, _STEM_BIAS)
    if encoder and follow_up:
        weights, bias = _FOLLOW_UP_WEIGHTS, _FOLLOW_UP_BIAS
    values = signals.as_dict()
    return 1 / (1 + math.exp(-(bias + sum(w * values[n] for n, w in weights.items()))))


_ABSTAIN_BELOW = {True: (0.18, 0.33), False: (0.28, 0.39)}
"""With an encoder, and by stems alone: in a small and in a large library."""
_DOUBT_BELOW = {True: (0.28, 0.46), False: (0.36, 0.48)}
_MAX_THRESHOLD = 1.01
"""Above any confidence, so that no question is answered."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The confidence that an answer needs. The defaults were fitted on the development questions."""

    abstain_below: float = 0.18
    """Below this, the answer is "the abstracts do not say"."""
    doubt_below: float = 0.28
    """Below this, the answer is ``doubtful``: only the closest passages, after a caveat."""

    @classmethod
    def default(cls, papers: int, *, encoder: bool) -> Thresholds:
        """Return the thresholds of a library that was not calibrated.

        In a larger library, more papers are close to a question by chance. With an earlier fit of the
        confidence, a threshold whose odds are 2.2 times as high withheld .83 of the answers to 30 everyday
        questions among 75,000 papers, instead of half (`eval/sizes.py`). The same factor is used here.
        """
        factor = size_factor(papers)
        abstain, doubt = (
            small + factor * (large - small)
            for small, large in (_ABSTAIN_BELOW[encoder], _DOUBT_BELOW[encoder])
        )
        return cls(abstain, doubt)

    @classmethod
    def from_dict(cls, stored: Any) -> Thresholds | None:
        """Return the thresholds that `to_dict` stored; None for anything else."""
        values: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
        low, high = (_parse_threshold(values.get(name)) for name in ("abstain_below", "doubt_below"))
        return None if low is None or high is None or low > high else cls(low, high)

    def to_dict(self) -> dict[str, float]:
        """Return the thresholds as JSON-ready values."""
        return {"abstain_below": self.abstain_below, "doubt_below": self.doubt_below}


def _parse_threshold(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value <= _MAX_THRESHOLD else None


def setting_name(*, encoder: bool) -> str:
    """Return the name of the library's setting for its calibrated thresholds."""
    return "abstention_read" if encoder else "abstention_stems"
