"""The period's phrases as names of themes: which papers hold each, and how good a name it makes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paperagent.digest.select.phrases import Found, Phrase, Texts
from paperagent.digest.select.theme_stopwords import COMPOUND, EMPTY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix, Paper

_LENGTHS = (0.6, 1.25, 1.25, 1.15)
"""How good names of one to four words are."""
_COHERENT = 0.05
"""Holders of a phrase are closer to each other than any two papers by this cosine, or it says nothing."""
_PART = 0.7
"""Share of a phrase's holders that hold a certain longer one, from which it is only a part of that."""
_CLOSED = 0.3
"""Share of a phrase's occurrences after which no word of a name follows; below it, it only describes one."""
_STANDS_FOR = 0.25
"""Share of an acronym's holders that also spell it out, from which it stands for that."""
_BROAD, _FEW = 0.1, 40
"""A phrase in a larger share of the papers tells no themes apart; among so few papers more is allowed."""
_SMALL = frozenset("a an and as at by for from in of on or the to via with".split())
"""Words that a title writes small."""
_ADJECTIVE = re.compile(
    r"(?:[a-z]{2}(?:al|ive|ic|ous|ary|able|ible|less|ful|wise|ly)|[a-z]{3}ed|[a-z]{2}ant)$"
)
"""How adjectives end: no name ends with one."""


class Labels:
    """The phrases of a period's papers that can name a theme."""

    def __init__(self, papers: Sequence[Paper], vectors: Matrix, known: NDArray[np.bool_]) -> None:
        self._vectors, self._known = vectors, known
        self._size = len(papers)
        self._any_known = bool(known.any())
        self.background = self._cohesion(range(len(papers)))
        """Mean cosine of any two papers of the period."""
        self._texts = Texts(papers)
        most = max(3.0, max(_BROAD, 0.6 - 0.5 * len(papers) / _FEW) * len(papers))
        found = {f.phrase: f for f in self._texts.found(most=most)}
        wider = _widest(found)
        rated = {p: self._judge(f, wider.get(p, 0)) for p, f in found.items()}
        self.found: Mapping[Phrase, Found] = {p: f for p, f in found.items() if rated[p] > 0}
        """The phrases that make names."""
        self._quality = rated
        self._held: list[dict[Phrase, int]] = [{} for _ in papers]
        for phrase, entry in self.found.items():
            for number, weight in zip(entry.papers.tolist(), entry.weights.tolist(), strict=True):
                self._held[number][phrase] = weight
        self._merge_acronyms()

    def _merge_acronyms(self) -> None:
        """Let what stands for a longer phrase count as that: who writes ``RAG`` is on its theme."""
        whole: dict[str, list[Phrase]] = {}
        for phrase in self.found:
            whole.setdefault("".join(s[0] for s in phrase), []).append(phrase)
        for acronym, found in [(p, f) for p, f in self.found.items() if len(p) == 1 and len(p[0]) > 1]:
            numbers = set(found.papers.tolist())
            written = self._texts.spelling(found).removesuffix("s").lower()
            for phrase in whole.get(written, ()):
                both = numbers & set(self.found[phrase].papers.tolist())
                if len(both) >= _STANDS_FOR * len(numbers):
                    for number in numbers:
                        weight = self._held[number].pop(acronym, 0)
                        self._held[number][phrase] = max(weight, self._held[number].get(phrase, 0))
                    break

    def of(self, number: int) -> Mapping[Phrase, int]:
        """Return the names a paper could go under, with how often it has them, in the title threefold."""
        return self._held[number]

    def quality(self, phrase: Phrase) -> float:
        """Return how good a name a phrase makes, 0 for none: rare, of two words, its papers alike."""
        return self._quality.get(phrase, 0.0)

    def _judge(self, found: Found, wider: int) -> float:
        count, size = len(found.papers), len(found.phrase)
        if found.closed < _CLOSED or (wider > 1 and wider >= _PART * count):
            return 0.0
        empty = all(s in EMPTY for s in found.phrase)
        if empty and (size == 1 or not self._any_known):
            return 0.0
        cohesion = (self._cohesion(found.papers) - self.background) * count / (count + 2)
        spelling = self._texts.spelling(found)
        plain = size == 1 and not any(c.isupper() for c in spelling[1:])
        if self._any_known and cohesion < _COHERENT * (3 if plain or empty else 2 if size == 1 else 1):
            return 0.0
        if _ADJECTIVE.search(spelling) or (" " not in spelling and found.phrase[-1] in COMPOUND):
            return 0.0
        rarity = math.log(self._size / count) / math.log(max(self._size, 2))
        titled = min(1.0, 0.5 + found.titled / count)
        return _LENGTHS[size - 1] * titled * (0.3 + rarity) * (0.3 + max(cohesion, 0.0))

    def _cohesion(self, numbers: Sequence[int] | NDArray[np.int64]) -> float:
        """Return the mean cosine of two different papers; 0 where there are no two with vectors."""
        import numpy as np

        rows = np.asarray(numbers, np.int64)
        rows = rows[self._known[rows]] if len(rows) else rows
        n = len(rows)
        if n < 2:
            return 0.0
        mean = self._vectors[rows].mean(axis=0)
        return float((mean @ mean - 1 / n) * n / (n - 1))

    def name(self, phrase: Phrase) -> str:
        """Return a phrase as a heading: the most common spelling, in capitals of a title."""
        return headline(self._texts.spelling(self.found[phrase]))


def _widest(found: Mapping[Phrase, Found]) -> dict[Phrase, int]:
    """Return for each phrase how many papers hold the most common phrase that is one word longer."""
    widest: dict[Phrase, int] = {}
    for phrase, entry in found.items():
        for part in (phrase[1:], phrase[:-1]):
            widest[part] = max(widest.get(part, 0), len(entry.papers))
    return widest


def headline(phrase: str) -> str:
    """Return a phrase with the capitals of a title; spellings with capitals inside stay."""
    parts = re.split(r"(\s+|-|/)", phrase)
    return "".join(
        p if any(c.isupper() for c in p[1:]) or (i and p in _SMALL) else p[:1].upper() + p[1:]
        for i, p in enumerate(parts)
    )
