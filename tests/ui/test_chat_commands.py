"""The slash commands, and the completion of commands with Tab."""

from __future__ import annotations

import base64
import io
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from test_chat import Typist, talk

from fake_agent import ABSTAINED, COMPARED, HITS, SINGLE, FakeAgent
from paperagent.errors import EndpointError
from paperagent.types import Answer
from paperagent.ui import clipboard
from paperagent.ui.answer_log import AnswerLog
from paperagent.ui.chat import Chat
from paperagent.ui.chat_commands import COMMANDS, FILTERS, LIST_SIZE
from paperagent.ui.render import Screen

LIBRARY = Answer("how many?", "answered", None, "3 papers.", hits=HITS, kind="library")


@pytest.fixture(autouse=True)
def no_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the clipboard programs of this machine."""
    monkeypatch.setattr(clipboard, "_PROGRAMS", ())


# --- /open ---


@pytest.mark.parametrize("answer", [ABSTAINED, LIBRARY])
def test_open_a_paper_by_its_rank(answer: Answer) -> None:
    """If the answer cites nothing, N is the number of a paper shown."""
    _, printed, _ = talk(FakeAgent(answer), "a?", "/open 2", "/open 9", "/open")
    assert "**Dense Lanterns**" in printed
    assert "They are brighter." in printed
    assert "/open: no paper 9; papers: 1 to 3" in printed
    assert "/open: no paper number given; papers: 1 to 3" in printed


def test_open_without_any_paper() -> None:
    chat_answer = replace(ABSTAINED, hits=(), kind="chat")
    assert "/open: no paper 1; papers: none" in talk(FakeAgent(chat_answer), "hi", "/open 1")[1]


def test_a_fact_does_not_renumber_the_papers() -> None:
    listing = replace(LIBRARY, answer="3 papers:\n\n1. One\n2. Two\n3. Three")
    fact = replace(LIBRARY, answer="“One” was written by nobody.", hits=HITS[:1])
    greeting = Answer("hi", "answered", None, "Hello.", kind="chat")
    _, printed, _ = talk(
        FakeAgent(listing, fact, greeting), "list", "who wrote 1?", "hi", "/open 2", "/open 9"
    )
    assert "They are brighter." in printed
    assert "/open: no paper 9; papers: 1 to 3" in printed


def test_sources_of_an_answer_without_sources() -> None:
    assert "*the last answer has no sources*" in talk(FakeAgent(LIBRARY), "a?", "/sources")[1]


def test_summarize_after_a_list_of_papers() -> None:
    """Its papers are summarized; those of an abstention are not."""
    agent = FakeAgent(LIBRARY)
    talk(agent, "a?", "/summarize")
    ((ids,),) = [args for name, args, _ in agent.calls if name == "summarize"]
    assert ids == [hit.paper_id for hit in LIBRARY.hits]
    abstained = FakeAgent(ABSTAINED)
    printed = talk(abstained, "a?", "/summarize")[1]
    assert "/summarize: the last answer has no sources; use /summarize TOPIC" in printed


# --- /list and /filter ---


def test_list_is_numbered_and_open_follows_it() -> None:
    """Newest first; after a further answer, the numbers are those of that answer again."""
    agent = FakeAgent()
    _, printed, _ = talk(agent, "a?", "/list", "/open 1", "b?", "/open 1")
    titles = ["1. **Dense Lanterns**", "2. **Sparse Lanterns", "3. **A third paper**"]
    assert sorted(titles, key=printed.index) == titles
    assert "*3 papers*" in printed
    opened = [args[0] for name, args, _ in agent.calls if name == "get"]
    assert opened == ["2601.00002", "2601.00001"]


def test_list_takes_filters_and_those_of_the_session() -> None:
    _, printed, _ = talk(FakeAgent(), "/filter category=cs", "/list since=2026-02-01", "/open 2")
    assert "Dense Lanterns" in printed
    assert "Sparse Lanterns" not in printed
    assert "*1 paper*" in printed
    assert "/open: no paper 2; papers: 1 to 1" in printed
    assert "*no papers*" in talk(FakeAgent(), "/list source=nowhere")[1]


def test_a_long_list_is_shown_in_parts() -> None:
    agent = FakeAgent()
    many = [replace(HITS[0].paper, title=f"Paper {n}") for n in range(LIST_SIZE + 3)]
    agent.library = many
    _, printed, _ = talk(agent, "/list more", "/list", f"/open {LIST_SIZE + 1}", "/list more")
    assert "error: /list more: no list yet; use /list" in printed
    assert f"*{LIST_SIZE + 3} papers; 3 more: /list more*" in printed
    assert f"papers: 1 to {LIST_SIZE}" in printed
    assert f"{LIST_SIZE + 3}. **Paper {LIST_SIZE + 2}**" in printed
    assert printed.endswith(f"*{LIST_SIZE + 3} papers*\n\n")


def test_filter_sets_shows_and_clears() -> None:
    """Filters apply to the next questions; an empty value removes one, and off removes all."""
    agent = FakeAgent()
    lines = ["/filter", "/filter since=2026-01-01 category=cs.CL source='my feed'", "a?"]
    _, printed, _ = talk(agent, *lines, "/filter category=", "/filter off", "b?")
    assert "*filters: none*" in printed
    assert "*filters: since=2026-01-01, category=cs.CL, source=my feed*" in printed
    assert "*filters: since=2026-01-01, source=my feed*" in printed
    asked = [options for name, _, options in agent.calls if name == "ask"]
    assert asked[0]["since"] == "2026-01-01"
    assert asked[0]["source"] == "my feed"
    assert [asked[1][option] for option in FILTERS.values()] == [None] * len(FILTERS)


def test_filters_by_author_and_excluded_words() -> None:
    agent = FakeAgent()
    _, printed, _ = talk(agent, "/filter author=Ada Example not=dense, night watch", "a?", "/list")
    assert "*filters: author=Ada Example, not=dense, night watch*" in printed
    assert agent.options("ask")["author"] == "Ada Example"
    assert agent.options("ask")["exclude"] == ("dense", "night watch")
    assert "1. **Sparse Lanterns" in printed
    assert "*1 paper*" in printed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/filter cs.CL", '"cs.CL" is not a filter; use /filter since=… '),
        ("/filter categroy=cs", "no filter categroy; did you mean category=?"),
        ("/filter colour=red", "no filter colour; use /filter since=…"),
        ("/filter since=yesterday", "since: yesterday is not a date"),
        ("/filter since=2026-02-01 until=2026-01-01", "the range is empty"),
        ("/list newest", '"newest" is not a filter; use /list since=…'),
        ("/filter \x1b[31msince=x", "is not a date"),
    ],
)
def test_a_bad_filter_changes_nothing(line: str, message: str) -> None:
    agent = FakeAgent()
    _, printed, _ = talk(agent, "/filter category=cs.CL", line, "a?")
    assert message in printed
    assert agent.options("ask")["category"] == "cs.CL"
    assert not agent.options("ask").get("since")


# --- /retry ---


def test_retry_asks_again_with_the_present_options() -> None:
    """The former answer is no longer part of the conversation."""
    agent = FakeAgent(COMPARED, SINGLE, COMPARED)
    _, printed, chat = talk(agent, "/retry", "a?", "b?", "/filter category=cs.CL", "/retry")
    assert "/retry: no question yet" in printed
    assert agent.asked() == ["a?", "b?", "b?"]
    assert agent.options("ask")["category"] == "cs.CL"
    assert agent.options("ask")["history"] == [COMPARED]
    assert chat.history.turns == [COMPARED, COMPARED]


def test_retry_after_a_failure_keeps_the_conversation() -> None:
    broken = EndpointError("endpoint: reset; ask again")
    agent = FakeAgent(SINGLE, broken, broken, COMPARED)
    _, _, chat = talk(agent, "a?", "/retry", "/retry", "/retry")
    assert agent.asked() == ["a?"] * 4
    assert chat.history.turns[-1] == COMPARED


def test_retry_asks_a_model_again_instead_of_its_cache() -> None:
    agent = FakeAgent()
    talk(agent, "a?", "/retry", model="some-model")
    assert agent.options("ask")["cache"] is False


def test_retry_repeats_a_summary() -> None:
    agent = FakeAgent()
    talk(agent, "/summarize lanterns", "/filter category=cs.IR", "/retry")
    calls = [(args, options) for name, args, options in agent.calls if name == "summarize"]
    assert [args for args, _ in calls] == [("lanterns",), ("lanterns",)]
    assert calls[1][1]["category"] == "cs.IR"


# --- /copy ---


def test_copy_through_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """OSC 52 transmits the answer as text; a long answer is an error."""
    monkeypatch.setenv("TERM", "xterm-256color")
    out = io.StringIO()
    chat = Chat(FakeAgent(), Typist("/copy", "a?", "/copy"), Screen(out, terminal=True, width=80))
    assert chat.run() == 0
    assert "no answer yet" in out.getvalue()
    encoded = out.getvalue().partition("\x1b]52;c;")[2].partition("\x07")[0]
    assert base64.b64decode(encoded).decode() == str(SINGLE)
    assert "copied, through the terminal (OSC 52)" in out.getvalue()
    with pytest.raises(Exception, match="too long for the terminal; use /save FILE"):
        clipboard.copy_text("é" * 60_000, chat.screen)


def test_copy_with_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first program that works is used; programs that fail are skipped."""
    for name, body in [("one", "exit 1"), ("two", f'cat > "{tmp_path}/copied"')]:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    programs = tuple((str(tmp_path / name),) for name in ("none", "one", "two"))
    monkeypatch.setattr(clipboard, "_PROGRAMS", programs)
    assert f"copied, with {tmp_path}/two" in talk(FakeAgent(), "a?", "/copy")[1].replace("\\", "")
    assert (tmp_path / "copied").read_text(encoding="utf-8") == str(SINGLE)


@pytest.mark.parametrize("terminal", [True, False])
def test_copy_without_a_clipboard(*, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a dumb terminal nor a pipe gets an escape sequence."""
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    Chat(FakeAgent(), Typist("a?", "/copy"), Screen(out, terminal=terminal, width=200)).run()
    assert "\x1b" not in out.getvalue()
    assert "install xclip or wl-clipboard, or use /save FILE" in out.getvalue()


# --- unknown commands and Tab ---


@pytest.mark.parametrize(
    ("line", "near"), [("/opne 1", "/open"), ("/summ", "/summarize"), ("/HELP", "/help"), ("/qiut", "/quit")]
)
def test_a_near_command_is_suggested(line: str, near: str) -> None:
    printed = talk(FakeAgent(), line)[1]
    assert f"did you mean {near}?" in printed
    assert "/save FILE" not in printed


def test_tab_completes_commands_and_known_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are never completed."""
    (tmp_path / "talk.md").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    chat = talk(FakeAgent(COMPARED), "a?")[2]
    complete = chat.commands.complete
    assert complete("/") == [f"{c.partition(' ')[0]}{' ' if ' ' in c else ''}" for c in COMMANDS]
    assert complete("/s") == ["/sources", "/summarize ", "/save "]
    assert complete("/effort ") == ["fast", "normal", "deep"]
    assert complete("/effort d") == ["deep"]
    assert complete("/open ") == ["1", "2", "3"]
    assert complete("/filter since=2026-01-01 cat") == ["category="]
    assert complete("/filter category=cs") == ["category=cs.CL", "category=cs.IR"]
    assert complete("/filter source=") == ["source=arxiv", "source=daily-papers"]
    assert "off" in complete("/filter ")
    assert complete("/list m") == ["more"]
    assert complete("/save t") == ["talk.md"]
    assert complete("/save no/such/") == []
    for line in ("", "why", "why /op", "//op", "/new x", "/open 1\n/"):
        assert complete(line) == []


def test_tab_completes_the_numbers_shown() -> None:
    assert talk(FakeAgent(ABSTAINED), "a?")[2].commands.complete("/open ") == ["1", "2", "3"]
    assert talk(FakeAgent(), "a?", "/list since=2026-02-01")[2].commands.complete("/open ") == ["1"]
    assert talk(FakeAgent())[2].commands.complete("/open ") == []


def test_help_is_short() -> None:
    """Each command has one short line."""
    assert all(len(f"{name} {about}") < 92 for name, about in COMMANDS.items())


# --- the log ---


def test_answers_are_logged_and_continued(tmp_path: Path) -> None:
    """/new starts a conversation; --continue resumes the last one."""
    log = AnswerLog(tmp_path)
    talk(FakeAgent(SINGLE, COMPARED, ABSTAINED), "a?", "/new", "b?", "c?", log=log)
    entries = log.entries()
    assert len({entry.session for entry in entries}) == 2
    assert [entry.answer.status for entry in log.last_session()] == ["answered", "abstained"]
    agent, out = FakeAgent(), io.StringIO()
    chat = Chat(agent, Typist("/sources", "d?"), Screen(out), log=log)
    chat.continue_conversation(log.last_session())
    chat.run()
    assert "continuing the conversation of " in out.getvalue()
    assert "2 questions, the last one “q?”" in out.getvalue()
    assert [turn.answer for turn in agent.options("ask")["history"]] == [COMPARED.answer, ABSTAINED.answer]
    assert len(log.last_session()) == 3


def test_nothing_to_continue(tmp_path: Path) -> None:
    out = io.StringIO()
    Chat(FakeAgent(), Typist(), Screen(out)).continue_conversation(AnswerLog(tmp_path).last_session())
    assert "no conversation in the log; starting a new one" in out.getvalue()


def test_a_log_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "answer_log.jsonl").mkdir()
    agent = FakeAgent()
    code, printed, _ = talk(agent, "a?", "b?", log=AnswerLog(tmp_path))
    assert (code, len(agent.asked())) == (0, 2)
    assert printed.count("the answer is not logged") == 1
