"""Every client meets its deadline in every phase of a connection, and a cancellation ends it at once."""

from __future__ import annotations

import contextvars
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

import slow_server
from paperagent import time_limits
from paperagent.digest.delivery.inbox import Inbox
from paperagent.digest.delivery.page_check import page_problem
from paperagent.digest.delivery.smtp import SmtpTransport, Timeouts
from paperagent.digest.delivery.transport import ConnectionLost, Rejected
from paperagent.digest.delivery.webhook_transport import Endpoint, WebhookTransport
from paperagent.digest.links import SignedTokens
from paperagent.embedding.openai import OpenAIEmbedder
from paperagent.errors import EndpointError, FeedError, MailError, PaperAgentError, StoreError
from paperagent.feeds.services import http_client
from paperagent.feeds.services.http_client import FeedClient, FeedClientConfig
from paperagent.feeds.services.rate_limit import RateLimit
from paperagent.library.server.client import ChromaClient, ServerAddress
from paperagent.llm import client as llm
from paperagent.llm.chat import ChatModel
from paperagent.llm.judge_model import JudgeModel
from paperagent.time_limits import Cancellation, Cancelled, Deadline, TooSlowError, WorkerPool
from slow_server import SlowServer, http_phases, serving, tls_handshake

SECONDS = 0.6
"""The time limit of each operation."""
SLACK = 5.0
"""How much longer an operation may take. Most of it is for a machine that is busy."""
SCHEMA = {"type": "object", "properties": {"1": {"type": "string", "description": "Claim 1 is right."}}}
MESSAGES = [{"role": "user", "content": "Does it work?"}]


def ask_model(url: str) -> None:
    model = ChatModel("m", api_key="k", base_url=f"{url}/v1", timeout=SECONDS)
    with model.stream(MESSAGES, schema=SCHEMA, schema_name="a", max_output_tokens=9) as pieces:
        for _ in pieces:
            pass
    raise AssertionError(pieces.completion)


def ask_judge(url: str) -> None:
    judge = JudgeModel(ChatModel("gpt-6-luna", api_key="k", base_url=f"{url}/v1", timeout=SECONDS))
    list(judge.stream(MESSAGES, schema=SCHEMA, schema_name="a", max_output_tokens=9))


def embed(url: str) -> None:
    list(OpenAIEmbedder("m", api_key="k", base_url=f"{url}/v1", timeout=SECONDS).embed(["text"]))


def list_models(url: str) -> None:
    ChatModel("m", api_key="k", base_url=f"{url}/v1").endpoint.models()


def read_feed(url: str) -> None:
    config = FeedClientConfig(allow_private=True)
    with FeedClient(config, version="1", sleep=lambda _: None) as client:
        client.fetch(f"{url}/feed", lambda reply: reply.body, label="feed", rate_limit=RateLimit("t", 0.0))


def ask_chroma(url: str) -> None:
    ChromaClient(ServerAddress.parse(url), timeout=SECONDS).request("GET", "/collections/papers")


def post_to_webhook(url: str) -> None:
    transport = WebhookTransport(lambda _: Endpoint(url), timeout=SECONDS)
    transport.address("", "hook", size=2)
    try:
        transport.data(b"{}", message_id="<1@x.example>")
    except ConnectionLost as lost:
        raise MailError(f"webhook: {lost.why}; it may have arrived: {lost.may_have_arrived}") from None


def check_page(url: str) -> None:
    raise MailError(str(page_problem(url, SignedTokens("secret " * 8))))


CLIENTS: dict[str, tuple[Callable[[str], None], type[PaperAgentError], str]] = {
    "chat": (ask_model, EndpointError, "no reply in time|reply too slow"),
    "decisions": (ask_judge, EndpointError, "no reply in time|reply too slow"),
    "embeddings": (embed, EndpointError, "no reply in time|reply too slow"),
    "models": (list_models, EndpointError, "no reply in time|reply too slow"),
    "feed": (read_feed, FeedError, "took longer than"),
    "Chroma": (ask_chroma, StoreError, "no reply in time"),
    "webhook": (post_to_webhook, MailError, "no reply in time"),
    "page check": (check_page, MailError, "no reply in time|reply too slow"),
}
"""Name → client, its error, and what the error says."""


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "LIST_SECONDS", SECONDS)
    monkeypatch.setattr(http_client, "PAGE_SECONDS", SECONDS)
    monkeypatch.setattr("paperagent.digest.delivery.page_check.TIMEOUT_SECONDS", SECONDS)


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import what the clients import at their first request, which takes seconds on a busy machine."""
    llm.preload()
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with serving(SlowServer(refusal)) as server:
        for call, _, _ in CLIENTS.values():
            with suppress(PaperAgentError, Rejected):
                call(server.url)


def failure(run: Callable[[], object], kind: type[Exception]) -> str:
    """Return the message of the error that ``run`` must raise within its time."""
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        run()
    assert time.monotonic() - started < SECONDS + SLACK
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("phase", http_phases())
@pytest.mark.parametrize("client", CLIENTS)
def test_http(client: str, phase: str) -> None:
    """The deadline is for the whole response, also for what no timeout of a single read limits."""
    call, kind, words = CLIENTS[client]
    with serving(http_phases()[phase]) as server:
        if client == "webhook" and phase in ("body", "chunk sizes", "comments"):
            assert slow_server.seconds_of(lambda: call(server.url)) < SECONDS + SLACK  # it was accepted
        else:
            message = failure(lambda: call(server.url), kind)
            assert re.search(words, message), message
        assert server.closed.wait(2)


@pytest.mark.parametrize("client", CLIENTS)
def test_tls(client: str) -> None:
    """The server sends its handshake one byte at a time."""
    call, kind, _ = CLIENTS[client]
    with serving(tls_handshake()) as server:
        failure(lambda: call(server.url.replace("http", "https")), kind)
        assert server.closed.wait(2)


def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline includes the proxy's response to CONNECT."""
    with serving(SlowServer(b"", b"HTTP/1.1 100 Continue\r\n\r\n")) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        message = failure(lambda: ask_model("https://model.test"), EndpointError)
    assert "no reply in time" in message or "reply too slow" in message


def test_the_list_of_models_takes_no_longer_than_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "LIST_SECONDS", 60.0)
    with serving(SlowServer()) as server:
        model = ChatModel("m", api_key="k", base_url=f"{server.url}/v1", timeout=SECONDS)
        failure(model.endpoint.models, EndpointError)


def test_the_text_before_the_deadline_is_kept() -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "[1, "}}]}\n\n'
    with serving(SlowServer(slow_server.HTTP_OK + slow_server.SSE + event * 3, b": wait\n\n")) as server:
        model = ChatModel("m", api_key="k", base_url=f"{server.url}/v1", timeout=SECONDS)
        with model.stream(MESSAGES, schema=SCHEMA, schema_name="a", max_output_tokens=9) as pieces:
            assert "".join(pieces) == "[1, [1, [1, "
        assert not pieces.completion.complete
        assert "reply too slow" in " ".join(pieces.completion.notes)


# --- names and addresses ---


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DNS lookup cannot be interrupted, so it runs on a separate thread."""
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(30))
    try:
        for name in ("chat", "feed", "Chroma", "webhook"):
            call, kind, _ = CLIENTS[name]
            failure(lambda call=call: call("http://host.test"), kind)  # type: ignore[misc]
        failure(SmtpTransport("smtp://host.test", timeouts=quick()).connect, MailError)
        failure(lambda: list(inbox("host.test", 143)), MailError)
    finally:
        ended.set()


@pytest.mark.allow_hosts(["127.0.0.1", *(f"127.0.0.{n}" for n in range(2, 7))])
def test_a_host_with_many_dead_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Httpcore gives each address the whole time, so the time is divided."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:  # the queue of connections is full, so further ones are not answered
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry, *distinct(entry)])
        try:
            failure(lambda: ask_model(f"http://host.test:{port}"), EndpointError)
            failure(SmtpTransport(f"smtp://host.test:{port}", timeouts=quick()).connect, MailError)
        finally:
            for client in waiting:
                client.close()


def distinct(entry: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [(*entry[:4], (f"127.0.0.{n}", entry[4][1])) for n in range(2, 7)]


# --- mail ---


def quick() -> Timeouts:
    return Timeouts(connect=SECONDS, command=SECONDS, accept=SECONDS)


def inbox(host: str, port: int) -> Iterator[object]:
    import datetime as dt

    yield from Inbox(f"imap://me:pw@{host}:{port}", timeout=SECONDS).messages(today=dt.date(2026, 6, 29))


@pytest.mark.parametrize(
    "server",
    [
        SlowServer(reads_request=False),
        SlowServer(b"220 ", b"x", drips=True, reads_request=False),
        SlowServer(b"", b"220-wait\r\n", reads_request=False),
        SlowServer(b"220 ready\r\n", b"250-wait\r\n", reads_request=False),
        SlowServer(b"220 ready\r\n250-", b"x", drips=True, reads_request=False),
    ],
    ids=["silent", "banner", "banner lines", "EHLO lines", "EHLO"],
)
def test_smtp_connect(server: SlowServer) -> None:
    with serving(server):
        transport = SmtpTransport(f"smtp://127.0.0.1:{server.port}", timeouts=quick())
        assert "no reply in time" in failure(transport.connect, MailError)
        assert server.closed.wait(2)


def test_smtp_tls() -> None:
    with serving(tls_handshake()) as server:
        transport = SmtpTransport(f"smtps://127.0.0.1:{server.port}", timeouts=quick())
        assert "TLS handshake failed (no reply in time)" in failure(transport.connect, MailError)


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "."])
def test_smtp_commands(stage: str) -> None:
    """The time is for a step, not for a reply; after the message it may have arrived."""
    with serving_smtp(stage) as port:
        transport = SmtpTransport(f"smtp://127.0.0.1:{port}", timeouts=quick())
        transport.connect()
        started = time.monotonic()
        with pytest.raises(ConnectionLost) as caught:
            send(transport)
        assert time.monotonic() - started < SECONDS + SLACK
        assert caught.value.may_have_arrived == (stage == ".")


def send(transport: SmtpTransport) -> None:
    transport.address("a@x.example", "b@x.example", size=10)
    transport.data(b"Subject: x\r\n\r\nx\r\n", message_id="<1@x.example>")


def test_smtp_replies_share_the_time_of_a_step() -> None:
    """A server that takes its time for each reply does not get it again and again."""
    with serving_smtp("nothing", pause=0.7 * SECONDS) as port:
        failure(SmtpTransport(f"smtp://127.0.0.1:{port}", timeouts=quick()).connect, MailError)


def serving_smtp(stage: str, *, pause: float = 0.0) -> Any:
    """Run a mail server that drips its reply to one command."""
    from rude_server import HELLO, Talk, drip, rude

    def late(reply: bytes) -> Callable[[socket.socket], None]:
        def say(sock: socket.socket) -> None:
            time.sleep(pause)
            sock.sendall(reply)

        return say

    if pause:
        return rude(Talk(late(b"220 hello\r\n"), {"EHLO": late(HELLO)}))
    return rude(Talk(says={stage: drip(b"250-" + b"x" * 40, 0.1)}))


@pytest.mark.parametrize(
    "server",
    [
        SlowServer(reads_request=False),
        SlowServer(b"* OK ", b"x", drips=True, reads_request=False),
        SlowServer(b"* OK ready\r\n", b"* OK wait\r\n", reads_request=False),
        SlowServer(b"* OK ready\r\n* CAPABILITY IMAP4rev1 {9999}\r\n", b"x", drips=True, reads_request=False),
    ],
    ids=["silent", "greeting", "untagged lines", "literal"],
)
def test_imap(server: SlowServer) -> None:
    with serving(server):
        assert "no reply in time" in failure(lambda: list(inbox("127.0.0.1", server.port)), MailError)
        assert server.closed.wait(2)


# --- cancellation ---


@pytest.mark.parametrize("phase", ["silent", "header", "100 Continue", "body", "comments", "tls"])
@pytest.mark.parametrize("client", ["chat", "decisions", "embeddings", "Chroma", "feed", "webhook"])
def test_cancel(client: str, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread ends a wait in any phase, and the connection is closed."""
    monkeypatch.setattr("test_time_limits.SECONDS", 60.0)
    monkeypatch.setattr(http_client, "PAGE_SECONDS", 60.0)
    call = CLIENTS[client][0]
    cancellation = Cancellation()
    stalling = tls_handshake() if phase == "tls" else http_phases()[phase]
    with serving(stalling) as server, ThreadPoolExecutor(1) as pool:
        url = server.url.replace("http", "https") if phase == "tls" else server.url

        def run() -> None:
            with cancellation.active():
                call(url)

        future = pool.submit(run)
        assert server.accepted.wait(10)
        time.sleep(0.1)
        started = time.monotonic()
        cancellation.cancel()
        with pytest.raises(Cancelled):
            future.result(10)
        assert time.monotonic() - started < SLACK
        assert server.closed.wait(2)


def test_a_pool_ends_its_work_after_an_interrupt() -> None:
    """Without that, Ctrl-C waits for the threads, and they wait for the server."""
    with serving(SlowServer()) as server:

        def run() -> None:
            with WorkerPool(3) as pool:
                futures = [pool.submit(embed_slowly, server.url) for _ in range(9)]
                assert server.accepted.wait(10)
                assert not any(future.done() for future in futures)
                raise KeyboardInterrupt

        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run()
        assert time.monotonic() - started < 10
        assert server.closed.wait(2)


def embed_slowly(url: str) -> None:
    list(OpenAIEmbedder("m", api_key="k", base_url=f"{url}/v1", timeout=60).embed(["text"]))


def test_a_pool_passes_on_the_cancellation_of_its_caller() -> None:
    outer = Cancellation()

    def wait_long() -> None:
        time_limits.interruptible_sleep(time.sleep)(60)

    with outer.active(), WorkerPool(1) as pool:
        future = pool.submit(wait_long)
        outer.cancel()
        with pytest.raises(Cancelled):
            future.result(10)


def test_a_pool_without_errors_waits_for_its_work() -> None:
    with WorkerPool(2) as pool:
        assert list(pool.map(lambda n: n * n, range(20))) == [n * n for n in range(20)]


def test_the_context_is_passed_to_the_threads() -> None:
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(3)
    with WorkerPool(1) as pool:
        assert pool.submit(variable.get).result(10) == 3


# --- the parts ---


def test_an_expired_deadline_sends_nothing() -> None:
    here, there = socket.socketpair()
    with here, there, Deadline.after(-1).active(), pytest.raises(TooSlowError), time_limits.waiting(here):
        raise AssertionError


def test_many_deadlines_at_once() -> None:
    """One thread watches them all, and the earliest one wakes it."""
    pairs = [socket.socketpair() for _ in range(20)]

    def read(n: int) -> float:
        started = time.monotonic()
        with (
            Deadline.after(0.1 + (n * 7 % 20) / 40).active(),
            pytest.raises(TooSlowError),
            time_limits.waiting(pairs[n][0]),
        ):
            pairs[n][0].recv(1)
        return time.monotonic() - started

    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(read, range(20)))
    for n, seconds in enumerate(taken):
        assert 0.1 + (n * 7 % 20) / 40 <= seconds < 0.1 + (n * 7 % 20) / 40 + SLACK
    for pair in pairs:
        for end in pair:
            end.close()
    assert len([t for t in threading.enumerate() if t.name == "deadlines"]) == 1


def test_the_deadline_of_a_finished_request_does_not_close_its_connection() -> None:
    """Another request may use the connection later."""
    here, there = socket.socketpair()
    with here, there:
        with Deadline.after(0.2).active(), time_limits.waiting(here):
            there.sendall(b"x")
            assert here.recv(1) == b"x"
        time.sleep(0.4)
        there.sendall(b"y")
        assert here.recv(1) == b"y"
