"""What the pages for people say is so: commands, options, settings, and the guide from end to end."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bad_inputs import NOT_YET
from paperagent import PaperAgent
from paperagent.cli.commands import root
from paperagent.cli.program_help import COMMANDS
from paperagent.config import Settings
from paperagent.feeds import dates, ids, json_fields
from paperagent.feeds.formats import FORMATS, huggingface
from paperagent.feeds.reader import sample_path
from paperagent.testing import ScriptedServer
from paperagent.text import mojibake, sanitize
from paperagent.types import PARTIAL_DATE, RETRACTED
from paperagent.ui.chat_commands import COMMANDS as CHAT_COMMANDS
from paths import ROOT, SHARED
from scripted_model import SHORTER, WRONG, saying

BASE = ROOT
GUIDE = (BASE / "docs" / "guide.md").read_text(encoding="utf-8")
PAGES = {"README.md": (BASE / "README.md").read_text(encoding="utf-8"), "docs/guide.md": GUIDE}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"(?:^|[|;&`(=]|\$ |bin/)\s*paperagent(?= |$)([^|;&>`\n]*)", re.MULTILINE)
NOT_RUN = {"paperagent models pull": "gets the model from where it can be had, which no test does"}


def code(text: str) -> Iterator[str]:
    """Yield what stands as code: fenced blocks other than Python, and spans."""
    yield from (body for language, body in _FENCE.findall(text) if language != "python")
    yield from re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def calls(text: str) -> list[list[str]]:
    """Return the arguments of each `paperagent …` in code."""
    found = [call for part in code(text) for call in _CALL.findall(part)]
    return [shlex.split(call, comments=True) for call in found]


def command_of(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that is called and what it is given."""
    context = root.make_context("paperagent", ["status"])
    command: click.Command = root
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"no command {rest[0]}"
        command = found
        del rest[0]
    return command, rest


def options_of(command: click.Command) -> set[str]:
    """Return the names of a command's options."""
    named = {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}
    return named | {"-h", "--help"}


def all_commands() -> Iterator[click.Command]:
    """Yield every command, those of groups included."""
    for name in COMMANDS:
        command, _ = command_of([name])
        yield command
        if isinstance(command, click.Group):
            yield from command.commands.values()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_named_exists(page: str) -> None:
    """No page names a command, or an option of it, that is not there."""
    named = [call for call in calls(PAGES[page]) if not (call and call[0].isupper())]
    assert len(named) > 5
    for call in named:
        command, rest = command_of(call)
        options = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
        assert set(options) <= options_of(command), call


def test_every_option_named_alone_exists() -> None:
    """An option that the guide names by itself is an option of some command."""
    everywhere = {name for command in all_commands() for name in options_of(command)}
    alone = {word for part in code(GUIDE) for word in re.findall(r"(?<![\w-])--[a-z-]+", part)}
    assert alone - options_of(root) <= everywhere


def test_the_guide_leaves_no_command_out() -> None:
    """Every command, every chat command and every option of an answer is in the guide."""
    assert {call[0] for call in calls(GUIDE) if call} >= set(COMMANDS)
    spans = " ".join(code(GUIDE))
    assert [name for name in CHAT_COMMANDS if name not in spans] == []
    missing = [
        name for name in options_of(command_of(["ask"])[0]) if name.startswith("--") and name not in spans
    ]
    assert set(missing) <= {"--top-k", "--store", "--env-file", "--help", "--no-judge"}


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_named_exists(page: str) -> None:
    """No page names a key of the environment that the program does not read."""
    keys = {
        str(f.validation_alias or f"PAPERAGENT_{name.upper()}") for name, f in Settings.model_fields.items()
    }
    named = set(re.findall(r"\b(?:PAPERAGENT|OPENAI)_[A-Z_]+\b", PAGES[page]))
    assert named <= keys
    assert named


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """A page's links to other pages of the project are right."""
    folder = (BASE / page).parent
    links = re.findall(r"\]\(([^)#:]+)\)", PAGES[page])
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_page_of_feeds_names_every_format_and_flag() -> None:
    page = (BASE / "docs" / "feeds.md").read_text(encoding="utf-8")
    flags = (
        RETRACTED,
        PARTIAL_DATE,
        dates.BAD_DATE,
        dates.FUTURE_DATE,
        ids.BAD_URL,
        json_fields.DROPPED_FIELDS,
        huggingface.TRUNCATED_BY_PAGE,
        mojibake.REPAIRED,
        mojibake.DAMAGED,
        sanitize.CONTROL,
        sanitize.BIDI,
        sanitize.INVISIBLE,
        sanitize.SURROGATE,
        sanitize.TRUNCATED,
    )
    assert [name for name in (*FORMATS, *flags) if f"`{name}`" not in page] == []


def test_the_bad_inputs_page_lists_exactly_the_rows_that_do_not_apply_yet() -> None:
    """`docs/bad_inputs.md` names every row that has no test yet, and no other."""
    text = (BASE / "docs" / "bad_inputs.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| bad-")]
    assert {row for line in table for row in re.findall(r"bad-\d{3}", line)} == set(NOT_YET)
    assert all(len(line.split("|")) == 5 and line.split("|")[3].strip() for line in table)


def scripts() -> Iterator[tuple[str, str]]:
    """Yield the guide's shell blocks, each with the section it stands in."""
    for section in GUIDE.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        yield from ((title, body) for language, body in _FENCE.findall(section) if language == "sh")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the guide's commands are for a shell")
def test_the_guide_works_from_end_to_end(sample_environ: dict[str, str], tmp_path: Path) -> None:
    """Every command of the guide succeeds, in order; those with a model against the scripted server."""
    shutil.copy(sample_path(), tmp_path / "feed.txt")
    environ = {**sample_environ, "PAPERAGENT_HOME": str(tmp_path / "library")}
    program = f'paperagent() {{ {shlex.quote(sys.executable)} -m paperagent "$@"; }}\nset -e -o pipefail\n'
    printed: dict[str, str] = {}
    with ScriptedServer(models=("gpt-6-luna",)) as server:
        server.responder = saying(SHORTER, WRONG)
        endpoint = {"OPENAI_BASE_URL": server.url, "PAPERAGENT_MODEL": "gpt-6-luna"}
        for section, body in scripts():
            lines = [line for line in body.splitlines() if line.partition("#")[0].strip() not in NOT_RUN]
            done = subprocess.run(
                ["bash", "-c", program + "\n".join(lines)],
                env={**environ, **(endpoint if "--endpoint" in body or section == "With a model" else {})},
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, ""), body
            printed[section] = done.stdout
        assert len(server.history) >= 4
    shown = printed["Fill the library"]
    assert shown.startswith(
        "32 read: 32 new, 0 changed, 0 unchanged; 0 skipped\n32 papers in the library; vectors"
    )
    assert "61% of the tokens" in printed["Ask"]
    assert printed["With a model"].count("## Withheld\n   > ~~Tindersift removes 16%") >= 1
    assert (tmp_path / "papers.bib").read_text(encoding="utf-8").count("@misc{") == 32


def test_the_guides_python_runs(sample_environ: dict[str, str]) -> None:
    """Each Python block is a program that works on the sample feed, from an event loop too."""
    blocks = [body for language, body in _FENCE.findall(GUIDE) if language == "python"]
    assert any("aask_stream" in body for body in blocks)
    for body in blocks:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", body],
            env=sample_environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), body
        if "aask_stream" in body:
            assert "61% of the tokens" in done.stdout
            assert "22 million" in done.stdout


@pytest.mark.parametrize("feed", ["", "daily-papers-1.txt", "daily-papers-2.txt"])
def test_the_questions_of_the_demo_fit_the_library(feed: str, tmp_path: Path) -> None:
    """The second asks for a gain that a paper reports, the third compares two papers by their names."""
    path = SHARED / "seeds" / feed if feed else sample_path()
    if not path.exists():
        pytest.skip("the shared test data is not here; name its folder in PAPERAGENT_SHARED")
    environment = {**os.environ, "PAPERAGENT_HOME": str(tmp_path), "PAPERAGENT_EMBEDDER": "none"}
    with PaperAgent(tmp_path, embedder="none", mode="extractive") as agent:
        agent.ingest(path)
        command = [sys.executable, "examples/questions.py"]
        printed = subprocess.run(
            command, env=environment, cwd=BASE, capture_output=True, check=True, text=True
        )
        questions = printed.stdout.splitlines()
        assert len(questions) == 4
        statuses = [agent.ask(question).status for question in questions]
        assert statuses == ["answered", "answered", "answered", "abstained"]
        assert re.search(r"\d%", agent.ask(questions[1]).answer)
        assert len({citation.title for citation in agent.ask(questions[2]).citations}) == 2
