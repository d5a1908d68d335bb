"""Which sentences of an abstract say the problem, what is new, and what came out. Pure; no model.

Each sentence is scored for each part by what it says (authors acting, results, numbers, background,
addresses of code) and where it stands. The weights of `new` were fitted as a conditional logit on
89 labelled abstracts; `eval/highlights.py` prints how often the choice is one that a person makes,
on these and on 38 others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from paperagent.text.injection import is_question, looks_like_instruction
from paperagent.text.sentences import split_sentences
from paperagent.text.terms import index_terms
from paperagent.types import Paper, Sentence


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.VERBOSE)


_WORK = "(?:paper|work|study|article|report|survey|thesis)"
_ACTS = _pattern(
    rf"""\b(?:we|this\ {_WORK}|{_WORK}\ that)\b[^.;:]{{0,80}}?\b(?:propos|introduc|present|develop|design
    |formulat|construct|build|creat|devis|establish|releas|contribut|provid|offer|deriv|prov[ei]|demonstrat|show|find|found
    |discover|reveal|observ|uncover|identif|report|investigat|stud(?:y|ied)|analy[sz]|examin|explor|evaluat|conduct
    |compar|extend|adapt|address|tackl|survey|review|argu|leverag|combin|us(?:e|ing)\b|train|achiev|obtain
    |fine-?tun)"""
)
_OFFERS = _pattern(
    rf"""\b(?:we|this\ {_WORK}|here)\b[^.;:]{{0,60}}?\b(?:propos|introduc|present|develop|design|devis
    |construct|build|creat|releas|formulat|establish)"""
)
_FINDS = _pattern(
    r"""\b(?:we|experiments?|results?|evaluations?|analys[ie]s|findings|study|simulations?|extensive\ \w+)\b
    [^.;:]{0,80}?\b(?:show|find|found|demonstrat|reveal|observ|prove|discover|indicat|suggest|confirm|uncover
    |establish|report|achiev|outperform|obtain)"""
)
_BETTER = _pattern(
    r"""\b(?:outperform|surpass|exceed|improv|reduc|increas|achiev|faster|state-of-the-art|sota
    |compared\ (?:to|with)|speed-?up|gains?|accura\w+|higher|lower|better|superior)"""
)
_NUMBER = _pattern(r"(?<![\w.-])[+-]?\d[\d,]*(?:\.\d+)?(?:\s?\\?%|x\b|\\times|×|-fold|\b)")
_MEASURE = _pattern(
    r"""\d\s?\\?%|\d\s?(?:x|×|\\times|\$\\times)|\d-fold|\bpercent\b|\d+\.\d+|\d,\d{3}
    |\d\s?(?:[KMB]|million|billion|hours?|seconds?|ms|points?|times|fold|orders?)\b"""
)
_BACKGROUND = _pattern(
    r"""\b(?:however|existing|previous|prior|recent(?:ly)?|despite|although|traditional(?:ly)?|typically|often
    |challeng\w+|remains?|lack|limited|limitations?|crucial|essential|promising|widely|increasingly|suffer
    |struggle|fail|conventional|current(?:ly)?|important|growing|has\ (?:become|emerged)
    |have\ (?:become|emerged|shown|been))\b"""
)
_PROBLEM = _pattern(
    r"""\b(?:however|but|yet|challeng\w+|remains?|lack\w*|limit\w*|difficult\w*|problem|suffer\w*|struggl\w*
    |fail\w*|bottleneck|expensive|costly|unclear|unknown|overlook\w*|neglect\w*|ignor\w*|gap|hinder\w*
    |unexplored|underexplored|insufficient\w*|issue)\b"""
)
_LEANS = _pattern(
    r"""\A\W*(?:it|they|them|these|those|this|that|such|its|their|to\ (?:address|tackle|solve|overcome
    |mitigate|bridge|fill|this\ end)|hence|thus|therefore|consequently|as\ a\ result|specifically
    |in\ particular|furthermore|moreover|additionally|in\ addition|then|next|finally|also
    |second(?:ly)?|third(?:ly)?|first(?:ly)?|for\ (?:example|instance)|the\ (?:former|latter))\b"""
)
_ADDRESS = _pattern(
    r"""https?:|www\.|github|\bunder\ the\ \w+\ licen[cs]e\b
    |\b(?:code|data(?:set)?s?|models?|demo|website|project\ page|video\w*|checkpoints?|implementation|weights
    |supplementary)\b[^.]{0,60}\b(?:available|released|accessible|open-?sourced?|found\ at|published)\b
    |\breleas(?:e|ing)\ (?:all\ |our\ |the\ |both\ )*(?:code|data|resources|source)"""
)
_EMPTY = _pattern(
    r"""\b(?:competitive\ (?:performance|results)|effectiveness|superiority|efficacy|feasibility
    |promising\ results|future\ (?:work|research|directions)|implications|pav\w+\ the\ way
    |potential\ (?:of|for|to)|shed\w*\ light|we\ (?:hope|believe|discuss|conclude)|envision|plan\ to|will\ be
    |insights?|opens?\ (?:up\ )?new|contributes?\ to|highlights?\ the\ (?:importance|need|potential))\b"""
)
_ADDS = _pattern(
    r"""\A\W*(?:also|additionally|furthermore|moreover|in\ addition|besides|finally|lastly|then|next
    |second(?:ly)?|third(?:ly)?|notably|meanwhile|concurrently|in\ summary|overall)\b
    |\b(?:we|it|this\ \w+)\ (?:also|further|additionally|then|next|finally)\b
    |\b(?:further|also)\ (?:show|demonstrat|reveal)"""
)
_DETAIL = _pattern(
    r"""\A\W*(?:specifically|in\ particular|concretely|first|for\ (?:example|instance)
    |to\ (?:evaluate|demonstrate|judge|support|ensure|train|enable|further|investigate|assess))\b
    |\bconsists?\ of\b|\b(?:key|main|core|novel)\ (?:components?|modules?|parts?|stages?)\b"""
)
_CUT_OFF = _pattern(r"(?:[:,;]|\b(?:follows|following))\s*\W?\Z")
_FEW_WORDS, _MANY_WORDS, _NAME_WORDS = 8, 45, 3
_FIRST_HALF = 0.5
_SUMMARY = 3


@dataclass(frozen=True, slots=True)
class Highlights:
    """The sentences of one abstract that stand for it."""

    new: Sentence
    """What its authors did or found: the best single sentence about the paper."""
    offer: Sentence
    """What they made or studied."""
    result: Sentence | None
    """What came out; None where nothing says so besides the two."""
    problem: Sentence | None
    """What it is for."""
    others: tuple[Sentence, ...] = ()
    """The rest, most telling first."""

    @property
    def summary(self) -> tuple[Sentence, ...]:
        """Problem, what is new and result, in that order; another sentence where one of them is missing.

        At most three; fewer where the abstract has fewer.
        """
        result = self.result if self.new is self.offer else self.new
        chosen = [s for s in (self.problem, self.offer, result) if s is not None]
        others = [s for s in self.others if s not in chosen]
        return tuple([*chosen, *others][:_SUMMARY])

    @property
    def headline(self) -> Sentence:
        """What may stand in an overview: another sentence than `new` where one stands for itself."""
        result = self.result if self.result and not _EMPTY.search(self.result.text) else None
        fit = (s for s in (self.offer, result) if s and s is not self.new and not _LEANS.search(s.text))
        return next(fit, self.new)


@dataclass(frozen=True, slots=True)
class _Traits:
    """What one sentence is like; the yes-or-no ones are 1 or 0."""

    offers: float
    finds: float
    acts: float
    better: float
    number: float
    measure: float
    background: float
    problem: float
    leans: float
    address: float
    empty: float
    short: float
    long: float
    cut: float
    adds: float
    detail: float
    gain: float
    name: float
    title: float
    place: float
    first: float


_Weights = dict[str, float]

_NEW: _Weights = {
    "offers": 1.8, "finds": 1.9, "acts": 2.1, "better": 0.3, "number": 1.0, "measure": 2.6, "gain": 2.7,
    "background": 0.0, "problem": -0.4, "leans": -0.3, "address": -3.0, "empty": -1.2, "short": -1.0,
    "long": -0.3, "cut": -2.0, "adds": -1.0, "detail": -0.9, "name": 0.9, "title": 2.2, "place": -0.7,
    "first": -0.6,
}  # fmt: skip
_OFFER: _Weights = {
    **_NEW, "offers": 4.0, "finds": -1.5, "acts": 2.0, "measure": 0.0, "number": 0.0, "better": 0.0,
    "gain": -1.0,
}  # fmt: skip
_RESULT: _Weights = {
    **_NEW, "offers": -2.0, "acts": 0.0, "better": 1.0, "title": 0.5, "place": 1.5, "adds": 0.0,
    "detail": -0.5,
}  # fmt: skip
_PROBLEMS: _Weights = {
    "offers": -3.0, "finds": -1.5, "acts": -1.5, "problem": 1.6, "background": 0.5, "measure": -0.5,
    "adds": -1.0, "detail": -1.0, "leans": -0.3, "address": -2.0, "short": -0.5, "long": -0.4, "cut": -1.0,
    "place": -1.5, "title": 0.4,
}  # fmt: skip


def highlights(paper: Paper) -> Highlights | None:
    """Return the sentences that stand for a paper; None where its abstract states nothing.

    Sentences that give orders to whoever processes them, and questions, are left out.
    """
    held = [
        s
        for s in split_sentences(paper.abstract)
        if not looks_like_instruction(s.text) and not is_question(s.text)
    ]
    held = [s for s in held if any(c.isalpha() for c in s.text)]
    if not held:
        return None
    traits = _traits(paper.title, held)
    new, offer = (_best(held, _scores(traits, weights)) for weights in (_NEW, _OFFER))
    rest = [(s, t) for s, t in zip(held, traits, strict=True) if s is not new and s is not offer]
    after = [(s, t) for s, t in rest if s.index > offer.index and _states_result(t)]
    before = [(s, t) for s, t in rest if s.index < offer.index or (offer.index == 0 and _states_problem(t))]
    by_worth = sorted(rest, key=lambda pair: -_score(pair[1], _NEW))
    return Highlights(
        new, offer, _chosen(after, _RESULT), _chosen(before, _PROBLEMS), tuple(s for s, _ in by_worth)
    )


def _states_problem(traits: _Traits) -> bool:
    return bool(traits.problem) and not traits.finds and not traits.measure and traits.place <= _FIRST_HALF


def _states_result(traits: _Traits) -> bool:
    return not traits.address and bool(traits.finds or traits.gain or (traits.better and not traits.empty))


def _chosen(held: Sequence[tuple[Sentence, _Traits]], weights: _Weights) -> Sentence | None:
    if not held:
        return None
    return _best([s for s, _ in held], _scores([t for _, t in held], weights))


def _best(held: Sequence[Sentence], scores: Sequence[float]) -> Sentence:
    return max(zip(held, scores, strict=True), key=lambda pair: (pair[1], -pair[0].index))[0]


def _scores(traits: Sequence[_Traits], weights: _Weights) -> list[float]:
    return [_score(t, weights) for t in traits]


def _score(traits: _Traits, weights: _Weights) -> float:
    return float(sum(weight * getattr(traits, name) for name, weight in weights.items()))


def _traits(title: str, held: Sequence[Sentence]) -> list[_Traits]:
    named = set(index_terms(title))
    last = max(held[-1].index, 1)
    name = title.partition(":")[0].strip() if ":" in title else ""
    name = name if len(name.split()) <= _NAME_WORDS else ""
    return [_of(s, named, name, place=s.index / last, count=len(held)) for s in held]


def _of(sentence: Sentence, named: set[str], name: str, *, place: float, count: int) -> _Traits:
    text = sentence.text
    words = len(text.split())
    stems = set(index_terms(text))
    return _Traits(
        offers=float(bool(_OFFERS.search(text))),
        finds=float(bool(_FINDS.search(text))),
        acts=float(bool(_ACTS.search(text))),
        better=float(bool(_BETTER.search(text))),
        number=float(bool(_NUMBER.search(text))),
        measure=float(bool(_MEASURE.search(text))),
        background=float(min(len(_BACKGROUND.findall(text)), 2)),
        problem=float(bool(_PROBLEM.search(text))),
        leans=float(bool(_LEANS.search(text))),
        address=float(bool(_ADDRESS.search(text))),
        empty=float(bool(_EMPTY.search(text))),
        short=float(words < _FEW_WORDS),
        long=max(0.0, (words - _MANY_WORDS) / 20),
        cut=float(bool(_CUT_OFF.search(text))),
        adds=float(bool(_ADDS.search(text))),
        detail=float(bool(_DETAIL.search(text))),
        gain=float(bool(_MEASURE.search(text)) and bool(_BETTER.search(text))),
        name=float(bool(name) and name in text),
        title=len(named & stems) / max(len(named), 1),
        place=place,
        first=float(sentence.index == 0 and count > 2),
    )
