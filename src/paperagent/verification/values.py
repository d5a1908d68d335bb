"""The values that the checks compare: tokens, analysed texts, and the stem of a word."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from paperagent.text.terms import stem as snowball
from paperagent.verification import numbers, synonyms

Kind = Literal["word", "name", "number", "function"]
_SUPERLATIVES = frozenset("best worst most least top".split())
_COMPARED = frozenset(
    """large small high low fast slow strong weak big great long short wide narrow deep cheap hard
        easy simple young old new late early few near far light heavy rich poor dense broad
        thick thin safe rare bright dark sharp smooth quick close tight loose clean warm
        cold hot quiet loud mild severe tough fine coarse full""".split()
)


def _forms() -> dict[str, tuple[str, int]]:
    forms: dict[str, tuple[str, int]] = {}
    for word in _COMPARED:
        root = word[:-1] if word.endswith(("e", "y")) else word
        bases = {root + ("i" if word.endswith("y") else ""), *([word + word[-1]] if len(word) <= 4 else [])}
        for base in bases:
            forms[base + "er"] = (word, 1)
            forms[base + "est"] = (word, 2)
    return forms


_DEGREES = _forms()


@dataclass(slots=True)
class Token:
    """One token. ``stem`` is what is compared; ``rank`` is its place among content words, or -1."""

    text: str
    lower: str
    stem: str
    kind: Kind
    index: int
    rank: int = -1
    clause: int = 0
    sentence: int = 0
    capital: bool = False
    degree: int = 0
    """0 plain, 1 comparative, 2 superlative."""
    number: numbers.Number | None = None
    weight: float = 1.0
    gap: str = ""
    """The last punctuation between the token before and this one."""


@dataclass(slots=True)
class Text:
    """An analysed text."""

    plain: str
    """The normalised text."""
    tokens: list[Token]
    content: list[Token]
    """The tokens that are no function words, by rank."""
    by_stem: dict[str, list[int]] = field(default_factory=dict)
    """Stem → ranks."""
    by_group: dict[int, list[int]] = field(default_factory=dict)
    """Synonym group → ranks."""
    by_head: dict[str, list[int]] = field(default_factory=dict)
    """First four letters of a stem → ranks, for words of one family."""
    numbers: list[Token] = field(default_factory=list)
    """The numbers, at most some hundreds: beyond them a number counts as missing."""
    initials: str = ""
    """First letter of each content word."""
    lowers: frozenset[str] = frozenset()

    def rank_after(self, index: int) -> int:
        """Return the rank of the first content word behind token ``index``."""
        for token in self.tokens[index + 1 :]:
            if token.rank >= 0:
                return token.rank
        return len(self.content)


@lru_cache(maxsize=50_000)
def lemma(lower: str) -> tuple[str, int]:
    """Return the stem under which a word is compared, and its degree (1 comparative, 2 superlative)."""
    if lower in _DEGREES:
        base, degree = _DEGREES[lower]
        return snowball(base), degree
    lower = lower.removesuffix("'s").removesuffix("'")
    degree = 2 if lower in _SUPERLATIVES else 0
    return snowball(synonyms.IRREGULAR.get(lower, lower)), degree


def _groups() -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(synonyms.GROUPS):
        for word in line.split():
            found[lemma(word.replace("-", ""))[0]].add(number)
    return {s: frozenset(g) for s, g in found.items()}


GROUPS = _groups()
"""Stem → its synonym groups."""
