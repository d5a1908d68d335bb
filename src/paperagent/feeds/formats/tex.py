r"""The LaTeX of bibliographies to text: ``{\'E}tude \& more`` → ``Étude & more``. Formulas stay as they are.

Nothing is defined or executed; a macro that is not known leaves its argument.
"""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    "=": "\u0304",
    "u": "\u0306",
    ".": "\u0307",
    '"': "\u0308",
    "r": "\u030a",
    "H": "\u030b",
    "v": "\u030c",
    "d": "\u0323",
    "c": "\u0327",
    "k": "\u0328",
    "b": "\u0331",
}
_LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å",
    "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
    "textendash": "–", "textemdash": "—", "textquoteright": "’", "textquoteleft": "‘",
    "textquotedblleft": "“", "textquotedblright": "”", "textasciitilde": "~", "textasciicircum": "^",
    "textbackslash": "\\", "textbraceleft": "{", "textbraceright": "}", "textless": "<", "textgreater": ">",
    "textbar": "|", "textunderscore": "_", "textregistered": "®", "texttrademark": "™", "textdegree": "°",
    "ldots": "…", "dots": "…", "textellipsis": "…", "par": " ", "newline": " ", "quad": " ", "qquad": " ",
    "TeX": "TeX", "LaTeX": "LaTeX", "S": "§", "copyright": "©", "pounds": "£", "texteuro": "€", "euro": "€",
}  # fmt: skip
_MATH = re.compile(r"(?<!\\)\$[^$]{1,2000}(?<!\\)\$")
_ACCENT = re.compile(
    r"""\\(?:([`'^"~=.])\s*|([uvHcdbrk])(?:\s+|(?=\{)))
        (?:\{\s*(?:\\([ij])|([^\W\d_]))\s*\}|\\([ij])(?![A-Za-z])\s*|([^\W\d_]))""",
    re.VERBOSE,
)
_MACRO = re.compile(r"\\([A-Za-z]+)(?:\*|\s*\{\}|\s+)?|\\(.)", re.DOTALL)


def plain(text: str) -> str:
    """Return ``text`` without LaTeX's commands and braces, in NFC; formulas between dollars stay."""
    if not any(c in text for c in "\\{}~$-`'"):
        return text
    parts, at = [], 0
    for formula in _MATH.finditer(text):
        parts += [_prose(text[at : formula.start()]), formula[0]]
        at = formula.end()
    parts.append(_prose(text[at:]))
    return unicodedata.normalize("NFC", "".join(parts))


def _prose(text: str) -> str:
    text = text.replace("~", " ") if "\\~" not in text else re.sub(r"(?<!\\)~", " ", text)
    text = _ACCENT.sub(_accented, text)
    # What a macro gives is put in last, so that its braces are not taken for LaTeX's.
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(_LETTERS.get(match[1], "") if match[1] else _escaped(match[2]))
        return f"\0{len(held) - 1}\0"

    text = _MACRO.sub(hold, text.replace("\0", ""))
    for mark, shown in (("{", ""), ("}", ""), ("---", "—"), ("--", "–"), ("``", "“"), ("''", "”")):
        text = text.replace(mark, shown)
    return re.sub("\0(\\d+)\0", lambda m: held[int(m[1])], text)


def _escaped(char: str) -> str:
    return " " if char in "\\ ,;:/\n" else char if char not in "-!@" else ""


def _accented(match: re.Match[str]) -> str:
    letter = match[4] or match[6] or {"i": "i", "j": "j"}[match[3] or match[5]]
    return unicodedata.normalize("NFC", letter + _ACCENTS[match[1] or match[2]])
