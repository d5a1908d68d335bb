"""Find mentions of a phrase in text, by whole words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from paperagent.text.terms import words

_BETWEEN_WORDS = r"[\s\-\u2010-\u2015]+"
_MAX_ACRONYM = 6
"""The maximum length of an acronym; a longer word in capitals is a word in upper case."""
_PLURAL, _VARIANT = "(?:e?s)?", "[A-Za-z]?s?"


@dataclass(frozen=True)
class Phrase:
    """A phrase to search for.

    Case matters only in words with two or more capitals, such as ``RAG`` and ``LoRA``. A space and a hyphen
    between words are equal. The last word may have a longer form: a plural or, for a name, one more letter,
    as in ``GPT-4o``.
    """

    text: str

    def is_in(self, *texts: str) -> bool:
        """Return whether any of the texts contains the phrase or a longer form of it."""
        return any(self._find(text) is not None for text in texts)

    def is_whole_in(self, *texts: str) -> bool:
        """Return whether any of the texts contains the exact phrase."""
        return any(self._exact.search(text) for text in texts)

    def form_in(self, *texts: str) -> str:
        """Return the phrase as it first occurs in the texts, or an empty string."""
        return next((match[0] for text in texts if (match := self._find(text))), "")

    @property
    def ends_in_name(self) -> bool:
        """Whether the last word is a name, such as ``GPT-4``."""
        last = self._words[-1] if self._words else ""
        return _is_acronym(last) or bool(re.search(r"\d", last))

    @cached_property
    def _words(self) -> list[str]:
        return [word for word in re.split(_BETWEEN_WORDS, self.text) if word]

    @property
    def like(self) -> str:
        """A pattern for SQL's LIKE that every text with the phrase matches; the escape character is ``!``."""
        if not self.text.isascii():
            return "%"
        return "%".join(
            ["", *(re.sub(r"([%_!])", r"!\1", word.replace("'", "%")) for word in self._words), ""]
        )

    def _find(self, text: str) -> re.Match[str] | None:
        """Return the first match. Finding the first word without a regular expression is much faster."""
        lower, first = text.lower(), self._words[0].lower() if self._words else ""
        if len(lower) != len(text) or "'" in first or "’" in first:
            return self._longer.search(text)
        at = lower.find(first)
        while at >= 0:
            if match := self._longer.match(text, at):
                return match
            at = lower.find(first, at + 1)
        return None

    @cached_property
    def _exact(self) -> re.Pattern[str]:
        return self._pattern("")

    @cached_property
    def _longer(self) -> re.Pattern[str]:
        return self._pattern(_VARIANT if self.ends_in_name else _PLURAL)

    def _pattern(self, suffix: str) -> re.Pattern[str]:
        pattern = _BETWEEN_WORDS.join(map(_word_pattern, self._words))
        return re.compile(rf"(?<![^\W_]){pattern}{suffix}(?![^\W_])(?!\.\d)")


class PhraseInAnyCase(Phrase):
    """A phrase whose case never matters, and whose last word may only be longer by the ending of a plural."""

    @property
    def ends_in_name(self) -> bool:
        """False: no word has further letters."""
        return False

    @cached_property
    def _words(self) -> list[str]:
        return [word for word in re.split(_BETWEEN_WORDS, self.text.lower()) if word]


def term_variants(phrase: Phrase, similar: list[str]) -> list[str]:
    """Return the terms among ``similar`` that are longer forms of the phrase's last word."""
    last = (words(phrase.text) or [""])[-1]
    return [term for term in similar if re.fullmatch(re.escape(last) + _VARIANT, term, re.IGNORECASE)]


def _word_pattern(word: str) -> str:
    escaped = re.sub(r"['’]", "['’]", re.escape(word))
    return escaped if _is_acronym(word) else f"(?i:{escaped})"


def _is_acronym(word: str) -> bool:
    return sum(char.isupper() for char in word) > 1 and not (word.isupper() and len(word) > _MAX_ACRONYM)
