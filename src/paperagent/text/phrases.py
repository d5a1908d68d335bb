"""Find a phrase in text as words, as a reader counts mentions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from paperagent.text.terms import words

_BETWEEN_WORDS = r"[\s\-\u2010-\u2015]+"
_MAX_ACRONYM = 6
"""Longer words in capitals are only typed that way."""
_PLURAL, _VARIANT = "(?:e?s)?", "[A-Za-z]?s?"


@dataclass(frozen=True)
class Phrase:
    """A phrase to look for.

    Case counts in words with two capitals or more, such as ``RAG`` and ``LoRA``, and in no others. A space
    and a hyphen between words are the same. The last word may have a longer form: a plural, and for a name
    one more letter, as in ``GPT-4o``.
    """

    text: str

    def is_in(self, *texts: str) -> bool:
        """Return whether any of the texts contains the phrase, its last word possibly in a longer form."""
        return any(self._find(text) is not None for text in texts)

    def is_whole_in(self, *texts: str) -> bool:
        """Return whether any of the texts contains exactly the phrase."""
        return any(self._exact.search(text) for text in texts)

    def form_in(self, *texts: str) -> str:
        """Return the first form of the phrase in the texts; empty if there is none."""
        return next((match[0] for text in texts if (match := self._find(text))), "")

    @property
    def ends_in_name(self) -> bool:
        """Whether the last word is a name, which may have one more letter."""
        last = self._words[-1] if self._words else ""
        return _is_acronym(last) or bool(re.search(r"\d", last))

    @cached_property
    def _words(self) -> list[str]:
        return [word for word in re.split(_BETWEEN_WORDS, self.text) if word]

    @property
    def like(self) -> str:
        """A pattern for SQL's LIKE, with the escape character ``!``, that every such text matches."""
        if not self.text.isascii():
            return "%"
        return "%".join(
            ["", *(re.sub(r"([%_!])", r"!\1", word.replace("'", "%")) for word in self._words), ""]
        )

    def _find(self, text: str) -> re.Match[str] | None:
        """Return the first match; the first word is searched for without a pattern, which is much faster."""
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


def term_variants(phrase: Phrase, similar: list[str]) -> list[str]:
    """Return the terms among ``similar`` that are longer forms of the phrase's last word."""
    last = (words(phrase.text) or [""])[-1]
    return [term for term in similar if re.fullmatch(re.escape(last) + _VARIANT, term, re.IGNORECASE)]


def _word_pattern(word: str) -> str:
    escaped = re.sub(r"['’]", "['’]", re.escape(word))
    return escaped if _is_acronym(word) else f"(?i:{escaped})"


def _is_acronym(word: str) -> bool:
    return sum(char.isupper() for char in word) > 1 and not (word.isupper() and len(word) > _MAX_ACRONYM)
