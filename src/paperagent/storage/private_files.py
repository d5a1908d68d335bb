"""Open files that only their owner may read, and read and write at a position.

Windows has no ``O_NOFOLLOW``, ``fchmod`` or ``pread``. There, a symbolic link is refused before it is opened,
a file has the permissions of its folder, and the position is set before each read and write.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """Open or create a file with mode 0600 in binary mode, and return its descriptor.

    Raises:
        OSError: The file cannot be opened, or is a symbolic link.
    """
    no_follow = getattr(os, "O_NOFOLLOW", 0)
    if not no_follow and path.is_symlink():
        raise OSError(errno.ELOOP, "is a symbolic link", str(path))
    return os.open(path, flags | no_follow | getattr(os, "O_BINARY", 0), 0o600)


def make_private(descriptor: int) -> None:
    """Set the mode of an open file to 0600, where files have modes."""
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)


def flush_to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk. Windows cannot flush a folder."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_at(descriptor: int, count: int, offset: int) -> bytes:
    """Return up to ``count`` bytes of a file, beginning at ``offset``."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, count)


def write_at(descriptor: int, data: bytes, offset: int) -> int:
    """Write ``data`` into a file at ``offset``, and return the number of bytes written."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)
