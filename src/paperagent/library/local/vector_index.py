"""The vector index: one Chroma collection with the vectors of the papers, their title, date and tags.

The texts stay in ``library.db``. Nothing reads them from Chroma, where they would take 11 of 12 kB per paper
and three quarters of the time.

This module prevents some default behavior of Chroma 1.5.9: it reads ``./.env``, creates a new database if the
old one is lost, downloads a model, and serves an outdated index after another process has written. It ends
the process if a graph file is truncated or has grown to terabytes, so all files are checked before Chroma
opens them. Nothing is unpickled.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paperagent.errors import PaperAgentError, StoreError, display_path, visible
from paperagent.library.features import HNSW_SETTINGS, check_vector, search_width
from paperagent.library.local.database import REPAIR
from paperagent.storage.sqlite import connect, require_files, store_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Vector

COLLECTION = "papers"
DATABASE = "chroma.sqlite3"
_MAX_BATCH = 2_000
"""Chroma accepts 5,461 at most; smaller batches are not slower."""
_PAGE = 50_000
"""Ids read at once; Chroma counts from the first row to the start of each page."""
_HEADER = struct.Struct("<i6QiIQ")
"""The header of hnswlib's files as Chroma writes it: version, offset of level 0, maximum and current number
of elements, bytes per element, offsets of label and data, highest level, first element, links per level."""
_HEADER_VERSION = 1
_NUMBER_BYTES = 4
"""Size of a length or a link."""
_FILES_OF_CHROMA = 16
"""Minimum free file descriptors. With fewer, Chroma fails with various errors that look like damage."""
_CHECKS, _CHECK_PAUSE = 20, 0.05
"""Another process may be writing the files, so a wrong size is checked again for a second."""
_OPENING = threading.Lock()
_open_paths: set[str] = set()


@dataclass(frozen=True, slots=True)
class VectorEntry:
    """A paper as the vector index stores it."""

    paper_id: str
    vector: NDArray[np.floating]
    metadata: dict[str, str | int | list[str]]


class VectorIndex:
    """An open Chroma collection in ``folder``.

    Raises:
        StoreError: There is no collection (unless ``create``), it is damaged, or it holds the vectors of
            another
            embedder.
    """

    def __init__(self, folder: Path, *, embedder_id: str, dim: int, create: bool = False) -> None:
        self._folder = folder
        self._description = f"vector index {display_path(folder)}"
        self._dim = dim
        self._lock = threading.RLock()
        self._expected = {"embedder": embedder_id, "dim": dim}
        if create and not (folder / DATABASE).exists():
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            check_files(folder, self._description)
            create = False
        self._open(create=create)

    def _open(self, *, create: bool) -> None:
        require_files(_FILES_OF_CHROMA, self._description)
        with _chroma(self._description):
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
            configuration={"hnsw": HNSW_SETTINGS},
            metadata=self._expected,
        )

    def _get(self) -> Any:
        from chromadb.errors import NotFoundError

        try:
            collection = self._client.get_collection(COLLECTION, embedding_function=None)
        except NotFoundError as error:
            raise StoreError(f"{self._description}: its collection is missing; {REPAIR}") from error
        schema = collection._model.serialized_schema  # noqa: SLF001 - `schema` would create the function
        if _names_function([collection.configuration_json, schema]):
            raise StoreError(f"{self._description}: its collection names an embedding function; {REPAIR}")
        metadata = collection.metadata or {}
        for key, expected in self._expected.items():
            if metadata.get(key) != expected:
                raise StoreError(
                    f"{self._description}: made for {key} {visible(str(metadata.get(key)))}, "
                    f"not {visible(str(expected))}; run 'paperagent reindex'"
                )
        space = collection.configuration_json.get("hnsw", {}).get("space")
        if space != "cosine":
            raise StoreError(
                f"{self._description}: made for {visible(str(space))} distance, not cosine; "
                "run 'paperagent reindex'"
            )
        return collection

    def load(self) -> None:
        """Read the graph files now instead of at the first query."""
        self._reachable_ids(1)

    def close(self) -> None:
        """Release the files; a second call does nothing."""
        with self._lock:
            if self._path:
                self._client.close()
                _open_paths.discard(self._path)
            self._path = ""  # another index may use the path from now on

    def put(self, entries: Sequence[VectorEntry]) -> None:
        """Add papers, or replace them if the index has their ids.

        Replaced rows are deleted first, because Chroma's upsert of existing rows is ten times slower.

        Raises:
            InputError: A vector is zero, not finite or of the wrong size.
        """
        import numpy as np

        for start in range(0, len(entries), _MAX_BATCH):
            part = entries[start : start + _MAX_BATCH]
            vectors = np.stack(
                [check_vector(e.vector, self._dim, f"paper {visible(e.paper_id)}") for e in part]
            )
            ids = [entry.paper_id for entry in part]
            self.delete(ids)
            with self._lock, _chroma(self._description):
                self._collection.add(
                    ids=ids,
                    embeddings=vectors,
                    metadatas=[entry.metadata for entry in part],
                )

    def adjust_search_width(self) -> None:
        """Raise the search width (``ef_search``) to suit the number of papers."""
        with self._lock, _chroma(self._description):
            current = self._collection.configuration_json["hnsw"]["ef_search"]
            width = search_width(self._collection.count(), current)
            if width != current:
                with warnings.catch_warnings():  # Chroma calls every collection without embedder "legacy"
                    warnings.simplefilter("ignore", DeprecationWarning)
                    self._collection.modify(configuration={"hnsw": {"ef_search": width}})

    def delete(self, paper_ids: Sequence[str]) -> None:
        """Delete those of the papers that the index has."""
        for start in range(0, len(paper_ids), _MAX_BATCH):
            part = list(paper_ids[start : start + _MAX_BATCH])
            with self._lock, _chroma(self._description):
                existing = self._collection.get(ids=part, include=[])["ids"]
                if existing:
                    self._collection.delete(ids=existing)

    def query(self, vector: Vector, limit: int) -> list[tuple[str, float]]:
        """Return ids and cosines of the papers nearest to ``vector``, nearest first."""
        checked = check_vector(vector, self._dim, "query")
        if limit < 1:
            return []
        with self._lock, _chroma(self._description):
            reply = self._collection.query(
                query_embeddings=checked[None, :], n_results=limit, include=["distances"]
            )
        return [(i, 1.0 - float(d)) for i, d in zip(reply["ids"][0], reply["distances"][0], strict=True)]

    def count(self) -> int:
        """Return the number of rows in Chroma's database."""
        with self._lock, _chroma(self._description):
            return int(self._collection.count())

    def ids(self) -> set[str]:
        """Return the ids in Chroma's database."""
        ids: set[str] = set()
        with self._lock, _chroma(self._description):
            while page := self._collection.get(limit=_PAGE, offset=len(ids), include=[])["ids"]:
                ids.update(page)
        return ids

    def reachable(self) -> set[str]:
        """Return the ids that a search can find: fewer than `ids` if a file of the graph is lost."""
        total = self.count()
        return set(self._reachable_ids(total)) if total else set()

    def _reachable_ids(self, limit: int) -> list[str]:
        import numpy as np

        vector = np.full((1, self._dim), self._dim**-0.5, np.float32)
        with self._lock, _chroma(self._description):
            ids = self._collection.query(query_embeddings=vector, n_results=limit, include=[])["ids"][0]
        return [str(paper_id) for paper_id in ids]


def _names_function(stored: object) -> bool:
    """Return whether the stored configuration or schema of a collection names an embedding function.

    Ours have none. Chroma would create the function, with its stored settings, when papers are added.
    """
    if isinstance(stored, list):
        return any(map(_names_function, stored))
    if not isinstance(stored, dict):
        return False
    function = stored.get("embedding_function")
    named = isinstance(function, dict) and function.get("type") != "legacy" and "name" in function
    return named or any(map(_names_function, stored.values()))


def installed_version() -> str:
    """Return Chroma's version."""
    return version("chromadb")


def check_version(made_by: str | None, folder: Path) -> None:
    """Raise `StoreError` if a newer Chroma, or one of another major version, wrote the index."""
    if made_by is None:
        return
    writer, installed = (
        tuple(int(n) for n in v.split(".")[:2] if n.isdecimal()) for v in (made_by, installed_version())
    )
    if writer > installed or writer[:1] != installed[:1]:
        raise StoreError(
            f"vector index {display_path(folder)}: made by Chroma {visible(made_by)}, "
            f"this is {installed_version()}; install that version, or run 'paperagent reindex'"
        )


def _new_client(folder: Path) -> tuple[Any, str]:
    """Return a client that is independent of the other clients of this process, and its path.

    Chroma keeps one system per process and path, which never sees what other processes wrote. A client with
    another spelling of the path has its own system, which ends when the client is closed.
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
    """Keep Chroma's settings from reading the environment and ``./.env``, on import and later.

    Both belong to the project in the working directory. With ``CHROMA_SERVER_HTTP_PORT=abc``, or a file in
    another encoding, ``import chromadb`` fails.
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
    """Raise `StoreError` for every error of Chroma, including Rust panics, which are no `Exception`."""
    try:
        yield
    except (PaperAgentError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        otherwise = f"damaged: Chroma cannot use it; {REPAIR}"
        raise store_error(what, error, damaged=REPAIR, otherwise=otherwise) from error


# --- Chroma's files ---


def check_files(folder: Path, what: str) -> None:
    """Raise `StoreError` if the database is missing, empty or not one, or graph files have the wrong size."""
    _check_database(folder / DATABASE, what)
    for header in folder.glob("*/header.bin"):
        for attempt in range(_CHECKS):
            if _has_right_size(header):
                break
            if attempt + 1 == _CHECKS:
                raise StoreError(f"{what}: damaged: a file of its graph has the wrong size; {REPAIR}")
            time.sleep(_CHECK_PAUSE)


def _check_database(path: Path, what: str) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise StoreError(f"{what}: damaged: {DATABASE} is missing; {REPAIR}") from None
    except OSError as error:
        raise store_error(what, error, damaged=REPAIR) from error
    if head != b"SQLite format 3\0":
        why = "is empty" if not head else "is not a database"
        raise StoreError(f"{what}: damaged: {DATABASE} {why}; {REPAIR}")


def _has_right_size(header: Path) -> bool:
    """Return whether the files beside ``header`` have the sizes that it implies."""
    try:
        with header.open("rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return False
        version, _, maximum, count, size, label, data, levels, first, links = _HEADER.unpack(head)
        if version != _HEADER_VERSION:
            return True
        names = ("data_level0.bin", "length.bin", "link_lists.bin")
        level0, lengths, lists = (header.with_name(name).stat().st_size for name in names)
    except OSError:
        return False
    consistent = count <= maximum and data <= label <= size and (first < count or not count)
    max_links = count * _NUMBER_BYTES * (1 + max(0, levels) * (1 + links))
    return (
        consistent
        and count * size <= level0 <= maximum * size
        and count * _NUMBER_BYTES <= lengths
        and lists <= max_links
    )


def check_integrity(folder: Path, what: str) -> None:
    """Raise `StoreError` if SQLite finds damage in the database, which takes seconds for a large one.

    Chroma does not check it, and a flipped byte can end the process.
    """
    try:
        with closing(connect(folder / DATABASE, mode="rw", timeout=5.0)) as connection:
            connection.text_factory = bytes  # the report may quote damaged text
            report = connection.execute("PRAGMA integrity_check(1)").fetchone()[0].decode(errors="replace")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # an error that quotes damaged text
        raise store_error(what, error, damaged=REPAIR, otherwise=f"damaged; {REPAIR}") from error
    if report != "ok":
        raise StoreError(f"{what}: damaged: {visible(report.splitlines()[-1], limit=100)}; {REPAIR}")
