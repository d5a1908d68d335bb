"""JSON from strangers: no NaN, no duplicate key, no nesting without end.

The standard decoder accepts all three (RFC 8259 section 4 leaves duplicate keys open, and two
readers that pick different ones are a known way round a check).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from paperagent.errors import FeedError
from paperagent.feeds.record import FeedEntry, InvalidRecordError, JsonObject
from paperagent.types import Paper, Skipped

Convert = Callable[[JsonObject], Paper]

_MOST_CONTAINERS = 2_000_000
"""Each ``{}`` or ``[]`` costs about 60 bytes of memory for 2 of file."""
_MOST_CONTAINERS_A_LINE = 200_000
_LARGE = 1_000_000


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidRecordError("duplicate key in JSON")
    return found


def _constant(_name: str) -> NoReturn:
    raise InvalidRecordError("NaN or Infinity in JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def decode(text: str) -> Any:
    """Return the one JSON value in ``text``; raise BadRecord with the reason where there is none."""
    if len(text) > _LARGE and _containers(text) > _MOST_CONTAINERS_A_LINE:
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


def parse_lines(lines: Iterable[bytes | None], convert: Convert) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each line that is not blank; None is a line over the limit."""
    for number, line in enumerate(lines, start=1):
        try:
            text = _text(line)
            if text:
                yield convert(require_object(decode(text)))
        except InvalidRecordError as bad:
            yield Skipped(f"line {number}", bad.reason)
        except UnicodeDecodeError:
            yield Skipped(f"line {number}", "not UTF-8")


def _text(line: bytes | None) -> str:
    if line is None:
        raise InvalidRecordError("line too long")
    return line.decode().strip()


def parse_items(values: Iterable[Any], convert: Convert) -> Iterator[FeedEntry]:
    """Yield a paper, or why there is none, for each value of a JSON array."""
    for number, value in enumerate(values, start=1):
        try:
            yield convert(require_object(value))
        except InvalidRecordError as bad:
            yield Skipped(f"item {number}", bad.reason)


def require_object(value: Any) -> JsonObject:
    """Return ``value`` where it is a JSON object."""
    if not isinstance(value, dict):
        raise InvalidRecordError("not a JSON object")
    return value


def parse_document(text: str, label: str) -> list[Any]:
    """Return the items of a whole JSON document: an array's, or the values that follow each other.

    Raises FeedError with line and column where the text is no JSON.
    """
    if _containers(text) > _MOST_CONTAINERS:
        raise FeedError(f"{label}: more than {_MOST_CONTAINERS:,} objects in one JSON document; split it")
    found: list[Any] = []
    at = 0
    while at < len(text):
        value, at = _next_value(text, at, label)
        found.extend(value if isinstance(value, list) else [value])
    return found


def _containers(text: str) -> int:
    return text.count("{") + text.count("[")


def _next_value(text: str, at: int, label: str) -> tuple[Any, int]:
    try:
        value, end = _decoder.raw_decode(text, at)
    except InvalidRecordError as bad:
        raise FeedError(f"{label}: {bad.reason}; ask the feed's maker for valid JSON") from None
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
