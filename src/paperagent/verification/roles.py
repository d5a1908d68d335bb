"""Check that numbers and comparisons keep their roles.

Each number of a claim must be in the evidence with its unit, its comparison mark and the noun it counts. *A
outperforms B* is not *B outperforms A*: a comparison is a cue (a verb such as *outperform*, or *than*,
*over*, *versus*) with the words on its two sides. It is reversed if the evidence has these sides in the
opposite order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from paperagent.verification import numbers
from paperagent.verification.alignment import Alignment
from paperagent.verification.context import Context
from paperagent.verification.tokens import Text, Token, lemma

_DIFFERENCES = {
    "value": "is not in",
    "sign": "has another sign in",
    "unit": "has another unit in",
    "mark": "is bounded otherwise in",
}
_DETERMINERS = frozenset("the a an all its their our these those this that".split())
_CHANGE_PREPOSITIONS = frozenset({"from", "to", "by"})
_COMPARATIVES = frozenset("more less fewer".split())
_MAX_SPELLED_COUNT, _MAX_DIGIT_COUNT = 12, 5
"""Maximum count, in words and in digits, that the model may have added itself."""
_MAX_NUMBERS = 40
"""Maximum number of a claim's numbers that are compared with each other."""
_LIST_DISTANCE = 3
"""Numbers at most this far apart in ranks are members of one list or range."""
_MAX_NOUN_DISTANCE = 4
"""Number of words after a number that are searched for its noun."""


def wrong_numbers(alignment: Alignment, context: Context, *, copy: bool) -> Iterator[tuple[str, bool]]:
    """Yield (reason, whether it refutes) for each number that the evidence lacks or uses differently.

    A number that is nowhere in the paper refutes. In free wording, a small bare count
    is accepted, because the model may have counted itself ("three tasks, namely …").
    """
    source = alignment.source.numbers
    seen: Counter[float] = Counter()
    for token in alignment.claim.content:
        if token.number is None:
            continue
        compared = [(numbers.compare(token.number, t.number), t) for t in source if t.number]
        right = [t for wrong, t in compared if wrong is None]
        seen[token.number.value] += 1
        if not right:
            same = [wrong for wrong, _ in compared if wrong and wrong != "value"]
            wrong = same[0] if same else "value"
            if not copy and (
                (wrong == "value" and _is_small_count(token)) or (wrong == "unit" and not token.number.unit)
            ):
                continue
            refutes = (
                wrong == "sign"
                or (wrong == "unit" and bool(token.number.unit))
                or (wrong == "value" and (copy or not context.mentions(token)) and not _is_small_count(token))
            )
            yield f"number {token.number.text} {_DIFFERENCES[wrong]} the cited sentence", refutes
        elif copy and seen[token.number.value] > len(right):
            yield f"number {token.number.text} occurs more often than in the cited sentence", False
        elif (copy or token.number.unit) and all(_counts_another_noun(alignment, token, t) for t in right):
            yield f"number {token.number.text} counts something else in the cited sentence", False
        elif all(_share_becomes_difference(alignment, token, t) for t in right):
            yield f"number {token.number.text} is a share in the cited sentence, not a difference", False
        elif all(_changes_preposition(alignment, token, t) for t in right):
            reason = "has another preposition in the cited sentence (by, from, to)"
            yield f"number {token.number.text} {reason}", False


def _is_small_count(token: Token) -> bool:
    """Return whether a number is a small count in words, or the number of a step."""
    number = token.number
    return (
        number is not None
        and not number.unit
        and not number.mark
        and number.value <= _MAX_SPELLED_COUNT
        and (number.text.isalpha() or number.value <= _MAX_DIGIT_COUNT)
        and float(number.value).is_integer()
    )


def _noun_phrase(text: Text, token: Token) -> list[Token]:
    """Return the words directly after a number, up to a function word, a number or a comma."""
    phrase = []
    for t in text.tokens[token.index + 1 : token.index + 1 + _MAX_NOUN_DISTANCE]:
        if t.kind not in ("word", "name") or t.clause != token.clause:
            break
        phrase.append(t)
    return phrase


def _percentage_base(text: Text, token: Token) -> list[Token]:
    """Return the noun phrase after the "of" of a percentage (``50% of the training corpus``)."""
    following = text.tokens[token.index + 1 : token.index + 2]
    if not following or following[0].lower != "of":
        return []
    words: list[Token] = []
    for t in text.tokens[token.index + 2 : token.index + 2 + 2 * _MAX_NOUN_DISTANCE]:
        if not words and t.lower in _DETERMINERS:
            continue
        if t.clause != token.clause or t.kind in ("function", "number"):
            break
        words.append(t)
    return words


def _counts_another_noun(alignment: Alignment, token: Token, source: Token) -> bool:
    """Return whether the number counts *tokens* in the claim and *examples* in the evidence."""
    mine, theirs = _noun_phrase(alignment.claim, token), _noun_phrase(alignment.source, source)
    if token.number and token.number.unit:
        mine, theirs = _percentage_base(alignment.claim, token), _percentage_base(alignment.source, source)
    if not mine or not theirs:
        return False
    places = {t.rank for t in theirs}
    if any(p in places for t in mine for p, _ in alignment.matching_words[t.rank]):
        return False
    context = range(source.rank - 3, source.rank + _MAX_NOUN_DISTANCE + 3)
    return not any(p in context for t in mine for p, _ in alignment.matching_words[t.rank])


def _share_becomes_difference(alignment: Alignment, token: Token, source: Token) -> bool:
    """Return whether the claim turns ``13% of`` into ``13% more``."""
    mine = alignment.claim.tokens[token.index + 1 : token.index + 2]
    theirs = alignment.source.tokens[source.index + 1 : source.index + 2]
    if not mine or not theirs or theirs[0].lower != "of":
        return False
    return mine[0].degree == 1 or mine[0].lower in _COMPARATIVES


def _changes_preposition(alignment: Alignment, token: Token, source: Token) -> bool:
    mine, theirs = _change_preposition(alignment.claim, token), _change_preposition(alignment.source, source)
    return bool(mine and theirs and mine != theirs)


def _change_preposition(text: Text, token: Token) -> str:
    for t in reversed(text.tokens[max(0, token.index - 3) : token.index]):
        if t.lower in _CHANGE_PREPOSITIONS:
            return t.lower
        if t.kind != "function":
            break
    return ""


def swapped_numbers(alignment: Alignment) -> Iterator[str]:
    """Yield a reason for each pair of exchanged numbers, and for each number that replaces another."""
    mine = [t for t in alignment.claim.content if t.number and alignment.best[t.rank]][:_MAX_NUMBERS]
    used = {b[0] for t in mine if (b := alignment.best[t.rank])}
    for i, one in enumerate(mine):
        for other in mine[i + 1 :]:
            if _exchanged(alignment, one.rank, other.rank):
                yield f"numbers {one.text} and {other.text} are exchanged"
    for token in mine:
        if _misplaced(alignment, token, used):
            yield f"number {token.text} belongs to something else in the cited sentence"


def _exchanged(alignment: Alignment, one: int, other: int) -> bool:
    first, second = alignment.best[one], alignment.best[other]
    if first is None or second is None or first[0] == second[0]:
        return False
    if _unit_of(alignment.claim.content[one]) != _unit_of(alignment.claim.content[other]):
        return False  # each still has its unit, which `numbers` compares
    skip = (one, other)
    own_fit = alignment.neighborhood_fit(one, first[0], skip) + alignment.neighborhood_fit(
        other, second[0], skip
    )
    turned = alignment.neighborhood_fit(one, second[0], skip) + alignment.neighborhood_fit(
        other, first[0], skip
    )
    if _counts_same_noun(alignment, one, first[0]) or _counts_same_noun(alignment, other, second[0]):
        return False
    if (one < other) != (first[0] < second[0]) and abs(first[0] - second[0]) <= _LIST_DISTANCE:
        return turned > 0.95 * own_fit  # listed in the opposite order: the items must have moved too
    return turned > 1.08 * own_fit + 0.02


def _unit_of(token: Token) -> str:
    return token.number.unit if token.number else ""


def _counts_same_noun(alignment: Alignment, rank: int, position: int) -> bool:
    """Return whether a number counts the same noun in both texts."""
    theirs = {t.rank for t in _noun_phrase(alignment.source, alignment.source.content[position])}
    return any(
        p in theirs
        for t in _noun_phrase(alignment.claim, alignment.claim.content[rank])
        for p, _ in alignment.matching_words[t.rank]
    )


def _misplaced(alignment: Alignment, token: Token, used: set[int]) -> bool:
    best = alignment.best[token.rank]
    assert best is not None
    assert token.number is not None
    own_fit = max(alignment.neighborhood_fit(token.rank, p) for p, _ in alignment.matching_words[token.rank])
    rivals = [
        t.rank
        for t in alignment.source.numbers
        if t.number
        and t.rank not in used
        and t.number.unit == token.number.unit
        and abs(t.rank - best[0]) > 1
    ]
    return any(alignment.neighborhood_fit(token.rank, r) > 1.4 * own_fit + 0.1 for r in rivals)


_COMPARISON_VERBS = frozenset(
    lemma(w)[0] for w in "outperform surpass exceed beat outdo underperform trail lag lead teach".split()
)
_PREPOSITIONS = frozenset(
    """in on at with without for from by to under across over during after before through via using between
    among within as than versus against into""".split()
)
_FORMS_OF_BE = frozenset("is are was were be been being".split())
_MAX_COMPARISONS = 60
"""Maximum number of comparisons read per text."""
_RIGHT_WORDS = 4
"""Number of content words after a cue that form its right side."""
_LEFT_WORDS = 9
"""Number of content words before a cue (subject and predicate) that form its left side."""


@dataclass(slots=True)
class ComparisonSides:
    """A comparison's sides as ranks, nearest first; already exchanged for a passive or a fronted *versus*."""

    left: list[int]
    right: list[int]
    kind: str
    text: str


def comparisons(text: Text) -> list[ComparisonSides]:
    """Return the comparisons: verbs of winning, *than*, *over* and *versus*, but not before a number."""
    compared = []
    for token in text.tokens:
        if token.kind == "word" and token.stem in _COMPARISON_VERBS:
            compared.append(_comparison_at(text, token, token.stem))
        elif token.lower in ("than", "versus", "over") and not _precedes_number(text, token):
            compared.append(_comparison_at(text, token, "than"))
    return [r for r in compared if r.left and r.right]


def _precedes_number(text: Text, token: Token) -> bool:
    """Return whether a cue precedes a number (*over 15 datasets*, *fewer than 10 billion*)."""
    following = text.tokens[token.index + 1 : token.index + 2]
    return bool(following and following[0].number)


def _comparison_at(text: Text, token: Token, kind: str) -> ComparisonSides:
    first = token.rank if token.rank >= 0 else text.rank_after(token.index)
    following = token.rank + 1 if token.rank >= 0 else first
    left = [t.rank for t in text.content[max(0, first - _LEFT_WORDS) : first] if t.sentence == token.sentence]
    right = [t for t in text.content[following : following + _LEFT_WORDS] if t.sentence == token.sentence]
    if not left and kind == "than":  # "compared with B, A …"
        fronted = [t.rank for t in right if t.clause == token.clause]
        return ComparisonSides([t.rank for t in right if t.clause != token.clause], fronted, kind, token.text)
    by = any(t.lower == "by" for t in text.tokens[token.index + 1 : token.index + 3])
    if by and any(t.lower in _FORMS_OF_BE for t in text.tokens[max(0, token.index - 3) : token.index]):
        return ComparisonSides([t.rank for t in right], left[::-1], kind, token.text)
    return ComparisonSides(left[::-1], [t.rank for t in right], kind, token.text)


def reversed_sides(alignment: Alignment) -> Iterator[str]:
    """Yield a reason for each comparison whose sides the claim exchanges."""
    theirs = comparisons(alignment.source)[:_MAX_COMPARISONS]
    for mine in comparisons(alignment.claim)[:_MAX_COMPARISONS]:
        same = [r for r in theirs if r.kind == mine.kind]
        if same and _crossed(alignment, mine, max(same, key=lambda r: _common_words(alignment, mine, r))):
            yield f"the sides of “{mine.text}” are exchanged"
            return


def _common_words(alignment: Alignment, mine: ComparisonSides, theirs: ComparisonSides) -> int:
    """Count the words of one comparison that the other has too, on either side."""
    places = {*theirs.left[:_RIGHT_WORDS], *theirs.right[:_RIGHT_WORDS]}
    return sum(
        any(p in places for p, _ in alignment.matching_words[r])
        for r in mine.left[:_RIGHT_WORDS] + mine.right[:_RIGHT_WORDS]
    )


def _crossed(alignment: Alignment, mine: ComparisonSides, theirs: ComparisonSides) -> bool:
    straight, crossed = _side_weights(
        alignment, _comparison_object(alignment.claim, mine.right), theirs.right, theirs.left
    )
    _, back = _side_weights(alignment, mine.left, theirs.left, theirs.right[:_RIGHT_WORDS])
    return crossed > straight and back >= 1.0


def _comparison_object(text: Text, ranks: list[int]) -> list[int]:
    """Return the right side up to the next preposition (except *of*) or comma."""
    nearest = ranks[:1]
    for one, other in pairwise(ranks[:_RIGHT_WORDS]):
        between = text.tokens[text.content[one].index + 1 : text.content[other].index]
        if other < one or text.content[one].clause != text.content[other].clause:
            break
        if any(t.lower in _PREPOSITIONS and t.lower != "of" for t in between):
            break
        nearest.append(other)
    return nearest


def _side_weights(
    alignment: Alignment, ranks: list[int], same: list[int], other: list[int]
) -> tuple[float, float]:
    """Return the weight of a side's words found only on the same, and only on the other side."""
    straight = crossed = 0.0
    for rank in ranks:
        places = {p for p, _ in alignment.matching_words[rank]}
        here, there = not places.isdisjoint(same), not places.isdisjoint(other)
        weight = alignment.claim.content[rank].weight
        straight += weight * (here and not there)
        crossed += weight * (there and not here)
    return straight, crossed
