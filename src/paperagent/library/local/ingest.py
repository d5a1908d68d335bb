"""Reading records into the library: one batch, one transaction, acknowledged when it returns."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paperagent.library import identity, rows
from paperagent.library.local.database import SLOT_BITS, put
from paperagent.library.local.papers import Library
from paperagent.library.merge import Desk, Draft
from paperagent.types import Paper


@dataclass(frozen=True, slots=True)
class Taken:
    """What one batch did."""

    new: int
    changed: int
    drafts: Sequence[Draft] = ()
    """The papers that the indexes must take in."""
    removed: Sequence[int] = ()
    """The rows that the indexes must forget."""


class Intake:
    """Takes the batches of one ingest."""

    def __init__(self, library: Library, *, today: dt.date) -> None:
        self._library = library
        self._today = today
        self._run = library.db.meta("run") + 1

    def take(self, batch: Sequence[Paper]) -> Taken:
        """Write a batch; records that were read before cost one look-up for all of them."""
        hashed = {identity.record_hash(paper): paper for paper in batch}
        known = self._library.known(list(hashed))
        fresh = {digest: paper for digest, paper in hashed.items() if digest not in known}
        if not fresh:
            return Taken(0, 0)
        desk = Desk(self._library, fresh.values(), today=self._today)
        new = changed = 0
        placed: dict[bytes, Draft] = {}
        for digest, paper in fresh.items():
            placed[digest], before = desk.place(paper)
            new += before is None
            changed += before is not None and identity.notable(before, placed[digest].paper)
        drafts = desk.touched()
        for draft in drafts:
            if draft.reindexed:
                draft.stems = rows.stems_of(draft.paper)
        seen = [
            _Seen(digest, "\n".join(fresh[digest].sources), desk.keeper(d)) for digest, d in placed.items()
        ]
        self._write(drafts, seen)
        removed = [row for draft in drafts for row in draft.absorbed]
        return Taken(new, changed, [d for d in drafts if d.reindexed], removed)

    def _write(self, drafts: Sequence[Draft], seen: Sequence[_Seen]) -> None:
        with self._library.db.writing() as connection:
            batch = _Batch(connection)
            for draft in drafts:
                for row, paper in draft.absorbed.items():
                    batch.absorb(draft, row, paper)
            for draft in drafts:
                if draft.old is not None and draft.old != draft.paper:
                    batch.change(draft, draft.old)
            batch.insert([draft for draft in drafts if draft.old is None])
            names = [(name, draft.row) for draft in drafts for name in draft.names]
            connection.executemany("INSERT OR IGNORE INTO aliases VALUES (?, ?)", names)
            batch.remember(seen, self._run)
            put(connection, "run", self._run)
            batch.count()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A record that was read, and the paper that it went into."""

    digest: bytes
    source: str
    draft: Draft


class _Batch:
    """The statements of one batch, inside its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        held = connection.execute(
            "SELECT key, value FROM meta WHERE key IN ('revision', 'length')"
        ).fetchall()
        counters: Mapping[str, int] = dict(held)
        self._revision, self._length = counters["revision"], counters["length"]

    def insert(self, drafts: Sequence[Draft]) -> None:
        """Write new papers."""
        first = self._revision + 1
        self._revision += len(drafts)
        self._length += sum(len(draft.stems) for draft in drafts)
        numbered = list(enumerate(drafts, first))
        columns = f"row, paper_id, revision, {rows.COLUMNS}, text_hash, checksum"
        marks = ", ".join("?" * (columns.count(",") + 1))
        self._connection.executemany(
            f"INSERT INTO papers ({columns}) VALUES ({marks})",
            [(d.row, d.paper.paper_id, revision, *rows.values(d.paper)) for revision, d in numbered],
        )
        self._connection.executemany(_PUT_FACTS, [_facts(draft, revision) for revision, draft in numbered])

    def change(self, draft: Draft, old: Paper) -> None:
        """Write a paper anew; its former text stays as a version, its former id as an alias."""
        self._revision += 1
        if draft.retold:
            self._keep_version(draft.row, old)
        columns = f"paper_id, revision, {rows.COLUMNS}, text_hash, checksum".split(", ")
        self._connection.execute(
            f"UPDATE papers SET {' = ?, '.join(columns)} = ? WHERE row = ?",
            (draft.paper.paper_id, self._revision, *rows.values(draft.paper), draft.row),
        )
        if draft.paper.paper_id != old.paper_id:
            self._log_removal(None, old.paper_id)
            self._revision += 1
        if draft.reindexed:
            self._length += len(draft.stems) - self._terms(draft.row)
            self._connection.execute(_PUT_FACTS, _facts(draft, self._revision))

    def absorb(self, draft: Draft, row: int, paper: Paper) -> None:
        """Take out a row that is the paper of ``draft``, which keeps its text, names and records."""
        run = self._connection.execute
        self._revision += 1
        self._log_removal(row, paper.paper_id)
        self._length -= self._terms(row)
        self._keep_version(row, paper)
        for table in ("versions", "aliases"):
            run(f"UPDATE OR IGNORE {table} SET row = ? WHERE row = ?", (draft.row, row))
            run(f"DELETE FROM {table} WHERE row = ?", (row,))
        run("UPDATE seen SET row = ? WHERE row = ?", (draft.row, row))
        for table in ("papers", "facts"):
            run(f"DELETE FROM {table} WHERE row = ?", (row,))
        run(
            "DELETE FROM embeddings WHERE slot IN (SELECT (number << ?) + ? FROM embedders)", (SLOT_BITS, row)
        )

    def remember(self, seen: Sequence[_Seen], run: int) -> None:
        """Keep the record hashes, and forget what the same sources said of these papers in earlier runs.

        So a text that changes back is a change, and two renderings in one file are none.
        """
        for entry in seen:
            if entry.draft.old is not None:
                self._connection.execute(
                    "DELETE FROM seen WHERE row = ? AND source = ? AND run < ?",
                    (entry.draft.row, entry.source, run),
                )
        values = [(entry.digest, entry.draft.row, entry.source, run) for entry in seen]
        self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", values)

    def count(self) -> None:
        """Write the counters."""
        put(self._connection, "revision", self._revision)
        put(self._connection, "length", self._length)

    def _keep_version(self, row: int, paper: Paper) -> None:
        digest = identity.text_hash(paper.title, paper.abstract)
        updated = paper.updated.isoformat() if paper.updated else None
        values = (row, digest, paper.title, paper.abstract, paper.version, updated)
        self._connection.execute("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?, ?)", values)

    def _log_removal(self, row: int | None, paper_id: str) -> None:
        self._connection.execute("INSERT INTO removed VALUES (?, ?, ?)", (self._revision, row, paper_id))

    def _terms(self, row: int) -> int:
        found = self._connection.execute(
            "SELECT length(terms) / 4 FROM facts WHERE row = ?", (row,)
        ).fetchone()
        return int(found[0])


_PUT_FACTS = """INSERT OR REPLACE INTO facts (row, paper_id, indexed, day, tags, text_hash, terms)
VALUES (?, ?, ?, ?, ?, ?, ?)"""


def _facts(draft: Draft, revision: int) -> tuple[object, ...]:
    day, tags, digest = rows.facts(draft.paper)
    return (draft.row, draft.paper.paper_id, revision, day, tags, digest, rows.pack_terms(draft.stems))
