"""`paperagent chat` in a real terminal: keys, pastes, signals, window sizes, locales."""

from __future__ import annotations

import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from terminal import Terminal

CHAT = [sys.executable, "-m", "paperagent", "chat"]
QUESTION = "How much does Tindersift shorten the prompt?"
FOUND = "Tindersift removes 61% of the tokens"
KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


@pytest.fixture
def environ(sample_environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return an environment with a private library."""
    home = tmp_path / "library"
    shutil.copytree(sample_environ["PAPERAGENT_HOME"], home)
    return {**sample_environ, "PAPERAGENT_HOME": str(home)}


def history(environ: dict[str, str]) -> Path:
    """Return the path of the history file."""
    return Path(environ["PAPERAGENT_HOME"]) / "chat_history"


def quit_chat(terminal: Terminal, prompt: str = "›") -> None:
    """Type Ctrl-D once the prompt is shown; before that, the kernel handles it."""
    terminal.expect(prompt)
    terminal.type("\x04")
    assert terminal.wait() == 0


def test_a_session(environ: dict[str, str]) -> None:
    """A question is answered, /open shows the paper, Ctrl-D quits and restores the terminal."""
    with Terminal(CHAT, environ) as terminal:
        assert "papers. Type /help for commands" in terminal.expect("›")
        terminal.type(QUESTION + "\r")
        shown = terminal.expect("Sources [1]")
        assert FOUND in shown
        terminal.expect("›")
        terminal.type("/open 1\r")
        assert "invented" not in terminal.expect("single-hop questions only.")
        quit_chat(terminal)
        assert terminal.restored()
    assert QUESTION in history(environ).read_text(encoding="utf-8")
    assert stat.S_IMODE(history(environ).stat().st_mode) == 0o600


def test_row_275_a_paste_is_one_question(environ: dict[str, str]) -> None:
    """Pasted lines wait for Enter; Alt-Enter inserts a line break."""
    pasted = "\n".join(["tindersift"] * 200)
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.type(f"\x1b[200~{pasted}\x1b[201~ shortens\x1b\rthe prompt?\r")
        terminal.expect("Sources [1]")
        quit_chat(terminal)
        assert terminal.text().count("Sources [1]") == 1
    kept = [
        line for line in history(environ).read_text(encoding="utf-8").splitlines() if line.startswith("+")
    ]
    assert len(kept) == 201
    assert kept[-2:] == ["+tindersift shortens", "+the prompt?"]


def test_row_261_ctrl_c_at_the_prompt(environ: dict[str, str]) -> None:
    """Ctrl-C clears the line; twice in a row exits with 130 and restores the terminal."""
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.type("half a quest\x03")
        terminal.expect("press Ctrl-C again to quit")
        terminal.expect("›")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert terminal.restored()
    assert "half a quest" not in history(environ).read_text(encoding="utf-8")


def test_row_274_a_line_longer_than_the_kernels_limit(environ: dict[str, str]) -> None:
    """A line of 6,000 characters arrives complete; the kernel's line editing would cut it at 4,095."""
    line = "tindersift " * 545 + "end?"
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.type(line + "\r")
        terminal.expect("Sources [1]")
        quit_chat(terminal)
    assert "+" + line in history(environ).read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell with job control")
def test_row_263_ctrl_z_and_fg(environ: dict[str, str]) -> None:
    """Ctrl-Z suspends the session; fg resumes it."""
    with Terminal(["bash", "--norc", "--noprofile", "-i"], {**environ, "PS1": "shell> "}) as terminal:
        terminal.expect("shell>")
        terminal.type(" ".join(CHAT) + "\r")
        terminal.expect("›")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("fg\r")
        terminal.expect("›")
        terminal.type(QUESTION + "\r")
        terminal.expect("Sources [1]")
        terminal.expect("›")
        terminal.type("\x04")
        terminal.expect("shell>")
        terminal.type("exit\r")
        assert terminal.wait() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_row_302_hangup_and_termination(number: signal.Signals, code: int, environ: dict[str, str]) -> None:
    """A signal leaves no lock and restores the terminal."""
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.process.send_signal(number)
        assert terminal.wait() == code
        assert terminal.restored()
        assert "Traceback" not in terminal.seen
    with Terminal([*CHAT[:-1], "reindex"], environ) as terminal:
        assert terminal.wait() == 0


def test_rows_283_303_the_window_changes_size(environ: dict[str, str]) -> None:
    """The session survives a storm of resizes, down to one and zero columns."""
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        for columns in [*range(1, 120, 3), 0, 1, 80]:
            terminal.resize(columns)
        terminal.type(QUESTION + "\r")
        for columns in range(20, 100, 7):
            terminal.resize(columns)
        terminal.expect("Sources")
        quit_chat(terminal)


@pytest.mark.parametrize("columns", [3, 5, 20])
def test_row_283_narrow_window(columns: int, environ: dict[str, str]) -> None:
    with Terminal(CHAT, environ, columns=columns) as terminal:
        terminal.expect("›")
        terminal.type(QUESTION + "\r")
        terminal.expect("[1]")
        quit_chat(terminal)
        assert "error" not in terminal.text()


def test_rows_278_298_locale_c_and_invalid_utf8(environ: dict[str, str]) -> None:
    """Answers are printed in a non-UTF-8 locale, and invalid bytes give a message."""
    c = {**environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with Terminal(CHAT, c) as terminal:
        terminal.expect("Ctrl-D to quit")
        terminal.type(b"caf\xff\xfe?\r")
        terminal.expect("input is not UTF-8 text (byte 0xff at offset 3)")
        terminal.type("What do we know of long contexts – and retrieval?\r")
        terminal.expect("Sources [1]")
        quit_chat(terminal, prompt=">")


def test_row_284_dumb_terminal(environ: dict[str, str]) -> None:
    """TERM=dumb gets a bare prompt and no escapes."""
    with Terminal(CHAT, {**environ, "TERM": "dumb"}) as terminal:
        terminal.expect(">")
        terminal.type(QUESTION + "\n")
        terminal.expect("Sources")
        terminal.expect(">")
        terminal.type("\x03")
        terminal.expect("press Ctrl-C again to quit")
        quit_chat(terminal, prompt=">")
        assert "\x1b" not in terminal.seen


def test_rows_299_300_304_keys_and_history(environ: dict[str, str]) -> None:
    """A typed key is neither saved nor recalled; HISTORY=0 saves nothing."""
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.type(f"use {KEY}\r")
        terminal.expect("looks like an API key")
        terminal.type("/help\r")
        terminal.expect("/quit")
        quit_chat(terminal)
    assert KEY not in history(environ).read_text(encoding="utf-8")
    history(environ).unlink()
    with Terminal(CHAT, {**environ, "PAPERAGENT_HISTORY": "0"}) as terminal:
        terminal.expect("›")
        terminal.type("/help\r")
        terminal.expect("/quit")
        quit_chat(terminal)
    assert not history(environ).exists()


def test_row_299_history_file_that_is_a_link(environ: dict[str, str], tmp_path: Path) -> None:
    """A symbolic link gives a warning and is not followed."""
    (tmp_path / "target").write_text("", encoding="utf-8")
    history(environ).symlink_to(tmp_path / "target")
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("is a symbolic link")
        terminal.type("/help\r")
        terminal.expect("/quit")
        quit_chat(terminal)
    assert (tmp_path / "target").read_text(encoding="utf-8") == ""


def test_tab_completes_commands(environ: dict[str, str]) -> None:
    """One completion is inserted, several are listed above the prompt; a question is left as it is."""
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.type("/so\t\r")
        terminal.expect("no answer yet")
        terminal.expect("›")
        terminal.type(QUESTION + "\t\r")
        terminal.expect("Sources [1]")
        terminal.expect("›")
        terminal.type("/o\t1\r")
        terminal.expect("single-hop questions only.")
        terminal.expect("›")
        terminal.type("/s\t")
        terminal.expect("/sources /summarize /save")
    assert f"+{QUESTION}\n" in history(environ).read_text(encoding="utf-8")
    assert "+/open 1\n" in history(environ).read_text(encoding="utf-8")


@pytest.mark.parametrize(("columns", "term"), [(20, "xterm"), (80, "dumb"), (20, "dumb")])
def test_commands_in_a_narrow_or_dumb_terminal(columns: int, term: str, environ: dict[str, str]) -> None:
    """/list, /open, /filter, /retry and /copy need neither width nor escapes."""
    with Terminal(CHAT, {**environ, "TERM": term}, columns=columns) as terminal:
        prompt = ">" if term == "dumb" else "›"
        enter = "\n" if term == "dumb" else "\r"
        terminal.expect(prompt)
        for line, expected in [
            ("/list", "/list more"),
            ("/open 1", "Before They"),
            ("/filter category=cs.CL", "filters:"),
            ("/filter off", "none"),
            (QUESTION, "[1]"),
            ("/retry", "[1]"),
            ("/help", "/quit"),
        ]:
            terminal.type(line + enter)
            terminal.expect(expected)
        terminal.type("/copy" + enter)
        terminal.expect("/save" if term == "dumb" else "copied,")
        quit_chat(terminal, prompt=prompt)
        assert "error: unexpected" not in terminal.text()
        assert term != "dumb" or "\x1b" not in terminal.seen


def test_continue_goes_on_with_the_last_conversation(environ: dict[str, str]) -> None:
    with Terminal(CHAT, environ) as terminal:
        terminal.expect("›")
        terminal.type(QUESTION + "\r")
        terminal.expect("Sources [1]")
        quit_chat(terminal)
    with Terminal([*CHAT, "--continue"], environ) as terminal:
        assert "1 question, the last one “How much does Tindersift" in terminal.expect("›")
        terminal.type("/sources\r")
        terminal.expect("Tindersift: Filtering")
        quit_chat(terminal)
