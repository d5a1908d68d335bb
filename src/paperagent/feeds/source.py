"""Read the bytes of a feed: decompressed, in UTF-8, within limits and without blocking.

Only regular files are opened: a FIFO or a device could block or never end. gzip and xz are recognized by
their first bytes and unpacked while they are read, so that reading a decompression bomb stops at the limit.
"""

from __future__ import annotations

import codecs
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from paperagent.errors import FeedError, visible

HELP = "'paperagent ingest --help' lists the formats"
SERVICE_SCHEMES = ("arxiv", "arxiv-rss", "arxiv-oai", "hf-daily", "s2", "openalex", "zotero")
"""Prefixes of sources that `feeds.services` fetches from a service."""
URL_SCHEMES = ("https", "http")
"""Prefixes of sources that `feeds.services` fetches from a web address."""
MAX_DOCUMENT_BYTES = 50_000_000
"""Largest decompressed size of a feed that is read whole (XML, JSON, text)."""
MAX_STREAM_BYTES = 16_000_000_000
"""Largest decompressed size of a feed that is read line by line; arXiv's snapshot has about 5 GB."""
MAX_LINE_BYTES = 16_000_000
HEAD_BYTES = 1 << 20
"""Bytes at the beginning of a feed that its format is detected from."""

_CHUNK_BYTES = 1 << 18
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)

_DECLARED_ENCODING = re.compile(rb"(?:encoding|charset)\s{0,9}[:=]\s{0,9}[\"']?([\w.-]{3,30})", re.IGNORECASE)
_MAX_DECLARATION_OFFSET = 1_000
_ENCODINGS = {
    # Like browsers, we read Latin-1 as Windows-1252, which has more characters.
    **dict.fromkeys(
        "cp1252 windows-1252 ansi latin1 latin-1 iso-8859-1 iso8859-1 us-ascii ascii".split(), "cp1252"
    ),
    **dict.fromkeys("iso-8859-15 iso8859-15 latin-9 latin9".split(), "iso8859-15"),
    **dict.fromkeys("macroman mac-roman macintosh x-mac-roman".split(), "mac-roman"),
}
"""Declared name → encoding."""
_C1_CONTROL = re.compile("[\x80-\x9f]")
_WINDOWS_CHARACTERS = {
    code: char for code in range(0x80, 0xA0) if (char := bytes([code]).decode("cp1252", "ignore"))
}
"""Control characters → the characters that Windows programs mean and browsers show."""

_INFLATED_CHUNK_BYTES = 1 << 20
_MAX_XZ_MEMORY = 256 << 20
"""Bytes for the dictionary of xz; its largest preset takes 65 MB."""
_UNCHECKED_BYTES = 50_000_000
"""Decompressed size up to which the ratio is not checked."""
_MAX_RATIO = 200
"""Maximum compression ratio. Text compresses by a factor of 3 to 10, zeros by 1,000."""
_MAX_SMALL_MEMBERS = 1_000
_MIN_MEMBER_BYTES = 500
"""Minimum average decompressed size of a member; thousands of empty members only cost time."""

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\x00"
_ARCHIVES = (
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
)
_TAR_OFFSET, _TAR = 257, b"ustar"

Inflate = Callable[[Iterator[bytes]], Iterator[bytes]]


class UnknownFormatError(FeedError):
    """The file is not a feed of a known format. Such files are skipped when a folder is read."""


def not_a_feed(label: str, what: str) -> UnknownFormatError:
    """Return the error for a file that no format fits. ``what`` describes what it looks like."""
    return UnknownFormatError(f"{label}: not a feed: {what}; {HELP}")


class FeedSource:
    """An open feed. Every failure while reading raises FeedError."""

    def __init__(self, file: BinaryIO, path: str = "stdin", *, size: int | None = None) -> None:
        self.label = label = visible(path, limit=200)
        """The feed's name for messages, safe to print."""
        self.suffix = PurePath(path).suffix.lower()
        """The suffix of the file name, such as ``.xml``."""
        self.size = size
        """Bytes on disk, if known."""
        self.limit = MAX_DOCUMENT_BYTES
        """Decompressed bytes that may be read; `open_feed` raises it for a feed of lines."""
        self.is_recoded = False
        """Whether a byte order mark declared the encoding, so that the bytes are now UTF-8."""
        self._file, self._owns_file = file, size is not None
        self._bytes_read = 0
        chunks, self.is_compressed = decompress(self._raw_chunks(), label)
        self.head, chunks = peek(self._to_utf8(chunks), HEAD_BYTES)
        self._chunks = self._limited(chunks)

    def close(self) -> None:
        """Close the file. Standard input stays open."""
        if self._owns_file:
            self._file.close()

    def lines(self) -> Iterator[bytes | None]:
        """Yield each line with its line ending, or None for a line longer than 16 MB."""
        reader = io.BufferedReader(_ChunkStream(self._chunks), _CHUNK_BYTES)
        while line := reader.readline(MAX_LINE_BYTES):
            if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
                yield line
                continue
            while (piece := reader.readline(MAX_LINE_BYTES)) and not piece.endswith(b"\n"):
                pass
            yield None

    def read(self) -> bytes:
        return b"".join(self._chunks)

    def text(self) -> str:
        """Decode the whole feed as UTF-8, or else in the encoding that its first lines declare.

        Raises:
            FeedError: the encoding is unknown. The message names the first byte that is not UTF-8.
        """
        data = self.read()
        try:
            text = data.decode()
            return text.translate(_WINDOWS_CHARACTERS) if _C1_CONTROL.search(text) else text
        except UnicodeDecodeError as error:
            declared = _DECLARED_ENCODING.search(data[:_MAX_DECLARATION_OFFSET])
            encoding = _ENCODINGS.get(declared[1].decode().lower().replace("_", "-")) if declared else None
            if encoding:
                return data.decode(encoding, "replace")
            where = f"byte 0x{data[error.start]:02x} at offset {error.start}"
            raise FeedError(f"{self.label}: not UTF-8 text ({where}); save it as UTF-8") from None

    def check_size(self) -> None:
        """Raise FeedError if the file on disk is already larger than the limit."""
        if self.size is not None and self.size > self.limit:
            raise self._too_large("the file is")

    def _raw_chunks(self) -> Iterator[bytes]:
        read = getattr(self._file, "read1", self._file.read)
        try:
            while chunk := read(_CHUNK_BYTES):
                yield chunk
        except (OSError, ValueError) as error:
            raise FeedError(f"{self.label}: cannot be read: {_reason(error)}; check the file") from error

    def _to_utf8(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Remove a byte order mark, and recode UTF-16 that has one."""
        head, chunks = peek(chunks, 4)
        if head.startswith(_UTF32):
            raise FeedError(f"{self.label}: UTF-32 is not supported; save it as UTF-8")
        encoding = _UTF16.get(head[:2])
        mark_length = 2 if encoding else 3 if head.startswith(codecs.BOM_UTF8) else 0
        if not mark_length:
            return chunks
        self.is_recoded = True
        first = next(chunks, b"")
        chunks = chain([first[mark_length:]], chunks)
        return self._recode(chunks, encoding) if encoding else chunks

    def _recode(self, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for chunk in chunks:
                yield decoder.decode(chunk).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError:
            raise FeedError(f"{self.label}: not valid {encoding.upper()}; save it as UTF-8") from None

    def _limited(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._bytes_read += len(chunk)
            if self._bytes_read > self.limit:
                raise self._too_large("the decompressed size is" if self.is_compressed else "it is")
            yield chunk

    def _too_large(self, subject: str) -> FeedError:
        limit = f"{self.limit / 1e6:,.0f} MB" if self.limit >= 1e6 else f"{self.limit:,} bytes"
        return FeedError(
            f"{self.label}: {subject} larger than the limit of {limit}; split it, or raise the limit"
        )


def open_file(path: str | Path) -> FeedSource:
    """Open a regular file without blocking; raise FeedError for anything else."""
    label = visible(str(path), limit=200)
    # O_NONBLOCK: opening a FIFO without a writer would wait forever.
    mode = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(path, mode)
    except (OSError, ValueError) as error:
        raise FeedError(f"{label}: {_reason(error)}; give the path of a readable feed") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise FeedError(f"{label}: is a directory; name the feeds in it")
        raise FeedError(f"{label}: is not a regular file; pipe it into '-' instead")
    file = os.fdopen(descriptor, "rb")
    try:
        return _reject_empty(FeedSource(file, str(path), size=status.st_size))
    except BaseException:
        file.close()
        raise


def open_stream(stream: BinaryIO) -> FeedSource:
    """Read from an open binary stream, such as standard input."""
    return _reject_empty(FeedSource(stream))


def _reject_empty(source: FeedSource) -> FeedSource:
    if not source.head.strip():
        raise UnknownFormatError(f"{source.label}: is empty; save or fetch the feed again")
    return source


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return visible(str(error), limit=100)


class _ChunkStream(io.RawIOBase):
    """An iterator of bytes as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._pending = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._pending = memoryview(chunk)
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count


def decompress(chunks: Iterator[bytes], label: str) -> tuple[Iterator[bytes], bool]:
    """Return the decompressed stream, and whether it was compressed.

    Raises FeedError for archives, other compressions and compression within compression.
    """
    head, chunks = peek(chunks, 512)
    _reject_archives(head, label)
    inflate: Inflate | None = _gunzip if head.startswith(_GZIP) else _unxz if head.startswith(_XZ) else None
    if inflate is None:
        return chunks, False
    head, chunks = peek(_guarded(chunks, inflate, label), 512)
    if head.startswith((_GZIP, _XZ)):
        raise FeedError(f"{label}: compressed twice; decompress it first")
    _reject_archives(head, label)
    return chunks, True


def peek(chunks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first ``count`` bytes (fewer if the stream ends) and the whole stream again."""
    first_chunks: list[bytes] = []
    size = 0
    for chunk in chunks:
        first_chunks.append(chunk)
        size += len(chunk)
        if size >= count:
            break
    head = b"".join(first_chunks)
    return head[:count], chain([head] if head else [], chunks)


def _reject_archives(head: bytes, label: str) -> None:
    for magic, name in _ARCHIVES:
        if head.startswith(magic):
            raise UnknownFormatError(
                f"{label}: looks like {name}; unpack it and give the feed (gzip and xz are read)"
            )
    if head[_TAR_OFFSET:].startswith(_TAR):
        raise UnknownFormatError(f"{label}: looks like a tar archive; unpack it and give the feed")


def _guarded(chunks: Iterator[bytes], inflate: Inflate, label: str) -> Iterator[bytes]:
    """Decompress with a limit on the ratio, and turn errors of the libraries into FeedError."""
    bytes_in = bytes_out = 0

    def counted() -> Iterator[bytes]:
        nonlocal bytes_in
        for chunk in chunks:
            bytes_in += len(chunk)
            yield chunk

    try:
        for piece in inflate(counted()):
            bytes_out += len(piece)
            if bytes_out > _UNCHECKED_BYTES and bytes_out > _MAX_RATIO * bytes_in:
                raise FeedError(
                    f"{label}: decompressed size over limit ({_MAX_RATIO} times the compressed size); refused"
                )
            yield piece
    except (zlib.error, lzma.LZMAError, EOFError, MemoryError) as error:
        raise FeedError(f"{label}: damaged or cut short while decompressing; fetch it again") from error


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder, at_member_start = zlib.decompressobj(wbits=31), True
    members = bytes_out = 0
    for chunk in chunks:
        data, has_more = chunk, False
        while data or has_more:
            at_member_start = False
            piece = decoder.decompress(data, _INFLATED_CHUNK_BYTES)
            yield piece
            bytes_out += len(piece)
            # After the last input byte, a full piece may leave output inside the decoder.
            data, has_more = decoder.unconsumed_tail, len(piece) == _INFLATED_CHUNK_BYTES
            if decoder.eof:
                members = _count_member(members, bytes_out)
                data, has_more = decoder.unused_data.lstrip(b"\0"), False
                decoder, at_member_start = zlib.decompressobj(wbits=31), True
    if not at_member_start:
        raise EOFError


def _unxz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder, at_member_start = _xz_decoder(), True
    members = bytes_out = 0
    for chunk in chunks:
        data = chunk
        while data or not (at_member_start or decoder.needs_input):
            at_member_start = False
            piece = decoder.decompress(data, _INFLATED_CHUNK_BYTES)
            yield piece
            bytes_out += len(piece)
            data = b""
            if decoder.eof:
                members = _count_member(members, bytes_out)
                data = decoder.unused_data.lstrip(b"\0")
                decoder, at_member_start = _xz_decoder(), True
    if not at_member_start:
        raise EOFError


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY)


def _count_member(members: int, bytes_out: int) -> int:
    if members > _MAX_SMALL_MEMBERS and bytes_out < members * _MIN_MEMBER_BYTES:
        raise EOFError("thousands of empty members")
    return members + 1
