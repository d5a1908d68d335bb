"""Text from strangers made safe to keep: NFC, one line, nothing that is unseen or acts on a terminal.

What the text says stays: LaTeX, ``a < b`` and every visible character. What was taken out is
named in ``noticed``, so that a reader of the library can see that a paper came with it.
"""

from __future__ import annotations

import re
import unicodedata

CONTROL = "control-characters"
BIDI = "bidi"
INVISIBLE = "invisible-characters"
SURROGATE = "lone-surrogates"
TRUNCATED = "truncated"

_CONTROL_CLASS = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
# Marks, embeddings, overrides and isolates of UAX #9.
_BIDI_CLASS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Zero-width and blank-looking letters, fillers, interlinear and musical format characters,
# variation selectors beyond the sixteen of emoji, and the whole tag block ("ASCII smuggling").
_INVISIBLE_CLASS = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_SURROGATE_CLASS = "\ud800-\udfff"
_NOT_SPACE = r"\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_CONTROL = re.compile(f"[{_CONTROL_CLASS}]+")
_CONTROL_BREAK = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_BIDI = re.compile(f"[{_BIDI_CLASS}]+")
# Two or more variation selectors in a row choose no glyph: they carry hidden data.
_INVISIBLE = re.compile(f"[{_INVISIBLE_CLASS}]+|[\ufe00-\ufe0f]{{2,}}")
_SURROGATE = re.compile(f"[{_SURROGATE_CLASS}]+")
_SPACE = re.compile(r"\s+")
_ODD = re.compile(f"[{_NOT_SPACE}{_BIDI_CLASS}{_INVISIBLE_CLASS}{_SURROGATE_CLASS}]|[\ufe00-\ufe0f]{{2}}|  ")


def clean(text: str, noticed: set[str] | None = None) -> str:
    """Return ``text`` in NFC on one line, without control, bidi or invisible characters.

    Runs of white space become one space. What was removed is added to ``noticed``.
    Cleaning what was cleaned changes nothing.
    """
    if text.isascii():
        # Nearly every abstract takes this way: three scans in C.
        if text.isprintable() and "  " not in text:
            return text.strip(" ")
    elif _ODD.search(text) is None and unicodedata.is_normalized("NFC", text):
        return text.strip(" ")
    return _cleaned(text, noticed if noticed is not None else set())


def _cleaned(text: str, noticed: set[str]) -> str:
    if _CONTROL_BREAK.search(text):
        noticed.add(CONTROL)
    for pattern, flag in (
        (_SURROGATE, SURROGATE),
        (_CONTROL, CONTROL),
        (_BIDI, BIDI),
        (_INVISIBLE, INVISIBLE),
    ):
        text, count = pattern.subn("", text)
        if count:
            noticed.add(flag)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")


def capped(text: str, limit: int, noticed: set[str]) -> str:
    """Return ``text`` cleaned and cut to ``limit`` characters, with the flag ``truncated`` where cut.

    A text far over the limit is cut before it is cleaned, so that its size costs nothing.
    """
    if len(text) > 8 * limit:
        text = text[: 8 * limit]
        noticed.add(TRUNCATED)
    text = clean(text, noticed)
    if len(text) <= limit:
        return text
    noticed.add(TRUNCATED)
    return text[:limit].rstrip(" ")
