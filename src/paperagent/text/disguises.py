"""Recognize disguised text, which people can read or decode and which filters overlook.

Disguises are spaced letters, letters of another script inside a word, digits for letters, reversed words, and
ciphers. An honest abstract needs none of them, so the content does not matter.
"""

from __future__ import annotations

import re
import unicodedata

_SPACED = re.compile(r"(?<![\w/])(?:[A-Za-z][ ._*-]){6,60}[A-Za-z](?![\w/])")
_DIGIT_INSIDE = re.compile(r"(?<![\w/.-])[A-Za-z]{1,20}[013457@][A-Za-z013457@]{0,20}(?![\w/-])")
_DIGIT_BETWEEN_LETTERS = re.compile(r"[a-z][013457@]+[a-z]|[a-z][013457@]\b", re.IGNORECASE)
_DIGIT_BETWEEN_LOWER = re.compile(r"[a-z][013457@]+[a-z]")
_DIGITS = str.maketrans("013457@", "oieasta")
_WORD = re.compile(r"[A-Za-z]+")
_COMMON = frozenset(
    """
    the and of to in is for that with this are from on by as it be you all your not must will when
    """.split()
)
_REVERSED = frozenset(
    """
    eht dna rof taht htiw siht era morf uoy ruoy lla ton tsum lliw nehw fo tnirp erongi
    """.split()
)
_ROTATED = frozenset(
    """
    gur naq bs gb va vf sbe gung jvgu guvf ner sebz ba ol nf vg lbh nyy lbhe abg zhfg jvyy jura
    """.split()
)
"""Common words, reversed and in ROT13."""
_ENCODED_TOKEN = re.compile(
    r"(?=[^0-9]{0,99}[0-9])(?=[^a-z]{0,99}[a-z])(?=[^A-Z]{0,99}[A-Z])[A-Za-z0-9+/]{28,}={0,2}|[A-Za-z0-9+/]{11,}==?"
    r"|[0-9a-f]{32,}|(?:\\x[0-9a-f]{2}){6,}|(?:%[0-9a-f]{2}){8,}"
)
_PART_OF_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_MIN_PART_OF_NAME = 2.6
"""Minimum mean length of the parts of a path, or of a name such as AttentionTransformerV2. In base64, the
mean is below two."""
_MIN_ENCODED = 13
"""Characters of an encoded token."""
_BYTES = re.compile(r"\b(?:[01]{8}\s){4}|\b(?:[0-9a-f]{2}\s){10}")
"""Bytes in binary or hexadecimal notation."""
_MORSE = re.compile(r"(?:[.-]{1,5}[ /]){10}")
_STRIPPED = "\"'“”‘’.,;:!?()[]`*"
_LOOKALIKE_SCRIPTS = ("CYRILLIC", "ARMENIAN", "CHEROKEE")


def without_invisible(text: str) -> str:
    """Return the text in NFKC form, without invisible characters."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


def is_disguised(text: str) -> bool:
    """Return whether some words of a text are disguised."""
    return (
        _SPACED.search(text) is not None
        or ("0" in text and _BYTES.search(text) is not None)
        or ((" ." in text or " -" in text) and _MORSE.search(text) is not None)
        or any(_is_encoded(token) for token in text.split() if len(token) >= _MIN_ENCODED)
        or _has_mixed_word(text)
        or _is_spelled_with_digits(text)
        or _is_reversed_or_rotated(text)
    )


def _is_encoded(token: str) -> bool:
    token = token.strip(_STRIPPED)[:2_000]
    if _ENCODED_TOKEN.fullmatch(token) is None:
        return False
    parts = _PART_OF_NAME.findall(token)
    is_name = token.isascii() and not token.endswith("=") and not token.islower() and "%" not in token
    return not (is_name and sum(map(len, parts)) >= _MIN_PART_OF_NAME * len(parts))


def _has_mixed_word(text: str) -> bool:
    """Return whether a word has Latin letters and lookalikes of another script, in lower case."""
    if text.isascii():
        return False
    return any(
        any("a" <= c <= "z" for c in word) and sum(_is_lookalike(c) for c in word) >= 1 and len(word) >= 4
        for word in re.findall(r"[^\W\d_]+", text)
    )


def _is_lookalike(character: str) -> bool:
    return not character.isascii() and unicodedata.name(character, "").startswith(_LOOKALIKE_SCRIPTS)


def _is_spelled_with_digits(text: str) -> bool:
    """Return whether several words have digits for letters, as in "1gn0r3 th3 ab0ve"."""
    if _DIGIT_BETWEEN_LETTERS.search(text) is None:
        return False
    words = [w for w in _DIGIT_INSIDE.findall(text) if w.islower() or w[1:].islower()]
    decoded = {w.lower().translate(_DIGITS) for w in words if len(w) > 2}
    between = {w for w in words if _DIGIT_BETWEEN_LOWER.search(w)}
    return len(between) >= 3 or not decoded.isdisjoint(_COMMON)


def _is_reversed_or_rotated(text: str) -> bool:
    """Return whether common words occur only reversed or in ROT13."""
    words = set(_WORD.findall(text[:1_000].lower()))
    return max(len(words & _REVERSED), len(words & _ROTATED)) > max(1, len(words & _COMMON))
