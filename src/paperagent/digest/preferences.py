"""What a reader may ask for: checked when it is written down, kept as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from paperagent.digest.issue import Profile
from paperagent.errors import InputError, visible
from paperagent.text.sanitize import strip_controls

Frequency = Literal["weekly", "daily"]
FREQUENCIES: tuple[Frequency, ...] = ("weekly", "daily")
MAX_LISTED = 20
"""Interests, standing questions and categories, each."""
MAX_LENGTH = 300
"""Characters of one."""
MAX_ITEMS, DEFAULT_ITEMS = 30, 12
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z-]{0,30}(\.[A-Za-z-]{1,20})?")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person said when subscribing."""

    interests: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    max_items: int | None = None
    """None: `DEFAULT_ITEMS`."""

    def profile(self) -> Profile:
        """Return the profile of a reader of whom nothing else is known."""
        return Profile(self.interests, self.questions, self.categories, self.max_items or DEFAULT_ITEMS)

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps({**self.to_dict(), "max_items": self.max_items}, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "interests": list(self.interests),
            "questions": list(self.questions),
            "categories": list(self.categories),
            "max_items": self.max_items or DEFAULT_ITEMS,
        }


def from_json(text: str) -> Preferences:
    """Return the wishes that `Preferences.to_json` wrote."""
    found = json.loads(text)
    return Preferences(
        tuple(found["interests"]), tuple(found["questions"]), tuple(found["categories"]), found["max_items"]
    )


def wishes(
    interests: Iterable[str] = (),
    questions: Iterable[str] = (),
    categories: Iterable[str] = (),
    *,
    max_items: int | None = None,
) -> Preferences:
    """Return checked wishes: texts trimmed, those given twice taken once.

    Raises:
        InputError: too many, too long, empty, or not what a category looks like.
    """
    number = DEFAULT_ITEMS if max_items is None else max_items
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_ITEMS:
        raise InputError(f"max-items: must be 1..{MAX_ITEMS}, got {visible(str(max_items), limit=20)}")
    found = Preferences(
        _listed("interest", interests), _listed("ask", questions), _listed("category", categories), max_items
    )
    for category in found.categories:
        if not _CATEGORY.fullmatch(category):
            raise InputError(
                f"category: {visible(category, limit=40)} is none; write one such as cs.CL or cs"
            )
    return found


def merged(old: Preferences, new: Preferences) -> Preferences:
    """Return ``new`` where it says something, else ``old``."""
    return replace(
        new,
        interests=new.interests or old.interests,
        questions=new.questions or old.questions,
        categories=new.categories or old.categories,
        max_items=new.max_items or old.max_items,
    )


def _listed(name: str, given: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for text in given:
        clean = _clean(name, text)
        found.setdefault(clean.casefold(), clean)
    if len(found) > MAX_LISTED:
        raise InputError(f"{name}: {len(found)} given, at most {MAX_LISTED}; leave some out")
    return tuple(found.values())


def _clean(name: str, text: str) -> str:
    """Return the text on one line; what is invisible could hide what it says."""
    kept = " ".join(strip_controls(text).split())
    if not any(c.isalnum() for c in kept):
        raise InputError(f"{name}: is empty; write what the reader is interested in")
    if len(kept) > MAX_LENGTH:
        raise InputError(f"{name}: {len(kept):,} characters, at most {MAX_LENGTH}; make it shorter")
    return kept
