"""The limits of a question about the library: the filters of the request and those in the question."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import Any

from paperagent.text.author_names import name_words
from paperagent.types import Filters, Paper, in_category

_ONE_PAPER = re.compile(
    r"\b(?:newest|latest|most recent|oldest|earliest)(?: [\w.+/-]+){0,4}?"
    r" (?:paper|article|preprint|publication|abstract|one)\b(?! (?:titles?|names?)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Which papers count: those that two filters admit."""

    filters: Filters = Filters()  # noqa: RUF009 - frozen
    also: Filters = Filters()  # noqa: RUF009 - frozen
    """Conditions that `Filters` cannot combine: a second category, feed or author, or a second, disjoint
    period."""

    def __bool__(self) -> bool:
        """Return whether any limit is set."""
        return bool(self.filters or self.also)

    def __str__(self) -> str:
        """Return the limits in words, such as "in cs.CL, since 2026-05-01"; empty without limits."""
        return ", ".join(filter(None, (_describe(self.filters), _describe(self.also))))

    def admits(self, paper: Paper) -> bool:
        """Return whether ``paper`` is within all limits."""
        return self.filters.admits(paper) and self.also.admits(paper)

    def within(self, further: Filters) -> Limits:
        """Return these limits and further ones."""
        mine, also = self.filters, self.also
        since = max(filter(None, (mine.since, further.since)), default=None)
        until = min(filter(None, (mine.until, further.until)), default=None)
        if since and until and since > until:
            also = replace(also, since=further.since, until=further.until)
        else:
            mine = replace(mine, since=since, until=until)
        for name in ("category", "source", "author"):
            old, new = getattr(mine, name), getattr(further, name)
            narrower = _narrower(name, old, new)
            changes: dict[str, Any] = {name: new if narrower is None else narrower or None}
            if narrower is None:
                also = replace(also, **changes)
            else:
                mine = replace(mine, **changes)
        exclude = tuple(dict.fromkeys((*mine.exclude, *further.exclude)))
        return Limits(replace(mine, exclude=exclude), also)

    def list_hint(self) -> str:
        """Return the command that lists all papers; empty if its options cannot express the limits."""
        return "" if self._has_no_command else f"'{_command('list', self.filters)}' lists them"

    def search_hint(self, topic: str) -> str:
        """Return the command that ranks the papers on a topic, or an empty text as `list_hint`."""
        command = _command("search", self.filters, topic)
        return "" if self._has_no_command else f"'{command}' ranks the papers by relevance"

    @property
    def _has_no_command(self) -> bool:
        return bool(self.also or self.filters.ids)


def asks_for_one(question: str) -> bool:
    """Return whether a question asks for one paper, such as "the newest paper on parsing"."""
    return _ONE_PAPER.search(question) is not None


def _narrower(name: str, old: str | None, new: str | None) -> str | None:
    """Return the value that implies the other one, or None if neither does."""
    if not old or not new or old == new:
        return old or new or ""
    if name == "category":
        return new if in_category(new, old) else old if in_category(old, new) else None
    if name == "author":
        words, others = set(name_words(old)), set(name_words(new))
        return new if words <= others else old if others <= words else None
    return None


def _describe(filters: Filters) -> str:
    period = ""
    if filters.since and filters.until:
        one_day = filters.since == filters.until
        period = f"of {filters.since}" if one_day else f"from {filters.since} to {filters.until}"
    elif filters.since or filters.until:
        period = f"since {filters.since}" if filters.since else f"until {filters.until}"
    parts = [
        f"in {filters.category}" if filters.category else "",
        f"by {filters.author}" if filters.author else "",
        f"from the feed {filters.source}" if filters.source else "",
        period,
        f"without {' or '.join(f'“{words}”' for words in filters.exclude)}" if filters.exclude else "",
        "among the chosen ones" if filters.ids else "",
    ]
    return ", ".join(part for part in parts if part)


def _command(name: str, filters: Filters, *arguments: str) -> str:
    values = {"author": filters.author, "since": filters.since, "until": filters.until}
    values |= {"category": filters.category, "source": filters.source}
    options = [word for option, value in values.items() if value for word in (f"--{option}", str(value))]
    options += [word for words in filters.exclude for word in ("--not", words)]
    return shlex.join(["paperagent", name, *arguments, *options]).replace("'", '"')
