"""Find words of a claim that turn the evidence round: *increase* for *decrease*, *un-*, *-less*."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from paperagent.text.terms import stem
from paperagent.verification.antonyms import FAMILIES, NEGATIVE_PREFIXES, PREFIX_PAIRS
from paperagent.verification.negation import Negations
from paperagent.verification.overlap import SAME, Alignment
from paperagent.verification.values import GROUPS, Text, lemma

_SAME_THING = 0.27
"""Context from which two opposite words are taken to be said of the same thing."""


_VERBS = frozenset({"compar"})
"""Stems that a verb without an opposite shares with an adjective that has one (*compare*, *comparable*)."""


def _poles() -> dict[str, frozenset[tuple[int, int]]]:
    poles: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for number, line in enumerate(FAMILIES):
        for side, words in enumerate(line.split("|")):
            for word in words.split():
                if lemma(word)[0] not in _VERBS:
                    poles[lemma(word.replace("-", ""))[0]].add((number, side))
                poles[word].add((number, side))
    return {w: frozenset(p) for w, p in poles.items()}


POLES = _poles()
"""Stem (or word) → its (family, pole) pairs."""
_ORDINALS = frozenset({"first", "last"})
"""In free wording these number the steps of a text."""
_NONE: frozenset[tuple[int, int]] = frozenset()
_NO_GROUP: frozenset[int] = frozenset()


@lru_cache(maxsize=50_000)
def opposed(one: str, other: str) -> bool:
    """Tell whether two stems are opposites, by the families or by form."""
    if one == other:
        return False
    mine, theirs = POLES.get(one, _NONE), POLES.get(other, _NONE)
    if any((f, 1 - side) in theirs for f, side in mine):
        return not mine & theirs and not GROUPS.get(one, _NO_GROUP) & GROUPS.get(other, _NO_GROUP)
    return _opposed_form(one, other)


def _opposed_form(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if len(short) > 3 and any(long == p + short for p in NEGATIVE_PREFIXES):
        return True
    for mine, theirs in ((one, other), (other, one)):
        if mine.endswith("less") and mine.removesuffix("less") == theirs.removesuffix("ful"):
            return True
    return any(
        (
            one.startswith(x)
            and other.startswith(y)
            and one[len(x) :] == other[len(y) :]
            and len(one) - len(x) > 3
        )
        or (
            one.startswith(y)
            and other.startswith(x)
            and one[len(y) :] == other[len(x) :]
            and len(one) - len(y) > 3
        )
        for x, y in PREFIX_PAIRS
    )


def turned(a: Alignment) -> list[tuple[int, int]]:
    """Return (claim rank, evidence rank) of opposite words that are said of the same thing."""
    opposites = _Opposites(a.source)
    found = []
    for token in a.claim.content:
        if token.kind != "word":
            continue
        best = a.best[token.rank]
        held = a.context(token.rank, best[0]) + (0.15 if best[1] == SAME else 0.0) if best else 0.0
        for place in opposites.of(token.stem):
            close = a.context(token.rank, place)
            if _SAME_THING <= close > held + 0.02 and not _answered(a, place, token.rank):
                found.append((token.rank, place))
                break
    return found


def reversals(
    a: Alignment, pairs: list[tuple[int, int]], negations: Negations, *, copy: bool
) -> Iterator[str]:
    """Yield a reason for each turned word that no negation turns back (*not easy* for *difficult*).

    In free wording (not ``copy``) a word that the evidence has in any form counts as that word.
    """
    for rank, place in pairs:
        best = a.best[rank]
        if not copy and (best is not None or a.claim.content[rank].lower in _ORDINALS):
            continue
        if negations.claim_denies(rank) == negations.source_denies(place):
            said, cited = a.claim.content[rank].text, a.source.content[place].text
            yield f"“{said}” where the cited sentence has “{cited}”"


def _answered(a: Alignment, place: int, rank: int) -> bool:
    """Tell whether the claim says the evidence's word itself, in a place that fits it better."""
    return any(
        b is not None
        and b[0] == place
        and r != rank
        and b[1] == SAME
        and a.context(r, place) >= a.context(rank, place)
        for r, b in enumerate(a.best)
    )


class _Opposites:
    """The evidence's words by pole, looked up once for each word of the claim."""

    def __init__(self, source: Text) -> None:
        self._source = source
        self._by_pole: dict[tuple[int, int], list[int]] = defaultdict(list)
        for token in source.content:
            if token.kind == "word":
                for pole in POLES.get(token.stem, _NONE):
                    self._by_pole[pole].append(token.rank)
        self._stems = {t.stem for t in source.content if t.kind == "word"}

    def of(self, stem: str) -> list[int]:
        """Return the ranks of the words opposite to ``stem``."""
        ranks = {r for f, side in POLES.get(stem, _NONE) for r in self._by_pole.get((f, 1 - side), ())}
        found = [r for r in ranks if opposed(stem, self._source.content[r].stem)]
        for other in self._stems:
            if (other[-5:] == stem[-5:] or "less" in (other[-4:], stem[-4:])) and _opposed_form(stem, other):
                found += [r for r in self._source.by_stem[other] if r not in found]
        return sorted(found)


_GOOD = frozenset(
    stem(word)
    for word in """outperform surpass exceed beat better best superior improve improvement well strong robust
    effective successful succeed success excel gain benefit reliable helpful""".split()
)
_BAD = frozenset(
    stem(word)
    for word in """worse worst underperform degrade struggle fail failure poor poorly inferior lag trail
    decline weak deteriorate drop unable ineffective unreliable harmful suffer""".split()
)


def contrary_judgement(a: Alignment) -> Iterator[str]:
    """Yield a reason where the claim calls something good that the evidence calls bad, or the reverse.

    This applies only where the evidence lacks the claim's word and judges in one direction.
    """
    source = {t.stem for t in a.source.content}
    for token in a.claim.content:
        if a.best[token.rank] is not None or token.stem in source:
            continue
        for mine, theirs in ((_GOOD, _BAD), (_BAD, _GOOD)):
            if token.stem in mine and source & theirs and not source & mine:
                yield f"“{token.text}” where the cited sentence makes the opposite judgement"
                return
