"""Find words or phrases of a claim that stand in each other's place.

Phrases may move in an honest restatement, but then their prepositions move along (*in A … on
B* becomes *on B … in A*). Where two phrases are the other way round, each fits better in the
other's place, and the prepositions stayed, their roles were exchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from paperagent.checks.overlap import Alignment
from paperagent.checks.words import Text

_NEAR = (0.0, 1.0, 0.85, 0.7, 0.5, 0.35, 0.2)
_NEIGHBOURS = ((1, 1.0), (2, 0.7), (3, 0.45))
_OTHER_SIDE = 0.6
_PASSED = frozenset("the a an its their our his her this these those such both and or also".split())
PREPOSITIONS = frozenset(
    """in on at with without for from by of to under across over during after before through via using
    between among within as than versus against into onto toward towards upon about insteadof ratherthan
    because like per""".split()
)
"""Words that give the phrase behind them its role."""
_MOST = 14
_MOST_WORDS = 60
"""Phrases and words looked at: longer claims are several sentences, whose order does not matter."""


@dataclass(slots=True)
class Phrase:
    """A run of content words of the claim, and where it stands in the evidence."""

    first: int
    last: int
    start: int
    end: int
    lead: str
    """The preposition before it in the claim, or nothing."""
    source_lead: str
    weight: float


def exchanged(a: Alignment) -> Iterator[str]:
    """Yield a reason for two phrases, or two words, of the claim that each belong in the other's place."""
    for phrases in (_phrases(a), _words(a)):
        pair = _first_exchange(a, phrases)
        if pair:
            one, other = (" ".join(t.text for t in a.claim.content[p.first : p.last + 1]) for p in pair)
            yield f"“{one}” and “{other}” are exchanged"
            return


def _first_exchange(a: Alignment, phrases: list[Phrase]) -> tuple[Phrase, Phrase] | None:
    for i, one in enumerate(phrases):
        for other in phrases[i + 1 :]:
            if other.end < one.start and _belongs_elsewhere(a, one, other):
                return one, other
    return None


def _belongs_elsewhere(a: Alignment, one: Phrase, other: Phrase) -> bool:
    if one.lead != other.source_lead or other.lead != one.source_lead:
        return False
    skip = {*range(one.first, one.last + 1), *range(other.first, other.last + 1)}
    kept = _fit(a, one, one, skip) + _fit(a, other, other, skip)
    turned = _fit(a, one, other, skip) + _fit(a, other, one, skip)
    return turned > 1.2 * kept + 0.15


def _fit(a: Alignment, phrase: Phrase, place: Phrase, skip: set[int]) -> float:
    """Return how well the words around a phrase fit around the place of a phrase in the evidence."""
    found = 0.0
    for distance, weight in _NEIGHBOURS:
        for near, before in ((phrase.first - distance, True), (phrase.last + distance, False)):
            if 0 <= near < len(a.claim.content) and near not in skip:
                found += weight * _nearness(a, near, place, before=before)
    return found


def _nearness(a: Alignment, near: int, place: Phrase, *, before: bool) -> float:
    highest = 0.0
    for other, strength in a.candidates[near]:
        left = other < place.start
        gap = place.start - other if left else other - place.end
        if 0 < gap < len(_NEAR):
            highest = max(highest, strength * _NEAR[gap] * (1.0 if left is before else _OTHER_SIDE))
    return highest


def _phrases(a: Alignment) -> list[Phrase]:
    """Return the claim's runs of content words that stand together in the evidence too."""
    found: list[Phrase] = []
    for token in a.claim.content:
        best = a.best[token.rank]
        if best is None or token.kind == "number" or token.lower.endswith("ly"):
            continue
        last = found[-1] if found else None
        together = (
            last is not None
            and last.last == token.rank - 1
            and a.claim.content[last.last].index == token.index - 1
            and 0 <= best[0] - last.end <= 1
        )
        if last is not None and together:
            last.last, last.end, last.weight = token.rank, best[0], last.weight + token.weight
        else:
            found.append(_phrase(a, token.rank, best[0]))
    return [p for p in found if p.weight >= 0.5][:_MOST]


def _words(a: Alignment) -> list[Phrase]:
    """Return the claim's weightier words as phrases of one word; numbers are checked in `roles`."""
    found = [
        _phrase(a, t.rank, best[0])
        for t in a.claim.content
        if (best := a.best[t.rank]) and t.kind != "number" and t.weight >= 1 and not t.lower.endswith("ly")
    ]
    return found[:_MOST_WORDS]


def _phrase(a: Alignment, rank: int, place: int) -> Phrase:
    weight = a.claim.content[rank].weight
    return Phrase(rank, rank, place, place, lead(a.claim, rank), lead(a.source, place), weight)


def lead(text: Text, rank: int) -> str:
    """Return the preposition that leads the run of words before a word; brackets do not end a run."""
    word = text.content[rank]
    for index in range(word.index - 1, -1, -1):
        token, following = text.tokens[index], text.tokens[index + 1]
        if token.clause != following.clause and following.gap not in ("(", ")"):
            return ""
        if token.kind == "function" and token.lower not in _PASSED:
            gerund = following.lower.endswith("ing") and following.index != word.index
            return token.lower if token.lower in PREPOSITIONS and not gerund else ""
    return ""
