"""The period's phrases: which papers hold each, how it is written, and how good a name it makes.

A phrase is one to four words without punctuation between. It is known by its stems, so that
``KV caches`` and ``kv-cache`` are one, and shown in the spelling that the period uses most.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from paperagent.digest.name_words import EMPTY, NEVER
from paperagent.text import STOP_WORDS, stem, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix, Paper

Phrase = tuple[str, ...]
"""The stems of one to four words."""

LONGEST = 4
_LENGTHS = (0.75, 1.25, 1.25, 1.15)
"""How good names of one to four words are."""
_COHERENT = 0.05
"""Holders of a phrase are closer to each other than any two papers by this cosine, or it says nothing."""
_PART = 0.7
_TITLE_WEIGHT = 3
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]{1,2}\b)?")
_JOINS = re.compile(r"[ \t\n]+|-|/")
_BROAD = 0.1
"""A phrase in a larger share of the period's papers tells no themes apart."""
_ADJECTIVE = re.compile(
    r"(?:[a-z]{2}(?:al|ive|ic|ous|ary|able|ible|less|ful|wise|ly)|[a-z]{3}ed|[a-z]{2}ant)$"
)
"""How adjectives end: no name ends with one."""
_FEW = 40
"""Below so many papers in the period the share means less, and more is allowed."""


class Held(NamedTuple):
    """A phrase in one paper."""

    weight: int
    """How often, in the title threefold."""
    titled: bool
    """Whether the title has it."""


class Labels:
    """The phrases of a period's papers."""

    def __init__(self, papers: Sequence[Paper], vectors: Matrix, known: NDArray[np.bool_]) -> None:
        self._vectors, self._known = vectors, known
        self._read: list[dict[Phrase, Held]] = []
        self._holders: dict[Phrase, list[int]] = {}
        self._spellings: dict[Phrase, Counter[str]] = {}
        self._titled: Counter[Phrase] = Counter()
        for number, paper in enumerate(papers):
            self._take(number, paper)
        ceiling = max(_BROAD, 0.6 - 0.5 * len(papers) / _FEW) * len(papers)
        self._most = max(3.0, ceiling)
        self._quality: dict[Phrase, float] = {}
        self._background = self._cohesion(range(len(papers)))

    def _take(self, number: int, paper: Paper) -> None:
        held: dict[Phrase, Held] = {}
        for text, weight in ((paper.title, _TITLE_WEIGHT), (paper.abstract, 1)):
            for phrase, spelling in phrases(text):
                before = held.get(phrase)
                if before is None:
                    self._holders.setdefault(phrase, []).append(number)
                    held[phrase] = Held(weight, weight > 1)
                else:
                    held[phrase] = Held(before.weight + weight, before.titled)
                self._spellings.setdefault(phrase, Counter())[spelling] += 1
        self._titled.update(p for p, h in held.items() if h.titled)
        self._read.append(held)

    def of(self, number: int) -> dict[Phrase, Held]:
        """Return the phrases of a paper that could name a theme."""
        return {p: h for p, h in self._read[number].items() if self.quality(p) > 0}

    def holders(self, phrase: Phrase) -> list[int]:
        """Return the papers that hold a phrase."""
        return self._holders.get(phrase, [])

    def quality(self, phrase: Phrase) -> float:
        """Return how good a name a phrase makes, 0 for none: rare, of two words, its papers alike."""
        found = self._quality.get(phrase)
        if found is None:
            found = self._quality[phrase] = self._judge(phrase)
        return found

    def _judge(self, phrase: Phrase) -> float:
        count = len(self._holders[phrase])
        if not 2 <= count <= self._most or not self._titled[phrase] or all(s in EMPTY for s in phrase):
            return 0.0
        rarity = math.log(len(self._read) / count) / math.log(max(len(self._read), 2))
        cohesion = (self._cohesion(self._holders[phrase]) - self._background) * count / (count + 2)
        if self._known.any() and cohesion < (_COHERENT if len(phrase) > 1 else 2 * _COHERENT):
            return 0.0
        if _ADJECTIVE.search(self._spelling(phrase)) or self._is_part(phrase):
            return 0.0
        length = _LENGTHS[len(phrase) - 1]
        titled = min(1.0, 0.5 + self._titled[phrase] / count)
        return length * titled * (0.3 + rarity) * (0.3 + max(cohesion, 0.0))

    def _cohesion(self, numbers: Sequence[int]) -> float:
        """Return the mean cosine of two different papers; 0 where there are no two with vectors."""
        held = [n for n in numbers if self._known[n]]
        if len(held) < 2:
            return 0.0
        mean = self._vectors[held].mean(axis=0)
        n = len(held)
        return float((mean @ mean - 1 / n) * n / (n - 1))

    def name(self, phrase: Phrase) -> str:
        """Return a phrase as a heading: the most common spelling, in capitals of a title."""
        return headline(self._spelling(phrase))

    def _spelling(self, phrase: Phrase) -> str:
        held = self._spellings[phrase]
        lowered: Counter[str] = Counter()
        for spelling, count in held.items():
            lowered[spelling.casefold()] += count
        best = min(lowered, key=lambda s: (-lowered[s], s))
        return max(sorted(s for s in held if s.casefold() == best), key=lambda s: held[s])

    def _is_part(self, phrase: Phrase) -> bool:
        """Tell whether a phrase is mostly written as part of a longer one that could be a name."""
        holders = self._holders[phrase]
        wider: Counter[Phrase] = Counter()
        for number in holders:
            wider.update(p for p in self._read[number] if phrase in (p[1:], p[:-1]))
        return any(n >= 2 and n >= _PART * len(holders) for n in wider.values())


def phrases(text: str) -> list[tuple[Phrase, str]]:
    """Return the phrases of ``text`` that could be names, each with its spelling, repeats included."""
    found = []
    run: list[tuple[str, int, int]] = []
    last = 0
    for match in _WORD.finditer(text):
        if not _JOINS.fullmatch(text[last : match.start()]):
            run = []
        last = match.end()
        form = _form(match[0])
        if form is None:
            run = []
            continue
        run = [*run[1 - LONGEST :], (form, match.start(), match.end())]
        for size in range(1, len(run) + 1):
            part = run[-size:]
            start, end = part[0][1], part[-1][2]
            if part[0][0] in NEVER or part[-1][0] in NEVER:
                continue
            if text[max(start - 1, 0)] != "-" and text[end : end + 1] != "-":
                found.append((tuple(s for s, _, _ in part), text[start:end]))
    return found


@lru_cache(maxsize=100_000)
def _form(word: str) -> str | None:
    """Return the stem of a word; None where no name goes across it."""
    known = words(word)
    if len(known) != 1 or known[0] in STOP_WORDS or (len(known[0]) < 2 and not known[0].isdigit()):
        return None
    if known[0].isdigit() and len(known[0]) > 2:
        return None
    return stem(known[0])


def headline(phrase: str) -> str:
    """Return a phrase with the capitals of a title; spellings with capitals inside stay."""
    parts = re.split(r"(\s+|-|/)", " ".join(phrase.split()))
    return "".join(p if any(c.isupper() for c in p[1:]) else p[:1].upper() + p[1:] for p in parts)
