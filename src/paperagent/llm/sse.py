"""Server-sent events, decoded as they arrive (the event stream of the HTML standard, 9.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class ServerSentEvent(NamedTuple):
    """One event: its name, mostly empty, and its data, one line or several."""

    name: str
    data: str


def events(blocks: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """Yield the events of a stream, whatever way it is cut into ``blocks``.

    Comments are passed over. A last event without its blank line is given too: not every server
    ends its stream as it should. A line ``error: …``, which some servers send, is an event.

    Raises:
        UnicodeDecodeError: a line is not UTF-8.
    """
    name, data = "", list[str]()
    for line in _lines(blocks):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerSentEvent(name, "\n".join(data))
            name, data = "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "error":
            yield ServerSentEvent("error", value)
    if data:
        yield ServerSentEvent(name, "\n".join(data))


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield whole lines: no character is cut in two, for none holds the byte of a line's end."""
    kept = b""
    for block in blocks:
        kept += block
        if b"\n" not in block and b"\r" not in block:
            continue
        end = len(kept) - kept.endswith(b"\r")  # its line feed may come with the next block
        *whole, rest = _split(kept[:end])
        kept = rest + kept[end:]
        yield from (line.decode("utf-8-sig") for line in whole)
    yield from (line.decode("utf-8-sig") for line in _split(kept) if line)


def _split(text: bytes) -> list[bytes]:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
