"""The two indexes of a local library: opened when needed, and brought up to the revision of ``library.db``.

A new index is built beside the one in use (see `index_folder`). Every step can be repeated, so after an
interruption the work is done again, and nothing else is lost.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from paperagent.errors import OutOfResourcesError, StoreError, StoreLockedError, display_path, visible
from paperagent.library.features import paper_stems
from paperagent.library.home import LEXICAL, VECTORS, vector_lock, writable, writer_lock
from paperagent.library.local.bm25_index import IndexEntry, LexicalIndex
from paperagent.library.local.database import put_meta
from paperagent.library.local.index_folder import FolderState, IndexFolder
from paperagent.library.local.ingest import AUTHOR_TAGS, COMMIT_EVERY, rebuild_search_table
from paperagent.library.local.papers import PaperTable
from paperagent.library.local.stored_vectors import ActiveEmbedder, NearestPapers, nearest
from paperagent.library.local.vector_index import VectorIndex, check_version, installed_version
from paperagent.library.local.vector_probe import probe
from paperagent.library.local.vector_sync import VectorSync, touch_unreachable
from paperagent.types import Embedder, Filters, Progress

if TYPE_CHECKING:
    from paperagent.types import Vector

_PAGE = 2_000
_PROBE = (
    "The naïve models' 3.5% gains: state-of-the-art F-scores, COVID-19, O(n²), graph neural networks 図書館"
)
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
        self._open_vectors: tuple[Path, int] | None = None
        """The folder of the open vector index and the vector generation that it shows."""
        self._searched: str | None = None
        """The embedder of the query vectors: the active one at the first search."""
        self._retry_at = 0.0
        """When to try again to open the vector index, if another process was writing it."""
        self.lexical_folder = IndexFolder(home, table.db, LEXICAL, changes_files=False)
        self.vector_folder = IndexFolder(home, table.db, VECTORS, changes_files=True)

    def close(self) -> None:
        """Release files and threads; a second call does nothing."""
        with self._lock:
            self.close_vectors()
            self._close_lexical()

    def close_vectors(self) -> None:
        """Close the vector index, which may be outdated; it is opened again when needed."""
        with self._lock:
            if self._vectors is not None:
                self._vectors.close()
            self._vectors = self._open_vectors = None

    def _close_lexical(self) -> None:
        with self._lock:
            if self._lexical is not None:
                self._lexical.close()
            self._lexical = None

    @contextmanager
    def writing(self, *, damaged: bool = False) -> Iterator[None]:
        """Hold the library's writer lock during the block, and delete what an interrupted rebuild has left.

        Args:
            damaged: Whether the names of the folders in use may be damaged. Then no folder is deleted.

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
            if not damaged:
                self.lexical_folder.delete_unused()
                self._delete_unused_vectors()
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
                self._lexical = self.lexical_folder.read(self._reload_lexical)
            return self._lexical

    def _reload_lexical(self, state: FolderState) -> LexicalIndex:
        index = self._lexical
        if index is None or index.folder != state.path:  # another process has built a new one
            self._close_lexical()
            self._check_analysis()
            return self._lexical_index(state.path)
        index.reload()
        return index

    def lexical_for_writing(self, progress: Progress | None = None) -> LexicalIndex:
        """Return the complete lexical index; create it if missing. The caller holds the writer lock."""
        self._check_analysis()
        if self._table.db.note("analysis") is None:
            self._table.set_note("analysis", analysis_fingerprint())
            self._table.set_note(AUTHOR_TAGS, "yes")
        folder = self.lexical_folder.path
        if (folder / "meta.json").exists():
            index = self.lexical_folder.read(lambda state: self._lexical_index(state.path))
        elif self._table.db.meta("lexical_mark"):
            self.rebuild_lexical(progress)
            index = self._lexical_index(self.lexical_folder.path)
        else:
            index = self._lexical_index(folder, create=True)
        _sync_lexical(self._table, index, progress)
        self._lexical = index
        return index

    def rebuild_lexical(self, progress: Progress | None = None) -> None:
        """Compute all terms and build a new lexical index. The caller holds the writer lock.

        One transaction switches to the new terms and the new index. It has its own connection, because the
        readers in this process share the other one.
        """
        with (
            self.lexical_folder.building() as folder,
            closing(PaperTable(self._table.db.path)) as table,
            closing(LexicalIndex(folder, create=True)) as index,
            table.db.writing() as connection,
        ):
            total, done = table.count(), 0
            with index.writing() as writer:
                for entry in rebuild_search_table(connection, analysis=analysis_fingerprint()):
                    writer.put(entry, replace=False)
                    done += 1
                    if progress and (done == total or not done % _PAGE):
                        progress("index", done, total)
                writer.commit()
            put_meta(connection, "lexical_mark", table.revision)
            self.lexical_folder.use(connection, folder)
        self._close_lexical()
        self.lexical_folder.delete_unused()

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
        create = not self._table.revision and not db.read_only
        return self.lexical_folder.read(lambda state: self._lexical_index(state.path, create=create))

    def _lexical_index(self, folder: Path, *, create: bool = False) -> LexicalIndex:
        return LexicalIndex(
            folder,
            create=create,
            listing=self._table.listing,
            has_authors=self._table.db.note(AUTHOR_TAGS) is not None,
            write_session=self.lexical_folder.writing,
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
        while True:
            embedder = self._table.vectors.active()
            if embedder is None or not self._table.db.meta("vector_mark"):
                return 0, NearestPapers()
            self._check_query(vector, embedder)
            try:
                with self._lock:
                    index = self._current_vectors(embedder)
                    # Search under the lock, or else a writing thread could close the index during the search.
                    return embedder.number, nearest(
                        vector,
                        self._table,
                        embedder,
                        limit=limit,
                        filters=filters,
                        lexical=lexical,
                        index=index,
                    )
            except StoreError:
                if self._table.vectors.active() == embedder:
                    raise

    def _check_query(self, vector: Vector, embedder: ActiveEmbedder) -> None:
        """Raise `StoreError` if the query vector is not from the active embedder."""
        self._searched = self._searched or embedder.embedder_id
        if self._searched != embedder.embedder_id:
            raise StoreError(
                f"vector index: embedder changed from {visible(self._searched)} to "
                f"{visible(embedder.embedder_id)}; restart this program"
            )
        if vector.shape != (embedder.dim,):
            raise StoreError(
                f"vector index: its vectors have {embedder.dim} numbers "
                f"({visible(embedder.embedder_id)}), the query has {vector.size}; run 'paperagent reindex'"
            )

    @contextmanager
    def exclusive_vectors(self, *, writing: bool, wait: float = _WRITER_WAIT) -> Iterator[VectorIndex | None]:
        """Open the vector index for this process alone; yield None if the library has no embedder yet.

        Raises:
            StoreLockedError: Another process did not release the index within ``wait`` seconds.
            StoreError: The index is damaged.
        """
        embedder = self._table.vectors.active()
        if embedder is None:
            yield None
            return
        with self._vector_lock(wait):
            folder, exists = self.vector_folder.path, self._table.db.meta("vector_mark") > 0
            if exists:
                check_version(self._table.db.note("chroma"), folder)
                self._check_vectors(embedder)
            else:  # it is incomplete if a process was killed between its creation and the first mark
                self.close_vectors()
                shutil.rmtree(folder, ignore_errors=True)
                self._table.set_note("chroma", installed_version())
            with self.vector_folder.writing() if writing else nullcontext():
                index = VectorIndex(
                    folder, embedder_id=embedder.embedder_id, dim=embedder.dim, create=not exists
                )
                try:
                    yield index
                finally:
                    index.close()

    @contextmanager
    def _vector_lock(self, wait: float) -> Iterator[None]:
        with vector_lock(self._home, wait=wait) as acquired:
            if not acquired:
                raise StoreLockedError(
                    "vector index is locked: another process is using it; wait for it to end"
                )
            yield

    def _check_vectors(self, embedder: ActiveEmbedder) -> None:
        """Raise `StoreError` if the vector index is damaged. The caller holds its lock.

        After a writer was killed, the checksums are not valid, so a child process opens the index first.
        """
        state = self.vector_folder.read(lambda state: state)
        if state.open:
            probe(state.path, embedder_id=embedder.embedder_id, dim=embedder.dim)

    def sync_vectors(self, embedder: Embedder | None, *, batch: int, progress: Progress | None) -> None:
        """Bring the vector index up to date with the library. The caller holds the writer lock.

        If a killed writer has damaged the index, a new one is built.

        Args:
            embedder: Embeds papers without a stored vector; if None, the sync stops at the first such paper.
            batch: Papers per batch.
            progress: Called as for `Store.embed_pending`.
        """
        active = self._table.vectors.active()
        if active is None:
            return
        interrupted = self.vector_folder.state().open
        try:
            with self.exclusive_vectors(writing=True) as index:
                assert index is not None
                self._table.set_note("chroma", installed_version())
                sync = VectorSync(
                    self._table,
                    index,
                    active,
                    embedder,
                    mark=self._table.db.meta("vector_mark"),
                    save=lambda mark: self._table.set_mark("vector_mark", mark),
                )
                sync.run(folder=self.vector_folder.path, batch=batch, progress=progress)
        except (OutOfResourcesError, StoreLockedError):
            raise
        except StoreError:
            if not interrupted:
                raise
            self.rebuild_vectors(embedder, progress)
        finally:
            self._retry_at = 0.0
        self.lexical_for_writing()

    def reinsert_unreachable(self) -> None:
        """Reinsert the papers that no search of the graph reaches. The caller holds the writer lock."""
        with self.exclusive_vectors(writing=False) as index:
            if index is not None:
                touch_unreachable(self._table, index, self._table.db.meta("vector_mark"))
        self.sync_vectors(None, batch=_PAGE, progress=None)

    def rebuild_vectors(self, embedder: Embedder | None, progress: Progress | None = None) -> None:
        """Build a new vector index from the stored vectors. The caller holds the writer lock.

        Args:
            embedder: The new active embedder, which embeds papers without a stored vector.
            progress: Called as for `Store.embed_pending`.
        """
        vectors = self._table.vectors
        active = vectors.register(embedder.embedder_id, embedder.dim) if embedder else vectors.active()
        if active is None:
            return
        with self.vector_folder.building() as folder:
            index = VectorIndex(folder, embedder_id=active.embedder_id, dim=active.dim, create=True)
            with closing(index):
                sync = VectorSync(self._table, index, active, embedder, mark=0)
                sync.run(folder=folder, batch=_PAGE, progress=progress)
            with self._lock, self._table.db.writing() as connection:
                self.vector_folder.use(connection, folder)
                put_meta(connection, "chroma", installed_version())
                vectors.use(connection, active, mark=sync.mark)
                self._searched = active.embedder_id
        self.close_vectors()
        self._retry_at = 0.0
        self._delete_unused_vectors(wait=_READER_WAIT)
        self.lexical_for_writing()

    def _delete_unused_vectors(self, *, wait: float = 0.0) -> None:
        """Delete vector indexes that are not in use, unless another process is opening one."""
        if self.vector_folder.unused():
            with vector_lock(self._home, wait=wait) as acquired:
                if acquired:
                    self.vector_folder.delete_unused()

    def _current_vectors(self, embedder: ActiveEmbedder) -> VectorIndex | None:
        """Return the vector index, up to date if possible.

        While another process writes it, return the one that is open, which may be None: then the stored
        vectors are compared. Return None too if the folder cannot be written, because Chroma opens nothing
        there.
        """
        current = self.vector_folder.path, self._table.db.meta("vector_generation")
        if self._vectors is not None and current == self._open_vectors:
            return self._vectors
        outdated = self._vectors if self._open_vectors and self._open_vectors[0] == current[0] else None
        folder = current[0]
        if self._table.db.read_only or (folder.exists() and not writable(folder)):
            return None
        if time.monotonic() < self._retry_at:
            return outdated
        check_version(self._table.db.note("chroma"), folder)
        with vector_lock(self._home, wait=_READER_WAIT) as acquired:
            if not acquired:
                self._retry_at = time.monotonic() + _READER_RETRY
                return outdated
            # Another process may have put another folder into use, but it cannot delete one now.
            current = self.vector_folder.path, self._table.db.meta("vector_generation")
            self.close_vectors()
            self._check_vectors(embedder)
            index = VectorIndex(current[0], embedder_id=embedder.embedder_id, dim=embedder.dim)
            index.load()
            self._vectors, self._open_vectors = index, current
        return index


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
