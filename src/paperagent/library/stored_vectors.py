"""Stored embeddings: half precision in ``library.db``, by embedder and text.

Chroma cannot give vectors back once a file of its index is damaged, and computing them takes
half an hour for 75,000 papers, so they are kept with the papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from paperagent.errors import InputError, StoreError
from paperagent.library.local.database import SLOT_BITS, LibraryDatabase, put
from paperagent.library.rows import chunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Matrix

_LARGEST_ERROR = 0.02
"""A unit vector may differ this much from length 1 (half precision costs about 0.0005)."""


class Embeddings:
    """The vectors of a library, and which embedder's the vector index holds."""

    def __init__(self, db: LibraryDatabase) -> None:
        self._db = db

    @staticmethod
    def base(number: int) -> int:
        """Return the slot of row 0 of an embedder."""
        return number << SLOT_BITS

    def active(self) -> tuple[int, str, int] | None:
        """Return number, id and dimension of the embedder whose vectors are searched, or None."""
        with self._db.reading() as connection:
            found = connection.execute(
                "SELECT number, embedder_id, dim FROM embedders "
                "WHERE number = (SELECT value FROM meta WHERE key = 'embedder')"
            ).fetchone()
        return None if found is None else (found[0], found[1], found[2])

    def activate(self, embedder_id: str, dim: int) -> int:
        """Make an embedder's vectors the searched ones, from scratch; returns its number."""
        with self._db.writing() as connection:
            connection.execute(
                "INSERT INTO embedders (embedder_id, dim) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (embedder_id, dim),
            )
            number, held = connection.execute(
                "SELECT number, dim FROM embedders WHERE embedder_id = ?", (embedder_id,)
            ).fetchone()
            if held != dim:
                connection.execute("DELETE FROM embeddings WHERE slot >> ? = ?", (SLOT_BITS, number))
                connection.execute("UPDATE embedders SET dim = ? WHERE number = ?", (dim, number))
            put(connection, "embedder", number)
            put(connection, "vector_mark", 0)
        return int(number)

    def missing(self, number: int, texts: Sequence[tuple[int, bytes]]) -> set[int]:
        """Return the rows of (row, text hash) that have no vector of exactly that text."""
        held: dict[int, bytes] = {}
        base = self.base(number)
        with self._db.reading() as connection:
            for marks, part in chunks([base + row for row, _ in texts]):
                query = f"SELECT slot, text_hash FROM embeddings WHERE slot IN ({marks})"
                held.update(connection.execute(query, part).fetchall())
        return {row for row, digest in texts if held.get(base + row) != digest}

    def store(self, number: int, vectors: Iterable[tuple[int, bytes, NDArray[np.floating]]]) -> None:
        """Keep (row, text hash, vector [dim])."""
        base = self.base(number)
        values = [(base + row, digest, vector.astype("<f2").tobytes()) for row, digest, vector in vectors]
        if values:
            with self._db.writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", values)

    def load(self, number: int, dim: int, rows: Sequence[int]) -> tuple[NDArray[np.int64], Matrix]:
        """Return those of ``rows`` that have a vector, ascending, and their vectors [n, dim]."""
        base = self.base(number)
        found = []
        with self._db.reading() as connection:
            for marks, part in chunks([base + row for row in sorted(rows)]):
                query = f"SELECT slot, vector FROM embeddings WHERE slot IN ({marks}) ORDER BY slot"
                found += connection.execute(query, part).fetchall()
        return _matrix(found, base, dim)

    def _raw(self, number: int) -> Iterator[list[tuple[int, bytes]]]:
        base = self.base(number)
        last = base - 1
        query = "SELECT slot, vector FROM embeddings WHERE slot > ? AND slot < ? ORDER BY slot LIMIT 5000"
        while True:
            with self._db.reading() as connection:
                page = connection.execute(query, (last, base + (1 << SLOT_BITS))).fetchall()
            if not page:
                return
            yield page
            last = page[-1][0]

    def unsound(self, number: int, dim: int) -> list[int]:
        """Return the rows whose vector has the wrong size, is not finite or is not of unit length."""
        import numpy as np

        base = self.base(number)
        bad: list[int] = []
        for page in self._raw(number):
            bad += [slot - base for slot, blob in page if len(blob) != 2 * dim]
            rows, vectors = _matrix([entry for entry in page if len(entry[1]) == 2 * dim], base, dim)
            bad += rows[~(np.abs(np.linalg.norm(vectors, axis=1) - 1) <= _LARGEST_ERROR)].tolist()
        return sorted(bad)

    def forget(self, number: int, rows: Iterable[int]) -> None:
        """Drop the vectors of rows."""
        base = self.base(number)
        with self._db.writing() as connection:
            connection.executemany("DELETE FROM embeddings WHERE slot = ?", [(base + row,) for row in rows])


def _matrix(found: list[tuple[int, bytes]], base: int, dim: int) -> tuple[NDArray[np.int64], Matrix]:
    import numpy as np

    rows = np.fromiter((slot - base for slot, _ in found), np.int64, len(found))
    halves = np.frombuffer(b"".join(blob for _, blob in found), "<f2")
    if halves.size != len(found) * dim:
        raise StoreError("stored embeddings: some have the wrong size; run 'paperagent doctor --repair'")
    return rows, halves.reshape(len(found), dim).astype(np.float32)


def sound(vector: NDArray[np.floating], dim: int, what: str) -> NDArray[np.float32]:
    """Return ``vector`` as float32 [dim]. Raises `InputError` where it is zero, not finite or ill-sized."""
    import numpy as np

    checked = np.asarray(vector, np.float32)
    if checked.shape != (dim,):
        raise InputError(
            f"{what}: a vector of shape {checked.shape} where {dim} numbers belong; check the embedder"
        )
    if not np.isfinite(checked).all() or not checked.any():
        raise InputError(f"{what}: the vector is zero or not finite; check the embedder")
    return checked
