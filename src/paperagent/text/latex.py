r"""Convert LaTeX to text: ``\alpha^2`` → ``α²``, ``{\'E}tude \& more`` → ``Étude & more``.

`LatexReader` converts a formula or a piece of prose; `readable` finds these in a text. Fields of
bibliographies are converted when they are read, but their formulas are kept. Nothing is executed or defined:
an unknown macro prints its name and its arguments, apart from the words around it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from paperagent.text.edits import Edit, apply
from paperagent.text.latex_symbols import (
    ACCENTS,
    BINARY,
    BREAKS,
    DOUBLE_STRUCK,
    FIRST_ARGUMENT,
    HIDDEN_ARGUMENT,
    NAMED_STYLES,
    OPENING,
    OPERATOR_NAMES,
    PREFIXES,
    SECOND_ARGUMENT,
    SPACES,
    STYLES,
    SWITCHES,
    SYMBOLS,
    TEXT_LETTERS,
    UNITS,
)
from paperagent.text.scripts import bracketed, lowered, raised, raised_or_lowered, subscript, superscript
from paperagent.text.siunitx import QUANTITIES, quantity

_MACRO = re.compile(r"\\([A-Za-z]+)\*?|\\(.)", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_PLAIN_LETTER = re.compile(r"\{([A-Za-z])\}|([A-Za-z])")
_OPTION = re.compile(r"\[[^\]]{0,80}\]")
_SPECIAL_IN_FORMULA = re.compile(r"[\\{}^_~]")
_SPECIAL_IN_PROSE = re.compile(r"[\\{}]")
_SPECIAL_IN_SOURCE = re.compile(r"[\\{}~$]")
_FORMULA = re.compile(r"(?<!\\)\$[^$]{1,2000}(?<!\\)\$")
_LONE_SYMBOL = re.compile(r"\\([A-Za-z]+)|(\^?(?:\\circ|\{\\circ\}))|([<>=+])|(-)")
"""A formula that consists of one operator, which is ordinary text to its author."""
_DECIMAL_MARK = re.compile(r"(?<=\d)\{([.,])\}(?=\d)")
_BRACES = re.compile(r"[{}]*")
_SPACE_AND_DIGIT = re.compile(r" {1,9}\d")
_UNIT_AFTER_MU = re.compile(r"\s+(?=[mgslLMAVWFJNT](?![A-Za-z]))")
_LENGTH = re.compile(r"\s*[-+]?[\d.]*\s*(?:mu|em|ex|pt|cm|mm|in|sp|bp|pc)?(?![A-Za-z])")
_CODE_POINT = re.compile(r"\s*(?:\"([0-9A-F]{1,5})|(\d{1,6}))")
_ACCENTED_LETTER = re.compile(r"\{?\\?[A-Za-z]")
_ACCENTED_LETTER_IN_SOURCE = re.compile(r"\s*(?:\{\s*)?(?:\\[ij](?![A-Za-z])|[^\W\d_])")
_SPACE_AND_LETTER = re.compile(r"\s+(?:\\[ij](?![A-Za-z])|[^\W\d_])")
# TeX raises only the first character of `10^-12`, but authors mean all of them.
_SIGNED_NUMBER = re.compile(r"[-+−]?\d+")
_DIGITS = re.compile(r"\d+")
_MAX_DEPTH = 12


class LatexReader:
    """Reads a piece of LaTeX from left to right. Never raises; reads each character once per level.

    Args:
        text: the piece.
        in_formula: whether it is a formula.
        is_source: whether it is a field of a bibliography, in which ``~`` and accents before a space are
            LaTeX too.
        depth: how many arguments it is nested in.
    """

    def __init__(
        self, text: str, *, in_formula: bool = False, is_source: bool = False, depth: int = 0
    ) -> None:
        self.text, self.in_formula, self.is_source, self.depth = text, in_formula, is_source, depth
        self.position = 0
        self._edits: list[Edit] = []
        self._last = ""
        """The last character of the output."""
        self._groups: dict[int, int] | None = None
        self._arguments: set[int] = set()
        """The positions of the braces that close arguments of unknown macros."""
        self._special = (
            _SPECIAL_IN_FORMULA if in_formula else _SPECIAL_IN_SOURCE if is_source else _SPECIAL_IN_PROSE
        )

    def read(self) -> str:
        """Return the text that LaTeX would print."""
        return apply(self.text, self.edits())

    def edits(self) -> list[Edit]:
        """Return the replacements that make the text readable."""
        text = self.text
        while special := self._special.search(text, self.position):
            start = special.start()
            if start > self.position:
                self._last = text[start - 1]
            self.position = start
            new = self._macro() if special[0] == "\\" else self._mark(special[0])
            if new is not None:
                self._edits.append(Edit(start, self.position, new))
                self._last = new[-1:] or self._last
        return self._edits

    def _mark(self, char: str) -> str | None:  # noqa: PLR0911 - one line per mark
        """Return the text for a brace, a tie, a script or a formula; None if it is not changed."""
        if char == "$":
            return self._formula()
        if char == "{" and (decimal := _DECIMAL_MARK.match(self.text, self.position)):
            self.position = decimal.end()
            return decimal[1]
        self.position += 1
        if char in "^_":
            return raised_or_lowered(self._convert(self._raised()), char)
        if self.position - 1 in self._arguments:
            if self._next() == "{":  # another argument
                self._open_argument()
                return " "
            return " " if self._is_before_word() else ""
        is_about = not self.in_formula and self._last in {"", " ", "\n", "("} and self._next().isdecimal()
        if char == "~" and is_about:  # a tie follows a word; " ~5" is "about 5"
            return None
        return " " if char == "~" else ""

    def _formula(self) -> str | None:
        r"""Skip a formula in a bibliography. A single operator is converted: ``$\geq$`` → ``≥``."""
        formula = _FORMULA.match(self.text, self.position)
        if formula is None:
            self.position += 1
            return None
        symbol = _LONE_SYMBOL.fullmatch(formula[0].strip("$ "))
        self.position = formula.end()
        if symbol and symbol[1] in BINARY:
            return BINARY[symbol[1]]
        if symbol and not symbol[1]:
            return "°" if symbol[2] else symbol[3] or "−"
        self._last = "$"
        return None

    def _convert(self, text: str) -> str:
        if not self._special.search(text):
            return text
        if self.depth >= _MAX_DEPTH:
            return re.sub(r"[\\{}]+", " ", text)
        return LatexReader(
            text, in_formula=self.in_formula, is_source=self.is_source, depth=self.depth + 1
        ).read()

    def _group(self) -> str:
        """Consume ``{…}`` and return its content; an unclosed group is empty."""
        if self._groups is None:
            self._groups = _matching_braces(self.text)
        start = self.position + 1
        end = self._groups.get(self.position)
        if end is None:
            self.position = start
            return ""
        self.position = end + 1
        return self.text[start:end]

    def _open_argument(self) -> None:
        """Consume the brace that opens an argument of an unknown macro, which is then read as text."""
        if self._groups is None:
            self._groups = _matching_braces(self.text)
        self._arguments.add(self._groups.get(self.position, -1))
        self.position += 1

    def _argument(self) -> str:
        """Consume the next argument: a group, a macro or one character."""
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1
        if self._next() == "{":
            return self._group()
        match = _MACRO.match(self.text, self.position)
        argument = match[0] if match else self._next()
        self.position += len(argument)
        return argument

    def _raised(self) -> str:
        r"""Consume the argument of ``^`` or ``_``: also a number without braces, and ``\frac{1}{2}``."""
        if number := _SIGNED_NUMBER.match(self.text, self.position):
            self.position = number.end()
            return number[0]
        start = self.position
        argument = self._argument()
        name = argument[1:]
        if argument[:1] != "\\" or name in SYMBOLS or name in BINARY:
            return argument
        while self._next() == "{":
            self._group()
        return self.text[start : self.position].strip()

    def _converted_argument(self) -> str:
        return self._convert(self._argument())

    def _skip_option(self) -> str:
        """Consume ``[…]`` and return its content; only that of a root is printed."""
        if match := _OPTION.match(self.text, self.position):
            self.position = match.end()
            return match[0][1:-1]
        return ""

    def _skip_spaces(self) -> None:
        while self._next() == " ":
            self.position += 1

    def _next(self) -> str:
        return self.text[self.position : self.position + 1]

    def _is_before_word(self) -> bool:
        """Return whether a letter or digit follows, perhaps after braces."""
        braces = _BRACES.match(self.text, self.position)
        position = braces.end() if braces else self.position
        return self.text[position : position + 1].isalnum()

    def _apart(self, word: str) -> str:
        """Return a word with spaces where it would be joined to a letter or digit."""
        return f"{' ' if self._last.isalnum() else ''}{word}{' ' if self._is_before_word() else ''}"

    def _gap(self) -> str:
        """Return the space that a macro without output leaves between two words."""
        return " " if self._last.isalnum() and self._is_before_word() else ""

    def _macro(self) -> str:
        match = _MACRO.match(self.text, self.position)
        if match is None:  # a lone backslash at the end
            self.position += 1
            return ""
        self.position = match.end()
        return self._named_macro(match[1]) if match[1] else self._sign_macro(match[2])

    def _sign_macro(self, sign: str) -> str:
        r"""Return what ``\`` and one character other than a letter print."""
        if sign in ACCENTS and not self.in_formula:
            if plain := _PLAIN_LETTER.match(self.text, self.position):
                self.position = plain.end()
                return _accented(plain[1] or plain[2], ACCENTS[sign])
            letter = _ACCENTED_LETTER_IN_SOURCE if self.is_source else _ACCENTED_LETTER
            if letter.match(self.text, self.position):
                return _accented(self._converted_argument(), ACCENTS[sign])
        if sign == "\\":
            return " "
        if sign == "|":
            return "‖"
        return SPACES.get(sign, "" if sign in "()[]" else sign)

    def _named_macro(self, name: str) -> str:  # noqa: PLR0911 - one line per kind
        if name in BINARY:
            return self._binary_symbol(BINARY[name])
        if name in SYMBOLS:
            return self._symbol(name)
        if name in SPACES:
            return SPACES[name]
        if name in BREAKS:
            self._skip_spaces()
            return " "
        if name in OPERATOR_NAMES:
            return self._apart(name)
        if name in ACCENTS and self._takes_accent(name):
            return _accented(self._converted_argument(), ACCENTS[name])
        return self._structural_macro(name)

    def _takes_accent(self, name: str) -> bool:
        if self._next() == "{" or self.in_formula:
            return not self.in_formula or len(name) > 1  # `\\c` is no accent in a formula
        return self.is_source and bool(_SPACE_AND_LETTER.match(self.text, self.position))

    def _structural_macro(self, name: str) -> str:  # noqa: PLR0911, C901 - one line per macro
        if name in SWITCHES:
            self._skip_spaces()
            return ""
        if name == "sqrt":
            return self._root()
        if name in {"kern", "mkern", "hskip", "vskip", "mskip", "char"}:
            return self._unbraced_argument(name)
        option = self._skip_option()
        if name in {"unit", "unitfrac", "isotope"} and option and "=" not in option:
            return self._number_in_option(name, option)
        if name in HIDDEN_ARGUMENT:
            self._argument()
            return self._gap()
        if name == "rule":
            self._argument()
            self._argument()
            return self._gap()
        if name in SECOND_ARGUMENT:
            first = self._argument()
            second = self._converted_argument() if self._next() == "{" else ""
            return f"{second} ({first})" if self.is_source and name == "href" and first != second else second
        if name in FIRST_ARGUMENT:
            first = self._converted_argument()
            if self._next() == "{":
                self._group()
            return first
        if name in {"frac", "tfrac", "dfrac", "cfrac", "nicefrac", "sfrac", "textfrac"}:
            is_after_word = self._last.isalnum()
            numerator, denominator = self._converted_argument(), self._converted_argument()
            return f"{' ' * is_after_word}{bracketed(numerator)}/{bracketed(denominator)}"
        if name in {"binom", "tbinom", "dbinom"}:
            is_after_word = self._last.isalnum()
            upper, lower = self._converted_argument(), self._converted_argument()
            return f"{' ' * is_after_word}C({upper}, {lower})"
        return self._one_argument_macro(name)

    def _number_in_option(self, name: str, option: str) -> str:
        r"""Return what ``\unit[5]{mm}``, ``\unitfrac[5]{m}{s}`` and ``\isotope[13]{C}`` print."""
        number, argument = self._convert(option), self._converted_argument()
        if name == "unitfrac":
            argument += f"/{self._converted_argument()}"
        return self._apart(f"{number}{'' if name == 'isotope' else ' '}{argument}")

    def _root(self) -> str:
        degree = self._skip_option()
        number = _DIGITS.match(self.text, self.position)
        self.position = number.end() if number else self.position
        root = "√" + (number[0] if number else bracketed(self._converted_argument()))
        if not degree:
            return root
        gap = " " if self._last.isdecimal() else ""  # 2³√5 would be the cube of 2
        return f"{gap}{raised_or_lowered(self._convert(degree), '^').removeprefix('^')}{root}"

    def _unbraced_argument(self, name: str) -> str:
        """Consume a length or the number of a character."""
        pattern = _CODE_POINT if name == "char" else _LENGTH
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        if name != "char":
            return self._gap()
        return _unicode_character(f"x{match[1]}" if match[1] else match[2]) if match else ""

    def _one_argument_macro(self, name: str) -> str:  # noqa: PLR0911 - one line per macro
        if name == "unicode":
            return _unicode_character(self._argument())
        if name == "ding":  # a dingbat by its number
            number = self._argument()
            return {"51": "✓", "52": "✓", "55": "✗", "56": "✗"}.get(number, "•" if number else "")
        if name in {"textsuperscript", "textsubscript", "sp", "sb"} and self._next() == "{":
            return self._script("^" if name in {"textsuperscript", "sp"} else "_")
        if name in {"mathbb", "mathds"}:
            return "".join(DOUBLE_STRUCK.get(c, c) for c in self._converted_argument())
        if name == "overline":
            argument = self._converted_argument()
            return "".join(c + "\u0305" for c in argument) if argument.isdecimal() else argument
        if name == "not":
            return self._converted_argument() + "\u0338"
        if name in {"footnote", "pmod"}:
            argument = self._converted_argument()
            return f" ({argument})" if name == "footnote" else f" (mod {argument})"
        if name in QUANTITIES and self._next() == "{":
            return self._quantity(name)
        return self._style_or_unknown(name)

    def _script(self, sign: str) -> str:
        before = self.text[max(0, self.position - 60) : self.position].rpartition("\\")[0].rstrip("{}$")
        argument = self._argument()
        if not self.is_source:
            return raised(self._convert(argument)) if sign == "^" else lowered(self._convert(argument))
        argument = self._convert(argument.replace("$", ""))
        return superscript(argument, before) if sign == "^" else subscript(argument, before)

    def _quantity(self, name: str) -> str:
        r"""Return what a macro of siunitx prints: ``\SI{5}{\milli\metre}`` → ``5 mm``."""
        arguments = []
        for _ in range(QUANTITIES[name]):
            self._skip_option()
            if self._next() != "{":
                break
            arguments.append(self._group())
        return self._apart(quantity(name, arguments, self._convert))

    def _style_or_unknown(self, name: str) -> str:
        """Skip the macro and the brace that opens its argument, which is then read as text."""
        if name in STYLES or (name in NAMED_STYLES and self._next() == "{"):
            while self._next().isspace():
                self.position += 1
            if self._next() == "{":
                self.position += 1
            return ""
        if name in UNITS or (name in PREFIXES and self._next() == "\\"):
            return UNITS.get(name) or PREFIXES[name]
        if self.text.startswith("{}", self.position):
            self.position += 2
        elif self._next() == "{":
            word = self._apart(name)
            self._open_argument()
            return word if word.endswith(" ") else f"{word} "
        return self._apart(name)

    def _binary_symbol(self, symbol: str) -> str:
        needs_space = self._next().isspace() and self._last and not self._last.isspace()
        return f" {symbol}" if needs_space and self.in_formula else symbol

    def _symbol(self, name: str) -> str:
        symbol = SYMBOLS[name]
        if not self.in_formula:
            # In TeX, a space after the name of a macro only ends the name.
            is_joined = name in TEXT_LETTERS or name in OPENING or name == "textohm"
            if is_joined or (name.startswith("text") and _SPACE_AND_DIGIT.match(self.text, self.position)):
                self._skip_spaces()
            elif name in {"mu", "upmu"} and (space := _UNIT_AFTER_MU.match(self.text, self.position)):
                self.position = space.end()
            elif symbol == "°" and self.text[self.position : self.position + 2] in {" C", " F"}:
                self.position += 1
        return "\\" if self.is_source and name == "textbackslash" else symbol


def _matching_braces(text: str) -> dict[int, int]:
    """Return the position of the closing brace of each group that is closed."""
    groups: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            groups[opened.pop()] = brace.start()
    return groups


@lru_cache(maxsize=1024)
def _accented(text: str, mark: str) -> str:
    text = text.replace("ı", "i").replace("ȷ", "j")
    if text[:1].isdecimal():  # an accent would divide a number
        return text
    return unicodedata.normalize("NFC", text[:1] + mark + text[1:]) if text else ""


def _unicode_character(code: str) -> str:
    r"""Return the character of ``\unicode{x2013}`` if it is printable, else ""."""
    match = re.fullmatch(r"x([0-9A-Fa-f]{1,5})|(\d{1,6})", code.strip())
    number = int(match[1], 16) if match and match[1] else int(match[2]) if match else 0
    char = chr(number) if 0 < number < 0x110000 else ""
    return char if char.isprintable() and not char.isdecimal() else ""
