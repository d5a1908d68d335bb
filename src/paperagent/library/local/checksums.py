"""Checksums of the files of an index.

The size of every file is always compared. The content is compared if the modification time has changed, as
it does when the library is copied. An index of up to `COMPARED_BYTES` is compared in full each time, because
a failing disk changes neither the size nor the time of a file.

Chroma writes a row to the table ``acquire_write`` each time it opens its database. The database therefore
has one checksum per page, and the pages of that table are not compared.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from zlib import crc32

from paperagent.storage.sqlite import connect

FileSum = tuple[int, int, str]
"""Size in bytes, time of the last change in nanoseconds, and checksum."""
FileSums = dict[str, FileSum]
"""Checksum of each file, by its path relative to the folder, with slashes."""

COMPARED_BYTES = 2**28
"""An index up to this size is compared in full each time it is opened (2.8 GB/s)."""
_BLOCK = 2**20
_LEXICAL_META = "meta.json"
"""The file in which tantivy lists its segments. A commit replaces it and changes no other file."""
_TEMPORARY = (".lock", "-journal", "-wal", "-shm")
"""Suffixes of files that are not compared."""
_SAVED_LAST = "index_metadata.pickle"
"""The last file that Chroma writes when it saves its graph, which it does every 1,000 changes."""
_DATABASE = "chroma.sqlite3"
_TABLE_OF_OPENINGS = "acquire_write"
_VARYING = (slice(24, 40), slice(92, 100))
"""Bytes of the file header that every transaction may change (https://sqlite.org/fileformat.html)."""
_INTERIOR, _LEAF = 5, 13
"""Types of the pages of a table."""


def file_sums(folder: Path, before: FileSums) -> FileSums:
    """Return the checksums of the files that belong to the index in a folder.

    Temporary files are left out, and so are tantivy's files that no segment uses, because tantivy may delete
    them at any time.

    Args:
        folder: The folder of the index.
        before: Earlier checksums. A file whose size and time have not changed is not read again.
    """
    sums: FileSums = {}
    segments = _segments(folder)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.endswith(_TEMPORARY) or _is_unsaved(path):
            continue
        if segments is not None and path.name != _LEXICAL_META and path.name.split(".")[0] not in segments:
            continue
        name, (size, time) = path.relative_to(folder).as_posix(), _size_and_time(path)
        old = before.get(name)
        sums[name] = old if old and old[:2] == (size, time) else (size, time, _checksum(path))
    return sums


def damaged_file(
    folder: Path, sums: FileSums, *, unfinished: bool, full: bool, verified: FileSums
) -> str | None:
    """Compare the files of an index with their checksums.

    Args:
        folder: The folder of the index.
        sums: The expected checksums.
        unfinished: Whether the folder may have changed since ``sums`` were computed. If so, missing files
            are accepted, and files that a writer replaces are not compared.
        full: Whether to compare the content of every file, even in a large index.
        verified: Files whose content was compared before, and is skipped. Newly compared files are added.

    Returns:
        The name and the problem of the first damaged file, or None if no file is damaged.
    """
    full = full or sum(size for size, _, _ in sums.values()) <= COMPARED_BYTES
    for name, (size, time, checksum) in sums.items():
        path = folder / name
        if unfinished and (name == _LEXICAL_META or not path.exists()):
            continue
        try:
            now = _size_and_time(path)
            if name == _DATABASE:
                damaged = full and not _has_same_pages(path, checksum)
            elif now[0] != size:
                damaged = True
            elif (full or now[1] != time) and verified.get(name) != (*now, checksum):
                damaged = _checksum(path) != checksum
            else:
                damaged = False
        except FileNotFoundError:
            return f"{name} is missing"
        if damaged:
            return f"{name} is empty" if not now[0] else f"{name} differs from its checksum"
        verified[name] = (*now, checksum)
    return None


def _segments(folder: Path) -> set[str] | None:
    """Return the prefixes of tantivy's file names, or None if the folder is not a lexical index."""
    meta = folder / _LEXICAL_META
    if not meta.exists():
        return None
    segments = json.loads(meta.read_text("utf-8"))["segments"]
    return {segment["segment_id"].replace("-", "") for segment in segments}


def _is_unsaved(path: Path) -> bool:
    """Return whether a file belongs to a graph that Chroma creates at each opening and has never saved."""
    return path.suffix == ".bin" and not path.with_name(_SAVED_LAST).exists()


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _checksum(path: Path) -> str:
    if path.name == _DATABASE:
        return base64.b64encode(b"".join(_page_sums(path.read_bytes()))).decode()
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum = crc32(block, checksum)
    return f"{checksum:08x}"


# --- the pages of Chroma's database ---


def _page_size(data: bytes) -> int:
    size = int.from_bytes(data[16:18], "big")
    return 65_536 if size == 1 else max(512, size)


def _page_sums(data: bytes) -> Iterator[bytes]:
    size = _page_size(data)
    first = bytearray(data[:size])
    for part in _VARYING:
        first[part] = bytes(part.stop - part.start)
    yield crc32(first).to_bytes(4, "big")
    view = memoryview(data)
    for start in range(size, len(data), size):
        yield crc32(view[start : start + size]).to_bytes(4, "big")


def _has_same_pages(path: Path, checksum: str) -> bool:
    """Return whether all pages match, apart from those that change whenever the database is opened."""
    _roll_back(path)
    stored = base64.b64decode(checksum)
    before = [stored[start : start + 4] for start in range(0, len(stored), 4)]
    data = path.read_bytes()
    now = list(_page_sums(data))
    if len(now) < len(before):
        return False
    changed = {n for n, page in enumerate(now, 1) if n > len(before) or page != before[n - 1]}
    return not changed or (1 not in changed and changed <= _pages_of_openings(path, data))


def _roll_back(path: Path) -> None:
    """Undo the unfinished transaction of a killed process, as Chroma would."""
    if path.with_name(f"{path.name}-journal").exists():
        with suppress(sqlite3.Error, UnicodeDecodeError), closing(connect(path, mode="rw")) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _pages_of_openings(path: Path, data: bytes) -> set[int]:
    """Return the pages of the table of openings, and the page from which it takes free pages."""
    try:
        with closing(connect(path, mode="ro")) as connection:
            connection.text_factory = bytes  # damaged text
            query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
            (root,) = connection.execute(query, (_TABLE_OF_OPENINGS,)).fetchone()
    except (sqlite3.Error, UnicodeDecodeError, TypeError):  # no such table: TypeError
        return set()
    pages, size = {int.from_bytes(data[32:36], "big")}, _page_size(data)
    pending = [root]
    while pending:
        number = pending.pop()
        page = data[(number - 1) * size : number * size]
        if number in pages or len(page) < size or page[0] not in (_INTERIOR, _LEAF):
            return set()  # damaged
        pages.add(number)
        if page[0] == _INTERIOR:
            cells = int.from_bytes(page[3:5], "big")
            offsets = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(cells)]
            pending += [int.from_bytes(page[offset : offset + 4], "big") for offset in (8, *offsets)]
    return pages
