"""The preferences of subscribers: validated on input, stored as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from paperagent.errors import InputError, visible
from paperagent.text import languages
from paperagent.text.author_names import name_words
from paperagent.text.languages import Language
from paperagent.text.sanitize import strip_controls
from paperagent.text.terms import index_terms

Frequency = Literal["weekly", "daily", "monthly"]
FREQUENCIES: tuple[Frequency, ...] = ("weekly", "daily", "monthly")
MAX_ENTRIES = 20
"""Maximum number of entries per list."""
MAX_EXAMPLES, MAX_EXAMPLE_ABSTRACT = 300, 1_200
"""Maximum number of papers named as interests, and characters that are stored of an abstract."""
MAX_LENGTH = 300
"""Maximum characters per entry."""
MAX_ITEMS, DEFAULT_ITEMS = 30, 12
LISTS = ("interests", "questions", "categories", "exclude", "authors")
"""The fields of `Preferences` that are lists of texts."""
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z-]{0,30}(\.[A-Za-z-]{1,20})?")


@dataclass(frozen=True, slots=True)
class Example:
    """A paper that a subscriber named as an interest: papers like it are selected."""

    paper_id: str
    title: str
    abstract: str = ""
    """Its beginning, if the library does not have the paper."""

    def to_dict(self) -> dict[str, str]:
        """Return JSON-ready values."""
        return {"paper_id": self.paper_id, "title": self.title}


@dataclass(frozen=True, slots=True)
class Preferences:
    """The interests and feedback of one subscriber; empty for the general issue.

    The feedback fields (`liked`, `disliked`, `seen`) come from the digest's other tables; the others are
    stored with the subscriber.
    """

    interests: tuple[str, ...] = ()
    """Topics in the subscriber's words."""
    questions: tuple[str, ...] = ()
    """Standing questions, answered from the papers of each period."""
    categories: tuple[str, ...] = ()
    """Only papers of these categories (``cs`` includes ``cs.CL``); all papers if empty."""
    max_items: int | None = None
    """Papers per issue, 1 to 30; None for `DEFAULT_ITEMS`."""
    exclude: tuple[str, ...] = ()
    """Categories and phrases. A paper is left out if its primary category is one of these, or if its title or
    abstract mentions one."""
    authors: tuple[str, ...] = ()
    """Authors whose papers are always selected, unless they are excluded."""
    language: str = ""
    """The BCP 47 tag of the language into which sentences are translated; empty or ``en`` for none."""
    examples: tuple[Example, ...] = ()
    """Papers like these are selected."""
    liked: tuple[str, ...] = ()
    """Ids of papers that the subscriber wants more of, latest first."""
    disliked: tuple[str, ...] = ()
    """Ids of papers that the subscriber wants less of."""
    seen: frozenset[str] = frozenset()
    """Ids of papers in earlier issues for this subscriber."""

    @classmethod
    def validated(
        cls,
        interests: Iterable[str] = (),
        questions: Iterable[str] = (),
        categories: Iterable[str] = (),
        *,
        max_items: int | None = None,
        exclude: Iterable[str] = (),
        authors: Iterable[str] = (),
        language: str | None = None,
    ) -> Self:
        """Return preferences with clean entries and without repeated ones.

        Raises:
            InputError: too many entries, or one that is too long, empty, not a category, not a full name, or
                not a language.
        """
        number = DEFAULT_ITEMS if max_items is None else max_items
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_ITEMS:
            raise InputError(f"max-items: must be 1..{MAX_ITEMS}, got {visible(str(max_items), limit=20)}")
        preferences = cls(
            _clean_entries("interest", interests),
            _clean_entries("ask", questions),
            _clean_entries("category", categories),
            max_items,
            _clean_entries("not", exclude),
            _clean_entries("author", authors),
            languages.language(language).tag if language else "",
        )
        for category in preferences.categories:
            if not _CATEGORY.fullmatch(category):
                raise InputError(
                    f"category: {visible(category, limit=40)} is not a category; use one such as cs.CL or cs"
                )
        for phrase in preferences.exclude:
            if not index_terms(phrase):
                raise InputError(f"not: {visible(phrase, limit=40)} has no word to look for; name a topic")
        for author in preferences.authors:
            if len(name_words(author)) < 2:
                raise InputError(
                    f"author: {visible(author, limit=40)} is one word, which many names share; "
                    "add the first name or its initial"
                )
        return preferences

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the output of `to_json`."""
        values = json.loads(text)
        # Older files lack the newer lists.
        lists: dict[str, Any] = {name: tuple(values.get(name, ())) for name in LISTS}
        return cls(
            **lists,
            max_items=values["max_items"],
            language=values.get("language", ""),
            examples=tuple(Example(*fields) for fields in values.get("examples", ())),
        )

    @property
    def translation(self) -> Language | None:
        """The language into which sentences are translated; None for English only."""
        language = languages.language(self.language) if self.language else None
        return None if language is None or language.is_english else language

    @property
    def item_limit(self) -> int:
        """Maximum number of papers in an issue."""
        return self.max_items or DEFAULT_ITEMS

    def with_examples(self, examples: Iterable[Example]) -> Preferences:
        """Return these preferences with other examples, without repeated ones.

        Raises:
            InputError: too many examples.
        """
        return replace(self, examples=_distinct_examples(examples))

    def updated_with(self, other: Preferences, *, replace_lists: bool = False) -> Preferences:
        """Return these preferences with those of ``other``.

        Args:
            other: The new entries and number of papers.
            replace_lists: Whether each list that ``other`` has replaces the present one, instead of being
                added to it.

        Raises:
            InputError: a list gets too long.
        """
        lists: dict[str, Any] = {}
        for name in LISTS:
            old, new = getattr(self, name), getattr(other, name)
            lists[name] = (new or old) if replace_lists else _distinct(name, (*old, *new))
        examples = (*self.examples, *other.examples)
        if replace_lists:
            examples = other.examples or self.examples
        return replace(
            self,
            **lists,
            examples=_distinct_examples(examples),
            max_items=other.max_items or self.max_items,
            language=other.language or self.language,
        )

    def without(self, texts: Iterable[str]) -> Preferences:
        """Return these preferences without entries, whatever list they are in.

        Args:
            texts: The entries, in any case.

        Raises:
            InputError: there is no such entry.
        """
        result = self
        for text in texts:
            lists: dict[str, Any] = {name: _without(getattr(result, name), text) for name in LISTS}
            lists["examples"] = tuple(
                e for e in result.examples if len(_without((e.paper_id, e.title), text)) == 2
            )
            if all(lists[name] == getattr(result, name) for name in lists):
                raise InputError(
                    f"without: there is no entry {visible(text, limit=80)}; 'subscribers show' lists them"
                )
            result = replace(result, **lists)
        return result

    def to_json(self) -> str:
        """Return the stored form, without feedback."""
        examples = [(e.paper_id, e.title, e.abstract) for e in self.examples]
        stored = {**self.to_dict(), "max_items": self.max_items, "examples": examples}
        return json.dumps(stored, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, without feedback."""
        lists = {name: list(getattr(self, name)) for name in LISTS}
        return {
            **lists,
            "examples": [example.to_dict() for example in self.examples],
            "max_items": self.item_limit,
            "language": self.language,
        }


def _without(entries: tuple[str, ...], text: str) -> tuple[str, ...]:
    return tuple(e for e in entries if e.casefold() != " ".join(text.split()).casefold())


def _distinct_examples(examples: Iterable[Example]) -> tuple[Example, ...]:
    distinct = {example.paper_id: example for example in examples}
    if len(distinct) > MAX_EXAMPLES:
        raise InputError(f"like: {len(distinct)} papers, at most {MAX_EXAMPLES}; leave some out")
    return tuple(replace(e, abstract=e.abstract[:MAX_EXAMPLE_ABSTRACT]) for e in distinct.values())


def _clean_entries(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    return _distinct(name, (_clean_entry(name, text) for text in texts))


def _distinct(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts without those that differ from an earlier one in case only."""
    entries: dict[str, str] = {}
    for entry in texts:
        entries.setdefault(entry.casefold(), entry)
    if len(entries) > MAX_ENTRIES:
        raise InputError(f"{name}: {len(entries)} given, at most {MAX_ENTRIES}; leave some out")
    return tuple(entries.values())


def _clean_entry(name: str, text: str) -> str:
    """Return ``text`` on one line, without invisible characters that could disguise it."""
    entry = " ".join(strip_controls(text).split())
    if not any(c.isalnum() for c in entry):
        raise InputError(f"{name}: is empty; write what the subscriber is interested in")
    if len(entry) > MAX_LENGTH:
        raise InputError(f"{name}: {len(entry):,} characters, at most {MAX_LENGTH}; make it shorter")
    return entry
