"""Decode JSON from untrusted feeds: no NaN, no duplicate keys, bounded nesting and size.

The standard decoder accepts all of these. RFC 8259 section 4 leaves duplicate keys open, and two programs
that pick different values for one key are a known way around a check.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from paperagent.errors import FeedError
from paperagent.feeds.record import FeedEntry, InvalidRecordError, JsonObject
from paperagent.types import Paper, Skipped

Converter = Callable[[JsonObject], Paper]

_MAX_CONTAINERS = 2_000_000
"""Each ``{}`` or ``[]`` takes two bytes of the file and about 60 bytes of memory."""
_MAX_CONTAINERS_PER_LINE = 200_000
_LONG_LINE = 1_000_000


def _unique_keys(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRecordError("duplicate key in JSON")
    return members


def _reject_constant(_name: str) -> NoReturn:
    raise InvalidRecordError("NaN or Infinity in JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_reject_constant)


def decode(text: str) -> Any:
    """Return the one JSON value in ``text``; raise InvalidRecordError if there is none, or more."""
    if len(text) > _LONG_LINE and _count_containers(text) > _MAX_CONTAINERS_PER_LINE:
        raise InvalidRecordError("too many values in JSON")
    try:
        value, end = _decoder.raw_decode(text)
    except InvalidRecordError:
        raise
    except RecursionError:
        raise InvalidRecordError("JSON nested too deep") from None
    except ValueError:
        raise InvalidRecordError("not valid JSON") from None
    if end != len(text):
        raise InvalidRecordError("not valid JSON")
    return value


def parse_lines(lines: Iterable[bytes | None], convert: Converter) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each non-blank line; None stands for a line that is too long."""
    for number, line in enumerate(lines, start=1):
        try:
            text = _line_text(line)
            if text:
                yield convert(require_object(decode(text)))
        except InvalidRecordError as error:
            yield Skipped(f"line {number}", error.reason)
        except UnicodeDecodeError:
            yield Skipped(f"line {number}", "not UTF-8")


def _line_text(line: bytes | None) -> str:
    if line is None:
        raise InvalidRecordError("line too long")
    return line.decode().strip()


def parse_items(values: Iterable[Any], convert: Converter) -> Iterator[FeedEntry]:
    """Yield a paper or a skipped record for each value of a JSON array."""
    for number, value in enumerate(values, start=1):
        try:
            yield convert(require_object(value))
        except InvalidRecordError as error:
            yield Skipped(f"item {number}", error.reason)


def require_object(value: Any) -> JsonObject:
    """Return ``value`` if it is a JSON object, else raise InvalidRecordError."""
    if not isinstance(value, dict):
        raise InvalidRecordError("not a JSON object")
    return value


def parse_document(text: str, label: str) -> list[Any]:
    """Return the items of a JSON document: those of an array, or the values that follow each other.

    Raises:
        FeedError: the text is not JSON (with line and column), or is too large or nested too deep.
    """
    if _count_containers(text) > _MAX_CONTAINERS:
        raise FeedError(f"{label}: more than {_MAX_CONTAINERS:,} objects in one JSON document; split it")
    items: list[Any] = []
    position = 0
    while position < len(text):
        value, position = _next_value(text, position, label)
        items.extend(value if isinstance(value, list) else [value])
    return items


def _count_containers(text: str) -> int:
    return text.count("{") + text.count("[")


def _next_value(text: str, position: int, label: str) -> tuple[Any, int]:
    try:
        value, end = _decoder.raw_decode(text, position)
    except InvalidRecordError as error:
        raise FeedError(f"{label}: {error.reason}; ask the publisher of the feed for valid JSON") from None
    except RecursionError:
        raise FeedError(f"{label}: JSON nested too deep; it is not a feed") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise FeedError(f"{label}: JSON error at {where}: {error.msg}; fetch the feed again") from None
    except ValueError:
        raise FeedError(f"{label}: a number in the JSON is too long; it is not a feed") from None
    while end < len(text) and text[end] in " \t\r\n":
        end += 1
    return value, end
