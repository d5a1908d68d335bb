"""Reading the papers in ``library.db``, their earlier versions and their names.

`ingest.BatchWriter` writes them. The indexes follow by revision: every change of a paper gets a number, and
each index has a mark, the revision up to which it is complete.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from paperagent.library import identity
from paperagent.library.features import earliest_late_day
from paperagent.library.identity import lookup_names, text_hash
from paperagent.library.local.counts import LibraryCounts
from paperagent.library.local.database import (
    PAPER_COLUMNS,
    PAPER_VALUES,
    LibraryDatabase,
    checksum,
    has_checksum,
    paper_from_row,
    placeholders,
    put_meta,
    read_value,
    unpack_tags,
    unpack_terms,
    unpack_vectors,
    without_mmap,
)
from paperagent.library.local.listing import DayIndex, PaperListing
from paperagent.library.local.row_checksums import readable_text, restore
from paperagent.library.local.stored_vectors import StoredVectors
from paperagent.library.protocol import PaperWithFeatures
from paperagent.types import Paper

_PAGE = 500
_P_COLUMNS = ", ".join(f"p.{name.strip()}" for name in PAPER_COLUMNS.split(","))
_COLUMN_COUNT = len(PAPER_COLUMNS.split(","))
_SELECT_FEATURES = (
    f"SELECT {_P_COLUMNS}, f.row, f.terms, e.vector FROM papers p JOIN facts f USING (row) "
    "LEFT JOIN embeddings e ON e.slot = ? + f.row AND e.text_hash = f.text_hash WHERE "
)
# A paper appears on the day on which a feed listed it; a feed may list what was published long ago.
_APPEARED = "coalesce(p.listed, p.published, p.first_seen)"
# A paper that is read days after it appeared, as happens over a weekend, missed the digest of its own day.
_IS_NEW = (
    f"({_APPEARED} BETWEEN ?1 AND ?2 OR p.first_seen BETWEEN ?1 AND ?2 AND {_APPEARED} BETWEEN ?3 AND ?1)"
)
_IS_UPDATED = "p.updated BETWEEN ?1 AND ?2"

_RESTORE_ROW_NUMBERS = (
    "UPDATE papers SET row = (SELECT f.row FROM facts f WHERE f.paper_id = papers.paper_id) "
    "WHERE row NOT IN (SELECT row FROM facts) AND paper_id IN (SELECT paper_id FROM facts)"
)

Mark = Literal["lexical_mark", "vector_mark"]
SearchRow = tuple[str, int | None, bytes, bytes | None]
"""Id, date, terms and vector of a paper. A plain tuple, because a search reads two hundred."""


@dataclass(frozen=True, slots=True)
class PaperChange:
    """A paper that an index does not have yet."""

    row: int
    revision: int
    text_hash: bytes
    tags: tuple[str, ...]
    day: int | None
    paper: Paper


@dataclass(frozen=True, slots=True)
class PaperRemoval:
    """A row or an id that an index must delete. ``row`` is None if only the id changed."""

    revision: int
    row: int | None
    paper_id: str


class PaperTable:
    """The papers in an open ``library.db``.

    Raises:
        StoreError: The file does not exist (unless ``create``), or is damaged, another program's, or newer.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.db = LibraryDatabase(path, create=create)
        self.vectors = StoredVectors(self.db)
        self.listing = PaperListing(self.db)
        self.days = DayIndex(self.db)
        self.counts = LibraryCounts(self.db)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @property
    def generation(self) -> int:
        """Incremented by every commit."""
        return self.db.meta("generation")

    @property
    def revision(self) -> int:
        """The number of the latest change of a paper."""
        return self.db.meta("revision")

    def count(self) -> int:
        """Return the number of papers."""
        return int(self._one("SELECT count(*) FROM facts"))

    def highest_row(self) -> int:
        """Return the highest row number in use; 0 in an empty library."""
        return int(self._one("SELECT coalesce(max(row), 0) FROM papers"))

    def term_count(self) -> int:
        """Return the number of terms of all papers; those of a title count twice."""
        return self.db.meta("length")

    def get(self, paper_id: str) -> Paper | None:
        """Return a paper by its present or by a former id, or None."""
        return self.get_many([paper_id]).get(paper_id)

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers that exist, keyed by the ids that were given, which may be former ones."""
        ids = list(dict.fromkeys(paper_ids))
        papers = {}
        for marks, part in placeholders(ids):
            for row in self._all(f"SELECT {PAPER_COLUMNS} FROM papers WHERE paper_id IN ({marks})", part):
                papers[row[0]] = paper_from_row(row)
        for paper_id in ids:
            if paper_id not in papers and (number := self._row_of_former_id(paper_id)) is not None:
                papers[paper_id] = self.papers_by_row([number])[number]
        return papers

    def _row_of_former_id(self, paper_id: str) -> int | None:
        matches = self._all(
            "SELECT row FROM aliases WHERE alias IN (?, ?, ?) AND alias NOT LIKE 'title:%'",
            lookup_names(paper_id),
        )
        return int(matches[0][0]) if matches else None

    def names(self, paper_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return the further ids of papers, former ones and those of services, by present id."""
        names: dict[str, list[str]] = {}
        for marks, part in placeholders(paper_ids):
            query = (
                "SELECT f.paper_id, substr(a.alias, 4) FROM facts f JOIN aliases a USING (row) "
                f"WHERE f.paper_id IN ({marks}) AND a.alias LIKE 'id:%'"
            )
            for paper_id, name in self._all(query, part):
                names.setdefault(paper_id, []).append(name)
        return names

    def papers_by_row(self, rows: Iterable[int]) -> dict[int, Paper]:
        """Return the papers of rows."""
        papers = {}
        for marks, part in placeholders(rows):
            for row in self._all(f"SELECT {PAPER_COLUMNS}, row FROM papers WHERE row IN ({marks})", part):
                papers[int(row[-1])] = paper_from_row(row)
        return papers

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        """Return the paper with the present or former text of this `identity.content_hash`, or None."""
        paper = self.get(paper_id)
        if paper is None:
            return None
        digest = bytes.fromhex(content_hash)
        if text_hash(paper.title, paper.abstract) == digest:
            return paper
        versions = self._all(
            "SELECT v.title, v.abstract, v.version FROM versions v JOIN papers p USING (row) "
            "WHERE p.paper_id = ? AND v.text_hash = ?",
            (paper.paper_id, digest),
        )
        if not versions:
            return None
        title, abstract, version = versions[0]
        return replace(paper, title=title, abstract=abstract, version=version)

    def papers(self) -> Iterator[Paper]:
        """Yield every paper, in the order in which they were first read."""
        last = 0
        while page := self._all(
            f"SELECT {PAPER_COLUMNS}, row FROM papers WHERE row > ? ORDER BY row LIMIT ?", (last, _PAGE)
        ):
            yield from map(paper_from_row, page)
            last = page[-1][-1]

    def search_rows(
        self, row_numbers: Sequence[int], paper_ids: Sequence[str], *, embedder: int
    ) -> list[SearchRow]:
        """Return rows of the search table by row and by id, each once, with an embedder's vectors."""
        by_row = self._search_rows("row", row_numbers, embedder)
        ids = {paper_id for paper_id, *_ in by_row}
        return by_row + self._search_rows("paper_id", [i for i in paper_ids if i not in ids], embedder)

    def _search_rows(
        self, column: str, values: Sequence[int] | Sequence[str], embedder: int
    ) -> list[SearchRow]:
        rows: list[SearchRow] = []
        base = StoredVectors.first_slot(embedder)
        for marks, part in placeholders(values):
            query = (
                "SELECT f.paper_id, f.day, f.terms, e.vector FROM facts f LEFT JOIN embeddings e "
                f"ON e.slot = ? + f.row AND e.text_hash = f.text_hash WHERE f.{column} IN ({marks})"
            )
            rows += self._all(query, (base, *part))
        return rows

    def seen_records(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Return the hashes of records that were read before."""
        seen: set[bytes] = set()
        for marks, part in placeholders(hashes):
            seen.update(row[0] for row in self._all(f"SELECT hash FROM seen WHERE hash IN ({marks})", part))
        return seen

    def rows_by_alias(self, aliases: Iterable[str]) -> dict[str, list[int]]:
        """Return the rows of the papers that have each alias."""
        rows: dict[str, list[int]] = {}
        for marks, part in placeholders(dict.fromkeys(aliases)):
            for alias, row in self._all(f"SELECT alias, row FROM aliases WHERE alias IN ({marks})", part):
                rows.setdefault(alias, []).append(row)
        return rows

    # --- papers of a period ---

    def papers_between(self, embedder: int, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        """Return the papers that appeared or were changed in a period, by id; see `Store.papers_between`.

        Args:
            embedder: Number of the embedder whose vectors to return.
            since: The first day.
            until: The last day.
        """
        days = (since.isoformat(), until.isoformat(), earliest_late_day(since).isoformat())
        query = f"SELECT p.row, {_IS_NEW} FROM papers p WHERE {_IS_NEW} OR {_IS_UPDATED}"
        with self.db.reading() as connection, without_mmap(connection):
            is_new = dict(connection.execute(query, days).fetchall())
        return self._with_features(
            embedder, "f.row", sorted(is_new), {row for row, new in is_new.items() if new}
        )

    def papers_with_features(self, embedder: int, paper_ids: Iterable[str]) -> list[PaperWithFeatures]:
        """Return the papers with these present ids, by id, with the vectors of an embedder."""
        return self._with_features(embedder, "p.paper_id", sorted(set(paper_ids)), frozenset())

    def _with_features(
        self, embedder: int, column: str, values: Sequence[Any], new: Collection[int]
    ) -> list[PaperWithFeatures]:
        rows: list[Any] = []
        names: dict[int, list[str]] = {}
        with self.db.reading() as connection:
            for marks, part in placeholders(values):
                query = f"{_SELECT_FEATURES} {column} IN ({marks})"
                rows += connection.execute(query, (StoredVectors.first_slot(embedder), *part)).fetchall()
            for marks, part in placeholders(row[_COLUMN_COUNT] for row in rows):
                query = f"SELECT row, alias FROM aliases WHERE row IN ({marks}) AND alias NOT LIKE 'title:%'"
                for row, alias in connection.execute(query, part):
                    names.setdefault(row, []).append(alias)
        papers = [
            _paper_with_features(row, names.get(row[_COLUMN_COUNT], ()), new=row[_COLUMN_COUNT] in new)
            for row in rows
        ]
        return sorted(papers, key=lambda paper: paper.paper_id)

    # --- changes ---

    def changes(self, after: int, *, limit: int) -> list[PaperChange]:
        """Return the papers changed after revision ``after``, oldest change first."""
        rows = self._all(
            f"SELECT {_P_COLUMNS}, f.row, f.indexed, f.text_hash, f.tags, f.day "
            "FROM facts f JOIN papers p USING (row) WHERE f.indexed > ? ORDER BY f.indexed LIMIT ?",
            (after, limit),
        )
        return [
            PaperChange(row[-5], row[-4], row[-3], tuple(unpack_tags(row[-2])), row[-1], paper_from_row(row))
            for row in rows
        ]

    def removals(self, after: int) -> list[PaperRemoval]:
        """Return the rows and ids that were removed or replaced after revision ``after``."""
        rows = self._all(
            "SELECT revision, row, paper_id FROM removed WHERE revision > ? ORDER BY revision", (after,)
        )
        return [PaperRemoval(*row) for row in rows]

    def pending(self, mark: Mark) -> int:
        """Return the number of papers that changed after the mark of an index."""
        return self.count_changed(self.db.meta(mark))

    def count_changed(self, after: int) -> int:
        """Return the number of papers that changed after a revision."""
        return int(self._one("SELECT count(*) FROM facts WHERE indexed > ?", after))

    def ids(self) -> dict[int, str]:
        """Return the id of each row."""
        return dict(self._all("SELECT row, paper_id FROM facts"))

    def indexed_ids(self, mark: int) -> set[str]:
        """Return the ids that an index must contain: those up to its mark."""
        return self._ids("SELECT paper_id FROM facts WHERE indexed <= ?", mark)

    def pending_ids(self, mark: Mark) -> set[str]:
        """Return the ids that an index may contain: those changed or removed after its mark."""
        return self._ids(
            "SELECT paper_id FROM facts WHERE indexed > ?1 "
            "UNION SELECT paper_id FROM removed WHERE revision > ?1",
            self.db.meta(mark),
        )

    def accept(self, rows: Iterable[int]) -> int:
        """Restore damaged rows in which one bit has flipped; return how many others there are.

        These get new checksums, and their records are read again when a feed yields them.
        """
        remaining = 0
        with self.db.writing() as connection:
            connection.execute(_RESTORE_ROW_NUMBERS)
            for row in rows:
                if self._restore(connection, row):
                    continue
                remaining += 1
                query = f"SELECT {PAPER_VALUES} FROM papers WHERE row = ?"
                values = connection.execute(query, (row,)).fetchone()
                digests = (text_hash(values[1], values[2]), checksum(values))
                connection.execute(
                    "UPDATE papers SET text_hash = ?, checksum = ? WHERE row = ?", (*digests, row)
                )
                connection.execute("DELETE FROM seen WHERE row = ?", (row,))
        return remaining

    def _restore(self, connection: sqlite3.Connection, row: int) -> bool:
        """Undo the change of one bit in a paper; return whether its values match the checksum again."""
        with readable_text(connection):
            query = f"SELECT {PAPER_COLUMNS} FROM papers WHERE row = ?"
            *values, stored = connection.execute(query, (row,)).fetchone()
        restored = restore(tuple(values), lambda candidate: has_checksum(candidate, stored))
        if restored:
            columns = f"{PAPER_VALUES}, text_hash".split(", ")
            digest = text_hash(restored[1], restored[2])
            connection.execute(
                f"UPDATE papers SET {' = ?, '.join(columns)} = ? WHERE row = ?", (*restored, digest, row)
            )
        return restored is not None

    def set_mark(self, mark: Mark, revision: int) -> None:
        """Record that an index is complete up to ``revision``."""
        with self.db.writing() as connection:
            put_meta(connection, mark, revision)
            if mark == "vector_mark":
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'vector_generation'")

    def set_note(self, key: str, text: str) -> None:
        """Store a text about the indexes."""
        if self.db.note(key) != text:
            with self.db.writing() as connection:
                put_meta(connection, key, text)

    def touch(self, row_numbers: Iterable[int]) -> None:
        """Make the indexes read these papers again, as if they had changed last."""
        with self.db.writing() as connection:
            revision = read_value(connection, "meta", "revision")
            numbered = [(revision + n, row) for n, row in enumerate(row_numbers, 1)]
            connection.executemany("UPDATE facts SET indexed = ? WHERE row = ?", numbered)
            put_meta(connection, "revision", revision + len(numbered))

    def get_setting(self, key: str, default: Any = None) -> Any:
        """Return a value stored by `set_setting`."""
        value = self.db.setting(key)
        return default if value is None else json.loads(value)

    def set_setting(self, key: str, value: Any) -> None:
        """Store a JSON value with the library, such as a calibration."""
        with self.db.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self.db.reading() as connection:
            return connection.execute(query, values).fetchall()

    def _ids(self, query: str, *values: Any) -> set[str]:
        return {row[0] for row in self._all(query, values)}

    def _one(self, query: str, *values: Any) -> Any:
        return self._all(query, values)[0][0]


def _paper_with_features(row: Sequence[Any], aliases: Iterable[str], *, new: bool) -> PaperWithFeatures:
    terms, half = row[-2:]
    vector = None if half is None else unpack_vectors([half])[0]
    names = tuple(dict.fromkeys([row[0], *sorted(map(identity.plain_name, aliases))]))
    return PaperWithFeatures(paper_from_row(row), unpack_terms(terms), vector, names, new)
