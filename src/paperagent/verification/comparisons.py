"""Check who is compared with whom, and which way: *A outperforms B* is not *B outperforms A*.

A comparison is a cue (a verb of winning, *than*, *over*, *versus*) with the words on its two sides.
The claim is reversed when the words right after its cue stand before the cue in the
evidence, and the other way round too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from paperagent.verification.overlap import Alignment
from paperagent.verification.values import Text, Token, lemma

_WINS = frozenset(
    lemma(w)[0] for w in "outperform surpass exceed beat outdo underperform trail lag lead teach".split()
)
_PREPOSITIONS = frozenset(
    """in on at with without for from by to under across over during after before through via using between
    among within as than versus against into""".split()
)
_BE = frozenset("is are was were be been being".split())
_MOST = 60
"""Comparisons of a text that are looked at."""
_NEAR = 4
"""Content words behind a cue that are its right side."""
_FAR = 9
"""Content words before a cue (subject and predicate) that are its left side."""


@dataclass(slots=True)
class Comparison:
    """A comparison's sides as ranks, nearest first; already exchanged for a passive or a fronted *versus*."""

    left: list[int]
    right: list[int]
    kind: str
    text: str


def comparisons(text: Text) -> list[Comparison]:
    """Return the comparisons: verbs of winning, *than*, *over* and *versus*, but not before a number."""
    compared = []
    for token in text.tokens:
        if token.kind == "word" and token.stem in _WINS:
            compared.append(_around(text, token, token.stem))
        elif token.lower in ("than", "versus", "over") and not _counts(text, token):
            compared.append(_around(text, token, "than"))
    return [r for r in compared if r.left and r.right]


def _counts(text: Text, token: Token) -> bool:
    """Tell whether a cue stands before a number (*over 15 datasets*, *fewer than 10 billion*)."""
    following = text.tokens[token.index + 1 : token.index + 2]
    return bool(following and following[0].number)


def _around(text: Text, token: Token, kind: str) -> Comparison:
    first = token.rank if token.rank >= 0 else text.rank_after(token.index)
    behind = token.rank + 1 if token.rank >= 0 else first
    left = [t.rank for t in text.content[max(0, first - _FAR) : first] if t.sentence == token.sentence]
    right = [t for t in text.content[behind : behind + _FAR] if t.sentence == token.sentence]
    if not left and kind == "than":  # "compared with B, A …"
        fronted = [t.rank for t in right if t.clause == token.clause]
        return Comparison([t.rank for t in right if t.clause != token.clause], fronted, kind, token.text)
    by = any(t.lower == "by" for t in text.tokens[token.index + 1 : token.index + 3])
    if by and any(t.lower in _BE for t in text.tokens[max(0, token.index - 3) : token.index]):
        return Comparison([t.rank for t in right], left[::-1], kind, token.text)
    return Comparison(left[::-1], [t.rank for t in right], kind, token.text)


def reversed_sides(a: Alignment) -> Iterator[str]:
    """Yield a reason for each comparison whose sides the claim exchanges."""
    theirs = comparisons(a.source)[:_MOST]
    for mine in comparisons(a.claim)[:_MOST]:
        same = [r for r in theirs if r.kind == mine.kind]
        if same and _crossed(a, mine, max(same, key=lambda r: _near(a, mine, r))):
            yield f"the sides of “{mine.text}” are exchanged"
            return


def _near(a: Alignment, mine: Comparison, theirs: Comparison) -> int:
    """Count the words of one comparison that the other has too, on either side."""
    places = {*theirs.left[:_NEAR], *theirs.right[:_NEAR]}
    return sum(any(p in places for p, _ in a.candidates[r]) for r in mine.left[:_NEAR] + mine.right[:_NEAR])


def _crossed(a: Alignment, mine: Comparison, theirs: Comparison) -> bool:
    straight, crossed = _sides(a, _object(a.claim, mine.right), theirs.right, theirs.left)
    _, back = _sides(a, mine.left, theirs.left, theirs.right[:_NEAR])
    return crossed > straight and back >= 1.0


def _object(text: Text, ranks: list[int]) -> list[int]:
    """Return the right side up to the next preposition (but *of*) or comma: what the cue applies to."""
    nearest = ranks[:1]
    for one, other in pairwise(ranks[:_NEAR]):
        between = text.tokens[text.content[one].index + 1 : text.content[other].index]
        if other < one or text.content[one].clause != text.content[other].clause:
            break
        if any(t.lower in _PREPOSITIONS and t.lower != "of" for t in between):
            break
        nearest.append(other)
    return nearest


def _sides(a: Alignment, ranks: list[int], same: list[int], other: list[int]) -> tuple[float, float]:
    """Return the weight of a side's words found only on the same, and only on the other side."""
    straight = crossed = 0.0
    for rank in ranks:
        places = {p for p, _ in a.candidates[rank]}
        here, there = not places.isdisjoint(same), not places.isdisjoint(other)
        weight = a.claim.content[rank].weight
        straight += weight * (here and not there)
        crossed += weight * (there and not here)
    return straight, crossed
