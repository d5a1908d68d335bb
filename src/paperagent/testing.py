"""A scripted OpenAI-compatible server over real HTTP on 127.0.0.1, for tests.

Patched clients hide what breaks in practice: headers that never come, a body cut half way,
a reset. This server is small, speaks real HTTP and does what it is told::

    with ScriptedServer() as server:
        server.enqueue(Reply(status=429, headers={"Retry-After": "1"}))
        OpenAIEmbedder("m", base_url=server.url, api_key="sk-test")...
        assert len(server.history) == 2     # the scripted refusal, then the real answer

A request takes the next queued reply of its path; with none left, the path's own handler
answers well. A new endpoint is one more entry of `ScriptedServer.handlers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self

EMBEDDINGS, MODELS = "/v1/embeddings", "/v1/models"


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer."""

    body: Any = b""
    """bytes and str are sent as they are, anything else as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""
    pieces: Sequence[bytes] = ()
    """Sent one after another instead of ``body``, without a length: a stream or a slow drip."""
    pause: float = 0.0
    """Seconds before each piece."""
    reset: Literal["", "start", "body"] = ""
    """Cut the connection before any byte, or half way through the body."""

    def payload(self) -> bytes:
        """Return the body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)


class ScriptedServer:
    """The server; a context manager. ``url`` is the base address that a client is given."""

    def __init__(self, *, models: Sequence[str] = ("test-model",), dim: int = 8) -> None:
        self.models = tuple(models)
        self.dim = dim
        self.history: list[Request] = []
        """Every request, in order of arrival."""
        self.handlers: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("POST", EMBEDDINGS): self._embeddings,
            ("GET", MODELS): self._models,
        }
        self._queues: dict[str, deque[Reply]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base address, ending in ``/v1``."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def enqueue(self, *replies: Reply, path: str = EMBEDDINGS) -> None:
        """Answer the next requests to ``path`` with ``replies``."""
        with self._lock:
            self._queues[path].extend(replies)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def respond(self, request: Request) -> Reply:
        """Record ``request`` and return the reply for it."""
        with self._lock:
            self.history.append(request)
            if queue := self._queues[request.path]:
                return queue.popleft()
        handler = self.handlers.get((request.method, request.path))
        return handler(request) if handler else error_reply(404, f"no {request.path} here")

    def wait(self, seconds: float) -> None:
        """Sleep, but not past the server's end."""
        self._closing.wait(seconds)

    def _embeddings(self, request: Request) -> Reply:
        body = request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        rows = [{"index": i, "embedding": fake_vector(text, self.dim)} for i, text in enumerate(texts)]
        return Reply({"object": "list", "model": body["model"], "data": rows})

    def _models(self, _request: Request) -> Reply:
        return Reply({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})


def fake_vector(text: str, dim: int) -> list[float]:
    """Return numbers between -1 and 1 that depend on ``text`` alone."""
    return [b / 127.5 - 1 for b in hashlib.shake_256(text.encode()).digest(dim)]


def error_reply(status: int, message: str, *, code: str | None = None, **headers: str) -> Reply:
    """Return an error as OpenAI words it; ``retry_after="1"`` becomes the header ``retry-after``."""
    body = {"error": {"message": message, "type": "error", "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the `ScriptedServer` that its subclass names."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[ScriptedServer]

    def _answer(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        with contextlib.suppress(ConnectionError):  # the client may have given up
            self._send(self.script.respond(request))

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    def _send(self, reply: Reply) -> None:
        self.script.wait(reply.delay)
        if reply.reset == "start":
            self._cut()
            return
        payload = reply.payload()
        length = {} if reply.pieces else {"Content-Length": str(len(payload))}
        standard = {"Content-Type": "application/json", "Connection": "close", **length}
        self.send_response(reply.status)
        for name, value in (standard | dict(reply.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        for piece in reply.pieces or (payload,):
            self.script.wait(reply.pause)
            self.wfile.write(piece[: len(piece) // 2] if reply.reset else piece)
            self.wfile.flush()
        if reply.reset:
            self._cut()

    def _cut(self) -> None:
        """Close with a reset instead of an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Stay silent."""
