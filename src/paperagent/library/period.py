"""What a period brought: papers whole, with the terms and vectors that choosing among them needs."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from paperagent.library import identity, rows
from paperagent.library.local.database import LibraryDatabase
from paperagent.library.protocol import PaperWithFeatures
from paperagent.library.stored_vectors import Embeddings

_COLUMNS = ", ".join(f"p.{name.strip()}" for name in rows.PAPER.split(","))
_PAPERS = len(rows.PAPER.split(","))
_SELECT = (
    f"SELECT {_COLUMNS}, f.row, f.terms, e.vector FROM papers p JOIN facts f USING (row) "
    "LEFT JOIN embeddings e ON e.slot = ? + f.row AND e.text_hash = f.text_hash WHERE "
)
# The day on which a feed listed a paper is when it came; a feed may list what was published long ago.
_DAY = "coalesce(p.listed, p.published, p.first_seen)"
# What is read days after its day, as happens over a weekend, came too late for the issue of that day.
_CAME = f"({_DAY} BETWEEN ?1 AND ?2 OR p.first_seen BETWEEN ?1 AND ?2 AND {_DAY} BETWEEN ?3 AND ?1)"
LATE = dt.timedelta(days=10)
"""How long after its day a paper that is read then still counts as new."""
_CHANGED = "p.updated BETWEEN ?1 AND ?2"


def late_from(since: dt.date) -> dt.date:
    """Return the earliest day whose papers, read only in a period from ``since`` on, came in it too."""
    return since - LATE if since - dt.date.min > LATE else dt.date.min


def within(db: LibraryDatabase, number: int, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
    """Return what came or was changed from ``since`` to ``until``, by id, with vectors of an embedder.

    The day on which the feed listed the paper counts, else that of its publication, else the
    day on which the library first read it. A paper that was first read in the period up to
    `LATE` after its day came in the period too: the issue of its day may have been sent.
    """
    days = (since.isoformat(), until.isoformat(), late_from(since).isoformat())
    query = f"SELECT p.row, {_CAME} FROM papers p WHERE {_CAME} OR {_CHANGED}"
    with db.reading() as connection, _unmapped(connection):
        found = dict(connection.execute(query, days).fetchall())
    return _read(db, number, "f.row", sorted(found), (row for row, new in found.items() if new))


@contextmanager
def _unmapped(connection: sqlite3.Connection) -> Iterator[None]:
    """Read the whole file in the block without its pages staying in this process's memory."""
    (mapped,) = connection.execute("PRAGMA mmap_size").fetchone()
    connection.execute("PRAGMA mmap_size = 0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA mmap_size = {mapped}")


def by_id(db: LibraryDatabase, number: int, paper_ids: Iterable[str]) -> list[PaperWithFeatures]:
    """Return the papers of present ids, by id."""
    return _read(db, number, "p.paper_id", sorted(set(paper_ids)), frozenset())


def _read(
    db: LibraryDatabase, number: int, column: str, wanted: Sequence[Any], arrived: Iterable[int]
) -> list[PaperWithFeatures]:
    found: list[Any] = []
    names: dict[int, list[str]] = {}
    new = set(arrived)
    with db.reading() as connection:
        for marks, part in rows.chunks(wanted):
            query = f"{_SELECT} {column} IN ({marks})"
            found += connection.execute(query, (Embeddings.base(number), *part)).fetchall()
        for marks, part in rows.chunks(row[_PAPERS] for row in found):
            query = f"SELECT row, alias FROM aliases WHERE row IN ({marks}) AND alias NOT LIKE 'title:%'"
            for row, alias in connection.execute(query, part):
                names.setdefault(row, []).append(alias)
    arrivals = [_arrival(row, names.get(row[_PAPERS], ()), new=row[_PAPERS] in new) for row in found]
    return sorted(arrivals, key=lambda a: a.paper_id)


def _arrival(row: Sequence[Any], aliases: Iterable[str], *, new: bool) -> PaperWithFeatures:
    import numpy as np

    terms, half = row[-2:]
    vector = None if half is None else np.frombuffer(half, "<f2").astype(np.float32)
    former = sorted(map(identity.plain_name, aliases))
    names = tuple(dict.fromkeys([row[0], *former]))
    return PaperWithFeatures(rows.paper_of(row[:_PAPERS]), rows.unpack_terms(terms), vector, names, new)
