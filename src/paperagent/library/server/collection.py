"""One collection of a Chroma server, in requests that keep to the quotas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from paperagent.library.local.vector_index import search_width
from paperagent.library.server.connection import Connection, NotFoundError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Where = Mapping[str, Any]
FLAT = 2
"""Dimensions of what has no meaning as a vector: Chroma holds no record without one."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the server holds it."""

    id: str
    document: str
    metadata: Mapping[str, Any]
    vector: Sequence[float] | None = None


class Collection:
    """An existing collection."""

    def __init__(self, connection: Connection, described: Mapping[str, Any]) -> None:
        self.connection = connection
        self.name = str(described["name"])
        self.metadata: Mapping[str, Any] = described.get("metadata") or {}
        self.configuration: Mapping[str, Any] = described.get("configuration_json") or {}
        self._path = f"/collections/{described['id']}"
        self._quotas = connection.address.quotas

    @classmethod
    def find(cls, connection: Connection, name: str) -> Collection | None:
        """Return the collection of that name, or None."""
        try:
            return cls(connection, connection.ask("GET", f"/collections/{name}"))
        except NotFoundError:
            return None

    @classmethod
    def make(cls, connection: Connection, name: str, **settings: Any) -> Collection:
        """Return the collection of that name, made with ``settings`` where there is none."""
        body = {"name": name, "get_or_create": True, **settings}
        return cls(connection, connection.ask("POST", "/collections", body))

    def fit(self) -> None:
        """Let searches look as widely as the number of records asks for, where there is a graph to search."""
        held = (self.configuration.get("hnsw") or {}).get("ef_search")
        if held is None:
            return
        wanted = search_width(self.count(), held)
        if wanted != held:
            body = {"new_configuration": {"hnsw": {"ef_search": wanted}}}
            self.connection.ask("PUT", self._path, body)
            self.configuration = {
                **self.configuration,
                "hnsw": {**self.configuration["hnsw"], "ef_search": wanted},
            }

    def drop(self) -> None:
        """Delete the collection with all it holds."""
        self.connection.ask("DELETE", f"/collections/{self.name}")

    def count(self) -> int:
        """Return the number of records."""
        return int(self.connection.ask("GET", f"{self._path}/count"))

    def get(self, ids: Iterable[str], *, vectors: bool = False) -> dict[str, Record]:
        """Return the records found, by id."""
        found: dict[str, Record] = {}
        for part in parts(dict.fromkeys(ids), self._quotas.batch):
            found.update((r.id, r) for r in self._got({"ids": part}, vectors=vectors))
        return found

    def held(self, ids: Iterable[str]) -> set[str]:
        """Return those ids that the collection holds."""
        found: set[str] = set()
        for part in parts(dict.fromkeys(ids), self._quotas.batch):
            found.update(self._post("get", {"ids": part, "include": []})["ids"])
        return found

    def matching(
        self,
        *,
        where: Where | None = None,
        text: Where | None = None,
        limit: int | None = None,
        vectors: bool = False,
    ) -> Iterator[Record]:
        """Yield the records that ``where`` and ``text`` admit, a page at a time, at most ``limit``."""
        start = 0
        while limit is None or start < limit:
            size = self._quotas.results if limit is None else min(self._quotas.results, limit - start)
            body: dict[str, Any] = {"where": where, "where_document": text, "limit": size, "offset": start}
            page = self._got(body, vectors=vectors)
            yield from page
            start += len(page)
            if len(page) < size:
                return

    def ids(self, *, where: Where | None = None) -> list[str]:
        """Return the ids of all records, or of those that ``where`` admits."""
        found: list[str] = []
        while True:
            window = {"limit": self._quotas.results, "offset": len(found)}
            page = self._post("get", {"where": where, "include": [], **window})["ids"]
            found += page
            if len(page) < self._quotas.results:
                return found

    def nearest(self, vector: NDArray[np.float32], limit: int, *, where: Where | None = None) -> list[Record]:
        """Return the records nearest to ``vector``, best first, with their vectors."""
        body = {
            "query_embeddings": [vector.tolist()],
            "n_results": min(limit, self._quotas.results),
            "where": where,
            "include": ["documents", "metadatas", "embeddings"],
        }
        reply = self._post("query", body)
        columns = {key: (reply.get(key) or [None])[0] for key in _COLUMNS}
        return _records(columns)

    def nearest_ids(self, vector: Sequence[float], limit: int) -> list[str]:
        """Return any number of the nearest ids, which only a server of one's own gives."""
        body = {"query_embeddings": [list(vector)], "n_results": limit, "include": []}
        found: list[str] = self._post("query", body)["ids"][0]
        return found

    def search(self, plan: Mapping[str, Any]) -> list[Record]:
        """Return what the Search API finds by one plan, best first."""
        reply = self._post("search", {"searches": [plan], "read_level": "index_and_wal"})
        return _records({key: (reply.get(key) or [None])[0] for key in _COLUMNS})

    def put(self, records: Sequence[Record]) -> None:
        """Write records, in place of what stands under their ids."""
        for part in parts(records, self._quotas.batch):
            body = {
                "ids": [r.id for r in part],
                "documents": [r.document for r in part],
                "metadatas": [dict(r.metadata) for r in part],
                "embeddings": [list(r.vector or flat(r.id)) for r in part],
            }
            self._post("upsert", body)

    def describe(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the metadata of records by id; document and vector stay."""
        for part in parts(metadata, self._quotas.batch):
            self._post("update", {"ids": part, "metadatas": [dict(metadata[i]) for i in part]})

    def delete(self, ids: Iterable[str], *, where: Where | None = None) -> None:
        """Drop records; with ``where`` only those of them that it admits."""
        for part in parts(dict.fromkeys(ids), self._quotas.batch):
            self._post("delete", {"ids": part} if where is None else {"ids": part, "where": where})

    def _got(self, body: Mapping[str, Any], *, vectors: bool) -> list[Record]:
        include = ["documents", "metadatas", *(["embeddings"] if vectors else [])]
        return _records(self._post("get", {**body, "include": include}))

    def _post(self, verb: str, body: Mapping[str, Any]) -> Any:
        return self.connection.ask("POST", f"{self._path}/{verb}", body)


_COLUMNS = ("ids", "documents", "metadatas", "embeddings")


def _records(columns: Mapping[str, Any]) -> list[Record]:
    ids = columns["ids"] or []
    documents, metadatas, vectors = (columns.get(key) or [None] * len(ids) for key in _COLUMNS[1:])
    return [
        Record(i, document or "", metadata or {}, vector)
        for i, document, metadata, vector in zip(ids, documents, metadatas, vectors, strict=True)
    ]


def flat(name: str) -> list[float]:
    """Return a point on the unit circle, spread by name: equal points would make a bad graph."""
    from math import cos, sin, tau

    angle = crc32(name.encode()) / 2**32 * tau
    return [cos(angle), sin(angle)]


def parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the items in lists of at most ``size``."""
    whole = list(items)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
