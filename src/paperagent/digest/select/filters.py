"""Decide which papers of a period a subscriber may get at all: categories, exclusions, followed authors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from paperagent.text.author_names import is_initial, is_same_name, name_words
from paperagent.text.terms import index_terms
from paperagent.types import in_category

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.digest.preferences import Preferences
    from paperagent.types import Paper

    Mask = NDArray[np.bool_]

_MAX_CACHED_MASKS = 20_000
"""One byte per paper each: 35 MB for a week of arXiv."""


class PaperFilters:
    """Masks over the papers of one period, shape [n], each computed once for all subscribers."""

    def __init__(self, papers: Sequence[Paper]) -> None:
        self._papers = papers
        self._masks: dict[tuple[str, str], Mask] = {}

    def in_categories(self, preferences: Preferences) -> Mask:
        """Return which papers are in one of the subscriber's categories; all without categories."""
        chosen = self._union("category", preferences.categories)
        return chosen if preferences.categories else ~chosen

    def excluded(self, preferences: Preferences) -> Mask:
        """Return which papers the subscriber has excluded.

        A paper is excluded by its primary category, the first one. A paper on language that is listed under
        vision, too, remains for a subscriber who excludes vision. A phrase excludes every paper whose title
        or abstract mentions it, in any inflected form.
        """
        return self._union("primary", preferences.exclude) | self._union("phrase", preferences.exclude)

    def by_author(self, author: str) -> Mask:
        """Return which papers have this author; see `text.author_names.is_same_name`."""
        return self._union("author", (author,))

    def _union(self, kind: str, names: Sequence[str]) -> Mask:
        import numpy as np

        union = np.zeros(len(self._papers), bool)
        for name in names:
            key = (kind, name.casefold())
            if key not in self._masks:
                if len(self._masks) >= _MAX_CACHED_MASKS:
                    self._masks.clear()
                mask = np.zeros(len(self._papers), bool)
                mask[self._matches(kind, name)] = True
                self._masks[key] = mask
            union |= self._masks[key]
        return union

    def _matches(self, kind: str, name: str) -> list[int]:
        """Return the numbers of the papers that match."""
        if kind == "phrase":
            return self._mentioning(index_terms(name))
        if kind == "author":
            return self._written_by(name_words(name))
        first = 1 if kind == "primary" else None
        return [
            n for n, p in enumerate(self._papers) if any(in_category(c, name) for c in p.categories[:first])
        ]

    def _mentioning(self, phrase: Sequence[str]) -> list[int]:
        """Return the papers with these stems, one right after the other."""
        needle = f" {' '.join(phrase)} "
        return [n for n, text in enumerate(self._stems) if needle in text] if phrase else []

    @cached_property
    def _stems(self) -> list[str]:
        """The stems of each paper; a line end separates title and abstract."""
        return [
            f" {' '.join(index_terms(p.title))} \n {' '.join(index_terms(p.abstract))} " for p in self._papers
        ]

    def _written_by(self, query: Sequence[str]) -> list[int]:
        candidates = set[int]().union(*(self._by_name_word.get(w, ()) for w in query if not is_initial(w)))
        return sorted(
            n
            for n in candidates
            if any(is_same_name(query, name_words(name)) for name in self._papers[n].authors)
        )

    @cached_property
    def _by_name_word(self) -> dict[str, set[int]]:
        """Word of a name → the papers with such an author."""
        index: dict[str, set[int]] = {}
        for n, paper in enumerate(self._papers):
            for word in {word for name in paper.authors for word in name_words(name)}:
                index.setdefault(word, set()).add(n)
        return index
