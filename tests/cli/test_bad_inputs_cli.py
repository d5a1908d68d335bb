"""The command line on the rows of the shared list of bad inputs that concern it."""

from __future__ import annotations

import datetime as dt
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bad_inputs import check_covered
from fake_agent import FakeAgent
from paperagent.cli import main

TOMORROW_NEXT = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=3)).isoformat()
ENTRY = [sys.executable, "-m", "paperagent"]

USAGE: list[tuple[str, list[str], bytes | None, str]] = [
    ("bad-001", [], None, "Commands:"),
    ("bad-002", ["asj"], None, "unknown command 'asj': did you mean 'ask'?"),
    ("bad-003", ["ask", "--tpo-k", "3", "q"], None, "unrecognized option '--tpo-k': did you mean '--top-k'?"),
    ("bad-004", ["ask"], b"", "missing QUESTION"),
    ("bad-005", ["ask", ""], None, "question is empty"),
    ("bad-006", ["ask", "   \n"], None, "question is empty"),
    ("bad-007", ["ask", "--top-k", "0", "q"], None, "--top-k: must be 1..100, got 0"),
    ("bad-008", ["ask", "--top-k", "-3", "q"], None, "--top-k: must be 1..100, got -3"),
    ("bad-009", ["ask", "--top-k", "1e9", "q"], None, "not an integer: '1e9'"),
    ("bad-010", ["ask", "-k", "5.0", "q"], None, "not an integer: '5.0'"),
    ("bad-011", ["search", "--top-k", "9999", "q"], None, "must be 1..100, got 9999"),
    ("bad-011", ["search", "--top-k", "9" * 5000, "q"], None, "must be 1..100, got 9"),
    ("bad-012", ["ask", "--top-k", "", "q"], None, "--top-k: value missing"),
    ("bad-012", ["ask", "q", "--top-k"], None, "--top-k: value missing"),
    ("bad-013", ["ask", "--timeout", "nan", "q"], None, "--timeout: must be a number > 0"),
    ("bad-014", ["ask", "--timeout", "inf", "q"], None, "--timeout: must be finite"),
    ("bad-015", ["ask", "--timeout", "0", "q"], None, "must be a number > 0"),
    (
        "bad-017",
        ["search", "--since", "2025-13-01", "q"],
        None,
        "--since: not a date (YYYY-MM-DD): '2025-13-01'",
    ),
    ("bad-017", ["search", "--since", "２０２５-01-01", "q"], None, "not a date"),
    ("bad-018", ["search", "--since", "2026-02-30", "q"], None, "no such day: '2026-02-30'"),
    ("bad-019", ["search", "--since", TOMORROW_NEXT, "q"], None, "date is in the future, nothing can match"),
    ("bad-020", ["ask", "--since", "2026-02-02", "--until", "2026-02-01", "q"], None, "empty date range"),
    ("bad-021", ["ask", "--days", "-1", "q"], None, "--days: must be >= 1"),
    ("bad-022", ["ask", "--store", "", "q"], None, "--home: path is empty"),
    ("bad-025", ["ask", "--store", "a\0b", "q"], None, "path contains NUL"),
    ("bad-028", ["export", "--format", "xml"], None, "--format: 'xml' is not one of 'bibtex', 'ris'"),
    ("bad-029", ["ingest", "--json", "--quiet", "x"], None, "cannot be combined"),
    ("bad-030", ["ask", "--model", "", "q"], None, "--model: model is empty"),
    ("bad-031", ["ask", "--base-url", "ftp://x", "q"], None, "'--base-url': set OPENAI_BASE_URL"),
    ("bad-032", ["ask", "--base-url=http://user:hunter2@h", "q"], None, "'--base-url': set OPENAI_BASE_URL"),
    ("bad-033", ["ask", "--api-key", "hunter2", "q"], None, "set OPENAI_API_KEY in the environment or .env"),
    ("bad-033", ["ask", "--api-key=hunter2", "q"], None, "set OPENAI_API_KEY in the environment or .env"),
    ("bad-041", ["ask"], b"what is \xff?", "input is not UTF-8 text (byte 0xff at offset 8)"),
    ("bad-042", ["ask", "caf\udce9"], None, "argument is not valid UTF-8 (at byte 4)"),
    ("bad-043", ["ask", "a" * 100_000], None, "question too long: 100,000 characters (max 8,000 characters)"),
    ("bad-044", ["ask", "-what is this"], None, "put -- before text that begins with -"),
]


class Stdin(io.TextIOWrapper):
    """Standard input with these bytes, or (with None) a terminal without input."""

    def __init__(self, raw: bytes | None) -> None:
        super().__init__(io.BytesIO(raw or b""), encoding="utf-8")
        self.terminal = raw is None

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> FakeAgent:
    """Replace the library by a fake."""
    fake = FakeAgent()
    monkeypatch.setattr("paperagent.agent.PaperAgent", fake)
    monkeypatch.setattr(sys, "stdin", Stdin(None))
    return fake


@pytest.mark.parametrize(("row", "argv", "stdin", "message"), USAGE)
def test_usage_errors(
    row: str,
    argv: list[str],
    stdin: bytes | None,
    message: str,
    agent: FakeAgent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An invalid command line exits with 2 and one line, and nothing is opened."""
    monkeypatch.setattr(sys, "stdin", Stdin(stdin))
    assert main.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "hunter2" not in err
    assert agent.calls == []
    if row != "bad-001":
        assert err.startswith("paperagent: error: ")
        assert err.count("\n") == 1
        assert len(err) < 400


def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the program in a process of its own."""
    given: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "capture_output": True,
        "timeout": 60,
    }
    return subprocess.run([*ENTRY, *argv], check=False, **{**given, **options})


def test_row_016_unknown_option_is_refused() -> None:
    """An unknown option exits with 2 and is named."""
    done = run("ask", "--temperature", "3", "q")
    assert done.returncode == 2
    assert b"--temperature" in done.stderr


def test_row_023_missing_library_is_not_created(tmp_path: Path) -> None:
    """Reading without a library exits with 5, names the absolute path, and creates nothing."""
    for command in (
        ["search", "q"],
        ["ask", "lanterns"],
        ["chat"],
        ["status"],
        ["doctor"],
        ["reindex"],
        ["export"],
    ):
        done = run(*command, "--store", str(tmp_path / "none"))
        assert done.returncode == 5, done
        assert f"no library at {tmp_path / 'none'}".encode() in done.stderr
        assert b"run 'paperagent ingest' first" in done.stderr
    assert not (tmp_path / "none").exists()


def test_row_024_a_file_is_not_a_library() -> None:
    """A file in place of the library exits with 5 and says so."""
    done = run("ask", "--store", "/etc/passwd", "lanterns")
    assert done.returncode == 5
    assert b"/etc/passwd" in done.stderr
    assert b"file" in done.stderr


def test_row_026_relative_path_is_shown_absolute() -> None:
    done = run("status", "--store", "../x/../y")
    assert done.returncode == 5
    assert str(Path.cwd().parent / "y").encode() in done.stderr


def test_row_027_missing_settings_file() -> None:
    """A missing --env-file exits with 3; the hint for --config is --env-file."""
    done = run("status", "--env-file", "missing.env")
    assert done.returncode == 3
    assert b"missing.env: no such file" in done.stderr
    assert b"--env-file FILE" in run("status", "--config", "missing.toml").stderr


def test_row_037_existing_file_is_kept(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """--out replaces a file only with --force."""
    path = Path("out.bib")
    path.write_text("mine", encoding="utf-8")
    assert main.main(["export", "--out", "out.bib"]) == 2
    assert "file exists" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "mine"
    assert main.main(["export", "--out", "out.bib", "--force"]) == 0
    assert path.read_text(encoding="utf-8").startswith("@misc{")


@pytest.mark.parametrize(
    ("place", "why"), [(".", "is a folder"), ("no/such/x.bib", "No such file or directory")]
)
def test_row_038_unwritable_output(
    place: str, why: str, agent: FakeAgent, capsys: pytest.CaptureFixture[str]
) -> None:
    """--out to a folder, or into a missing one, exits with 2 and the reason."""
    assert main.main(["export", "--out", place]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_row_039_full_disk(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed write exits with 1 and says why."""
    assert main.main(["export", "--out", "/dev/full"]) == 1
    assert "write failed: /dev/full: No space left on device" in capsys.readouterr().err


def test_row_039_failed_write_leaves_nothing(
    agent: FakeAgent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the file nor a part of it is left when the disk fills up."""

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main.main(["export", "--out", "out.bib"]) == 1
    assert "write failed" in capsys.readouterr().err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_row_039_standard_output_on_a_full_disk() -> None:
    """A failed write to standard output is one line and exit code 1."""
    with Path("/dev/full").open("wb") as full:
        done = run("config", "show", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("command", [["config", "show"], ["--help"]])
def test_row_040_closed_pipe_is_quiet(command: list[str]) -> None:
    """If the reader of a pipe goes away, the program ends silently."""
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*command, stdout=writing, stderr=subprocess.PIPE, capture_output=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_row_045_last_of_two_options_counts(agent: FakeAgent) -> None:
    """The last of two values is used, and the help says so."""
    assert main.main(["search", "-k", "1", "--top-k", "2", "q"]) == 0
    assert agent.options("search")["k"] == 2
    assert b"the last value is used" in run("--help").stdout


def test_row_046_ascii_terminal() -> None:
    """Printing never fails in a non-UTF-8 locale, and arguments are still UTF-8."""
    environ = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run("config", "show", "--home", "/tmp/ä", env=environ)  # noqa: S108 - only named, never made
    assert done.returncode == 0
    assert rb"/tmp/\xe4" in done.stdout
    done = run("ask", "--home", str(Path(tempfile.gettempdir()) / "none"), "naïve?", env=environ)
    assert done.returncode == 5


def test_row_047_ctrl_c(agent: FakeAgent, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C exits with 130 and one word, after the library has been closed."""
    agent.fails = KeyboardInterrupt()
    assert main.main(["ask", "q"]) == 130
    assert capsys.readouterr().err == "paperagent: interrupted\n"
    assert agent.calls[-1][0] == "close"


def test_row_049_version_with_broken_settings() -> None:
    """--version needs no settings."""
    Path(".env").write_bytes(b"\xff\xff nonsense")
    done = run("--version")
    assert (done.returncode, done.stdout[:11]) == (0, b"paperagent ")


def test_row_050_help_needs_no_settings() -> None:
    """--help works with an empty environment and broken settings, for every command."""
    Path(".env").write_bytes(b"\xff\xff nonsense")
    for command in ([], ["ask"], ["models", "pull"]):
        done = run(*command, "--help", env={"PATH": os.environ["PATH"]})
        assert (done.returncode, done.stderr) == (0, b"")


def test_every_row_is_covered() -> None:
    """Each row for the command line has a test or is listed as not applicable yet."""
    numbered = (23, 24, 26, 27, 37, 38, 39, 40, 45, 46, 47, 49, 50)
    # tests/test_cli_real.py; tests/digest/test_digest_cli.py and test_subscribers.py
    real = {"bad-048", "bad-051", "bad-034", "bad-035", "bad-036"}
    check_covered("CLI args", {row for row, *_ in USAGE} | {f"bad-0{n}" for n in numbered} | real)
