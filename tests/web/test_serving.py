"""The server process: its socket, its limits on slow, large and many requests, and how it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import web_server

from paperagent import ConfigError, PaperAgent
from paperagent.web import server
from paperagent.web.site import Site
from sample_library import write_jsonl

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


# --- slow and many clients ---


@pytest.fixture
def impatient(sample_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a server in this process that waits half a second for a request."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.5)
    with PaperAgent(sample_home, embedder="none", mode="extractive") as agent:
        listening, running = server.listen("127.0.0.1", 0), server.create_server(Site(agent))
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        yield server.address_of(listening).rstrip("/")
        running.should_exit = True
        thread.join(timeout=30)


def test_slow_headers_get_408(impatient: str) -> None:
    for sent in (b"", b"GET /healthz HTTP/1.1\r\nHost: 127.", REQUEST + b"X-Slow: "):
        with closing(connect(impatient)) as connection:
            started = time.monotonic()
            connection.sendall(sent)
            assert status_of(connection) == 408, sent
            assert 0.3 < time.monotonic() - started < 10


def test_dripping_does_not_extend_the_time(impatient: str) -> None:
    started = time.monotonic()
    with closing(connect(impatient)) as connection, suppress(OSError):  # reset, or a broken pipe
        connection.sendall(REQUEST)
        while time.monotonic() - started < 20:
            connection.sendall(b"X-Slow: 1\r\n")
            time.sleep(0.05)
    assert time.monotonic() - started < 20


def test_a_slow_body_gets_408(impatient: str) -> None:
    with closing(connect(impatient)) as connection:
        head = REQUEST.replace(b"GET /healthz", b"POST /ask")
        connection.sendall(
            head + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nq="
        )
        assert status_of(connection) == 408


def test_a_second_request_on_a_connection_is_timed_too(impatient: str) -> None:
    with closing(connect(impatient)) as connection:
        reader = connection.makefile("rb")
        connection.sendall(REQUEST + b"\r\n" + b"GET / HTTP/1.1\r\n")
        assert b" 200 " in reader.readline()
        assert b" 408 " in reader.read()


def wait_until_ready(url: str) -> None:
    """Wait until all models are loaded, and read a page."""
    for _ in range(300):
        if httpx.get(f"{url}/readyz", trust_env=False, timeout=60).status_code == 200:
            break
        time.sleep(0.1)
    assert httpx.get(f"{url}/", trust_env=False, timeout=60).status_code == 200


def rss(pid: int) -> int:
    """Return the memory of a process in kB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])  # type: ignore[index]


def test_300_connections_and_large_requests_take_little_memory(sample_home: Path) -> None:
    with web_server.started(sample_home, env={"PAPERAGENT_EMBEDDER": "none"}) as (url, process):
        wait_until_ready(url)
        before = rss(process.pid)
        with ExitStack() as stack:
            connections = [stack.enter_context(closing(connect(url))) for _ in range(300)]
            for connection in connections:
                connection.sendall(REQUEST)
            with closing(connect(url)) as refused:
                refused.sendall(REQUEST + b"\r\n")
                assert status_of(refused) == 503
            for connection in connections[:100]:
                with suppress(OSError):
                    connection.sendall(b"X-Large: " + b"x" * 100_000)
            assert rss(process.pid) - before < 20_000
        for _ in range(10):
            with closing(connect(url)) as connection, suppress(OSError):
                connection.sendall(REQUEST.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")
        assert rss(process.pid) - before < 20_000
        assert httpx.get(f"{url}/healthz", trust_env=False, timeout=60).status_code == 200


def test_memory_does_not_grow_with_requests(sample_home: Path) -> None:
    with (
        web_server.started(sample_home, env={"PAPERAGENT_EMBEDDER": "none"}) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        for n in range(300):
            client.get(f"/?q=tokens+{n}")
        before = rss(process.pid)
        for n in range(600):
            client.get(f"/?q=tokens+{n}" if n % 2 else "/healthz")
        assert rss(process.pid) - before < 5_000


def test_other_processes_change_the_library_while_it_is_served(sample_home: Path, tmp_path: Path) -> None:
    """20 requests a second while papers are added and the library is checked: none fails."""
    home = shutil.copytree(sample_home, tmp_path / "library")
    environment = {"PAPERAGENT_EMBEDDER": "none"}
    papers = [
        {"title": f"Zanthor study {n}", "abstract": "We measure zanthor.", "published": "2026-07-02"}
        for n in range(200)
    ]
    feeds = [write_jsonl(tmp_path / f"{n}.jsonl", papers[n::4]) for n in range(4)]
    statuses: list[int] = []
    done = threading.Event()

    def read(url: str) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            while not done.is_set():
                for path in ("/", "/?q=zanthor", "/readyz", "/feed.atom"):
                    statuses.append(client.get(path).status_code)
                    time.sleep(0.05)

    with web_server.process(home, env=environment) as url:
        wait_until_ready(url)
        reader = threading.Thread(target=read, args=(url,))
        reader.start()
        for command in (*(["ingest", str(feed)] for feed in feeds), ["doctor"]):
            result = subprocess.run(
                [sys.executable, "-m", "paperagent", *command, "--home", str(home)],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert result.returncode == 0, result.stderr
        page = httpx.get(f"{url}/?q=zanthor", trust_env=False, timeout=60).text
        done.set()
        reader.join(timeout=30)
    assert "Zanthor study" in page
    assert len(statuses) > 20
    assert set(statuses) == {200}


# --- the end ---


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_server_with_the_code_of_the_program(
    number: int, code: int, sample_home: Path
) -> None:
    with (
        web_server.started(sample_home, env={"PAPERAGENT_EMBEDDER": "none"}) as (url, process),
        closing(connect(url)) as idle,
    ):
        assert httpx.get(f"{url}/healthz", trust_env=False, timeout=60).status_code == 200
        process.send_signal(number)
        assert process.wait(timeout=20) == code
        assert idle.recv(1) == b""


def test_a_mail_server_that_hangs_does_not_hold_up_the_end(sample_home: Path, tmp_path: Path) -> None:
    home = shutil.copytree(sample_home, tmp_path / "library")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            "SMTP_URL": f"smtp://127.0.0.1:{silent.getsockname()[1]}",
            "MAIL_FROM": "papers@test.example",
            "PUBLIC_URL": "http://127.0.0.1",
            "SECRET": web_server.SECRET,
            "WEB_ASKERS": "ana@test.example",
            "EMBEDDER": "none",
        }
        env = {f"PAPERAGENT_{name}": value for name, value in settings.items()}
        with web_server.started(home, env=env) as (url, running):
            wait_until_ready(url)
            assert httpx.post(f"{url}/sign-in", data={"email": "ana@test.example"}).status_code == 200
            with silent.accept()[0]:
                began = time.monotonic()
                running.send_signal(signal.SIGTERM)
                assert running.wait(timeout=30) == 143
                assert time.monotonic() - began < 10


def test_the_log_has_no_token_and_no_question(sample_home: Path) -> None:
    command = [sys.executable, "-m", "paperagent", "serve", "--home", str(sample_home), "--port", "0"]
    environment = {**os.environ, "PAPERAGENT_EMBEDDER": "none"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        match = re.search(r"http://\S+(?=/)", process.stdout.readline())
        assert match
        for path in ("/?q=private+question", "/paper/secret", "/no-such-page/secret"):
            httpx.get(match[0] + path, trust_env=False, timeout=60)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=30)
    assert "GET / 200" in log
    assert "GET /paper/{id:path} 404" in log
    for word in ("private", "secret"):
        assert word not in log
