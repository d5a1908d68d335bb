"""The library: every paper whole, its earlier versions, its names. The source of truth.

`Intake` (store/intake.py) writes papers into it; the indexes are derived from it by revision.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from paperagent.library import rows
from paperagent.library.identity import day_number, lookup_names, text_hash
from paperagent.library.local.database import LibraryDatabase, put
from paperagent.library.stored_vectors import Embeddings
from paperagent.types import Filters, Paper

_PAGE = 500


Fact = tuple[str, int | None, bytes, bytes | None]
"""Id, day, terms and vector of a paper. A plain tuple, because a search reads two hundred."""


@dataclass(frozen=True, slots=True)
class Change:
    """A paper that an index has yet to take in."""

    row: int
    revision: int
    text_hash: bytes
    tags: tuple[str, ...]
    day: int | None
    paper: Paper


@dataclass(frozen=True, slots=True)
class Removal:
    """A row or an id that an index has yet to forget. ``row`` is None where only the id changed."""

    revision: int
    row: int | None
    paper_id: str


Mark = Literal["lexical_mark", "vector_mark"]


class Library:
    """An open library.

    Raises `StoreError` for a file that is missing (unless ``create``), garbage, foreign or newer.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.db = LibraryDatabase(path, create=create)
        self.embeddings = Embeddings(self.db)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @property
    def generation(self) -> int:
        """Bumped by every commit."""
        return self.db.meta("generation")

    @property
    def revision(self) -> int:
        """The number of the latest change of a paper."""
        return self.db.meta("revision")

    def count(self) -> int:
        """Return the number of papers."""
        return int(self._one("SELECT count(*) FROM facts"))

    def highest_row(self) -> int:
        """Return the highest row in use; 0 in an empty library."""
        return int(self._one("SELECT coalesce(max(row), 0) FROM papers"))

    def length(self) -> int:
        """Return the number of terms of all papers, titles counted twice."""
        return self.db.meta("length")

    def get(self, paper_id: str) -> Paper | None:
        """Return the paper of an id, also of one that it had before, or None."""
        return self.get_many([paper_id]).get(paper_id)

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers found, under the ids they were asked by."""
        wanted = list(dict.fromkeys(paper_ids))
        found = {}
        for marks, part in rows.chunks(wanted):
            for row in self._all(f"SELECT {rows.PAPER} FROM papers WHERE paper_id IN ({marks})", part):
                found[row[0]] = rows.paper_of(row)
        for paper_id in wanted:
            if paper_id not in found and (row_number := self._former(paper_id)) is not None:
                found[paper_id] = self.by_row([row_number])[row_number]
        return found

    def _former(self, paper_id: str) -> int | None:
        found = self._all(
            "SELECT row FROM aliases WHERE alias IN (?, ?, ?) AND alias NOT LIKE 'title:%'",
            lookup_names(paper_id),
        )
        return int(found[0][0]) if found else None

    def names(self, paper_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return the ids of services and former ids that papers go by, by present id."""
        found: dict[str, list[str]] = {}
        for marks, part in rows.chunks(paper_ids):
            query = (
                "SELECT f.paper_id, substr(a.alias, 4) FROM facts f JOIN aliases a USING (row) "
                f"WHERE f.paper_id IN ({marks}) AND a.alias LIKE 'id:%'"
            )
            for paper_id, name in self._all(query, part):
                found.setdefault(paper_id, []).append(name)
        return found

    def by_row(self, row_numbers: Iterable[int]) -> dict[int, Paper]:
        """Return the papers of rows."""
        found = {}
        for marks, part in rows.chunks(row_numbers):
            for row in self._all(f"SELECT {rows.PAPER}, row FROM papers WHERE row IN ({marks})", part):
                found[int(row[-1])] = rows.paper_of(row)
        return found

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        """Return the paper with the text that `content_hash` named, now or in the past, or None."""
        paper = self.get(paper_id)
        if paper is None:
            return None
        digest = bytes.fromhex(content_hash)
        if text_hash(paper.title, paper.abstract) == digest:
            return paper
        held = self._all(
            "SELECT v.title, v.abstract, v.version FROM versions v JOIN papers p USING (row) "
            "WHERE p.paper_id = ? AND v.text_hash = ?",
            (paper.paper_id, digest),
        )
        return replace(paper, title=held[0][0], abstract=held[0][1], version=held[0][2]) if held else None

    def papers(self) -> Iterator[Paper]:
        """Yield every paper, in the order of first arrival."""
        last = 0
        while page := self._all(
            f"SELECT {rows.PAPER}, row FROM papers WHERE row > ? ORDER BY row LIMIT ?", (last, _PAGE)
        ):
            yield from map(rows.paper_of, page)
            last = page[-1][-1]

    def facts(self, row_numbers: Sequence[int], paper_ids: Sequence[str], *, embedder: int) -> list[Fact]:
        """Return the facts of rows and of ids, each paper once, with the vectors of an embedder."""
        found = self._facts("row", row_numbers, embedder)
        known = {fact[0] for fact in found}
        return found + self._facts("paper_id", [i for i in paper_ids if i not in known], embedder)

    def _facts(self, column: str, wanted: Sequence[int] | Sequence[str], embedder: int) -> list[Fact]:
        found: list[Fact] = []
        base = Embeddings.base(embedder)
        for marks, part in rows.chunks(wanted):
            query = (
                "SELECT f.paper_id, f.day, f.terms, e.vector FROM facts f LEFT JOIN embeddings e "
                f"ON e.slot = ? + f.row AND e.text_hash = f.text_hash WHERE f.{column} IN ({marks})"
            )
            found += self._all(query, (base, *part))
        return found

    def admitted(self, paper_ids: Sequence[str], filters: Filters) -> list[str]:
        """Return those ids that lie inside ``filters``, in the order given."""
        clauses, limits = _where(filters)
        inside: set[str] = set()
        for marks, part in rows.chunks(paper_ids):
            query = f"SELECT paper_id FROM facts WHERE paper_id IN ({marks}) AND {clauses}"
            inside.update(row[0] for row in self._all(query, (*part, *limits)))
        return [paper_id for paper_id in paper_ids if paper_id in inside]

    def known(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Return those record hashes that were read before."""
        found: set[bytes] = set()
        for marks, part in rows.chunks(hashes):
            found.update(row[0] for row in self._all(f"SELECT hash FROM seen WHERE hash IN ({marks})", part))
        return found

    def owners(self, aliases: Iterable[str]) -> dict[str, list[int]]:
        """Return the rows that go by each alias."""
        found: dict[str, list[int]] = {}
        for marks, part in rows.chunks(dict.fromkeys(aliases)):
            for alias, row in self._all(f"SELECT alias, row FROM aliases WHERE alias IN ({marks})", part):
                found.setdefault(alias, []).append(row)
        return found

    def changes(self, after: int, *, limit: int) -> list[Change]:
        """Return the papers changed after revision ``after``, oldest change first."""
        columns = ", ".join(f"p.{name.strip()}" for name in rows.PAPER.split(","))
        found = self._all(
            f"SELECT {columns}, f.row, f.indexed, f.text_hash, f.tags, f.day "
            "FROM facts f JOIN papers p USING (row) WHERE f.indexed > ? ORDER BY f.indexed LIMIT ?",
            (after, limit),
        )
        return [
            Change(row[-5], row[-4], row[-3], tuple(rows.unpack_tags(row[-2])), row[-1], rows.paper_of(row))
            for row in found
        ]

    def removals(self, after: int) -> list[Removal]:
        """Return what was removed or renamed after revision ``after``."""
        found = self._all(
            "SELECT revision, row, paper_id FROM removed WHERE revision > ? ORDER BY revision", (after,)
        )
        return [Removal(*row) for row in found]

    def pending(self, mark: Mark) -> int:
        """Return how many papers changed after the mark of an index."""
        return int(
            self._one(
                "SELECT count(*) FROM facts WHERE indexed > (SELECT value FROM meta WHERE key = ?)", mark
            )
        )

    def ids(self) -> dict[int, str]:
        """Return the id of each row."""
        return dict(self._all("SELECT row, paper_id FROM facts"))

    def indexed_ids(self, mark: Mark) -> set[str]:
        """Return the ids that an index should hold up to its mark."""
        return self._ids(
            "SELECT paper_id FROM facts WHERE indexed <= (SELECT value FROM meta WHERE key = ?)", mark
        )

    def waiting_ids(self, mark: Mark) -> set[str]:
        """Return the ids that an index may or may not hold: changed or removed after its mark."""
        return self._ids(
            "SELECT paper_id FROM facts WHERE indexed > (SELECT value FROM meta WHERE key = ?1) UNION "
            "SELECT paper_id FROM removed WHERE revision > (SELECT value FROM meta WHERE key = ?1)",
            mark,
        )

    def accept(self, row_numbers: Iterable[int]) -> None:
        """Give damaged rows the checksums of what they now say, and forget that their records were read."""
        with self.db.writing() as connection:
            for row in row_numbers:
                held = connection.execute(f"SELECT {rows.PAPER} FROM papers WHERE row = ?", (row,)).fetchone()
                digests = (text_hash(held[1], held[2]), rows.checksum(held))
                connection.execute(
                    "UPDATE papers SET text_hash = ?, checksum = ? WHERE row = ?", (*digests, row)
                )
                connection.execute("DELETE FROM seen WHERE row = ?", (row,))

    def set_mark(self, mark: Mark, revision: int) -> None:
        """Record that an index is complete up to ``revision``."""
        with self.db.writing() as connection:
            put(connection, mark, revision)
            if mark == "vector_mark":
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'vector_generation'")

    def set_note(self, key: str, text: str) -> None:
        """Keep a text about the indexes."""
        if self.db.note(key) != text:
            with self.db.writing() as connection:
                put(connection, key, text)

    def touch(self, row_numbers: Iterable[int]) -> None:
        """Make the indexes take in these papers again, as if they had changed last."""
        with self.db.writing() as connection:
            revision = int(connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()[0])
            numbered = [(revision + n, row) for n, row in enumerate(row_numbers, 1)]
            connection.executemany("UPDATE facts SET indexed = ? WHERE row = ?", numbered)
            put(connection, "revision", revision + len(numbered))

    def get_setting(self, key: str, default: Any = None) -> Any:
        """Return a value kept by `set_setting`."""
        found = self._all("SELECT value FROM settings WHERE key = ?", (key,))
        return json.loads(found[0][0]) if found else default

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value with the library, such as a calibration."""
        with self.db.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self.db.reading() as connection:
            return connection.execute(query, values).fetchall()

    def _ids(self, query: str, *values: Any) -> set[str]:
        return {row[0] for row in self._all(query, values)}

    def _one(self, query: str, *values: Any) -> Any:
        return self._all(query, values)[0][0]


def _where(filters: Filters) -> tuple[str, list[Any]]:
    """Return the SQL conditions of ``filters`` on the table ``facts``, and their values."""
    tests: list[tuple[str, Any]] = []
    if filters.since:
        tests.append(("day >= ?", day_number(filters.since)))
    if filters.until:
        tests.append(("day <= ?", day_number(filters.until)))
    if filters.category:
        tests.append(("instr(tags, ?)", rows.pack_tags([f"c:{filters.category.lower()}"])))
    if filters.source:
        tests.append(("instr(tags, ?)", rows.pack_tags([f"s:{filters.source}"])))
    return " AND ".join(test for test, _ in tests) or "1", [value for _, value in tests]
