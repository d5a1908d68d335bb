"""Find rows of a local library by author, phrase or id, and sort rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from paperagent.library.identity import title_order
from paperagent.library.local.database import LibraryDatabase, placeholders, without_mmap
from paperagent.text.author_names import has_author
from paperagent.text.phrases import Phrase

_FEW_ROWS = 2_000
"""Up to this many rows are looked up and sorted; for more, the index of days is read in order."""
_NAMES_PER_PAPER = 8
"""Ids of one paper that may have the same beginning."""


class PaperListing:
    """Selects rows of an open ``library.db``."""

    def __init__(self, db: LibraryDatabase) -> None:
        self._db = db

    def rows_by_author(self, rows: Iterable[int], author: str) -> list[int]:
        """Return those of ``rows`` whose papers have an author of this name."""
        matches = []
        for marks, part in placeholders(sorted(rows)):  # neighboring rows share pages of the file
            query = f"SELECT row, authors FROM papers WHERE row IN ({marks})"
            matches += [row for row, names in self._all(query, part) if has_author(json.loads(names), author)]
        return matches

    def rows_mentioning(self, phrase: Phrase, rows: Iterable[int]) -> set[int]:
        """Return the rows whose title or abstract contains ``phrase``."""
        matching: set[int] = set()
        for marks, part in placeholders(sorted(rows)):  # neighboring rows share pages of the file
            query = (
                f"SELECT row, title, abstract FROM papers WHERE row IN ({marks}) "
                "AND (title LIKE ? ESCAPE '!' OR abstract LIKE ? ESCAPE '!')"
            )
            part += [phrase.like, phrase.like]
            matching.update(row for row, *texts in self._all(query, part) if phrase.is_in(*texts))
        return matching

    def newest(self, rows: Collection[int] | None, *, limit: int | None, oldest: bool = False) -> list[int]:
        """Return rows by day, latest (or earliest) first, and those of one day in the order of reading.

        Args:
            rows: The rows to sort; None for all.
            limit: The maximum number of rows; None for all.
            oldest: Whether to return the earliest first.
        """
        if rows is not None and len(rows) <= _FEW_ROWS:
            days: list[tuple[int, int]] = []
            for marks, part in placeholders(rows):
                days += self._all(f"SELECT coalesce(day, 0), row FROM facts WHERE row IN ({marks})", part)
            sign = 1 if oldest else -1
            return [row for _, row in sorted(days, key=lambda entry: (sign * entry[0], entry[1]))][:limit]
        order = "ASC" if oldest else "DESC"
        matches: list[int] = []
        with self._db.reading() as connection:
            for (row,) in connection.execute(f"SELECT row FROM facts ORDER BY day {order}, row"):
                if rows is None or row in rows:
                    matches.append(row)
                    if len(matches) == limit:
                        break
        return matches

    def sorted_by(self, key: Literal["title", "upvotes"], rows: Collection[int] | None) -> list[int]:
        """Return the rows by title, or by upvotes, most first; only those of ``rows`` unless it is None."""
        with self._db.reading() as connection, without_mmap(connection):
            entries = connection.execute(f"SELECT {key}, row FROM papers").fetchall()
        inside = [entry for entry in entries if rows is None or entry[1] in rows]
        if key == "title":
            return [row for _, row in sorted(inside, key=lambda entry: (title_order(entry[0]), entry[1]))]
        return [row for _, row in sorted(inside, key=lambda entry: (-(entry[0] or 0), entry[1]))]

    def rows_starting_with(self, prefixes: Iterable[str], *, limit: int) -> list[int]:
        """Return at most ``limit`` rows of papers with a present or former id that begins with a prefix."""
        starts = [
            f"{kind}{prefix}"
            for prefix in prefixes
            for kind in ("id:", "arxiv:", "")
            if kind or ":" in prefix
        ]
        rows: dict[int, None] = {}
        for start in starts:
            query = "SELECT row FROM aliases WHERE alias >= ? AND alias < ? ORDER BY alias LIMIT ?"
            if not start.startswith("title:"):
                bounds = (start, f"{start}\U0010ffff", _NAMES_PER_PAPER * limit)
                rows.update(dict.fromkeys(row for (row,) in self._all(query, bounds)))
        return list(rows)[:limit]

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._db.reading() as connection:
            return connection.execute(query, values).fetchall()
