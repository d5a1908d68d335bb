"""Turn what SQLite, the file system and Chroma raise into one `StoreError` line."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paperagent.errors import PaperAgentError, StoreError, visible

RESTORE = "restore a backup, or move it away and ingest again"
FULL = "the disk is full; free some space and run the same command again, what was acknowledged is kept"
_FULL = ("disk is full", "no space left", "file too large", "disk quota")
_READ_ONLY = ("readonly", "read-only", "permission denied")
_DAMAGED = (
    "malformed",
    "not a database",
    "unsupported file format",
    "no such table",
    "no such column",
    "decode",  # text, or an error that quotes it, is no UTF-8
)
_FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def storing(what: str, *, damaged: str = RESTORE) -> Iterator[None]:
    """Raise `StoreError` about ``what`` for any database or file error of the block.

    ``damaged`` is the advice for a file that is not what it should be.
    """
    try:
        yield
    except PaperAgentError:
        raise
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise store_error(what, error, damaged=damaged) from error


def store_error(
    what: str,
    error: BaseException,
    *,
    damaged: str,
    otherwise: str = "it cannot be used; run 'paperagent doctor'",
) -> StoreError:
    """Return the error line for ``error``; the cause is chained by the caller."""
    text = str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL_NUMBERS or any(word in text for word in _FULL):
        why = FULL
    elif "disk i/o error" in text:  # SQLite's word also for a quota and a limit on file sizes
        why = (
            "the disk refuses, being full, over a quota or failing; make room and run the same command again"
        )
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS) or any(word in text for word in _READ_ONLY):
        why = "it cannot be written; check its permissions, or choose another PAPERAGENT_HOME"
    elif any(word in text for word in _DAMAGED):
        why = f"it is damaged; {damaged}"
    elif "unable to open" in text or isinstance(error, OSError):
        why = "it cannot be opened; check its permissions"
    else:
        why = otherwise
    return StoreError(f"{what}: {why}")


def shown(path: Path) -> str:
    """Return ``path`` safe to print, cut in the middle of nothing: long paths end in ``…``."""
    return visible(str(path), limit=200)
