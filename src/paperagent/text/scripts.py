"""Write superscripts and subscripts, for people and for the library.

For people, `raised` and `lowered` use Unicode characters: ``10⁶``, ``CO₂``. For the library, `superscript`
and `subscript` use ASCII: ``10^6``, ``CO2``. Software that folds Unicode to plain characters, such as a
search index, would read 10⁶ as 106, and ``CO2`` is what people type. A digit that would lengthen the number
before it is always marked, as in ``log10_2``.
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
    """Return ``text`` as superscript (``^``) or subscript (``_``), in Unicode if it has every character."""
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
    """Return a superscript in ASCII, such as ``^6``, ``^-8`` or ``^(n+1)``.

    Ordinal endings (``th``), charges (``2+``) and signs are returned unchanged.

    Args:
        text: the superscript.
        before: the text before it. A superscript after a space or at the beginning is the mass number of an
            isotope (18F), unless it follows a number (10 ^6).
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
    """Return a subscript in ASCII: unchanged (``CO2``, ``Vmax``), or with ``_`` after a digit.

    Args:
        text: the subscript.
        before: the text before it.
    """
    text = " ".join(text.split())
    if before[-1:].isdecimal() and text[:1].isalnum():
        return f"_{text}" if _SIGNED.fullmatch(text) else f"_{bracketed(text)}"
    return text
