"""A path that no file can have: one line and exit code 2, before any work; a full disk leaves no file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paperagent.cli.main import main

COMMANDS = (
    ("digest", "preview", "--out"),
    ("digest", "archive"),
    ("digest", "send", "--outbox"),
    ("digest", "run", "--outbox"),
    ("eval", "init"),
    ("eval", "run"),
    ("eval", "run", "cases.jsonl", "--out"),
    ("eval", "run", "cases.jsonl", "--library"),
    ("eval", "cases", "add"),
    ("subscribers", "import-unsubscribes"),
    ("eval", "report", "run", "--html"),
    ("eval", "report", "run", "--markdown"),
    ("eval", "report", "run", "--junit"),
    ("export", "--out"),
    ("subscribers", "export", "--out"),
)


def run(folder: Path, *arguments: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, after ``limit`` as Python code."""
    code = (
        f"import resource; {limit or 'pass'}\nfrom paperagent.cli.main import main\nraise SystemExit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        # Python itself writes incomplete compiled modules where files are limited.
        env={**os.environ, "PAPERAGENT_HOME": str(folder / "home"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_path_that_is_too_long_is_one_line(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name, or the whole path, is longer than the system allows."""
    for path in ("x" * 256, "/".join(["long"] * 1_000)):
        assert main([*command, str(tmp_path / path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "bytes" in line
        assert len(line) < 300
    assert not list(tmp_path.iterdir())


def test_a_device_without_an_end_is_no_case_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "cases", "check", "/dev/zero"]) == 4
    assert "too large" in capsys.readouterr().err


def test_an_example_whose_name_no_file_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text is looked up as the id of a paper, too."""
    arguments = ["subscribers", "add", "ana@test.example", "--confirmed", "--like", "x" * 300]
    assert main(["--home", str(tmp_path / "home"), *arguments]) in {4, 5}
    assert "unexpected" not in capsys.readouterr().err


def test_eval_init_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The same command works when there is room."""
    full = run(tmp_path, "eval", "init", limit="resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))")
    assert full.returncode == 2
    assert full.stderr.count("\n") == 1
    assert "cannot be written" in full.stderr
    assert not list(tmp_path.iterdir())
    assert run(tmp_path, "eval", "init").returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space")
def test_ask_works_with_a_gigabyte_of_addresses(tmp_path: Path) -> None:
    """The heaps of the threads do not use it up."""
    assert run(tmp_path, "ingest", "sample").returncode == 0
    limit = "resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))"
    code = f"import resource; {limit}\nfrom paperagent.cli.main import script\nscript()"
    asked = subprocess.run(
        [sys.executable, "-c", code, "ask", "How much does Tindersift shorten the prompt?"],
        env={**os.environ, "PAPERAGENT_HOME": str(tmp_path / "home"), "PAPERAGENT_MODE": "extractive"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert "61%" in asked.stdout
