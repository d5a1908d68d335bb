"""The store over a Chroma server, distributed Chroma or Chroma Cloud.

Documents, metadata and vectors live in the server's collections, so any number of machines may
read and write one library; nothing of it is kept here. The same methods as `LocalStore`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from paperagent.errors import StoreError
from paperagent.library import identity
from paperagent.library.batches import batches
from paperagent.library.naming import named
from paperagent.library.protocol import Candidate, FeedRecord, Health, PaperWithFeatures, Shard
from paperagent.library.server import doctor as checkup
from paperagent.library.server import embed, period, search
from paperagent.library.server.address import Address
from paperagent.library.server.connection import Connection
from paperagent.library.server.ingest import Intake
from paperagent.library.server.paper_collections import Shelf
from paperagent.library.server.records import paper_of, unfit
from paperagent.library.stored_vectors import sound
from paperagent.library.withdrawals import applied
from paperagent.types import Embedder, Filters, IngestReport, Paper, Progress

if TYPE_CHECKING:
    from paperagent.types import Vector

PREFIX = "paperagent"
_COUNT_EVERY = 10_000
"""Papers of an ingest between two segments of word counts: what a kill leaves uncounted."""
_EVERYTHING = Filters()


class ServerStore:
    """A library on a server, opened.

    Raises `StoreError` where there is none (unless ``create``) or the server cannot be used.
    Safe for several threads, and beside other processes and machines that write.
    ``home`` is a folder of this machine for what is not the library, such as kept replies.
    """

    def __init__(
        self,
        address: Address,
        *,
        home: Path,
        create: bool = False,
        prefix: str = PREFIX,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.home = home
        self._connection = Connection(address, timeout=timeout, sleep=sleep)
        try:
            self._shelf = Shelf(self._connection, prefix, create=create)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._connection.close()

    def count(self) -> int:
        """Return the number of papers."""
        return self._shelf.count()

    def get(self, paper_id: str) -> Paper | None:
        """Return a paper by its id, or by one that it had before; None where there is none."""
        return self.get_many([paper_id]).get(paper_id)

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers found, under the ids they were asked by."""
        return self._shelf.get_many(paper_ids)

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        """Return a paper with the text that `identity.content_hash` named, now or in the past, or None."""
        paper = self.get(paper_id)
        if paper is None or identity.content_hash(paper) == content_hash:
            return paper
        return self._shelf.version(paper, content_hash)

    def papers(self) -> Iterator[Paper]:
        """Yield every paper, what waits for its vector first."""
        return map(paper_of, self._shelf.every())

    def sample(self, most: int) -> list[Paper]:
        """Return at most ``most`` papers, the first that the server gives."""
        return list(islice(self.papers(), most))

    def with_further_ids(self, papers: Iterable[Paper]) -> Iterator[Paper]:
        """Yield papers of the library with their further ids."""
        return named(papers, self._shelf.former, size=self._shelf.quotas.batch)

    def papers_between(self, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        """Return what came or was changed from ``since`` to ``until``, both included, ordered by id."""
        return period.within(self._shelf, since, until)

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        """Return the papers found with terms and vectors, under the ids that they were asked by."""
        return period.by_id(self._shelf, paper_ids)

    def get_setting(self, key: str, default: Any = None) -> Any:
        """Return a JSON value kept with the library."""
        return self._shelf.get_setting(key, default)

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value with the library."""
        self._shelf.set_setting(key, value)

    @property
    def embedder_id(self) -> str | None:
        """The embedder whose vectors are searched; None before the first."""
        active = self._shelf.active()
        return active[0] if active else None

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int = 100, filters: Filters = _EVERYTHING
    ) -> list[Candidate]:
        """Return the papers that vectors and words nominate, at most ``limit`` each, in no order."""
        held = self._shelf.held()
        if vector is not None and held is not None:
            dim = int(held.metadata["dim"])
            if vector.shape != (dim,):
                raise StoreError(
                    f"vector index: it holds {dim} numbers a paper, the query has {vector.size}; "
                    "run 'paperagent reindex'"
                )
            vector = sound(vector, dim, "query")
        return search.nominate(self._shelf, stems=stems, vector=vector, limit=limit, filters=filters)

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        """Return number of papers, mean number of terms a paper, and how many papers hold each stem."""
        papers, terms = self._shelf.counts.totals()
        frequency = self._shelf.counts.of(stems)
        known = {stem: min(n, papers) for stem, n in frequency.items()}
        return papers, terms / papers if papers else 0.0, known

    def similar_stems(self, stem: str, distance: int = 1) -> list[str]:
        """Return the library's stems within an edit distance that begin alike, most frequent first."""
        return self._shelf.counts.similar(stem, distance)

    def status(self) -> dict[str, Any]:
        """Return what `paperagent status --json` prints."""
        papers, pending = self.count(), self._shelf.waiting.count()
        return {
            "home": str(self.home),
            "server": self._connection.address.name,
            "papers": papers,
            "lexical": {"indexed": papers},
            "vectors": {"indexed": papers - pending, "pending": pending, "embedder": self.embedder_id},
            "generation": None,
            "revision": None,
            "read_only": False,
        }

    def ingest(
        self, records: Iterable[FeedRecord], *, today: dt.date, progress: Progress | None = None
    ) -> IngestReport:
        """Read records into the library, 300 at a time; they are searchable by their words at once.

        A batch that was written stays written, whatever happens after it. Reading a feed again
        changes nothing, so that a killed ingest is simply repeated.
        """
        skipped = Counter[str]()
        quotas = self._shelf.quotas
        intake = Intake(self._shelf, today=today)
        read = new = changed = counted = 0
        try:
            for batch in batches(
                applied(records, self.get), skipped, size=quotas.batch, unfit=lambda p: unfit(p, quotas)
            ):
                taken = intake.take(batch)
                read, new, changed = read + len(batch), new + taken.new, changed + taken.changed
                if read - counted >= _COUNT_EVERY:
                    counted = read
                    intake.flush()
                if progress:
                    progress("index", read, None)
        finally:
            intake.flush()
        return IngestReport(
            read=read,
            new=new,
            changed=changed,
            unchanged=read - new - changed,
            skipped=dict(skipped),
            papers=self.count(),
            pending=self._shelf.waiting.count(),
        )

    def pending_texts(self, *, shard: Shard | None = None) -> Iterator[str]:
        """Yield the texts that wait for a vector."""
        return embed.texts(self._shelf, shard)

    def embed_pending(
        self,
        embedder: Embedder,
        *,
        progress: Progress | None = None,
        batch: int | None = None,
        shard: Shard | None = None,
    ) -> tuple[int, int]:
        """Embed what waits for a vector, of one ``shard`` or all; return (added, pending).

        Resumable: what is embedded is moved batch by batch. Two that work at the same papers do so
        in vain, not in error. Raises `StoreError` where the library holds another embedder's vectors.
        """
        size = batch or self._shelf.quotas.batch
        added = embed.catch_up(self._shelf, embedder, size=size, shard=shard, progress=progress)
        if added and (held := self._shelf.held()) is not None:
            held.fit()
        return added, self._shelf.waiting.count()

    def reindex(
        self, *, vectors: bool = True, embedder: Embedder | None = None, progress: Progress | None = None
    ) -> None:
        """Count all words anew; embed all papers anew where ``embedder`` is another than the one in use."""
        checkup.recount(self._shelf)
        active = self._shelf.active()
        if not vectors or embedder is None:
            return
        if active is not None and active != (embedder.embedder_id, embedder.dim):
            embed.re_embed(self._shelf, active, embedder, progress)
        self.embed_pending(embedder, progress=progress)

    def doctor(self, *, repair: bool = False) -> Health:
        """Examine the library; with ``repair`` mend what the server can still give."""
        found = checkup.examine(self._shelf)
        if found.ok or not repair:
            return found
        checkup.mend(found, self._shelf)
        return checkup.examine(self._shelf)
