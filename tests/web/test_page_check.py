"""Before mails are sent, the page to which their links lead is asked whether it accepts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mail_helpers import free_port
from web_server import SECRET, process

from paperagent.digest.delivery import page_check
from paperagent.digest.delivery.page_check import page_problem
from paperagent.digest.links import SignedTokens

TOKENS = SignedTokens(SECRET)


@contextmanager
def answering(status: int, body: bytes, *, seconds: float = 0) -> Iterator[str]:
    """Run a server that gives the same answer to every request."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stop.wait(seconds)
            self.send_response(status)
            self.send_header("Location", "https://elsewhere.example/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            stop.set()
            server.shutdown()
            thread.join()


def test_a_page_with_the_same_secret_is_fine(digest_home: Path) -> None:
    with process(digest_home) as url:
        assert page_problem(url, TOKENS) is None
        problem = page_problem(url, SignedTokens("another secret of more than thirty-two bytes"))
        assert problem is not None
        assert problem.startswith("PAPERAGENT_SECRET: the web page does not accept the links")
        assert page_problem(url, SignedTokens(f"{'a new secret ' * 3},{SECRET}")) is not None
    assert page_problem(url, None) is None
    assert page_problem(None, TOKENS) is None


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b"", "answers with status 404"),
        (301, b'"ok"', "answers with status 301"),
        (503, b'"ok"', "answers with status 503"),
        (200, b"<h1>Welcome</h1>", "is another program's"),
        (200, b" " * 100_000, "is another program's"),
    ],
)
def test_another_program_is_noticed(status: int, body: bytes, message: str) -> None:
    with answering(status, body) as url:
        problem = page_problem(url, TOKENS)
    assert problem is not None
    assert message in problem
    assert "paperagent serve" in problem


def test_no_answer_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_check, "TIMEOUT_SECONDS", 0.2)
    closed = page_problem(f"http://127.0.0.1:{free_port()}", TOKENS)
    assert closed is not None
    assert "does not answer" in closed
    with answering(200, b'"ok"', seconds=10) as url:
        silent = page_problem(url, TOKENS)
    assert silent is not None
    assert "does not answer" in silent
