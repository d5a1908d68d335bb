"""Completion by the shell, `paperagent help`, and suggestions for misspelled commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paperagent.cli import main
from paperagent.cli.program_help import COMMANDS, text
from paperagent.text.spelling import nearest_name

SHELLS = ("bash", "zsh", "fish")


def completions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    """Return what bash is offered for the last word of ``line``."""
    monkeypatch.setenv("_PAPERAGENT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    assert main.main([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("paperagent ", [f"plain,{name}" for name in COMMANDS]),
        ("paperagent su", ["plain,summarize", "plain,subscribers"]),
        ("paperagent help exp", ["plain,export"]),
        ("paperagent ask --max", ["plain,--max-cost"]),
        ("paperagent ask --mode ", ["plain,extractive", "plain,select", "plain,llm"]),
        ("paperagent subscribers lis", ["plain,list"]),
        ("paperagent completion ", ["plain,bash", "plain,zsh", "plain,fish"]),
        ("paperagent ingest no", ["file,no"]),
        ("paperagent export --out ", ["file,"]),
        ("paperagent nosuch --", []),
    ],
)
def test_completions(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, subcommands, options, the values of an option, and files."""
    found = completions(monkeypatch, capsys, line)
    assert found == offered if offered else not [c for c in found if c.startswith("plain,--mode")]


def test_an_unknown_instruction_completes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for instruction in ("", "bash", "tcsh_complete", "bash_source"):
        monkeypatch.setenv("_PAPERAGENT_COMPLETE", instruction)
        assert main.main(["--help"]) == 1
        assert capsys.readouterr().out == ""


def test_completion_loads_nothing_heavy() -> None:
    code = (
        "import sys; from paperagent.cli.main import main; main([])\n"
        "print([m for m in ('pydantic', 'numpy', 'rich', 'prompt_toolkit', 'chromadb') if m in sys.modules])"
    )
    environ = {**os.environ, "_PAPERAGENT_COMPLETE": "bash_complete", "COMP_CWORD": "3"}
    environ["COMP_WORDS"] = "paperagent ask --effort "
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["plain,fast", "plain,deep", "[]"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_completes_in_its_shell(shell: str, tmp_path: Path) -> None:
    """The shell accepts the script and registers it; bash and fish also complete a word."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "paperagent"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m paperagent "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = {
        "bash": "source <(paperagent completion bash); COMP_WORDS=(paperagent summ); COMP_CWORD=1; "
        '$(complete -p paperagent | sed "s/.*-F //; s/ .*//") paperagent; echo "${COMPREPLY[@]}"',
        "zsh": "autoload -Uz compinit; compinit -u -D; source <(paperagent completion zsh); "
        "print $_comps[paperagent]",
        "fish": "paperagent completion fish | source; complete -C 'paperagent summ'",
    }[shell]
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    environ = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [shell, *options, "-c", script], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    expected = "_paperagent_completion" if shell == "zsh" else "summarize"
    assert done.stdout.split()[0] == expected


@pytest.mark.parametrize("argv", [["help"], ["--debug", "help"]])
def test_help_is_a_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(argv) == 0
    assert capsys.readouterr().out == text()


@pytest.mark.parametrize(
    ("argv", "usage"),
    [
        (["help", "ask"], "Usage: paperagent ask "),
        (["help", "eval", "run"], "Usage: paperagent eval run "),
        (["digest", "help"], "Usage: paperagent digest "),
        (["eval", "help", "compare"], "Usage: paperagent eval compare "),
    ],
)
def test_help_of_a_command(argv: list[str], usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(argv) == 0
    assert capsys.readouterr().out.startswith(usage)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["serach", "x"], "unknown command 'serach': did you mean 'search'?"),
        (["help", "stats"], "unknown command 'stats': did you mean 'status'?"),
        (["digest", "prevew"], "unknown command 'prevew': did you mean 'preview'?"),
        (["eval", "quux"], "unknown command 'quux': commands: run, "),
        (["import", "x"], "unknown command 'import': commands: ingest, "),
        (["how", "many"], "unknown command 'how': to ask a question, write 'paperagent ask \"…\"'"),
        (["Compare A and B"], "unknown command 'Compare A and B': to ask a question, write "),
        (["digest", "how"], "unknown command 'how': commands: archive, "),
    ],
)
def test_only_a_near_command_is_suggested(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(argv) == 2
    assert f"paperagent: error: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ingst", "ingest"),
        ("ASK", "ask"),
        ("sumarise", "summarize"),
        ("subscriebrs", "subscribers"),
        ("doc", "doctor"),
        ("help", None),
        ("s", None),
        ("sx", None),
        ("co", None),
        ("reads", None),
        ("", None),
    ],
)
def test_nearest_name(name: str, near: str | None) -> None:
    """One edit is tolerated, or two in a long name; a unique beginning is completed."""
    assert nearest_name(name, COMMANDS) == near
