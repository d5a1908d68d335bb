"""Repair text whose UTF-8 was read as another encoding: ``KalkÃ¼l`` → ``Kalkül``, ``â€“`` → ``–``."""

from __future__ import annotations

import re

REPAIRED = "encoding-repaired"
DAMAGED = "encoding-damaged"
"""Flags of papers whose text had such characters; ``encoding-damaged`` if some are left."""

# A character that stands for the first byte of a UTF-8 sequence, and one that stands for the next byte in
# Windows-1252 or Latin-1. Correct text has such pairs too ("é”"); ftfy tells them apart.
_SUSPICIOUS = re.compile(
    "[\xc2-\xf4\u0102\u0103][\x80-\xbf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014"
    "\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]|[\xc3\xe2] "
)


def repair_encoding(text: str, flags: set[str]) -> str:
    """Return ``text`` with its mojibake repaired; everything else stays.

    Args:
        text: the text of a feed.
        flags: receives a flag if the text was changed, or if it is damaged beyond repair.
    """
    if text.isascii() or _SUSPICIOUS.search(text) is None:
        return text
    import ftfy
    from ftfy.badness import is_bad

    repaired = ftfy.fix_encoding(text, explain=False, replace_lossy_sequences=False, fix_c1_controls=False)
    if repaired != text:
        flags.add(REPAIRED)
    if is_bad(repaired):
        flags.add(DAMAGED)
    return repaired
