"""The log of answers: contents, size, privacy, and disk errors."""

from __future__ import annotations

import errno
import functools
import json
import operator
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from fake_agent import ABSTAINED, COMPARED, SINGLE
from paperagent.errors import InputError
from paperagent.layout import answer_blocks, document
from paperagent.library import home
from paperagent.text.sanitize import safe_json
from paperagent.types import Answer, Status
from paperagent.ui import answer_log
from paperagent.ui.answer_log import LOG_FILE, AnswerLog

KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


@pytest.mark.parametrize("answer", [SINGLE, COMPARED, ABSTAINED])
def test_an_answer_is_shown_again_as_it_was(answer: Answer, tmp_path: Path) -> None:
    """A logged answer has its claims, its citations and the fields of its papers that lists show."""
    log = AnswerLog(tmp_path)
    log.append(answer, session="s")
    entry = log.find("1")
    assert (log.warning, entry.session) == (None, "s")
    assert document(answer_blocks(entry.answer, quotes=True)) == document(answer_blocks(answer, quotes=True))
    assert entry.to_dict() == {**entry.to_dict(), **answer.to_dict()}
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_find_by_number_and_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 is the last answer; a beginning of an id must be unique."""
    ids = iter(["aa000001", "aa000002", "12345678"])
    monkeypatch.setattr("paperagent.ui.answer_log.secrets.token_hex", lambda _n: next(ids))
    log = AnswerLog(tmp_path)
    with pytest.raises(InputError, match="no answer 1; it is empty"):
        log.find("1")
    for question in ("a?", "b?", "c?"):
        log.append(replace(SINGLE, question=question))
    assert [log.find(n).answer.question for n in ("1", "3", "aa000001", "AA000002", "12345678")] == [
        *("c?", "a?", "a?", "b?", "c?")
    ]
    for name in ("0", "4", "-1", "zz", "", "١", "99999999999999999999"):
        with pytest.raises(InputError, match=r"give a number from 1 \(the last\) to 3 or an id"):
            log.find(name)
    with pytest.raises(InputError, match="aa matches several ids"):
        log.find("aa")


def test_a_question_with_a_key_is_not_logged(tmp_path: Path) -> None:
    """And the secrets of the settings are masked, wherever they are."""
    log = AnswerLog(tmp_path, lambda text: text.replace("hunter22", "…"))
    log.append(replace(SINGLE, question=f"use {KEY}"))
    log.append(replace(SINGLE, notes=("the server said hunter22",)))
    assert KEY not in log.path.read_text(encoding="utf-8")
    assert [entry.answer.notes for entry in log.entries()] == [("the server said …",)]


def test_the_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full log replaces the former one; the newest answers are kept."""
    monkeypatch.setattr(answer_log, "MAX_LOG_BYTES", 20_000)
    log = AnswerLog(tmp_path)
    for n in range(60):
        log.append(replace(SINGLE, question=f"{n}?"))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50_000
    questions = [entry.answer.question for entry in log.entries()]
    assert 10 < len(questions) < 60
    assert questions == [f"{n}?" for n in range(60 - len(questions), 60)]
    assert {path.name for path in tmp_path.iterdir()} <= home.OURS
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Lines are not mixed, even while the log is rotated."""
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path\n"
        "from fake_agent import SINGLE; from paperagent.ui import answer_log\n"
        "answer_log.MAX_LOG_BYTES = 150_000\n"
        "log = answer_log.AnswerLog(Path(sys.argv[1]))\n"
        "for n in range(100):\n"
        "    log.append(replace(SINGLE, question=f'{sys.argv[2]} {n}', notes=('x' * 500,)))\n"
        "assert log.warning is None, log.warning"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": path}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env=environ) for name in "ab"
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    lines = [
        line for path in tmp_path.glob("*.jsonl") for line in path.read_bytes().splitlines() if line
    ]  # an empty line: one process saw half of the line of the other
    assert len(AnswerLog(tmp_path).entries()) == len(lines) > 60
    last = {entry.answer.question for entry in AnswerLog(tmp_path).entries()}
    assert {"a 99", "b 99"} & last


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry that was cut off is lost, the next one is not."""
    log = AnswerLog(tmp_path)
    log.append(SINGLE)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:50]))
    log.append(SINGLE)
    assert "the disk is full; the answer is not logged" in (log.warning or "")

    def fails(_descriptor: int, _line: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fails)
    log.append(SINGLE)
    assert "No space left on device" in (log.warning or "")
    monkeypatch.setattr(os, "write", write)
    log.append(COMPARED)
    assert [len(entry.answer.citations) for entry in log.entries()] == [1, 3]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A link is not followed, a folder and a pipe are not opened, a readable file is made private."""
    target = tmp_path / "target"
    target.write_text("", encoding="utf-8")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / LOG_FILE).symlink_to(target)
    log = AnswerLog(tmp_path / "link")
    log.append(SINGLE)
    assert "is a symbolic link" in (log.warning or "")
    assert (target.read_text(encoding="utf-8"), log.entries()) == ("", [])
    (tmp_path / "folder" / LOG_FILE).mkdir(parents=True)
    log = AnswerLog(tmp_path / "folder")
    log.append(SINGLE)
    assert "the answer is not logged" in (log.warning or "")
    assert log.entries() == []
    (tmp_path / LOG_FILE).touch(0o644)
    AnswerLog(tmp_path).append(SINGLE)
    assert stat.S_IMODE((tmp_path / LOG_FILE).stat().st_mode) == 0o600


def test_lines_that_are_no_entries_are_skipped(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.append(SINGLE)
    entry = json.loads(log.path.read_text(encoding="utf-8"))
    broken = [{**entry, "time": "never"}, {**entry, "answer": {}}, {**entry, "answer": None}, [], 7]
    lines = [*map(json.dumps, broken), "", "{", "[" * 100_000, json.dumps({k: entry[k] for k in ("id",)})]
    with log.path.open("ab") as file:
        file.write("\n".join(lines).encode() + b"\n\xff\xfe\n")
    log.append(COMPARED)
    assert [len(found.answer.citations) for found in log.entries()] == [1, 3]


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value within ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, *path, key)


@pytest.mark.parametrize("answer", [COMPARED, ABSTAINED])
def test_a_value_of_a_wrong_type(answer: Answer, tmp_path: Path) -> None:
    """The line is skipped, or the answer can still be shown; `question` and others must be right."""
    log = AnswerLog(tmp_path)
    log.append(answer)
    text = log.path.read_text(encoding="utf-8")
    for path in list(places(json.loads(text))):
        for wrong in (None, "wrong", 5, True, [5], {"a": None}, float("nan")):
            entry = json.loads(text)
            parent = functools.reduce(operator.getitem, path[:-1], entry)
            parent[path[-1]] = wrong
            log.path.write_text(json.dumps(entry), encoding="utf-8")
            for found in log.entries():
                assert isinstance(found.answer.question, str)
                assert found.answer.status in get_args(Status)
                assert list(answer_blocks(found.answer, quotes=True))
                safe_json(found.to_dict())
                assert found.time.astimezone()
    required = ("question", "status", "timings_ms", "claims", "citations", "papers", "answer", "usage")
    for name in required:
        log.path.write_text(
            json.dumps({**(entry := json.loads(text)), "answer": {**entry["answer"], name: None}}),
            encoding="utf-8",
        )
        assert log.entries() == [], name


def test_text_that_is_no_utf8_is_logged(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.append(replace(SINGLE, question="caf\udce9\x1b[31m?\u2028"))
    assert log.warning is None
    assert len(log.path.read_bytes().splitlines()) == 1
    assert len(log.entries()) == 1


def test_no_folder_is_created(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "none")
    log.append(SINGLE)
    assert (log.warning, log.entries(), list(tmp_path.iterdir())) == (None, [], [])


def test_clear_deletes_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_log, "MAX_LOG_BYTES", 1_000)
    log = AnswerLog(tmp_path)
    log.clear()
    for _ in range(3):
        log.append(SINGLE)
    log.clear()
    assert list(tmp_path.iterdir()) == []
    assert log.entries() == []
