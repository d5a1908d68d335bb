"""A server that accepts connections and then never finishes: silent, or a few bytes at a time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PAUSE = 0.05
"""Seconds between two pieces."""
HTTP_OK = b"HTTP/1.1 200 OK\r\n"
SSE = b"Content-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


@dataclass
class SlowServer:
    """What the server sends, and what happened to it."""

    start: bytes = b""
    """Sent at once."""
    piece: bytes = b""
    """Sent again and again, byte by byte if ``drips``; nothing if empty."""
    drips: bool = False
    reads_request: bool = True
    """Whether to wait for some bytes of the client before anything is sent."""
    port: int = 0
    accepted: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set as soon as one client has closed its connection."""

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        return f"http://127.0.0.1:{self.port}"


def http_phases() -> dict[str, SlowServer]:
    """Return a server for each phase of an HTTP response in which it may stall."""
    body = b'{"data": ['
    return {
        "silent": SlowServer(),
        "status line": SlowServer(b"HTTP/1.1 200 ", b"O", drips=True),
        "header": SlowServer(HTTP_OK + b"X-Long: ", b"x", drips=True),
        "header lines": SlowServer(HTTP_OK, b"X-Line: 1\r\n"),
        "100 Continue": SlowServer(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "body": SlowServer(HTTP_OK + SIZED + body, b" ", drips=True),
        "chunk sizes": SlowServer(HTTP_OK + CHUNKED + b"a\r\n" + body + b"\r\n", b"1\r\n \r\n", drips=True),
        "comments": SlowServer(HTTP_OK + SSE, b": wait\n\n"),
    }


def tls_handshake() -> SlowServer:
    """Return a server whose first TLS record never ends."""
    return SlowServer(b"\x16\x03\x03\x3f\xff", b"\x02", drips=True)


@contextmanager
def serving(server: SlowServer) -> Iterator[SlowServer]:
    """Run the server; its connections end with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    server.port = listener.getsockname()[1]
    ending = threading.Event()

    def accept() -> None:
        while not ending.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(0.1)
            if not server.reads_request or _receives(connection, ending):
                server.accepted.set()
                _send_slowly(connection, server, ending)
        server.closed.set()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        ending.set()
        thread.join()
        listener.close()


def _receives(connection: socket.socket, ending: threading.Event) -> bool:
    while not ending.is_set():
        with suppress(TimeoutError):
            return bool(connection.recv(65_536))
    return False


def _send_slowly(connection: socket.socket, server: SlowServer, ending: threading.Event) -> None:
    connection.sendall(server.start)
    pieces = [server.piece[i : i + 1] for i in range(len(server.piece))] if server.drips else [server.piece]
    while not ending.is_set():
        for piece in pieces:
            connection.sendall(piece)
            connection.settimeout(PAUSE)
            with suppress(TimeoutError):
                while connection.recv(65_536):
                    pass
                return  # the client has closed


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.monotonic()
    function()
    return time.monotonic() - started
