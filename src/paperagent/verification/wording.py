"""Compare a near copy with its sentence edit by edit, and find names that the evidence does not have.

A genuine restatement changes many words, function words included. A change of one word in a copy changes
the meaning unless the new word is a synonym. So every edit of a near copy must be benign.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from paperagent.verification.alignment import Alignment, tokens_drawn_on
from paperagent.verification.context import COMMON_NAMES, Context
from paperagent.verification.lexicon import SIBLINGS
from paperagent.verification.polarity import opposed
from paperagent.verification.tokens import Token, lemma

_MAX_TOKENS = 200
"""Maximum number of evidence tokens for comparing edit by edit."""
COPY = 0.8
"""Minimum share of equal tokens, in any order, for a near copy."""
_MIN_SUBSTITUTION_SHARE = 0.6
"""Minimum share of equal tokens for checking an exchanged word between equal neighbors."""
_FRONTED = frozenset(
    """in on at with without for from by to under across over during after before when while if as through via
    using among between within despite although because since where whereas and like versus""".split()
)
"""Words that start a phrase that may come first or last."""


@dataclass(slots=True)
class Edit:
    """Tokens of the evidence (``old``) that the claim replaces by ``new``; either may be empty."""

    old: list[Token]
    new: list[Token]
    before: int
    """Number of equal tokens directly before."""
    after: int
    """Number of equal tokens directly after."""


def edits(old: list[Token], new: list[Token]) -> list[Edit]:
    """Return the edits from the evidence to the claim, in order."""
    codes = SequenceMatcher(None, [t.stem for t in old], [t.stem for t in new], autojunk=False).get_opcodes()
    results = []
    for at, (tag, i, j, k, m) in enumerate(codes):
        if tag != "equal":
            before = codes[at - 1][2] - codes[at - 1][1] if at else 9
            after = codes[at + 1][2] - codes[at + 1][1] if at + 1 < len(codes) else 9
            results.append(Edit(old[i:j], new[k:m], before, after))
    return results


def changed_wording(alignment: Alignment, context: Context) -> Iterator[tuple[str, bool]]:
    """Yield (reason, whether it refutes) for each edit of a near copy that changes what it says.

    The paper's own name may replace "we" or "our approach".
    """
    old, new = tokens_drawn_on(alignment), alignment.claim.tokens
    if not old or len(old) > _MAX_TOKENS or alignment.copied < _MIN_SUBSTITUTION_SHARE:
        return
    all_edits = edits(old, new)
    for edit in all_edits:
        if alignment.copied >= COPY or (
            edit.before >= 2 and edit.after >= 2 and len(edit.old) == len(edit.new)
        ):
            edit.new = [t for t in edit.new if t.kind not in ("name", "word") or not _is_own_name(t, context)]
            yield from _exchanged(alignment, edit)
    if alignment.copied >= COPY and _function_words(old) == _function_words(new):
        yield from ((reason, False) for reason in _moved_words(alignment, all_edits))


def _is_own_name(token: Token, context: Context) -> bool:
    return (token.kind == "name" or token.capital) and context.is_own_name(token)


def _function_words(tokens: list[Token]) -> Counter[str]:
    return Counter(t.lower for t in tokens if t.kind == "function")


def _exchanged(alignment: Alignment, edit: Edit) -> Iterator[tuple[str, bool]]:
    """Yield a reason for a word replaced by one that is not its synonym; an opposite refutes."""
    for new in edit.new:
        for old in edit.old:
            meant = new.rank >= 0 and any(p == old.rank for p, _ in alignment.matching_words[new.rank])
            if new.kind != "number" and not meant and opposed(new.stem, old.stem):
                yield f"“{new.text}” where the cited sentence has “{old.text}”", True
                return
    old_words = [t for t in edit.old if t.rank >= 0]
    places = {t.rank for t in old_words}
    strange = [
        t
        for t in edit.new
        if t.rank >= 0
        and t.weight >= 0.5
        and not any(p in places for p, _ in alignment.matching_words[t.rank])
    ]
    if strange and old_words and len(edit.new) <= 3 and len(edit.old) <= 3:
        claimed, cited = (" ".join(t.text for t in side) for side in (edit.new, edit.old))
        yield f"“{claimed}” where the cited sentence has “{cited}”", False


def _moved_words(alignment: Alignment, all_edits: list[Edit]) -> Iterator[str]:
    """Yield a reason for words that moved while all function words stayed the same."""
    for edit in all_edits:
        words = [t for t in edit.new if t.rank >= 0 and not t.lower.endswith("ly")]
        if not words or (edit.new[0].lower in _FRONTED and len(edit.new) > 1):
            continue
        places = {t.rank for t in edit.old}
        if any(not any(p in places for p, _ in alignment.matching_words[t.rank]) for t in words):
            yield f"“{' '.join(t.text for t in words)}” is in a different place in the cited sentence"
            return


def unknown_names(alignment: Alignment, context: Context) -> Iterator[tuple[str, bool]]:
    """Yield (reason, whether it refutes) for each name of the claim that is not in the evidence.

    A name that the titles, the abstracts and the question do not contain refutes the claim. The paper's own
    name may replace "we"; any other name in the abstract belongs to another sentence.
    """
    source_stems = {t.stem for t in alignment.source.tokens}
    for token in alignment.claim.content:
        if alignment.best[token.rank] is not None or token.stem in source_stems:
            continue
        if token.kind != "name" and not (token.capital and token.kind == "word"):
            continue
        if token.lower in COMMON_NAMES or context.is_own_name(token):
            continue
        sibling = _sibling(token, alignment)
        more = f" (it names “{sibling}”)" if sibling else ""
        yield f"“{token.text}” is not named in the cited sentence{more}", not context.mentions(token)


def exchanged_categories(alignment: Alignment) -> Iterator[str]:
    """Yield a reason if the claim has another member of a category than the evidence (*human*, *mouse*)."""
    source_stems = {t.stem for t in alignment.source.tokens}
    for token in alignment.claim.content:
        categories = _CATEGORIES.get(token.stem, _NONE)
        if not categories or token.stem in source_stems:
            continue
        for other in alignment.source.content:
            if other.rank not in alignment.covered and categories & _CATEGORIES.get(other.stem, _NONE):
                yield f"“{token.text}” where the cited sentence has “{other.text}”"
                return


_NONE: frozenset[int] = frozenset()


def _categories() -> dict[str, frozenset[int]]:
    categories: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(SIBLINGS):
        for word in line.split():
            categories[lemma(word)[0]].add(number)
    return {stem: frozenset(numbers) for stem, numbers in categories.items()}


_CATEGORIES = _categories()
"""Stem → the kinds of `SIBLINGS` that it belongs to."""


def _sibling(token: Token, alignment: Alignment) -> str:
    """Return a name of the evidence with the same beginning, such as GPT-4 for GPT-5."""
    head = token.stem.rstrip("0123456789")[:4]
    for other in alignment.source.content:
        if other.kind == "name" and len(head) > 1 and other.stem.startswith(head):
            return other.text
    return ""
