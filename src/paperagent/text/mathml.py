"""Write MathML as one line of text: ``<msup><mn>10</mn><mn>6</mn></msup>`` → ``10^6``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from paperagent.text.edits import joins_numbers
from paperagent.text.scripts import bracketed, raised

FORMULA = frozenset(
    """math maction menclose merror mfenced mfrac mglyph mi mlabeledtr mmultiscripts mn mo mover mpadded
    mphantom mprescripts mroot mrow ms mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder
    munderover none semantics""".split()
)
"""The elements of MathML that hold text or structure."""

_ACCENTS = {
    "¯": "\u0304", "‾": "\u0304", "_": "\u0304", "ˉ": "\u0304", "^": "\u0302", "ˆ": "\u0302", "~": "\u0303",
    "˜": "\u0303", "∼": "\u0303", "→": "\u20d7", "⃗": "\u20d7", "˙": "\u0307", ".": "\u0307", "¨": "\u0308",
}  # fmt: skip
_RAISED_AS_THEY_ARE = {"′": "′", "″": "″", "'": "′", "*": "*", "∗": "*", "†": "†", "∘": "°", "°": "°"}
_INVISIBLE = re.compile("[\u2061-\u2064\u200b]")
_SIGNED = re.compile(r"[-+−±∓]?[\w.]+")
_LINEAR = re.compile(r"[^\s+−±=<>≤≥/,-]+|\(.*\)")
"""A base that needs no parentheses."""
_SEPARATORS = {"mtr": " ", "mlabeledtr": " ", "mtable": "; "}


def local_name(tag: object) -> str:
    """Return the lower-case name of a tag without its namespace or prefix."""
    return str(tag).rpartition("}")[2].rpartition(":")[2].lower()


def formula_text(element: Any) -> str:  # noqa: PLR0911 - one line per kind
    """Return the text of an element of MathML; annotations are left out."""
    name = local_name(element.tag)
    children = [child for child in element if isinstance(child.tag, str)]
    if name in {"mphantom", "annotation", "annotation-xml", "none", "mprescripts", "mglyph"}:
        return ""
    if name == "mspace":
        return " "
    if name in {"semantics", "maction"}:
        return formula_text(children[0]) if children else _token(element)
    if name == "mmultiscripts":
        return _multiscripts(children)
    if name == "mfenced":
        return _fenced(element, children)
    count, write = _BY_NAME.get(name, (0, None))
    if write and count == len(children):
        return write(*(formula_text(child) for child in children))
    text = _joined(element, _SEPARATORS.get(name, "")) if children else _token(element)
    return f"√{bracketed(text)}" if name == "msqrt" and text else text


def _token(element: Any) -> str:
    text = _INVISIBLE.sub("", "".join(element.itertext()))
    if local_name(element.tag) in {"mtext", "ms"}:
        return re.sub(r"\s+", " ", text)
    return " ".join(text.split())


def _joined(element: Any, separator: str) -> str:
    """Return the texts in an element, with numbers and words kept apart."""
    text, was_word = " ".join((element.text or "").split()), False
    names = [local_name(child.tag) for child in element]
    for number, child in enumerate(element):
        for part, name in ((formula_text(child), local_name(child.tag)), ((child.tail or "").strip(), "")):
            if not part:
                continue
            is_word = name in {"mi", "mo"} and len(part) > 1 and part.isalpha()
            if text and separator:
                text += separator
            elif text.endswith(".") and name == "mn" and names[max(0, number - 2) : number] == ["mn", "mo"]:
                pass  # a decimal mark between the parts of one number
            elif (
                joins_numbers(text, part)
                or (name == "mroot" and text[-1:].isdecimal())  # 2³√5 would be the cube of 2
                or ((is_word or was_word) and text[-1:].isalnum() and part[0].isalnum())
            ):
                text += " "
            text += part
            was_word = is_word
    return text


def _base(text: str) -> str:
    return text if not text or _LINEAR.fullmatch(text) else f"({text})"


def _with_superscript(base: str, exponent: str) -> str:
    exponent = exponent.strip()
    if not exponent or exponent in _RAISED_AS_THEY_ARE:
        return _base(base) + _RAISED_AS_THEY_ARE.get(exponent, "")
    return f"{_base(base)}^{exponent if _SIGNED.fullmatch(exponent) else bracketed(exponent)}"


def _with_subscript(base: str, index: str) -> str:
    index = index.strip()
    if not index:
        return base
    if index.isdecimal() and base[-1:].isalpha() and base[-1:].isascii():
        return base + index  # CO2
    return f"{_base(base)}_{bracketed(index)}"


def _with_both(base: str, index: str, exponent: str) -> str:
    return _with_subscript(base, index) + _with_superscript("", exponent)


def _fraction(numerator: str, denominator: str) -> str:
    return f"{bracketed(numerator.strip())}/{bracketed(denominator.strip())}"


def _over(base: str, accent: str) -> str:
    mark = _ACCENTS.get(accent.strip())
    if mark is not None:
        return unicodedata.normalize("NFC", base + mark) if len(base) == 1 else base
    return _with_superscript(base, accent)


def _root(radicand: str, degree: str) -> str:
    return f"{raised(degree)}√{bracketed(radicand)}"


def _multiscripts(children: Sequence[Any]) -> str:
    if not children:
        return ""
    names = [local_name(child.tag) for child in children]
    split = names.index("mprescripts") if "mprescripts" in names else len(children)
    base = formula_text(children[0])
    after = [formula_text(child) for child in children[1:split]]
    before = [formula_text(child) for child in children[split + 1 :]]
    for index, exponent in zip(after[::2], after[1::2], strict=False):
        base = _with_both(base, index, exponent)
    prefix = " ".join(part for part in before if part)
    return f"{prefix}{' ' if joins_numbers(prefix, base) else ''}{base}"


def _fenced(element: Any, children: Sequence[Any]) -> str:
    separators = "".join(element.get("separators", ",").split())
    text = str(element.get("open", "("))
    for number, child in enumerate(children):
        if number:
            text += (separators[min(number, len(separators)) - 1] if separators else "") + " "
        text += formula_text(child)
    return text + str(element.get("close", ")"))


_BY_NAME: dict[str, tuple[int, Callable[..., str]]] = {
    "msup": (2, _with_superscript),
    "msub": (2, _with_subscript),
    "msubsup": (3, _with_both),
    "mfrac": (2, _fraction),
    "mroot": (2, _root),
    "mover": (2, _over),
    "munder": (2, _with_subscript),
    "munderover": (3, _with_both),
}
"""Element → how many children it has, and the function that writes them."""
