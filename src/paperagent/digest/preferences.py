"""The preferences of subscribers: validated on input, stored as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from paperagent.errors import InputError, visible
from paperagent.text.sanitize import strip_controls

Frequency = Literal["weekly", "daily"]
FREQUENCIES: tuple[Frequency, ...] = ("weekly", "daily")
MAX_ENTRIES = 20
"""Maximum number of interests, of standing questions, and of categories."""
MAX_LENGTH = 300
"""Maximum characters per entry."""
MAX_ITEMS, DEFAULT_ITEMS = 30, 12
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z-]{0,30}(\.[A-Za-z-]{1,20})?")


@dataclass(frozen=True, slots=True)
class Preferences:
    """The interests and feedback of one subscriber; empty for the general issue.

    Only `interests`, `questions`, `categories` and `max_items` are stored with the subscriber; the
    feedback fields come from the digest's other tables.
    """

    interests: tuple[str, ...] = ()
    """Topics in the subscriber's words."""
    questions: tuple[str, ...] = ()
    """Standing questions, answered from the papers of each issue."""
    categories: tuple[str, ...] = ()
    """Only papers of these categories (``cs`` includes ``cs.CL``); all papers if empty."""
    max_items: int | None = None
    """Papers per issue, 1 to 30; None for `DEFAULT_ITEMS`."""
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
    ) -> Self:
        """Return preferences with clean entries and without repeated ones.

        Raises:
            InputError: too many entries, or one that is too long, empty, or not a category.
        """
        number = DEFAULT_ITEMS if max_items is None else max_items
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_ITEMS:
            raise InputError(f"max-items: must be 1..{MAX_ITEMS}, got {visible(str(max_items), limit=20)}")
        preferences = cls(
            _clean_entries("interest", interests),
            _clean_entries("ask", questions),
            _clean_entries("category", categories),
            max_items,
        )
        for category in preferences.categories:
            if not _CATEGORY.fullmatch(category):
                raise InputError(
                    f"category: {visible(category, limit=40)} is not a category; use one such as cs.CL or cs"
                )
        return preferences

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the output of `to_json`."""
        values = json.loads(text)
        return cls(
            tuple(values["interests"]),
            tuple(values["questions"]),
            tuple(values["categories"]),
            values["max_items"],
        )

    @property
    def item_limit(self) -> int:
        """Maximum number of papers in an issue."""
        return self.max_items or DEFAULT_ITEMS

    def updated_with(self, other: Preferences) -> Preferences:
        """Return these preferences with the values that ``other`` sets."""
        return replace(
            self,
            interests=other.interests or self.interests,
            questions=other.questions or self.questions,
            categories=other.categories or self.categories,
            max_items=other.max_items or self.max_items,
        )

    def to_json(self) -> str:
        """Return the stored form, without feedback."""
        return json.dumps({**self.to_dict(), "max_items": self.max_items}, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, without feedback."""
        return {
            "interests": list(self.interests),
            "questions": list(self.questions),
            "categories": list(self.categories),
            "max_items": self.item_limit,
        }


def _clean_entries(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    entries: dict[str, str] = {}
    for text in texts:
        entry = _clean_entry(name, text)
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
