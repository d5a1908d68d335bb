"""Split a text into the names of authors, and put the parts of a name in order."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAX_LENGTH = 100_000
_DICTIONARY_NAME = re.compile(r"['\"]name['\"]\s{0,9}:\s{0,9}(?:'([^']{1,300})'|\"([^\"]{1,300})\")")
_QUOTED = re.compile(r"'([^']{1,300})'|\"([^\"]{1,300})\"")
_AND = re.compile(r"[,;]?\s(?:and|&)\s", re.IGNORECASE)
_NUMBER = re.compile(r" ?\(\d{1,20}\)")
"""The number that Scopus gives an author."""
_NOT_NAMES = frozenset({"", "...", "et al", "et al.", "others", "none", "nan", "[no author name available]"})
_INITIALS = re.compile(r"(?:[^\W\d_]\.[ -]?){1,5}|[A-Z](?:[ -]?[A-Z]){0,3}")
_SUFFIX = re.compile(r"jr\.?|sr\.?|i{2,3}|iv|phd|m\.?d\.?", re.IGNORECASE)
_FIRST_AND_SUFFIX = re.compile(r"(\S.{0,200}) (jr\.?|sr\.?|i{2,3}|iv)", re.IGNORECASE)
"""MEDLINE writes "Vex, Ada B Jr"."""


def split_names(text: str, *, commas_are_within: bool = False) -> list[str]:
    """Return the names of a text, each as "First Last".

    Reads ``A; B``, ``A | B``, one name per line, ``A, B and C``, ``Vex, A., Ten, B.``, and Python's notation
    of a list or of dictionaries.

    Args:
        text: the authors.
        commas_are_within: whether a comma separates the parts of a name instead of two names.
    """
    text = _NUMBER.sub("", text[:_MAX_LENGTH].strip())
    if text.lower() in _NOT_NAMES:
        return []
    if text.startswith("[") and text.endswith("]"):
        quoted = _DICTIONARY_NAME.findall(text) or _QUOTED.findall(text)
        names = [single or double for single, double in quoted] or text.strip("[]").split(",")
        return _clean(map(full_name, names))
    for separator in (";", "|", "\n"):
        if separator in text:
            return _clean(map(full_name, text.split(separator)))
    parts = _AND.split(text)
    are_reversed = len(parts) > 1 and all(part.count(",") == 1 for part in parts)
    if are_reversed or (commas_are_within and all(part.count(",") < 2 for part in parts)):
        return _clean(map(full_name, parts))
    return _clean(name for part in parts for name in _split_at_commas(part))


def full_name(text: str) -> str:
    """Return "First Last Suffix" for a name that begins with the last name, such as "Last, Suffix, First"."""
    parts = [part for part in map(str.strip, text.split(",")) if part]
    if len(parts) == 2 and not _SUFFIX.fullmatch(parts[1]):
        last, first = parts
        first, suffix = match.groups() if (match := _FIRST_AND_SUFFIX.fullmatch(first)) else (first, "")
        return f"{first} {last} {suffix}".rstrip()
    if len(parts) == 3 and any(map(_SUFFIX.fullmatch, parts[1:])):
        last, second, third = parts
        first, suffix = (third, second) if _SUFFIX.fullmatch(second) else (second, third)
        return f"{first} {last} {suffix}"
    return text.strip(" ,")


def _split_at_commas(text: str) -> list[str]:
    """Split a text at its commas, unless they separate the parts of one name."""
    parts = [part for part in map(str.strip, text.split(",")) if part]
    if len(parts) == 2 and _is_last_and_first(*parts):
        return [full_name(text)]
    if len(parts) == 3 and any(map(_SUFFIX.fullmatch, parts[1:])):
        return [full_name(text)]
    if len(parts) % 2 == 0 and parts and all(map(_INITIALS.fullmatch, parts[1::2])):
        return [f"{first} {last}" for last, first in zip(parts[::2], parts[1::2], strict=True)]
    return parts


def _is_last_and_first(last: str, first: str) -> bool:
    """Return whether "Vex, Ada" or "van der Vex, Ada B." is one name, unlike "Vex A, Ten B"."""
    if _INITIALS.fullmatch(first) or " " not in last:
        return True
    has_initials = [bool(_INITIALS.fullmatch(name.split()[-1])) for name in (last, first)]
    return not has_initials[0] and (" " not in first or has_initials[1] or last[0].islower())


def _clean(names: Iterable[str]) -> list[str]:
    return [name for name in (each.strip(" ,\t\r") for each in names) if name.lower() not in _NOT_NAMES]
