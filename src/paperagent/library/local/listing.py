"""Find rows of a local library by author, phrase or id, and sort rows."""

from __future__ import annotations

import datetime as dt
import json
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from paperagent.library.identity import title_order
from paperagent.library.local.database import LibraryDatabase, placeholders, without_mmap
from paperagent.library.protocol import FeedSort
from paperagent.text.author_names import has_author
from paperagent.text.phrases import Phrase
from paperagent.types import Filters

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


class _Appearances(NamedTuple):
    """The papers by the day on which they appeared, latest first, and by row within a day."""

    revision: int
    days: array[int]
    """Negative ordinals, so that they ascend."""
    rows: array[int]
    upvotes: array[int]


class DayIndex:
    """Lists the papers of an open ``library.db`` by the day on which they appeared.

    Days, rows and upvotes of all papers are read once for each revision: .2 s and 2 MB for 75,000 papers.
    """

    def __init__(self, db: LibraryDatabase) -> None:
        self._db = db
        self._cached: _Appearances | None = None

    def rows(
        self,
        filters: Filters,
        inside: Collection[int] | None,
        *,
        sort: FeedSort,
        limit: int | None,
        offset: int,
    ) -> list[int]:
        """Return rows in the order of `Store.list_by_day`.

        Args:
            filters: Only their days are used.
            inside: The rows that the other filters admit; None for all.
            sort: The order.
            limit: The maximum number of rows; None for all.
            offset: The number of rows to leave out first.
        """
        papers, positions = self._between(filters)
        chosen: Sequence[int] = positions
        if inside is not None:
            chosen = [i for i in positions if papers.rows[i] in inside]
        if sort == "upvotes":
            chosen = sorted(chosen, key=lambda i: -papers.upvotes[i])
        end = None if limit is None else offset + limit
        return [papers.rows[i] for i in chosen[offset:end]]

    def counts(self, filters: Filters, inside: Collection[int] | None) -> dict[dt.date, int]:
        """Return the number of papers by day, latest day first; for the arguments see `rows`."""
        papers, positions = self._between(filters)
        days = Counter(papers.days[i] for i in positions if inside is None or papers.rows[i] in inside)
        return {dt.date.fromordinal(-day): count for day, count in days.items()}

    def _between(self, filters: Filters) -> tuple[_Appearances, range]:
        papers = self._appearances()
        first = bisect_left(papers.days, -filters.until.toordinal()) if filters.until else 0
        end = bisect_right(papers.days, -filters.since.toordinal()) if filters.since else len(papers.days)
        return papers, range(first, end)

    def _appearances(self) -> _Appearances:
        revision, cached = self._db.meta("revision"), self._cached
        if cached is None or cached.revision != revision:
            cached = _Appearances(revision, array("q"), array("q"), array("q"))
            query = (
                "SELECT coalesce(listed, published, first_seen) AS day, row, coalesce(upvotes, 0) "
                "FROM papers WHERE day IS NOT NULL ORDER BY day DESC, row"
            )
            ordinals: dict[str, int] = {}
            with self._db.reading() as connection, without_mmap(connection):
                for day, row, upvotes in connection.execute(query):
                    if day not in ordinals:
                        ordinals[day] = -dt.date.fromisoformat(day).toordinal()
                    cached.days.append(ordinals[day])
                    cached.rows.append(row)
                    cached.upvotes.append(upvotes)
            self._cached = cached
        return cached
