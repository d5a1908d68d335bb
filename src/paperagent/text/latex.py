r"""Turn the LaTeX in titles and abstracts into text that reads well: ``$\alpha^2$`` → ``α²``.

What is stored stays as it is, and so do citations; this is only how a quote is shown. Nothing
is ever executed or defined: unknown macros show their argument, else their name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from paperagent.text import latex_symbols as table

_LATEX = re.compile(r"\\|\$|``|---|(?<=\S)--(?=\S)| -- |[A-Za-z.]~[\\A-Za-z\d]")
# Pandoc's rule, which keeps "$5 and $10": no space inside the dollars, and no digit after the second
# where one follows the first.
_MATH = re.compile(
    r"\$\$(?P<a>[^$]{1,400})\$\$|\\\((?P<b>.{1,400}?)\\\)|\\\[(?P<c>.{1,400}?)\\\]"
    r"|(?<!\\)\$(?=[^\s$])(?P<d>(?=\d)(?:\\.|[^$\\]){1,400}?(?<=\S)(?=\$(?!\d))|(?!\d)(?:\\.|[^$\\]){1,400}?(?<=\S))\$",
    re.DOTALL,
)
_MACRO = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_DASHES = ((re.compile(r"(?<!-)---(?!-)"), "—"), (re.compile(r"(?<=[^\s-])--(?=[^\s-])| -- "), "–"))
# A dollar of formulas that were cut or badly closed; one of money has a number after it.
_STRAY = re.compile(r"(?<![A-Z])\$(?!\s?[\d.])|(?<=[×∼≈Δ±])\$")
_WITH_ARGUMENT = frozenset({"mathbb", "mathds", "footnote", "pmod", "not"})
_MAX_DEPTH = 12


@lru_cache(maxsize=4096)
def latex_to_text(text: str) -> str:
    """Return ``text`` on one line without LaTeX, as far as it can be read without it."""
    if not _LATEX.search(text):
        return " ".join(text.split())
    parts, at, found = [], 0, "\\" in text
    for match in _MATH.finditer(text):
        parts.append(_prose(text[at : match.start()], latex=True))
        parts.append(_Reader(match[match.lastgroup or 0].strip(), math=True).read())
        at, found = match.end(), True
    parts.append(_prose(text[at:], latex=found))
    shown = "".join(parts)
    return " ".join(unicodedata.normalize("NFC", _STRAY.sub("", shown) if found else shown).split())


def _prose(text: str, *, latex: bool) -> str:
    if latex and ("\\" in text or "{" in text):
        text = _Reader(text, math=False).read()
    if latex:
        text = re.sub(r"(?<=[A-Za-z.,)])~(?=[A-Za-z\d(])|(?<=\w)~\Z|\A~(?=\w)", " ", text)
    text = re.sub(r"``(.{1,200}?)(?:''|[\"”])", r"“\1”", text)
    for pattern, dash in _DASHES:
        text = pattern.sub(lambda m, d=dash: f" {d} " if m[0].startswith(" ") else d, text)  # type: ignore[misc]
    return text


class _Reader:
    """Reads one stretch of LaTeX from left to right. Never raises; each character is read once a level."""

    def __init__(self, text: str, *, math: bool, depth: int = 0) -> None:
        self.text, self.math, self.depth = text, math, depth
        self.at = 0
        self.out: list[str] = []

    def read(self) -> str:
        """Return the text as people read it."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\\":
                self._macro()
            elif char in "{}":
                self.out.append(self._inner(self._group()) if char == "{" else "")
                self.at += char == "}"
            elif self.math and char in "^_":
                self.at += 1
                self.out.append(_raised(self._inner(self._argument()), char))
            else:
                self.out.append(" " if self.math and char == "~" else char)
                self.at += 1
        return "".join(self.out)

    def _inner(self, text: str) -> str:
        if self.depth >= _MAX_DEPTH:
            return re.sub(r"[\\{}]", "", text)
        return _Reader(text, math=self.math, depth=self.depth + 1).read()

    def _group(self) -> str:
        """Take ``{…}`` from here and return what is inside; an unclosed one ends with the text."""
        start, level = self.at + 1, 0
        for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(self.text, self.at):
            level += {"{": 1, "}": -1}.get(match[0], 0)
            if level == 0 and match[0] == "}":
                self.at = match.end()
                return self.text[start : match.start()]
        self.at = start
        return ""

    def _argument(self) -> str:
        """Take the next argument: a group, a macro or one character."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        if self.text[self.at : self.at + 1] == "{":
            return self._group()
        match = _MACRO.match(self.text, self.at)
        taken = match[0] if match else self.text[self.at : self.at + 1]
        self.at += len(taken)
        return taken

    def _optional(self) -> None:
        """Skip ``[…]``, which no macro we know shows."""
        if match := re.compile(r"\[[^\]]{0,80}\]").match(self.text, self.at):
            self.at = match.end()

    def _macro(self) -> None:
        match = _MACRO.match(self.text, self.at)
        if match is None:  # a lone backslash at the end
            self.at += 1
            return
        self.at = match.end()
        self.out.append(self._named(match[1]) if match[1] else self._sign(match[2]))

    def _sign(self, sign: str) -> str:
        r"""Return what ``\`` and one character that is no letter show."""
        if sign in table.ACCENTS and not self.math and re.match(r"\{?\\?[A-Za-z]", self.text[self.at :]):
            return _accented(self._inner(self._argument()), table.ACCENTS[sign])
        if sign == "\\":
            return " "
        if sign == "|":
            return "‖"
        return table.SPACES.get(sign, "" if sign in "()[]" else sign)

    def _named(self, name: str) -> str:
        if name in table.BETWEEN:
            return self._between(table.BETWEEN[name])
        if name in table.ALONE:
            return self._symbol(table.ALONE[name])
        if name in table.SPACES:
            return table.SPACES[name]
        if name in table.OPERATORS:
            return f" {name}" if self._after_word() else name
        if name in table.ACCENTS and (self.math or self._next() == "{"):
            return _accented(self._inner(self._argument()), table.ACCENTS[name])
        return self._structure(name)

    def _structure(self, name: str) -> str:
        if name in table.SWITCHES:
            self._skip_space()
            return ""
        self._optional()
        if name in table.SILENT or name in {"begin", "end"}:
            self._argument()
            return ""
        if name in table.SECOND:
            self._argument()
            return self._inner(self._argument()) if self._next() == "{" else ""
        if name in {"frac", "tfrac", "dfrac", "cfrac"}:
            above, below = (self._inner(self._argument()) for _ in "ab")
            return f"{_bracketed(above)}/{_bracketed(below)}"
        if name in {"binom", "tbinom", "dbinom"}:
            above, below = (self._inner(self._argument()) for _ in "ab")
            return f"C({above}, {below})"
        return self._one_argument(name)

    def _one_argument(self, name: str) -> str:
        if name == "sqrt":
            return "√" + _bracketed(self._inner(self._argument()))
        if name == "unicode":
            return _character(self._argument())
        if name not in table.STYLES | _WITH_ARGUMENT and self._next() != "{":
            return name
        said = self._inner(self._argument()) or (name if name not in table.STYLES | _WITH_ARGUMENT else "")
        if name in {"mathbb", "mathds"}:
            return "".join(table.DOUBLE_STRUCK.get(c, c) for c in said)
        if name == "not":
            return said + "\u0338"
        return {"footnote": f" ({said})", "pmod": f" (mod {said})"}.get(name, said)

    def _between(self, symbol: str) -> str:
        spaced = self._next().isspace() and self.out and not self.out[-1][-1:].isspace()
        return f" {symbol}" if spaced and self.math else symbol

    def _symbol(self, symbol: str) -> str:
        if not self.math and symbol.isalpha():
            self._skip_space()  # TeX takes the space after a letter such as \o to be the macro's end
        return symbol

    def _skip_space(self) -> None:
        while self._next() == " ":
            self.at += 1

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _after_word(self) -> bool:
        return bool(self.out) and self.out[-1][-1:].isalnum()


def _raised(text: str, sign: str) -> str:
    """Return ``text`` as superscript (``^``) or subscript (``_``) where Unicode has all of it."""
    signs = table.SUPER if sign == "^" else table.SUB
    text = "".join(text.split())
    word = len(text) > 1 and text.isalpha()
    if text and not word and all(c in signs for c in text):
        return "".join(signs[c] for c in text)
    if sign == "^" and text.isalpha() and len(text) > 1:
        return f"^{text}"
    return f"{sign}{_bracketed(text)}" if text else ""


def _bracketed(text: str) -> str:
    return text if len(text) == 1 or re.fullmatch(r"[\w.]+|\(.*\)", text) else f"({text})"


def _accented(text: str, mark: str) -> str:
    text = text.replace("ı", "i").replace("ȷ", "j")
    return unicodedata.normalize("NFC", text[:1] + mark + text[1:]) if text else ""


def _character(code: str) -> str:
    r"""Return the character of ``\unicode{x2013}`` where it is one that can be shown."""
    match = re.fullmatch(r"x([0-9A-Fa-f]{1,5})|(\d{1,6})", code.strip())
    number = int(match[1], 16) if match and match[1] else int(match[2]) if match else 0
    char = chr(number) if 0 < number < 0x110000 else ""
    return char if char.isprintable() else ""
