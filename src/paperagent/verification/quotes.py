"""Find a quotation in an abstract: word for word, with its marks, and with its parts in order.

A quotation may contain ellipses. Each part must have at least four words and begin and end at a word
boundary that does not cut off a minus, a decimal point, ``<`` or ``%``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from paperagent.verification.normalize import mixed_script, normalize

QuoteStatus = Literal["exact", "normalised", "partial", "too_short", "not_found"]

_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:…|\.\.\.)\s*\]|…|\.{3,})\s*")
_MIN_WORDS = 4
_WORD = re.compile(r"\w+")
_MARKS = "-.<>~±%≤≥+^'/@"
"""Marks that belong to the adjacent word. A quotation may not begin or end between the two."""
_STRIPPED_CHARACTERS = " \"'.,;:!?"


@dataclass(frozen=True, slots=True)
class QuoteVerdict:
    """The result of looking for a quotation."""

    status: QuoteStatus
    """*exact*: the same characters except white space. *normalised*: another spelling. *partial*: several
    parts, in order. The other values mean that it is not a quotation of this abstract."""
    mixed_script: tuple[str, ...] = ()
    """Words that mix Latin letters with look-alikes. A quotation with such a word is never found."""

    @property
    def is_quote(self) -> bool:
        """Whether every part of the quotation is in the abstract."""
        return self.status in ("exact", "normalised", "partial")


def find_quote(quote: str, abstract: str) -> QuoteVerdict:
    """Look for ``quote`` in ``abstract``. The title is not part of the abstract."""
    plain = normalize(quote)
    own = set(mixed_script(normalize(abstract)))
    strange = tuple(w for w in mixed_script(plain) if w not in own)
    if strange:
        return QuoteVerdict("not_found", strange)
    parts = [p.strip(_STRIPPED_CHARACTERS) for p in _ELLIPSIS.split(plain)]
    parts = [p for p in parts if p]
    if not parts:
        return QuoteVerdict("not_found")
    if any(len(_WORD.findall(p)) < _MIN_WORDS for p in parts):
        return QuoteVerdict("too_short")
    if not _contains_in_order([p.casefold() for p in parts], normalize(abstract).casefold()):
        return QuoteVerdict("not_found")
    if len(parts) > 1:
        return QuoteVerdict("partial")
    return QuoteVerdict(
        "exact" if _collapse_whitespace(quote) in _collapse_whitespace(abstract) else "normalised"
    )


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())


def _contains_in_order(parts: list[str], text: str) -> bool:
    start = 0
    for part in parts:
        at = _find(part, text, start)
        if at < 0:
            return False
        start = at + len(part)
    return True


def _find(part: str, text: str, start: int) -> int:
    at = text.find(part, start)
    while at >= 0 and not (_is_boundary(text, at - 1, -1) and _is_boundary(text, at + len(part), 1)):
        at = text.find(part, at + 1)
    return at


def _is_boundary(text: str, at: int, step: int) -> bool:
    """Return whether a part may end next to ``text[at]``: neither a word nor a mark of the next word."""
    if not 0 <= at < len(text):
        return True
    if text[at].isalnum() or text[at] == "_":
        return False
    if text[at] not in _MARKS:
        return True
    if text[at] in "%±<>~≤≥+^":
        return False
    beyond = at + step
    return not (0 <= beyond < len(text) and (text[beyond].isalnum() or text[beyond] in _MARKS))
