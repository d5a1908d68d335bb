"""Whether to answer at all: signals from the best paper, and a small logistic over them.

Weights were fitted on the development questions, on the same questions with their evidence
sentences or their papers taken away, and on PubMedQA and SciFact with and without the gold
paper in libraries of 150 to 5,183 abstracts (`eval/abstention.py`). Off-topic questions and
absent papers separate well; "the right paper, but the fact is absent" hardly does without a
reading model, so a doubtful answer is worded as "closest passages".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperagent.retrieval.evidence import Reading, weighted
from paperagent.retrieval.question import Question
from paperagent.retrieval.scoring import largeness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBER = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|billion|half|twice|double"
    r"|order of magnitude)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Signals:
    """What tells an answerable question from one that the library cannot answer."""

    similarity: float
    """Cosine of the question and the closest sentence of the best paper."""
    weakest: float
    """Match of the question's worst-matched word among those that the title does not explain."""
    number_fit: float
    """For a question that asks for a number: match of what is counted with sentences that
    hold numbers, minus .75; else 0."""
    agree: float
    """1 where the lexical and the vector side put the same paper first."""
    coverage: float
    """Weighted share of the question matched by the best paper."""
    gap: float
    """How far the best paper stands above the next five, before reading."""

    def named(self) -> Mapping[str, float]:
        """Return the signals by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def signals(question: Question, readings: Sequence[Reading], *, agree: bool, gap: float) -> Signals:
    """Return the abstention signals; ``readings`` are ranked, best first."""
    import numpy as np

    best = readings[0]
    reach = best.match.max(axis=0)
    unexplained = question.weights * np.clip(1 - best.title_match, 0, 1)
    hard = unexplained > np.median(unexplained) if len(unexplained) > 1 else np.ones(1, bool)
    return Signals(
        similarity=best.similarity,
        weakest=float(reach[hard].min()) if hard.any() else float(reach.min()),
        number_fit=_number_fit(question, best, unexplained),
        agree=float(agree),
        coverage=weighted(np.maximum(reach, best.title_match), question.weights),
        gap=gap,
    )


def _number_fit(question: Question, reading: Reading, unexplained: NDArray[np.float64]) -> float:
    if not question.asks_number:
        return 0.0
    focus = question.weights * question.counted
    focus = focus if focus.sum() else unexplained
    with_number = [i for i, s in enumerate(reading.sentences) if _NUMBER.search(s.text)]
    return max((weighted(reading.match[i], focus) for i in with_number), default=0.0) - 0.75


_READ = {"similarity": 5.29, "weakest": 3.28, "number_fit": 3.50, "agree": 1.10}
_READ_BIAS = -4.77
_STEMS = {"coverage": 2.91, "gap": 4.24}
_STEMS_BIAS = -2.12


def confidence(found: Signals, *, encoder: bool) -> float:
    """Return the estimated chance, 0 to 1, that the library holds the answer (a small logistic)."""
    weights, bias = (_READ, _READ_BIAS) if encoder else (_STEMS, _STEMS_BIAS)
    values = found.named()
    return 1 / (1 + math.exp(-(bias + sum(w * values[n] for n, w in weights.items()))))


_LOWEST = {True: (0.13, 0.25), False: (0.20, 0.30)}
"""With an encoder, and by words alone: in a small and in a large library."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What confidence an answer needs. The defaults were fitted on the development questions."""

    abstain_below: float = 0.13
    """Below it the answer is "the abstracts do not say"."""
    doubt_below: float = 0.35
    """Below it an answer says that it is only the closest passages."""

    @classmethod
    def usual(cls, papers: int, *, encoder: bool) -> Thresholds:
        """Return what a library of so many papers needs that was not calibrated.

        Of more papers one comes closer by chance. Of 30 everyday questions .13 keeps back .93 in a library of
        153 papers and .47 in one of 75,000, where .25 keeps back .83 at the price of six more good answers
        of 32; a million papers behave alike (`eval/sizes.py`).
        """
        small, large = _LOWEST[encoder]
        return cls(abstain_below=small + largeness(papers) * (large - small))

    @classmethod
    def of(cls, kept: Any) -> Thresholds | None:
        """Return what `to_dict` made; None where it is anything else."""
        found: Mapping[str, Any] = kept if isinstance(kept, Mapping) else {}
        low, high = (_share(found.get(name)) for name in ("abstain_below", "doubt_below"))
        return None if low is None or high is None or low > high else cls(low, high)

    def to_dict(self) -> dict[str, float]:
        """Return the thresholds as JSON-ready values."""
        return {"abstain_below": self.abstain_below, "doubt_below": self.doubt_below}


def _share(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value <= _MOST else None


_MOST = 1.01
"""More than any confidence: keeps everything back."""


def kept_as(*, encoder: bool) -> str:
    """Return the library's setting that keeps the thresholds of one of the two signals."""
    return "abstention_read" if encoder else "abstention_stems"
