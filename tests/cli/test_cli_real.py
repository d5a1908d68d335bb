"""The program as a process over a real library: exit codes, pipes, signals, concurrency."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from paperagent.feeds.formats import jsonl
from paperagent.feeds.reader import sample_path
from paperagent.testing import ScriptedServer
from paperagent.types import Paper
from terminal import Terminal

PROGRAM = [sys.executable, "-m", "paperagent"]
QUESTION = "How much does Tindersift shorten the prompt?"
NEW = Paper(
    "2601.00009",
    "Zyxwort Pruning",
    "Zyxwort pruning removes nine tenths of the weights.",
    arxiv_id="2601.00009",
)


@pytest.fixture
def environ(sample_environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return an environment with a private library."""
    home = tmp_path / "library"
    shutil.copytree(sample_environ["PAPERAGENT_HOME"], home)
    return {**sample_environ, "PAPERAGENT_HOME": str(home)}


def run(
    environ: Mapping[str, str], *argv: str, code: int = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command, check its exit code, and look for tracebacks."""
    done = subprocess.run(
        [*PROGRAM, *argv],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def started(environ: Mapping[str, str], *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with piped input and output for the block."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([*PROGRAM, *argv], env=dict(environ), stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]  # all three are pipes


def read_until(process: subprocess.Popen[bytes], text: str) -> str:
    """Read lines of the output up to one that contains ``text``."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line.decode()
        if text in seen:
            return seen
    raise AssertionError(seen)


def type_line(process: subprocess.Popen[bytes], line: str) -> None:
    """Type a line."""
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def test_from_a_feed_to_a_cited_answer(tmp_path: Path, sample_environ: dict[str, str]) -> None:
    """Ingest twice and ask: every quote is at its offsets in the text of the library."""
    environ = {**sample_environ, "PAPERAGENT_HOME": str(tmp_path / "new")}
    first = json.loads(run(environ, "ingest", "--json", str(sample_path())).stdout)
    again = json.loads(run(environ, "ingest", "--json", str(sample_path())).stdout)
    assert first["new"] == first["papers"] == again["unchanged"] > 20
    assert (again["new"], again["changed"]) == (0, 0)
    answer = json.loads(run(environ, "ask", "--json", QUESTION).stdout)
    assert answer["status"] == "answered"
    papers = {
        p["paper_id"]: p
        for line in run(environ, "export", "-f", "jsonl").stdout.splitlines()
        for p in [json.loads(line)]
    }
    numbers = {c["n"] for c in answer["citations"]}
    for citation in answer["citations"]:
        abstract = papers[citation["paper_id"]]["abstract"]
        assert abstract[citation["start"] : citation["end"]] == citation["quote"]
        assert citation["paper_id"] in {p["paper_id"] for p in answer["papers"]}
    assert all(n in numbers for claim in answer["claims"] for n in claim["citations"])
    assert "61%" in answer["answer"]


def test_export_and_ingest_round_trip(environ: dict[str, str], tmp_path: Path) -> None:
    """A library exported and read into another is the same library."""
    text = run(environ, "export", "-f", "jsonl").stdout
    other = {**environ, "PAPERAGENT_HOME": str(tmp_path / "other")}
    run(other, "ingest", "-q", "-", input=text)
    assert sorted(run(other, "export", "-f", "jsonl").stdout.splitlines()) == sorted(text.splitlines())


def test_maintenance(environ: dict[str, str]) -> None:
    """Status, doctor and reindex agree about the library."""
    papers = json.loads(run(environ, "status", "--json").stdout)["papers"]
    health = json.loads(run(environ, "doctor", "--json").stdout)
    assert health["ok"]
    assert all(check["ok"] for check in health["checks"])
    assert run(environ, "reindex").stdout == f"{papers} papers reindexed\n"
    assert run(environ, "search", "-k", "1", "Tindersift").stdout.startswith("1. **Tindersift: ")


def test_row_040_closed_pipe(environ: dict[str, str]) -> None:
    """`export | head -1` is quiet."""
    with started(environ, "export", "-f", "jsonl") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) in {0, 141}


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, b"paperagent: interrupted\n"),
        (signal.SIGTERM, 143, b""),
        (signal.SIGHUP, 129, b""),
    ],
)
def test_rows_047_048_signals_unlock(
    number: signal.Signals, code: int, said: bytes, environ: dict[str, str]
) -> None:
    """A signal during an ingest exits with 128 + its number, and the next ingest runs."""
    with started(environ, "ingest", "-") as process:
        assert process.stdin is not None
        process.stdin.write((jsonl.dump(NEW).encode() + b"\n") * 2_000)
        process.stdin.flush()
        time.sleep(2.0)  # it is reading now: only the end of input, or a signal, moves it on
        assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (code, said)
    run(environ, "ingest", "-q", "-", input=jsonl.dump(NEW) + "\n")
    run(environ, "doctor")
    assert not [p for p in Path(environ["PAPERAGENT_HOME"]).rglob("*") if p.name.startswith("tmp")]


def test_row_051_second_ingest_is_locked_out(environ: dict[str, str]) -> None:
    """It exits with 75 at once and names the process that writes; reading still works."""
    from paperagent.library.home import writer_lock

    with writer_lock(Path(environ["PAPERAGENT_HOME"])):
        done = run(environ, "ingest", str(sample_path()), code=75)
        assert f"process {os.getpid()}" in done.stderr
        assert done.stderr.count("\n") == 1
        run(environ, "search", "Tindersift")


def test_row_285_chat_with_a_closed_pipe(environ: dict[str, str]) -> None:
    """A chat whose output is closed during an answer ends silently."""
    with started(environ, "chat") as session:
        type_line(session, QUESTION)
        read_until(session, "Tindersift")
        assert session.stdout is not None
        assert session.stderr is not None
        session.stdout.close()
        type_line(session, QUESTION)
        assert session.wait(60) == 141
        assert session.stderr.read() == b""


def test_rows_294_295_chat_sees_what_another_process_ingests(environ: dict[str, str]) -> None:
    """Two sessions run at once, and both find a paper that is added meanwhile."""
    with started(environ, "chat") as one, started(environ, "chat") as other:
        for session in (one, other):
            type_line(session, QUESTION)
            read_until(session, "## Sources")
        run(environ, "ingest", "-q", "-", input=jsonl.dump(NEW) + "\n")
        for session in (one, other):
            type_line(session, "/new")
            type_line(session, "How many weights does zyxwort pruning remove?")
            read_until(session, "nine tenths")
            read_until(session, "2601.00009")
            _, err = session.communicate(timeout=60)
            assert (session.returncode, err) == (0, b"")


def test_row_293_library_replaced_during_a_session(environ: dict[str, str], tmp_path: Path) -> None:
    """The next question uses the new library, without stale results."""
    home = Path(environ["PAPERAGENT_HOME"])
    new = {**environ, "PAPERAGENT_HOME": str(tmp_path / "new")}
    run(new, "ingest", "-q", "-", input=jsonl.dump(NEW) + "\n")
    with started(environ, "chat") as session:
        type_line(session, QUESTION)
        read_until(session, "## Sources")
        home.rename(tmp_path / "gone")
        type_line(session, QUESTION)
        read_until(session, "no library at")
        (tmp_path / "new").rename(home)
        type_line(session, "/new")
        type_line(session, "How many weights does zyxwort pruning remove?")
        out, _ = session.communicate(timeout=60)
        assert session.returncode == 0
        assert b"nine tenths" in out
        assert b"61%" not in out


def test_chat_over_a_pipe(environ: dict[str, str]) -> None:
    """Each line is a question; no prompt, no escapes, exit code 0."""
    done = run(environ, "chat", input=f"{QUESTION}\n\n/sources\n/quit\nnever asked\n")
    assert done.stderr == ""
    assert "61% of the tokens" in done.stdout
    assert "   > " in done.stdout
    assert "›" not in done.stdout
    assert "\x1b" not in done.stdout


def test_hostile_library_prints_nothing_active(tmp_path: Path, sample_environ: dict[str, str]) -> None:
    """A title full of escapes, links and images is inert in the output of every command."""
    environ = {**sample_environ, "PAPERAGENT_HOME": str(tmp_path / "hostile")}
    title = "Zyx \x1b]0;owned\x07 \u202e ![x](http://evil.example/p.png) <img src=x>"
    record = {"paper_id": "2601.00010", "title": title, "abstract": "Zyx is a hostile word. It stays inert."}
    run(environ, "ingest", "-q", "-", input=json.dumps(record) + "\n")
    for command in (
        ["search", "zyx"],
        ["ask", "What is zyx?"],
        ["export", "-f", "markdown"],
        ["ask", "--json", "zyx"],
    ):
        out = run(environ, *command).stdout
        assert out.replace("\n", "").isprintable()
        if "--json" not in command:
            assert "![" not in out
            assert " <img" not in out


def test_row_183_vectors_of_another_embedder(environ: dict[str, str]) -> None:
    """Exits with 5 and says how to continue; no paper is lost."""
    with ScriptedServer() as server:
        endpoint = {**environ, "OPENAI_BASE_URL": server.url, "PAPERAGENT_MODE": "extractive"}
        one = {**endpoint, "PAPERAGENT_EMBEDDER": "openai:one"}
        run(one, "ingest", "-q", "-", input=jsonl.dump(NEW) + "\n")
        run(one, "search", "zyxwort")
        done = run({**endpoint, "PAPERAGENT_EMBEDDER": "openai:other"}, "search", "zyxwort", code=5)
        assert "openai:one" in done.stderr
        assert "openai:other" in done.stderr
        assert "reindex" in done.stderr
    run(environ, "search", "zyxwort")


@pytest.mark.parametrize(
    ("keys", "code", "said"),
    [
        ("\x03", 130, "paperagent: interrupted"),
        ("\x04", 0, "nothing removed"),
        ("n\r", 0, "nothing removed"),
        ("y\r", 0, "1 paper removed"),
    ],
)
def test_remove_asks_on_a_terminal(keys: str, code: int, said: str, environ: dict[str, str]) -> None:
    """Only y removes; Ctrl-D means no and Ctrl-C interrupts."""
    run(environ, "ingest", "-q", "-", input=jsonl.dump(NEW) + "\n")
    with Terminal([*PROGRAM, "remove", NEW.paper_id], environ) as terminal:
        terminal.expect("Remove 1 paper? [y/N]:")
        terminal.type(keys)
        assert terminal.wait() == code
        assert said in terminal.text()
        assert "unexpected" not in terminal.text()
    run(environ, "show", NEW.paper_id, code=2 if "y" in keys else 0)


@pytest.mark.parametrize(
    ("argv", "redirection", "code", "message"),
    [
        ("chat", "<&-", 2, "standard input: is closed; run chat on a terminal, or pipe questions to it"),
        ("ingest -", "<&-", 4, "standard input: is closed; pipe a feed to it, or name a file"),
        (
            "list",
            ">/dev/full",
            1,
            "standard output: cannot be written: No space left on device; check the disk",
        ),
        (
            "list --json",
            ">/dev/full",
            1,
            "standard output: cannot be written: No space left on device; check the disk",
        ),
    ],
)
def test_standard_streams_that_cannot_be_used(
    argv: str, redirection: str, code: int, message: str, environ: dict[str, str]
) -> None:
    """One line says what is wrong."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m paperagent {argv} {redirection}', sys.executable],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, f"paperagent: error: {message}\n")


def test_ctrl_c_during_an_import() -> None:
    """Numpy is loaded to its end first: onnxruntime would report an interrupt as a failed import."""
    code = """if True:
        import os, signal, sys
        from paperagent.cli.signals import interrupts_after_imports
        class Finder:
            def find_spec(name, path=None, target=None):
                if name == "numpy.linalg":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Finder)
        try:
            with interrupts_after_imports():
                import onnxruntime
        except KeyboardInterrupt:
            print("interrupted", "numpy.linalg" in sys.modules)"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout, done.stderr) == ("interrupted True\n", "")
