"""Compare the negations of a claim with those of its evidence, and find opposite words.

Negations are paired one to one. An opposite (*increase* for *decrease*, *un-*, *-less*) reverses the
evidence unless a negation reverses it back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from paperagent.text.terms import stem
from paperagent.verification.alignment import SAME, Alignment
from paperagent.verification.lexicon import (
    FAMILIES,
    NEGATIONS,
    NEGATIVE_PREFIXES,
    NEGATIVE_STEMS,
    PARTIAL,
    PREFIX_PAIRS,
    VERBAL_NEGATIONS,
)
from paperagent.verification.tokens import GROUPS, Text, Token, lemma

_MAX_SCOPE = 3
"""Number of content words after a negation that it denies."""

_CONJUNCTIONS = frozenset({"and", "but"})
_NEARBY_TOKENS = 5
"""Number of tokens on either side of a word that are searched for another negative word."""
_NEAR_COPY = 0.75
"""Minimum share of equal tokens for an added negation to contradict the sentence."""
_PLAIN_NEGATIONS = frozenset("not no never cannot neither nor none".split())
_CONTRASTS = frozenset({"ratherthan", "insteadof"})
_MAX_CLAIM_CUES = 30
"""Maximum number of negations of a claim that are paired."""
_MAX_SOURCE_CUES = 300
"""Maximum number of negations of the evidence that are read."""
_MIN_RELATIVE_FIT = 0.6
"""Fit that another place of a word needs, as a share of the best fit."""


@dataclass(slots=True)
class Cue:
    """One negation: its token and the ranks of the words that it denies."""

    token: Token
    scope: range
    paired: bool = False


@dataclass(slots=True)
class Negations:
    """The negations of both texts after pairing."""

    claim: list[Cue] = field(default_factory=list)
    source: list[Cue] = field(default_factory=list)

    def claim_denies(self, rank: int) -> bool:
        """Return whether an odd number of negations covers a word of the claim."""
        return sum(rank in c.scope for c in self.claim) % 2 == 1

    def source_denies(self, rank: int) -> bool:
        """Return whether an odd number of negations covers a word of the evidence."""
        return sum(rank in c.scope for c in self.source) % 2 == 1


def negation_cues(text: Text) -> list[Cue]:
    """Return the negations of a text with their scopes."""
    results = []
    for token in text.tokens:
        if token.lower in NEGATIONS and token.number is None:
            first = token.rank + 1 if token.rank >= 0 else text.rank_after(token.index)
            results.append(Cue(token, range(first, _scope_end(text, token, first))))
    return results


def _scope_end(text: Text, token: Token, first: int) -> int:
    """Return the end of a negation's scope, which is its clause; the first word may follow a comma."""
    last = first
    for rank in range(first, min(first + _MAX_SCOPE, len(text.content))):
        word = text.content[rank]
        if word.sentence != token.sentence or (word.clause != token.clause and rank > first):
            break
        if rank > first and any(
            t.lower in _CONJUNCTIONS for t in text.tokens[text.content[rank - 1].index : word.index]
        ):
            break
        last = rank + 1
    return last


def pair_negations(alignment: Alignment) -> Negations:
    """Return the negations of both texts, each paired with at most one of the other's."""
    n = Negations(
        negation_cues(alignment.claim)[:_MAX_CLAIM_CUES], negation_cues(alignment.source)[:_MAX_SOURCE_CUES]
    )
    options = [
        (score, i, j)
        for i, c in enumerate(n.claim)
        for j, s in enumerate(n.source)
        if (score := _fit(alignment, c, s)) > 0
    ]
    for _, i, j in sorted(options, reverse=True):
        if not n.claim[i].paired and not n.source[j].paired:
            n.claim[i].paired = n.source[j].paired = True
    return n


def _fit(alignment: Alignment, claim: Cue, source: Cue) -> float:
    """Measure how well two negations deny the same words."""
    fit = 0.0
    for order, rank in enumerate(claim.scope):
        if any(
            p in source.scope and _is_meant_position(alignment, rank, p)
            for p, _ in alignment.matching_words[rank]
        ):
            fit += (1.0, 0.7, 0.5)[order]
    if fit and claim.token.lower == source.token.lower:
        fit += 0.3
    return fit


def _is_meant_position(alignment: Alignment, rank: int, position: int) -> bool:
    """Return whether a claim's word refers to this evidence word, not to the same word elsewhere."""
    best = alignment.best[rank]
    return best is not None and (
        best[0] == position
        or alignment.neighborhood_fit(rank, position)
        >= _MIN_RELATIVE_FIT * alignment.neighborhood_fit(rank, best[0])
    )


def changed_negations(
    alignment: Alignment, n: Negations, opposed: frozenset[tuple[int, int]], *, copy: bool
) -> Iterator[tuple[str, bool]]:
    """Yield (reason, whether it refutes) for each negation that the claim added or left out.

    ``opposed`` holds the (claim rank, evidence rank) pairs of opposite words: a negation next
    to one of them is the other half of the same change (*not easy* for *difficult*). In free wording
    (not ``copy``) the claim may add "rather than", and any negative word of the evidence near the same
    words accounts for a negation of the claim.
    """
    for cue in n.claim:
        if cue.paired or _has_opposite(cue, opposed, side=0) or _has_synonym(alignment, cue):
            continue
        if not copy and (cue.token.lower in _CONTRASTS or _denied_nearby(alignment, cue)):
            continue
        elsewhere = any(c.token.lower == cue.token.lower for c in n.source)
        denies = cue.token.lower in _PLAIN_NEGATIONS and alignment.copied >= _NEAR_COPY and not elsewhere
        yield f"“{cue.token.text}” is not in the cited sentence", denies
    for cue in n.claim:
        if (
            cue.paired
            and _all_partial(alignment.source, n.source)
            and not _all_partial(alignment.claim, n.claim)
        ):
            claimed = "where the cited sentence denies only a part (“not always”, “not all”)"
            yield f"“{cue.token.text}” {claimed}", False
            break
    for cue in n.source:
        if cue.paired or _has_opposite(cue, opposed, side=1) or not _asserts_denied_words(alignment, cue):
            continue
        if not copy and not _repeats_denied_words(alignment, n, cue):
            continue
        denies = (
            cue.token.lower in _PLAIN_NEGATIONS and not n.claim and _repeats_denied_words(alignment, n, cue)
        )
        yield f"the cited sentence says “{cue.token.text} {_scope_text(alignment.source, cue)}”", denies


def _denied_nearby(alignment: Alignment, cue: Cue) -> bool:
    """Return whether the evidence has a negative word near the words that the claim denies."""
    places = [b[0] for r in cue.scope if (b := alignment.best[r])]
    for position in places:
        index = alignment.source.content[position].index
        near = alignment.source.tokens[max(0, index - _NEARBY_TOKENS) : index + _NEARBY_TOKENS + 1]
        if any(t.lower in NEGATIONS or t.stem in NEGATIVE_STEMS for t in near):
            return True
    return not places


def _repeats_denied_words(alignment: Alignment, n: Negations, cue: Cue) -> bool:
    """Return whether the claim repeats the words that the evidence denies, without any negative word."""
    scope = list(cue.scope)[:2]
    if not scope or not all(r in alignment.covered for r in scope):
        return False
    return not n.claim and not any(t.stem in NEGATIVE_STEMS for t in alignment.claim.content)


def _all_partial(text: Text, cues: list[Cue]) -> bool:
    """Return whether every negation is partial, such as *not always* or *not all*."""
    following = [text.tokens[c.token.index + 1 : c.token.index + 3] for c in cues]
    return bool(following) and all(any(t.lower in PARTIAL for t in tokens) for tokens in following)


def _has_opposite(cue: Cue, opposed: frozenset[tuple[int, int]], *, side: int) -> bool:
    return any(pair[side] in cue.scope for pair in opposed)


def _has_synonym(alignment: Alignment, cue: Cue) -> bool:
    """Return whether a verb of failing has a synonym in the evidence (*struggle* for *fail*)."""
    if cue.token.lower not in VERBAL_NEGATIONS:
        return False
    return cue.token.rank >= 0 and alignment.best[cue.token.rank] is not None


def _asserts_denied_words(alignment: Alignment, cue: Cue) -> bool:
    """Return whether the claim asserts what the evidence denies."""
    if cue.token.rank in alignment.covered and cue.token.lower in VERBAL_NEGATIONS:
        return False
    scope = [r for r in cue.scope if alignment.source.content[r].weight >= 0.5] or list(cue.scope)
    if not scope:
        return False
    repeated = [r for r in scope if r in alignment.covered]
    return bool(repeated) and (scope[0] in alignment.covered or len(repeated) * 2 >= len(scope))


def _scope_text(text: Text, cue: Cue) -> str:
    return " ".join(text.content[r].text for r in cue.scope)


_MIN_OPPOSITE_FIT = 0.27
"""Minimum fit for two opposite words to describe the same thing."""


_VERBS = frozenset({"compar"})
"""Stems shared by a verb without an opposite and an adjective with one (*compare*, *comparable*)."""


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
"""Words that may number the steps of a text."""
_NONE: frozenset[tuple[int, int]] = frozenset()
_NO_GROUP: frozenset[int] = frozenset()


@lru_cache(maxsize=50_000)
def opposed(one: str, other: str) -> bool:
    """Return whether two stems are opposites, by the families or by form."""
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


def opposite_words(alignment: Alignment) -> list[tuple[int, int]]:
    """Return (claim rank, evidence rank) of opposite words that describe the same thing."""
    opposites = _Opposites(alignment.source)
    results = []
    for token in alignment.claim.content:
        if token.kind != "word":
            continue
        best = alignment.best[token.rank]
        current_fit = (
            alignment.neighborhood_fit(token.rank, best[0]) + (0.15 if best[1] == SAME else 0.0)
            if best
            else 0.0
        )
        for position in opposites.of(token.stem):
            close = alignment.neighborhood_fit(token.rank, position)
            if _MIN_OPPOSITE_FIT <= close > current_fit + 0.02 and not _has_better_place(
                alignment, position, token.rank
            ):
                results.append((token.rank, position))
                break
    return results


def reversed_words(
    alignment: Alignment, pairs: list[tuple[int, int]], negations: Negations, *, copy: bool
) -> Iterator[str]:
    """Yield a reason for each opposite word that no negation reverses (*not easy* for *difficult*).

    In free wording (not ``copy``) a word that the evidence has in any form counts as that word.
    """
    for rank, position in pairs:
        best = alignment.best[rank]
        if not copy and (best is not None or alignment.claim.content[rank].lower in _ORDINALS):
            continue
        if negations.claim_denies(rank) == negations.source_denies(position):
            claimed, cited = alignment.claim.content[rank].text, alignment.source.content[position].text
            yield f"“{claimed}” where the cited sentence has “{cited}”"


def _has_better_place(alignment: Alignment, position: int, rank: int) -> bool:
    """Return whether another word of the claim matches the evidence's word better."""
    return any(
        b is not None
        and b[0] == position
        and r != rank
        and b[1] == SAME
        and alignment.neighborhood_fit(r, position) >= alignment.neighborhood_fit(rank, position)
        for r, b in enumerate(alignment.best)
    )


class _Opposites:
    """The evidence's words indexed by pole."""

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
        results = [r for r in ranks if opposed(stem, self._source.content[r].stem)]
        for other in self._stems:
            if (other[-5:] == stem[-5:] or "less" in (other[-4:], stem[-4:])) and _opposed_form(stem, other):
                results += [r for r in self._source.by_stem[other] if r not in results]
        return sorted(results)


_POSITIVE = frozenset(
    stem(word)
    for word in """outperform surpass exceed beat better best superior improve improvement well strong robust
    effective successful succeed success excel gain benefit reliable helpful""".split()
)
_NEGATIVE = frozenset(
    stem(word)
    for word in """worse worst underperform degrade struggle fail failure poor poorly inferior lag trail
    decline weak deteriorate drop unable ineffective unreliable harmful suffer""".split()
)


def contrary_judgment(alignment: Alignment) -> Iterator[str]:
    """Yield a reason if the claim calls something good that the evidence calls bad, or the reverse.

    This applies only if the evidence lacks the claim's word and judges in one direction.
    """
    source = {t.stem for t in alignment.source.content}
    for token in alignment.claim.content:
        if alignment.best[token.rank] is not None or token.stem in source:
            continue
        for mine, theirs in ((_POSITIVE, _NEGATIVE), (_NEGATIVE, _POSITIVE)):
            if token.stem in mine and source & theirs and not source & mine:
                yield f"“{token.text}” where the cited sentence makes the opposite judgment"
                return
