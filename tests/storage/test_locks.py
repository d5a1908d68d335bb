"""Locks between processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from library_helpers import run_python
from paperagent.errors import StoreLockedError
from paperagent.storage.locks import ProcessLock, retry_while_locked


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with ProcessLock(path) as first, ProcessLock(path) as second:
        assert first.acquire()
        assert not second.acquire()
    with ProcessLock(path) as third:
        assert third.acquire()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_can_be_locked_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    with ProcessLock(tmp_path) as first, ProcessLock(tmp_path) as second:
        assert first.acquire()
        assert not second.acquire()
    assert not list(tmp_path.iterdir())


def test_waiting_ends_after_the_time_given(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with ProcessLock(path) as first, ProcessLock(path) as second:
        assert first.acquire()
        start = time.monotonic()
        assert not second.acquire(wait=0.1)
        assert time.monotonic() - start >= 0.1


def test_the_note_names_the_holder(tmp_path: Path) -> None:
    """A contender can read it; one that is not finished names nobody."""
    path = tmp_path / "lock"
    with ProcessLock(path) as first, ProcessLock(path) as second:
        assert first.acquire()
        assert second.holder() is None
        first.write_note()
        holder = second.holder()
        assert holder is not None
        assert (holder.pid, str(holder)) == (os.getpid(), f"process {os.getpid()}")
        path.write_text("pid 42\nsince \x1b[31m\nhost elsewhere\n", encoding="utf-8")
        holder = second.holder()
        assert holder is not None
        assert (str(holder), holder.since) == ("process 42 on host elsewhere", r"\x1b[31m")
        path.write_text("pid 4", encoding="utf-8")
        assert second.holder() is None


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = """
    import os, sys; from pathlib import Path
    from paperagent.storage.locks import ProcessLock
    with ProcessLock(Path(sys.argv[1])) as lock:
        assert lock.acquire()
        lock.write_note()
        os.kill(os.getpid(), 9)
    """
    assert run_python(code, path).returncode == -9
    with ProcessLock(path) as lock:
        assert lock.acquire()


def test_a_locked_operation_is_tried_again() -> None:
    calls = []

    def operation() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise StoreLockedError("locked")
        return "done"

    assert retry_while_locked(operation, seconds=5) == "done"
    with pytest.raises(StoreLockedError, match="still locked"):
        retry_while_locked(_always_locked, seconds=0.05)


def _always_locked() -> None:
    raise StoreLockedError("still locked")
