"""Decode JSON from untrusted feeds: no NaN, no duplicate keys, bounded nesting and size.

The standard decoder accepts all of these. RFC 8259 section 4 does not define duplicate keys, and attackers
bypass checks with them if two programs use different values of one key.

In a document, such a fault affects only the record that contains it. A `Damage` replaces the bad value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from paperagent.errors import FeedError
from paperagent.feeds.record import FeedEntry, InvalidRecordError, JsonObject
from paperagent.types import Skipped

Converter = Callable[[JsonObject], FeedEntry]

_MAX_CONTAINERS = 2_000_000
"""Each ``{}`` or ``[]`` takes two bytes of the file and about 60 bytes of memory."""
_MAX_CONTAINERS_PER_LINE = 200_000
_LONG_LINE = 1_000_000
_MAX_DEPTH = 100
"""For documents that the standard decoder refuses because they are nested too deeply."""
_MAX_DIGITS = 4_000
_DUPLICATE_KEY = "duplicate key in JSON"
_NOT_A_NUMBER = "NaN or Infinity in JSON"
_TOO_DEEP = "JSON nested too deeply"
_TOO_LONG = "a number in the JSON is too long"
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_DEEP_VALUE = '{"\\u0000": 0}'
"""The value that replaces one that is nested too deeply."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A placeholder for a value that strict JSON refuses."""

    reason: str


def _unique_keys(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRecordError(_DUPLICATE_KEY)
    return members


def _reject_constant(_name: str) -> NoReturn:
    raise InvalidRecordError(_NOT_A_NUMBER)


def _members_or_damage(pairs: list[tuple[str, Any]]) -> JsonObject | Damage:
    if pairs == [("\0", 0)]:
        return Damage(_TOO_DEEP)
    members = dict(pairs)
    return members if len(members) == len(pairs) else Damage(_DUPLICATE_KEY)


_decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_reject_constant)
_tolerant_decoder = json.JSONDecoder(
    object_pairs_hook=_members_or_damage,
    parse_constant=lambda _name: Damage(_NOT_A_NUMBER),
    parse_int=lambda digits: int(digits) if len(digits) < _MAX_DIGITS else Damage(_TOO_LONG),
)
"""The decoder for documents that `_decoder` refuses; it is slower."""


def decode(text: str) -> Any:
    """Return the one JSON value in ``text``; raise InvalidRecordError if there is none, or more."""
    if len(text) > _LONG_LINE and _count_containers(text) > _MAX_CONTAINERS_PER_LINE:
        raise InvalidRecordError("too many values in JSON")
    try:
        value, end = _decoder.raw_decode(text)
    except InvalidRecordError:
        raise
    except RecursionError:
        raise InvalidRecordError(_TOO_DEEP) from None
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
            yield convert(_undamaged_object(value))
        except InvalidRecordError as error:
            yield Skipped(f"item {number}", error.reason)


def _undamaged_object(value: Any) -> JsonObject:
    if damage := find_damage(value):
        raise InvalidRecordError(damage.reason)
    return require_object(value)


def find_damage(value: Any) -> Damage | None:
    """Return the first `Damage` in a decoded value, or None."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, Damage):
            return value
    return None


def require_object(value: Any) -> JsonObject:
    """Return ``value`` if it is a JSON object, else raise InvalidRecordError."""
    if not isinstance(value, dict):
        raise InvalidRecordError("not a JSON object")
    return value


def parse_document(text: str, label: str) -> list[Any]:
    """Return the items of a JSON document: those of its array, or consecutive values.

    A `Damage` replaces each object with a duplicate key, NaN, number that is too long, and value that is
    nested too deeply.

    Raises:
        FeedError: the text is not JSON (with line and column), is too large, or is only deep nesting.
    """
    if _count_containers(text) > _MAX_CONTAINERS:
        raise FeedError(f"{label}: more than {_MAX_CONTAINERS:,} objects in one JSON document; split it")
    for decoder in (_decoder, _tolerant_decoder):
        try:
            return _values(text, label, decoder)
        except (InvalidRecordError, _LongNumberError, RecursionError):
            continue
    try:
        return _values(_without_deep_values(text), label, _tolerant_decoder)
    except FeedError:
        raise FeedError(f"{label}: {_TOO_DEEP}; it is not a feed") from None


def damage_error(label: str, damage: Damage) -> FeedError:
    """Return the error for a document that is damaged outside of its records."""
    return FeedError(f"{label}: {damage.reason}; ask the publisher of the feed for valid JSON")


def _count_containers(text: str) -> int:
    return text.count("{") + text.count("[")


class _LongNumberError(ValueError):
    """A number has more digits than Python converts."""


def _values(text: str, label: str, decoder: json.JSONDecoder) -> list[Any]:
    items: list[Any] = []
    position = 0
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except InvalidRecordError:
            raise
        except json.JSONDecodeError as error:
            where = f"line {error.lineno} column {error.colno}"
            raise FeedError(f"{label}: JSON error at {where}: {error.msg}; fetch the feed again") from None
        except ValueError as error:
            raise _LongNumberError from error
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
        items.extend(value if isinstance(value, list) else [value])
    return items


def _without_deep_values(text: str) -> str:
    """Replace the values in a document that are nested too deeply. Line numbers stay the same."""
    parts: list[str] = []
    depth = position = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _MAX_DEPTH:
                parts.append(text[position : token.start()] + _DEEP_VALUE)
                position = token.start()
        elif token[0] in "]}":
            if depth == _MAX_DEPTH:
                parts.append("\n" * text.count("\n", position, token.end()))
                position = token.end()
            depth -= 1
    if depth < _MAX_DEPTH:
        parts.append(text[position:])
    return "".join(parts)
