"""Find names in a claim that its evidence does not name: another model, dataset or version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from paperagent.verification.antonyms import SIBLINGS
from paperagent.verification.context import COMMON_NAMES, Context
from paperagent.verification.overlap import Alignment
from paperagent.verification.values import Token, lemma


def strangers(a: Alignment, around: Context) -> Iterator[tuple[str, bool]]:
    """Yield (reason, whether it refutes) for each name of the claim that is not in the evidence.

    A name that is not in the titles, the abstracts or the question either is a stranger. The paper's own
    name may replace its "we"; any other name in the abstract belongs to another sentence.
    """
    spoken = {t.stem for t in a.source.tokens}
    for token in a.claim.content:
        if a.best[token.rank] is not None or token.stem in spoken:
            continue
        if token.kind != "name" and not (token.capital and token.kind == "word"):
            continue
        if token.lower in COMMON_NAMES or around.is_own_name(token):
            continue
        sibling = _sibling(token, a)
        more = f" (it names “{sibling}”)" if sibling else ""
        yield f"“{token.text}” is not named in the cited sentence{more}", not around.mentions(token)


def exchanged_kinds(a: Alignment) -> Iterator[str]:
    """Yield a reason where the claim has one of a kind (*human*) and the evidence another (*mouse*)."""
    spoken = {t.stem for t in a.source.tokens}
    for token in a.claim.content:
        kinds = _KINDS.get(token.stem, _NONE)
        if not kinds or token.stem in spoken:
            continue
        for other in a.source.content:
            if other.rank not in a.covered and kinds & _KINDS.get(other.stem, _NONE):
                yield f"“{token.text}” where the cited sentence has “{other.text}”"
                return


_NONE: frozenset[int] = frozenset()


def _kinds() -> dict[str, frozenset[int]]:
    kinds: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(SIBLINGS):
        for word in line.split():
            kinds[lemma(word)[0]].add(number)
    return {stem: frozenset(numbers) for stem, numbers in kinds.items()}


_KINDS = _kinds()
"""Stem → the kinds of `SIBLINGS` that it belongs to."""


def _sibling(token: Token, a: Alignment) -> str:
    """Return the evidence's name that begins alike, such as GPT-4 for GPT-5."""
    head = token.stem.rstrip("0123456789")[:4]
    for other in a.source.content:
        if other.kind == "name" and len(head) > 1 and other.stem.startswith(head):
            return other.text
    return ""
