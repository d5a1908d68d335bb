"""The fields for preferences, which the pages to subscribe and to change preferences share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from paperagent.digest.preferences import FREQUENCIES, Frequency, Preferences
from paperagent.errors import InputError, visible
from paperagent.text.languages import SUGGESTED, Language, language
from paperagent.types import in_category

T = TypeVar("T")
MAX_NAMED = 10
"""Categories that a message names."""
LINE_FIELDS = ("interests", "questions", "exclude", "authors")
"""The lists that are entered one entry per line."""
FIELDS = ("email", *LINE_FIELDS, "categories", "frequency", "max_items", "language")


@dataclass(slots=True)
class PreferenceForm:
    """A form as it was filled in, with an error message for each wrong field."""

    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FIELDS, ""))
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def filled_in(cls, form: Mapping[str, object]) -> PreferenceForm:
        """Return the form with the submitted values."""
        submitted = {name: form.get(name) for name in FIELDS}
        return cls({name: value if isinstance(value, str) else "" for name, value in submitted.items()})

    @classmethod
    def showing(cls, preferences: Preferences, frequency: Frequency) -> PreferenceForm:
        """Return the form with a subscriber's preferences."""
        return cls(
            {
                "email": "",
                **{name: "\n".join(getattr(preferences, name)) for name in LINE_FIELDS},
                "categories": " ".join(preferences.categories),
                "frequency": frequency,
                "max_items": str(preferences.item_limit),
                "language": preferences.language,
            }
        )

    def check(self, name: str, parse: Callable[[], T]) -> T | None:
        """Return what ``parse`` returns; if it raises InputError, keep the message for a field."""
        try:
            return parse()
        except InputError as error:
            reason = str(error).partition(": ")[2] or str(error)
            self.errors[name] = f"{reason[:1].upper()}{reason[1:]}."
            return None

    def preferences(self, library_categories: Collection[str] | None) -> Preferences:
        """Return the preferences in the form; if a field is wrong, note it in `errors` and return none.

        Args:
            library_categories: The categories that papers have, most frequent first; None to accept any.
        """
        values = self.values
        lists = {name: _lines(values[name]) for name in LINE_FIELDS}
        lists["categories"] = values["categories"].replace(",", " ").split()
        text = values["max_items"].strip()
        # Text that is not a number becomes 0, which fails the check of the range.
        items = (int(text) if text.isdecimal() and len(text) < 4 else 0) if text else None
        for name, entries in lists.items():
            self.check(name, partial(Preferences.validated, **{name: entries}))  # type: ignore[arg-type]
        if library_categories is not None and "categories" not in self.errors:
            self._check_categories(lists["categories"], library_categories)
        self.check("max_items", lambda: Preferences.validated(max_items=items))
        tag = values["language"].strip()
        self.check("language", lambda: Preferences.validated(language=tag))
        if self.errors.keys() & {*lists, "max_items", "language"}:
            return Preferences()
        return Preferences.validated(**lists, max_items=items, language=tag)

    @property
    def languages(self) -> list[Language]:
        """The languages to choose from, by name; among them the one that is chosen."""
        chosen = self.values["language"].strip()
        tags = {*SUGGESTED, *([chosen] if chosen and "language" not in self.errors else [])}
        return sorted(map(language, tags), key=lambda option: option.name)

    def _check_categories(self, chosen: Collection[str], existing: Collection[str]) -> None:
        """Refuse categories without papers, because the digest would stay empty."""
        unknown = [name for name in chosen if not any(in_category(other, name) for other in existing)]
        if not unknown:
            return
        names = ", ".join(list(existing)[:MAX_NAMED])
        advice = f"Choose from {names}" if names else "Leave this empty; the papers here have no categories"
        more = f" and {len(existing) - MAX_NAMED} more" if len(existing) > MAX_NAMED else ""
        without = visible(", ".join(unknown), limit=80)
        self.errors["categories"] = f"No paper here is in {without}. {advice}{more}."

    def frequency(self) -> Frequency:
        """Return how often the digest is wanted; weekly if the field is missing."""
        text = self.values["frequency"] or "weekly"
        chosen = next((frequency for frequency in FREQUENCIES if frequency == text), None)
        if chosen is None:
            self.errors["frequency"] = f"Choose {' or '.join(FREQUENCIES)}."
        return chosen or "weekly"


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
