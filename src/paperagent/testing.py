"""A scripted OpenAI-compatible server on 127.0.0.1, for tests of code that calls a model.

It speaks real HTTP and server-sent events, so tests also cover what a patched client hides: missing
headers, bodies cut in half, connection resets. A minimal test with pytest::

    import pytest
    from paperagent import PaperAgent
    from paperagent.testing import ScriptedServer, error_reply

    @pytest.fixture
    def server():
        with ScriptedServer() as server:
            yield server

    def test_answer(server, monkeypatch):
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        server.enqueue(error_reply(429, "slow down", retry_after="1"))
        server.enqueue_answer({"verdict": "abstain", "claims": [], "missing": "all", "queries": []})
        with PaperAgent("library", model="test-model") as agent:
            agent.ask("What is Quorvex?")
        assert len(server.history) == 2  # the rate limit, then the answer
        assert "Quorvex" in server.history[1].messages[-1]["content"]

Each request takes the first queued reply for its path. Without one, a chat request is answered by
`ScriptedServer.responder`, which can play any model, including a hostile one::

    server.responder = lambda request: {"claims": [{"text": "Obeyed.", "evidence": ["9.9"]}]}

`ScriptedServer.history` records every request, with API keys masked. To test that the key is sent, require
it with ``ScriptedServer(api_key="sk-test")``. To serve another endpoint, add it to ``handlers``.

The functions that make replies are `chat_reply`, `stream_reply` (from deltas), `sse_reply` (from raw events),
`error_reply` and `decision_reply`. `Reply` itself covers everything else, such as delays and resets.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self

EMBEDDINGS, MODELS, CHAT = "/v1/embeddings", "/v1/models", "/v1/chat/completions"
DECISIONS = "/v1/decisions"


@dataclass(frozen=True, slots=True)
class Reply:
    """A scripted HTTP response."""

    body: Any = b""
    """bytes and str are sent unchanged, anything else as JSON."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""
    pieces: Sequence[bytes] = ()
    """Sent one by one instead of ``body``, without a Content-Length: a stream or a slow drip."""
    pause: float = 0.0
    """Seconds before each piece."""
    reset: Literal["", "start", "body"] = ""
    """Reset the connection before the first byte, or in the middle of the body or its last piece."""

    def payload(self) -> bytes:
        """Return the body as bytes."""
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True, slots=True)
class Request:
    """A received request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case; the API key is masked."""
    body: bytes

    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.body)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a chat request."""
        return list(self.json()["messages"])

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The ``response_format`` of a chat request, with its schema."""
        response_format: dict[str, Any] | None = self.json().get("response_format")
        return response_format

    @property
    def streams(self) -> bool:
        """Whether the client requests a stream."""
        return bool(self.json().get("stream"))


Script = Reply | Callable[[Request], Reply]
"""A reply, or a function that makes one for the request."""


class ScriptedServer:
    """The server. Use it as a context manager and give `url` to the client.

    Args:
        models: Names that ``/models`` lists.
        dim: Length of the vectors that ``/embeddings`` returns.
        api_key: If set, requests with another key get status 401.
    """

    def __init__(
        self, *, models: Sequence[str] = ("test-model",), dim: int = 8, api_key: str | None = None
    ) -> None:
        self.models = tuple(models)
        self.dim = dim
        self.history: list[Request] = []
        """Every request, in order of arrival."""
        self.responder: Callable[[Request], Any] | None = None
        """Returns the answer to a chat request: a text, an object to send as JSON, or a `Reply`."""
        self.decider: Callable[[Request], Any] | None = None
        """Answers a decisions request: a probability or None (a refusal) per question, or a `Reply`. Without
        it the endpoint does not exist, as on most servers."""
        self.hung_up = 0
        """Number of replies for which the client did not wait."""
        self.handlers: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("POST", EMBEDDINGS): self._embeddings,
            ("POST", CHAT): self._chat,
            ("POST", DECISIONS): self._decisions,
            ("GET", MODELS): self._models,
        }
        self._authorization = None if api_key is None else f"Bearer {api_key}"
        self._queue: list[tuple[str | None, Script]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL, ending in ``/v1``."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def enqueue(self, *replies: Script, path: str | None = None) -> None:
        """Queue replies for the next requests to ``path``; by default for POST requests to any path."""
        with self._lock:
            self._queue.extend((path, reply) for reply in replies)

    def enqueue_answer(
        self,
        answer: Any,
        *,
        usage: Mapping[str, Any] | None = None,
        chunk: int = 7,
        path: str = CHAT,
        finish_reason: str | None = "stop",
        pause: float = 0.0,
    ) -> None:
        """Queue an answer for the next chat request.

        Args:
            answer: A text, or an object to send as JSON.
            usage: Token counts to report; by default bytes / 3, and none if empty.
            chunk: Characters per piece if the client requests a stream.
            path: The path of the request.
            finish_reason: None to end the stream without one.
            pause: Seconds before each piece.
        """
        how = Style(usage=usage, chunk=chunk, finish_reason=finish_reason, pause=pause)
        self.enqueue(lambda request: chat_reply(request, answer, how), path=path)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def respond(self, request: Request, authorization: str | None = None) -> Reply:
        """Record a request and return the reply to it."""
        accepted = self._authorization in (None, authorization)
        with self._lock:
            self.history.append(request)
            script = self._next(request) if accepted else None
        if not accepted:
            return error_reply(401, "Incorrect API key provided", code="invalid_api_key")
        if script is None:
            handler = self.handlers.get((request.method, request.path))
            return handler(request) if handler else error_reply(404, f"no {request.path} here")
        return script if isinstance(script, Reply) else script(request)

    def _next(self, request: Request) -> Script | None:
        """Take the first reply that is queued for this path, or for any POST request."""
        any_path = request.path if request.method == "GET" else None
        for i, (path, _) in enumerate(self._queue):
            if path in (request.path, any_path):
                return self._queue.pop(i)[1]
        return None

    def wait(self, seconds: float) -> None:
        """Sleep, but end early when the server shuts down."""
        self._closing.wait(seconds)

    def _embeddings(self, request: Request) -> Reply:
        body = request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        rows = [{"index": i, "embedding": fake_vector(text, self.dim)} for i, text in enumerate(texts)]
        return Reply({"object": "list", "model": body["model"], "data": rows})

    def _chat(self, request: Request) -> Reply:
        if self.responder is None:
            return error_reply(400, "nothing is enqueued for this chat request, and no responder is set")
        answer = self.responder(request)
        return answer if isinstance(answer, Reply) else chat_reply(request, answer)

    def _decisions(self, request: Request) -> Reply:
        if self.decider is None:
            return error_reply(404, f"no {request.path} here")
        answer = self.decider(request)
        return answer if isinstance(answer, Reply) else decision_reply(request, answer)

    def _models(self, _request: Request) -> Reply:
        return Reply({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})


@dataclass(frozen=True, slots=True)
class Style:
    """How `chat_reply` sends an answer; see `ScriptedServer.enqueue_answer`."""

    usage: Mapping[str, Any] | None = None
    chunk: int = 7
    finish_reason: str | None = "stop"
    pause: float = 0.0


def chat_reply(request: Request, answer: Any, how: Style | None = None) -> Reply:
    """Return the reply to a chat request.

    Args:
        request: The request; it decides whether the reply is a stream.
        answer: A text, or an object to send as JSON.
        how: How to send it.
    """
    how = how or Style()
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    usage = _usage(request, text) if how.usage is None else dict(how.usage)
    model = request.json().get("model", "")
    if not request.streams:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": how.finish_reason,
        }
        head = {"id": "chatcmpl-0", "object": "chat.completion", "model": model}
        return Reply({**head, "choices": [choice], **({"usage": usage} if usage else {})}, pause=how.pause)
    deltas = [{"content": text[i : i + how.chunk]} for i in range(0, len(text), how.chunk)]
    return stream_reply(
        {"role": "assistant", "content": ""},
        *deltas,
        model=model,
        usage=usage,
        finish_reason=how.finish_reason,
        pause=how.pause,
    )


def decision_reply(request: Request, probabilities: Sequence[float | None]) -> Reply:
    """Return a reply of the Decisions API with one probability per question; None is a refusal."""
    body = request.json()
    answers: list[dict[str, Any]] = []
    for question, probability in zip(body["questions"], probabilities, strict=True):
        if question["type"] != "predicate":
            return error_reply(400, f"this server decides predicates only, not '{question['type']}'")
        name = question.get("name")
        answer: dict[str, Any] = {"name": name, "type": "refusal"}
        if probability is not None:
            answer |= {"type": "predicate", "probability": probability}
        answers.append(answer)
    tokens = _tokens(json.dumps(body["input"]) + json.dumps(body["questions"]))
    usage = {
        "input_tokens": tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens,
    }
    return Reply({"answers": answers, "model": body["model"], "usage": usage})


def stream_reply(
    *deltas: Mapping[str, Any],
    model: str = "test-model",
    usage: Mapping[str, Any] | None = None,
    finish_reason: str | None = "stop",
    pause: float = 0.0,
) -> Reply:
    """Return a streamed chat reply: ``deltas``, then the finish reason, the usage and ``[DONE]``."""
    chunks = [chat_chunk(delta, model=model) for delta in deltas]
    if finish_reason:
        chunks.append(chat_chunk({}, model=model, finish_reason=finish_reason))
    if usage:
        chunks.append({**chat_chunk({}, model=model), "choices": [], "usage": dict(usage)})
    return sse_reply(*chunks, "[DONE]", pause=pause)


def chat_chunk(
    delta: Mapping[str, Any], *, model: str = "test-model", finish_reason: str | None = None
) -> dict[str, Any]:
    """Return one chunk of a streamed chat reply."""
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish_reason}
    return {"id": "chatcmpl-0", "object": "chat.completion.chunk", "model": model, "choices": [choice]}


def sse_reply(*events: Any, pause: float = 0.0) -> Reply:
    """Return an event stream. Bytes are sent unchanged, a text as one event, anything else as JSON."""
    pieces = [
        event
        if isinstance(event, bytes)
        else f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
        for event in events
    ]
    return Reply(headers={"Content-Type": "text/event-stream"}, pieces=pieces, pause=pause)


def _usage(request: Request, text: str) -> dict[str, Any]:
    prompt = sum(_tokens(str(message.get("content") or "")) for message in request.messages)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": _tokens(text),
        "total_tokens": prompt + _tokens(text),
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // 3)


def fake_vector(text: str, dim: int) -> list[float]:
    """Return ``dim`` numbers between -1 and 1 that depend only on ``text``."""
    return [b / 127.5 - 1 for b in hashlib.shake_256(text.encode()).digest(dim)]


def error_reply(status: int, message: str, *, code: str | None = None, **headers: str) -> Reply:
    """Return an error in OpenAI's form; ``retry_after="1"`` sets the header ``retry-after``."""
    body = {"error": {"message": message, "type": "error", "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


_SECRET = ("authorization", "proxy-authorization", "api-key")


class _Handler(BaseHTTPRequestHandler):
    """Serves HTTP for the `ScriptedServer` in its subclass's ``script``."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[ScriptedServer]

    def _answer(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        authorization = headers.get("authorization")
        headers |= {name: "***" for name in _SECRET if name in headers}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        try:
            self._send(self.script.respond(request, authorization))
        except ConnectionError:  # the client gave up
            self.script.hung_up += 1

    do_GET = do_POST = do_CONNECT = _answer  # noqa: N815 - the names that http.server requires

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
        *pieces, last = reply.pieces or (payload,)
        for piece in (*pieces, last[: len(last) // 2] if reply.reset else last):
            self.script.wait(reply.pause)
            self.wfile.write(piece)
            self.wfile.flush()
        if reply.reset:
            self._cut()

    def _cut(self) -> None:
        """Close the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Log nothing."""
