"""Compare a claim that is nearly a copy with its sentence, edit by edit.

Who restates a sentence in own words changes much of it, function words too; who changes one
word of a copy changes what it says, unless the word means the same. So in a near copy every
edit must be benign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from paperagent.checks.direction import opposed
from paperagent.checks.order import lead
from paperagent.checks.overlap import SAME, Alignment, nearest
from paperagent.checks.words import Text, Token

_LONGEST = 200
"""Tokens of evidence up to which a claim is compared edit by edit."""
COPY = 0.8
"""Share of equal tokens, in any order, from which a claim is a near copy."""
_SAME_SLOT = 0.6
"""Share from which an exchanged word between agreeing neighbours is looked at."""
_GAP = 4
"""Ranks between the neighbours of a word in whose slot the evidence has others."""
_ASTRAY = 0.15
"""Context below which a word of the claim stands among quite other words than in the evidence."""
_BEFORE_VERB = frozenset(
    """that which who to can may might could will would should must not also we they it is are was were
    be been being has have had do does did""".split()
)
_OBJECT = frozenset("the a an its their our this these those only by how whether that".split())
_FRONTED = frozenset(
    """in on at with without for from by to under across over during after before when while if as through via
    using among between within despite although because since where whereas and like versus""".split()
)
"""Words with which a phrase begins that may stand first or last."""


@dataclass(slots=True)
class Edit:
    """Tokens of the evidence (``old``) in whose place the claim has ``new``; either may be empty."""

    old: list[Token]
    new: list[Token]
    before: int
    """Tokens that agree right before."""
    after: int
    """Tokens that agree right behind."""


def edits(old: list[Token], new: list[Token]) -> list[Edit]:
    """Return the edits from the evidence to the claim, in order."""
    codes = SequenceMatcher(None, [t.stem for t in old], [t.stem for t in new], autojunk=False).get_opcodes()
    found = []
    for at, (tag, i, j, k, m) in enumerate(codes):
        if tag != "equal":
            before = codes[at - 1][2] - codes[at - 1][1] if at else 9
            after = codes[at + 1][2] - codes[at + 1][1] if at + 1 < len(codes) else 9
            found.append(Edit(old[i:j], new[k:m], before, after))
    return found


def changes(a: Alignment) -> Iterator[str]:
    """Yield a reason for each edit of a near copy that changes what it says."""
    old, new = nearest(a), a.claim.tokens
    if not old or len(old) > _LONGEST or a.copied < _SAME_SLOT:
        return
    found = edits(old, new)
    for edit in found:
        if a.copied >= COPY or (edit.before >= 2 and edit.after >= 2 and len(edit.old) == len(edit.new)):
            yield from _exchanged(a, edit)
    if a.copied >= COPY and _function_words(old) == _function_words(new):
        yield from _moved(a, found)


def substituted(a: Alignment) -> Iterator[str]:
    """Yield a reason for each word of the claim that stands where the evidence has quite another.

    Both neighbours stand in the evidence too, around words that the claim does not use; or the
    word qualifies the same noun as a word of the evidence that the claim does not use. Verbs and
    adverbs are let pass: they have too many synonyms, and `direction` knows their opposites.
    """
    for token in a.claim.content:
        if token.kind == "word" and token.weight >= 0.5 and not _verbal(a.claim, token):
            instead = _instead(a, token)
            if instead and not any(opposed(token.stem, t.stem) for t in instead):
                yield f"“{token.text}” where the cited sentence has “{' '.join(t.text for t in instead)}”"


def _instead(a: Alignment, token: Token) -> list[Token]:
    """Return the evidence's words in whose slot the claim has ``token``; none where it belongs there."""
    source, best = a.source.content, a.best[token.rank]
    left = a.best[token.rank - 1] if token.rank else None
    right = a.best[token.rank + 1] if token.rank + 1 < len(a.claim.content) else None
    if best is not None:
        if right and right[0] and best[1] == SAME and a.context(token.rank, best[0]) < _ASTRAY:
            before = source[right[0] - 1]
            same_lead = lead(a.claim, token.rank) == lead(a.source, before.rank) != ""
            return [before] if same_lead and _unused(a, [before]) else []
        return []
    if left and right and 1 < right[0] - left[0] <= _GAP:
        between = source[left[0] + 1 : right[0]]
        if _unused(a, between):
            return between
    if right and right[0] and a.claim.content[token.rank + 1].index == token.index + 1:
        before = source[right[0] - 1]
        if source[right[0]].index == before.index + 1 and _unused(a, [before]):
            return [before]
    return []


def _verbal(text: Text, token: Token) -> bool:
    """Guess whether a word is a verb or an adverb, by its ending and the words beside it."""
    if token.lower.endswith("ly"):
        return True
    before = text.tokens[token.index - 1].lower if token.index else ""
    after = text.tokens[token.index + 1].lower if token.index + 1 < len(text.tokens) else ""
    if before in _BEFORE_VERB:
        return True
    return token.lower.endswith(("s", "ed", "ing")) and (after in _OBJECT or after.endswith("ly"))


def _unused(a: Alignment, tokens: list[Token]) -> bool:
    return bool(tokens) and all(t.rank not in a.covered and t.weight >= 0.5 for t in tokens)


def _function_words(tokens: list[Token]) -> Counter[str]:
    return Counter(t.lower for t in tokens if t.kind == "function")


def _exchanged(a: Alignment, edit: Edit) -> Iterator[str]:
    """Look at a word in the slot of another that is no synonym of it."""
    for new in edit.new:
        for old in edit.old:
            meant = new.rank >= 0 and any(p == old.rank for p, _ in a.candidates[new.rank])
            if new.kind != "number" and not meant and opposed(new.stem, old.stem):
                yield f"“{new.text}” where the cited sentence has “{old.text}”"
                return
    old_words = [t for t in edit.old if t.rank >= 0]
    places = {t.rank for t in old_words}
    strange = [
        t
        for t in edit.new
        if t.rank >= 0 and t.weight >= 0.5 and not any(p in places for p, _ in a.candidates[t.rank])
    ]
    if strange and old_words and len(edit.new) <= 3 and len(edit.old) <= 3:
        said, cited = (" ".join(t.text for t in side) for side in (edit.new, edit.old))
        yield f"“{said}” where the cited sentence has “{cited}”"


def _moved(a: Alignment, found: list[Edit]) -> Iterator[str]:
    """Look at words that stand elsewhere than in the evidence while every function word stayed."""
    for edit in found:
        words = [t for t in edit.new if t.rank >= 0 and not t.lower.endswith("ly")]
        if not words or (edit.new[0].lower in _FRONTED and len(edit.new) > 1):
            continue
        places = {t.rank for t in edit.old}
        if any(not any(p in places for p, _ in a.candidates[t.rank]) for t in words):
            yield f"“{' '.join(t.text for t in words)}” stands elsewhere in the cited sentence"
            return
