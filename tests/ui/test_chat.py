"""The chat loop: questions, output, history and errors."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bad_inputs import check_covered
from fake_agent import ABSTAINED, COMPARED, PAPERS, SINGLE, FakeAgent, events
from paperagent.errors import EndpointError, InputError
from paperagent.library import home
from paperagent.types import Event
from paperagent.ui.chat import Chat, contains_secret, strip_control
from paperagent.ui.chat_session import HISTORY_TURNS, MAX_ANSWERS
from paperagent.ui.line_input import HISTORY_FILE, PipeReader, secure_history
from paperagent.ui.render import Screen

KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


class Typist:
    """A line reader that returns these lines; an exception among them is raised; then the input ends."""

    interactive = True

    def __init__(self, *lines: str | BaseException) -> None:
        self._lines = iter(lines)

    def read(self) -> str:
        line = next(self._lines, None)
        if line is None:
            raise EOFError
        if isinstance(line, BaseException):
            raise line
        return line


class Clock:
    """A clock that returns these times, then the last one."""

    def __init__(self, *times: float) -> None:
        self._times = list(times)

    def __call__(self) -> float:
        return self._times.pop(0) if len(self._times) > 1 else self._times[0]


def talk(agent: FakeAgent, *lines: str | BaseException, **options: Any) -> tuple[int, str, Chat]:
    """Run a session; return its exit code, its output and the session."""
    out = io.StringIO()
    chat = Chat(agent, Typist(*lines), Screen(out), **options)
    return chat.run(), out.getvalue(), chat


def cut_off(after: int, error: BaseException) -> Any:
    """Return an answer that stops with ``error`` after some claims."""

    def stream() -> Iterator[Event]:
        for number, event in enumerate(events(COMPARED)):
            if number == after + 1:
                raise error
            yield event

    return stream


@pytest.mark.parametrize("line", ["", "  \t ", "\x00\x1b[0m"])
def test_rows_258_259_blank_lines_are_ignored(line: str) -> None:
    """Also lines of control characters only."""
    agent = FakeAgent()
    assert talk(agent, line)[:2] == (0, "\n")
    assert agent.calls == []


def test_row_260_end_of_input_exits_with_0_and_a_newline() -> None:
    assert talk(FakeAgent())[:2] == (0, "\n")


def test_row_261_ctrl_c_twice_exits_with_130() -> None:
    """The first Ctrl-C prints a hint; a second one within two seconds exits; a later one does not."""
    stop = KeyboardInterrupt()
    assert talk(FakeAgent(), stop, stop, clock=Clock(10.0, 11.9))[0] == 130
    code, printed, _ = talk(FakeAgent(), stop, stop, clock=Clock(10.0, 12.1))
    assert code == 0
    assert printed.count("press Ctrl-C again to quit") == 2


def test_row_262_ctrl_c_during_an_answer() -> None:
    """The claims shown can still be opened; the history never contains a partial answer."""
    agent = FakeAgent(cut_off(1, KeyboardInterrupt()))
    _, printed, chat = talk(agent, "first?", "/sources", "second?")
    assert "faster. [1]" in printed
    assert "brighter" not in printed
    assert "stopped" in printed
    assert "   > Sparse lanterns find" in printed
    assert agent.asked() == ["first?", "second?"]
    assert agent.options("ask")["history"] == []
    assert [turn.question for turn in chat.history.turns] == ["q?"]


def test_row_262_ctrl_c_in_a_pipe_ends_the_run() -> None:
    """Without a user, an interrupt ends the whole run."""
    reader = PipeReader(io.BytesIO(b"a?\nb?\n"))
    agent = FakeAgent(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        Chat(agent, reader, Screen(io.StringIO())).run()
    assert agent.asked() == ["a?"]


def test_row_264_piped_lines_are_questions() -> None:
    """The output is the answers and nothing else; exit code 0."""
    out = io.StringIO()
    agent = FakeAgent()
    assert Chat(agent, PipeReader(io.BytesIO(b"a?\r\n\nb?")), Screen(out)).run() == 0
    assert agent.asked() == ["a?", "b?"]
    assert out.getvalue().startswith("## Sparse Lanterns")
    assert out.getvalue().count("\n\n## Sparse Lanterns") == 1
    assert "›" not in out.getvalue()
    assert not out.getvalue().endswith("\n\n")


@pytest.mark.parametrize("line", ["/unknown", "/top-k abc", "/q2"])
def test_rows_265_270_unknown_command_lists_the_commands(line: str) -> None:
    agent = FakeAgent()
    _, printed, _ = talk(agent, line)
    assert f"unknown command {line.split(maxsplit=1)[0]}" in printed
    assert "- /save FILE: save" in printed
    assert agent.calls == []


def test_row_266_two_slashes_escape_a_question() -> None:
    """The message for unknown commands says so."""
    agent = FakeAgent()
    _, printed, _ = talk(agent, "//etc/passwd is what?", "/etc")
    assert agent.asked() == ["/etc/passwd is what?"]
    assert "to ask a question that starts with /, type //" in printed


@pytest.mark.parametrize(
    "name", ["no/such/folder/x.md", ".", "/dev/full", "a\x01b/c", "~nobody-of-this-name/x"]
)
def test_row_268_save_to_an_unwritable_path(name: str) -> None:
    """It is a message; the loop goes on."""
    agent = FakeAgent()
    code, printed, _ = talk(agent, "a?", f"/save {name}", "b?")
    assert code == 0
    assert "error: /save: " in printed
    assert len(agent.asked()) == 2


def test_row_269_save_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    _, printed, _ = talk(
        FakeAgent(), "/save", f"/save {path}", "why?", f"/save {path}", "b?", f"/save {path}"
    )
    assert "no file name given" in printed
    assert "no answer yet" in printed
    assert "talk.md exists; choose another name" in printed
    text = path.read_text(encoding="utf-8")
    assert text.count("# q?") == 1
    assert "   > Sparse lanterns find papers 12% faster. [1]" in text


def test_save_json_is_the_last_answer(tmp_path: Path) -> None:
    """The file can be used with `export --sources-of`."""
    from paperagent.ui.export import cited_quotes

    path = tmp_path / "_a_.json"
    _, printed, _ = talk(FakeAgent(SINGLE, COMPARED), "a?", "b?", f"/save {path}")
    assert f"*saved to {path}*" in printed
    assert list(cited_quotes(path)) == ["2601.00001", "2601.00002"]


@pytest.mark.parametrize("command", ["/clear", "/new"])
def test_row_272_clear_empties_the_history(command: str) -> None:
    """After /clear or /new the next question has no history."""
    agent = FakeAgent(SINGLE, SINGLE)
    _, printed, chat = talk(agent, "a?", "b?")
    assert agent.options("ask")["history"] == [SINGLE]
    _, printed, chat = talk(agent, "a?", command, "/sources", "b?")
    assert agent.options("ask")["history"] == []
    assert "no answer yet" in printed
    assert len(chat.history.answers) == 1


@pytest.mark.parametrize("length", [8_001, 1_000_000])
def test_row_273_long_line_is_refused(length: int) -> None:
    agent = FakeAgent()
    assert f"question too long: {length:,} characters" in talk(agent, "x" * length)[1]
    assert agent.calls == []


def test_row_273_a_long_piped_line_is_skipped() -> None:
    """It is not held in memory, and the next line is read normally."""
    out = io.StringIO()
    agent = FakeAgent()
    Chat(agent, PipeReader(io.BytesIO(b"x" * 3_000_000 + b"\nb?\n")), Screen(out)).run()
    assert "question too long: over 1,048,576 bytes" in out.getvalue()
    assert agent.asked() == ["b?"]


def test_row_275_pasted_lines_are_one_question() -> None:
    agent = FakeAgent()
    talk(agent, "\n".join(f"line {n}" for n in range(200)))
    assert len(agent.asked()) == 1
    assert agent.asked()[0].endswith("\nline 199")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a\x1b[31mb\x1b[0m?", "ab?"),
        ("a\x1b]0;title\x07b?", "ab?"),
        ("a\x1b]52;c;eA==\x1b\\b", "ab"),
        ("nul\x00 c1\x9b\x90 del\x7f", "nul c1 del"),
        ("tab\tnew\r\nline", "tab\tnew\nline"),
    ],
)
def test_rows_276_277_pasted_escapes_are_stripped(line: str, text: str) -> None:
    assert strip_control(line) == text


def test_row_278_invalid_utf8() -> None:
    """The message names the byte, and the next line is read."""
    out = io.StringIO()
    agent = FakeAgent()
    assert Chat(agent, PipeReader(io.BytesIO(b"caf\xe9?\nb?\n")), Screen(out)).run() == 0
    assert "input is not UTF-8 text (byte 0xe9 at offset 3)" in out.getvalue()
    assert agent.asked() == ["b?"]


@pytest.mark.parametrize("error", [EndpointError("endpoint: reset; ask again"), ValueError("a\x1b bug")])
def test_row_286_failure_during_an_answer(error: Exception) -> None:
    """Claims shown before are kept and marked INCOMPLETE; the loop goes on."""
    agent = FakeAgent(cut_off(1, error))
    code, printed, _ = talk(agent, "a?", "/open 1", "b?")
    assert code == 0
    assert "faster. [1]" in printed
    assert "*INCOMPLETE:* the answer was cut off (failed)" in printed
    assert "error: " in printed
    assert "\x1b" not in printed
    assert "We study lanterns." in printed
    assert agent.options("ask")["history"] == []


def test_debug_raises_unexpected_errors() -> None:
    with pytest.raises(ValueError, match="bug"):
        talk(FakeAgent(ValueError("bug")), "a?", debug=True)


def test_row_288_key_expires() -> None:
    """The error is printed; the next question is asked."""
    agent = FakeAgent(EndpointError("endpoint: the key was refused (401); set OPENAI_API_KEY"))
    code, printed, _ = talk(agent, "a?", "b?")
    assert code == 0
    assert "the key was refused" in printed
    assert "faster. [1]" in printed


def test_row_291_follow_up_without_history_is_asked_as_it_is() -> None:
    """Nothing is added to the question."""
    agent = FakeAgent()
    talk(agent, "what about it?")
    assert agent.asked() == ["what about it?"]


def test_rows_292_301_a_long_session_stays_small() -> None:
    """Only the newest turns are kept, the user is told once, and abstentions are among them."""
    agent = FakeAgent(*[ABSTAINED] * 3)
    turns = MAX_ANSWERS + 50
    _, printed, chat = talk(agent, *(f"{n}?" for n in range(turns)))
    assert len(agent.asked()) == turns
    assert len(chat.history.turns) == HISTORY_TURNS
    assert len(chat.history.answers) == MAX_ANSWERS
    assert printed.count("questions are remembered") == 1


def test_row_296_a_repeated_question_is_asked_again() -> None:
    """The library may have changed."""
    agent = FakeAgent(SINGLE, COMPARED)
    _, printed, _ = talk(agent, "a?", "a?")
    assert len(agent.asked()) == 2
    assert "brighter" not in printed
    assert "Dense lanterns cost more." in printed


def test_row_297_a_clock_that_goes_back() -> None:
    """A clock set back does not turn one Ctrl-C into two."""
    stop = KeyboardInterrupt()
    assert talk(FakeAgent(), stop, "a?", clock=Clock(100.0, -50.0))[0] == 0


def test_rows_300_304_an_api_key_is_neither_sent_nor_stored() -> None:
    agent = FakeAgent()
    _, printed, chat = talk(agent, f"my key is {KEY}")
    assert "looks like an API key" in printed
    assert KEY not in printed
    assert (agent.calls, chat.history.answers) == ([], [])
    assert not contains_secret("what does sk-learn's ski-lift do with task-specific-fine-tuning-of-models?")


def test_help_lists_every_command() -> None:
    printed = talk(FakeAgent(), "/help")[1]
    for name in ("/help", "/sources", "/open N", "/new", "/save FILE", "/quit"):
        assert f"- {name}: " in printed


@pytest.mark.parametrize("goodbye", ["/quit", "quit", "exit", "Bye!"])
def test_quit_exits_at_once(goodbye: str) -> None:
    """Nothing after a goodbye is read, with or without the slash."""
    agent = FakeAgent()
    assert talk(agent, goodbye, "a?")[0] == 0
    assert agent.calls == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/open", "no source number given; sources: 1"),
        ("/open 7", "no source 7; sources: 1"),
        ("/open x", "no source x"),
    ],
)
def test_open_with_an_invalid_number(command: str, message: str) -> None:
    """The message lists the valid numbers."""
    assert message in talk(FakeAgent(), "a?", command)[1]


def test_open_shows_the_paper_with_all_its_quotes() -> None:
    """The abstract is shown with every cited sentence highlighted."""
    _, printed, _ = talk(FakeAgent(COMPARED), "a?", "/open [3]")
    assert printed.endswith(
        "We study lanterns.\n\n   > Sparse lanterns find papers 12% faster. [1]\n\n"
        "   > The code is public. [3]\n\n"
    )


def test_open_a_paper_that_was_removed() -> None:
    gone = replace(SINGLE, citations=(replace(SINGLE.citations[0], paper_id="x"),))
    assert "no paper with the id x" in talk(FakeAgent(gone), "a?", "/open 1")[1]


def test_claims_are_shown_before_the_answer_is_done() -> None:
    """A claim is printed before the next one is generated."""
    out, seen = io.StringIO(), []

    def stream() -> Iterator[Event]:
        for event in events(COMPARED):
            seen.append(out.getvalue())
            yield event

    Chat(FakeAgent(stream), Typist("a?"), Screen(out)).run()
    assert "faster. [1]" in seen[2]
    assert "cost more. [2]" not in seen[2]
    assert "cost more. [2]" in seen[3]


def test_options_go_with_every_question() -> None:
    agent = FakeAgent()
    talk(agent, "a?", options={"category": "cs.CL", "k": 3})
    assert agent.options("ask") == {"history": [], "category": "cs.CL", "k": 3}


def test_a_note_is_shown_once_per_session() -> None:
    agent = FakeAgent(*[replace(SINGLE, notes=("words alone",))] * 2)
    assert talk(agent, "a?", "b?")[1].count("words alone") == 1


def test_row_299_history_file_is_private(tmp_path: Path) -> None:
    """It is created with mode 0600, a readable one is restricted, a link or folder is not used."""
    path = tmp_path / "chat_history"
    assert secure_history(path) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert secure_history(path) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(path)
    assert "is a symbolic link" in (secure_history(tmp_path / "link") or "")
    assert "the history is not saved" in (secure_history(tmp_path) or "")
    assert "No such file or directory" in (secure_history(tmp_path / "none" / "x") or "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_row_299_history_file_that_is_a_pipe(tmp_path: Path) -> None:
    """It is not used and does not block."""
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in (secure_history(tmp_path / "pipe") or "")


def test_doctor_knows_the_history_file() -> None:
    assert HISTORY_FILE in home.OURS


def test_an_input_error_of_the_reader_is_printed() -> None:
    """The loop goes on."""
    agent = FakeAgent()
    code, printed, _ = talk(agent, InputError("not UTF-8 text; type it again"), "a?")
    assert (code, agent.asked()) == (0, ["a?"])
    assert "error: not UTF-8 text" in printed


def test_the_loop_loads_no_terminal_library() -> None:
    code = "import sys, paperagent.ui.chat; sys.exit(bool({'rich', 'prompt_toolkit'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_papers_of_the_fake_exist() -> None:
    """The fake has the papers that its answers cite."""
    assert {c.paper_id for c in COMPARED.citations} <= {p.paper_id for p in PAPERS}


def test_every_row_is_covered() -> None:
    """Each row for chat has a test or is listed as not applicable yet."""
    here = {
        258,
        259,
        260,
        261,
        262,
        264,
        265,
        266,
        268,
        269,
        270,
        272,
        273,
        275,
        276,
        277,
        278,
        286,
        288,
    }
    here |= {291, 292, 296, 297, 299, 300, 301, 304}
    here |= {271, 289, 290}  # tests/test_chat_llm.py, tests/test_ask_terminal.py
    rendered = {279, 280, 281, 282, 283, 284}  # tests/test_render.py
    terminal = {263, 274, 298, 302, 303}  # tests/test_chat_terminal.py
    real = {285, 293, 294, 295}  # tests/test_cli_real.py
    check_covered("Chat loop", {f"bad-{n}" for n in here | rendered | terminal | real})
