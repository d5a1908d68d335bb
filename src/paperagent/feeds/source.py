"""A feed's bytes, from a file or stdin: never blocking, decompressed, in UTF-8, within limits.

Only regular files are opened (a FIFO or a device would block or never end). gzip and xz are told
by their first bytes and unpacked while read, so that a bomb is stopped where it passes the limit.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from paperagent.errors import FeedError, visible
from paperagent.feeds import decompress

WHOLE_LIMIT = 50_000_000
"""Bytes of a feed that is read whole (XML, JSON, text)."""
STREAM_LIMIT = 16_000_000_000
"""Bytes of a feed that is read line by line: arXiv's whole snapshot is about 5 GB."""
LINE_LIMIT = 16_000_000
HEAD = 1 << 20
"""Bytes that the format is told from."""

_PIECE = 1 << 18
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class FeedSource:
    """An open feed. Raises FeedError for everything that goes wrong while reading."""

    def __init__(self, file: BinaryIO, path: str = "stdin", *, size: int | None = None) -> None:
        self.label = label = visible(path, limit=200)
        """The feed's name for messages, safe to show."""
        self.suffix = PurePath(path).suffix.lower()
        """How the file's name ends, such as ``.xml``."""
        self.size = size
        """Bytes on disk, where known."""
        self.limit = WHOLE_LIMIT
        """Bytes, decompressed, that may be read; the reader raises it for a feed of lines."""
        self.recoded = False
        """Whether a byte order mark settled the encoding: what follows is UTF-8."""
        self._file, self._owned = file, size is not None
        self._seen = 0
        chunks, self.packed = decompress.unpack(self._pieces(), label)
        self.head, chunks = decompress.take(self._utf8(chunks), HEAD)
        self._chunks = self._counted(chunks)

    def close(self) -> None:
        """Close the file; stdin stays open."""
        if self._owned:
            self._file.close()

    def lines(self) -> Iterator[bytes | None]:
        """Yield each line with its end, as bytes; None for one longer than 16 MB."""
        reader = io.BufferedReader(_Chunks(self._chunks), _PIECE)
        while line := reader.readline(LINE_LIMIT):
            if len(line) < LINE_LIMIT or line.endswith(b"\n"):
                yield line
                continue
            while (rest := reader.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                pass
            yield None

    def read(self) -> bytes:
        """Return all bytes."""
        return b"".join(self._chunks)

    def text(self) -> str:
        """Return all bytes as text; raise FeedError naming the first byte that is not UTF-8."""
        data = self.read()
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{data[error.start]:02x} at offset {error.start}"
            raise FeedError(f"{self.label}: not UTF-8 text ({found}); save it as UTF-8") from None

    def check_size(self) -> None:
        """Raise FeedError where the file is larger than the limit, before more of it is read."""
        if self.size is not None and self.size > self.limit:
            raise self._too_large("the file is")

    def _pieces(self) -> Iterator[bytes]:
        read = getattr(self._file, "read1", self._file.read)
        try:
            while piece := read(_PIECE):
                yield piece
        except (OSError, ValueError) as error:
            raise FeedError(f"{self.label}: cannot be read: {_why(error)}; check the file") from error

    def _utf8(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Take a byte order mark off, and recode UTF-16 that has one."""
        head, chunks = decompress.take(chunks, 4)
        if head.startswith(_UTF32):
            raise FeedError(f"{self.label}: UTF-32 is not an encoding of feeds; save it as UTF-8")
        encoding = _UTF16.get(head[:2])
        mark = 2 if encoding else 3 if head.startswith(codecs.BOM_UTF8) else 0
        if not mark:
            return chunks
        self.recoded = True
        rest = self._without(chunks, mark)
        return self._recode(rest, encoding) if encoding else rest

    def _without(self, chunks: Iterator[bytes], mark: int) -> Iterator[bytes]:
        first = next(chunks, b"")
        yield from chain([first[mark:]], chunks)

    def _recode(self, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for chunk in chunks:
                yield decoder.decode(chunk).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError:
            raise FeedError(f"{self.label}: not valid {encoding.upper()}; save it as UTF-8") from None

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._seen += len(chunk)
            if self._seen > self.limit:
                raise self._too_large("the decompressed size is" if self.packed else "it is")
            yield chunk

    def _too_large(self, what: str) -> FeedError:
        limit = f"{self.limit / 1e6:,.0f} MB" if self.limit >= 1e6 else f"{self.limit:,} bytes"
        return FeedError(
            f"{self.label}: {what} larger than the limit of {limit}; split it, or raise the limit"
        )


def open_file(path: str | Path) -> FeedSource:
    """Open a regular file. Raises FeedError for whatever else is there, and never blocks."""
    label = visible(str(path), limit=200)
    # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    mode = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, mode)
    except (OSError, ValueError) as error:
        raise FeedError(f"{label}: {_why(error)}; give the path of a feed that can be read") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise FeedError(f"{label}: is a directory; name the feeds in it")
        raise FeedError(f"{label}: is not a regular file; pipe it into '-' instead")
    file = os.fdopen(descriptor, "rb")
    try:
        return _nonempty(FeedSource(file, str(path), size=status.st_size))
    except BaseException:
        file.close()
        raise


def open_stream(stream: BinaryIO) -> FeedSource:
    """Read from an open binary stream, such as stdin."""
    return _nonempty(FeedSource(stream))


def _nonempty(source: FeedSource) -> FeedSource:
    if not source.head.strip():
        raise FeedError(f"{source.label}: is empty; save or fetch the feed again")
    return source


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return visible(str(error), limit=100)


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
