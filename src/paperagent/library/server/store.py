"""`ServerStore`: a library on a Chroma server, distributed Chroma or Chroma Cloud."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from paperagent.errors import StoreError
from paperagent.library import identity
from paperagent.library.facets import LAST_INGEST, Facets, count_papers
from paperagent.library.features import check_vector
from paperagent.library.merge import add_further_ids, apply_withdrawals, in_batches
from paperagent.library.protocol import (
    Candidate,
    FeedRecord,
    FeedSort,
    Health,
    ListSort,
    Matching,
    PaperWithFeatures,
    Shard,
)
from paperagent.library.server import doctor, ingest, search
from paperagent.library.server.client import ChromaClient, Record, ServerAddress
from paperagent.library.server.papers import ServerCollections
from paperagent.library.server.records import paper_from_record, unfit
from paperagent.text.phrases import Phrase
from paperagent.types import Embedder, Filters, IngestReport, Paper, Progress

if TYPE_CHECKING:
    from paperagent.types import Vector

PREFIX = "paperagent"
_COUNT_EVERY = 10_000
"""Records between two writes of the word counts."""
_STATE_SECONDS = 10.0
"""How long changes by other processes may stay unnoticed."""
_NO_FILTERS = Filters()


class ServerStore:
    """A library on a server. Implements `Store`, which documents the methods.

    Documents, metadata and vectors are in the server's collections and nothing is stored on this machine, so
    any number of machines may read and write one library.

    Args:
        address: The database on the server.
        home: A local folder for data other than the library, such as cached replies of a model.
        create: Create the library if it does not exist.
        prefix: Prefix of the names of its collections.
        timeout: Seconds for one request.
        sleep: Waits between retries.

    Raises:
        StoreError: There is no library, or the server cannot be used.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        home: Path,
        create: bool = False,
        prefix: str = PREFIX,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.home = home
        self._client = ChromaClient(address, timeout=timeout, sleep=sleep)
        self._state: tuple[float, str] | None = None
        """When to read the state again, and the state."""
        try:
            self.collections = ServerCollections(self._client, prefix, create=create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    @property
    def embedder_id(self) -> str | None:
        """The embedder whose vectors are searched; None before anything was embedded."""
        active = self.collections.active_embedder()
        return active[0] if active else None

    # --- papers ---

    def count(self) -> int:
        return self.collections.count()

    def facets(self) -> Facets:
        """Return what the library contains. Reads every paper: a server cannot count by category."""
        return count_papers(self.papers())

    def get(self, paper_id: str) -> Paper | None:
        return self.get_many([paper_id]).get(paper_id)

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        return self.collections.get_many(paper_ids)

    def starting_with(self, prefixes: Sequence[str], *, limit: int) -> list[Paper]:
        """Return papers by the beginning of an id. Reads every id: a server cannot look them up."""
        return self.collections.starting_with(prefixes, limit=limit)

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        paper = self.get(paper_id)
        if paper is None or identity.content_hash(paper) == content_hash:
            return paper
        return self.collections.version(paper, content_hash)

    def papers(self) -> Iterator[Paper]:
        """Yield every paper, first those that have no vector yet."""
        return map(paper_from_record, self.collections.all_records())

    def list_papers(
        self, filters: Filters = _NO_FILTERS, *, sort: ListSort = "newest", limit: int | None = None
    ) -> list[Paper]:
        """Return the papers that ``filters`` admit; those of one day by id. See `Store.list_papers`."""
        if sort == "newest" and limit is not None:
            records: Iterable[Record] = search.newest_records(self.collections, filters, limit)
        else:
            records = search.admitted_records(self.collections, filters)
        papers = sorted(map(paper_from_record, records), key=lambda paper: paper.paper_id)
        if sort == "title":
            papers.sort(key=lambda paper: identity.title_order(paper.title))
        elif sort == "upvotes":
            papers.sort(key=lambda paper: -(paper.upvotes or 0))
        else:
            papers.sort(key=lambda paper: identity.day_number(paper.day) or 0, reverse=sort == "newest")
        return papers[:limit]

    def count_matching(self, filters: Filters) -> int:
        if not filters:
            return self.count()
        return sum(1 for _ in search.admitted_records(self.collections, filters))

    def list_by_day(
        self,
        filters: Filters = _NO_FILTERS,
        *,
        sort: FeedSort = "newest",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Paper]:
        """Return papers by the day on which they appeared, and those of one day by id."""
        end = None if limit is None else offset + limit
        records = search.appeared_records(self.collections, filters, limit=end if sort == "newest" else None)
        papers = sorted(map(paper_from_record, records), key=lambda paper: paper.paper_id)
        papers.sort(key=lambda paper: paper.appeared or dt.date.min, reverse=True)
        if sort == "upvotes":
            papers.sort(key=lambda paper: -(paper.upvotes or 0))
        return papers[offset:end]

    def count_by_day(self, filters: Filters = _NO_FILTERS) -> dict[dt.date, int]:
        """Return the number of papers by day; reads their records."""
        return search.count_by_day(self.collections, filters)

    def state(self) -> str:
        """Return the number of papers and the time of the last ingest, read at most every ten seconds."""
        now = time.monotonic()
        if self._state is None or now > self._state[0]:
            ingest_summary = self.get_setting(LAST_INGEST) or {}
            self._state = now + _STATE_SECONDS, f"{self.count()} {ingest_summary.get('time')}"
        return self._state[1]

    def sample(self, limit: int) -> list[Paper]:
        """Return at most ``limit`` papers, the first that the server returns."""
        return list(islice(self.papers(), limit))

    def with_further_ids(self, papers: Iterable[Paper]) -> Iterator[Paper]:
        return add_further_ids(papers, self.collections.former_ids, size=self.collections.quotas.batch)

    def papers_between(self, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        return self.collections.papers_between(since, until)

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        return self.collections.get_with_features(paper_ids)

    # --- settings ---

    def get_setting(self, key: str, default: Any = None) -> Any:
        return self.collections.get_setting(key, default)

    def set_setting(self, key: str, value: Any) -> None:
        self.collections.set_setting(key, value)

    def record_ingest(self, summary: Mapping[str, Any]) -> None:
        self.set_setting(LAST_INGEST, dict(summary))

    # --- search ---

    def candidates(
        self,
        *,
        stems: Sequence[str],
        vector: Vector | None,
        limit: int = 100,
        filters: Filters = _NO_FILTERS,
    ) -> list[Candidate]:
        embedded = self.collections.embedded()
        if vector is not None and embedded is not None:
            dim = int(embedded.metadata["dim"])
            if vector.shape != (dim,):
                raise StoreError(
                    f"vector index: its vectors have {dim} numbers, the query has {vector.size}; "
                    "run 'paperagent reindex'"
                )
            vector = check_vector(vector, dim, "query")
        return search.retrieve_candidates(
            self.collections, stems=stems, vector=vector, limit=limit, filters=filters
        )

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        papers, terms = self.collections.term_counts.totals()
        counts = self.collections.term_counts.paper_counts(stems)
        frequencies = {stem: min(n, papers) for stem, n in counts.items()}
        return papers, terms / papers if papers else 0.0, frequencies

    def similar_stems(self, stem: str, distance: int = 1) -> list[str]:
        return self.collections.term_counts.similar_stems(stem, distance)

    def matching(
        self,
        *,
        words: Sequence[Sequence[str]] = (),
        phrase: Phrase | None = None,
        filters: Filters = _NO_FILTERS,
        limit: int = 10,
        oldest_first: bool = False,
    ) -> Matching:
        """Count and return papers; see `Store.matching`. Reads each paper that contains the words."""
        papers = search.papers_with_all(self.collections, words=words, filters=filters)
        if phrase is not None:
            papers = (paper for paper in papers if phrase.is_in(paper.title, paper.abstract))
        ordered = sorted(papers, key=lambda p: (p.day or dt.date.min, p.paper_id), reverse=not oldest_first)
        return Matching(len(ordered), ordered[:limit])

    # --- writing ---

    def ingest(
        self, records: Iterable[FeedRecord], *, today: dt.date, progress: Progress | None = None
    ) -> IngestReport:
        skipped = Counter[str]()
        quotas = self.collections.quotas
        writer = ingest.ServerBatchWriter(self.collections, today=today)
        read = new = changed = flushed = 0
        batches = in_batches(
            apply_withdrawals(records, self.get),
            skipped,
            size=quotas.batch,
            unfit=lambda paper: unfit(paper, quotas),
        )
        try:
            for batch in batches:
                result = writer.write(batch)
                read, new, changed = read + len(batch), new + result.new, changed + result.changed
                if read - flushed >= _COUNT_EVERY:
                    flushed = read
                    writer.flush()
                if progress:
                    progress("index", read, None)
        finally:
            writer.flush()
            self._state = None
        return IngestReport(
            read=read,
            new=new,
            changed=changed,
            unchanged=read - new - changed,
            skipped=dict(skipped),
            papers=self.count(),
            pending=self.collections.pending.count(),
        )

    def remove(self, paper_ids: Iterable[str]) -> None:
        ingest.remove_papers(self.collections, paper_ids)
        self._state = None

    def pending_texts(self, *, shard: Shard | None = None) -> Iterator[str]:
        return ingest.pending_texts(self.collections, shard)

    def embed_pending(
        self,
        embedder: Embedder,
        *,
        progress: Progress | None = None,
        batch: int | None = None,
        shard: Shard | None = None,
    ) -> tuple[int, int]:
        """Embed papers without a vector; see `Store.embed_pending`.

        Two concurrent calls for the same papers do the work twice, but do no harm.
        """
        added = ingest.embed_pending(
            self.collections,
            embedder,
            batch=batch or self.collections.quotas.batch,
            shard=shard,
            progress=progress,
        )
        if added and (embedded := self.collections.embedded()) is not None:
            embedded.adjust_search_width()
        return added, self.collections.pending.count()

    # --- maintenance ---

    def status(self) -> dict[str, Any]:
        papers, pending = self.count(), self.collections.pending.count()
        return {
            "home": str(self.home),
            "server": self._client.address.name,
            "papers": papers,
            "lexical": {"indexed": papers},
            "vectors": {"indexed": papers - pending, "pending": pending, "embedder": self.embedder_id},
            "generation": None,
            "revision": None,
            "read_only": False,
        }

    def reindex(
        self, *, vectors: bool = True, embedder: Embedder | None = None, progress: Progress | None = None
    ) -> None:
        """Count all words again; embed all papers again if ``embedder`` is not the active one."""
        doctor.recount(self.collections)
        active = self.collections.active_embedder()
        if not vectors or embedder is None:
            return
        if active is not None and active != (embedder.embedder_id, embedder.dim):
            ingest.replace_embedder(self.collections, active, embedder, progress)
        self.embed_pending(embedder, progress=progress)

    def doctor(self, *, repair: bool = False) -> Health:
        health = doctor.run_checks(self.collections)
        if health.ok or not repair:
            return health
        doctor.repair(health, self.collections)
        return doctor.run_checks(self.collections).after_repair(health)
