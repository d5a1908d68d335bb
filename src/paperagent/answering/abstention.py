"""Decide whether to answer at all, by a small logistic regression over signals from the best paper.

Weights were fitted on the development questions, on the same questions with their evidence
sentences or their papers removed, and on PubMedQA and SciFact with and without the gold
paper in libraries of 150 to 5,183 abstracts (`eval/abstention.py`). Off-topic questions and
absent papers separate well. "The right paper, but the fact is absent" hardly does without a
language model, so a doubtful answer is worded as "closest passages".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperagent.retrieval.evidence import PaperMatch, weighted_mean
from paperagent.retrieval.question import Question
from paperagent.retrieval.scoring import size_factor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|billion|half|twice|double"
    r"|order of magnitude)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AnswerabilitySignals:
    """Signals that distinguish answerable questions from those that the library cannot answer."""

    similarity: float
    """Cosine of the question and the closest sentence of the best paper."""
    weakest: float
    """Match of the question's worst-matched word among those that the title does not explain."""
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
    hard = unexplained > np.median(unexplained) if len(unexplained) > 1 else np.ones(1, bool)
    return AnswerabilitySignals(
        similarity=best.similarity,
        weakest=float(match[hard].min()) if hard.any() else float(match.min()),
        number_fit=_number_fit(question, best, unexplained),
        agree=float(indexes_agree),
        coverage=weighted_mean(np.maximum(match, best.title_match), question.weights),
        gap=gap,
    )


def _number_fit(question: Question, paper: PaperMatch, unexplained: NDArray[np.float64]) -> float:
    if not question.asks_number:
        return 0.0
    focus = question.weights * question.counted
    if question.is_follow_up and not focus.sum():  # "how large is it?"
        return 0.0
    focus = focus if focus.sum() else unexplained
    with_number = [i for i, s in enumerate(paper.sentences) if _NUMBER.search(s.text)]
    return max((weighted_mean(paper.match[i], focus) for i in with_number), default=0.0) - 0.75


_ENCODER_WEIGHTS = {"similarity": 5.29, "weakest": 3.28, "number_fit": 3.50, "agree": 1.10}
_ENCODER_BIAS = -4.77
_STEM_WEIGHTS = {"coverage": 2.91, "gap": 4.24}
_STEM_BIAS = -2.12


def confidence(signals: AnswerabilitySignals, *, encoder: bool) -> float:
    """Return the estimated probability, 0 to 1, that the library contains the answer.

    Args:
        signals: The signals.
        encoder: Whether they come from an encoder rather than from stems.
    """
    weights, bias = (_ENCODER_WEIGHTS, _ENCODER_BIAS) if encoder else (_STEM_WEIGHTS, _STEM_BIAS)
    values = signals.as_dict()
    return 1 / (1 + math.exp(-(bias + sum(w * values[n] for n, w in weights.items()))))


_ABSTAIN_BELOW = {True: (0.13, 0.25), False: (0.20, 0.30)}
"""With an encoder, and by stems alone: in a small and in a large library."""
_MAX_THRESHOLD = 1.01
"""Above any confidence, so that no question is answered."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The confidence that an answer needs. The defaults were fitted on the development questions."""

    abstain_below: float = 0.13
    """Below this, the answer is "the abstracts do not say"."""
    doubt_below: float = 0.35
    """Below this, the answer is marked as only the closest passages."""

    @classmethod
    def default(cls, papers: int, *, encoder: bool) -> Thresholds:
        """Return the thresholds of a library that was not calibrated.

        In a larger library, more papers are close to a question by chance. A threshold of .13 abstains from
        .93 of 30 everyday questions in a library of 153 papers, but only from .47 in one of 75,000. There,
        .25 abstains from .83, and costs six more good answers of 32. A million papers behave the same
        (`eval/sizes.py`).
        """
        small, large = _ABSTAIN_BELOW[encoder]
        return cls(abstain_below=small + size_factor(papers) * (large - small))

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
