"""What Windows lacks or does otherwise, faked: calls, modules, file names, folders and schedulers."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paperagent import Paper
from paperagent.digest.jobs import DigestJob, job_text
from paperagent.library.local import bm25_index
from paperagent.storage import private_files
from paperagent.storage.locks import ProcessLock
from paperagent.ui.answer_log import LOG_FILE
from paperagent.ui.export import note_file_name, write_notes

SCRIPT = Path(__file__).with_name("without_posix.py")


def test_the_commands_need_nothing_of_posix(tmp_path: Path) -> None:
    """Every module is imported and the main commands run without what Windows lacks."""
    environ = {
        **os.environ,
        "PAPERAGENT_HOME": str(tmp_path / "library"),
        "PAPERAGENT_EMBEDDER": "none",
        "PAPERAGENT_MODE": "extractive",
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^EXIT (\d+)", done.stdout, re.MULTILINE) == ["0"] * 10, done.stderr
    assert "61%" in done.stdout
    assert (tmp_path / "2026-W26.html").is_file()
    assert (tmp_path / "papers.bib").is_file()
    assert (tmp_path / "library" / LOG_FILE).is_file()


def test_a_link_is_not_followed_without_o_nofollow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows opens links; they are recognized before."""
    monkeypatch.delattr(os, "O_NOFOLLOW")
    monkeypatch.delattr(os, "fchmod")
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("moths")
    link.symlink_to(target)
    with pytest.raises(OSError, match="is a symbolic link"):
        private_files.open_private(link, os.O_RDWR)
    descriptor = private_files.open_private(target, os.O_RDWR)
    private_files.make_private(descriptor)
    assert private_files.write_at(descriptor, b"M", 0) == 1
    assert private_files.read_at(descriptor, 10, 0) == b"Moths"
    os.close(descriptor)


def test_a_folder_that_cannot_be_opened_is_locked_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows opens no folders."""
    folder, original = tmp_path / "run", os.open
    folder.mkdir()

    def open_file(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, flags, mode)

    monkeypatch.setattr(os, "open", open_file)
    with ProcessLock(folder) as first, ProcessLock(folder) as second:
        assert first.acquire()
        assert not second.acquire()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run.lock"}


def test_a_note_that_cannot_be_read_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows lets no other process read what is locked."""

    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    with ProcessLock(tmp_path / "lock") as lock:
        assert lock.acquire()
        lock.write_note()
        assert lock.holder() is not None
        monkeypatch.setattr("paperagent.storage.locks.read_at", refuse)
        assert lock.holder() is None


def test_an_index_is_copied_where_links_are_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows allows them to some users only."""

    def refuse(*_: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    (tmp_path / "a").write_text("moths")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    bm25_index._link_or_copy(tmp_path / "b", tmp_path / "a")
    assert (tmp_path / "b").read_text() == "moths"


@pytest.mark.parametrize(
    "title",
    [
        "NUL. On nothing",
        "con.",
        "Aux .1 lanterns",
        'What? "Moths": a <b>|*/\\ study',
        "ends. . .",
        "...",
        "蛾" * 90,
        "é" * 300,
    ],
)
def test_the_names_of_notes_are_names_on_every_system(title: str, tmp_path: Path) -> None:
    """No reserved name or character, no dot or space at the end, and at most 255 bytes."""
    paper = Paper("2605.00001", title, "We count moths at many lanterns.", arxiv_id="2605.00001")
    name = note_file_name(paper)
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]|[. ]$', name)
    assert not re.match(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d) *\.", name)
    assert len(name.encode()) <= 255
    assert write_notes(tmp_path, [paper]) == (1, 0)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_task_of_windows() -> None:
    """PowerShell commands with the program, its settings file and the library."""
    job = DigestJob(
        Path("C:/Ana's tools/paperagent.exe"),
        Path("C:/papers"),
        "mon",
        dt.time(7, 30),
        env_file=Path("C:/my settings/.env"),
    )
    text = job_text(job, "windows", now=dt.datetime(2026, 11, 30, tzinfo=dt.UTC))
    assert "-Execute 'C:/Ana''s tools/paperagent.exe'" in text
    assert """-Argument 'digest run --env-file "C:/my settings/.env"'""" in text
    assert "New-ScheduledTaskTrigger -Weekly -DaysOfWeek Monday -At 07:30" in text
    assert "SetEnvironmentVariable('PAPERAGENT_HOME', 'C:/papers', 'User')" in text
