"""Find what a claim says more firmly than its evidence: hedges left out, *all* for *some*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from paperagent.verification.cues import HEDGES, SOFT_HEDGES, STRENGTH_TWINS, STRENGTHENERS
from paperagent.verification.overlap import Alignment
from paperagent.verification.values import Text, Token, lemma

_REACH = 4
"""Content words behind a hedge (and two before it) that it makes careful."""
_COPY = 0.8
"""Share of equal tokens from which a claim is a near copy."""
_NEXT = {
    "possible": ("likely", "suggest", "some"),
    "likely": ("possible", "suggest", "often"),
    "suggest": ("possible", "likely", "tentative"),
    "often": ("some", "possible", "likely", "suggest"),
    "some": ("possible", "often"),
    "tentative": ("possible", "suggest", "likely"),
    "almost": ("often",),
}
"""Kind of hedge → the kinds that may stand for it."""
_TWINS: dict[str, frozenset[str]] = {}
for _twins in STRENGTH_TWINS:
    for _word in _twins:
        _TWINS[_word] = _TWINS.get(_word, frozenset()) | _twins


def dropped(a: Alignment) -> Iterator[str]:
    """Yield a reason for each hedge of the evidence that the claim leaves out of what it says.

    Hedges are paired one to one: the same word first, then words of one kind, then kinds that
    may stand for each other (*may* for *results suggest*).
    """
    mine = [t.lower for t in a.claim.tokens if t.lower in HEDGES and not _is_mark(a.claim, t)]
    left = []
    for token in a.source.tokens:
        if token.lower in HEDGES and not _is_mark(a.source, token):
            if token.lower in mine:
                mine.remove(token.lower)
            elif token.lower in SOFT_HEDGES or (token.lower == "some" and a.copied < _COPY):
                continue  # "some methods that …" may become "methods that …"
            elif _said(a, token):
                left.append(token)
    kinds = Counter(HEDGES[w] for w in mine)
    left = [t for t in left if not _take(kinds, HEDGES[t.lower])]
    for token in left:
        if not any(_take(kinds, kind) for kind in _NEXT.get(HEDGES[token.lower], ())):
            yield f"the cited sentence is more careful (“{token.text}”)"


def _take(kinds: Counter[str], kind: str) -> bool:
    if kinds[kind] < 1:
        return False
    kinds[kind] -= 1
    return True


def _is_mark(text: Text, token: Token) -> bool:
    """Tell whether a word such as *about* or *nearly* stands before a number, where `numbers` checks it."""
    following = text.tokens[token.index + 1 : token.index + 2]
    return bool(following and following[0].number and following[0].number.mark)


def _said(a: Alignment, hedge: Token) -> bool:
    """Tell whether the claim repeats the words that the hedge makes careful."""
    first = hedge.rank + 1 if hedge.rank >= 0 else a.source.rank_after(hedge.index)
    scope = [
        t.rank
        for t in a.source.content[max(0, first - 2) : first + _REACH]
        if t.rank != hedge.rank
        and (t.clause == hedge.clause or (t.rank == first and t.sentence == hedge.sentence))
    ]
    behind = [r for r in scope if r >= first]
    held = [r for r in behind if r in a.covered]
    if hedge.rank in a.covered:
        return False
    return len(held) * 2 >= len(behind) and bool(held) if behind else any(r in a.covered for r in scope)


def overstated(a: Alignment) -> Iterator[str]:
    """Yield a reason for each word of the claim that claims more than the evidence."""
    said = a.source.lowers
    for token in a.claim.tokens:
        word = token.lower
        if word in STRENGTHENERS and word not in said and not (_TWINS.get(word, frozenset()) & said):
            if a.source.by_stem.get(lemma(word)[0]):
                continue
            if word in ("any", "all", "every") and _denied_near(a.claim, token):
                continue
            if word == "only" and _before_number(a.claim, token):
                continue  # whether an amount is small is the writer's opinion
            yield f"“{token.text}” claims more than the cited sentence"
        elif token.degree == 2 and token.rank >= 0 and _raised(a, token):
            yield f"“{token.text}” claims more than the cited sentence"


def _raised(a: Alignment, token: Token) -> bool:
    best = a.best[token.rank]
    if best is None:
        return False
    return (
        a.source.content[best[0]].degree < 2
        and not any(t.degree == 2 for t in a.source.content)
        and best[1] == 1.0
    )


def _before_number(text: Text, token: Token) -> bool:
    return any(t.number for t in text.tokens[token.index + 1 : token.index + 4])


def _denied_near(text: Text, token: Token) -> bool:
    before = text.tokens[max(0, token.index - 6) : token.index]
    return any(t.lower in ("not", "no", "without", "never", "nor") for t in before)
