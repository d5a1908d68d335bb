"""One writer a library: an ``flock`` that the kernel frees when its holder dies."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from paperagent.errors import StoreLockedError, visible
from paperagent.library.errors import shown, storing
from paperagent.library.home import LOCK, VECTOR_LOCK

T = TypeVar("T")

_PAUSE = 0.02
_TEXT = re.compile(r"pid (\d{1,10})\nsince ([^\n]{1,40})\nhost ([^\n]{1,255})\n")


@contextmanager
def writer_lock(home: Path) -> Iterator[None]:
    """Hold the library's writer lock for the block.

    Raises `StoreLockedError` at once where another process, or another store of this process,
    holds it. The text in the file only informs; text left by a dead process means nothing.
    """
    path = home / LOCK
    with storing(f"writer lock {shown(path)}"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with storing(f"writer lock {shown(path)}"):
            _take(handle)
        yield
    finally:
        os.close(handle)


def patiently(write: Callable[[], T], *, seconds: float) -> T:
    """Return what ``write`` returns, once the process that holds the lock has given way.

    An ingest does between its pages. Where the lock is held, nothing of ``write`` may have been done yet.
    Raises `StoreLockedError` where ``seconds`` did not suffice.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return write()
        except StoreLockedError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)


@contextmanager
def vector_lock(home: Path, *, wait: float) -> Iterator[bool]:
    """Hold the files of the vector index for the block; give False where ``wait`` seconds did not suffice.

    Chroma ends the process (segmentation fault) when it reads its graph files while another process
    writes them, so they are opened, and written, by one at a time.
    """
    path = home / VECTOR_LOCK
    with storing(f"vector lock {shown(path)}"):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + wait
        while not (held := _try(handle)) and time.monotonic() < end:
            time.sleep(_PAUSE)
        yield held
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _take(handle: int) -> None:
    if not _try(handle):
        raise _locked(os.pread(handle, 1024, 0))
    since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"pid {os.getpid()}\nsince {since}\nhost {socket.gethostname()}\n".encode(), 0)


def _locked(raw: bytes) -> StoreLockedError:
    match = _TEXT.fullmatch(raw.decode("utf-8", "replace"))
    if match is None:  # the holder has not written its text yet
        return StoreLockedError("library is locked: another process is writing to it; wait for it to end")
    pid, since, host = int(match[1]), visible(match[2]), visible(match[3])
    where = "" if host == socket.gethostname() else f" on host {host}"
    return StoreLockedError(
        f"library is locked: process {pid}{where} has been writing to it since {since}; wait for it to end",
        pid=pid,
    )
