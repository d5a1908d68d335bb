"""The local store: a library, its two indexes, one writer at a time. What the rest of paperagent uses."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from paperagent.errors import InputError, StoreError, visible
from paperagent.library import health, period
from paperagent.library.batches import batches
from paperagent.library.home import DATABASE, check_home, writer_lock
from paperagent.library.index_sync import Live, embedded_text
from paperagent.library.local.indexes import Indexes
from paperagent.library.local.ingest import Intake
from paperagent.library.local.knn import Found
from paperagent.library.local.papers import Fact, Library
from paperagent.library.naming import named
from paperagent.library.protocol import (
    Candidate,
    FeedRecord,
    Health,
    NoVectorYetError,
    PaperWithFeatures,
    Shard,
)
from paperagent.library.rows import unpack_terms
from paperagent.library.withdrawals import applied
from paperagent.types import Embedder, Filters, IngestReport, Paper, Progress

if TYPE_CHECKING:
    from paperagent.types import Vector

_BATCH = 2_000
_EMBED_BATCH = 512
_EVERYTHING = Filters()


class LocalStore:
    """A library folder, opened.

    Raises `StoreError` where there is none (unless ``create``), it cannot be used, or it is
    another program's. Reading works from several threads and beside another process that writes;
    what that wrote is seen at the next call. Not usable after a fork.
    """

    def __init__(self, home: Path, *, create: bool = False) -> None:
        self.home = check_home(home, create=create)
        path = self.home / DATABASE
        if create and not path.exists():
            with writer_lock(self.home):
                self.library = Library(path, create=True)
        else:
            self.library = Library(path, create=create)
        self.indexes = Indexes(self.home, self.library)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release files and threads; a second call does nothing."""
        self.indexes.close()
        self.library.close()

    def count(self) -> int:
        """Return the number of papers."""
        return self.library.count()

    def get(self, paper_id: str) -> Paper | None:
        """Return a paper by its id, or by one that it had before; None where there is none."""
        return self.library.get(paper_id)

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers found, under the ids they were asked by."""
        return self.library.get_many(paper_ids)

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        """Return a paper with the text that `identity.content_hash` named, now or in the past, or None."""
        return self.library.get_version(paper_id, content_hash)

    def papers(self) -> Iterator[Paper]:
        """Yield every paper, in the order of first arrival."""
        return self.library.papers()

    def sample(self, most: int) -> list[Paper]:
        """Return at most ``most`` papers, spread evenly over the order of first arrival."""
        return list(self.library.by_row(_evenly(self.library.highest_row(), most)).values())

    def with_further_ids(self, papers: Iterable[Paper]) -> Iterator[Paper]:
        """Yield papers of the library with their further ids."""
        return named(papers, self.library.names, size=_BATCH)

    def papers_between(self, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        """Return what came or was changed from ``since`` to ``until``, both included, ordered by id.

        The day on which the feed listed a paper counts, else its publication, else the first reading.
        """
        return period.within(self.library.db, self._number(), since, until)

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        """Return the papers found with terms and vectors, under the ids that they were asked by."""
        present = {asked: paper.paper_id for asked, paper in self.get_many(paper_ids).items()}
        held = period.by_id(self.library.db, self._number(), present.values())
        found = {arrival.paper_id: arrival for arrival in held}
        return {asked: found[paper_id] for asked, paper_id in present.items() if paper_id in found}

    def _number(self) -> int:
        active = self.library.embeddings.active()
        return active[0] if active else 0

    def get_setting(self, key: str, default: Any = None) -> Any:
        """Return a JSON value kept with the library."""
        return self.library.get_setting(key, default)

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value with the library."""
        with self.indexes.writing():
            self.library.set_setting(key, value)

    @property
    def embedder_id(self) -> str | None:
        """The embedder whose vectors are searched; None before the first."""
        active = self.library.embeddings.active()
        return active[1] if active else None

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int = 100, filters: Filters = _EVERYTHING
    ) -> list[Candidate]:
        """Return the papers that the two indexes nominate, at most ``limit`` each, in no order."""
        lexical = self.indexes.lexical()
        rows = [row for row, _ in lexical.search(stems, limit=limit, filters=filters)]
        number, found = 0, Found()
        if vector is not None:
            number, found = self.indexes.nearest(vector, limit=limit, filters=filters, lexical=lexical)
        known = set(rows)
        rows += [row for row in found.rows if row not in known]
        return _candidates(self.library.facts(rows, found.ids, embedder=number))

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        """Return number of papers, mean number of terms a paper, and how many papers hold each stem."""
        lexical = self.indexes.lexical()
        frequencies, papers = lexical.doc_freq(stems), lexical.count
        # A replaced paper counts twice until the index has merged it away.
        known = {stem: min(n, papers) for stem, n in zip(stems, frequencies, strict=True)}
        return papers, self.library.length() / papers if papers else 0.0, known

    def similar_stems(self, stem: str, distance: int = 1) -> list[str]:
        """Return the library's stems within an edit distance that begin alike, most frequent first."""
        return self.indexes.lexical().similar_stems(stem, distance)

    def status(self) -> dict[str, Any]:
        """Return what `paperagent status --json` prints."""
        papers, embedder = self.library.count(), self.embedder_id
        pending = self.library.pending("vector_mark") if embedder else papers
        return {
            "home": str(self.home),
            "papers": papers,
            "lexical": {"indexed": papers - self.library.pending("lexical_mark")},
            "vectors": {"indexed": papers - pending, "pending": pending, "embedder": embedder},
            "generation": self.library.generation,
            "revision": self.library.revision,
            "read_only": self.library.db.read_only,
        }

    def ingest(
        self, records: Iterable[FeedRecord], *, today: dt.date, progress: Progress | None = None
    ) -> IngestReport:
        """Read records into library and lexical index, 2,000 at a time.

        A batch that was written stays written, whatever happens after it: an error of ``records``
        is raised once what came before it is in. Raises `StoreError` where nothing can be written.
        """
        read = new = changed = 0
        skipped = Counter[str]()
        with self.indexes.writing():
            intake, lexical = Intake(self.library, today=today), self.indexes.lexical_for_writing(progress)
            with lexical.writing() as writer:
                live = Live(self.library, writer)
                try:
                    for batch in batches(applied(records, self.get), skipped, size=_BATCH):
                        taken = intake.take(batch)
                        live.take(taken)
                        read, new, changed = read + len(batch), new + taken.new, changed + taken.changed
                        if progress:
                            progress("index", read, None)
                except StoreError:
                    raise
                except BaseException:  # the feed failed, or Ctrl-C
                    live.commit()
                    raise
                live.commit()
            self.indexes.forget()
        pending = self.status()["vectors"]["pending"]
        return IngestReport(
            read=read,
            new=new,
            changed=changed,
            unchanged=read - new - changed,
            skipped=dict(skipped),
            papers=self.count(),
            pending=pending,
        )

    def pending_texts(self, *, shard: Shard | None = None) -> Iterator[str]:
        """Yield the texts that have no vector of the embedder in use, oldest change first."""
        mark, number = self.library.db.meta("vector_mark"), self._number()
        while changes := self.library.changes(mark, limit=_BATCH):
            missing = self.library.embeddings.missing(number, [(c.row, c.text_hash) for c in changes])
            waiting = [c.paper for c in changes if c.row in missing]
            yield from (embedded_text(p) for p in waiting if shard is None or shard.contains(p))
            mark = changes[-1].revision

    def embed_pending(
        self,
        embedder: Embedder,
        *,
        progress: Progress | None = None,
        batch: int | None = None,
        shard: Shard | None = None,
    ) -> tuple[int, int]:
        """Embed what has no vector and give it to the vector index; return (added, pending).

        Resumable: after Ctrl-C the next call goes on where this one was. Raises `StoreError` where
        the library holds another embedder's vectors, `InputError` for a ``shard``: they are a server's.
        """
        if shard is not None:
            raise InputError(
                "shard: one process writes a folder; leave it out, or share a server's library "
                "(PAPERAGENT_CHROMA_URL)"
            )
        with self.indexes.writing():
            active = self.library.embeddings.active()
            if active is None:
                self.library.embeddings.activate(embedder.embedder_id, embedder.dim)
            elif active[1:] != (embedder.embedder_id, embedder.dim):
                raise StoreError(
                    f"vector index: it holds vectors of {visible(active[1])}, not of "
                    f"{visible(embedder.embedder_id)}; run 'paperagent reindex'"
                )
            size = batch or _EMBED_BATCH
            before = self.library.pending("vector_mark")
            try:
                self.indexes.run_vectors(embedder, batch=size, progress=progress)
            except NoVectorYetError:
                self.indexes.run_vectors(None, batch=size, progress=None)  # as far as stored vectors reach
            added = before - self.library.pending("vector_mark")
            return added, self.library.pending("vector_mark")

    def reindex(
        self, *, vectors: bool = True, embedder: Embedder | None = None, progress: Progress | None = None
    ) -> None:
        """Rebuild the lexical index, and with ``vectors`` the vector index, from the library.

        Stored vectors are used again. An ``embedder`` other than the one in use takes its place,
        and embeds what it has not embedded before.
        """
        with self.indexes.writing():
            self.indexes.rebuild_lexical(progress)
            if vectors:
                self.indexes.rebuild_vectors(embedder, progress)

    def doctor(self, *, repair: bool = False) -> Health:
        """Examine library and indexes; with ``repair`` rebuild what does not agree with the library."""
        found = health.examine(self.home, self.library, self.indexes)
        if found.ok or not repair:
            return found
        with self.indexes.writing():
            health.mend(found, self.library, self.indexes)
        return health.examine(self.home, self.library, self.indexes)


def _evenly(last: int, most: int) -> list[int]:
    """Return at most ``most`` row numbers from 1 to ``last``, both included where more than one fits."""
    if last <= most:
        return list(range(1, last + 1))
    return [1 + i * (last - 1) // (most - 1) for i in range(most)] if most > 1 else [last]


def _candidates(facts: Sequence[Fact]) -> list[Candidate]:
    import numpy as np

    halves = [vector for _, _, _, vector in facts if vector is not None]
    matrix = (
        np.frombuffer(b"".join(halves), "<f2").astype(np.float32).reshape(len(halves), -1) if halves else ()
    )
    vectors = iter(matrix)
    return [
        Candidate(paper_id, unpack_terms(terms), None if vector is None else next(vectors), day)
        for paper_id, day, terms, vector in facts
    ]
