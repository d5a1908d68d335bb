"""Find a quote in an abstract: word for word, marks included, parts in order.

A quote may leave out with an ellipsis; each part must be long enough to mean something and
stand in the abstract at word boundaries that a minus, a point, ``<`` or ``%`` does not cross.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from paperagent.verification.normalize import mixed_script, normalise

QuoteStatus = Literal["exact", "normalised", "partial", "too_short", "not_found"]

_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:…|\.\.\.)\s*\]|…|\.{3,})\s*")
_FEWEST_WORDS = 4
_WORD = re.compile(r"\w+")
_MARKS = "-.<>~±%≤≥+^'/@"
"""Marks that bind to the word beside them: a quote may not begin or end between them and it."""
_TRIMMED = " \"'.,;:!?"


@dataclass(frozen=True, slots=True)
class QuoteVerdict:
    """What became of a quote."""

    status: QuoteStatus
    """*exact* in the abstract's own characters but for white space; *normalised* in another spelling;
    *partial* in several parts, in order; else no quote of this abstract."""
    mixed_script: tuple[str, ...] = ()
    """Words that mix Latin with look-alike letters; such a quote is never found."""

    @property
    def found(self) -> bool:
        """Tell whether every part of the quote stands in the abstract."""
        return self.status in ("exact", "normalised", "partial")


def find_quote(quote: str, abstract: str) -> QuoteVerdict:
    """Return whether ``quote`` stands in ``abstract``. A title is no part of the abstract."""
    plain = normalise(quote)
    own = set(mixed_script(normalise(abstract)))
    strange = tuple(w for w in mixed_script(plain) if w not in own)
    if strange:
        return QuoteVerdict("not_found", strange)
    parts = [p.strip(_TRIMMED) for p in _ELLIPSIS.split(plain)]
    parts = [p for p in parts if p]
    if not parts:
        return QuoteVerdict("not_found")
    if any(len(_WORD.findall(p)) < _FEWEST_WORDS for p in parts):
        return QuoteVerdict("too_short")
    if not _in_order([p.casefold() for p in parts], normalise(abstract).casefold()):
        return QuoteVerdict("not_found")
    if len(parts) > 1:
        return QuoteVerdict("partial")
    return QuoteVerdict("exact" if _squeezed(quote) in _squeezed(abstract) else "normalised")


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _in_order(parts: list[str], text: str) -> bool:
    start = 0
    for part in parts:
        at = _find(part, text, start)
        if at < 0:
            return False
        start = at + len(part)
    return True


def _find(part: str, text: str, start: int) -> int:
    at = text.find(part, start)
    while at >= 0 and not (_free(text, at - 1, -1) and _free(text, at + len(part), 1)):
        at = text.find(part, at + 1)
    return at


def _free(text: str, at: int, step: int) -> bool:
    """Tell whether a part may end beside ``text[at]``: no word, and no mark that belongs to the next word."""
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
