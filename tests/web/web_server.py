"""Serves a library for the tests of the web page: inside the test, or in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.testclient import TestClient

from paperagent import PaperAgent
from paperagent.web.app import create_app
from paperagent.web.server import LimitedProtocol, address_of, listen
from paperagent.web.site import Site

HOST = "http://127.0.0.1"
SECRET = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # noqa: S105 - made up
READERS = {
    "ana@test.example": "retrieved passages",
    "bo@test.example": "language models as judges",
    "cy@test.example": "speech recognition",
}
"""Address and interest of each confirmed reader of the fixture `digest`."""


@contextmanager
def client(agent: PaperAgent, **options: object) -> Iterator[TestClient]:
    """Yield a client of a site whose application runs in this process; errors become pages.

    Its requests come from this machine; ``TestClient(http.app, client=(ADDRESS, 1), …)`` is another one.
    """
    site = Site(agent, **options)  # type: ignore[arg-type]
    with TestClient(
        create_app(site),
        base_url=HOST,
        raise_server_exceptions=False,
        follow_redirects=False,
        client=("127.0.0.1", 50_000),
    ) as http:
        yield http


@contextmanager
def serving(agent: PaperAgent, **options: object) -> Iterator[tuple[str, Site]]:
    """Serve a site over real connections from a thread of this process; yield its address and the site."""
    site = Site(agent, **options)  # type: ignore[arg-type]
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(create_app(site), access_log=False, log_config=None, http=LimitedProtocol)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield address_of(listening).rstrip("/"), site
        finally:
            site.stop_turns()
            server.should_exit = True
            thread.join(timeout=30)


@contextmanager
def process(home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run ``paperagent serve`` and yield its address; it is interrupted at the end."""
    with started(home, *arguments, env=env) as (address, _):
        yield address


@contextmanager
def started(
    home: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``paperagent serve`` and yield its address and its process; it is interrupted at the end."""
    command = [sys.executable, "-m", "paperagent", "serve", "--home", str(home), "--port", "0", *arguments]
    environment = {**os.environ, **(env or {})}
    with (
        tempfile.TemporaryFile("w+") as log,  # a pipe that nobody reads would fill up
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as running,
    ):
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            match = re.search(r"http://\S+(?=/)", line)
            if match is None:
                running.wait(timeout=30)
                log.seek(0)
                raise AssertionError(line + log.read())
            yield match[0], running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)
                running.communicate(timeout=30)
