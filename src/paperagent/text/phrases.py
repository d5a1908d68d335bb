"""Find mentions of a phrase in text, by whole words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from paperagent.text.terms import MAX_WORD_LENGTH, index_terms, words

_BETWEEN_WORDS = r"[\s\-\u2010-\u2015]+"
_MAX_ACRONYM = 6
"""The maximum length of an acronym; a longer word in capitals is a word in upper case."""
_VARIANT = "[A-Za-z]?s?"
"""The end of a longer form of a name."""
_IRREGULAR = dict(
    pair.split("/")
    for pair in """corpus/corpora index/indices matrix/matrices vertex/vertices appendix/appendices datum/data
    criterion/criteria phenomenon/phenomena automaton/automata lens/lenses child/children""".split()
)
_NO_PLURALS = frozenset("news bias lens series species always thus".split())
_ICS = frozenset("topic metric heuristic statistic characteristic critic clinic basic".split())
"""Words in "-ic" with a plural; in other pairs, such as "semantic" and "semantics", the meaning differs."""


def singular_and_plural(word: str) -> tuple[str, ...]:
    """Return a lower-case word and the forms that may be its singular or its plural."""
    forms = [word, *(f for pair in _IRREGULAR.items() if word in pair for f in pair)]
    if len(word) > 1 and word.isalpha() and len(forms) == 1:
        forms += [*_plurals(word), *(s for s in _singulars(word) if word in _plurals(s))]
    return tuple(dict.fromkeys(forms))


def _plurals(word: str) -> list[str]:
    if f"{word}s" in _NO_PLURALS or (word.endswith("ic") and word not in _ICS):
        return []
    if re.search(r"[ye]sis$", word):
        return [f"{word[:-2]}es"]
    if re.search(r"[^aeiou]y$", word):
        return [f"{word[:-1]}ies"]
    if re.search(r"(?:[aius]s|x|z|sh)$", word):
        return [f"{word}es"]
    if word.endswith("s"):
        return []
    return [f"{word}s", f"{word}es"] if re.search(r"(?:o|ch)$", word) else [f"{word}s"]


def _singulars(word: str) -> list[str]:
    endings = (("s", ""), ("es", ""), ("es", "is"), ("ies", "y"))
    return [word.removesuffix(plural) + singular for plural, singular in endings if word.endswith(plural)]


@dataclass(frozen=True)
class Phrase:
    """A phrase to search for.

    Case matters only in words with two or more capitals, such as ``RAG`` and ``LoRA``. A space and a hyphen
    between words are equal. The last word may have another form: its singular or plural or, for a name, one
    more letter, as in ``GPT-4o``.
    """

    text: str

    def is_in(self, *texts: str) -> bool:
        """Return whether any of the texts contains the phrase or another form of it."""
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

    @cached_property
    def last_forms(self) -> tuple[str, ...]:
        """The last word, and its singular or plural; empty without words."""
        if not self._words:
            return ()
        last = self._words[-1]
        if _is_acronym(last):
            singular = re.sub(r"(?<=[A-Z])s$", "", last)
            return tuple(dict.fromkeys((last, singular, f"{singular}s")))
        return (last, *(f for f in singular_and_plural(last.lower()) if f != last.lower()))

    @cached_property
    def terms(self) -> list[list[str]]:
        """The index terms of each word; a text with the phrase has one of each list."""
        terms = [[term] for term in index_terms(self.text)]
        last = [index_terms(form) for form in self.last_forms]
        if terms and last[0]:
            terms[-1:] = [list(dict.fromkeys(form[-1] for form in last))] if all(last) else []
        return terms

    @property
    def like(self) -> str:
        """A pattern for SQL's LIKE that every text with the phrase matches; the escape character is ``!``."""
        if not self.text.isascii():
            return "%"
        parts = (re.sub(r"([%_!])", r"!\1", word).replace("'", "_") for word in self._beginnings)
        return "%".join(["", *parts, ""])

    @cached_property
    def _beginnings(self) -> list[str]:
        """The words in lower case, the last one as far as all its forms agree."""
        forms = sorted(form.lower() for form in self.last_forms) or [""]
        pairs = enumerate(zip(forms[0], forms[-1], strict=False))
        length = next((i for i, (a, b) in pairs if a != b), len(forms[0]))
        return [*(word.lower() for word in self._words[:-1]), forms[0][:length]]

    def _find(self, text: str) -> re.Match[str] | None:
        """Return the first match. Finding the first word without a regular expression is much faster."""
        lower, first = text.lower(), self._beginnings[0]
        if len(lower) != len(text) or "'" in first or "’" in first:
            return self._any_form.search(text)
        at = lower.find(first)
        while at >= 0:
            if match := self._any_form.match(text, at):
                return match
            at = lower.find(first, at + 1)
        return None

    @cached_property
    def _exact(self) -> re.Pattern[str]:
        return self._pattern(self._words[-1:], "")

    @cached_property
    def _any_form(self) -> re.Pattern[str]:
        return self._pattern(self.last_forms, _VARIANT if self.ends_in_name else "")

    def _pattern(self, last_forms: Sequence[str], suffix: str) -> re.Pattern[str]:
        last = "|".join(_word_pattern(form) for form in sorted(last_forms, key=len, reverse=True))
        pattern = _BETWEEN_WORDS.join([*map(_word_pattern, self._words[:-1]), f"(?:{last})"])
        return re.compile(rf"(?<![^\W_]){pattern}{suffix}(?![^\W_])(?!\.\d)")


class PhraseInAnyCase(Phrase):
    """A phrase whose case never matters, and whose last word may only be in the singular or plural."""

    @property
    def ends_in_name(self) -> bool:
        """False: no word has further letters."""
        return False

    @cached_property
    def _words(self) -> list[str]:
        return [word for word in re.split(_BETWEEN_WORDS, self.text.lower()) if word]


def term_variants(phrase: Phrase, similar: list[str]) -> list[str]:
    """Return the terms among ``similar`` that are longer forms of the phrase's last word."""
    last = min((words(form) or [""])[-1] for form in phrase.last_forms)
    if len(last) > MAX_WORD_LENGTH:
        return []
    return [term for term in similar if re.fullmatch(re.escape(last) + _VARIANT, term, re.IGNORECASE)]


def _word_pattern(word: str) -> str:
    escaped = re.sub(r"['’]", "['’]", re.escape(word))
    return escaped if _is_acronym(word) else f"(?i:{escaped})"


def _is_acronym(word: str) -> bool:
    return sum(char.isupper() for char in word) > 1 and not (word.isupper() and len(word) > _MAX_ACRONYM)
