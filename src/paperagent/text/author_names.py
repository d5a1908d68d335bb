"""Compare names of authors in different notations: "Henderson", "P. Henderson", "Henderson, Peter"."""

from __future__ import annotations

from collections.abc import Sequence

from paperagent.text.terms import words

_LETTERS = str.maketrans(
    {"ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "æ": "ae", "Æ": "ae", "œ": "oe"}
    | {"Œ": "oe", "ß": "ss", "ı": "i", "þ": "th", "Þ": "th"}
)
"""The usual ASCII spelling of letters that Unicode does not decompose."""


_MAX_LENGTH = 500
"""Characters of a name that are compared."""


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case and without accents."""
    return tuple(words(name[:_MAX_LENGTH].translate(_LETTERS)))


def is_initial(word: str) -> bool:
    """Return whether a word of a name is an initial."""
    return len(word) == 1 and word.isascii()


def is_same_name(query: Sequence[str], name: Sequence[str]) -> bool:
    """Return whether each word of ``query`` is a word of ``name``, in any order.

    An initial in either of the two matches a word that begins with it, but at least one whole word must be
    equal. Both arguments are results of `name_words`.
    """
    if all(map(is_initial, query)):
        return bool(query) and list(query) == list(name)
    remaining = list(name)
    abbreviated = []
    full_words = 0
    for word in query:
        if word in remaining:
            remaining.remove(word)
            full_words += not is_initial(word)
        else:
            abbreviated.append(word)
    for word in abbreviated:
        match = next((w for w in remaining if _abbreviates(word, w) or _abbreviates(w, word)), None)
        if match is None:
            return False
        remaining.remove(match)
    return full_words > 0


def has_author(names: Sequence[str], author: str) -> bool:
    """Return whether one of ``names`` is ``author``, as `is_same_name` compares them."""
    query = name_words(author)
    return any(is_same_name(query, name_words(name)) for name in names)


def _abbreviates(initial: str, word: str) -> bool:
    return is_initial(initial) and word.startswith(initial)
