"""Replace parts of a text, keep numbers apart, and track the source position of each character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple

_RAISED, _LOWERED = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹"), frozenset("₀₁₂₃₄₅₆₇₈₉")
_MARKS = frozenset(".,")
"""Marks between the digits of a number."""


class Edit(NamedTuple):
    """Replaces ``text[start:end]`` by ``new``."""

    start: int
    end: int
    new: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` after ``edits``, which are in order and do not overlap."""
    return _apply(text, edits, None)[0]


class TracedText:
    """A text that is edited step by step.

    Attributes:
        text: the text after all edits.
        offsets: for each character, its position in the original text; at the end, the length of that text.
    """

    __slots__ = ("offsets", "text")

    def __init__(self, text: str, start: int = 0) -> None:
        self.text = text
        self.offsets = list(range(start, start + len(text) + 1))

    def edit(self, edits: Iterable[Edit]) -> None:
        """Apply ``edits``, which are in order and do not overlap, to the current text."""
        self.text, self.offsets = _apply(self.text, edits, self.offsets)

    def sub(self, pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str]) -> None:
        """Replace each match of ``pattern``; a string is inserted as it is."""
        make = (lambda _: new) if isinstance(new, str) else new
        if edits := [Edit(m.start(), m.end(), make(m)) for m in pattern.finditer(self.text)]:
            self.edit(edits)


def joins_numbers(before: str, after: str) -> bool:
    """Return whether joining two texts forms a number that is in neither of them, as ``5`` and ``.3`` do."""
    if before[-1:] in _RAISED or before[-1:] in _LOWERED:
        return after[:1] != "" and after[:1] in (_RAISED if before[-1] in _RAISED else _LOWERED)
    if not after[:1].isdecimal():
        return after[:1] in _MARKS and after[1:2].isdecimal() and before[-1:].isdecimal()
    if before[-1:] in _MARKS and before[-2:-1].isdecimal():
        return after[1:2] != "\u0305"  # the overline of 0.3̅
    return before[-1:].isdecimal()


def _apply(text: str, edits: Iterable[Edit], offsets: list[int] | None) -> tuple[str, list[int]]:
    parts: list[str] = []
    traced: list[int] = []
    position, before = 0, ""
    for start, end, new in (*edits, Edit(len(text), len(text), "")):
        pieces = []
        if start > position:
            pieces.append((text[position:start], position, start))
        if new:
            pieces.append((new if new.isascii() else unicodedata.normalize("NFC", new), start, start))
        for piece, first, last in pieces:
            if joins_numbers(before, piece):  # as in `3\frac{1}{2}`
                parts.append(" ")
                traced.append(offsets[first] if offsets else 0)
            parts.append(piece)
            if offsets:
                traced += offsets[first:last] if last > first else [offsets[first]] * len(piece)
            is_decimal_mark = piece in _MARKS and last == first  # the comma of `1{,}000`
            before = "" if is_decimal_mark else (before + piece)[-2:]
        position = end
    if offsets:
        traced.append(offsets[-1])
    return "".join(parts), traced
