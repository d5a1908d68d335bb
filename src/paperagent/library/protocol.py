"""The interface of a library: the `Store` protocol and the values that its methods take and return.

The rest of paperagent uses a library through `Store` alone. `LocalStore` keeps one in a folder of this
machine, `ServerStore` on a Chroma server.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self
from zlib import crc32

from paperagent.errors import InputError, PaperAgentError, StoreError, visible
from paperagent.library.facets import Facets
from paperagent.text.phrases import Phrase
from paperagent.text.terms import title_key
from paperagent.types import Embedder, Filters, IngestReport, Paper, Progress, Skipped, Withdrawal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector

FeedRecord = Paper | Skipped | Withdrawal
"""A record of a feed: a paper, a withdrawal or a skipped record."""
SHARD_SLOTS = 2**16
_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


ListSort = Literal["newest", "oldest", "title", "upvotes"]
"""The order of `Store.list_papers`."""
FeedSort = Literal["newest", "upvotes"]
"""The order of `Store.list_by_day`: latest day first, or most upvotes first."""


class NoVectorYetError(PaperAgentError):
    """An embedder has no vector for a text yet and will have one later: embedding stops here for now."""


class Candidate(NamedTuple):
    """A paper that one of the indexes returned, with the fields that its exact score is computed from.

    A named tuple and not a dataclass, because a search creates two hundred.
    """

    paper_id: str
    terms: NDArray[np.uint32]
    """Term ids of the title, the title again and the abstract, in order."""
    vector: Vector | None
    """The embedding of exactly this text, or None."""
    day: int | None
    """The paper's date as yyyymmdd, or None if it has none."""


class PaperWithFeatures(NamedTuple):
    """A paper with the terms and the vector that selecting and grouping papers needs."""

    paper: Paper
    terms: NDArray[np.uint32]
    """Term ids of the title, the title again and the abstract, in order."""
    vector: Vector | None
    """The embedding of exactly this text, or None."""
    names: tuple[str, ...]
    """Every id that the paper has or had, the present one first."""
    new: bool
    """Whether the paper appeared in the requested period; otherwise it was only changed in it."""

    @property
    def paper_id(self) -> str:
        """The paper's id."""
        return self.paper.paper_id


class Matching(NamedTuple):
    """Papers that match some conditions."""

    total: int
    papers: list[Paper]
    """The newest or oldest of them."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of `Store.doctor`."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    """Advice to the user if the check failed."""

    @classmethod
    def failed(cls, name: str, error: StoreError) -> Check:
        """Return a failed check with the reason and the advice from an error."""
        what, _, fix = str(error).rpartition("; ")
        return cls(name, False, what or str(error), fix)


@dataclass(frozen=True, slots=True)
class Health:
    """The result of `Store.doctor`."""

    ok: bool
    checks: tuple[Check, ...]

    def failed(self) -> set[str]:
        """Return the names of the checks that failed."""
        return {check.name for check in self.checks if not check.ok}

    def after_repair(self, before: Health, *, damaged_papers: int = 0) -> Health:
        """Return this result with what was wrong ``before``, in each check that failed then and passes now.

        Args:
            before: The result before the repair.
            damaged_papers: How many papers could not be restored.
        """
        damage = {check.name: check.detail for check in before.checks if not check.ok}
        checks = []
        for check in self.checks:
            detail = check.detail
            if check.ok and check.name in damage:
                if damaged_papers and check.name == "papers":
                    detail += f", {damaged_papers} still with damaged text: ingest the feeds again"
                else:
                    detail = f"repaired: {detail}"
                detail += f"; before: {damage[check.name]}"
            checks.append(replace(check, detail=detail))
        return Health(self.ok, tuple(checks))


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal shares of an ingest: share ``number`` (from 1) of ``of``.

    The title decides which share a paper belongs to, regardless of case and punctuation. So records that may
    be the same paper go to the same worker, whichever feed they come from.

    Raises:
        InputError: There is no such share.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= SHARD_SLOTS:
            raise InputError(f"invalid shard {self.number}/{self.of}; use I/N with 1 ≤ I ≤ N ≤ {SHARD_SLOTS}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the share that ``I/N`` names.

        Raises:
            InputError: ``text`` is not of this form, or there is no such share.
        """
        match = _SHARD.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"invalid shard {visible(text, limit=40)}; use I/N, such as 1/4, with N ≤ {SHARD_SLOTS}"
            )
        return cls(int(match[1]), int(match[2]))

    def slots(self) -> tuple[int, int]:
        """Return the first slot of this share and the first slot after it."""
        return -(-(self.number - 1) * SHARD_SLOTS // self.of), -(-self.number * SHARD_SLOTS // self.of)

    def contains(self, paper: Paper) -> bool:
        """Return whether ``paper`` belongs to this share."""
        first, end = self.slots()
        return first <= shard_slot(paper) < end

    def select(self, records: Iterable[FeedRecord]) -> Iterator[FeedRecord]:
        """Yield the papers of this share; the first share also gets every other record."""
        for record in records:
            if self.contains(record) if isinstance(record, Paper) else self.number == 1:
                yield record


def shard_slot(paper: Paper) -> int:
    """Return a number below `SHARD_SLOTS` that is equal for all records with the same title."""
    return crc32(title_key(paper.title).encode()) % SHARD_SLOTS


class Store(Protocol):
    """An open library.

    All methods raise `StoreError` if the library cannot be read or written. Reading works from several
    threads, and while another process writes.
    """

    home: Path
    """A local folder for the library, or for data that belongs to it, such as cached replies of a model."""

    @property
    def embedder_id(self) -> str | None:
        """The embedder whose vectors are searched; None before anything was embedded."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """Release files, connections and threads; a second call does nothing."""
        ...

    # --- papers ---

    def count(self) -> int:
        """Return the number of papers."""
        ...

    def facets(self) -> Facets:
        """Return the range of dates, and the number of papers per feed and category."""
        ...

    def get(self, paper_id: str) -> Paper | None:
        """Return a paper by its present or by a former id, or None if there is none."""
        ...

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers that exist, keyed by the ids that were given, which may be former ones."""
        ...

    def starting_with(self, prefixes: Sequence[str], *, limit: int) -> list[Paper]:
        """Return at most ``limit`` papers with a present or former id that begins with a prefix."""
        ...

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        """Return a paper with one present or former version of its text, or None if there is none.

        Args:
            paper_id: A present or former id.
            content_hash: What `identity.content_hash` returned for that version.
        """
        ...

    def papers(self) -> Iterator[Paper]:
        """Yield every paper."""
        ...

    def list_papers(
        self, filters: Filters = ..., *, sort: ListSort = ..., limit: int | None = ...
    ) -> list[Paper]:
        """Return the papers that ``filters`` admit.

        Args:
            filters: The filters.
            sort: ``newest`` and ``oldest`` sort by `Paper.day`, and papers of one day by the order in which
                they were read. ``upvotes`` puts the most first.
            limit: The maximum number of papers; None for all.
        """
        ...

    def count_matching(self, filters: Filters) -> int:
        """Return the number of papers that ``filters`` admit."""
        ...

    def list_by_day(
        self, filters: Filters = ..., *, sort: FeedSort = ..., limit: int | None = ..., offset: int = ...
    ) -> list[Paper]:
        """Return papers by the day on which they appeared, as in `papers_between`.

        Args:
            filters: The filters; their days are days of appearance.
            sort: Papers of one day, or with equally many upvotes, stay in the order in which they were read.
            limit: The maximum number of papers; None for all.
            offset: The number of papers to leave out first.
        """
        ...

    def count_by_day(self, filters: Filters = ...) -> dict[dt.date, int]:
        """Return the number of papers by the day on which they appeared, latest day first."""
        ...

    def state(self) -> str:
        """Return a value that changes whenever papers are added, changed or removed."""
        ...

    def sample(self, limit: int) -> list[Paper]:
        """Return at most ``limit`` papers, the same ones each time."""
        ...

    def with_further_ids(self, papers: Iterable[Paper]) -> Iterator[Paper]:
        """Yield papers of this library with ``Paper.ids`` filled in."""
        ...

    def papers_between(self, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        """Return the papers that appeared or were changed from ``since`` to ``until``, both included, by id.

        A paper appears on the day on which a feed listed it, else on its date of publication, else on the day
        on which it was first read. A paper that was first read in the period, at most ten days after it
        appeared, counts
        too: the digest of its own day may already have been sent.
        """
        ...

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        """Return the papers that exist with terms and vectors, keyed by the ids that were given."""
        ...

    # --- settings ---

    def get_setting(self, key: str, default: Any = None) -> Any:
        """Return a JSON value that `set_setting` stored, or ``default``."""
        ...

    def set_setting(self, key: str, value: Any) -> None:
        """Store a JSON value with the library."""
        ...

    def record_ingest(self, summary: Mapping[str, Any]) -> None:
        """Store the summary of the last ingest, as `facets.ingest_summary` returns it."""
        ...

    # --- search ---

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int = ..., filters: Filters = ...
    ) -> list[Candidate]:
        """Return the papers that the lexical and the vector index find, in no particular order.

        Args:
            stems: Index terms of the query.
            vector: The query's embedding, shape [dim]; None searches by terms alone.
            limit: The number of papers to take from each index.
            filters: Only papers that these admit are returned.
        """
        ...

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        """Return the library's statistics for BM25.

        Returns:
            The number of papers, the mean number of terms per paper, and for each stem the number of papers
            that contain it.
        """
        ...

    def similar_stems(self, stem: str, distance: int = ...) -> list[str]:
        """Return the stems within an edit distance that start with the same letter, most frequent first."""
        ...

    def matching(
        self,
        *,
        words: Sequence[Sequence[str]] = ...,
        phrase: Phrase | None = ...,
        filters: Filters = ...,
        limit: int = ...,
        oldest_first: bool = ...,
    ) -> Matching:
        """Count the papers that match all conditions, and return the newest or the oldest of them.

        Args:
            words: The words that a paper must contain, each as a list of alternative index terms.
            phrase: A phrase that title or abstract must contain literally.
            filters: The filters.
            limit: The maximum number of papers to return.
            oldest_first: Return the oldest papers instead of the newest.
        """
        ...

    # --- writing ---

    def ingest(
        self, records: Iterable[FeedRecord], *, today: dt.date, progress: Progress | None = ...
    ) -> IngestReport:
        """Add records to the library, in batches; they can then be found by their words.

        Batches that were written are kept, whatever happens later. Reading a feed again changes nothing, so
        an interrupted ingest can simply be repeated.

        Args:
            records: What a feed yields. An error that it raises is raised again after the records before it
                are
                written.
            today: The day on which the records are read.
            progress: Called with ``"index"`` and the number of records read.

        Raises:
            StoreError: Nothing can be written.
        """
        ...

    def remove(self, paper_ids: Iterable[str]) -> None:
        """Remove papers by their present ids, also from the indexes. Reading their feed adds them again."""
        ...

    def pending_texts(self, *, shard: Shard | None = ...) -> Iterator[str]:
        """Yield the texts that have no vector of the active embedder yet."""
        ...

    def embed_pending(
        self,
        embedder: Embedder,
        *,
        progress: Progress | None = ...,
        batch: int | None = ...,
        shard: Shard | None = ...,
    ) -> tuple[int, int]:
        """Embed the texts that have no vector yet.

        An interrupted call can be repeated: finished batches are kept.

        Args:
            embedder: Its vectors; those of two embedders are never mixed.
            progress: Called with ``"embed"``, the number of papers done and their total.
            batch: Texts per batch.
            shard: Embed only this share; on a server alone.

        Returns:
            How many papers got a vector, and how many still have none.

        Raises:
            StoreError: The library holds the vectors of another embedder.
            InputError: ``shard`` is given for a library in a folder.
        """
        ...

    # --- maintenance ---

    def status(self) -> dict[str, Any]:
        """Return the status that ``paperagent status --json`` prints."""
        ...

    def reindex(
        self, *, vectors: bool = ..., embedder: Embedder | None = ..., progress: Progress | None = ...
    ) -> None:
        """Rebuild the indexes, which are derived from the papers.

        Args:
            vectors: Rebuild the vector index too.
            embedder: If it is not the active embedder, it replaces that one, and all papers are embedded
                again.
            progress: Called as for `embed_pending`.
        """
        ...

    def doctor(self, *, repair: bool = ...) -> Health:
        """Check the library and its indexes; with ``repair`` rebuild what fails and check again."""
        ...
