"""Check who is compared with whom, and which way: *A outperforms B* is not *B outperforms A*."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from paperagent.checks.overlap import Alignment
from paperagent.checks.tokens import Text, Token, lemma

_VERBS = frozenset(
    lemma(w)[0]
    for w in """outperform surpass exceed beat underperform outdo teach finetune precede follow cause
        inhibit activate induce replace convert transform translate predict generate produce
        regulate improve reduce increase decrease suppress promote affect influence drive
        guide use require help attack detect bind express encode""".split()
)
_WINS = frozenset(lemma(w)[0] for w in "outperform surpass exceed beat outdo".split())
_BE = frozenset("is are was were be been being".split())
_SPAN = 6
"""Content words on each side of a relation that are taken for its sides."""


@dataclass(slots=True)
class Relation:
    """A relation's sides as ranks; for a passive (*is V-ed by*) the sides are already exchanged."""

    left: list[int]
    right: list[int]
    kind: str
    text: str


def relations(text: Text) -> list[Relation]:
    """Return the relations of a text: comparative verbs, *than*, *versus*, and verbs with a passive."""
    found = []
    for token in text.tokens:
        if token.kind == "word" and token.stem in _VERBS:
            found.append(_around(text, token, "win" if token.stem in _WINS else token.stem))
        elif token.lower in ("than", "versus"):
            found.append(_around(text, token, "than"))
    return [r for r in found if r.left and r.right]


def _around(text: Text, token: Token, kind: str) -> Relation:
    first = token.rank if token.rank >= 0 else text.rank_after(token.index)
    behind = token.rank + 1 if token.rank >= 0 else first
    left = [t.rank for t in text.content[max(0, first - _SPAN) : first] if t.sentence == token.sentence]
    right = [t.rank for t in text.content[behind : behind + _SPAN] if t.sentence == token.sentence]
    by = any(t.lower == "by" for t in text.tokens[token.index + 1 : token.index + 3])
    passive = by and any(t.lower in _BE for t in text.tokens[max(0, token.index - 3) : token.index])
    return Relation(right, left, kind, token.text) if passive else Relation(left, right, kind, token.text)


def reversed_sides(a: Alignment) -> Iterator[str]:
    """Yield a reason for each relation whose sides the claim exchanges."""
    theirs = relations(a.source)
    for mine in relations(a.claim):
        for other in theirs:
            if mine.kind != other.kind:
                continue
            straight = _share(a, mine.left, other.left) + _share(a, mine.right, other.right)
            crossed = _share(a, mine.left, other.right) + _share(a, mine.right, other.left)
            if crossed > straight + 0.5:
                yield f"the sides of “{mine.text}” are exchanged"
                return


def _share(a: Alignment, mine: list[int], theirs: list[int]) -> float:
    """Return the share of one side's matched weight that lies on a side of the evidence."""
    places = set(theirs)
    held = total = 0.0
    for rank in mine:
        if a.best[rank] is None:
            continue
        weight = a.claim.content[rank].weight
        total += weight
        if any(p in places for p, _ in a.candidates[rank]):
            held += weight
    return held / total if total else 0.0
