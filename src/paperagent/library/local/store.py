"""`LocalStore`: a library in a folder, with its two indexes and one writer at a time."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from paperagent.errors import InputError, StoreError, visible
from paperagent.library.facets import Facets
from paperagent.library.features import embedded_text
from paperagent.library.home import DATABASE, check_home, writer_lock
from paperagent.library.local import doctor
from paperagent.library.local.database import unpack_terms, unpack_vectors
from paperagent.library.local.index_sync import Indexes
from paperagent.library.local.ingest import BatchWriter, LiveIndexer, remove_papers
from paperagent.library.local.papers import PaperTable, SearchRow
from paperagent.library.local.stored_vectors import NearestPapers
from paperagent.library.merge import add_further_ids, apply_withdrawals, in_batches
from paperagent.library.protocol import (
    Candidate,
    FeedRecord,
    FeedSort,
    Health,
    ListSort,
    Matching,
    NoVectorYetError,
    PaperWithFeatures,
    Shard,
)
from paperagent.text.phrases import Phrase
from paperagent.types import Embedder, Filters, IngestReport, Paper, Progress

if TYPE_CHECKING:
    from paperagent.library.local.bm25_index import LexicalIndex
    from paperagent.types import Vector

_BATCH = 2_000
_EMBED_BATCH = 512
_CACHED_PHRASES = 32
"""The number of cached phrases. Finding a phrase that a third of 75,000 papers contain takes 0.2 s."""
_NO_FILTERS = Filters()


class LocalStore:
    """A library in a folder. Implements `Store`, which documents the methods.

    Reading works from several threads, and while another process writes; its changes are visible at the next
    call. Not usable after a fork.

    Args:
        home: The folder.
        create: Create the folder and the library if they do not exist.

    Raises:
        StoreError: There is no library, it cannot be used, or the folder belongs to another program.
    """

    def __init__(self, home: Path, *, create: bool = False) -> None:
        self.home = check_home(home, create=create)
        path = self.home / DATABASE
        if create and not path.exists():
            with writer_lock(self.home):
                self.table = PaperTable(path, create=True)
        else:
            self.table = PaperTable(path, create=create)
        self.indexes = Indexes(self.home, self.table)
        self._mentions: dict[tuple[int, Phrase, tuple[tuple[str, ...], ...], Filters], list[int]] = {}
        """Cached rows of papers, by generation, phrase, words and filters."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.indexes.close()
        self.table.close()

    @property
    def embedder_id(self) -> str | None:
        """The embedder whose vectors are searched; None before anything was embedded."""
        active = self.table.vectors.active()
        return active.embedder_id if active else None

    # --- papers ---

    def count(self) -> int:
        return self.table.count()

    def facets(self) -> Facets:
        return self.table.counts.facets()

    def get(self, paper_id: str) -> Paper | None:
        return self.table.get(paper_id)

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        return self.table.get_many(paper_ids)

    def starting_with(self, prefixes: Sequence[str], *, limit: int) -> list[Paper]:
        rows = self.table.listing.rows_starting_with(prefixes, limit=limit)
        papers = self.table.papers_by_row(rows)
        return [papers[row] for row in rows if row in papers]

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        return self.table.get_version(paper_id, content_hash)

    def papers(self) -> Iterator[Paper]:
        """Yield every paper, in the order in which they were first read."""
        return self.table.papers()

    def list_papers(
        self, filters: Filters = _NO_FILTERS, *, sort: ListSort = "newest", limit: int | None = None
    ) -> list[Paper]:
        inside = None
        if filters and limit is not None and sort in ("newest", "oldest"):
            inside = set(self.indexes.lexical().newest(filters, limit=limit, oldest=sort == "oldest"))
        elif filters:
            inside = set(self.indexes.lexical().matching(filters))
        if sort == "title" or sort == "upvotes":  # noqa: PLR1714 - mypy understands this form
            rows = self.table.listing.sorted_by(sort, inside)[:limit]
        else:
            rows = self.table.listing.newest(inside, limit=limit, oldest=sort == "oldest")
        papers = self.table.papers_by_row(rows)
        return [papers[row] for row in rows if row in papers]

    def count_matching(self, filters: Filters) -> int:
        return self.indexes.lexical().count_matching(filters) if filters else self.count()

    def list_by_day(
        self,
        filters: Filters = _NO_FILTERS,
        *,
        sort: FeedSort = "newest",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Paper]:
        inside = self._rows_of_any_day(filters)
        rows = self.table.days.rows(filters, inside, sort=sort, limit=limit, offset=offset)
        papers = self.table.papers_by_row(rows)
        return [papers[row] for row in rows if row in papers]

    def count_by_day(self, filters: Filters = _NO_FILTERS) -> dict[dt.date, int]:
        return self.table.days.counts(filters, self._rows_of_any_day(filters))

    def _rows_of_any_day(self, filters: Filters) -> set[int] | None:
        """Return the rows that the filters admit except for their days; None for all."""
        others = replace(filters, since=None, until=None)
        return set(self.indexes.lexical().matching(others)) if others else None

    def state(self) -> str:
        return str(self.table.generation)

    def sample(self, limit: int) -> list[Paper]:
        """Return at most ``limit`` papers, spread evenly over the order in which they were first read."""
        return list(self.table.papers_by_row(_spread(self.table.highest_row(), limit)).values())

    def with_further_ids(self, papers: Iterable[Paper]) -> Iterator[Paper]:
        return add_further_ids(papers, self.table.names, size=_BATCH)

    def papers_between(self, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        return self.table.papers_between(self._embedder_number(), since, until)

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        present = {paper_id: paper.paper_id for paper_id, paper in self.get_many(paper_ids).items()}
        papers = self.table.papers_with_features(self._embedder_number(), present.values())
        by_id = {paper.paper_id: paper for paper in papers}
        return {requested: by_id[paper_id] for requested, paper_id in present.items() if paper_id in by_id}

    # --- settings ---

    def get_setting(self, key: str, default: Any = None) -> Any:
        return self.table.get_setting(key, default)

    def set_setting(self, key: str, value: Any) -> None:
        with self.indexes.writing():
            self.table.set_setting(key, value)

    def record_ingest(self, summary: Mapping[str, Any]) -> None:
        """Store the summary of an ingest, and the facets, so that a new process need not count them."""
        with self.indexes.writing():
            self.table.counts.record_ingest(summary)

    # --- search ---

    def candidates(
        self,
        *,
        stems: Sequence[str],
        vector: Vector | None,
        limit: int = 100,
        filters: Filters = _NO_FILTERS,
    ) -> list[Candidate]:
        lexical = self.indexes.lexical()
        rows = [row for row, _ in lexical.search(stems, limit=limit, filters=filters)]
        number, near = 0, NearestPapers()
        if vector is not None:
            number, near = self.indexes.nearest(vector, limit=limit, filters=filters, lexical=lexical)
        by_words = set(rows)
        rows += [row for row in near.rows if row not in by_words]
        return _candidates(self.table.search_rows(rows, near.ids, embedder=number))

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        lexical = self.indexes.lexical()
        counts, papers = lexical.doc_freq(stems), lexical.count
        # A replaced paper counts twice until its segment is merged.
        frequencies = {stem: min(n, papers) for stem, n in zip(stems, counts, strict=True)}
        return papers, self.table.term_count() / papers if papers else 0.0, frequencies

    def similar_stems(self, stem: str, distance: int = 1) -> list[str]:
        return self.indexes.lexical().similar_stems(stem, distance)

    def matching(
        self,
        *,
        words: Sequence[Sequence[str]] = (),
        phrase: Phrase | None = None,
        filters: Filters = _NO_FILTERS,
        limit: int = 10,
        oldest_first: bool = False,
    ) -> Matching:
        lexical = self.indexes.lexical()
        if phrase is None:
            total, rows = lexical.rows_with_all(words, filters, limit=limit, oldest_first=oldest_first)
        else:
            rows = self._rows_mentioning(lexical, phrase, words, filters)
            total, rows = len(rows), (rows[::-1] if oldest_first else rows)[:limit]
        papers = self.table.papers_by_row(rows)
        return Matching(total, [papers[row] for row in rows if row in papers])

    def _rows_mentioning(
        self, lexical: LexicalIndex, phrase: Phrase, words: Sequence[Sequence[str]], filters: Filters
    ) -> list[int]:
        """Return the rows of the papers that mention a phrase, newest first, from the cache if possible."""
        key = (self.table.generation, phrase, tuple(map(tuple, words)), filters)
        if key not in self._mentions:
            _, rows = lexical.rows_with_all(words, filters, limit=None)
            mentioning = self.table.listing.rows_mentioning(phrase, rows)
            if len(self._mentions) >= _CACHED_PHRASES:
                self._mentions.clear()
            self._mentions[key] = [row for row in rows if row in mentioning]
        return self._mentions[key]

    # --- writing ---

    def ingest(
        self, records: Iterable[FeedRecord], *, today: dt.date, progress: Progress | None = None
    ) -> IngestReport:
        read = new = changed = 0
        skipped = Counter[str]()
        with self.indexes.writing():
            batches = BatchWriter(self.table, today=today)
            with self.indexes.lexical_for_writing(progress).writing() as index_writer:
                indexer = LiveIndexer(self.table, index_writer)
                try:
                    for batch in in_batches(apply_withdrawals(records, self.get), skipped, size=_BATCH):
                        result = batches.write(batch)
                        indexer.add(result)
                        read, new, changed = read + len(batch), new + result.new, changed + result.changed
                        if progress:
                            progress("index", read, None)
                except StoreError:
                    raise
                except BaseException:  # the feed failed, or Ctrl-C
                    indexer.commit()
                    raise
                indexer.commit()
            self.indexes.close_vectors()
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

    def remove(self, paper_ids: Iterable[str]) -> None:
        with self.indexes.writing():
            self.indexes.lexical_for_writing()
            remove_papers(self.table, paper_ids)
            self.indexes.lexical_for_writing()
            self.indexes.sync_vectors(None, batch=_BATCH, progress=None)
            self.indexes.close_vectors()

    def pending_texts(self, *, shard: Shard | None = None) -> Iterator[str]:
        """Yield the texts that have no vector of the active embedder, oldest change first."""
        mark, number = self.table.db.meta("vector_mark"), self._embedder_number()
        while changes := self.table.changes(mark, limit=_BATCH):
            missing = self.table.vectors.missing(number, [(c.row, c.text_hash) for c in changes])
            pending = [c.paper for c in changes if c.row in missing]
            yield from (embedded_text(p) for p in pending if shard is None or shard.contains(p))
            mark = changes[-1].revision

    def embed_pending(
        self,
        embedder: Embedder,
        *,
        progress: Progress | None = None,
        batch: int | None = None,
        shard: Shard | None = None,
    ) -> tuple[int, int]:
        if shard is not None:
            raise InputError(
                "shard: one process writes a folder; leave it out, or share a library on a server "
                "(PAPERAGENT_CHROMA_URL)"
            )
        with self.indexes.writing():
            active = self.table.vectors.active()
            if active is None:
                self.table.vectors.activate(embedder.embedder_id, embedder.dim)
            elif active[1:] != (embedder.embedder_id, embedder.dim):
                raise StoreError(
                    f"vector index: it holds vectors of {visible(active.embedder_id)}, not of "
                    f"{visible(embedder.embedder_id)}; run 'paperagent reindex'"
                )
            size = batch or _EMBED_BATCH
            before = self.table.pending("vector_mark")
            try:
                self.indexes.sync_vectors(embedder, batch=size, progress=progress)
            except NoVectorYetError:
                self.indexes.sync_vectors(
                    None, batch=size, progress=None
                )  # index papers with a stored vector
            pending = self.table.pending("vector_mark")
            return before - pending, pending

    # --- maintenance ---

    def status(self) -> dict[str, Any]:
        papers, embedder = self.table.count(), self.embedder_id
        pending = self.table.pending("vector_mark") if embedder else papers
        return {
            "home": str(self.home),
            "papers": papers,
            "lexical": {"indexed": papers - self.table.pending("lexical_mark")},
            "vectors": {"indexed": papers - pending, "pending": pending, "embedder": embedder},
            "generation": self.table.generation,
            "revision": self.table.revision,
            "read_only": self.table.db.read_only,
        }

    def reindex(
        self, *, vectors: bool = True, embedder: Embedder | None = None, progress: Progress | None = None
    ) -> None:
        """Rebuild the lexical index, and the vector index from stored vectors; see `Store.reindex`."""
        with self.indexes.writing():
            self.indexes.rebuild_lexical(progress)
            if vectors:
                self.indexes.rebuild_vectors(embedder, progress)

    def doctor(self, *, repair: bool = False) -> Health:
        health = doctor.run_checks(self.home, self.table, self.indexes)
        if health.ok or not repair:
            return health
        with self.indexes.writing(damaged=True):
            remaining = doctor.repair(health, self.table, self.indexes)
        repaired = doctor.run_checks(self.home, self.table, self.indexes)
        return repaired.after_repair(health, damaged_papers=remaining)

    def _embedder_number(self) -> int:
        active = self.table.vectors.active()
        return active.number if active else 0


def _spread(last: int, limit: int) -> list[int]:
    """Return at most ``limit`` row numbers, spread evenly from 1 to ``last``."""
    if last <= limit:
        return list(range(1, last + 1))
    return [1 + i * (last - 1) // (limit - 1) for i in range(limit)] if limit > 1 else [last]


def _candidates(rows: Sequence[SearchRow]) -> list[Candidate]:
    halves = [vector for _, _, _, vector in rows if vector is not None]
    vectors = iter(unpack_vectors(halves) if halves else ())
    return [
        Candidate(paper_id, unpack_terms(terms), None if vector is None else next(vectors), day)
        for paper_id, day, terms, vector in rows
    ]
