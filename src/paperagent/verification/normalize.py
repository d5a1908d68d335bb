"""Normalize text to one spelling: Unicode forms, dashes, quotation marks, and markup by `readable`.

Marks that affect the meaning of a sentence are kept: minus, ``<``, ``%``, ``±``, exponents. Letters of
other scripts that look like Latin letters are not converted; `mixed_script` finds them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from paperagent.text.readable import readable

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_CHARGE = re.compile(r"\d?[+-]")
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–−﹣－⁃", "-"),
        **dict.fromkeys("—―⸺", " - "),
        **dict.fromkeys("‘’‚‛′`´ʼ", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("™®©", ""),
        "≈": "~",
        "≃": "~",
        "∼": "~",
        "≲": "≤",
        "≳": "≥",
        "⩽": "≤",
        "⩾": "≥",
        "≦": "≤",
        "≧": "≥",
        "≪": "<",
        "≫": ">",
        "∘": "°",
        "⋅": "·",
        "⁄": "/",
    }
)
_MARKUP = re.compile(r"[\\${<&]|``|--")
_LONE_MARKS = re.compile(r"(?:\$(?!\s?\d)|[{}\\])+")
_TIE = re.compile(r"(?<=[\w.])~(?=\w)")
_SUBSCRIPTED = re.compile(r"(?<=[^\W\d_])_(?=\d)|(?<![^\W_])(?<=[^\W\d_])_(?=[^\W_](?![^\W_]))")
"""The mark of an index: ``L_1`` and ``x_i``, but not ``max_len``."""
_BRACKETED = re.compile(r"(?<=\^)\(([-+]?\w[\w.]*)\)(?!\d)")
# Characters such as ½, ₂ and ①, which become digits and would lengthen the number before them.
_SMALL = r"[\xbc-\xbe\u2080-\u2089\u2150-\u215f\u2189\u2460-\u24ff\u2776-\u2793\u3200-\u33ff]"
_SMALL_DIGITS = re.compile(rf"(?<=\d)(?={_SMALL})|(?<={_SMALL})(?=\d)")
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})((?:[,\u202f\u2009]\d{3})+)(?![\d])")
_SPACE = re.compile(r"\s+")
_INDEX = re.compile(r"(?<=[A-Za-z])\((\d{1,2}|\d?[+-])\)")
"""``CO(2)``, ``Ca(2+)``: an index that some databases write in parentheses."""
_MARKS = (("<=", "≤"), (">=", "≥"), ("+/-", "±"), ("+-", "±"), ("...", " … "))


@lru_cache(maxsize=512)
def normalize(text: str) -> str:
    """Return ``text`` in one spelling: NFKC, no invisible characters, LaTeX symbols as characters."""
    if _MARKUP.search(text):
        text = readable(text.replace("{,}", ","))
    text = _THOUSANDS.sub(lambda m: m[1] + re.sub(r"\D", "", m[2]), text)
    if not text.isascii():
        text = _SMALL_DIGITS.sub(" ", _SUPERSCRIPT_RUN.sub(_exponent, text))
        text = "".join(c for c in text.translate(_FOLDED) if not invisible(c))
        text = unicodedata.normalize("NFKC", text).translate(_FOLDED)
        text = _THOUSANDS.sub(lambda m: m[1] + re.sub(r"\D", "", m[2]), text)
    text = _LONE_MARKS.sub(_nothing, text)
    if "~" in text:
        text = _TIE.sub(" ", text)
    if "_" in text or "^" in text:
        text = _BRACKETED.sub(r"\1", _SUBSCRIPTED.sub("", text))
    text = _INDEX.sub(r"\1", text)
    for mark, one in _MARKS:
        if mark in text:
            text = text.replace(mark, one)
    return _SPACE.sub(" ", text).strip()


def invisible(character: str) -> bool:
    """Return whether a character is invisible: zero-width, bidirectional, soft hyphen, tag, selector."""
    category = unicodedata.category(character)
    return category == "Cf" or (category == "Mn" and "\ufe00" <= character <= "\ufe0f")


def mixed_script(text: str) -> tuple[str, ...]:
    """Return the words that mix Latin letters with Cyrillic or Greek ones, which may be a disguise.

    Single Greek letters in names (``β-catenin``, ``TNFα``) are usual; look-alike capitals and
    Cyrillic letters next to Latin ones are not.
    """
    if text.isascii():
        return ()
    return tuple(w for w in re.findall(r"[^\W\d_]+", text) if not w.isascii() and _mixed(w))


def _mixed(word: str) -> bool:
    scripts = {unicodedata.name(c, "?").split()[0] for c in word}
    if "LATIN" not in scripts:
        return False
    return bool(scripts & {"CYRILLIC", "ARMENIAN", "CHEROKEE"}) or any(c in "οΟΑΒΕΖΗΙΚΜΝΡΤΥΧνυ" for c in word)


def _exponent(match: re.Match[str]) -> str:
    """Return an exponent after ``^``, and the charge of an ion as it is: ``10^-3``, ``Ca2+``."""
    exponent = match[0].translate(_SUPERSCRIPTS)
    is_charge = _CHARGE.fullmatch(exponent) and match.string[match.start() - 1 : match.start()].isalpha()
    space = " " if match.string[match.end() : match.end() + 1].isdecimal() else ""
    return exponent if is_charge else f"^{exponent}{space}"


def _nothing(mark: re.Match[str]) -> str:
    """Return what replaces a mark: a space between digits, which must not become one number."""
    before, after = (
        mark.string[max(0, mark.start() - 1) : mark.start()],
        mark.string[mark.end() : mark.end() + 1],
    )
    return " " if before.isdecimal() and after.isdecimal() else ""
