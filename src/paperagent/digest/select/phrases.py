"""The phrases of many texts, counted all at once: one to four words without punctuation between.

A phrase is known by its stems, so that ``KV caches`` and ``kv-cache`` are one. Counted as arrays
over all words, because a week has a third of a million.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from paperagent.digest.select.theme_stopwords import NEVER
from paperagent.text.terms import STOP_WORDS, stem, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Paper

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

Phrase = tuple[str, ...]
"""The stems of one to four words."""

LONGEST = 4
_TITLE_WEIGHT = 3
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]{1,2}\b)?")
_JOINS = frozenset({" ", "-", "/", "\n", "  ", "\t"})
_YEAR = 3
"""Digits from which a number is part of no name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase in the texts; arrays hold one entry a paper that has it."""

    phrase: Phrase
    papers: Ints
    weights: Ints
    """How often, in the title threefold."""
    titled: int
    """How many titles have it."""
    closed: float
    """Share of its occurrences that no further word of a name follows."""
    places: Ints
    """The words at which it begins, for `Texts.spelling`."""


class Texts:
    """The words of papers' titles and abstracts."""

    def __init__(self, papers: Sequence[Paper]) -> None:
        import numpy as np

        self._texts = [text for p in papers for text in (p.title, p.abstract)]
        self._stems: dict[str | None, int] = {None: 0}
        rows = array("q")  # a list of the same numbers takes ten times the memory
        for number, text in enumerate(self._texts):
            for row in self._words(number, text):
                rows.extend(row)
        table = np.frombuffer(rows, np.int64).reshape(-1, 6)
        self._field, self._start, self._end, self._form, edges, joined = table.T.copy()
        self._joined = joined.astype(bool)
        self._begins, self._ends = (edges & 1).astype(bool), (edges & 2).astype(bool)
        self._names: list[str | None] = list(self._stems)

    def _words(self, number: int, text: str) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Yield field, start, end, stem number, whether a name may begin or end here, whether it goes on."""
        last, before = 0, None
        for match in _WORD.finditer(text):
            start, end = match.span()
            form = _form(match[0])
            joined = form is not None and before is not None and text[last:start] in _JOINS
            # A name cuts no word with hyphens in two.
            begins = form not in NEVER and text[start - 1 : start] != "-"
            ends = form not in NEVER and text[end : end + 1] != "-"
            yield (
                number,
                start,
                end,
                self._stems.setdefault(form, len(self._stems)),
                begins + 2 * ends,
                joined,
            )
            last, before = end, form

    def found(self, *, most: float) -> Iterator[Found]:
        """Yield the phrases that two papers hold, at most ``most`` do, and a title has."""
        import numpy as np

        at = np.flatnonzero(self._form > 0)
        ids = self._form[at]
        for size in range(1, LONGEST + 1):
            if size > 1:
                inside = at + size - 1 < len(self._form)
                at, ids = at[inside], ids[inside]
                goes_on = self._joined[at + size - 1]
                at, ids = at[goes_on], ids[goes_on]
                ids = ids * len(self._names) + self._form[at + size - 1]
            ids = np.unique(ids, return_inverse=True)[1].astype(np.int64)
            kept = self._shared(at, ids)
            at, ids = at[kept], ids[kept]
            named = self._begins[at] & self._ends[at + size - 1]
            yield from self._grouped(at[named], ids[named], size, most)

    def _shared(self, at: Ints, ids: Ints) -> Flags:
        """Return which occurrences are of phrases that two papers hold, shape [n]."""
        import numpy as np

        pairs = (
            np.unique(np.stack([ids, self._field[at] // 2]), axis=1) if len(ids) else np.zeros((2, 0), int)
        )
        holders = np.bincount(pairs[0], minlength=int(ids.max(initial=-1)) + 1)
        shared: Flags = holders[ids] > 1
        return shared

    def _grouped(self, at: Ints, ids: Ints, size: int, most: float) -> Iterator[Found]:
        import numpy as np

        order = np.lexsort((at, ids))
        at, ids = at[order], ids[order]
        following = np.minimum(at + size, len(self._form) - 1)
        open_ = self._joined[following] & (at + size < len(self._form)) & self._ends[following]
        for group in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids)) + 1):
            if len(group) < 2:
                continue
            places = at[group]
            fields = self._field[places]
            papers, owner = np.unique(fields // 2, return_inverse=True)
            titled = fields % 2 == 0
            if not 2 <= len(papers) <= most or not titled.any():
                continue
            weights = np.bincount(owner, np.where(titled, _TITLE_WEIGHT, 1)).astype(np.int64)
            phrase = tuple(str(self._names[i]) for i in self._form[places[0] : places[0] + size])
            in_titles = len(np.unique(fields[titled]))
            yield Found(phrase, papers, weights, in_titles, 1 - float(open_[group].mean()), places)

    def spelling(self, found: Found) -> str:
        """Return the spelling of a phrase that the texts use most, capitals aside, then with capitals."""
        held = Counter(self._spelled(int(place), len(found.phrase)) for place in found.places)
        plain: Counter[str] = Counter()
        for spelling, count in held.items():
            plain[spelling.casefold()] += count
        best = min(plain, key=lambda s: (-plain[s], s))
        return min((s for s in held if s.casefold() == best), key=lambda s: (-held[s], s))

    def _spelled(self, place: int, size: int) -> str:
        text = self._texts[self._field[place]]
        return " ".join(text[self._start[place] : self._end[place + size - 1]].split())


@lru_cache(maxsize=100_000)
def _form(word: str) -> str | None:
    """Return the stem of a word; None where no name goes across it."""
    known = words(word)
    if len(known) != 1 or known[0] in STOP_WORDS:
        return None
    if known[0].isdigit():
        return known[0] if len(known[0]) < _YEAR else None
    return stem(known[0]) if len(known[0]) > 1 else None
