"""How well the wording of a claim agrees with its sentences, as one number.

A logistic function of a few signals. The weights were fitted on claims that models wrote about
abstracts, honest and wrong (`eval/claims.py --fit`), and rounded. Pure; no I/O.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

from paperagent.verification.alignment import Alignment
from paperagent.verification.context import Context
from paperagent.verification.tokens import Token

_SAYS_SOMETHING = 0.5
"""Weight from which a word counts as content; lighter words may be the writer's own."""
_COMPLETE = 0.9
"""Proximity from which a claim without an unmatched word is complete."""
_PRIOR = 6.0
"""The number of words that are assumed unmatched: ten matched words are better evidence than three."""
WEIGHTS: dict[str, float] = {
    "coverage": 6.6,
    "agreement": 1.45,
    "proximity": 2.5,
    "exchanged": -5.25,
    "crossed": -0.6,
    "findings": -1.2,
}
"""Signal → weight, fitted on claims in which no check found anything; that of findings is set by hand."""
BIAS = -6.6


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one claim."""

    strange: float
    """Weight of content words that are nowhere in the paper."""
    elsewhere: float
    """Weight of content words that are in the paper or the question, but not in the cited sentences."""
    matched: float
    """Weight of the words that the cited sentences have."""
    agreement: float
    proximity: float
    exchanged: float
    """How much better two names or numbers would fit in each other's place."""
    crossed: float
    """How much better the beginnings of two clauses would fit each other's rest."""
    findings: int
    missing: str
    """In words, what the cited sentences do not have."""

    @property
    def complete(self) -> bool:
        """Whether the sentence has every word of the claim, side by side: a short claim can say no more."""
        return not self.strange and not self.elsewhere and self.proximity >= _COMPLETE

    @property
    def values(self) -> dict[str, float]:
        """The signals by name, as `WEIGHTS` names them."""
        unmatched = self.strange + self.elsewhere
        return {
            "coverage": self.matched / (self.matched + unmatched + _PRIOR),
            "agreement": self.agreement,
            "proximity": self.proximity,
            "exchanged": min(self.exchanged, 1.0),
            "crossed": min(self.crossed, 1.0),
            "findings": min(self.findings, 3),
        }

    @property
    def score(self) -> float:
        """How likely wording like this is an honest restatement, 0 to 1."""
        z = BIAS + sum(WEIGHTS[name] * value for name, value in self.values.items() if name in WEIGHTS)
        return 1 / (1 + math.exp(-z))


def measure(a: Alignment, around: Context, *, findings: int) -> Signals:
    """Return the signals of an aligned claim."""
    strange: list[Token] = []
    elsewhere: list[Token] = []
    for token in a.claim.content:
        if a.best[token.rank] is not None or token.weight < _SAYS_SOMETHING:
            continue
        if (token.kind == "name" or token.capital) and around.is_own_name(token):
            continue
        (elsewhere if around.mentions(token) else strange).append(token)
    matched = sum(t.weight for t in a.claim.content if a.best[t.rank] is not None)
    return Signals(
        strange=sum(t.weight for t in strange),
        elsewhere=sum(t.weight for t in elsewhere),
        matched=matched,
        agreement=a.agreement,
        proximity=a.proximity,
        exchanged=_exchanged(a),
        crossed=_crossed(a),
        findings=findings,
        missing=_missing([*strange, *elsewhere], a.proximity),
    )


def _missing(tokens: list[Token], proximity: float) -> str:
    words = list(dict.fromkeys(t.text for t in tokens))[:4]
    if words:
        return "not in the cited sentence: " + ", ".join(words)
    if proximity < _COMPLETE:
        return "the words of the claim are scattered in the cited sentence"
    return "too few words in common with the cited sentence to decide"


_MOST = 20
"""Names and numbers of a claim whose places are compared."""


def _exchanged(a: Alignment) -> float:
    """Return by how much two names, or two numbers, would fit better in each other's place."""
    margin = 0.0
    entities = [t for t in a.claim.content if a.best[t.rank] and (t.kind != "word" or t.capital)][:_MOST]
    for one, other in combinations(entities, 2):
        first, second = a.best[one.rank], a.best[other.rank]
        if first is None or second is None or first[0] == second[0]:
            continue
        if (one.kind == "number") == (other.kind == "number"):
            skip = (one.rank, other.rank)
            stays = a.context(one.rank, first[0], skip) + a.context(other.rank, second[0], skip)
            turns = a.context(one.rank, second[0], skip) + a.context(other.rank, first[0], skip)
            margin = max(margin, turns - stays)
    return margin


_JOINS = frozenset("and while whereas but or then".split())
_WIDE = 12
"""Ranks over which two words of a sentence still belong together."""
_MOST_CLAUSES = 5


def _crossed(a: Alignment) -> float:
    """Return by how much the beginnings of two clauses fit each other's rest better than their own.

    "A does X while B does Y", said of "B does X while A does Y", has every word in a right
    neighbourhood, but A's rest stands with B.
    """
    clauses = _clauses(a)
    margin = 0.0
    for one, other in combinations(clauses[:_MOST_CLAUSES], 2):
        rest, other_rest = _apart(a, one[1:], other[1:])
        if not rest or not other_rest or a.claim.content[one[0]].stem == a.claim.content[other[0]].stem:
            continue
        stays = _closeness(a, one[0], rest) + _closeness(a, other[0], other_rest)
        turns = _closeness(a, one[0], other_rest) + _closeness(a, other[0], rest)
        margin = max(margin, turns - stays)
    return margin


def _clauses(a: Alignment) -> list[list[int]]:
    """Return the matched words of each clause of the claim, as ranks; clauses of one word are left out."""
    clauses: list[list[int]] = [[]]
    previous: Token | None = None
    for token in a.claim.tokens:
        apart = previous is not None and token.clause != previous.clause and token.gap not in ("(", ")")
        if apart or token.lower in _JOINS:
            clauses.append([])
        if token.rank >= 0 and a.best[token.rank] is not None:
            clauses[-1].append(token.rank)
        previous = token
    return [c for c in clauses if len(c) > 1]


def _apart(a: Alignment, one: list[int], other: list[int]) -> tuple[list[int], list[int]]:
    """Return two lists of ranks without the words that stand in both."""
    mine, theirs = ({a.claim.content[r].stem for r in ranks} for ranks in (one, other))
    shared = mine & theirs
    first, second = ([r for r in ranks if a.claim.content[r].stem not in shared] for ranks in (one, other))
    return first, second


def _closeness(a: Alignment, head: int, rest: list[int]) -> float:
    """Return how closely a word stands to others in the evidence, 0..1 on average."""
    return sum(_together(a, head, r) for r in rest) / len(rest)


def _together(a: Alignment, one: int, other: int) -> float:
    closest = 0.0
    content = a.source.content
    for place, _ in a.candidates[one]:
        for rival, _ in a.candidates[other]:
            gap = abs(place - rival)
            if 0 < gap <= _WIDE and content[place].sentence == content[rival].sentence:
                closest = max(closest, 1 - (gap - 1) / _WIDE)
    return closest
