"""Looking at Chroma's files before Chroma does.

Where its database is lost Chroma silently begins anew, and where a graph file is cut short or has
grown to terabytes it ends the process, so all are checked first. Nothing here is unpickled.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from paperagent.errors import StoreError, visible
from paperagent.storage.sqlite import store_error

DATABASE = "chroma.sqlite3"
REPAIR = "run 'paperagent doctor --repair'"
_HEADER = struct.Struct("<i6QiIQ")
"""Of hnswlib as Chroma writes it: version, offset of level 0, largest and current number of
elements, bytes an element, offsets of label and data, highest level, first element, links a level."""
_VERSION = 1
_NUMBER = 4
"""Bytes of a length or a link."""
_TRIES, _PAUSE = 20, 0.05
"""Another process may be writing the files: what does not fit is looked at again for a second."""


def check_files(folder: Path, what: str) -> None:
    """Raise `StoreError` where the database is missing, empty or none, or graph files are of a wrong size."""
    _check_database(folder / DATABASE, what)
    for header in folder.glob("*/header.bin"):
        for attempt in range(_TRIES):
            if _fits(header):
                break
            if attempt + 1 == _TRIES:
                raise StoreError(f"{what}: damaged: a file of its graph has the wrong size; {REPAIR}")
            time.sleep(_PAUSE)


def _check_database(path: Path, what: str) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise StoreError(f"{what}: damaged: {DATABASE} is missing; {REPAIR}") from None
    except OSError as error:
        raise store_error(what, error, damaged=REPAIR) from error
    if head != b"SQLite format 3\0":
        why = "is empty" if not head else "is not a database"
        raise StoreError(f"{what}: damaged: {DATABASE} {why}; {REPAIR}")


def _fits(header: Path) -> bool:
    """Tell whether the files beside ``header`` hold what it promises. Other versions are Chroma's matter."""
    try:
        with header.open("rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return False
        version, _, largest, count, size, label, data, levels, first, links = _HEADER.unpack(head)
        if version != _VERSION:
            return True
        names = ("data_level0.bin", "length.bin", "link_lists.bin")
        level0, lengths, lists = (header.with_name(name).stat().st_size for name in names)
    except OSError:
        return False
    sound = count <= largest and data <= label <= size and (first < count or not count)
    most = count * _NUMBER * (1 + max(0, levels) * (1 + links))
    return sound and count * size <= level0 <= largest * size and count * _NUMBER <= lengths and lists <= most


def check_integrity(folder: Path, what: str) -> None:
    """Raise `StoreError` where SQLite finds damage in the database: seconds for a large one.

    Chroma does not look, and a flipped byte can end the process.
    """
    address = f"file:{quote(str(folder / DATABASE))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.text_factory = bytes  # the report may quote damaged text
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0].decode(errors="replace")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # an error that quotes damaged text
        raise store_error(what, error, damaged=REPAIR, otherwise=f"damaged; {REPAIR}") from error
    if found != "ok":
        raise StoreError(f"{what}: damaged: {visible(found.splitlines()[-1], limit=100)}; {REPAIR}")
