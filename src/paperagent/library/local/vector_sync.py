"""Bring a vector index up to date with the papers in ``library.db``.

Every step can be repeated, so after an interruption the work is done again, and nothing else is lost.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.errors import OutOfResourcesError, StoreError, display_path, visible
from paperagent.library.features import check_vector, embedded_text
from paperagent.library.local.papers import PaperChange, PaperTable
from paperagent.library.local.stored_vectors import ActiveEmbedder
from paperagent.library.local.vector_index import VectorEntry, VectorIndex
from paperagent.storage.sqlite import DISK_FULL
from paperagent.types import Embedder, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_REINSERTIONS = 3
_CHECKED_AFTER_SYNC = 200_000
"""In a library of fewer papers, the search for unreachable papers takes at most about two seconds."""
_MIN_FREE_BYTES = 48 * 2**20
_FREE_BYTES_PER_PAPER = 40_000
"""Free space required before Chroma writes, because a full disk damages its index permanently."""


class VectorSync:
    """Embeds the papers above a mark and adds them to a vector index.

    Vectors are stored in the library before Chroma gets them, so that none is computed twice.

    Args:
        table: The papers.
        index: The open vector index.
        active: The embedder whose vectors it holds.
        embedder: Embeds papers without a stored vector; if None, the sync stops at the first such paper.
        mark: The revision up to which the index is complete.
        save: Called with each later one.
    """

    def __init__(
        self,
        table: PaperTable,
        index: VectorIndex,
        active: ActiveEmbedder,
        embedder: Embedder | None,
        *,
        mark: int,
        save: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._table = table
        self._index = index
        self._active = active
        self._embedder = embedder
        self.mark = mark
        self._save = save
        self._added = self._total = 0
        self._progress: Progress | None = None

    def run(self, *, folder: Path, batch: int, progress: Progress | None) -> None:
        """Add all papers above the mark, ``batch`` at a time. An exception leaves the index consistent."""
        self._progress = progress
        self._add_changes(folder, batch)
        self._index.adjust_search_width()
        added = self._added
        # The search for unreachable papers takes 12 µs per paper in the library.
        check = bool(added) and self._table.count() < max(_CHECKED_AFTER_SYNC, 100 * added)
        for _ in range(_MAX_REINSERTIONS if check else 0):
            if not touch_unreachable(self._table, self._index, self.mark):
                break
            self._add_changes(folder, batch)

    def _add_changes(self, folder: Path, batch: int) -> None:
        table, target = self._table, self._table.revision
        self._added = 0
        if self.mark == target:
            return
        self._total = table.count_changed(self.mark)
        self._delete_removed(self.mark)
        while changes := table.changes(self.mark, limit=batch):
            ready = self._with_vectors(changes)
            _check_free_space(folder, len(ready))
            self._index.put(self._entries(ready))
            self._added += len(ready)
            if ready:
                self._advance(ready[-1].revision)
            if len(ready) < len(changes):  # no embedder for the others
                return
        self._advance(target)

    def _advance(self, revision: int) -> None:
        self.mark = revision
        self._save(revision)

    def _report(self, done: int) -> None:
        if self._progress:
            self._progress("embed", self._added + done, self._total)

    def _delete_removed(self, mark: int) -> None:
        removed = [removal.paper_id for removal in self._table.removals(mark)]
        papers = self._table.get_many(removed)
        self._index.delete([i for i in removed if i not in papers or papers[i].paper_id != i])

    def _with_vectors(self, changes: Sequence[PaperChange]) -> Sequence[PaperChange]:
        """Embed papers without a stored vector; return the changes up to the first that still has none."""
        texts = [(change.row, change.text_hash) for change in changes]
        missing = self._table.vectors.missing(self._active.number, texts)
        self._report(len(changes) - len(missing))
        if not missing:
            return changes
        if self._embedder is None:
            first = next(n for n, change in enumerate(changes) if change.row in missing)
            return changes[:first]
        pending = [change for change in changes if change.row in missing]
        self._embed(pending, self._embedder, len(changes) - len(missing))
        return changes

    def _embed(self, changes: Sequence[PaperChange], embedder: Embedder, done: int) -> None:
        vectors: list[NDArray[np.float32]] = []
        try:
            for vector in embedder.embed([embedded_text(change.paper) for change in changes]):
                name = f"paper {visible(changes[len(vectors)].paper.paper_id)}"
                vectors.append(check_vector(vector, self._active.dim, name))
                self._report(done + len(vectors))
        finally:  # store what is computed, also after Ctrl-C
            embedded = zip(changes, vectors, strict=False)
            self._table.vectors.store(self._active.number, [(c.row, c.text_hash, v) for c, v in embedded])
        if len(vectors) != len(changes):
            raise StoreError(f"embedder: {len(vectors)} vectors for {len(changes)} texts; check the embedder")

    def _entries(self, changes: Sequence[PaperChange]) -> list[VectorEntry]:
        number, _, dim = self._active
        rows, matrix = self._table.vectors.load(number, dim, [change.row for change in changes])
        vectors = dict(zip(rows.tolist(), matrix, strict=True))
        return [VectorEntry(c.paper.paper_id, vectors[c.row], _metadata(c)) for c in changes]


def touch_unreachable(table: PaperTable, index: VectorIndex, mark: int) -> int:
    """Mark the papers up to ``mark`` that no search reaches as changed; return their number.

    Chroma's graph (HNSW) drops links as it grows, and a paper may lose its last one: 3 of 74,728. It gets new
    links when it is inserted again.
    """
    unreachable = table.indexed_ids(mark) - index.reachable()
    if unreachable:
        table.touch(sorted(row for row, paper_id in table.ids().items() if paper_id in unreachable))
    return len(unreachable)


def _metadata(change: PaperChange) -> dict[str, str | int | list[str]]:
    """Return the metadata that Chroma stores with a vector; it accepts no None and no empty list."""
    metadata: dict[str, str | int | list[str]] = {"title": change.paper.title}
    if change.day is not None:
        metadata["day"] = change.day
    if change.paper.sources:
        metadata["source"] = list(change.paper.sources)
    if change.paper.categories:
        metadata["categories"] = list(change.paper.categories)
    return metadata


def _check_free_space(folder: Path, papers: int) -> None:
    if shutil.disk_usage(folder).free < _MIN_FREE_BYTES + papers * _FREE_BYTES_PER_PAPER:
        raise OutOfResourcesError(f"vector index {display_path(folder)}: {DISK_FULL}")
