"""Bringing the derived indexes up to the library's revision. Idempotent: a kill costs repeated work only."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from paperagent.errors import StoreError, visible
from paperagent.library import rows
from paperagent.library.local.bm25_index import Entry, LexicalIndex, Writer
from paperagent.library.local.database import put
from paperagent.library.local.ingest import Taken
from paperagent.library.local.papers import Change, Library
from paperagent.library.local.vector_index import Item, VectorIndex
from paperagent.library.merge import Draft
from paperagent.library.stored_vectors import sound
from paperagent.storage.sqlite import DISK_FULL, display_path
from paperagent.types import Embedder, Paper, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


PAGE = 2_000
_COMMIT_EVERY = 10_000
"""Papers between two commits of the lexical index: what a kill leaves to be indexed again."""
_PROBE = (
    "The naïve models' 3.5% gains: state-of-the-art F-scores, COVID-19, O(n²), graph neural networks 図書館"
)
_RECONNECTIONS = 3
_SOON_SEARCHED = 200_000
"""Papers of a library in which looking for unreachable ones takes two seconds or so."""
_FREE = 48 * 2**20
_FREE_A_ROW = 40_000
"""Free bytes asked for before Chroma writes: a full disk ruins its index for good."""


def analysis() -> str:
    """Return a fingerprint of the text analysis, which papers and queries must share."""
    from paperagent.text.terms import index_terms

    return f"{crc32(' '.join(index_terms(_PROBE)).encode()):08x}"


class Live:
    """Puts the papers of an ingest into the lexical index as they are acknowledged."""

    def __init__(self, library: Library, writer: Writer) -> None:
        self._library = library
        self._writer = writer
        self._waiting = 0

    def take(self, taken: Taken) -> None:
        """Take in one batch."""
        for row in taken.removed:
            self._writer.delete(row)
        for draft in taken.drafts:
            self._writer.put(_entry_of_draft(draft), replace=draft.old is not None)
        self._waiting += len(taken.drafts) + len(taken.removed)
        if self._waiting >= _COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Make what was taken in searchable."""
        if self._waiting:
            self._writer.commit()
            self._library.set_mark("lexical_mark", self._library.revision)
            self._waiting = 0


def _entry_of_draft(draft: Draft) -> Entry:
    day, tags, _ = rows.facts(draft.paper)
    return Entry(draft.row, draft.paper.paper_id, draft.stems, day, rows.unpack_tags(tags))


def catch_up_lexical(library: Library, index: LexicalIndex, progress: Progress | None = None) -> None:
    """Index every paper above the mark."""
    mark, target = library.db.meta("lexical_mark"), library.revision
    if mark == target:
        return
    total, done = library.pending("lexical_mark"), 0
    with index.writing() as writer:
        for removal in library.removals(mark):
            if removal.row is not None:
                writer.delete(removal.row)
        while changes := library.changes(mark, limit=PAGE):
            for change in changes:
                stems = rows.stems_of(change.paper)
                entry = Entry(change.row, change.paper.paper_id, stems, change.day, change.tags)
                writer.put(entry, replace=True)
            mark, done = changes[-1].revision, done + len(changes)
            if done % _COMMIT_EVERY == 0:
                writer.commit()
                library.set_mark("lexical_mark", mark)
            if progress:
                progress("index", done, total)
        writer.commit()
    library.set_mark("lexical_mark", target)


def derive(library: Library) -> None:
    """Make the terms of every paper anew, after the text analysis has changed or facts were damaged."""
    with library.db.writing() as connection:
        length = 0
        connection.execute("DELETE FROM facts WHERE row NOT IN (SELECT row FROM papers)")
        cursor = connection.execute(f"SELECT {rows.PAPER}, row, revision FROM papers ORDER BY row")
        while page := cursor.fetchmany(PAGE):
            for values in page:
                paper = rows.paper_of(values)
                stems = rows.stems_of(paper)
                length += len(stems)
                connection.execute(
                    _PUT, (*values[-2:], paper.paper_id, *rows.facts(paper), rows.pack_terms(stems))
                )
        put(connection, "length", length)
        put(connection, "analysis", analysis())
        put(connection, "lexical_mark", 0)


_PUT = """INSERT INTO facts (row, indexed, paper_id, day, tags, text_hash, terms) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (row) DO UPDATE SET paper_id = excluded.paper_id, day = excluded.day, tags = excluded.tags,
text_hash = excluded.text_hash, terms = excluded.terms"""


class VectorCatchUp:
    """Embeds the papers above the mark and puts them into the vector index.

    Vectors are stored in the library before Chroma gets them, so none is computed twice.
    Without an embedder it goes as far as the stored vectors reach.
    """

    def __init__(self, library: Library, index: VectorIndex, embedder: Embedder | None = None) -> None:
        active = library.embeddings.active()
        if active is None:
            raise StoreError("vector index: no embedder was chosen; run 'paperagent reindex'")
        self._number, _, self._dim = active
        self._library = library
        self._index = index
        self._embedder = embedder
        self._added = self._total = 0
        self._progress: Progress | None = None

    def run(self, *, folder: Path, batch: int, progress: Progress | None = None) -> int:
        """Catch up; returns how many papers Chroma was given. Stops cleanly at any exception."""
        self._progress = progress
        added = self._forward(folder, batch)
        for _ in range(_RECONNECTIONS if self._worth_a_look(added) else 0):
            if not reconnect(self._library, self._index):
                break
            self._forward(folder, batch)
        return added

    def _worth_a_look(self, added: int) -> bool:
        """Tell whether to look for unreachable papers: 12 µs a paper of the library."""
        papers = self._library.count()
        return bool(added) and papers < max(_SOON_SEARCHED, 100 * added)

    def _forward(self, folder: Path, batch: int) -> int:
        library = self._library
        mark, target = library.db.meta("vector_mark"), library.revision
        if mark == target:
            return 0
        self._added, self._total = 0, library.pending("vector_mark")
        self._remove(mark)
        while changes := library.changes(mark, limit=batch):
            ready = self._complete(changes)
            _check_room(folder, len(ready))
            self._index.put(self._items(ready))
            self._added += len(ready)
            if ready:
                mark = ready[-1].revision
                library.set_mark("vector_mark", mark)
            if len(ready) < len(changes):  # no embedder for the rest
                return self._added
        library.set_mark("vector_mark", target)
        return self._added

    def _report(self, done: int) -> None:
        if self._progress:
            self._progress("embed", self._added + done, self._total)

    def _remove(self, mark: int) -> None:
        gone = [removal.paper_id for removal in self._library.removals(mark)]
        current = self._library.get_many(gone)
        self._index.delete([i for i in gone if i not in current or current[i].paper_id != i])

    def _complete(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return the changes that have a stored vector, up to the first that has none and gets none."""
        missing = self._library.embeddings.missing(self._number, [(c.row, c.text_hash) for c in changes])
        self._report(len(changes) - len(missing))
        if not missing:
            return changes
        if self._embedder is None:
            first = next(place for place, change in enumerate(changes) if change.row in missing)
            return changes[:first]
        self._embed(
            [change for change in changes if change.row in missing],
            self._embedder,
            len(changes) - len(missing),
        )
        return changes

    def _embed(self, changes: Sequence[Change], embedder: Embedder, done_before: int) -> None:
        vectors: list[NDArray[np.float32]] = []
        try:
            for vector in embedder.embed([embedded_text(change.paper) for change in changes]):
                vectors.append(
                    sound(vector, self._dim, f"paper {visible(changes[len(vectors)].paper.paper_id)}")
                )
                self._report(done_before + len(vectors))
        finally:  # what is computed is kept, also at Ctrl-C
            done = zip(changes, vectors, strict=False)
            self._library.embeddings.store(self._number, [(c.row, c.text_hash, v) for c, v in done])
        if len(vectors) != len(changes):
            raise StoreError(f"embedder: {len(vectors)} vectors for {len(changes)} texts; check the embedder")

    def _items(self, changes: Sequence[Change]) -> list[Item]:
        numbers, matrix = self._library.embeddings.load(self._number, self._dim, [c.row for c in changes])
        vectors = dict(zip(numbers.tolist(), matrix, strict=True))
        return [Item(c.paper.paper_id, vectors[c.row], _metadata(c)) for c in changes]


def reconnect(library: Library, index: VectorIndex) -> int:
    """Mark the papers that no search can reach as changed, so that they are added anew; return how many.

    Chroma's graph (HNSW, https://arxiv.org/abs/1603.09320) drops links as it grows, and a paper may
    lose its last: 3 of 74,728. Added again it is linked again.
    """
    lost = library.indexed_ids("vector_mark") - index.reachable()
    if lost:
        library.touch(sorted(row for row, paper_id in library.ids().items() if paper_id in lost))
    return len(lost)


def embedded_text(paper: Paper) -> str:
    """Return the text whose vector stands for the paper."""
    return f"{paper.title}\n{paper.abstract}"


def _metadata(change: Change) -> dict[str, str | int | list[str]]:
    """Return what Chroma keeps beside a vector; it takes no None and no empty list."""
    found: dict[str, str | int | list[str]] = {"title": change.paper.title}
    if change.day is not None:
        found["day"] = change.day
    if change.paper.sources:
        found["source"] = list(change.paper.sources)
    if change.paper.categories:
        found["categories"] = list(change.paper.categories)
    return found


def _check_room(folder: Path, count: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE + count * _FREE_A_ROW:
        raise StoreError(f"vector index {display_path(folder)}: {DISK_FULL}")
