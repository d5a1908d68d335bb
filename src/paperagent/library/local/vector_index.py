"""The vector index: one Chroma collection of our own vectors of the abstracts, with title, day and tags.

The texts stay in the library, whole and once: as Chroma's documents nothing would read them, and they
would cost 11 kB a paper, of 12, and three quarters of the time.

What Chroma 1.5.9 does by itself and must not do here: read ``./.env``, make a new database where
the old one is lost, download a model, serve an outdated index after another process wrote.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import PaperAgentError, StoreError, visible
from paperagent.library.local.chroma_files import DATABASE, REPAIR, check_files
from paperagent.library.stored_vectors import sound
from paperagent.storage.sqlite import display_path, store_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector

COLLECTION = "papers"
GRAPH = {"space": "cosine", "max_neighbors": 24, "ef_construction": 200, "ef_search": 250}
"""Of 74,728 papers Chroma's defaults find .85 of the 100 nearest to a question and leave three unreachable;
these find .97 and reach all, in 2.6 ms a query instead of 1.7. `search_width` raises ``ef_search``."""
LARGEST_BATCH = 2_000
"""Chroma takes 5,461 at most; smaller ones cost nothing."""
_PAGE = 50_000
"""Ids read at once: Chroma counts its way to each page from the first row."""
_STEP = 1.1
"""So much wider is worth a change of the settings."""
_OPENING = threading.Lock()
_open_paths: set[str] = set()


@dataclass(frozen=True, slots=True)
class Item:
    """A paper as the vector index holds it."""

    paper_id: str
    vector: NDArray[np.floating]
    metadata: dict[str, str | int | list[str]]


class VectorIndex:
    """An open Chroma collection in ``folder``.

    Raises `StoreError` where there is none (unless ``create``), it is damaged, or it holds the
    vectors of another embedder.
    """

    def __init__(self, folder: Path, *, embedder_id: str, dim: int, create: bool = False) -> None:
        self._folder = folder
        self._what = f"vector index {display_path(folder)}"
        self._dim = dim
        self._lock = threading.RLock()
        self._expected = {"embedder": embedder_id, "dim": dim}
        if create and not (folder / DATABASE).exists():
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            check_files(folder, self._what)
            create = False
        self._open(create=create)

    def _open(self, *, create: bool) -> None:
        with _chroma(self._what):
            self._client, self._path = _new_client(self._folder)
            try:
                self._collection = self._create() if create else self._get()
            except BaseException:
                self.close()
                raise

    def _create(self) -> Any:
        return self._client.create_collection(
            COLLECTION,
            embedding_function=None,
            configuration={"hnsw": GRAPH},
            metadata=self._expected,
        )

    def _get(self) -> Any:
        from chromadb.errors import NotFoundError

        try:
            collection = self._client.get_collection(COLLECTION, embedding_function=None)
        except NotFoundError as error:
            raise StoreError(f"{self._what}: its collection is missing; {REPAIR}") from error
        held = collection.metadata or {}
        for key, wanted in self._expected.items():
            if held.get(key) != wanted:
                raise StoreError(
                    f"{self._what}: made for {key} {visible(str(held.get(key)))}, "
                    f"not {visible(str(wanted))}; run 'paperagent reindex'"
                )
        space = collection.configuration_json.get("hnsw", {}).get("space")
        if space != "cosine":
            raise StoreError(
                f"{self._what}: made for {visible(str(space))} distance, not cosine; run 'paperagent reindex'"
            )
        return collection

    def reopen(self) -> None:
        """See what another process wrote: an open client never does."""
        with self._lock:
            self.close()
            check_files(self._folder, self._what)
            self._open(create=False)

    def load(self) -> None:
        """Read the graph files now, rather than at the first query."""
        self._anywhere(1)

    def close(self) -> None:
        """Release the files; a second call does nothing."""
        with self._lock:
            if self._path:
                self._client.close()
                _open_paths.discard(self._path)
            self._path = ""  # another index may have the path from now on

    def put(self, items: Sequence[Item]) -> None:
        """Add papers, in place of what the index holds under their ids.

        Replaced rows are deleted first: Chroma's upsert of held rows is ten times slower.
        Raises `InputError` for a vector that is zero, not finite or of the wrong size.
        """
        import numpy as np

        for start in range(0, len(items), LARGEST_BATCH):
            part = items[start : start + LARGEST_BATCH]
            vectors = np.stack(
                [sound(item.vector, self._dim, f"paper {visible(item.paper_id)}") for item in part]
            )
            ids = [item.paper_id for item in part]
            self.delete(ids)
            with self._lock, _chroma(self._what):
                self._collection.add(
                    ids=ids,
                    embeddings=vectors,
                    metadatas=[item.metadata for item in part],
                )

    def fit(self) -> None:
        """Let searches look as widely as the number of papers asks for."""
        with self._lock, _chroma(self._what):
            held = self._collection.configuration_json["hnsw"]["ef_search"]
            wanted = search_width(self._collection.count(), held)
            if wanted != held:
                with warnings.catch_warnings():  # of "legacy" collections, which are all that bring vectors
                    warnings.simplefilter("ignore", DeprecationWarning)
                    self._collection.modify(configuration={"hnsw": {"ef_search": wanted}})

    def delete(self, paper_ids: Sequence[str]) -> None:
        """Drop those of the papers that the index holds."""
        for start in range(0, len(paper_ids), LARGEST_BATCH):
            with self._lock, _chroma(self._what):
                held = self._collection.get(ids=list(paper_ids[start : start + LARGEST_BATCH]), include=[])[
                    "ids"
                ]
                if held:
                    self._collection.delete(ids=held)

    def query(self, vector: Vector, limit: int) -> list[tuple[str, float]]:
        """Return ids and cosines of the papers nearest to ``vector``, best first."""
        checked = sound(vector, self._dim, "query")
        if limit < 1:
            return []
        with self._lock, _chroma(self._what):
            found = self._collection.query(
                query_embeddings=checked[None, :], n_results=limit, include=["distances"]
            )
        return [(i, 1.0 - float(d)) for i, d in zip(found["ids"][0], found["distances"][0], strict=True)]

    def count(self) -> int:
        """Return the number of rows that Chroma's database holds."""
        with self._lock, _chroma(self._what):
            return int(self._collection.count())

    def ids(self) -> set[str]:
        """Return the ids that Chroma's database holds."""
        found: set[str] = set()
        with self._lock, _chroma(self._what):
            while page := self._collection.get(limit=_PAGE, offset=len(found), include=[])["ids"]:
                found.update(page)
        return found

    def reachable(self) -> set[str]:
        """Return the ids that a search can find: fewer than `ids` where a file of the graph is lost."""
        total = self.count()
        return set(self._anywhere(total)) if total else set()

    def _anywhere(self, limit: int) -> list[str]:
        import numpy as np

        vector = np.full((1, self._dim), self._dim**-0.5, np.float32)
        with self._lock, _chroma(self._what):
            found = self._collection.query(query_embeddings=vector, n_results=limit, include=[])["ids"][0]
        return [str(paper_id) for paper_id in found]


def search_width(papers: int, held: int) -> int:
    """Return how many papers a search of Chroma's graph should look at (``ef_search``); ``held`` is in use.

    The square root of twice their number. Of 250,000 papers 250 find .968 of the 10 nearest in 2.9 ms, 500
    find .995 in 4.1 ms; of a million 1,000 find .992 and miss all 10 of one question in 200, 1,500 find .999.
    """
    wanted = math.isqrt(2 * papers)
    return wanted if wanted > _STEP * held else held


def installed_version() -> str:
    """Return Chroma's version."""
    return version("chromadb")


def check_version(made_by: str | None, folder: Path) -> None:
    """Raise `StoreError` where a newer Chroma, or one of another major version, wrote the index."""
    if made_by is None:
        return
    made, here = (
        tuple(int(n) for n in v.split(".")[:2] if n.isdecimal()) for v in (made_by, installed_version())
    )
    if made > here or made[:1] != here[:1]:
        raise StoreError(
            f"vector index {display_path(folder)}: made by Chroma {visible(made_by)}, "
            f"this is {installed_version()}; install that version, or run 'paperagent reindex'"
        )


def _new_client(folder: Path) -> tuple[Any, str]:
    """Return a client that shares nothing with another one of this process, and its path.

    Chroma keeps one system a path and process, and never tells it what other processes wrote.
    A client of its own spelling of the path has its own system, which closing it ends.
    """
    with _OPENING, _no_environment():
        import chromadb

        path = str(folder)
        while path in _open_paths:
            path += "/."
        client = chromadb.PersistentClient(
            path, settings=chromadb.config.Settings(anonymized_telemetry=False)
        )
        _open_paths.add(path)
        return client, path


@contextmanager
def _no_environment() -> Iterator[None]:
    """Keep Chroma's settings from reading the environment and ``./.env``, on import and after.

    Both belong to whatever project the person stands in: an unprefixed ``CHROMA_SERVER_HTTP_PORT=abc``
    there, or a file in another encoding, ends ``import chromadb`` with an error.
    """
    from pydantic import BaseModel
    from pydantic_settings import BaseSettings

    settings: Any = BaseSettings
    original = settings.__init__

    def plain(self: BaseSettings, *args: Any, **values: Any) -> None:
        if type(self).__module__.partition(".")[0] == "chromadb":
            BaseModel.__init__(self, **values)
        else:
            original(self, *args, **values)

    settings.__init__ = plain
    try:
        yield
    finally:
        settings.__init__ = original


@contextmanager
def _chroma(what: str) -> Iterator[None]:
    """Turn whatever Chroma raises into `StoreError`; its Rust panics are no `Exception`."""
    try:
        yield
    except (PaperAgentError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        otherwise = f"damaged: Chroma cannot use it; {REPAIR}"
        raise store_error(what, error, damaged=REPAIR, otherwise=otherwise) from error
