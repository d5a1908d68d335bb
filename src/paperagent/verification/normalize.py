"""Normalize text to one spelling: Unicode forms, dashes, quotation marks, LaTeX.

Marks that affect the meaning of a sentence are kept: minus, ``<``, ``%``, ``±``, exponents. Letters of
other scripts that look like Latin letters are not converted; `mixed_script` finds them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
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
        "⁄": "/",
    }
)
_COMMANDS = {
    **dict.fromkeys(("le", "leq", "leqslant"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant"), "≥"),
    **dict.fromkeys(("sim", "approx", "simeq"), "~"),
    **dict.fromkeys(("lt", "ll"), "<"),
    **dict.fromkeys(("gt", "gg"), ">"),
    "pm": "±",
    "times": "×",
    "cdot": "·",
    **dict.fromkeys(("to", "rightarrow"), "→"),
    **dict.fromkeys(("ldots", "dots"), "..."),
    "percent": "%",
    **dict.fromkeys(("%", "&", "_", "$", "#"), ""),
    **dict.fromkeys(
        (
            "textbf",
            "textit",
            "emph",
            "texttt",
            "textsc",
            "text",
            "mathrm",
            "mathbf",
            "mathcal",
            "mathbb",
            "underline",
        ),
        "",
    ),
    **dict.fromkeys(("left", "right", "quad", "qquad", "xspace", "rm", "bf", "it", "em", "tt"), ""),
}
_GREEK = dict(
    pair.split(":")
    for pair in """alpha:α beta:β gamma:γ delta:δ epsilon:ε varepsilon:ε zeta:ζ eta:η theta:θ vartheta:θ
    iota:ι kappa:κ lambda:λ mu:μ nu:ν xi:ξ pi:π rho:ρ sigma:σ tau:τ upsilon:υ phi:φ varphi:φ chi:χ psi:ψ
    omega:ω Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Phi:Φ Psi:Ψ Omega:Ω""".split()
)
_COMMANDS |= {**_GREEK, "circ": "°", "degree": "°"}
_MATH = re.compile(r"\$[^$]*\$")
_SUBSCRIPT = re.compile(r"_\{?(\w+)\}?")
_LATEX = re.compile(r"\\([a-zA-Z]+)\*?|\\([%&_$#{}])|\\[,;:! ]|[${}]|(?<=[\w.])~(?=\w)")
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})((?:[,\u202f\u2009]\d{3})+)(?![\d])")
_PROSE = re.compile(r"\$\d[^$]*? [a-z]{2,} [a-z]{2,}[^$]*\$")
"""A dollar, a digit, and words before the next dollar: money, not a formula."""
_SPACE = re.compile(r"\s+")
_INDEX = re.compile(r"(?<=[A-Za-z])\((\d{1,2}|\d?[+-])\)")
"""``CO(2)``, ``Ca(2+)``: an index that some databases write in parentheses."""
_MARKS = (("<=", "≤"), (">=", "≥"), ("+/-", "±"), ("+-", "±"), ("...", " … "))


@lru_cache(maxsize=512)
def normalize(text: str) -> str:
    """Return ``text`` in one spelling: NFKC, no invisible characters, LaTeX symbols as characters."""
    text = _THOUSANDS.sub(lambda m: m[1] + re.sub(r"\D", "", m[2]), text)
    if not text.isascii():
        text = _SUPERSCRIPT_RUN.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
        text = "".join(c for c in text.translate(_FOLDED) if not invisible(c))
        text = unicodedata.normalize("NFKC", text).translate(_FOLDED)
        text = _THOUSANDS.sub(lambda m: m[1] + re.sub(r"\D", "", m[2]), text)
    if "\\" in text or "$" in text or "{" in text or "~" in text:
        text = _latex(text)
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


def _latex(text: str) -> str:
    text = re.sub(r"(?<=\d)\{,\}(?=\d{3})", "", text)
    text = re.sub(r"\\(?:textgreater|textless)\b", lambda m: ">" if "gr" in m[0] else "<", text)
    text = re.sub(r"\\footnote\{[^}]*\}|\\cite\w*\{[^}]*\}|\\url\{[^}]*\}", " ", text)
    # `$5 million` is money, `$5 \times 3$` is mathematics: a lone dollar before a digit stays.
    text = re.sub(r"\\\$(?=\d)", "\ue000", text)
    if text.count("$") % 2 or _PROSE.search(text):
        text = re.sub(r"\$(?=\d)", "\ue000", text)
    text = _MATH.sub(lambda m: _SUBSCRIPT.sub(r"\1", m[0]), text)
    return _LATEX.sub(_symbol, text).replace("^°", "°").replace("\ue000", "$")


def _symbol(match: re.Match[str]) -> str:
    if match[1]:
        return _COMMANDS.get(match[1], match[1]) + ("" if match[1].startswith(("text", "math")) else " ")
    if match[2]:
        return str(match[2]) if match[2] in "%&_#" else ""
    return " " if match[0].startswith(("\\", "~")) else ""
