"""What the rest of paperagent needs of a store: a folder of this machine, or a server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from paperagent.library.candidate import Candidate
from paperagent.library.health import Health
from paperagent.library.period import Arrival
from paperagent.library.shard import Shard
from paperagent.library.withdrawals import Entry
from paperagent.types import Embedder, Filters, IngestReport, Paper, Progress

if TYPE_CHECKING:
    from paperagent.types import Vector


class Store(Protocol):
    """An open library; `LocalStore` and `ServerStore` say what each method does."""

    home: Path
    """A folder of this machine."""

    @property
    def embedder_id(self) -> str | None:
        """The embedder whose vectors are searched; None before the first."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """Release what is open."""
        ...

    def count(self) -> int:
        """Return the number of papers."""
        ...

    def get(self, paper_id: str) -> Paper | None:
        """Return a paper by an id, or None."""
        ...

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers found, under the ids they were asked by."""
        ...

    def get_version(self, paper_id: str, content_hash: str) -> Paper | None:
        """Return a paper with the text of a hash, now or in the past, or None."""
        ...

    def papers(self) -> Iterator[Paper]:
        """Yield every paper."""
        ...

    def sample(self, most: int) -> list[Paper]:
        """Return at most so many papers, the same ones each time."""
        ...

    def named(self, papers: Iterable[Paper]) -> Iterator[Paper]:
        """Yield papers of the library with their further ids."""
        ...

    def within(self, since: dt.date, until: dt.date) -> list[Arrival]:
        """Return what came or was changed in a period."""
        ...

    def arrivals(self, paper_ids: Iterable[str]) -> dict[str, Arrival]:
        """Return papers with terms and vectors."""
        ...

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a JSON value kept with the library."""
        ...

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value with the library."""
        ...

    def candidates(
        self, *, stems: Sequence[str], vector: Vector | None, limit: int = ..., filters: Filters = ...
    ) -> list[Candidate]:
        """Return the papers that vectors and words nominate."""
        ...

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        """Return number of papers, mean number of terms, and how many papers hold each stem."""
        ...

    def fuzzy(self, stem: str, distance: int = ...) -> list[str]:
        """Return the stems within an edit distance, most frequent first."""
        ...

    def status(self) -> dict[str, Any]:
        """Return what `paperagent status --json` prints."""
        ...

    def ingest(
        self, records: Iterable[Entry], *, today: dt.date, progress: Progress | None = ...
    ) -> IngestReport:
        """Read records into the library."""
        ...

    def unembedded(self, *, shard: Shard | None = ...) -> Iterator[str]:
        """Yield the texts that wait for a vector."""
        ...

    def catch_up_vectors(
        self,
        embedder: Embedder,
        *,
        progress: Progress | None = ...,
        batch: int | None = ...,
        shard: Shard | None = ...,
    ) -> tuple[int, int]:
        """Embed what has no vector, ``batch`` texts at a time; return (added, pending)."""
        ...

    def reindex(
        self, *, vectors: bool = ..., embedder: Embedder | None = ..., progress: Progress | None = ...
    ) -> None:
        """Rebuild what is derived from the papers."""
        ...

    def doctor(self, *, repair: bool = ...) -> Health:
        """Examine the library; with ``repair`` rebuild what does not agree with it."""
        ...
