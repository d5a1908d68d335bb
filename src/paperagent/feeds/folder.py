"""Find the files in a folder that is given as a source."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from paperagent.errors import FeedError, visible

MAX_FILES = 100_000
LIBRARY_FILE = "library.db"
"""The file by which a library is recognized."""


def feed_files(folder: Path) -> list[Path]:
    """Return the regular files in a folder and its subfolders, in the order of their names.

    Hidden files, hidden folders and libraries of paperagent are skipped. Links to folders are not followed,
    because they may form a cycle. A file with several links is returned once. A subfolder that cannot be
    listed is returned, too, so that opening it raises the error.

    Raises:
        FeedError: The folder cannot be listed, is empty, or contains too many files.
    """
    label = visible(str(folder), limit=200)
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    unreadable: list[Path] = []

    def note_error(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise FeedError(f"{label}: {(error.strerror or 'unreadable').lower()}; check its permissions")
        unreadable.append(Path(error.filename))

    for parent, folders, names in os.walk(folder, onerror=note_error):
        if LIBRARY_FILE in names:
            folders[:] = []
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(parent, name)
            try:
                status = path.stat()
            except OSError:  # a dangling link, or removed in the meantime
                continue
            identity = status.st_dev, status.st_ino
            if stat.S_ISREG(status.st_mode) and identity not in seen:
                seen.add(identity)
                files.append(path)
        if len(files) > MAX_FILES:
            raise FeedError(f"{label}: more than {MAX_FILES:,} files; give the folder of the feeds")
    if not files and not unreadable:
        raise FeedError(f"{label}: contains no file; give a folder with feeds")
    return [*files, *unreadable]
