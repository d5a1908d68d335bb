"""Write records into ``library.db``, each batch in one transaction."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from paperagent.library import identity
from paperagent.library.features import index_fields, paper_stems
from paperagent.library.local.bm25_index import IndexEntry, IndexWriter
from paperagent.library.local.database import (
    COLUMNS,
    PAPER_COLUMNS,
    SLOT_BITS,
    pack_tags,
    pack_terms,
    paper_from_row,
    put_meta,
    read_value,
    row_values,
)
from paperagent.library.local.papers import PaperTable
from paperagent.library.merge import PendingPaper, RecordMerger
from paperagent.types import Paper

COMMIT_EVERY = 10_000
"""Papers between two commits of the lexical index; after an interruption, at most this many are indexed
again.
"""


AUTHOR_TAGS = "author_tags"
"""The note that the search table contains the words of authors' names. A library of an earlier version does
not have it until it is reindexed.
"""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of writing one batch."""

    new: int
    changed: int
    reindex: Sequence[PendingPaper] = ()
    """The papers that the indexes must add or replace."""
    removed: Sequence[int] = ()
    """The rows that the indexes must delete."""


class BatchWriter:
    """Merges and writes the batches of one ingest."""

    def __init__(self, table: PaperTable, *, today: dt.date) -> None:
        self._table = table
        self._today = today
        self._run = table.db.meta("run") + 1

    def write(self, batch: Sequence[Paper]) -> BatchResult:
        """Write a batch. Records that were read before cost one lookup for the whole batch."""
        by_hash = {identity.record_hash(paper): paper for paper in batch}
        seen = self._table.seen_records(list(by_hash))
        records = {digest: paper for digest, paper in by_hash.items() if digest not in seen}
        if not records:
            return BatchResult(0, 0)
        merger = RecordMerger(self._table, records.values(), today=self._today)
        new = changed = 0
        assigned: dict[bytes, PendingPaper] = {}
        for digest, record in records.items():
            assigned[digest], before = merger.assign(record)
            new += before is None
            changed += before is not None and identity.is_notable_change(before, assigned[digest].paper)
        papers = merger.changed()
        for pending in papers:
            if pending.index_changed:
                pending.stems = paper_stems(pending.paper)
        seen_records = [
            _SeenRecord(digest, "\n".join(records[digest].sources), merger.canonical(pending))
            for digest, pending in assigned.items()
        ]
        self._commit(papers, seen_records)
        removed = [row for pending in papers for row in pending.absorbed]
        return BatchResult(new, changed, [p for p in papers if p.index_changed], removed)

    def _commit(self, papers: Sequence[PendingPaper], records: Sequence[_SeenRecord]) -> None:
        with self._table.db.writing() as connection:
            transaction = _BatchTransaction(connection)
            for pending in papers:
                for row, paper in pending.absorbed.items():
                    transaction.absorb(pending, row, paper)
            for pending in papers:
                if pending.old is not None and pending.old != pending.paper:
                    transaction.update(pending, pending.old)
            transaction.insert([pending for pending in papers if pending.old is None])
            names = [(name, pending.row) for pending in papers for name in pending.names]
            connection.executemany("INSERT OR IGNORE INTO aliases VALUES (?, ?)", names)
            transaction.remember_records(records, self._run)
            put_meta(connection, "run", self._run)
            transaction.write_counters()


@dataclass(frozen=True, slots=True)
class _SeenRecord:
    """A record that was read, and the paper that it belongs to."""

    digest: bytes
    source: str
    paper: PendingPaper


class _BatchTransaction:
    """The statements of one batch, inside its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._revision: int = read_value(connection, "meta", "revision")
        self._length: int = read_value(connection, "meta", "length")

    def insert(self, papers: Sequence[PendingPaper]) -> None:
        """Write new papers."""
        first = self._revision + 1
        self._revision += len(papers)
        self._length += sum(len(pending.stems) for pending in papers)
        numbered = list(enumerate(papers, first))
        columns = f"row, paper_id, revision, {COLUMNS}, text_hash, checksum"
        marks = ", ".join("?" * (columns.count(",") + 1))
        self._connection.executemany(
            f"INSERT INTO papers ({columns}) VALUES ({marks})",
            [(p.row, p.paper.paper_id, revision, *row_values(p.paper)) for revision, p in numbered],
        )
        self._connection.executemany(
            _PUT_FACTS, [_facts(pending, revision) for revision, pending in numbered]
        )

    def update(self, pending: PendingPaper, old: Paper) -> None:
        """Write a changed paper; its former text becomes a version, its former id an alias."""
        self._revision += 1
        if pending.text_changed:
            self._keep_version(pending.row, old)
        columns = f"paper_id, revision, {COLUMNS}, text_hash, checksum".split(", ")
        self._connection.execute(
            f"UPDATE papers SET {' = ?, '.join(columns)} = ? WHERE row = ?",
            (pending.paper.paper_id, self._revision, *row_values(pending.paper), pending.row),
        )
        if pending.paper.paper_id != old.paper_id:
            self._log_removal(None, old.paper_id)
            self._revision += 1
        if pending.index_changed:
            self._length += len(pending.stems) - self._term_count(pending.row)
            self._connection.execute(_PUT_FACTS, _facts(pending, self._revision))

    def absorb(self, pending: PendingPaper, row: int, paper: Paper) -> None:
        """Delete a row that is the same paper; its text, names and records go to ``pending``."""
        execute = self._connection.execute
        self._revision += 1
        self._log_removal(row, paper.paper_id)
        self._length -= self._term_count(row)
        self._keep_version(row, paper)
        for table in ("versions", "aliases"):
            execute(f"UPDATE OR IGNORE {table} SET row = ? WHERE row = ?", (pending.row, row))
            execute(f"DELETE FROM {table} WHERE row = ?", (row,))
        execute("UPDATE seen SET row = ? WHERE row = ?", (pending.row, row))
        for table in ("papers", "facts"):
            execute(f"DELETE FROM {table} WHERE row = ?", (row,))
        self._delete_vectors(row)

    def remove(self, row: int, paper_id: str) -> None:
        """Delete a paper with its versions, names, records and vectors."""
        self._revision += 1
        self._log_removal(row, paper_id)
        self._length -= self._term_count(row)
        for table in ("versions", "aliases", "seen", "papers", "facts"):
            self._connection.execute(f"DELETE FROM {table} WHERE row = ?", (row,))
        self._delete_vectors(row)

    def _delete_vectors(self, row: int) -> None:
        self._connection.execute(
            "DELETE FROM embeddings WHERE slot IN (SELECT (number << ?) + ? FROM embedders)", (SLOT_BITS, row)
        )

    def remember_records(self, records: Sequence[_SeenRecord], run: int) -> None:
        """Store the hashes of records, and delete those of the same sources from earlier runs.

        So a text that is changed back counts as a change, but two different records in one file do not.
        """
        for record in records:
            if record.paper.old is not None:
                self._connection.execute(
                    "DELETE FROM seen WHERE row = ? AND source = ? AND run < ?",
                    (record.paper.row, record.source, run),
                )
        values = [(record.digest, record.paper.row, record.source, run) for record in records]
        self._connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", values)

    def write_counters(self) -> None:
        put_meta(self._connection, "revision", self._revision)
        put_meta(self._connection, "length", self._length)

    def _keep_version(self, row: int, paper: Paper) -> None:
        digest = identity.text_hash(paper.title, paper.abstract)
        updated = paper.updated.isoformat() if paper.updated else None
        values = (row, digest, paper.title, paper.abstract, paper.version, updated)
        self._connection.execute("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?, ?)", values)

    def _log_removal(self, row: int | None, paper_id: str) -> None:
        self._connection.execute("INSERT INTO removed VALUES (?, ?, ?)", (self._revision, row, paper_id))

    def _term_count(self, row: int) -> int:
        query = "SELECT length(terms) / 4 FROM facts WHERE row = ?"
        return int(self._connection.execute(query, (row,)).fetchone()[0])


def remove_papers(table: PaperTable, paper_ids: Iterable[str]) -> None:
    """Delete papers by their present ids in one transaction; the indexes are updated by revision."""
    with table.db.writing() as connection:
        transaction = _BatchTransaction(connection)
        for paper_id in paper_ids:
            for (row,) in connection.execute(
                "SELECT row FROM papers WHERE paper_id = ?", (paper_id,)
            ).fetchall():
                transaction.remove(row, paper_id)
        transaction.write_counters()


_PUT_FACTS = """INSERT OR REPLACE INTO facts (row, paper_id, indexed, day, tags, text_hash, terms)
VALUES (?, ?, ?, ?, ?, ?, ?)"""


def _facts(pending: PendingPaper, revision: int) -> tuple[object, ...]:
    day, tags, digest = index_fields(pending.paper)
    terms = pack_terms(pending.stems)
    return (pending.row, pending.paper.paper_id, revision, day, pack_tags(tags), digest, terms)


class LiveIndexer:
    """Adds the papers of an ingest to the lexical index as their batches are written."""

    def __init__(self, table: PaperTable, writer: IndexWriter) -> None:
        self._table = table
        self._writer = writer
        self._uncommitted = 0

    def add(self, batch: BatchResult) -> None:
        """Add the papers of one batch."""
        for row in batch.removed:
            self._writer.delete(row)
        for pending in batch.reindex:
            day, tags, _ = index_fields(pending.paper)
            entry = IndexEntry(pending.row, pending.paper.paper_id, pending.stems, day, tags)
            self._writer.put(entry, replace=pending.old is not None)
        self._uncommitted += len(batch.reindex) + len(batch.removed)
        if self._uncommitted >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Make the added papers searchable."""
        if self._uncommitted:
            self._writer.commit()
            self._table.set_mark("lexical_mark", self._table.revision)
            self._uncommitted = 0


def rebuild_search_table(connection: sqlite3.Connection, *, analysis: str) -> Iterator[IndexEntry]:
    """Compute the terms of every paper again, after the text analysis has changed or rows were damaged.

    Args:
        connection: The library, in a transaction.
        analysis: Fingerprint of the text analysis, stored with the terms.

    Yields:
        The entries of a new lexical index.
    """
    length = 0
    connection.execute("DELETE FROM facts WHERE row NOT IN (SELECT row FROM papers)")
    cursor = connection.execute(f"SELECT {PAPER_COLUMNS}, row, revision FROM papers ORDER BY row")
    while page := cursor.fetchmany(_PAGE):
        for values in page:
            row, revision = values[-2:]
            paper = paper_from_row(values)
            stems = paper_stems(paper)
            length += len(stems)
            day, tags, digest = index_fields(paper)
            fields = (paper.paper_id, day, pack_tags(tags), digest, pack_terms(stems))
            connection.execute(_PUT_FACTS_KEEPING_REVISION, (row, revision, *fields))
            yield IndexEntry(row, paper.paper_id, stems, day, tags)
    put_meta(connection, "length", length)
    put_meta(connection, "analysis", analysis)
    put_meta(connection, AUTHOR_TAGS, "yes")


_PAGE = 2_000
_PUT_FACTS_KEEPING_REVISION = """INSERT INTO facts (row, indexed, paper_id, day, tags, text_hash, terms)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (row) DO UPDATE SET paper_id = excluded.paper_id, day = excluded.day,
tags = excluded.tags, text_hash = excluded.text_hash, terms = excluded.terms"""
