"""Find what a claim adds around or inside the finding of its sentence.

A frame such as "it is a myth that" or ", which was later retracted" changes no word of the finding. There are
too many frames to list, so the evidence must account for every part of a claim instead. The parts are
separated by punctuation marks and subordinating words.

A part is accounted for if it has an *anchor*: a word of the evidence that belongs to no other part, or the
name of the paper's own work. A part without an anchor may only connect ("by contrast"), name a topic of the
paper, or report neutrally ("the authors show that"). Words that do not occur in the paper may replace words
of the evidence inside a part. There must not be more of them than anchors in the part, and none may stand
alone before the first or after the last anchor of the claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from paperagent.verification.alignment import SYNONYM, Alignment, find_matching_words
from paperagent.verification.context import Context
from paperagent.verification.lexicon import NEGATIONS, NEGATIVE_PREFIXES
from paperagent.verification.synonyms import LIGHT
from paperagent.verification.tokens import Text, Token, lemma

_MIN_WEIGHT = 0.5
"""Minimum weight of a meaningful content word."""
_MIN_PREFIX = 5
"""Minimum length of a common prefix that is compared with the shorter stem instead of the longer one."""
_MIN_PREFIX_SHARE = 0.75
"""Minimum share of the stem that two words of the same family have in common."""
_MAX_DISTANCE = 2
"""Maximum distance in ranks between a new word and the word of the evidence that it may replace."""

_SUBORDINATORS = frozenset(
    "that whether if unless until because although though while whereas but which who whose when".split()
)
"""Words that begin a part."""
_CONDITIONS = frozenset("if unless until whether provided except".split())
"""Words that make a finding conditional."""
_CONDITIONAL = _CONDITIONS | frozenset(
    "when whenever once under given only while where till whatever regardless how".split()
)
"""Words of the evidence that a condition may restate."""
_FRONTED_VERBS = frozenset("had were should".split())
"""Verbs that begin a condition without *if*."""
_MODALS = frozenset("would should could might must may".split())
_FORCE = (
    NEGATIONS
    | _MODALS
    | frozenset(
        "shall only once yet until till unless or ever even still just rather quite why if whether".split()
    )
)
"""Function words that change the force of a finding."""
_PERSONS = frozenset("i me my myself you your yours yourself".split())
"""Words for a speaker or a reader, which do not belong in a finding."""
_CLAUSE = frozenset("it there they he she what is are was were be been has have had".split())
"""Words that make a part a clause. Without them, a following *that* may be a relative pronoun."""
_LINKS = frozenset(
    """the a an this these that those their its they we it our also further here both all of in on by for
    with as to from and so which who is are was were has have been""".split()
)
"""Function words of a neutral report."""
_NEUTRAL = frozenset(
    """there same such call calls called name names named term terms termed account accounts do does did
    done""".split()
)
"""Words that add nothing, besides function words and `synonyms.LIGHT`."""
_CONNECTIVES = frozenset(
    """however moreover furthermore additionally instead likewise similarly next subsequently meanwhile
    importantly consequently accordingly conversely afterwards later thereby too again altogether
    alternatively lastly third contrast comparison addition particular example instance total average
    turn summary short conclusion fact practice contrary general brief yes no well""".split()
)
"""Words that connect a finding with another text."""


def _stems(words: str) -> frozenset[str]:
    return frozenset(lemma(word)[0] for word in words.split())


_REPORTS = _stems(
    """show find demonstrate report present propose introduce describe observe conclude indicate note
    state reveal highlight explain add prove verify confirm establish mean argue stress emphasize
    mention say write suggest imply yield"""
)
"""Stems of the verbs with which a paper reports a finding."""
_REPORTERS = _stems(
    """paper study work article abstract author researcher experiment result evaluation analysis finding
    method approach model test comparison ablation"""
)
"""Stems of the nouns that stand for a paper."""
_LIGHT = frozenset(lemma(word)[0] for word in LIGHT) - _stems(
    "aim appear become even help instead just remain seek seem still try able ability already"
)
"""Stems of `synonyms.LIGHT` that do not change the force of a finding."""


def added_material(alignment: Alignment, context: Context) -> Iterator[str]:
    """Yield a reason for the first part or word of the claim that the evidence does not account for."""
    addition = _added_part(alignment, context) or _added_word(alignment, context)
    if addition:
        yield f"“{addition}” is not in the cited sentence"


def added_tone(claim: str, evidence: Sequence[str]) -> Iterator[str]:
    """Yield a reason if a claim asks or exclaims, and no sentence of the evidence does."""
    if any(mark in claim and not any(mark in e for e in evidence) for mark in "?!"):
        yield "asks or exclaims, unlike the cited sentence"


def _added_part(alignment: Alignment, context: Context) -> str:
    """Return the words of the first part that the evidence does not account for, or an empty string."""
    parts = _parts(alignment.claim.tokens)
    for number, anchors in enumerate(_anchors_by_part(parts, alignment, context)):
        part = parts[number]
        reports = all(_is_neutral(t, alignment, context) for t in part) and (
            not _governs(parts, number) or _is_report(part, context)
        )
        inverted = part[0].lower in _FRONTED_VERBS and part[0].gap in ("", ".")
        if inverted or not (anchors or reports):
            return _spell(part)
        strange = [t for t in part if t.rank >= 0 and _is_strange(t, alignment, context)]
        if len(strange) > len(anchors):
            return _spell(strange)
        before = parts[number - 1][-1].lower if number else ""
        for token in part:
            if _is_foreign(token, before if token is part[0] else "", alignment.source.lowers):
                return token.text
    return ""


def _is_foreign(token: Token, before: str, source_words: frozenset[str]) -> bool:
    """Return whether a word makes the finding a condition or a pretense, or names a speaker or a reader."""
    return (
        (token.lower in _CONDITIONS and not _CONDITIONAL & source_words)
        or (token.lower in ("if", "though") and before == "as")
        or token.lower in _PERSONS - source_words
    )


def _parts(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return the tokens between punctuation marks and subordinating words."""
    parts: list[list[Token]] = []
    for token in tokens:
        if not parts or token.gap or token.lower in _SUBORDINATORS:
            parts.append([])
        parts[-1].append(token)
    return parts


def _governs(parts: Sequence[Sequence[Token]], number: int) -> bool:
    """Return whether the next part is the object of a part, as in "the authors show that …"."""
    following = parts[number + 1][0] if number + 1 < len(parts) else None
    governing = following is not None and not following.gap and following.lower in ("that", "when", "whether")
    return governing and any(t.lower in _CLAUSE for t in parts[number])


def _is_report(part: Sequence[Token], context: Context) -> bool:
    """Return whether a part only says that the paper, or its own work, reports something."""
    plain = [t.lower in _LINKS or t.lower in _CONNECTIVES for t in part]
    return all(plain) or (
        any(t.stem in _REPORTS for t in part)
        and all(
            ok or t.stem in _REPORTS | _REPORTERS or (t.rank >= 0 and t.stem in context.text.by_stem)
            for t, ok in zip(part, plain, strict=True)
        )
    )


def _anchors_by_part(
    parts: Sequence[Sequence[Token]], alignment: Alignment, context: Context
) -> list[list[Token]]:
    """Return the anchors of each part. A word of the evidence belongs to the part with the most anchors."""
    candidates = [[t for t in part if _is_anchor(t, alignment, context)] for part in parts]
    owners: dict[int, int] = {}
    for number in sorted(range(len(parts)), key=lambda n: -len(candidates[n])):
        for token in candidates[number]:
            if best := alignment.best[token.rank]:
                owners.setdefault(best[0], number)
    return [
        [
            t
            for t in mine
            if alignment.best[t.rank] is None
            or any(owners.get(position, number) == number for position, _ in alignment.matching_words[t.rank])
        ]
        for number, mine in enumerate(candidates)
    ]


def _is_anchor(token: Token, alignment: Alignment, context: Context) -> bool:
    """Return whether a token is a meaningful word of the evidence, or the name of the paper's own work."""
    if token.rank < 0:
        return False
    if alignment.best[token.rank] is None:
        return (token.kind == "name" or token.capital) and context.is_own_name(token)
    places = alignment.matching_words[token.rank]
    return token.weight >= _MIN_WEIGHT and _is_close(token, places, alignment.source)


def _is_strange(token: Token, alignment: Alignment, context: Context) -> bool:
    """Return whether a token is a meaningful word that does not occur in the paper."""
    if token.kind != "word" or token.weight < _MIN_WEIGHT or token.stem in _REPORTS:
        return False
    if token.lower in _CONNECTIVES or token.lower in _NEUTRAL:
        return False
    if _is_close(token, alignment.matching_words[token.rank], alignment.source):
        return False
    if any(_is_close(token, find_matching_words(token, t), t) for t in (context.text, context.question)):
        return False
    if any(base in context.text.by_stem for base in _bases(token.lower)):
        return False
    return not (token.capital and context.is_own_name(token))


def _is_close(token: Token, places: Sequence[tuple[int, float]], text: Text) -> bool:
    """Return whether a word has a match that shares more than its first letters by chance."""
    return any(
        strength >= SYNONYM or _is_family(token.stem, text.content[position].stem)
        for position, strength in places
    )


def _is_family(one: str, other: str) -> bool:
    shared = next(
        (i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other))
    )
    compared = min if shared >= _MIN_PREFIX else max
    return shared >= _MIN_PREFIX_SHARE * compared(len(one), len(other))


def _bases(lower: str) -> Iterator[str]:
    """Yield the stems from which a word may be formed by *-ly* or a negative prefix."""
    if lower.endswith("ly"):
        yield lemma(lower[:-3] + "y" if lower.endswith("ily") else lower[:-2])[0]
    for prefix in NEGATIVE_PREFIXES:
        if lower.startswith(prefix):
            yield lemma(lower.removeprefix(prefix))[0]


def _is_neutral(token: Token, alignment: Alignment, context: Context) -> bool:
    """Return whether a token of a part without anchors connects, reports, or names a topic of the paper."""
    lower = token.lower
    if lower in _NEUTRAL or lower in _CONNECTIVES or lower in _CONDITIONS or token.stem in _LIGHT | _REPORTS:
        return True
    if token.rank < 0:
        return lower not in _FORCE or lower in alignment.source.lowers
    if token.kind != "word" or token.capital:
        return True  # names and numbers have their own checks
    matched = alignment.best[token.rank] is not None
    if matched and token.weight < _MIN_WEIGHT:
        return True
    uses = sum(len(text.by_stem.get(token.stem, ())) for text in (context.text, context.question))
    return uses > matched


def _added_word(alignment: Alignment, context: Context) -> str:
    """Return a new word before the first or after the last anchor, or a new adverb."""
    tokens = alignment.claim.tokens
    anchors = [t.index for t in alignment.claim.content if _is_anchor(t, alignment, context)]
    first, last = (anchors[0], anchors[-1]) if anchors else (len(tokens), -1)

    def side(token: Token) -> int:
        return (token.index > last) - (token.index < first)

    for token in tokens:
        if side(token) and token.lower in _MODALS - alignment.source.lowers:
            return token.text
    strange = [t for t in alignment.claim.content if _is_strange(t, alignment, context)]
    count = Counter(map(side, strange))
    for token in strange:
        outside = side(token) != 0
        adverb = (
            token.lower.endswith("ly")
            and not alignment.matching_words[token.rank]
            and not _ends_phrase(tokens, token)
        )
        if outside and count[side(token)] > 1:
            return token.text
        if (outside or adverb) and not any(_may_replace(token, alignment, anchor) for anchor in anchors):
            return token.text
    return ""


def _may_replace(token: Token, alignment: Alignment, anchor: int) -> bool:
    """Return whether the word may stand for a word of the evidence that is near the same anchor."""
    mine = alignment.claim.tokens[anchor]
    best = alignment.best[mine.rank]
    if best is None or abs(mine.rank - token.rank) > _MAX_DISTANCE:
        return False
    near = alignment.source.content[max(0, best[0] - _MAX_DISTANCE) : best[0] + _MAX_DISTANCE + 1]
    return any(t.rank not in alignment.covered and t.weight >= _MIN_WEIGHT for t in near)


def _ends_phrase(tokens: Sequence[Token], token: Token) -> bool:
    following = tokens[token.index + 1] if token.index + 1 < len(tokens) else None
    return following is None or bool(following.gap) or following.lower in _SUBORDINATORS | {"and", "or"}


def _spell(tokens: Sequence[Token]) -> str:
    return " ".join(t.text for t in tokens)
