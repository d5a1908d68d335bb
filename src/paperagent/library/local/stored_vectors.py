"""The embeddings in ``library.db``, by embedder and text, and nearest-neighbor search with filters.

The library stores every vector in half precision beside the papers, because Chroma cannot return vectors once
a file of its index is damaged, and computing them takes half an hour for 75,000 papers.

A filter of Chroma's own (``where``) costs 700 ms at 100,000 papers. `nearest` takes the cheaper of two ways
instead: it compares the query with the stored vectors of the papers that the filter admits, or it asks Chroma
for more papers and drops those that it does not admit. The worst case is where both cost the same: a filter
that admits one paper in sixteen of 75,000 (12 ms), one in sixty of a million (50 ms).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from paperagent.errors import StoreError
from paperagent.library.features import check_vector
from paperagent.library.local.database import SLOT_BITS, LibraryDatabase, placeholders, put_meta
from paperagent.types import Filters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.library.local.bm25_index import LexicalIndex
    from paperagent.library.local.papers import PaperTable
    from paperagent.library.local.vector_index import VectorIndex
    from paperagent.types import Matrix, Vector

_MAX_NORM_ERROR = 0.02
"""A unit vector's length may differ this much from 1 (half precision costs about 0.0005)."""
_OVERSAMPLING = 1.25
"""Factor by which more results are requested than the filter's share suggests: the nearest papers are not a
random sample.
"""
_MARGIN = 3
"""Additional results, as a multiple of ``limit``, because the last of many results are less reliable."""
_COMPARISONS_PER_RESULT = 4
"""Stored vectors that are compared in the time of one result of Chroma: 2.6 µs to 9; at a million papers 3 to
14."""
_WIDENING = 4
"""Factor by which more results are requested if too few papers passed the filter. Then a quarter of ``limit``
is enough: the papers that the filter admits are far from the query, and those found are the nearest of them.
"""
_BLOCK = 20_000


class ActiveEmbedder(NamedTuple):
    """The embedder whose vectors are searched."""

    number: int
    embedder_id: str
    dim: int


class StoredVectors:
    """The vectors of a library, and which embedder's vectors the vector index holds."""

    def __init__(self, db: LibraryDatabase) -> None:
        self._db = db

    @staticmethod
    def first_slot(number: int) -> int:
        """Return the slot of row 0 of an embedder."""
        return number << SLOT_BITS

    def active(self) -> ActiveEmbedder | None:
        """Return the embedder whose vectors are searched, or None."""
        number = self._db.note("embedder")
        with self._db.reading() as connection:
            row = connection.execute(
                "SELECT number, embedder_id, dim FROM embedders WHERE number = ?", (number,)
            ).fetchone()
        return None if row is None else ActiveEmbedder(*row)

    def activate(self, embedder_id: str, dim: int) -> ActiveEmbedder:
        """Make this embedder the active one, which starts a new vector index; return it with its number."""
        embedder = self.register(embedder_id, dim)
        with self._db.writing() as connection:
            self.use(connection, embedder, mark=0)
        return embedder

    def use(self, connection: sqlite3.Connection, embedder: ActiveEmbedder, *, mark: int) -> None:
        """Make this embedder the active one as soon as the transaction is committed.

        Args:
            connection: A connection in a transaction.
            embedder: The embedder.
            mark: The revision up to which the vector index is complete.
        """
        put_meta(connection, "embedder", embedder.number)
        put_meta(connection, "vector_mark", mark)
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'vector_generation'")

    def register(self, embedder_id: str, dim: int) -> ActiveEmbedder:
        """Return the embedder with the number under which its vectors are stored."""
        with self._db.writing() as connection:
            connection.execute(
                "INSERT INTO embedders (embedder_id, dim) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (embedder_id, dim),
            )
            number, stored_dim = connection.execute(
                "SELECT number, dim FROM embedders WHERE embedder_id = ?", (embedder_id,)
            ).fetchone()
            if stored_dim != dim:
                connection.execute("DELETE FROM embeddings WHERE slot >> ? = ?", (SLOT_BITS, number))
                connection.execute("UPDATE embedders SET dim = ? WHERE number = ?", (dim, number))
        return ActiveEmbedder(int(number), embedder_id, dim)

    def missing(self, number: int, texts: Sequence[tuple[int, bytes]]) -> set[int]:
        """Return the rows that have no vector of exactly their text.

        Args:
            number: The embedder.
            texts: Pairs of row and hash of the text.
        """
        hashes: dict[int, bytes] = {}
        base = self.first_slot(number)
        with self._db.reading() as connection:
            for marks, part in placeholders([base + row for row, _ in texts]):
                query = f"SELECT slot, text_hash FROM embeddings WHERE slot IN ({marks})"
                hashes.update(connection.execute(query, part).fetchall())
        return {row for row, digest in texts if hashes.get(base + row) != digest}

    def store(self, number: int, vectors: Iterable[tuple[int, bytes, NDArray[np.floating]]]) -> None:
        """Store triples of row, hash of the text, and vector of shape [dim]."""
        base = self.first_slot(number)
        values = [(base + row, digest, vector.astype("<f2").tobytes()) for row, digest, vector in vectors]
        if values:
            with self._db.writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", values)

    def load(self, number: int, dim: int, rows: Sequence[int]) -> tuple[NDArray[np.int64], Matrix]:
        """Return those of ``rows`` that have a vector, ascending, and their vectors, shape [n, dim]."""
        base = self.first_slot(number)
        stored = []
        with self._db.reading() as connection:
            for marks, part in placeholders([base + row for row in sorted(rows)]):
                query = f"SELECT slot, vector FROM embeddings WHERE slot IN ({marks}) ORDER BY slot"
                stored += connection.execute(query, part).fetchall()
        return _matrix(stored, base, dim)

    def invalid(self, number: int, dim: int) -> list[int]:
        """Return the rows whose vector has the wrong size, is not finite or is not of unit length."""
        import numpy as np

        base = self.first_slot(number)
        invalid: list[int] = []
        for page in self._pages(number):
            invalid += [slot - base for slot, blob in page if len(blob) != 2 * dim]
            rows, vectors = _matrix([entry for entry in page if len(entry[1]) == 2 * dim], base, dim)
            invalid += rows[~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= _MAX_NORM_ERROR)].tolist()
        return sorted(invalid)

    def missing_from(self, number: int, mark: int) -> list[int]:
        """Return the rows changed up to ``mark`` that have no vector of exactly their text."""
        query = (
            "SELECT f.row FROM facts f LEFT JOIN embeddings e ON e.slot = ? + f.row "
            "AND e.text_hash = f.text_hash WHERE f.indexed <= ? AND e.slot IS NULL"
        )
        with self._db.reading() as connection:
            return [row for (row,) in connection.execute(query, (self.first_slot(number), mark))]

    def delete(self, number: int, rows: Iterable[int]) -> None:
        """Delete the vectors of rows."""
        base = self.first_slot(number)
        with self._db.writing() as connection:
            connection.executemany("DELETE FROM embeddings WHERE slot = ?", [(base + row,) for row in rows])

    def _pages(self, number: int) -> Iterator[list[tuple[int, bytes]]]:
        base = self.first_slot(number)
        last = base - 1
        query = "SELECT slot, vector FROM embeddings WHERE slot > ? AND slot < ? ORDER BY slot LIMIT 5000"
        while True:
            with self._db.reading() as connection:
                page = connection.execute(query, (last, base + (1 << SLOT_BITS))).fetchall()
            if not page:
                return
            yield page
            last = page[-1][0]


def _matrix(stored: list[tuple[int, bytes]], base: int, dim: int) -> tuple[NDArray[np.int64], Matrix]:
    import numpy as np

    rows = np.fromiter((slot - base for slot, _ in stored), np.int64, len(stored))
    halves = np.frombuffer(b"".join(blob for _, blob in stored), "<f2")
    if halves.size != len(stored) * dim:
        raise StoreError("stored embeddings: some have the wrong size; run 'paperagent doctor --repair'")
    return rows, halves.reshape(len(stored), dim).astype(np.float32)


# --- nearest neighbors ---


@dataclass(frozen=True, slots=True)
class NearestPapers:
    """The nearest papers, by row or by id, nearest first."""

    rows: Sequence[int] = ()
    ids: Sequence[str] = ()


def nearest(
    vector: Vector,
    papers: PaperTable,
    embedder: ActiveEmbedder,
    *,
    limit: int,
    filters: Filters,
    lexical: LexicalIndex,
    index: VectorIndex | None,
) -> NearestPapers:
    """Return the papers nearest to ``vector`` that ``filters`` admit.

    Args:
        vector: The query, shape [dim].
        papers: Holds the stored vectors.
        embedder: Whose vectors to search.
        limit: Maximum number of papers to return.
        filters: What they must match.
        lexical: Tells which papers the filters admit.
        index: The vector index; without one all stored vectors are compared.
    """
    vector = check_vector(vector, embedder.dim, "query")
    if index is not None:
        if not filters:
            return NearestPapers(ids=[paper_id for paper_id, _ in index.query(vector, limit)])
        admitted = lexical.count_matching(filters)
        asked_for = math.ceil(limit * (_OVERSAMPLING * lexical.count / max(1, admitted) + _MARGIN))
        enough = limit
        while asked_for * _COMPARISONS_PER_RESULT < admitted:
            ids = [paper_id for paper_id, _ in index.query(vector, asked_for)]
            inside = lexical.admitted(ids, filters)
            if len(inside) >= enough:
                return NearestPapers(ids=inside[:limit])
            asked_for, enough = asked_for * _WIDENING, limit // _WIDENING
    rows = lexical.matching(filters)
    return NearestPapers(rows=_nearest_stored(vector, papers.vectors, embedder, limit, rows))


def _nearest_stored(
    vector: Vector, vectors: StoredVectors, embedder: ActiveEmbedder, limit: int, rows: Sequence[int]
) -> Sequence[int]:
    """Compare ``vector`` with the stored vectors of ``rows``, block by block."""
    import numpy as np

    ordered, compared, scores = sorted(rows), list[int](), np.empty(0, np.float32)
    for start in range(0, len(ordered), _BLOCK):
        block_rows, block = vectors.load(embedder.number, embedder.dim, ordered[start : start + _BLOCK])
        compared += block_rows.tolist()
        scores = np.concatenate([scores, np.einsum("ij,j->i", block, vector)])
    return [compared[position] for position in _highest(limit, scores).tolist()]


def _highest(limit: int, scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the positions of the ``limit`` highest scores, highest first."""
    import numpy as np

    if len(scores) > limit:
        top = np.argpartition(-scores, limit)[:limit]
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")
