"""The two indexes of an open library: opened when needed, fresh after a write elsewhere, rebuilt if lost."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.errors import StoreError, StoreLockedError, visible
from paperagent.library import index_sync
from paperagent.library.home import LEXICAL, VECTORS, vector_lock, writable, writer_lock
from paperagent.library.index_sync import VectorCatchUp, reconnect
from paperagent.library.local.bm25_index import LexicalIndex
from paperagent.library.local.knn import Found, Stored, nearest
from paperagent.library.local.papers import Library
from paperagent.library.local.vector_index import VectorIndex, check_version, installed_version
from paperagent.storage.sqlite import display_path
from paperagent.types import Embedder, Filters, Progress

if TYPE_CHECKING:
    from paperagent.types import Vector

_READER_WAITS, _READER_RESTS, _WRITER_WAITS = 1.0, 5.0, 60.0
"""Seconds: another reader opens in half a second, a writer may take half an hour."""


class Indexes:
    """Holds the open indexes of a library, for the threads of one process."""

    def __init__(self, home: Path, library: Library) -> None:
        self._home = home
        self._library = library
        self._lock = threading.RLock()
        self._lexical: LexicalIndex | None = None
        self._vectors: VectorIndex | None = None
        self._seen = -1
        """The vector generation that the open vector index shows."""
        self._retry = 0.0
        """When to try again to open the vector index, after another process was found writing it."""

    @property
    def folders(self) -> tuple[Path, Path]:
        """The folders of the lexical and of the vector index."""
        return self._home / LEXICAL, self._home / VECTORS

    def close(self) -> None:
        """Release files and threads; a second call does nothing."""
        with self._lock:
            self.forget()
            if self._lexical is not None:
                self._lexical.close()
            self._lexical = None

    def forget(self) -> None:
        """Close what may no longer be so; it is opened anew when needed."""
        with self._lock:
            if self._vectors is not None:
                self._vectors.close()
            self._vectors = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer lock of the library."""
        if self._library.db.read_only:
            raise StoreError(
                f"library {display_path(self._home)}: it cannot be written; check its permissions, "
                "or choose another PAPERAGENT_HOME"
            )
        with writer_lock(self._home):
            yield

    def lexical(self) -> LexicalIndex:
        """Return the lexical index as of the library's latest commit.

        What a killed ingest left unindexed is indexed first, unless another process is writing.
        """
        with self._lock:
            if self._lexical is None:
                self._lexical = self._open_lexical()
            elif self._library.db.changed():
                self._lexical.reload()
            return self._lexical

    def _open_lexical(self) -> LexicalIndex:
        library = self._library
        self._check_analysis()
        if library.pending("lexical_mark") and not library.db.read_only:
            try:
                with writer_lock(self._home):
                    return self.lexical_for_writing()
            except StoreLockedError:
                pass  # the process that is writing will index them
        library.db.changed()
        return LexicalIndex(self.folders[0], create=not library.revision and not library.db.read_only)

    def _check_analysis(self) -> None:
        made = self._library.db.note("analysis")
        if made is not None and made != index_sync.analysis():
            raise StoreError(
                f"library {display_path(self._home)}: indexed by another version of paperagent; "
                "run 'paperagent reindex'"
            )

    def lexical_for_writing(self, progress: Progress | None = None) -> LexicalIndex:
        """Return the lexical index, made if it is not there, complete. Needs the writer lock."""
        library, folder = self._library, self.folders[0]
        self._check_analysis()
        if library.db.note("analysis") is None:
            library.set_note("analysis", index_sync.analysis())
        missing = not (folder / "meta.json").exists()
        if missing:
            library.set_mark("lexical_mark", 0)
        index = LexicalIndex(folder, create=missing)
        index_sync.catch_up_lexical(library, index, progress)
        self._lexical = index
        return index

    def rebuild_lexical(self, progress: Progress | None = None) -> None:
        """Make terms and lexical index anew. Needs the writer lock."""
        with self._lock:
            self._lexical = None
            shutil.rmtree(self.folders[0], ignore_errors=True)
            index_sync.derive(self._library)
            self.lexical_for_writing(progress)

    def nearest(
        self, vector: Vector, *, limit: int, filters: Filters, lexical: LexicalIndex
    ) -> tuple[int, Found]:
        """Return the embedder's number and the papers nearest to ``vector``; none before the first vector."""
        active = self._library.embeddings.active()
        if active is None or not self._library.db.meta("vector_mark"):
            return 0, Found()
        number, embedder_id, dim = active
        if vector.shape != (dim,):
            raise StoreError(
                f"vector index: it holds {dim} numbers a paper ({visible(embedder_id)}), the query has "
                f"{vector.size}; run 'paperagent reindex'"
            )
        with self._lock:
            index = self._open_vectors(embedder_id, dim)
            # Under the lock: a thread that writes would close the index in the middle of the search.
            stored = Stored(self._library, number, dim)
            return number, nearest(vector, stored, limit=limit, filters=filters, lexical=lexical, index=index)

    def _open_vectors(self, embedder_id: str, dim: int) -> VectorIndex | None:
        """Return the vector index, fresh where it can be.

        While another process writes it the open one is used as it is, or none: the stored vectors
        do. None also where nothing can be written, since Chroma opens nothing there.
        """
        generation, folder = self._library.db.meta("vector_generation"), self.folders[1]
        if self._vectors is not None and generation == self._seen:
            return self._vectors
        if self._library.db.read_only or (folder.exists() and not writable(folder)):
            return None
        if time.monotonic() < self._retry:
            return self._vectors
        check_version(self._library.db.note("chroma"), folder)
        with vector_lock(self._home, wait=_READER_WAITS) as held:
            if not held:
                self._retry = time.monotonic() + _READER_RESTS
                return self._vectors
            if self._vectors is None:
                self._vectors = VectorIndex(folder, embedder_id=embedder_id, dim=dim)
            else:
                self._vectors.reopen()
            self._vectors.load()
        self._seen = generation
        return self._vectors

    @contextmanager
    def held_vectors(self, *, wait: float = _WRITER_WAITS) -> Iterator[VectorIndex | None]:
        """Give the vector index to no one else for the block; None before the first embedder."""
        active, folder = self._library.embeddings.active(), self.folders[1]
        if active is None:
            yield None
            return
        with vector_lock(self._home, wait=wait) as held:
            if not held:
                raise StoreLockedError(
                    "vector index is locked: another process is using it; wait for it to end"
                )
            begun = self._library.db.meta("vector_mark") > 0
            if not begun:  # a kill between making it and the first mark leaves a part
                self.forget()
                shutil.rmtree(folder, ignore_errors=True)
                self._library.set_note("chroma", installed_version())
            check_version(self._library.db.note("chroma"), folder)
            index = VectorIndex(folder, embedder_id=active[1], dim=active[2], create=not begun)
            try:
                yield index
            finally:
                index.close()

    def run_vectors(self, embedder: Embedder | None, *, batch: int, progress: Progress | None) -> int:
        """Bring the vector index up to the library; return how many papers it was given. Needs the lock."""
        with self.held_vectors() as index:
            if index is None:
                return 0
            self._library.set_note("chroma", installed_version())
            catch_up = VectorCatchUp(self._library, index, embedder)
            try:
                added = catch_up.run(folder=self.folders[1], batch=batch, progress=progress)
                index.fit()
            finally:
                self._retry = 0.0
        self.lexical_for_writing()
        return added

    def reconnect(self) -> None:
        """Add anew the papers that the vector index holds and cannot reach. Needs the writer lock."""
        with self.held_vectors() as index:
            if index is not None:
                reconnect(self._library, index)
        self.run_vectors(None, batch=index_sync.PAGE, progress=None)

    def rebuild_vectors(self, embedder: Embedder | None, progress: Progress | None = None) -> None:
        """Make the vector index anew from stored vectors, the rest with ``embedder``. Needs the lock."""
        active = self._library.embeddings.active()
        if embedder is not None and (active is None or active[1:] != (embedder.embedder_id, embedder.dim)):
            self._library.embeddings.activate(embedder.embedder_id, embedder.dim)
        self._library.set_mark("vector_mark", 0)
        self.run_vectors(embedder, batch=index_sync.PAGE, progress=progress)
