"""`paperagent log`, and what `ask` writes to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_agent import ABSTAINED, COMPARED, SINGLE
from paperagent.cli.main import main
from paperagent.library.home import DATABASE
from paperagent.ui.answer_log import LOG_FILE, AnswerLog

KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"
QUESTION = "How much does Tindersift shorten the prompt?"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnswerLog:
    """Return a log with three answers, which the command reads."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path))
    (tmp_path / DATABASE).touch()
    answer_log = AnswerLog(tmp_path)
    for answer in (SINGLE, ABSTAINED):
        answer_log.append(answer)
    answer_log.append(COMPARED, session="abcd")
    return answer_log


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Return the output of a command that must succeed."""
    assert main(argv) == 0, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_list(log: AnswerLog, capsys: pytest.CaptureFixture[str]) -> None:
    """The last answer first, with its time, status and id."""
    lines = printed(capsys, "log").splitlines()
    assert [line[:9] for line in lines] == ["1. **q?**", "2. **q?**", "3. **q?**"]
    assert " · abstained · " in lines[1]
    assert all(entry.id in line for entry, line in zip(reversed(log.entries()), lines, strict=True))
    assert len(printed(capsys, "log", "-n", "1").splitlines()) == 1
    listed = json.loads(printed(capsys, "log", "--json"))["answers"]
    assert [entry["session"] for entry in listed] == ["abcd", None, None]
    assert listed[0].keys() == {"id", "time", "session", "status", "question"}


def test_show_an_answer_again(log: AnswerLog, capsys: pytest.CaptureFixture[str]) -> None:
    """The output is the same as that of ``ask``, with and without ``--json``."""
    shown = printed(capsys, "log", "1", "--quotes")
    assert shown.startswith(f"*{log.entries()[-1].time.astimezone():%Y-%m-%d}")
    assert "Dense lanterns cost more. [2]" in shown
    assert "   > The code is public. [3]" in shown
    assert "## Nearest papers" in printed(capsys, "log", log.entries()[1].id)
    document = json.loads(printed(capsys, "log", "3", "--json"))
    assert {key: document[key] for key in SINGLE.to_dict()} == SINGLE.to_dict()


def test_clear(log: AnswerLog, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "log", "--clear") == "log deleted\n"
    assert not log.path.exists()
    assert "no answers yet" in printed(capsys, "log")
    assert json.loads(printed(capsys, "log", "--json")) == {"answers": []}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["9"], "log: no answer 9; give a number from 1 (the last) to 3 or an id"),
        (["x\x1b[31m"], "log: no answer x\\x1b[31m; "),
        (["1", "--clear"], "--clear: cannot be combined with other arguments"),
        (["-n", "0"], "--last: must be 1..10000, got 0"),
    ],
)
@pytest.mark.usefixtures("log")
def test_usage_errors(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", *argv]) == 2
    assert f"paperagent: error: {message}" in capsys.readouterr().err


def test_a_folder_without_a_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for the other commands; nothing is written."""
    (tmp_path / "file").touch()
    for home in (tmp_path, tmp_path / "none", tmp_path / "file"):
        for argv in (["log"], ["log", "--json"], ["log", "1"]):
            assert main(["--home", str(home), *argv]) == 5, argv
            assert "paperagent: error: " in capsys.readouterr().err
    printed(capsys, "--home", str(tmp_path), "ask", "Hello!")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_ask_logs_its_answer(
    sample_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once for each question, unless the setting or an API key in the question forbids it."""
    for name, value in sample_environ.items():
        monkeypatch.setenv(name, value)
    log = AnswerLog(Path(sample_environ["PAPERAGENT_HOME"]))
    log.clear()
    answer = printed(capsys, "ask", QUESTION)
    assert [entry.answer.question for entry in log.entries()] == [QUESTION]
    assert printed(capsys, "log", "1").endswith(answer)
    printed(capsys, "ask", f"What does {KEY} mean?")
    monkeypatch.setenv("PAPERAGENT_LOG", "off")
    printed(capsys, "ask", QUESTION)
    assert len(log.entries()) == 1
    log.clear()


def test_ask_without_a_log_file(
    sample_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the log cannot be written, the answer is printed, and a warning names the setting."""
    for name, value in sample_environ.items():
        monkeypatch.setenv(name, value)
    blocked = Path(sample_environ["PAPERAGENT_HOME"]) / LOG_FILE
    AnswerLog(blocked.parent).clear()
    blocked.mkdir()
    try:
        assert main(["ask", QUESTION]) == 0
    finally:
        blocked.rmdir()
    out, err = capsys.readouterr()
    assert "61%" in out
    assert err.startswith("paperagent: warning: answer log ")
    assert "PAPERAGENT_LOG=false" in err
