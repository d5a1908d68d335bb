"""Exclusive locks between processes, which the kernel releases when the process that holds one dies.

`filelock` takes the lock. This module writes the process that holds the lock into the lock file, so that
an error can name it. The note is only informative: one left by a dead process has no effect.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from paperagent.errors import StoreLockedError, visible
from paperagent.storage.private_files import read_at, write_at

T = TypeVar("T")

_POLL_SECONDS = 0.02
_MAX_NOTE_BYTES = 1024
_NOTE = re.compile(r"pid (\d{1,10})\nsince ([^\n]{1,40})\nhost ([^\n]{1,255})\n")


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The process that holds a lock."""

    pid: int
    since: str
    """Date and time in UTC, escaped for printing."""
    host: str
    """Name of its machine, escaped for printing. It differs from ours on a shared file system."""

    def __str__(self) -> str:
        return f"process {self.pid}" + ("" if self.host == socket.gethostname() else f" on host {self.host}")


class ProcessLock:
    """An exclusive lock on a file, which is created if missing, or on an existing folder.

    On Windows, a folder is locked by a file beside it.

    Two instances exclude each other, also within one process. Use it as a context manager: the lock is
    released at the end of the block.

    Raises:
        OSError: The file cannot be created or opened.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            try:
                self.descriptor = os.open(path, os.O_RDONLY)
            except PermissionError:  # Windows cannot open folders
                path = path.with_name(f"{path.name}.lock")
            else:
                return
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def acquire(self, *, wait: float = 0.0) -> bool:
        """Take the lock.

        Args:
            wait: Seconds to keep trying while another process holds it.

        Returns:
            Whether the lock was taken.

        Raises:
            OSError: The file system has no locks.
        """
        from filelock import lock_descriptor

        deadline = time.monotonic() + wait
        while not lock_descriptor(self.descriptor, blocking=False):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def write_note(self) -> None:
        """Write into the lock file that this process holds the lock."""
        since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        note = f"pid {os.getpid()}\nsince {since}\nhost {socket.gethostname()}\n"
        os.ftruncate(self.descriptor, 0)
        write_at(self.descriptor, note.encode(), 0)

    def holder(self) -> LockHolder | None:
        """Return the process that the note names, or None if it cannot be read yet.

        On Windows, no other process can read the note while the lock is held.
        """
        try:
            raw = read_at(self.descriptor, _MAX_NOTE_BYTES, 0)
        except PermissionError:
            return None
        match = _NOTE.fullmatch(raw.decode("utf-8", "replace"))
        return LockHolder(int(match[1]), visible(match[2]), visible(match[3])) if match else None


def retry_while_locked(operation: Callable[[], T], *, seconds: float) -> T:
    """Call ``operation`` again until the process that holds the lock has released it, and return its result.

    ``operation`` must take the lock before it changes anything.

    Raises:
        StoreLockedError: The lock was still held after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return operation()
        except StoreLockedError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_SECONDS)
