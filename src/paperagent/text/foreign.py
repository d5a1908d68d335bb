"""Recognize sentences in a different language from the abstract around them.

Such a sentence is not meant for the readers of the abstract, so it is not accepted as evidence.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ENGLISH = frozenset(
    """
    the of and to a in is that for with as on by this are be from an it we which our at can or these not
    their have has was were using than
    """.split()
)
_AMBIGUOUS = frozenset("die den per se la du con van al".split())
"""Function words of other languages that are also words or parts of names in English texts."""
_SHARED = frozenset("a an as in is of on to was".split())
"""English function words that are also words of other languages."""
FUNCTION_WORDS = (
    frozenset(
        """
    der die das und ist nicht mit ein eine einen dem den des sie ihr ihre bitte als auf für zu alle diese
    dieser diesen le la les du et est une un dans que qui pour sur vous votre cette ce ces tous toutes ne
    pas el los las una y es en por para con su este esta todas todos lo al del usted tu il gli di e che
    per non questo questa tutte tutti della delle dello nel o os as um uma em não com seu sua da do dos
    você de het een van niet met dit deze voor op uw je och att det som på är inte med för av alla denna
    detta og ikke til denne dette ja ei että on se i w na nie się z jest wszystkie ten ta to proszę a v že
    s není tento tato prosím všechny bir ve bu için ile tüm lütfen és az egy nem hogy ez kérem minden și
    nu pe cu toate acest vă dan yang ini untuk dengan semua tidak và các của này không cho
    """.split()
    )
    - _ENGLISH
    - _AMBIGUOUS
)
_OTHER_SCRIPTS = (
    "CYRILLIC",
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HANGUL",
    "ARABIC",
    "HEBREW",
    "DEVANAGARI",
    "BENGALI",
    "THAI",
    "TAMIL",
    "TELUGU",
    "GEORGIAN",
    "ARMENIAN",
    "ETHIOPIC",
    "KHMER",
    "MYANMAR",
    "SINHALA",
    "GUJARATI",
    "GURMUKHI",
    "KANNADA",
    "MALAYALAM",
    "TIBETAN",
    "LAO",
    "MONGOLIAN",
)
_MIN_LETTERS, _MIN_WORDS = 4, 3
_MAX_CHARACTERS = 2_000
_WORD = re.compile(r"[^\W\d_]+")
_IGNORED = re.compile(r"(?:https?:|www\.)\S{1,500}|(?<=\w)['’]s\b")
"""Addresses, and the English possessive, whose "s" is a word in other languages."""


def is_foreign(sentence: str, abstract: str) -> bool:
    """Return whether a sentence differs in language or script from most of its abstract."""
    if not is_english(abstract):
        return False
    text = _IGNORED.sub(" ", sentence[:_MAX_CHARACTERS])
    if not text.isascii():
        letters = [c for c in text if c.isalpha()]
        other_script = sum(not _is_western(c) for c in letters)
        if other_script >= _MIN_LETTERS and 2 * other_script > len(letters):
            return True
    words = [w.lower() for w in _WORD.findall(text)]
    if len(words) < _MIN_WORDS:
        return False
    other = len(FUNCTION_WORDS.intersection(words))
    return other > 1 and other > 2 * sum(w in _ENGLISH for w in words)


def looks_foreign(sentence: str) -> bool:
    """Guess whether a sentence without context is not English, by its function words and letters."""
    words = [w.lower() for w in _WORD.findall(_IGNORED.sub(" ", sentence[:_MAX_CHARACTERS]))]
    other = sum(w in FUNCTION_WORDS or w in _AMBIGUOUS or not w.isascii() for w in words)
    return other > sum(w in _ENGLISH and w not in _SHARED for w in words)


@lru_cache(maxsize=256)
def is_english(text: str) -> bool:
    """Return whether an abstract is English: at least one word in five is an English function word."""
    words = [w.lower() for w in _WORD.findall(text[:_MAX_CHARACTERS])]
    return 5 * sum(w in _ENGLISH for w in words) > len(words) >= 2 * _MIN_WORDS


def _is_western(letter: str) -> bool:
    """Return whether a letter is Latin, Greek or a symbol."""
    return letter.isascii() or not unicodedata.name(letter, "").startswith(_OTHER_SCRIPTS)
