"""Analyze text into index terms, in the same way for papers and for queries.

Words are letters and digits (a decimal number is one word), in lower case and without accents. Function words
are dropped and the others stemmed with Snowball's English stemmer (Porter 2; https://snowballstem.org).
Scripts without spaces between words become single characters.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STOP_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being
    below between both but by can could did do does doing down during each etc few for from further had
    has have having he her here hers him his how i if in into is it its itself just me more most my no nor
    not now of off on once only onto or other our ours out over own per same she should so some such than
    that the their theirs them themselves then there these they this those through to too under until up
    upon us very was we were what when where whether which while who whom whose why will with within
    without ain aren couldn didn doesn don hadn hasn haven isn let shouldn wasn weren wouldn
    would you your yours""".split()
)

_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_WORD = re.compile(r"\d+(?:[.,]\d+)+|[^\W_]+(?:['’][^\W_]{1,2}\b)?")
_CONTRACTION = re.compile(r"['’].*$")
_SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
MAX_WORD_LENGTH = 40
"""Longer runs of letters are identifiers or noise; their beginning is enough to match them."""

_local = threading.local()


def words(text: str) -> list[str]:
    """Return the lower-case words of ``text``, accents folded, function words included."""
    if not text.isascii():
        text = _fold(text)
    matches: list[str] = _WORD.findall(text.lower())
    if "'" in text or "’" in text:
        return [_CONTRACTION.sub("", w) for w in matches]
    return matches


def index_terms(text: str) -> list[str]:
    """Return the index terms of ``text`` in order, repeats included."""
    content_words = [w[:MAX_WORD_LENGTH] for w in words(text) if w not in STOP_WORDS]
    stems: list[str] = _stemmer().stemWords(content_words)
    return stems


_FOREIGN_WORDS = frozenset(
    """der die das den dem des und oder ist sind war wird werden ein eine einen einem einer wie wer wo
    wann warum wieso welche welcher welches für mit von vom nicht auf bei zum zur durch sich wenn man aus
    über auch nach im el la los las es del un una que qué cual cuál cuáles cómo como por para con cuántos
    cuántas cuánto quién dónde se en le les du est une et dans pour avec comment quel quelle quels quelles
    pourquoi qui sur il di che per sono quale quali della delle nel""".split()
)
"""Function words of German, Spanish, French and Italian."""


def title_key(title: str) -> str:
    """Return the letters and digits of ``title``, NFKC-normalized and case-folded, to compare titles by."""
    return _NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", title).casefold())


def is_english(text: str) -> bool:
    """Return whether ``text`` looks English: ASCII, and at least one word in four a function word."""
    all_words = words(text)
    return text.isascii() and 4 * sum(w in STOP_WORDS for w in all_words) >= len(all_words)


def is_foreign(text: str) -> bool:
    """Return whether ``text`` looks like another language, by its letters or its function words.

    Unlike a text that is not `is_english`, a few English words without function words are not foreign.
    """
    letters = [c for c in text if c.isalpha()]
    if 5 * sum(c > "\u024f" for c in letters) > len(letters):
        return True
    all_words = words(text)
    return sum(w in _FOREIGN_WORDS for w in all_words) > sum(w in STOP_WORDS for w in all_words)


def stem(word: str) -> str:
    """Return the stem of one lower-case word."""
    stemmed: str = _stemmer().stemWord(word)
    return stemmed


def term_ids(stems: Iterable[str]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each stem, shape [n]: a compact bag of words for storage.

    Among the 10⁵ stems of a library, about one pair shares an id; it then counts as one stem.
    """
    import numpy as np

    return np.fromiter(map(_term_id, stems), np.uint32)


@lru_cache(maxsize=200_000)
def _term_id(stem: str) -> int:
    return zlib.crc32(stem.encode())


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _SPACELESS.sub(lambda m: f" {m.group()} ", unicodedata.normalize("NFC", plain))


def _stemmer() -> Any:
    """Return the stemmer of this thread; a Stemmer object must not be shared between threads."""
    stemmer = getattr(_local, "stemmer", None)
    if stemmer is None:
        import Stemmer

        stemmer = _local.stemmer = Stemmer.Stemmer("english")
    return stemmer
