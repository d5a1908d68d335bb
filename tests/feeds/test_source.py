"""Opening, unpacking and bounding a feed's bytes."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paperagent.errors import FeedError
from paperagent.feeds.reader import open_feed
from paperagent.feeds.source import FeedSource, decompress
from paperagent.types import Paper, Skipped

LINE = json.dumps({"id": "2508.13426", "title": "A title", "abstract": "An abstract of a few words."}) + "\n"

Parse = Callable[[str | bytes], tuple[list[Paper], list[Skipped]]]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(LINE.encode()),
        gzip.compress(LINE.encode()) + gzip.compress(LINE.encode()) + b"\0" * 100,
        lzma.compress(LINE.encode()),
        lzma.compress(LINE.encode()) + lzma.compress(LINE.encode()) + b"\0" * 4,
        b"\xef\xbb\xbf" + LINE.encode(),
        LINE.encode("utf-16"),
        b"\xfe\xff" + LINE.encode("utf-16-be"),
        gzip.compress(LINE.encode("utf-16")),
    ],
    ids=["gzip", "gzip-twice", "xz", "xz-twice", "mark", "utf-16-le", "utf-16-be", "gzip-utf-16"],
)
def test_packed_and_marked_feeds_read_like_plain_ones(content: bytes, parse: Parse) -> None:
    """gzip, xz and byte order marks are told by their first bytes."""
    papers, skipped = parse(content)
    assert {p.paper_id for p in papers} == {"2508.13426"}
    assert not skipped


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_unpacking_returns_every_byte(pack: Callable[[bytes], bytes]) -> None:
    """Unpacked in pieces, a large stream is whole, whatever the size of the pieces it comes in."""
    data = os.urandom(10_000) * 400
    squeezed = pack(data)
    for size in (7_001, 1 << 18):
        chunks = (squeezed[i : i + size] for i in range(0, len(squeezed), size))
        unpacked, was_packed = decompress(chunks, "x")
        assert was_packed
        assert b"".join(unpacked) == data


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_packed_feed_that_breaks_off_is_an_error(pack: Callable[[bytes], bytes], parse: Parse) -> None:
    """Half a packed file is reported, and never taken for a short feed."""
    squeezed = pack(b"".join(LINE.encode() + os.urandom(50).hex().encode() + b"\n" for _ in range(2_000)))
    with pytest.raises(FeedError, match="cut short"):
        parse(squeezed[: len(squeezed) // 2])


def test_a_packed_stream_of_records_that_explodes_is_stopped() -> None:
    """JSON lines that unpack to far more than text does are refused while streaming, in little memory."""
    line = json.dumps({"id": "2508.13426", "title": "t", "abstract": "a" * 100_000}).encode() + b"\n"
    bomb = gzip.compress(line * 1_000)
    tracemalloc.start()
    with (
        pytest.raises(FeedError, match="decompressed size over limit"),
        open_feed("-", stdin=io.BytesIO(bomb)) as feed,
    ):
        for _ in feed.records:
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04rest", "zip"),
        (b"BZh91AY", "bzip2"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"feed.txt".ljust(257, b"\0") + b"ustar\x0000", "tar"),
        (gzip.compress(b"feed.txt".ljust(257, b"\0") + b"ustar\x0000", mtime=0), "tar"),
        (gzip.compress(gzip.compress(LINE.encode())), "compressed twice"),
        (lzma.compress(gzip.compress(LINE.encode())), "compressed twice"),
        (LINE.encode("utf-32"), "UTF-32"),
    ],
)
def test_archives_and_other_packings_are_refused(content: bytes, why: str, parse: Parse) -> None:
    """Nothing is extracted: archives and doubly packed feeds are named and refused."""
    with pytest.raises(FeedError, match=why):
        parse(content)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_stream_of_empty_members_is_refused(pack: Callable[[bytes], bytes], parse: Parse) -> None:
    """Packed nothing, again and again, does not keep the machine busy."""
    start = time.process_time()
    with pytest.raises(FeedError, match="damaged"):
        parse(pack(b"") * 300_000)
    assert time.process_time() - start < 2.0


def test_a_stream_is_capped_while_it_is_read() -> None:
    """A stream without an end stops at the limit."""
    with pytest.raises(FeedError, match="larger than the limit"):
        open_feed("-", stdin=_Endless(b"Daily Papers\n\n" + b"word " * 100), max_bytes=2_000_000)


def test_an_endless_stream_of_lines_is_read_lazily() -> None:
    """JSON lines are given as they come: the first paper does not wait for the last."""
    with open_feed("-", stdin=_Endless(LINE.encode())) as feed:
        found = next(feed.records)
    assert isinstance(found, Paper)


def test_a_line_without_end_is_skipped_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch, parse: Parse
) -> None:
    """A line over the limit is skipped, and the lines after it are read."""
    monkeypatch.setattr("paperagent.feeds.source.MAX_LINE_BYTES", 1_000)
    long = json.dumps({"id": "2508.00001", "abstract": "x" * 5_000}) + "\n"
    papers, skipped = parse(LINE + long + LINE)
    assert len(papers) == 2
    assert skipped == [Skipped("line 2", "line too long")]


def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    """A FIFO that nobody writes to does not block."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    start = time.process_time()
    with pytest.raises(FeedError, match="not a regular file"):
        open_feed(fifo)
    assert time.process_time() - start < 1.0


def test_the_file_is_closed_at_the_end(tmp_path: Path) -> None:
    """Reading all records, leaving the block and a failed start each close the file."""
    path = tmp_path / "feed.jsonl"
    path.write_text(LINE)
    whole = open_feed(path)
    assert len(list(whole.records)) == 1
    with open_feed(path) as left:
        next(left.records)
    for feed in (whole, left):
        with pytest.raises(ValueError, match="closed"):
            feed.source._file.read()


def test_stdin_stays_open() -> None:
    """A stream that was passed in is left to its owner."""
    stream = io.BytesIO(LINE.encode())
    with open_feed("-", stdin=stream) as feed:
        assert len(list(feed.records)) == 1
    assert not stream.closed


def test_a_read_error_is_a_feed_error() -> None:
    """What the system says while reading is passed on with the feed's name."""

    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(FeedError, match="stdin: cannot be read: input/output error"):
        FeedSource(Broken())  # type: ignore[arg-type]  # enough of a stream


class _Endless(io.BytesIO):
    """A stream that repeats a piece for ever."""

    def __init__(self, piece: bytes) -> None:
        super().__init__()
        self._pieces: Iterator[bytes] = iter(lambda: piece * 1_000, b"")

    def read1(self, size: int | None = -1) -> bytes:
        return next(self._pieces)
