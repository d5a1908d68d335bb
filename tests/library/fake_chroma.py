"""A Chroma server inside the tests: its v2 API over dictionaries, with Cloud's quotas, key and Search API.

What `chroma run` cannot show: refusals by quota, a key, words and vectors fused, and faults on demand.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

import numpy as np

KEY = "ck-secret/key+of=cloud"
_PATH = re.compile(r"/api/v2/tenants/([^/]+)/databases/([^/]+)(/.*)")


@dataclass
class Fault:
    """What is answered instead."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    cut: bool = False


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeChroma:
    """Serves on a free port of this machine while the block lasts."""

    def __init__(self, *, cloud: bool = True) -> None:
        self.cloud = cloud
        self.collections: dict[str, dict[str, Any]] = {}
        self.seen: list[Seen] = []
        self.faults: deque[Fault] = deque()
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Seen) -> tuple[int, Any]:
        """Return status and reply."""
        if request.path == "/api/v2/version":
            return 200, "1.0.0"
        match = _PATH.fullmatch(request.path)
        if match is None:
            return 404, _error("no such route")
        if self.cloud and request.headers.get("x-chroma-token") != KEY:
            return 401, _error("Unauthorized")
        if self.cloud and (unquote(match[1]), unquote(match[2])) != ("team", "papers"):
            return 404, _error("no such database")
        with self.lock:
            return self._route(request, match[3].strip("/").split("/"))

    def _route(self, request: Seen, parts: list[str]) -> tuple[int, Any]:
        if len(parts) == 1:
            return self._create(request.body)
        known = self.collections.get(parts[1])
        if known is None:
            known = next((c for c in self.collections.values() if c["id"] == parts[1]), None)
        if known is None:
            return 404, _error(f"Collection [{parts[1]}] does not exist")
        if request.method == "DELETE":
            self.collections.pop(parts[1])
            return 200, {}
        if len(parts) == 2:
            return 200, known["shown"]
        problem = self._over_quota(request.body or {})
        if problem:
            return 400, _error(f"Quota exceeded: {problem}")
        return getattr(self, f"_{parts[2]}")(known["rows"], request.body)

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        if "schema" in body and not self.cloud:
            return 400, _error("Invalid schema input: Sparse vector indexing is not enabled in local")
        made = {"id": str(uuid.uuid4()), "rows": {}}
        known = self.collections.setdefault(body["name"], made)
        known.setdefault("shown", {"id": known["id"], "name": body["name"], "metadata": body.get("metadata")})
        return 200, known["shown"]

    def _over_quota(self, body: dict[str, Any]) -> str | None:
        if not self.cloud:
            return None
        if len(body.get("ids") or []) > 300 or max(body.get("n_results", 0), body.get("limit", 0)) > 300:
            return "records"
        if any(len(i.encode()) > 128 for i in body.get("ids") or []):
            return "id size"
        if any(len(d.encode()) > 16_384 for d in body.get("documents") or []):
            return "document size"
        for metadata in body.get("metadatas") or []:
            if len(metadata) > 32 or any(isinstance(v, str) and len(v) > 4_096 for v in metadata.values()):
                return "metadata"
        return None

    def _count(self, rows: dict[str, Any], _: Any) -> tuple[int, Any]:
        return 200, len(rows)

    def _upsert(self, rows: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        for i, document, metadata, vector in zip(
            body["ids"], body["documents"], body["metadatas"], body["embeddings"], strict=True
        ):
            held = rows.get(i, {"metadata": {}})["metadata"]
            rows[i] = {"document": document, "metadata": {**held, **metadata}, "vector": vector}
        return 200, {}

    def _update(self, rows: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        for i, metadata in zip(body["ids"], body["metadatas"], strict=True):
            rows[i]["metadata"] = {**rows[i]["metadata"], **metadata}
        return 200, {}

    def _delete(self, rows: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        gone = [i for i in body["ids"] if i in rows and _fits(rows[i], body.get("where"))]
        for i in gone:
            del rows[i]
        return 200, {"deleted": len(gone)}

    def _get(self, rows: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        ids = body.get("ids")
        found = [
            i
            for i in (rows if ids is None else ids)
            if i in rows and _fits(rows[i], body.get("where")) and _reads(rows[i], body.get("where_document"))
        ]
        start = body.get("offset") or 0
        return 200, _columns(rows, found[start : start + (body.get("limit") or len(rows) or 1)])

    def _query(self, rows: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        vector = np.array(body["query_embeddings"][0])
        inside = [i for i in rows if _fits(rows[i], body.get("where"))]
        nearest = sorted(inside, key=lambda i: -float(np.dot(rows[i]["vector"], vector)))
        columns = _columns(rows, nearest[: body["n_results"]])
        return 200, {key: None if value is None else [value] for key, value in columns.items()}

    def _search(self, rows: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        if not self.cloud:
            return 501, _error("Search operation is not implemented for local executor")
        (plan,) = body["searches"]
        inside = {i: row for i, row in rows.items() if _fits(row, plan["filter"])}
        scores = _rank(plan["rank"], inside)
        best = sorted(scores, key=lambda i: scores[i])[: plan["limit"]["limit"]]
        columns = _columns(rows, best)
        return 200, {key: None if value is None else [value] for key, value in columns.items()}


def _rank(rank: dict[str, Any], rows: dict[str, Any]) -> dict[str, float]:
    """Evaluate a ranking expression as Chroma's documentation defines it; the lowest is the best."""
    (name, value), *rest = rank.items()
    assert not rest
    if name == "$knn":
        return _knn(value, rows)
    if name == "$val":
        return dict.fromkeys(rows, value)
    if name == "$div":
        left, right = _rank(value["left"], rows), _rank(value["right"], rows)
        return {i: left[i] / right[i] for i in left if i in right}
    tables = [_rank(each, rows) for each in value]
    common = set.intersection(*(set(t) for t in tables))
    combine = math.prod if name == "$mul" else sum
    return {i: float(combine(t[i] for t in tables)) for i in common}


def _knn(value: dict[str, Any], rows: dict[str, Any]) -> dict[str, float]:
    if value["key"] == "#embedding":
        query = np.array(value["query"])
        distance = {i: 1 - float(np.dot(r["vector"], query)) for i, r in rows.items()}
    else:
        wanted = dict(zip(value["query"]["indices"], value["query"]["values"], strict=True))
        distance = {}
        for i, row in rows.items():
            held = row["metadata"].get(value["key"]) or {"indices": [], "values": []}
            shared = sum(wanted.get(n, 0) * v for n, v in zip(held["indices"], held["values"], strict=True))
            if shared:
                distance[i] = 1 - shared
    best = sorted(distance, key=lambda i: distance[i])[: value["limit"]]
    scores = {i: float(place) if value.get("return_rank") else distance[i] for place, i in enumerate(best)}
    if value.get("default") is not None:
        scores = {**dict.fromkeys(rows, value["default"]), **scores}
    return scores


def _columns(rows: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    return {
        "ids": ids,
        "documents": [rows[i]["document"] for i in ids],
        "metadatas": [rows[i]["metadata"] for i in ids],
        "embeddings": [rows[i]["vector"] for i in ids],
    }


def _fits(row: dict[str, Any], where: dict[str, Any] | None) -> bool:
    if not where:
        return True
    ((key, test),) = where.items()
    if key in {"$and", "$or"}:
        return (all if key == "$and" else any)(_fits(row, each) for each in test)
    value = row["metadata"].get(key)
    if not isinstance(test, dict):
        return bool(value == test)
    ((name, wanted),) = test.items()
    if value is None:
        return False
    checks = {
        "$in": lambda: value in wanted,
        "$gte": lambda: value >= wanted,
        "$lte": lambda: value <= wanted,
        "$lt": lambda: value < wanted,
        "$contains": lambda: wanted in value,
    }
    return bool(checks[name]())


def _reads(row: dict[str, Any], test: dict[str, Any] | None) -> bool:
    if not test:
        return True
    ((name, value),) = test.items()
    if name == "$and":
        return all(_reads(row, each) for each in value)
    return re.search(value, row["document"]) is not None


def _error(message: str) -> dict[str, str]:
    return {"error": "ChromaError", "message": message}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeChroma
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        request = Seen(self.command, self.path, headers, json.loads(raw) if raw else None)
        self.fake.seen.append(request)
        fault = self.fake.faults.popleft() if self.fake.faults else None
        if fault is None:
            status, reply = self.fake.answer(request)
            fault = Fault(status, json.dumps(reply).encode())
        time.sleep(fault.pause)
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(fault.body) + (100 if fault.cut else 0)))
        self.end_headers()
        self.wfile.write(fault.body)
        if fault.cut:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names are http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
        """Say nothing."""
