"""Write superscripts and subscripts, for people and for the library.

For people, `raised` and `lowered` use the characters of Unicode: ``10⁶``, ``CO₂``. The library keeps ASCII
(`superscript` and `subscript`): ``10^6``, ``CO2``. Software that folds Unicode to plain characters, such as
search indexes, would read 10⁶ as 106; ``CO2`` is what people write and search for. A digit that would
lengthen the number before it is always marked: ``log10_2``.
"""

from __future__ import annotations

import re

_RAISED = "0123456789+-−=()abcdefghijklmnoprstuvwxyz*′⊤†"
_SUPERSCRIPTS = dict(zip(_RAISED, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ*′ᵀ†", strict=True)) | {
    "∘": "°",
    "T": "ᵀ",
}
_SUBSCRIPTS = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_ORDINAL = re.compile(r"st|nd|rd|th")
_SIMPLE = re.compile(r"[\w.]+|\(.*\)")
_SIGNED = re.compile(r"[-+−±∓]?[\w.]+")
_CHARGE = re.compile(r"\d?[-+−]")
_BASES = frozenset(")]}|′'%°.,;:")
"""Marks after which a raised number is an exponent or a note."""
_NUMBERS = re.compile(r"\d\s+\d")
_SIGNS = {"∘": "°", "⊤": "T", "TM": "™", "SM": "℠"}


def raised(text: str) -> str:
    """Return ``text`` as superscript: ``10⁶``, ``5th``, ``Ca²⁺``."""
    if not any(c.isalnum() for c in text) or (len(text) > 1 and text.isalpha()):
        return "".join(_SUPERSCRIPTS.get(c, c) if c in "+-−" else c for c in text)  # ®, *, 5th, a trademark
    return raised_or_lowered(text, "^")


def lowered(text: str) -> str:
    """Return ``text`` as subscript: ``CO₂``, ``x_max``."""
    return raised_or_lowered(text, "_") if any(c.isalnum() for c in text) else text


def raised_or_lowered(text: str, sign: str) -> str:
    """Return ``text`` as superscript (``^``) or subscript (``_``) if Unicode has all of it."""
    characters = _SUPERSCRIPTS if sign == "^" else _SUBSCRIPTS
    text, compact = " ".join(text.split()), "".join(text.split())
    is_word = len(text) > 1 and text.isalpha()
    is_one_number = not _NUMBERS.search(text)
    if text and not is_word and is_one_number and all(c in characters for c in compact):
        return "".join(characters[c] for c in compact)
    if sign == "^" and is_word:
        return text if _ORDINAL.fullmatch(text) else f"^{text}"
    return f"{sign}{bracketed(text)}" if text else ""


def bracketed(text: str) -> str:
    """Return ``text`` in parentheses unless it is one number, word or character."""
    return text if len(text) == 1 or _SIMPLE.fullmatch(text) else f"({text})"


def superscript(text: str, before: str) -> str:
    """Return a superscript in ASCII: ``^6``, ``^-8``, ``^(n+1)``; ``th``, ``2+`` of an ion and signs stay.

    Args:
        text: the superscript.
        before: what precedes it. After a space or at the beginning, it is the mass of an isotope (18F)
            unless a number precedes it (10 ^6).
    """
    text = " ".join(text.split())
    if not any(c.isalnum() for c in text) or text in _SIGNS:
        return _SIGNS.get(text, text)
    if before[-1:].isdecimal() and _ORDINAL.fullmatch(text):
        return text
    if before[-1:].isalpha() and _CHARGE.fullmatch(text):
        return text
    base = before.rstrip()[-1:]
    follows_base = before[-1:].isalnum() or before[-1:] in _BASES
    if not follows_base and not base.isdecimal() and base not in {")", "]"}:
        return text
    return f"^{text}" if _SIGNED.fullmatch(text) or _CHARGE.fullmatch(text) else f"^{bracketed(text)}"


def subscript(text: str, before: str) -> str:
    """Return a subscript in ASCII, as it is: ``CO2``, ``Vmax``; after a digit with ``_``.

    Args:
        text: the subscript.
        before: what precedes it.
    """
    text = " ".join(text.split())
    if before[-1:].isdecimal() and text[:1].isalnum():
        return f"_{text}" if _SIGNED.fullmatch(text) else f"_{bracketed(text)}"
    return text
