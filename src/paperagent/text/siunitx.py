r"""Numbers and units in the macros of siunitx: ``\SI{5}{\milli\metre}`` → ``5 mm``.

Numbers stay as they are written, so that ``1e-3`` does not become another number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from paperagent.text.edits import joins_numbers
from paperagent.text.latex_symbols import PREFIXES, UNITS

QUANTITIES = {
    "num": 1, "ang": 1, "si": 1, "unit": 1, "SI": 2, "qty": 2, "numlist": 1, "numproduct": 1, "numrange": 2,
    "SIlist": 2, "qtylist": 2, "qtyproduct": 2, "SIrange": 3, "qtyrange": 3, "tablenum": 1, "complexnum": 1,
}  # fmt: skip
"""Macro → how many arguments it takes."""

_UNIT_PART = re.compile(r"\\([A-Za-z]+)(?:\{([^{}]{0,40})\})?|([^\\\s{}~.]+|\.(?=\d))|([~.\s])")
_POWERS = {"squared": "²", "cubed": "³"}
_POWERS_BEFORE = {"square": "²", "cubic": "³"}
_MICRO = re.compile(r"u(?=(?:m|g|s|l|L|A|V|W|J|F|M|mol|N|Hz|eV|C|K|Pa|T|H|S)\Z)")
_PLUS_MINUS = re.compile(r"\s*(?:\+-|\\pm|±)\s*")
_PRODUCT = re.compile(r"(?<=\d)\s*x\s*(?=\d)")
_CLOSE_UNITS = ("%", "°", "′", "″")
"""Units that follow their number without a space; ``°C`` does not."""


def quantity(name: str, arguments: Sequence[str], convert: Callable[[str], str]) -> str:
    """Return the text that a macro prints.

    Args:
        name: one of `QUANTITIES`.
        arguments: the arguments; some may be missing.
        convert: a function that converts other LaTeX in a number.
    """
    if not arguments:
        return name
    if name in {"si", "unit"}:
        return unit(arguments[0])
    if name == "ang":
        parts = zip(arguments[0].split(";"), "°′″", strict=False)
        return "".join(part.strip() + mark for part, mark in parts if part.strip())
    separator = " × " if name.endswith("product") else ", "
    numbers = separator.join(_number(number, convert) for number in arguments[0].split(";"))
    if name.endswith("range") and len(arguments) > 1:
        numbers += f"–{_number(arguments[1], convert)}"
    if name.startswith("num") or len(arguments) < QUANTITIES[name]:
        return numbers
    symbol = unit(arguments[-1])
    is_close = symbol in _CLOSE_UNITS
    return numbers + ("" if is_close or not symbol else " ") + symbol


def unit(text: str) -> str:  # noqa: C901 - one line per kind of macro
    r"""Return the symbols of a unit: ``\kilo\metre\per\second\squared`` → ``km/s²``."""
    parts: list[str] = []
    prefix = power = joint = ""
    for part in _UNIT_PART.finditer(text):
        name, argument, literal, space = part.groups()
        if literal:
            parts.append(joint + prefix + literal)
            prefix = joint = ""
        elif space:
            joint = joint or (" " if parts else "")
        elif name == "per":
            joint = "/" if parts else "1/"
        elif name in PREFIXES:
            prefix = PREFIXES[name]
        elif name in _POWERS_BEFORE:
            power = _POWERS_BEFORE[name]
        elif name in _POWERS:
            parts.append(_POWERS[name])
        elif name in {"tothe", "raiseto"}:
            parts.append(f"^{argument}" if argument else "")
        elif name == "of":
            parts.append(f"({argument})" if argument else "")
        else:
            symbol = UNITS.get(name) or _MICRO.sub("µ", name)
            parts.append((joint or (" " if parts else "")) + prefix + symbol + power)
            prefix = power = joint = ""
            if argument:
                parts.append(f" {argument}")
    text = ""
    for piece in (*parts, prefix):
        text += f" {piece}" if joins_numbers(text, piece) else piece
    return text


def _number(text: str, convert: Callable[[str], str]) -> str:
    text = _PLUS_MINUS.sub(" ± ", text.strip())
    return " ".join(convert(_PRODUCT.sub(" × ", text)).split())
