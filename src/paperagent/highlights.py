"""Which sentences of an abstract say the problem, what is new, and what came out. Pure; no model.

Each sentence is scored for each part by what it says (authors acting, results, numbers, background,
addresses of code) and where it stands. The weights were set by hand on labelled abstracts;
`eval/highlights.py` prints how often the choice is one of those that a person would make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paperagent.sentences import split
from paperagent.suspicion import asks, gives_orders
from paperagent.text import analyse
from paperagent.types import Paper, Sentence

_I = re.IGNORECASE
_MAKES = re.compile(
    r"\b(?:we|this (?:paper|work|study|article|report|survey|thesis)|(?:paper|work|study|article) (?:that )?)\b"
    r"[^.;:]{0,80}?\b(?:propos|introduc|present|develop|design|formulat|construct|build|creat|devis|establish"
    r"|releas|contribut|provid|offer|deriv|prov[ei]|demonstrat|show|find|found|discover|reveal|observ|uncover"
    r"|identif|report|investigat|stud(?:y|ied)|analy[sz]|examin|explor|evaluat|conduct|compar|extend|adapt"
    r"|address|tackl|survey|review|argu|leverag|combin|us(?:e|ing)\b|train|achiev|obtain|fine-?tun)",
    _I,
)
_OFFERS = re.compile(
    r"\b(?:we|this (?:paper|work|study|article)|here)\b[^.;:]{0,60}?"
    r"\b(?:propos|introduc|present|develop|design|devis|construct|build|creat|releas|formulat|establish)",
    _I,
)
_FINDS = re.compile(
    r"\b(?:we|experiments?|results?|evaluations?|analys[ie]s|findings|study|simulations?|extensive \w+)\b"
    r"[^.;:]{0,80}?\b(?:show|find|found|demonstrat|reveal|observ|prove|discover|indicat|suggest|confirm|uncover"
    r"|establish|report|achiev|outperform|obtain)",
    _I,
)
_BETTER = re.compile(
    r"\b(?:outperform|surpass|exceed|improv|reduc|increas|achiev|faster|state-of-the-art|sota|compared (?:to|with)"
    r"|speed-?up|gains?|accura\w+|higher|lower|better|superior)",
    _I,
)
_NUMBER = re.compile(r"(?<![\w.-])[+-]?\d[\d,]*(?:\.\d+)?(?:\s?\\?%|x\b|\\times|×|-fold|\b)", _I)
_MEASURE = re.compile(
    r"\d\s?\\?%|\d\s?(?:x|×|\\times|\$\\times)|\d-fold|\bpercent\b|\d+\.\d+|\d,\d{3}|\d\s?(?:[KMB]|million|billion|"
    r"hours?|seconds?|ms|points?|times|fold|orders?)\b",
    _I,
)
_BACKGROUND = re.compile(
    r"\b(?:however|existing|previous|prior|recent(?:ly)?|despite|although|traditional(?:ly)?|typically|often"
    r"|challeng\w+|remains?|lack|limited|limitations?|crucial|essential|promising|widely|increasingly|suffer"
    r"|struggle|fail|conventional|current(?:ly)?|important|growing|has (?:become|emerged)|have (?:become|emerged"
    r"|shown|been))\b",
    _I,
)
_PROBLEM = re.compile(
    r"\b(?:however|but|yet|challeng\w+|remains?|lack\w*|limit\w*|difficult\w*|problem|suffer\w*|struggl\w*|fail\w*"
    r"|bottleneck|expensive|costly|unclear|unknown|overlook\w*|neglect\w*|ignor\w*|gap|hinder\w*|unexplored"
    r"|underexplored|insufficient\w*|issue)\b",
    _I,
)
_LEANS = re.compile(
    r"\A\W*(?:it|they|them|these|those|this|that|such|its|their|to (?:address|tackle|solve|overcome|mitigate"
    r"|bridge|fill|this end)|hence|thus|therefore|consequently|as a result|specifically|in particular"
    r"|furthermore|moreover|additionally|in addition|then|next|finally|also|second(?:ly)?|third(?:ly)?"
    r"|first(?:ly)?|for (?:example|instance)|the (?:former|latter))\b",
    _I,
)
_ADDRESS = re.compile(
    r"https?:|www\.|github|\b(?:code|data(?:set)?s?|models?|demo|website|project page|video\w*|checkpoints?"
    r"|implementation|weights|source code|supplementary)\b[^.]{0,60}"
    r"\b(?:available|released|accessible|open-?sourced?|found at|published)\b",
    _I,
)
_EMPTY = re.compile(
    r"\b(?:effectiveness|superiority|efficacy|feasibility|promising results|future (?:work|research|directions)"
    r"|implications|pav\w+ the way|potential (?:of|for|to)|shed\w* light|we (?:hope|believe|discuss|conclude)"
    r"|insights?|opens? (?:up )?new|contributes? to|highlights? the (?:importance|need|potential))\b",
    _I,
)
_CUT_OFF = re.compile(r"(?:[:,;]|\b(?:follows|following))\s*\W?\Z", _I)
_FEW_WORDS, _MANY_WORDS = 8, 45


@dataclass(frozen=True, slots=True)
class Highlights:
    """The sentences of one abstract that stand for it."""

    new: Sentence
    """What its authors did or found: the best single sentence about the paper."""
    offer: Sentence
    """What they made or studied."""
    result: Sentence | None
    """What came out; None where nothing says so besides `new`."""
    problem: Sentence | None
    """What it is for."""

    @property
    def headline(self) -> Sentence:
        """What may stand in an overview: another sentence than `new` where one stands for itself."""
        others = (self.offer, self.result)
        fit = (s for s in others if s is not None and s is not self.new and not _LEANS.search(s.text))
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
    title: float
    place: float
    first: float


_Weights = dict[str, float]

_NEW: _Weights = {
    "offers": 2.0, "finds": 1.2, "acts": 0.6, "better": 0.5, "number": 0.3, "measure": 1.0,
    "background": -0.9, "problem": -0.4, "leans": -0.3, "address": -2.5, "empty": -0.7, "short": -1.0,
    "long": -0.6, "cut": -2.0, "title": 1.2, "place": 0.0, "first": -0.8,
}  # fmt: skip
_OFFER: _Weights = {**_NEW, "offers": 3.0, "finds": 0.2, "measure": 0.0, "number": 0.0, "better": 0.0}
_RESULT: _Weights = {
    **_NEW, "offers": -1.0, "finds": 1.5, "better": 1.0, "measure": 1.8, "title": 0.0, "place": 1.5,
}  # fmt: skip
_PROBLEMS: _Weights = {
    "offers": -3.0, "finds": -1.5, "acts": -1.5, "problem": 1.6, "background": 0.5, "measure": -0.5,
    "leans": -0.3, "address": -2.0, "short": -0.5, "long": -0.4, "cut": -1.0, "place": -1.5, "title": 0.4,
}  # fmt: skip


def highlights(paper: Paper) -> Highlights | None:
    """Return the sentences that stand for a paper; None where its abstract states nothing.

    Sentences that give orders to whoever processes them, and questions, are left out.
    """
    held = [s for s in split(paper.abstract) if not gives_orders(s.text) and not asks(s.text)]
    held = [s for s in held if any(c.isalpha() for c in s.text)]
    if not held:
        return None
    traits = _traits(paper.title, held)
    new = _best(held, _scores(traits, _NEW))
    rest = [(s, t) for s, t in zip(held, traits, strict=True) if s is not new]
    return Highlights(
        new,
        _best(held, _scores(traits, _OFFER)),
        _chosen(rest, _RESULT, lambda t: t.finds + t.better + t.measure >= 1 and not t.address),
        _chosen(rest, _PROBLEMS, lambda t: t.offers + t.address == 0),
    )


def _chosen(
    held: Sequence[tuple[Sentence, _Traits]], weights: _Weights, admits: Callable[[_Traits], bool]
) -> Sentence | None:
    fit = [(s, t) for s, t in held if admits(t)]
    if not fit:
        return None
    return _best([s for s, _ in fit], _scores([t for _, t in fit], weights))


def _best(held: Sequence[Sentence], scores: Sequence[float]) -> Sentence:
    return max(zip(held, scores, strict=True), key=lambda pair: (pair[1], -pair[0].index))[0]


def _scores(traits: Sequence[_Traits], weights: _Weights) -> list[float]:
    return [sum(w * getattr(t, name) for name, w in weights.items()) for t in traits]


def _traits(title: str, held: Sequence[Sentence]) -> list[_Traits]:
    named = set(analyse(title))
    last = max(held[-1].index, 1)
    return [_of(s, named, s.index / last, len(held)) for s in held]


def _of(sentence: Sentence, named: set[str], place: float, count: int) -> _Traits:
    text = sentence.text
    words = len(text.split())
    stems = set(analyse(text))
    return _Traits(
        offers=float(bool(_OFFERS.search(text))),
        finds=float(bool(_FINDS.search(text))),
        acts=float(bool(_MAKES.search(text))),
        better=float(bool(_BETTER.search(text))),
        number=float(bool(_NUMBER.search(text))),
        measure=float(bool(_MEASURE.search(text))),
        background=min(len(_BACKGROUND.findall(text)), 2) / 1.0,
        problem=float(bool(_PROBLEM.search(text))),
        leans=float(bool(_LEANS.search(text))),
        address=float(bool(_ADDRESS.search(text))),
        empty=float(bool(_EMPTY.search(text))),
        short=float(words < _FEW_WORDS),
        long=max(0.0, (words - _MANY_WORDS) / 20),
        cut=float(bool(_CUT_OFF.search(text))),
        title=len(named & stems) / max(len(named), 1),
        place=place,
        first=float(sentence.index == 0 and count > 2),
    )
