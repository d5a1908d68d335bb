"""Read the fields of JSON records in the forms in which programs write them.

A text may be a string, a list of strings or labeled parts, or an object around it. Names may be a list of
strings or objects, or one text. A day may be in ISO 8601, in parts, a year, or a Unix time.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Any

from paperagent.feeds import dates
from paperagent.feeds.names import full_name, split_names
from paperagent.feeds.record import (
    JsonObject,
    clean_names,
    unique,
)

DROPPED_FIELDS = "dropped-fields"
"""The flag of a record with authors or an id that could not be read."""

_NESTED = "metadata attributes data content _source fields paper article work info bib".split()
"""Members that hold the fields of a record in some exports."""
_WRAPPED_TEXT = "value text literal raw content title description abstract name term #text _ en".split()
_NAME = "name fullName full_name display_name literal author_name collectiveName text #text".split()
_FIRST_NAME = "given firstName first_name givenName given_name forename first initials".split()
_LAST_NAME = "family lastName last_name familyName family_name surname keyname last".split()
_MAX_PARTS = 1_000
_MAX_LABELS = 100
_NOT_LETTERS = re.compile(r"[\W_]+")
_CATEGORY_CODE = re.compile(r"[a-z-]{2,12}(?:\.[A-Za-z-]{1,20})?")
_MIN_UNIX_SECONDS, _MAX_UNIX_SECONDS = 10**8, 10**10
_MAX_UNIX_DIGITS = 13


class JsonFields:
    """The members of a record by simplified name: ``publicationDate`` is the same as ``Publication Date``.

    The members of an object such as ``metadata`` or ``attributes`` come before those of the record itself.
    """

    def __init__(self, record: JsonObject) -> None:
        self._values: dict[str, list[Any]] = {}
        for layer in (*(record.get(name) for name in _NESTED), record):
            for name, value in layer.items() if isinstance(layer, dict) else ():
                values = self._values.setdefault(simplify(name), [])
                if not is_empty(value):
                    values.append(value)

    def get(self, *names: str) -> Any:
        """Return the first value that is not empty, trying the simplified ``names`` in order."""
        return next(self.all(*names), None)

    def all(self, *names: str) -> Iterator[Any]:
        """Yield every value of these names."""
        return (value for name in names for value in self._values.get(name, ()))

    def __contains__(self, name: str) -> bool:
        """Return whether the record has this member, even if it is empty."""
        return name in self._values


def simplify(name: str) -> str:
    """Return a member's name in lower case, without separators."""
    return _NOT_LETTERS.sub("", name[:80]).lower()


def is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def objects(value: object) -> list[JsonObject]:
    """Return the objects in a list, or a single object as a list."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, dict)]


def member(value: object, *names: str) -> Any:
    """Return the value at a path of members, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def read_text(value: object, *, first: bool = False) -> str | None:
    """Return a text. The parts of a list are joined, unless only the ``first`` is wanted."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [text for part in value[:_MAX_PARTS] if (text := _part_text(part)) and text.strip()]
        return " ".join(parts[:1] if first else parts) or None
    return _part_text(value)


def _part_text(part: object) -> str | None:
    if isinstance(part, dict):
        text = next((part[name] for name in _WRAPPED_TEXT if isinstance(part.get(name), str)), None)
        label = part.get("label")
        return f"{label}: {text}" if text and isinstance(label, str) and label.strip() else text
    return part if isinstance(part, str) else None


def read_names(value: object, flags: set[str]) -> tuple[str, ...]:
    """Return the names of people; unreadable ones add the flag ``dropped-fields``."""
    if is_empty(value):
        return ()
    names, is_complete = _names(value)
    cleaned = clean_names(names, flags)
    if not is_complete or not cleaned:
        flags.add(DROPPED_FIELDS)
    return cleaned


def _names(value: object) -> tuple[list[str], bool]:
    """Return the names, and whether all could be read."""
    if isinstance(value, str):
        return split_names(value), True
    if isinstance(value, dict):
        inner = next((value[k] for k in ("author", "authors", "creator", "value") if value.get(k)), None)
        if isinstance(inner, list):
            return _names(inner)
        name = _object_name(value)
        return ([name], True) if name else ([], False)
    if not isinstance(value, list):
        return [], False
    if len(value) == 1 and isinstance(value[0], str):
        return split_names(value[0]), True
    names = [_item_name(item) for item in value]
    return [name for name in names if name], all(names)


def _item_name(item: object) -> str:
    if isinstance(item, str):
        return full_name(item) if "," in item else item.strip()
    if isinstance(item, dict):
        return _object_name(item)
    if isinstance(item, list):  # [last, first, suffix], as in arXiv's snapshot
        last, first, suffix = ([p for p in item if isinstance(p, str)] + ["", "", ""])[:3]
        return " ".join(part for part in (first, last, suffix) if part)
    return ""


def _object_name(person: JsonObject) -> str:
    family = next((person[key] for key in _LAST_NAME if is_text(person.get(key))), "")
    if family:
        first = next((person[key] for key in _FIRST_NAME if is_text(person.get(key))), "")
        middle = person.get("middle")
        middles = [m for m in middle if isinstance(m, str)] if isinstance(middle, list) else [middle]
        particles = [person.get("dropping-particle"), person.get("non-dropping-particle")]
        parts = [first, *middles, *particles, family, person.get("suffix")]
        return " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    name = next((person[key] for key in _NAME if is_text(person.get(key))), "")
    if not name and isinstance(person.get("author"), dict):
        return _object_name(person["author"])
    return full_name(name) if "," in name else name.strip()


def read_labels(value: object, flags: set[str]) -> tuple[str, ...]:
    """Return categories or keywords: a list of strings or objects, or one text."""
    if isinstance(value, str):
        codes = value.split()
        is_coded = "." in value and all(map(_CATEGORY_CODE.fullmatch, codes))
        value = codes if is_coded else re.split(r"[;,|]", value)
    values = value if isinstance(value, list) else [value]
    labels = (_label(item) for item in values[:_MAX_LABELS])
    return unique(clean_names([label for label in labels if label], flags))


def _label(item: object) -> str | None:
    if isinstance(item, dict):
        names = ("term", "name", "display_name", "tag", "subject", "value", "category")
        return next((item[name] for name in names if isinstance(item.get(name), str)), None)
    return item.strip() if isinstance(item, str) else None


def read_day(value: object, flags: set[str]) -> dt.date | None:
    """Return a day in one of the usual notations. An unreadable one adds the flag ``bad-date``."""
    if isinstance(value, list):
        return _day_from_list(value, flags)
    if isinstance(value, dict):
        return _day_from_object(value, flags)
    if value is None or isinstance(value, bool):  # ``published: true``
        return None
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if text.isascii() and text.isdecimal() and len(text) > len("20260517"):
        return _day_from_unix_time(text, flags)
    day = dates.parse_loose_day(text, flags)
    if day is None and text.strip():
        flags.add(dates.BAD_DATE)
    return day


def _day_from_list(values: list[Any], flags: set[str]) -> dt.date | None:
    """Return the day of a list such as ``[2026, 5, 17]``, or else that of its first value."""
    if values and isinstance(values[0], int):
        return _day_from_parts(values, flags)
    return read_day(values[0], flags) if values and not isinstance(values[0], list) else None


def _day_from_parts(parts: list[Any], flags: set[str]) -> dt.date | None:
    year, month, day = [*parts, None, None, None][:3]
    return dates.day_from_parts(year, month, day, flags)


def _day_from_object(value: JsonObject, flags: set[str]) -> dt.date | None:
    parts = value.get("date-parts") or value.get("date_parts")
    if isinstance(parts, list):  # of one day or, for a range, two
        parts = parts[0] if parts and isinstance(parts[0], list) else parts
        if any(part not in (None, "") for part in parts):
            return _day_from_parts(parts, flags)
    if value.get("year"):
        return dates.day_from_parts(value["year"], value.get("month"), value.get("day"), flags)
    for name in ("date-time", "raw", "literal", "value", "$date", "date", "timestamp"):
        if isinstance(value.get(name), str | int) and value[name]:
            return read_day(value[name], flags)
    return None


def _day_from_unix_time(digits: str, flags: set[str]) -> dt.date | None:
    """Return the day of a Unix time in seconds or milliseconds."""
    number = int(digits[:_MAX_UNIX_DIGITS])
    seconds = number // 1_000 if number >= _MAX_UNIX_SECONDS else number
    if len(digits) > _MAX_UNIX_DIGITS or seconds < _MIN_UNIX_SECONDS:
        flags.add(dates.BAD_DATE)
        return None
    day = dt.datetime.fromtimestamp(seconds, dt.UTC).date()
    return dates.parse_day(day.isoformat(), flags)


def first_day(values: Iterable[object], flags: set[str]) -> dt.date | None:
    """Return the day of the first value that has one."""
    return next((day for value in values if (day := read_day(value, flags))), None)
