"""Measure how well the wording of a claim agrees with its sentences, as one number.

The score is a logistic function of a few signals. The weights were fitted on claims that models wrote about
abstracts, honest and wrong (`eval/claims.py --fit`), and rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

from paperagent.verification.alignment import Alignment
from paperagent.verification.context import Context
from paperagent.verification.tokens import Token

_MIN_WEIGHT = 0.5
"""Minimum weight of a content word; lighter words may be the writer's own."""
_MIN_COMPLETE_PROXIMITY = 0.9
"""Minimum proximity for a claim without unmatched words to be complete."""
_PRIOR_WORDS = 6.0
"""Number of words assumed to be unmatched, since ten matched words are better evidence than three."""
WEIGHTS: dict[str, float] = {
    "coverage": 6.6,
    "agreement": 1.45,
    "proximity": 2.5,
    "exchanged": -5.25,
    "crossed": -0.6,
    "findings": -1.2,
}
"""Signal → weight, fitted on claims without findings. The weight of ``findings`` is set by hand."""
BIAS = -6.6


@dataclass(frozen=True, slots=True)
class WordingSignals:
    """The signals of one claim."""

    strange: float
    """Weight of content words that are nowhere in the paper."""
    elsewhere: float
    """Weight of content words that are in the paper or the question, but not in the cited sentences."""
    matched: float
    """Weight of the matched words."""
    agreement: float
    proximity: float
    exchanged: float
    """How much better two names or numbers would fit in each other's place."""
    crossed: float
    """How much better the beginnings of two clauses would fit each other's rest."""
    findings: int
    missing: str
    """A phrase that names what the cited sentences lack."""

    @property
    def complete(self) -> bool:
        """Whether the evidence has every word of the claim, close together."""
        return not self.strange and not self.elsewhere and self.proximity >= _MIN_COMPLETE_PROXIMITY

    @property
    def values(self) -> dict[str, float]:
        """The signals by name, as `WEIGHTS` names them."""
        unmatched = self.strange + self.elsewhere
        return {
            "coverage": self.matched / (self.matched + unmatched + _PRIOR_WORDS),
            "agreement": self.agreement,
            "proximity": self.proximity,
            "exchanged": min(self.exchanged, 1.0),
            "crossed": min(self.crossed, 1.0),
            "findings": min(self.findings, 3),
        }

    @property
    def score(self) -> float:
        """Estimated probability that the claim is a genuine restatement, 0 to 1."""
        z = BIAS + sum(WEIGHTS[name] * value for name, value in self.values.items() if name in WEIGHTS)
        return 1 / (1 + math.exp(-z))


def measure(alignment: Alignment, context: Context, *, findings: int) -> WordingSignals:
    """Return the signals of an aligned claim."""
    strange: list[Token] = []
    elsewhere: list[Token] = []
    for token in alignment.claim.content:
        if alignment.best[token.rank] is not None or token.weight < _MIN_WEIGHT:
            continue
        if (token.kind == "name" or token.capital) and context.is_own_name(token):
            continue
        (elsewhere if context.mentions(token) else strange).append(token)
    matched = sum(t.weight for t in alignment.claim.content if alignment.best[t.rank] is not None)
    return WordingSignals(
        strange=sum(t.weight for t in strange),
        elsewhere=sum(t.weight for t in elsewhere),
        matched=matched,
        agreement=alignment.agreement,
        proximity=alignment.proximity,
        exchanged=_exchanged(alignment),
        crossed=_crossed(alignment),
        findings=findings,
        missing=_missing([*strange, *elsewhere], alignment.proximity),
    )


def _missing(tokens: list[Token], proximity: float) -> str:
    words = list(dict.fromkeys(t.text for t in tokens))[:4]
    if words:
        return "not in the cited sentence: " + ", ".join(words)
    if proximity < _MIN_COMPLETE_PROXIMITY:
        return "the words of the claim are scattered in the cited sentence"
    return "too few words in common with the cited sentence to decide"


_MAX_ENTITIES = 20
"""Maximum number of a claim's names and numbers that are compared."""


def _exchanged(alignment: Alignment) -> float:
    """Return by how much two names, or two numbers, would fit better in each other's place."""
    margin = 0.0
    entities = [
        t for t in alignment.claim.content if alignment.best[t.rank] and (t.kind != "word" or t.capital)
    ][:_MAX_ENTITIES]
    for one, other in combinations(entities, 2):
        first, second = alignment.best[one.rank], alignment.best[other.rank]
        if first is None or second is None or first[0] == second[0]:
            continue
        if (one.kind == "number") == (other.kind == "number"):
            skip = (one.rank, other.rank)
            own_fit = alignment.neighborhood_fit(one.rank, first[0], skip) + alignment.neighborhood_fit(
                other.rank, second[0], skip
            )
            swapped_fit = alignment.neighborhood_fit(one.rank, second[0], skip) + alignment.neighborhood_fit(
                other.rank, first[0], skip
            )
            margin = max(margin, swapped_fit - own_fit)
    return margin


_CONJUNCTIONS = frozenset("and while whereas but or then".split())
_MAX_DISTANCE = 12
"""Maximum distance in ranks at which two words of a sentence belong together."""
_MAX_CLAUSES = 5


def _crossed(alignment: Alignment) -> float:
    """Return by how much the beginnings of two clauses fit each other's rest better than their own.

    If the evidence is "B does X while A does Y", the words of "A does X while B does Y" all have matching
    neighbors, but X belongs to B.
    """
    clauses = _clauses(alignment)
    margin = 0.0
    for one, other in combinations(clauses[:_MAX_CLAUSES], 2):
        remainder, other_rest = _without_shared_words(alignment, one[1:], other[1:])
        if (
            not remainder
            or not other_rest
            or alignment.claim.content[one[0]].stem == alignment.claim.content[other[0]].stem
        ):
            continue
        own_fit = _closeness(alignment, one[0], remainder) + _closeness(alignment, other[0], other_rest)
        swapped_fit = _closeness(alignment, one[0], other_rest) + _closeness(alignment, other[0], remainder)
        margin = max(margin, swapped_fit - own_fit)
    return margin


def _clauses(alignment: Alignment) -> list[list[int]]:
    """Return the matched words of each clause of the claim, as ranks; clauses of one word are left out."""
    clauses: list[list[int]] = [[]]
    previous: Token | None = None
    for token in alignment.claim.tokens:
        apart = previous is not None and token.clause != previous.clause and token.gap not in ("(", ")")
        if apart or token.lower in _CONJUNCTIONS:
            clauses.append([])
        if token.rank >= 0 and alignment.best[token.rank] is not None:
            clauses[-1].append(token.rank)
        previous = token
    return [c for c in clauses if len(c) > 1]


def _without_shared_words(
    alignment: Alignment, one: list[int], other: list[int]
) -> tuple[list[int], list[int]]:
    """Return two lists of ranks without the words that occur in both."""
    mine, theirs = ({alignment.claim.content[r].stem for r in ranks} for ranks in (one, other))
    shared = mine & theirs
    first, second = (
        [r for r in ranks if alignment.claim.content[r].stem not in shared] for ranks in (one, other)
    )
    return first, second


def _closeness(alignment: Alignment, head: int, remainder: list[int]) -> float:
    """Return how close a word is to others in the evidence, 0..1 on average."""
    return sum(_pair_closeness(alignment, head, r) for r in remainder) / len(remainder)


def _pair_closeness(alignment: Alignment, one: int, other: int) -> float:
    closest = 0.0
    content = alignment.source.content
    for position, _ in alignment.matching_words[one]:
        for rival, _ in alignment.matching_words[other]:
            gap = abs(position - rival)
            if 0 < gap <= _MAX_DISTANCE and content[position].sentence == content[rival].sentence:
                closest = max(closest, 1 - (gap - 1) / _MAX_DISTANCE)
    return closest
