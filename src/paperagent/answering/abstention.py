"""Decide whether to answer at all, by a small logistic regression over signals from the best paper.

The weights were fitted on the development questions and half of our own
(`eval/cases/answerability.jsonl`), and on the same questions with their evidence sentences or their papers
removed (`eval/abstention.py`). A name that no paper contains is the clearest sign. "The right paper, but the
fact is absent" is the hardest kind: a short list of attributes, such as a cost or a license, of which the
best paper has no word, finds many of those.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperagent.retrieval.evidence import PaperMatch, weighted_mean
from paperagent.retrieval.names import Name, occurs
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


_MAX_NAMED = 3
"""Missing names that an answer mentions."""
_PAPERS_WITH_NAMES = 5
"""Papers in which a name is looked for in other spellings, such as written out."""


def _attribute(in_question: str, in_paper: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(rf"\b(?:{in_question})", re.IGNORECASE), re.compile(in_paper, re.IGNORECASE)


_ATTRIBUTES = (
    _attribute(r"(?:learning rate|step size)s?\b", r"learning rate|step size"),
    _attribute(r"batch size", r"batch"),
    _attribute(r"optimi[sz]er|warm-?up\b", r"optimi[sz]er|\badam|\bsgd\b|warm-?up"),
    _attribute(r"epochs?\b", r"epoch"),
    _attribute(r"(?:what|which) (?:sampling )?temperature", r"temperature"),
    _attribute(r"random seeds?\b", r"\bseeds?\b"),
    _attribute(r"(?:how many|number of) (?:\w+ )?layers", r"layer"),
    _attribute(r"licen[sc]ed?\b", r"licen[sc]e|apache|creative commons"),
    _attribute(
        r"how much .{0,40}\b(?:costs?|dollars?|paid)\b|in (?:us )?dollars|how expensive",
        r"[$€£]|dollar|\busd\b|cost|price|cheap|expensive|budget|saving",
    ),
    _attribute(
        r"hardware|(?:how many|number of|which) (?:gpu|tpu)s?\b|[gt]pu.hours",
        r"\b[gt]pu|hardware|\b[avh]100\b",
    ),
    _attribute(r"memory footprint|how much (?:gpu )?memory|vram", r"memory|\b[gm]i?b\b"),
    _attribute(
        r"(?:how many|number of|amount of) parameters|parameter count|model size"
        r"|how (?:large|big) (?:is|was|are|were) (?:the|their|its) \w*\s?models?\b",
        r"\d\s?[bm]\b|\d.{0,20}parameters|billion|million",
    ),
    _attribute(
        r"affiliat|which (?:universit|institut|lab|company|companies)|authors? of",
        r"universit|institut|affiliat|\blabs?\b|compan",
    ),
    _attribute(r"(?:what|which) year|when (?:was|were) \w+ (?:published|released)", r"\b(?:19|20)\d\d\b"),
    _attribute(
        r"latency|throughput|how fast|inference time|how long (?:does|did) (?:it|the|training)",
        r"latenc|speed|fast|seconds?\b|minutes?\b|hours?\b|\bdays?\b|time|throughput",
    ),
    _attribute(
        r"percentage|what (?:share|fraction|proportion)", r"%|percent|fraction|\bhalf\b|third|quarter|\d\.\d"
    ),
    _attribute(r"kappa|(?:inter-?)?(?:rater|annotator)s?'? agreement", r"kappa|agreement|correlat"),
    _attribute(r"population size", r"population"),
    _attribute(r"carbon|emissions|energy (?:use|consumption)", r"carbon|emission|energy|watt"),
)
"""What a question asks for, and the words of which a paper that answers it has at least one."""


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
    missing_name: float
    """1 if the question contains a name that no paper contains."""
    unknown_word: float
    """1 if the question contains another rare word that no paper contains."""
    attribute_absent: float
    """1 if the question asks for something, such as a cost, of which the best paper has no words."""

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
    missing = names_missing(question, matches)
    return AnswerabilitySignals(
        missing_name=float(any(n.is_certain for n in missing)),
        unknown_word=float(any(not n.is_certain for n in missing)),
        attribute_absent=float(not _says_attribute(question.text, best)),
        similarity=best.similarity,
        weakest=float(match[hard].min()) if hard.any() else float(match.min()),
        number_fit=_number_fit(question, best, unexplained),
        agree=float(indexes_agree),
        coverage=weighted_mean(np.maximum(match, best.title_match), question.weights),
        gap=gap,
    )


def names_missing(question: Question, matches: Sequence[PaperMatch]) -> list[Name]:
    """Return the names in a question that no paper contains, nor the best papers in another spelling."""
    texts = [f"{m.hit.title}. {m.hit.paper.abstract}" for m in matches[:_PAPERS_WITH_NAMES]]
    return [name for name in question.missing if not occurs(name, texts)]


def describe_missing(names: Sequence[Name]) -> str:
    """Return what the library lacks, such as ``no paper here mentions “LoRA”``; empty without names."""
    certain = [n.text for n in names if n.is_certain] or [n.text for n in names]
    quoted = " or ".join(f"“{name}”" for name in certain[:_MAX_NAMED])
    return f"no paper here mentions {quoted}" if quoted else ""


def _says_attribute(question: str, paper: PaperMatch) -> bool:
    """Return whether a paper has words for everything in `_ATTRIBUTES` that a question asks for."""
    text = f"{paper.hit.title}. {paper.hit.paper.abstract}"
    return all(words.search(text) for attribute, words in _ATTRIBUTES if attribute.search(question))


def _number_fit(question: Question, paper: PaperMatch, unexplained: NDArray[np.float64]) -> float:
    if not question.asks_number:
        return 0.0
    focus = question.weights * question.counted
    if question.is_follow_up and not focus.sum():  # "how large is it?"
        return 0.0
    focus = focus if focus.sum() else unexplained
    with_number = [i for i, s in enumerate(paper.sentences) if _NUMBER.search(s.text)]
    return max((weighted_mean(paper.match[i], focus) for i in with_number), default=0.0) - 0.75


_ENCODER_WEIGHTS = {
    "similarity": 6.18,
    "weakest": 1.74,
    "number_fit": 2.94,
    "agree": 1.03,
    "gap": -2.42,
    "missing_name": -3.16,
    "attribute_absent": -2.32,
    "unknown_word": -0.74,
}
_ENCODER_BIAS = -3.67
_FOLLOW_UP_WEIGHTS = {"coverage": 2.4, "number_fit": 1.3, "attribute_absent": -2.5, "missing_name": -2.0}
_FOLLOW_UP_BIAS = -1.2
"""For a follow-up whose paper is known: its few words say little about similarity, and nothing about how well
the paper was found. Fitted on conversations, and on their questions asked about papers of other ones."""
_STEM_WEIGHTS = {"coverage": 2.33, "gap": 1.36, "missing_name": -2.20, "attribute_absent": -2.83}
_STEM_BIAS = -1.30


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


_ABSTAIN_BELOW = {True: (0.20, 0.36), False: (0.24, 0.34)}
"""With an encoder, and by stems alone: in a small and in a large library."""
_DOUBT_BELOW = {True: (0.27, 0.45), False: (0.32, 0.42)}
_MAX_THRESHOLD = 1.01
"""Above any confidence, so that no question is answered."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The confidence that an answer needs. The defaults were fitted on the development questions."""

    abstain_below: float = 0.20
    """Below this, the answer is "the abstracts do not say"."""
    doubt_below: float = 0.27
    """Below this, the answer is ``doubtful``: only the closest passages, after a caveat."""

    @classmethod
    def default(cls, papers: int, *, encoder: bool) -> Thresholds:
        """Return the thresholds of a library that was not calibrated.

        In a larger library, more papers are close to a question by chance. With an earlier fit of the
        confidence, the threshold of a small library let half of 30 everyday questions through among 75,000
        papers, and one whose odds are 2.2 times as high caught .83 of them (`eval/sizes.py`). The same
        factor is used here.
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
