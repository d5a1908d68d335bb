"""Random damage to feeds, and the properties that survive it.

    python tests/feeds/mutations.py [--count 60000] [--seed 1] [NAME …]

mutates the files of ``samples/`` (by default all) and reads each result. It prints the first failures with
the seed that reproduces them.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from random import Random

from paperagent.errors import FeedError
from paperagent.feeds.reader import parse_feed
from paperagent.types import Paper

SAMPLES = Path(__file__).with_name("samples")
"""Invented files, one for each program and format; every file in it is mutated."""
MAX_SECONDS = 1.0
_MAX_SPAN = 200
_MAX_STEPS = 4
_MAX_FAILURES = 10
_DELIMITERS = b"{}()[]<>\"'\\,;:=@#%&$\r\n\t \0\xff"
_DIGITS = re.compile(r"\d+")
_ENTITY = re.compile(r"&(?:amp;)*#\w{1,9};|\\u[0-9A-Fa-f]{4}")


def mutate(data: bytes, random: Random) -> bytes:
    """Return ``data`` with one to four random changes."""
    for _ in range(random.randint(1, _MAX_STEPS)):
        if not data:
            break
        data = random.choice(_CHANGES)(data, random)
    return data


def samples() -> list[Path]:
    """Return the sample files in a fixed order."""
    return sorted(path for path in SAMPLES.iterdir() if path.is_file())


def fault(data: bytes, name: str) -> str | None:
    """Return what is wrong with the way in which a damaged feed is read, or None.

    A feed may be refused with FeedError. It may not raise anything else, take longer than a second or give an
    abstract with a number that is not in the feed.
    """
    start = time.process_time()
    try:
        entries = parse_feed(io.BytesIO(data), name)
    except FeedError:
        entries = []
    except Exception as error:  # noqa: BLE001 - any other exception is the fault
        return f"{type(error).__name__}: {error}"
    if (seconds := time.process_time() - start) > MAX_SECONDS:
        return f"takes {seconds:.1f} s"
    papers = [entry for entry in entries if isinstance(entry, Paper)]
    numbers = new_numbers((paper.abstract for paper in papers), data.decode("utf-8", "replace"))
    return f"new numbers: {sorted(numbers)}" if numbers else None


def new_numbers(texts: Iterable[str], source: str) -> set[str]:
    """Return the digit strings of ``texts`` that are not in ``source``, not even as a part of a longer one.

    Braces of LaTeX and invisible characters in ``source`` do not separate digits. A source with numeric
    character references can write any digit, so nothing is said about it.
    """
    if _ENTITY.search(source):
        return set()
    visible = "".join(c for c in source if c not in "{}" and unicodedata.category(c) not in {"Cf", "Co"})
    numbers = {number for text in texts for number in _DIGITS.findall(text)}
    return {number for number in numbers if number not in source and number not in visible}


def _flip_byte(data: bytes, random: Random) -> bytes:
    position = random.randrange(len(data))
    return data[:position] + bytes([data[position] ^ 1 << random.randrange(8)]) + data[position + 1 :]


def _put_delimiter(data: bytes, random: Random) -> bytes:
    position = random.randrange(len(data))
    end = position + random.randint(0, 1)
    return data[:position] + bytes([random.choice(_DELIMITERS)]) + data[end:]


def _delete(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 50)) + data[end:]


def _move(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    remainder = data[:start] + data[end:]
    position = random.randint(0, len(remainder))
    return remainder[:position] + data[start:end] + remainder[position:]


def _swap_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.choice((1, 2, 5, 20, _MAX_SPAN)))


_CHANGES: Sequence[Callable[[bytes, Random], bytes]] = (
    _flip_byte,
    _put_delimiter,
    _put_delimiter,
    _delete,
    _repeat,
    _move,
    _swap_lines,
    _truncate,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    files = [path for path in samples() if not options.names or path.name in options.names]
    contents = {path.name: path.read_bytes() for path in files}
    failures = 0
    for seed in count(options.seed):
        if seed >= options.seed + options.count or failures >= _MAX_FAILURES:
            break
        random = Random(seed)  # noqa: S311 - repeatable, not secret
        name = random.choice(list(contents))
        if problem := fault(mutate(contents[name], random), name):
            failures += 1
            print(f"{name}, seed {seed}: {problem}")  # noqa: T201 - a script
    print(f"{options.count:,} mutations of {len(files)} files, {failures} failures")  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
