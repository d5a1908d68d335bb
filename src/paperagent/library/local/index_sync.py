"""The two indexes of a local library: opened when needed, and brought up to the revision of ``library.db``.

Every step can be repeated, so an interrupted one costs repeated work only.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from paperagent.errors import StoreError, StoreLockedError, display_path, visible
from paperagent.library.features import check_vector, embedded_text, paper_stems
from paperagent.library.home import LEXICAL, VECTORS, vector_lock, writable, writer_lock
from paperagent.library.local.bm25_index import IndexEntry, LexicalIndex
from paperagent.library.local.ingest import AUTHOR_TAGS, COMMIT_EVERY, rebuild_search_table
from paperagent.library.local.papers import PaperChange, PaperTable
from paperagent.library.local.stored_vectors import NearestPapers, nearest
from paperagent.library.local.vector_index import (
    VectorEntry,
    VectorIndex,
    check_version,
    installed_version,
)
from paperagent.storage.sqlite import DISK_FULL
from paperagent.types import Embedder, Filters, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector

_PAGE = 2_000
_PROBE = (
    "The naïve models' 3.5% gains: state-of-the-art F-scores, COVID-19, O(n²), graph neural networks 図書館"
)
_MAX_REINSERTIONS = 3
_CHECKED_AFTER_SYNC = 200_000
"""In a library of fewer papers, looking for unreachable ones takes at most two seconds or so."""
_MIN_FREE_BYTES = 48 * 2**20
_FREE_BYTES_PER_PAPER = 40_000
"""Free space required before Chroma writes, because a full disk ruins its index for good."""
_READER_WAIT, _READER_RETRY, _WRITER_WAIT = 1.0, 5.0, 60.0
"""Seconds: another reader opens the index in half a second, a writer may take half an hour."""


def analysis_fingerprint() -> str:
    """Return a fingerprint of the text analysis, which papers and queries must share."""
    from paperagent.text.terms import index_terms

    return f"{crc32(' '.join(index_terms(_PROBE)).encode()):08x}"


class Indexes:
    """The open indexes of a library, shared by the threads of one process."""

    def __init__(self, home: Path, table: PaperTable) -> None:
        self._home = home
        self._table = table
        self._lock = threading.RLock()
        self._lexical: LexicalIndex | None = None
        self._vectors: VectorIndex | None = None
        self._open_generation = -1
        """The vector generation that the open vector index shows."""
        self._retry_at = 0.0
        """When to try again to open the vector index, if another process was writing it."""
        self.lexical_folder = home / LEXICAL
        self.vector_folder = home / VECTORS

    def close(self) -> None:
        """Release files and threads; a second call does nothing."""
        with self._lock:
            self.close_vectors()
            if self._lexical is not None:
                self._lexical.close()
            self._lexical = None

    def close_vectors(self) -> None:
        """Close the vector index, which may be outdated; it is opened again when needed."""
        with self._lock:
            if self._vectors is not None:
                self._vectors.close()
            self._vectors = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the library's writer lock for the block.

        Raises:
            StoreLockedError: Another process holds it.
            StoreError: The library cannot be written.
        """
        if self._table.db.read_only:
            raise StoreError(
                f"library {display_path(self._home)}: it cannot be written; check its permissions, "
                "or choose another PAPERAGENT_HOME"
            )
        with writer_lock(self._home):
            yield

    # --- the lexical index ---

    def lexical(self) -> LexicalIndex:
        """Return the lexical index as of the library's latest commit.

        What an interrupted ingest has not indexed is indexed first, unless another process is writing.
        """
        with self._lock:
            if self._lexical is None:
                self._lexical = self._open_lexical()
            elif self._table.db.changed():
                self._lexical.reload()
            return self._lexical

    def lexical_for_writing(self, progress: Progress | None = None) -> LexicalIndex:
        """Return the complete lexical index; create it if missing. The caller holds the writer lock."""
        self._check_analysis()
        if self._table.db.note("analysis") is None:
            self._table.set_note("analysis", analysis_fingerprint())
            self._table.set_note(AUTHOR_TAGS, "yes")
        missing = not (self.lexical_folder / "meta.json").exists()
        if missing:
            self._table.set_mark("lexical_mark", 0)
        index = self._lexical_index(create=missing)
        _sync_lexical(self._table, index, progress)
        self._lexical = index
        return index

    def rebuild_lexical(self, progress: Progress | None = None) -> None:
        """Compute all terms and build the lexical index again. The caller holds the writer lock."""
        with self._lock:
            self._lexical = None
            shutil.rmtree(self.lexical_folder, ignore_errors=True)
            rebuild_search_table(self._table, analysis=analysis_fingerprint())
            self.lexical_for_writing(progress)

    def _open_lexical(self) -> LexicalIndex:
        db = self._table.db
        self._check_analysis()
        if self._table.pending("lexical_mark") and not db.read_only:
            try:
                with writer_lock(self._home):
                    return self.lexical_for_writing()
            except StoreLockedError:
                pass  # the process that is writing will index them
        db.changed()
        return self._lexical_index(create=not self._table.revision and not db.read_only)

    def _lexical_index(self, *, create: bool) -> LexicalIndex:
        has_authors = self._table.db.note(AUTHOR_TAGS) is not None
        return LexicalIndex(
            self.lexical_folder, create=create, listing=self._table.listing, has_authors=has_authors
        )

    def _check_analysis(self) -> None:
        fingerprint = self._table.db.note("analysis")
        if fingerprint is not None and fingerprint != analysis_fingerprint():
            raise StoreError(
                f"library {display_path(self._home)}: indexed by another version of paperagent; "
                "run 'paperagent reindex'"
            )

    # --- the vector index ---

    def nearest(
        self, vector: Vector, *, limit: int, filters: Filters, lexical: LexicalIndex
    ) -> tuple[int, NearestPapers]:
        """Return the embedder's number and the papers nearest to ``vector``; none before the first vector."""
        embedder = self._table.vectors.active()
        if embedder is None or not self._table.db.meta("vector_mark"):
            return 0, NearestPapers()
        if vector.shape != (embedder.dim,):
            raise StoreError(
                f"vector index: its vectors have {embedder.dim} numbers "
                f"({visible(embedder.embedder_id)}), the query has {vector.size}; run 'paperagent reindex'"
            )
        with self._lock:
            index = self._open_vectors(embedder.embedder_id, embedder.dim)
            # Search under the lock: a thread that writes would close the index in the middle of the search.
            return embedder.number, nearest(
                vector, self._table, embedder, limit=limit, filters=filters, lexical=lexical, index=index
            )

    @contextmanager
    def exclusive_vectors(self, *, wait: float = _WRITER_WAIT) -> Iterator[VectorIndex | None]:
        """Open the vector index for this process alone; yield None before the first embedder.

        Raises:
            StoreLockedError: Another process did not release it within ``wait`` seconds.
        """
        embedder = self._table.vectors.active()
        if embedder is None:
            yield None
            return
        with vector_lock(self._home, wait=wait) as acquired:
            if not acquired:
                raise StoreLockedError(
                    "vector index is locked: another process is using it; wait for it to end"
                )
            exists = self._table.db.meta("vector_mark") > 0
            if not exists:  # a kill between its creation and the first mark leaves an incomplete one
                self.close_vectors()
                shutil.rmtree(self.vector_folder, ignore_errors=True)
                self._table.set_note("chroma", installed_version())
            check_version(self._table.db.note("chroma"), self.vector_folder)
            index = VectorIndex(
                self.vector_folder, embedder_id=embedder.embedder_id, dim=embedder.dim, create=not exists
            )
            try:
                yield index
            finally:
                index.close()

    def sync_vectors(self, embedder: Embedder | None, *, batch: int, progress: Progress | None) -> None:
        """Bring the vector index up to date with the library. The caller holds the writer lock.

        Args:
            embedder: Embeds papers without a stored vector; if None, the sync stops at the first such paper.
            batch: Papers per batch.
            progress: Called as for `Store.embed_pending`.
        """
        with self.exclusive_vectors() as index:
            if index is None:
                return
            self._table.set_note("chroma", installed_version())
            sync = _VectorSync(self._table, index, embedder)
            try:
                sync.run(folder=self.vector_folder, batch=batch, progress=progress)
                index.adjust_search_width()
            finally:
                self._retry_at = 0.0
        self.lexical_for_writing()

    def reinsert_unreachable(self) -> None:
        """Reinsert the papers that no search of the graph reaches. The caller holds the writer lock."""
        with self.exclusive_vectors() as index:
            if index is not None:
                _touch_unreachable(self._table, index)
        self.sync_vectors(None, batch=_PAGE, progress=None)

    def rebuild_vectors(self, embedder: Embedder | None, progress: Progress | None = None) -> None:
        """Build the vector index again from the stored vectors. The caller holds the writer lock.

        Args:
            embedder: Becomes the active embedder, and embeds what has no stored vector.
            progress: Called as for `Store.embed_pending`.
        """
        active = self._table.vectors.active()
        if embedder is not None and (active is None or active[1:] != (embedder.embedder_id, embedder.dim)):
            self._table.vectors.activate(embedder.embedder_id, embedder.dim)
        self._table.set_mark("vector_mark", 0)
        self.sync_vectors(embedder, batch=_PAGE, progress=progress)

    def _open_vectors(self, embedder_id: str, dim: int) -> VectorIndex | None:
        """Return the vector index, up to date if possible.

        While another process writes it, return the one that is open, which may be None: then the stored
        vectors are compared. Return None too if the folder cannot be written, because Chroma opens nothing
        there.
        """
        generation, folder = self._table.db.meta("vector_generation"), self.vector_folder
        if self._vectors is not None and generation == self._open_generation:
            return self._vectors
        if self._table.db.read_only or (folder.exists() and not writable(folder)):
            return None
        if time.monotonic() < self._retry_at:
            return self._vectors
        check_version(self._table.db.note("chroma"), folder)
        with vector_lock(self._home, wait=_READER_WAIT) as acquired:
            if not acquired:
                self._retry_at = time.monotonic() + _READER_RETRY
                return self._vectors
            if self._vectors is None:
                self._vectors = VectorIndex(folder, embedder_id=embedder_id, dim=dim)
            else:
                self._vectors.reopen()
            self._vectors.load()
        self._open_generation = generation
        return self._vectors


# --- lexical ---


def _sync_lexical(table: PaperTable, index: LexicalIndex, progress: Progress | None) -> None:
    """Index every paper above the mark."""
    mark, target = table.db.meta("lexical_mark"), table.revision
    if mark == target:
        return
    total, done = table.pending("lexical_mark"), 0
    with index.writing() as writer:
        for removal in table.removals(mark):
            if removal.row is not None:
                writer.delete(removal.row)
        while changes := table.changes(mark, limit=_PAGE):
            for change in changes:
                stems = paper_stems(change.paper)
                entry = IndexEntry(change.row, change.paper.paper_id, stems, change.day, change.tags)
                writer.put(entry, replace=True)
            mark, done = changes[-1].revision, done + len(changes)
            if done % COMMIT_EVERY == 0:
                writer.commit()
                table.set_mark("lexical_mark", mark)
            if progress:
                progress("index", done, total)
        writer.commit()
    table.set_mark("lexical_mark", target)


# --- vectors ---


class _VectorSync:
    """Embeds the papers above the mark and adds them to the vector index.

    Vectors are stored in the library before Chroma gets them, so that none is computed twice.
    """

    def __init__(self, table: PaperTable, index: VectorIndex, embedder: Embedder | None) -> None:
        active = table.vectors.active()
        if active is None:
            raise StoreError("vector index: no embedder was chosen; run 'paperagent reindex'")
        self._active = active
        self._table = table
        self._index = index
        self._embedder = embedder
        self._added = self._total = 0
        self._progress: Progress | None = None

    def run(self, *, folder: Path, batch: int, progress: Progress | None) -> None:
        """Add all papers above the mark. An exception leaves a consistent index."""
        self._progress = progress
        self._add_changes(folder, batch)
        added = self._added
        # Looking for unreachable papers costs 12 µs per paper of the library.
        check = bool(added) and self._table.count() < max(_CHECKED_AFTER_SYNC, 100 * added)
        for _ in range(_MAX_REINSERTIONS if check else 0):
            if not _touch_unreachable(self._table, self._index):
                break
            self._add_changes(folder, batch)

    def _add_changes(self, folder: Path, batch: int) -> None:
        table = self._table
        mark, target = table.db.meta("vector_mark"), table.revision
        self._added = 0
        if mark == target:
            return
        self._total = table.pending("vector_mark")
        self._delete_removed(mark)
        while changes := table.changes(mark, limit=batch):
            ready = self._with_vectors(changes)
            _check_free_space(folder, len(ready))
            self._index.put(self._entries(ready))
            self._added += len(ready)
            if ready:
                mark = ready[-1].revision
                table.set_mark("vector_mark", mark)
            if len(ready) < len(changes):  # no embedder for the others
                return
        table.set_mark("vector_mark", target)

    def _report(self, done: int) -> None:
        if self._progress:
            self._progress("embed", self._added + done, self._total)

    def _delete_removed(self, mark: int) -> None:
        removed = [removal.paper_id for removal in self._table.removals(mark)]
        papers = self._table.get_many(removed)
        self._index.delete([i for i in removed if i not in papers or papers[i].paper_id != i])

    def _with_vectors(self, changes: Sequence[PaperChange]) -> Sequence[PaperChange]:
        """Embed what has no stored vector; return the changes up to the first that still has none."""
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


def _touch_unreachable(table: PaperTable, index: VectorIndex) -> int:
    """Mark papers that no search reaches as changed; return their number.

    Chroma's graph (HNSW) drops links as it grows, and a paper may lose its last one: 3 of 74,728. It gets new
    links when it is inserted again.
    """
    unreachable = table.indexed_ids("vector_mark") - index.reachable()
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
        raise StoreError(f"vector index {display_path(folder)}: {DISK_FULL}")
