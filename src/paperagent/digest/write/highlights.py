"""Find the sentences of an abstract that state the problem, what is new, and the result. Uses no model.

Each sentence is scored for each role by features of its text (authors acting, results, numbers,
background, asides) and its position. The weights of `new` were fitted as a conditional logit on 89
labeled abstracts; `eval/highlights.py` measures the agreement with human choices on these and
on 38 others. A sentence that stands alone does not open with a reference to an earlier one
(`discourse`), unless no sentence of the abstract is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paperagent.text import cues
from paperagent.text.discourse import refers_back, standalone
from paperagent.text.sentences import split_sentences
from paperagent.text.statements import is_statement
from paperagent.text.terms import index_terms
from paperagent.types import Paper, Sentence

_BETTER = cues.pattern(
    r"""\b(?:outperform|surpass|exceed|improv|reduc|increas|achiev|faster|state-of-the-art|sota
    |compared\ (?:to|with)|speed-?up|gains?|accura\w+|higher|lower|better|superior)"""
)
_NUMBER = cues.pattern(r"(?<![\w.-])[+-]?\d[\d,]*(?:\.\d+)?(?:\s?\\?%|x\b|\\times|×|-fold|\b)")
_MEASURE = cues.pattern(
    r"""\d\s?\\?%|\d\s?(?:x|×|\\times|\$\\times)|\d-fold|\bpercent\b|\d+\.\d+|\d,\d{3}
    |\d\s?(?:[KMB]|million|billion|hours?|seconds?|ms|points?|times|fold|orders?)\b"""
)
_DEPENDENT = cues.pattern(
    r"""\A\W*(?:it|they|them|these|those|this|that|such|its|their|to\ (?:address|tackle|solve|overcome
    |mitigate|bridge|fill|this\ end)|hence|thus|therefore|consequently|as\ a\ result|specifically
    |in\ particular|furthermore|moreover|additionally|in\ addition|then|next|finally|also
    |second(?:ly)?|third(?:ly)?|first(?:ly)?|for\ (?:example|instance)|the\ (?:former|latter))\b"""
)
_VAGUE = cues.pattern(
    r"""\b(?:competitive\ (?:performance|results)|effectiveness|superiority|efficacy|feasibility
    |promising\ results|future\ (?:work|research|directions)|implications|pav\w+\ the\ way
    |potential\ (?:of|for|to)|shed\w*\ light|we\ (?:hope|believe|discuss|conclude)|envision|plan\ to|will\ be
    |insights?|opens?\ (?:up\ )?new|contributes?\ to|highlights?\ the\ (?:importance|need|potential))\b"""
)
_CONTINUES = cues.pattern(
    r"""\A\W*(?:also|additionally|furthermore|moreover|in\ addition|besides|finally|lastly|then|next
    |second(?:ly)?|third(?:ly)?|notably|meanwhile|concurrently|in\ summary|overall)\b
    |\b(?:we|it|this\ \w+)\ (?:also|further|additionally|then|next|finally)\b
    |\b(?:further|also)\ (?:show|demonstrat|reveal)"""
)
_DETAIL = cues.pattern(
    r"""\A\W*(?:specifically|in\ particular|concretely|first|for\ (?:example|instance)
    |to\ (?:evaluate|demonstrate|judge|support|ensure|train|enable|further|investigate|assess))\b
    |\bconsists?\ of\b|\b(?:key|main|core|novel)\ (?:components?|modules?|parts?|stages?)\b"""
)
_OWN = cues.pattern(
    r"""\b(?:we|our|ours|this\ (?:\w{1,20}\ )?(?:paper|work|study|article|research|report|survey)
    |the\ authors?|the\ (?:present\ )?study|(?:is|are)\ (?:introduced|proposed|presented|described))\b"""
)
_CUT_OFF = cues.pattern(r"(?:[:,;]|\b(?:follows|following))\s*\W?\Z")
_FEW_WORDS, _MANY_WORDS, _MAX_NAME_WORDS = 8, 45, 3
_FIRST_HALF = 0.5
_SUMMARY_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Highlights:
    """The sentences of one abstract that represent it."""

    new: Sentence
    """What the authors did or found: the best sentence about the paper that can be read alone."""
    offer: Sentence
    """What the authors made or studied."""
    result: Sentence | None
    """The result; None if no sentence besides the two states one."""
    problem: Sentence | None
    """The problem that the paper addresses."""
    alone: tuple[Sentence, ...]
    """The sentences that can be read alone, best first, without lead-ins that refer to an earlier sentence.
    If there are none, all sentences."""
    headlines: tuple[Sentence, ...]
    """Those of them that say in at most 45 words what was made or found, without announcing or praising, and
    not what was known before."""
    others: tuple[Sentence, ...] = ()
    """The sentences that are none of the above, most informative first."""

    @property
    def summary(self) -> tuple[Sentence, ...]:
        """At most three sentences: problem, offer and result, or another sentence for a missing one."""
        result = self.result if self.new is self.offer else self.new
        chosen = [s for s in (self.problem, self.offer, result) if s is not None]
        others = [s for s in self.others if s not in chosen]
        return tuple([*chosen, *others][:_SUMMARY_SENTENCES])

    def headline(self, used: Sequence[Sentence]) -> Sentence | None:
        """Return the sentence for an overview: what was made, or else what was found.

        Args:
            used: Sentences that the same mail shows elsewhere.
        """
        indexes = {s.index for s in used}
        return next((s for s in self.headlines if s.index not in indexes), None)


@dataclass(frozen=True, slots=True)
class _Features:
    """The features of one sentence; a boolean feature is 1 or 0."""

    presents: float
    finds: float
    acts: float
    own: float
    """About the authors' own work."""
    better: float
    number: float
    measure: float
    background: float
    problem: float
    dependent: float
    aside: float
    vague: float
    short: float
    long: float
    cut_off: float
    continues: float
    detail: float
    gain: float
    name: float
    title: float
    position: float
    first: float
    context: float
    """Before the first sentence about the authors' own work."""


_Weights = dict[str, float]

_NEW: _Weights = {
    "presents": 1.8, "finds": 1.9, "acts": 2.1, "better": 0.3, "number": 1.0, "measure": 2.6, "gain": 2.7,
    "background": 0.0, "problem": -0.4, "dependent": -0.3, "aside": -3.0, "vague": -1.2, "short": -1.0,
    "long": -0.3, "cut_off": -2.0, "continues": -1.0, "detail": -0.9, "name": 0.9, "title": 2.2,
    "position": -0.7, "first": -0.6, "context": -1.0,
}  # fmt: skip
_OFFER: _Weights = {
    **_NEW, "presents": 4.0, "finds": -1.5, "acts": 2.0, "measure": 0.0, "number": 0.0, "better": 0.0,
    "gain": -1.0,
}  # fmt: skip
_RESULT: _Weights = {
    **_NEW, "presents": -2.0, "acts": 0.0, "better": 1.0, "title": 0.5, "position": 1.5, "continues": 0.0,
    "detail": -0.5,
}  # fmt: skip
_PROBLEM_WEIGHTS: _Weights = {
    "presents": -3.0, "finds": -1.5, "acts": -1.5, "problem": 1.6, "background": 0.5, "measure": -0.5,
    "continues": -1.0, "detail": -1.0, "dependent": -0.3, "aside": -2.0, "short": -0.5, "long": -0.4,
    "cut_off": -1.0, "position": -1.5, "title": 0.4,
}  # fmt: skip


def highlights(paper: Paper) -> Highlights | None:
    """Return the sentences that represent a paper, or None if no sentence of its abstract can be quoted.

    Only statements are chosen, not questions, bare tokens or sentences that address a model.
    """
    sentences = [s for s in split_sentences(paper.abstract) if is_statement(s.text, paper.abstract)]
    if not sentences:
        return None
    features = _features(paper.title, sentences)
    ranked = sorted(zip(sentences, features, strict=True), key=lambda p: (-_score(p[1], _NEW), p[0].index))
    alone = [(standalone(s), f) for s, f in ranked]
    alone = [(s, f) for s, f in alone if not refers_back(s.text)] or alone
    new = next(s for s in sentences if s.index == alone[0][0].index)
    offer = _best(sentences, _scores(features, _OFFER))
    headlines = [s for s, f in alone if _is_headline(s, f, is_offer=s.index == offer.index)]
    headlines.sort(key=lambda s: s.index != offer.index)
    others = [(s, f) for s, f in zip(sentences, features, strict=True) if s is not new and s is not offer]
    after = [(s, f) for s, f in others if s.index > offer.index and _states_result(f)]
    before = [(s, f) for s, f in others if s.index < offer.index or (offer.index == 0 and _states_problem(f))]
    return Highlights(
        new,
        offer,
        _best_of_pairs(after, _RESULT),
        _best_of_pairs(before, _PROBLEM_WEIGHTS),
        tuple(s for s, _ in alone),
        tuple(headlines),
        tuple(s for s, _ in ranked if s is not new and s is not offer),
    )


def _is_headline(sentence: Sentence, features: _Features, *, is_offer: bool) -> bool:
    improves = features.better and not features.problem
    tells_of_work = is_offer or features.acts or features.finds or features.name or improves
    return bool(tells_of_work) and not (
        features.context
        or features.vague
        or features.cut_off
        or features.aside
        or features.short
        or len(sentence.text.split()) > _MANY_WORDS
        or refers_back(sentence.text)
        or cues.is_outlook(sentence.text)
    )


def _states_problem(features: _Features) -> bool:
    early = features.position <= _FIRST_HALF
    return bool(features.problem) and not features.finds and not features.measure and early


def _states_result(features: _Features) -> bool:
    improves = bool(features.better) and not features.vague
    return not features.aside and bool(features.finds or features.gain or improves)


def _best_of_pairs(pairs: Sequence[tuple[Sentence, _Features]], weights: _Weights) -> Sentence | None:
    if not pairs:
        return None
    return _best([s for s, _ in pairs], _scores([f for _, f in pairs], weights))


def _best(sentences: Sequence[Sentence], scores: Sequence[float]) -> Sentence:
    return max(zip(sentences, scores, strict=True), key=lambda pair: (pair[1], -pair[0].index))[0]


def _scores(features: Sequence[_Features], weights: _Weights) -> list[float]:
    return [_score(f, weights) for f in features]


def _score(features: _Features, weights: _Weights) -> float:
    return float(sum(weight * getattr(features, name) for name, weight in weights.items()))


def _features(title: str, sentences: Sequence[Sentence]) -> list[_Features]:
    title_terms = set(index_terms(title))
    last = max(sentences[-1].index, 1)
    name = title.partition(":")[0].strip() if ":" in title else ""
    name = name if len(name.split()) <= _MAX_NAME_WORDS else ""
    features = [
        _sentence_features(s, title_terms, name, position=s.index / last, count=len(sentences))
        for s in sentences
    ]
    own = [i for i, f in enumerate(features) if f.own]
    before = own[0] if own else 0
    return [replace(f, context=float(i < before)) for i, f in enumerate(features)]


def _sentence_features(
    sentence: Sentence, title_terms: set[str], name: str, *, position: float, count: int
) -> _Features:
    text = sentence.text
    words = len(text.split())
    terms = set(index_terms(text))
    return _Features(
        presents=float(bool(cues.PRESENTS.search(text))),
        finds=float(bool(cues.FINDS.search(text))),
        acts=float(bool(cues.ACTS.search(text))),
        own=float(any(p.search(text) for p in (_OWN, cues.ACTS, cues.FINDS)) or bool(name and name in text)),
        better=float(bool(_BETTER.search(text))),
        number=float(bool(_NUMBER.search(text))),
        measure=float(bool(_MEASURE.search(text))),
        background=float(min(len(cues.BACKGROUND.findall(text)), 2)),
        problem=float(bool(cues.PROBLEM.search(text))),
        dependent=float(bool(_DEPENDENT.search(text))),
        aside=float(cues.is_aside(text)),
        vague=float(bool(_VAGUE.search(text))),
        short=float(words < _FEW_WORDS),
        long=max(0.0, (words - _MANY_WORDS) / 20),
        cut_off=float(bool(_CUT_OFF.search(text))),
        continues=float(bool(_CONTINUES.search(text))),
        detail=float(bool(_DETAIL.search(text))),
        gain=float(bool(_MEASURE.search(text)) and bool(_BETTER.search(text))),
        name=float(bool(name) and name in text),
        title=len(title_terms & terms) / max(len(title_terms), 1),
        position=position,
        first=float(sentence.index == 0 and count > 2),
        context=0.0,
    )
