"""A client for a Chroma server: its v2 API over httpx, with retries, a time limit and quotas.

Not chromadb's own client, which has no time limit, reads ``./.env``, takes a second to import, and puts what
a server sends into its exceptions unescaped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit
from zlib import crc32

from paperagent.errors import ConfigError, StoreError, visible
from paperagent.http_limits import LimitedStream, TransientError, limit_connections, retry_after, retrying
from paperagent.library.features import search_width
from paperagent.text.redaction import Redactor
from paperagent.time_limits import Deadline, TooSlowError, current_deadline, interruptible_sleep

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Where = Mapping[str, Any]
"""A filter on metadata or on documents, in Chroma's form."""
PLACEHOLDER_DIM = 2
"""Dimensions of the vectors of records that have no embedding; Chroma stores no record without a vector."""
_CLOUD_URL = "https://api.trychroma.com"
_CONNECT_TIMEOUT = 5.0
_MAX_RETRY_AFTER = 60.0
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


# --- the address ---


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of one request. Those that Chroma Cloud documents are observed on every server."""

    batch: int = 300
    """Records per write and ids per lookup."""
    results: int = 300
    id_bytes: int = 128
    value_bytes: int = 4_096
    document_bytes: int | None = None
    """None: unlimited."""


CLOUD_QUOTAS = Quotas(document_bytes=16_384)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One database on a server."""

    base: str
    """Scheme, host, port and path."""
    tenant: str = "default_tenant"
    database: str = "default_database"
    key: str | None = field(default=None, repr=False)
    quotas: Quotas = Quotas()
    cloud: bool = False

    @classmethod
    def parse(cls, url: str, *, key: str | None = None) -> ServerAddress:
        """Return the address in ``PAPERAGENT_CHROMA_URL``.

        Args:
            url: ``http://…``, ``https://…`` or ``cloud://TENANT/DATABASE``.
            key: The API key.

        Raises:
            ConfigError: The key of Chroma Cloud is missing.
        """
        if not url.startswith("cloud://"):
            parts = urlsplit(url)
            return cls(f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), key=key)
        tenant, _, database = url.removeprefix("cloud://").rstrip("/").partition("/")
        if not key:
            raise ConfigError("PAPERAGENT_CHROMA_KEY: not set; Chroma Cloud needs the key of its database")
        return cls(_CLOUD_URL, tenant, database, key, CLOUD_QUOTAS, cloud=True)

    @property
    def name(self) -> str:
        """The address for messages, without the key."""
        if self.cloud:
            return visible(f"cloud://{self.tenant}/{self.database}", limit=200)
        return visible(self.base, limit=200)

    @property
    def path(self) -> str:
        """The path of the database in the API."""
        return f"/api/v2/tenants/{quote(self.tenant, safe='')}/databases/{quote(self.database, safe='')}"

    def headers(self) -> dict[str, str]:
        """Return the headers with the key: Cloud's own, or a bearer token for a proxy before a server."""
        if not self.key:
            return {}
        return {"x-chroma-token": self.key} if self.cloud else {"Authorization": f"Bearer {self.key}"}

    def redact(self, text: str) -> str:
        """Return the server's ``text`` on one line, shortened, without the key in any encoding."""
        redacted = Redactor([self.key or ""]).redact_message(text)
        return visible(" ".join(redacted.split()), limit=160)


# --- requests ---


class CollectionNotFoundError(StoreError):
    """The server has no such collection."""


class RequestRejectedError(StoreError):
    """The server rejects a request, and would reject it again."""

    def __init__(self, message: str, *, server_message: str) -> None:
        super().__init__(message)
        self.server_message = server_message
        """The server's message, redacted."""


class ChromaClient:
    """Sends JSON requests to one database of a server. Threads may share it.

    Every request is idempotent (read, upsert, delete, get-or-create), so every failed request is retried.

    Args:
        address: The server and the database.
        timeout: Seconds for a request, including retries and pauses.
        sleep: Waits between retries.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._sleep = sleep
        self._http: httpx.Client | None = None
        self._http_lock = threading.Lock()

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        with self._http_lock:
            if self._http is not None:
                self._http.close()
            self._http = None

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON reply.

        Args:
            method: The HTTP method.
            path: Relative to the database; one that starts with ``/api/`` is relative to the server.
            body: A JSON value.

        Raises:
            CollectionNotFoundError: There is no such collection.
            RequestRejectedError: The server rejects the request.
            StoreError: The server cannot be reached, fails repeatedly or sends no JSON.
        """
        full_path = path if path.startswith("/api/") else self.address.path + path
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        send = retrying(timeout=self._timeout, sleep=interruptible_sleep(self._sleep))
        try:
            with Deadline.after(self._timeout).active():
                return send(self._send, method, full_path, content)
        except TransientError as failure:
            raise failure.error from None

    def error(self, why: str, fix: str) -> StoreError:
        """Return a `StoreError` about this server."""
        return StoreError(f"Chroma server {self.address.name}: {why}; {fix}")

    def _send(self, method: str, path: str, content: bytes | None) -> Any:
        import httpx

        seconds_left = max(current_deadline().seconds_left, 0.001)
        timeout = httpx.Timeout(seconds_left, connect=min(_CONNECT_TIMEOUT, seconds_left))
        try:
            response = self._http_client().request(
                method, self.address.base + path, content=content, timeout=timeout
            )
        except (httpx.TimeoutException, TooSlowError):
            raise TransientError(
                self.error("no reply in time", "try again or raise PAPERAGENT_TIMEOUT"), tries=2
            ) from None
        except (httpx.HTTPError, OSError) as error:  # OSError: our own limits
            why = "cannot be reached" if isinstance(error, httpx.ConnectError) else "the connection broke"
            # The text of the error may contain the request; its class says enough.
            fix = "is it running, and is PAPERAGENT_CHROMA_URL right?"
            raise TransientError(self.error(f"{why} ({type(error).__name__})", fix)) from None
        if response.status_code >= 300:
            raise self._status_error(response.status_code, response.content, response.headers)
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            invalid = self.error("sent no valid JSON", "check that PAPERAGENT_CHROMA_URL is a Chroma server")
            raise TransientError(invalid, tries=2) from None

    def _status_error(self, status: int, raw: bytes, headers: Any) -> Exception:
        message = self.address.redact(_message(raw))
        if status in (401, 403):
            return self.error(f"{status}, it refused the key", "check PAPERAGENT_CHROMA_KEY")
        if status == 404:
            return CollectionNotFoundError(
                f"Chroma server {self.address.name}: not found: {message}; check its address"
            )
        if status in _TRANSIENT_STATUSES:
            error = self.error(f"{status}: {message or 'no reason given'}", "try again later")
            wait = retry_after(headers)
            return (
                TransientError(error, wait=wait) if wait is None or 0 <= wait <= _MAX_RETRY_AFTER else error
            )
        if status < 400:
            return self.error(f"{status}, it redirects", "give the address that it redirects to")
        return RequestRejectedError(
            f"Chroma server {self.address.name}: {status}: {message}; check its version and its quotas",
            server_message=message,
        )

    def _http_client(self) -> httpx.Client:
        import httpx

        with self._http_lock:
            if self._http is None:
                headers = {
                    "Content-Type": "application/json",
                    "Accept-Encoding": "identity",  # a small reply may unpack to a huge one
                    **self.address.headers(),
                }
                # Proxies and .netrc of the environment are ignored. A redirect could carry the key elsewhere.
                self._http = httpx.Client(
                    headers=headers,
                    event_hooks={"request": [limit_connections], "response": [LimitedStream.limit]},
                    trust_env=False,
                    follow_redirects=False,
                )
            return self._http


def _message(raw: bytes) -> str:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:300].decode(errors="replace")
    return str(body.get("message") or body.get("error") or "") if isinstance(body, dict) else ""


# --- collections ---


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a collection."""

    id: str
    document: str
    metadata: Mapping[str, Any]
    vector: Sequence[float] | None = None


class Collection:
    """An existing collection. Requests are split so that none exceeds a quota."""

    def __init__(self, client: ChromaClient, description: Mapping[str, Any]) -> None:
        self.client = client
        self.name = str(description["name"])
        self.metadata: Mapping[str, Any] = description.get("metadata") or {}
        self.configuration: Mapping[str, Any] = description.get("configuration_json") or {}
        self._path = f"/collections/{description['id']}"
        self._quotas = client.address.quotas

    @classmethod
    def find(cls, client: ChromaClient, name: str) -> Collection | None:
        """Return the collection with this name, or None."""
        try:
            return cls(client, client.request("GET", f"/collections/{name}"))
        except CollectionNotFoundError:
            return None

    @classmethod
    def get_or_create(cls, client: ChromaClient, name: str, **settings: Any) -> Collection:
        """Return the collection with this name; ``settings`` are used if it is created."""
        body = {"name": name, "get_or_create": True, **settings}
        return cls(client, client.request("POST", "/collections", body))

    def adjust_search_width(self) -> None:
        """Raise the search width (``ef_search``) of an HNSW graph to suit the number of records."""
        current = (self.configuration.get("hnsw") or {}).get("ef_search")
        if current is None:
            return
        width = search_width(self.count(), current)
        if width != current:
            self.client.request("PUT", self._path, {"new_configuration": {"hnsw": {"ef_search": width}}})
            hnsw = {**self.configuration["hnsw"], "ef_search": width}
            self.configuration = {**self.configuration, "hnsw": hnsw}

    def drop(self) -> None:
        """Delete the collection."""
        self.client.request("DELETE", f"/collections/{self.name}")

    def count(self) -> int:
        """Return the number of records."""
        return int(self.client.request("GET", f"{self._path}/count"))

    def get(self, ids: Iterable[str], *, vectors: bool = False) -> dict[str, Record]:
        """Return the records that exist, by id."""
        records: dict[str, Record] = {}
        for part in chunks(dict.fromkeys(ids), self._quotas.batch):
            records.update((r.id, r) for r in self._get({"ids": part}, vectors=vectors))
        return records

    def existing(self, ids: Iterable[str]) -> set[str]:
        """Return the ids that exist."""
        existing: set[str] = set()
        for part in chunks(dict.fromkeys(ids), self._quotas.batch):
            existing.update(self._post("get", {"ids": part, "include": []})["ids"])
        return existing

    def matching(
        self,
        *,
        where: Where | None = None,
        text: Where | None = None,
        limit: int | None = None,
        vectors: bool = False,
    ) -> Iterator[Record]:
        """Yield the records that match filters, reading a page at a time.

        Args:
            where: Filter on the metadata.
            text: Filter on the document.
            limit: Maximum number of records to yield.
            vectors: Read the vectors too.
        """
        start = 0
        while limit is None or start < limit:
            size = self._quotas.results if limit is None else min(self._quotas.results, limit - start)
            body: dict[str, Any] = {"where": where, "where_document": text, "limit": size, "offset": start}
            page = self._get(body, vectors=vectors)
            yield from page
            start += len(page)
            if len(page) < size:
                return

    def ids(self, *, where: Where | None = None) -> list[str]:
        """Return the ids of all records, or of those that match ``where``."""
        ids: list[str] = []
        while True:
            window = {"limit": self._quotas.results, "offset": len(ids)}
            page = self._post("get", {"where": where, "include": [], **window})["ids"]
            ids += page
            if len(page) < self._quotas.results:
                return ids

    def nearest(self, vector: NDArray[np.float32], limit: int, *, where: Where | None = None) -> list[Record]:
        """Return the records nearest to ``vector``, nearest first, with their vectors."""
        body = {
            "query_embeddings": [vector.tolist()],
            "n_results": min(limit, self._quotas.results),
            "where": where,
            "include": ["documents", "metadatas", "embeddings"],
        }
        reply = self._post("query", body)
        return _records({key: (reply.get(key) or [None])[0] for key in _COLUMNS})

    def nearest_ids(self, vector: Sequence[float], limit: int) -> list[str]:
        """Return any number of nearest ids. Chroma Cloud does not allow that."""
        body = {"query_embeddings": [list(vector)], "n_results": limit, "include": []}
        ids: list[str] = self._post("query", body)["ids"][0]
        return ids

    def search(self, plan: Mapping[str, Any]) -> list[Record]:
        """Return the result of one query to the Search API, best first."""
        reply = self._post("search", {"searches": [plan], "read_level": "index_and_wal"})
        return _records({key: (reply.get(key) or [None])[0] for key in _COLUMNS})

    def put(self, records: Sequence[Record]) -> None:
        """Add records, or replace those with the same ids."""
        for part in chunks(records, self._quotas.batch):
            body = {
                "ids": [r.id for r in part],
                "documents": [r.document for r in part],
                "metadatas": [dict(r.metadata) for r in part],
                "embeddings": [list(r.vector or _placeholder_vector(r.id)) for r in part],
            }
            self._post("upsert", body)

    def update_metadata(self, metadata: Mapping[str, Mapping[str, Any]]) -> None:
        """Update the metadata of records by id; document and vector stay."""
        for part in chunks(metadata, self._quotas.batch):
            self._post("update", {"ids": part, "metadatas": [dict(metadata[i]) for i in part]})

    def delete(self, ids: Iterable[str], *, where: Where | None = None) -> None:
        """Delete records; with ``where`` only those of them that match it."""
        for part in chunks(dict.fromkeys(ids), self._quotas.batch):
            self._post("delete", {"ids": part} if where is None else {"ids": part, "where": where})

    def _get(self, body: Mapping[str, Any], *, vectors: bool) -> list[Record]:
        include = ["documents", "metadatas", *(["embeddings"] if vectors else [])]
        return _records(self._post("get", {**body, "include": include}))

    def _post(self, action: str, body: Mapping[str, Any]) -> Any:
        return self.client.request("POST", f"{self._path}/{action}", body)


_COLUMNS = ("ids", "documents", "metadatas", "embeddings")


def _records(columns: Mapping[str, Any]) -> list[Record]:
    ids = columns["ids"] or []
    documents, metadatas, vectors = (columns.get(key) or [None] * len(ids) for key in _COLUMNS[1:])
    return [
        Record(i, document or "", metadata or {}, vector)
        for i, document, metadata, vector in zip(ids, documents, metadatas, vectors, strict=True)
    ]


def _placeholder_vector(name: str) -> list[float]:
    """Return a point on the unit circle that depends on ``name``; equal points would make a bad graph."""
    from math import cos, sin, tau

    angle = crc32(name.encode()) / 2**32 * tau
    return [cos(angle), sin(angle)]


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    remaining = list(items)
    for start in range(0, len(remaining), size):
        yield remaining[start : start + size]
