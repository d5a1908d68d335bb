"""gzip and xz streams unpacked piece by piece; archives and packed feeds within packed feeds refused."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import chain

from paperagent.errors import FeedError

_PIECE = 1 << 20
_MEMORY = 256 << 20
"""Bytes that an xz dictionary may take: the largest preset takes 65 MB."""
_FREE = 50_000_000
_RATIO = 200
"""Text packs about 3 to 10 times; 50 MB of zeros pack 1,000 times."""

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\x00"
_REFUSED = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
)
_TAR_AT, _TAR = 257, b"ustar"
_MANY_MEMBERS = 1_000
_SMALLEST_MEMBER = 500
"""Bytes that a packed member gives on average; thousands of empty ones only cost time."""

Unpack = Callable[[Iterator[bytes]], Iterator[bytes]]


def unpack(chunks: Iterator[bytes], label: str) -> tuple[Iterator[bytes], bool]:
    """Return the stream unpacked, and whether it was packed."""
    head, chunks = take(chunks, 512)
    _refuse_archives(head, label)
    inflate: Unpack | None = _gunzip if head.startswith(_GZIP) else _unxz if head.startswith(_XZ) else None
    if inflate is None:
        return chunks, False
    head, chunks = take(_guarded(chunks, inflate, label), 512)
    if head.startswith((_GZIP, _XZ)):
        raise FeedError(f"{label}: a packed feed within a packed feed; unpack it first")
    _refuse_archives(head, label)
    return chunks, True


def take(chunks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first ``count`` bytes, fewer where the stream ends, and the whole stream again."""
    taken: list[bytes] = []
    size = 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size >= count:
            break
    joined = b"".join(taken)
    return joined[:count], chain([joined] if joined else [], chunks)


def _refuse_archives(head: bytes, label: str) -> None:
    for magic, name in _REFUSED:
        if head.startswith(magic):
            raise FeedError(f"{label}: looks like {name}; unpack it and give the feed (gzip and xz are read)")
    if head[_TAR_AT:].startswith(_TAR):
        raise FeedError(f"{label}: looks like a tar archive; unpack it and give the feed")


def _guarded(chunks: Iterator[bytes], inflate: Unpack, label: str) -> Iterator[bytes]:
    taken = given = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in chunks:
            taken += len(chunk)
            yield chunk

    try:
        for piece in inflate(counted()):
            given += len(piece)
            if given > _FREE and given > _RATIO * taken:
                raise FeedError(
                    f"{label}: decompressed size over limit ({_RATIO} times the packed size); refused"
                )
            yield piece
    except (zlib.error, lzma.LZMAError, EOFError, MemoryError) as error:
        raise FeedError(f"{label}: damaged or cut short while unpacking; fetch it again") from error


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker, fresh = zlib.decompressobj(wbits=31), True
    members = given = 0
    for chunk in chunks:
        left, full = chunk, False
        while left or full:
            fresh = False
            piece = unpacker.decompress(left, _PIECE)
            yield piece
            given += len(piece)
            # A full piece may leave output inside the unpacker after the last input byte.
            left, full = unpacker.unconsumed_tail, len(piece) == _PIECE
            if unpacker.eof:
                members = _counted(members, given)
                left, full = unpacker.unused_data.lstrip(b"\0"), False
                unpacker, fresh = zlib.decompressobj(wbits=31), True
    if not fresh:
        raise EOFError


def _unxz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker, fresh = _new_xz(), True
    members = given = 0
    for chunk in chunks:
        left = chunk
        while left or not (fresh or unpacker.needs_input):
            fresh = False
            piece = unpacker.decompress(left, _PIECE)
            yield piece
            given += len(piece)
            left = b""
            if unpacker.eof:
                members = _counted(members, given)
                left = unpacker.unused_data.lstrip(b"\0")
                unpacker, fresh = _new_xz(), True
    if not fresh:
        raise EOFError


def _counted(members: int, given: int) -> int:
    if members > _MANY_MEMBERS and given < members * _SMALLEST_MEMBER:
        raise EOFError("thousands of empty members")
    return members + 1


def _new_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
