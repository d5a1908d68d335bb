"""Split a text into the names of authors, and put the parts of a name in order."""

from __future__ import annotations

import re

_MAX_LENGTH = 100_000
_QUOTED = re.compile(r"'([^']{1,300})'|\"([^\"]{1,300})\"")
_AND = re.compile(r"\s*[,;]?\s(?:and|&)\s", re.IGNORECASE)
_ET_AL = re.compile(r"et al\.?|others", re.IGNORECASE)
_INITIALS = re.compile(r"(?:[A-Z]\.?[- ]?){1,4}")
_SUFFIX = re.compile(r"jr\.?|sr\.?|i{2,3}|iv|phd|m\.?d\.?", re.IGNORECASE)


def split_names(text: str) -> list[str]:
    """Return the names of a text: ``A; B``, ``A, B and C``, ``Vex, A., Ten, B.``, ``['A', 'B']``.

    "Vex, Ada" becomes "Ada Vex".
    """
    text = " ".join(text[:_MAX_LENGTH].split())
    if text.startswith("[") and text.endswith("]"):
        return [full_name(single or double) for single, double in _QUOTED.findall(text)]
    for separator in (";", "|"):
        if separator in text:
            return _clean([full_name(name) for name in text.split(separator)])
    parts = _AND.split(text)
    if len(parts) > 1 and all(part.count(",") == 1 for part in parts):  # as in BibTeX
        return _clean([full_name(part) for part in parts])
    return _clean([name for part in parts for name in _split_at_commas(part)])


def full_name(text: str) -> str:
    """Return "First Last Suffix" for "Last, First, Suffix"; any other text unchanged."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 2 and not _SUFFIX.fullmatch(parts[1]):
        return f"{parts[1]} {parts[0]}".strip()
    if len(parts) == 3 and (_SUFFIX.fullmatch(parts[1]) or _SUFFIX.fullmatch(parts[2])):
        first, suffix = (parts[2], parts[1]) if _SUFFIX.fullmatch(parts[1]) else (parts[1], parts[2])
        return f"{first} {parts[0]} {suffix}".strip()
    return text.strip()


def _split_at_commas(text: str) -> list[str]:
    """Return the names that commas separate, unless they separate the parts of one name."""
    parts = [part for part in map(str.strip, text.split(",")) if part]
    if len(parts) == 2 and _is_last_and_first(*parts):
        return [full_name(text)]
    if len(parts) == 3 and _SUFFIX.fullmatch(parts[2]):
        return [full_name(text)]
    if len(parts) % 2 == 0 and parts and all(_INITIALS.fullmatch(part) for part in parts[1::2]):
        return [f"{first} {last}" for last, first in zip(parts[::2], parts[1::2], strict=True)]
    return parts


def _is_last_and_first(last: str, first: str) -> bool:
    """Return whether "Vex, Ada" or "van der Vex, Ada B." is one name, unlike "Vex A, Ten B"."""
    if _INITIALS.fullmatch(first) or " " not in last:
        return True
    has_initials = [bool(_INITIALS.fullmatch(name.split()[-1])) for name in (last, first)]
    return not has_initials[0] and (" " not in first or has_initials[1])


def _clean(names: list[str]) -> list[str]:
    return [name for name in (n.strip() for n in names) if name and not _ET_AL.fullmatch(name)]
