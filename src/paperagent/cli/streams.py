r"""The standard streams: output in any encoding, without a crash and without a character that misleads.

A character that the encoding of a stream lacks is written in ASCII (``≥`` as ``>=``), else as an escape such
as ``\u03b1``. On Windows, redirected output is UTF-8, unless ``PYTHONIOENCODING`` names another encoding.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from typing import TextIO

_ERRORS = "paperagent-readable"
_SUPERSCRIPTS = {ord(c): f"^{i}" for i, c in zip("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", strict=True)}
_SUBSCRIPTS = {ord(c): f"_{i}" for i, c in zip("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋", strict=True)}
_MARKED = re.compile(r"(?:\^[0-9+-]){2,}|(?:_[0-9+-]){2,}")
_REPLACEMENTS = {
    **_SUPERSCRIPTS,
    **_SUBSCRIPTS,
    **str.maketrans(
        {
            "‘": "'", "’": "'", "‚": "'", "‹": "<", "›": ">", "′": "'", "“": '"', "”": '"', "„": '"',
            "″": '"',
            "«": "<<", "»": ">>", "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "--", "―": "--", "−": "-",
            "…": "...", "•": "*", "·": "*", "‧": "*", "≥": ">=", "≤": "<=", "≠": "!=",
            "≈": "~", "∼": "~", "±": "+/-", "×": "x", "→": "->", "←": "<-", "⇒": "=>", "↑": "^", "↓": "v",
            "✓": "ok", "✗": "x", "√": "sqrt", "∞": "inf", "‰": " per mille", "€": "EUR", "™": "(TM)",
            "©": "(C)", "®": "(R)", "¼": " 1/4", "½": " 1/2", "¾": " 3/4", "°": " deg", "ﬁ": "fi", "ﬂ": "fl",
            "\u00a0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u200a": " ", "\u202f": " ",
        }
    ),
}  # fmt: skip


def prepare(*, has_chosen_encoding: bool) -> None:
    """Make printing possible in every locale, even if the caller closed the standard streams.

    Args:
        has_chosen_encoding: Whether the user has set ``PYTHONIOENCODING``.
    """
    codecs.register_error(_ERRORS, _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open, as a standard stream does
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            is_utf8 = sys.platform == "win32" and not has_chosen_encoding and not stream.isatty()
            stream.reconfigure(encoding="utf-8" if is_utf8 else None, errors=_ERRORS)


def writes_unicode(stream: TextIO) -> bool:
    """Return whether the encoding of a stream has every character."""
    try:
        "≥\U0001f4c4".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace the characters that an encoding lacks, as an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = "".join(_readable(char) for char in error.object[error.start : error.end])
    return _MARKED.sub(lambda run: run[0][0] + run[0][1::2], text), error.end


def _readable(char: str) -> str:
    return _REPLACEMENTS.get(ord(char)) or char.encode("ascii", "backslashreplace").decode("ascii")
