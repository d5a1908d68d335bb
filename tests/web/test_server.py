"""The server process: its socket, its limits on slow, large and many requests, and how it ends."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import web_server

from paperagent import ConfigError
from paperagent.web import server

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def connect(url: str) -> socket.socket:
    host, port = urlsplit(url).netloc.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def status_of(connection: socket.socket) -> int:
    """Return the status of the response that arrives next; 0 if the server closed the connection."""
    try:
        line = connection.makefile("rb").readline()
    except ConnectionResetError:
        return 0
    return int(line.split()[1]) if line else 0


@pytest.fixture(scope="module")
def served(sample_home: Path) -> Iterator[str]:
    with web_server.process(sample_home, env={"PAPERAGENT_EMBEDDER": "none"}) as url:
        yield url


def test_port_0_prints_the_real_port(served: str) -> None:
    assert urlsplit(served).port
    with closing(connect(served)) as connection:
        connection.sendall(REQUEST + b"\r\n")
        assert status_of(connection) == 200


def test_a_port_in_use_is_an_error(served: str, sample_home: Path) -> None:
    port = str(urlsplit(served).port)
    command = [sys.executable, "-m", "paperagent", "serve", "--home", str(sample_home), "--port", port]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 3
    assert result.stdout == ""
    assert re.search(r"cannot listen on 127\.0\.0\.1 port \d+; choose another port", result.stderr)


def test_an_address_of_another_machine_is_an_error() -> None:
    for host in ("192.0.2.1", "no such name"):
        with pytest.raises(ConfigError):
            server.listen(host, 0)


def test_ipv6_addresses_are_written_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with server.listen("::1", 0) as listening:
        assert re.fullmatch(r"http://\[::1\]:\d+/", server.address_of(listening))


def test_headers_that_are_too_large_get_431(served: str) -> None:
    for count in (20_000, 100_000):
        with closing(connect(served)) as connection:
            connection.sendall(REQUEST + b"X-Large: " + b"x" * count + b"\r\n\r\n")
            assert status_of(connection) == 431, count


def test_a_body_of_10_mb_gets_413(served: str) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(REQUEST.replace(b"GET", b"POST") + b"Content-Length: 10000000\r\n\r\n")
        connection.sendall(b"x" * 10_000)
        assert status_of(connection) == 413


def test_what_is_not_http_gets_400(served: str) -> None:
    with closing(connect(served)) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        assert status_of(connection) == 400
