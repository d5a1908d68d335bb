"""The folder of a library: checking that it can be used, and its two locks."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paperagent.errors import NoLibraryError, StoreError, StoreLockedError, display_path
from paperagent.storage.locks import ProcessLock
from paperagent.storage.sqlite import map_errors

DATABASE = "library.db"
LEXICAL = "lexical"
VECTORS = "vectors"
LOCK = "writer.lock"
VECTOR_LOCK = "vectors.lock"
CHAT_HISTORY = "chat_history"  # lines typed in `paperagent chat`, see `ui.line_input`
ANSWERS = "answers.db"  # cached replies of models, see `llm.cache`
FEEDBACK = "feedback.jsonl"  # answers rated with /good or /bad in chat, see `evals.feedback`
ANSWER_LOG = "answer_log"  # answers of ask and chat, see `ui.answer_log`
_SQLITE = frozenset(
    name + end
    for name in (DATABASE, ANSWERS, "digest.db", "web.db")
    for end in ("", "-wal", "-shm", "-journal")
)
_FOLDERS = frozenset({LEXICAL, VECTORS, "outbox", "backups"})
_SQLITE |= {"digest.db.damaged" + end for end in ("", "-wal", "-shm", "-journal")}
OURS = _SQLITE | _FOLDERS | {LOCK, VECTOR_LOCK, "digest.lock", "web.lock", CHAT_HISTORY, FEEDBACK}
OURS |= {ANSWER_LOG + end for end in (".jsonl", ".1.jsonl", ".lock")}
_LATER_INDEX = re.compile(rf"(?:{LEXICAL}|{VECTORS})-[1-9][0-9]*")
"""Name of the folder of a rebuilt index."""

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})


def check_home(home: Path, *, create: bool) -> Path:
    """Check that ``home`` contains a library or, with ``create``, that one can be created in it.

    A missing folder is created with ``create``.

    Returns:
        The absolute path.

    Raises:
        StoreError: The path is a folder without a library, a file, a dangling link, another program's store,
            or unusable.
    """
    try:
        return _checked(Path(os.path.abspath(home)), create=create)  # noqa: PTH100  # resolve() follows links
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise StoreError(
            f"library folder {display_path(home)}: it cannot be used; choose another PAPERAGENT_HOME"
        ) from error


def _checked(home: Path, *, create: bool) -> Path:
    if not _is_folder(home):
        if not create:
            raise NoLibraryError(display_path(home), "there is no such folder")
        home.mkdir(parents=True, mode=0o700)
    names = {entry.name for entry in os.scandir(home)}
    if DATABASE in names:
        return home
    if "chroma.sqlite3" in names:
        raise StoreError(
            f"{display_path(home)}: another program's Chroma store, not a paperagent library; "
            "choose another PAPERAGENT_HOME"
        )
    if not create:
        raise NoLibraryError(display_path(home), "the folder contains none")
    return home


def _is_folder(home: Path) -> bool:
    try:
        mode = home.stat().st_mode
    except FileNotFoundError:
        if home.is_symlink():
            raise StoreError(
                f"{display_path(home)}: a dangling link; choose another PAPERAGENT_HOME"
            ) from None
        return False
    if not stat.S_ISDIR(mode):
        raise StoreError(f"{display_path(home)}: a file, not a folder; choose another PAPERAGENT_HOME")
    return True


def is_ours(name: str) -> bool:
    """Return whether paperagent uses a file or folder of this name in the folder of a library."""
    return name in OURS or _LATER_INDEX.fullmatch(name) is not None


def writable(folder: Path) -> bool:
    """Return whether this process may write to ``folder``."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def network_filesystem(folder: Path) -> str | None:
    """Return the type of the network file system that ``folder`` is on, or None if it is on a local one."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return None
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, source = line.partition(" - ")
        point = fields.split()[4]
        inside = str(folder) == point or str(folder).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, source.split()[0]
    return kind if kind in _NETWORK else None


@contextmanager
def writer_lock(home: Path) -> Iterator[None]:
    """Hold the library's writer lock for the block.

    Raises:
        StoreLockedError: Another process, or another store of this process, holds it.
        StoreError: The lock file cannot be written.
    """
    path = home / LOCK
    with map_errors(f"writer lock {display_path(path)}"):
        lock = ProcessLock(path)
    with lock:
        with map_errors(f"writer lock {display_path(path)}"):
            if not lock.acquire():
                holder = lock.holder()
                if holder is None:
                    raise StoreLockedError(
                        "library is locked: another process is writing to it; wait for it to end"
                    )
                raise StoreLockedError(
                    f"library is locked: {holder} has been writing to it since {holder.since}; "
                    "wait for it to end",
                    pid=holder.pid,
                )
            lock.write_note()
        yield


@contextmanager
def vector_lock(home: Path, *, wait: float) -> Iterator[bool]:
    """Hold the lock on the vector index for the block; yield whether it was free within ``wait`` seconds.

    Chroma crashes the process (segmentation fault) if it reads its graph files while another process writes
    them, so one process at a time opens or writes them.
    """
    path = home / VECTOR_LOCK
    with map_errors(f"vector lock {display_path(path)}"):
        lock = ProcessLock(path)
    with lock:
        with map_errors(f"vector lock {display_path(path)}"):
            acquired = lock.acquire(wait=wait)
        yield acquired
