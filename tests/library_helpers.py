"""Papers, an embedder and stores for the tests of the library."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from paperagent.library import LocalStore, Store
from paperagent.library.server import ServerAddress, ServerStore
from paperagent.types import IngestReport, Paper

if TYPE_CHECKING:
    from numpy.typing import NDArray

TODAY = dt.date(2026, 7, 1)
TOPICS = ("retrieval", "translation", "robotics", "vision", "speech", "planning", "proteins", "graphs")
NOBODY = 65534
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])),
}
"""For a Python process that imports this module."""


def paper(number: int, **changes: object) -> Paper:
    """Return paper ``number``: on one of eight topics, published a day after the previous one."""
    topic = TOPICS[number % len(TOPICS)]
    original = Paper(
        paper_id=f"2601.{number:05d}",
        arxiv_id=f"2601.{number:05d}",
        title=f"Study number {number} of {topic}",
        abstract=f"We study {topic} with the method m{number}. It improves {topic} by {number % 90} percent.",
        authors=("Ada Example",),
        published=dt.date(2026, 1, 1) + dt.timedelta(days=number % 180),
        categories=("cs.CL", "stat.ML") if number % 2 else ("cs.RO",),
        url=f"https://arxiv.org/abs/2601.{number:05d}",
        sources=("test-feed",),
    )
    return replace(original, **changes)  # type: ignore[arg-type]


def papers(count: int, start: int = 0) -> list[Paper]:
    """Return papers ``start`` to ``start + count - 1``."""
    return [paper(n) for n in range(start, start + count)]


class FakeEmbedder:
    """An embedder that hashes words: texts that share words have similar vectors."""

    def __init__(self, embedder_id: str = "fake", dim: int = 16) -> None:
        self.embedder_id = embedder_id
        self.dim = dim
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """Yield one unit vector per text."""
        for text in texts:
            self.texts.append(text)
            yield self.one(text)

    def one(self, text: str) -> NDArray[np.float32]:
        """Return the vector of one text."""
        total = sum((self._word(w) for w in text.lower().split()), np.full(self.dim, 1e-3))
        return (total / np.linalg.norm(total)).astype(np.float32)

    def _word(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest())
        return np.random.default_rng(seed).normal(size=self.dim)


class Place(Protocol):
    """A place for a library: a folder or a server."""

    def open(self, *, create: bool = False) -> LocalStore | ServerStore:
        """Open the library."""
        ...


class FolderPlace:
    """A folder on this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def open(self, *, create: bool = False) -> LocalStore:
        """Open the library."""
        return LocalStore(self.home, create=create)


class ServerPlace:
    """A server, with a prefix for the names of the collections."""

    def __init__(self, url: str, home: Path, prefix: str) -> None:
        self.url = url
        self.home = home
        self.prefix = prefix

    def open(self, *, create: bool = False) -> ServerStore:
        """Open the library."""
        return ServerStore(ServerAddress.parse(self.url), home=self.home, prefix=self.prefix, create=create)


def filled_store(home: Path, count: int = 40, *, embedder: FakeEmbedder | None = None) -> LocalStore:
    """Return an open store with ``count`` papers, embedded if there is an embedder."""
    store = LocalStore(home, create=True)
    fill(store, count, embedder=embedder)
    return store


def fill(store: Store, count: int = 40, *, embedder: FakeEmbedder | None = None) -> None:
    """Ingest ``count`` papers, and embed them if there is an embedder."""
    ingest(store, papers(count))
    if embedder:
        store.embed_pending(embedder)


def ingest(store: Store, records: Iterable[Paper]) -> IngestReport:
    """Ingest as of `TODAY`."""
    return store.ingest(records, today=TODAY)


def candidate_ids(store: Store, **query: object) -> set[str]:
    """Return the ids of the candidates."""
    query = {"stems": [], "vector": None} | query
    return {c.paper_id for c in store.candidates(**query)}  # type: ignore[arg-type]


def run_python(code: str, *args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in another process that can import the modules of this folder."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env=ENVIRONMENT,
    )


@contextmanager
def without_privileges() -> Iterator[None]:
    """Run the block without root's privileges, which would override all permissions."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
