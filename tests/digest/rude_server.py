"""A mail server that says exactly what it is told, byte by byte, and never waits for sense."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

GREETING = b"220 rude ESMTP\r\n"
HELLO = b"250-rude\r\n250 SIZE 1000000\r\n"


@dataclass
class Talk:
    """What to say to each command; by default what a plain server says."""

    greeting: bytes | Callable[[socket.socket], None] = GREETING
    says: dict[str, bytes | Callable[[socket.socket], None]] = field(default_factory=dict)
    """Answer by the first word of the command; ``.`` is the end of a message."""
    context: ssl.SSLContext | None = None
    at_once: bool = False
    """Whether TLS begins with the first byte; else after STARTTLS."""
    heard: list[str] = field(default_factory=list)

    def answer(self, word: str) -> bytes | Callable[[socket.socket], None]:
        plain = {"EHLO": HELLO, "DATA": b"354 go\r\n", "QUIT": b"221 bye\r\n", "AUTH": b"235 ok\r\n"}
        return self.says.get(word, plain.get(word, b"250 ok\r\n"))


def drip(text: bytes, pause: float = 0.3) -> Callable[[socket.socket], None]:
    """Say one byte at a time."""

    def say(sock: socket.socket) -> None:
        for byte in text:
            sock.sendall(bytes([byte]))
            time.sleep(pause)

    return say


def silence(_: socket.socket) -> None:
    """Say nothing for a while."""
    time.sleep(1.5)


def hang_up(sock: socket.socket) -> None:
    """Close without a word."""
    sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def rude(talk: Talk) -> Iterator[int]:
    """Run the server for one connection after the other; give its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            with suppress(OSError), sock:
                sock.settimeout(5)
                _converse(sock, talk)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        end.set()
        thread.join(5)
        listener.close()


def _converse(sock: socket.socket, talk: Talk) -> None:
    with ExitStack() as opened:
        if talk.at_once and talk.context:
            sock = opened.enter_context(talk.context.wrap_socket(sock, server_side=True))
        _say(sock, talk.greeting)
        reader = opened.enter_context(sock.makefile("rb"))
        in_data = False
        while line := reader.readline():
            if in_data and line != b".\r\n":
                continue
            first, *rest = line.decode("latin-1").split(maxsplit=1) or [""]
            word = "." if in_data else first.upper()
            talk.heard.append(" ".join([word, *rest]).strip())
            answer = talk.answer(word)
            _say(sock, answer)
            in_data = word == "DATA" and answer == b"354 go\r\n"
            if word == "STARTTLS" and talk.context:
                sock = opened.enter_context(talk.context.wrap_socket(sock, server_side=True))
                reader = opened.enter_context(sock.makefile("rb"))


def _say(sock: socket.socket, what: bytes | Callable[[socket.socket], None]) -> None:
    if callable(what):
        what(sock)
    else:
        sock.sendall(what)


@cache
def certificate(name: str = "localhost", days: int = 2) -> Path:
    """Return a file with a key and a certificate that it signs itself, for ``name``."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, and makes the certificates of these tests")
    folder = Path(mkdtemp(prefix="paperagent-tls"))
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", str(days), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
        "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"),
    ]  # fmt: skip
    if name != "localhost":
        command[command.index("-addext") + 1] = f"subjectAltName=DNS:{name}"
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return folder


def server_tls(folder: Path) -> ssl.SSLContext:
    """Return what a server with this certificate speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def trusting(folder: Path) -> ssl.SSLContext:
    """Return what a client speaks that trusts this certificate alone."""
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))
