"""The parameters of a list of papers: the words searched for, the filters, the order and the page."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from urllib.parse import urlencode

from paperagent import arguments
from paperagent.digest.render.formatting import format_day
from paperagent.errors import InputError, visible
from paperagent.types import Filters

Sort = Literal["new", "votes", "relevance"]
SORTS: Mapping[Sort, str] = {"new": "Newest first", "votes": "Most votes", "relevance": "Best match"}
"""Order → its name."""
MAX_QUERY = 500
"""Characters of the words searched for."""
_PAGE = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_TEXTS = ("category", "source", "author")
_MAX_TEXT = 200
_LABELS = {"since": "from", "until": "to", "category": "category", "source": "feed", "author": "author"}


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """The parameters of a list of papers."""

    q: str = ""
    since: dt.date | None = None
    until: dt.date | None = None
    category: str | None = None
    source: str | None = None
    author: str | None = None
    sort: Sort = "new"
    page: int = 1

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> FeedQuery:
        """Return the query of an address. Unknown parameters are ignored.

        Raises:
            InputError: a parameter cannot be used; the message names it.
        """
        values = {name: " ".join(parameters.get(name, "").split()) for name in cls.__slots__}
        q = values["q"]
        if len(q) > MAX_QUERY or not arguments.is_text(q):
            raise InputError(f"q: search for at most {MAX_QUERY} characters of text")
        sort = values["sort"] or ("relevance" if q else "new")
        if sort not in ("new", "votes", "relevance"):
            raise InputError(f"sort: {visible(sort, limit=40)} is not an order; use {', '.join(SORTS)}")
        if sort == "relevance" and not q:
            raise InputError("sort: relevance orders the results of a search; add q, or use new or votes")
        if not _PAGE.fullmatch(values["page"] or "1"):
            raise InputError(f"page: {visible(values['page'], limit=40)} is not the number of a page")
        texts = {name: values[name] or None for name in _TEXTS}
        if name := next((name for name, text in texts.items() if len(text or "") > _MAX_TEXT), None):
            raise InputError(f"{name}: use at most {_MAX_TEXT} characters")
        checked = arguments.filters(
            values["since"] or None,
            values["until"] or None,
            texts["category"],
            texts["source"],
            author=texts["author"],
        )
        return cls(
            q, checked.since, checked.until, **texts, sort=cast("Sort", sort), page=int(values["page"] or 1)
        )

    @property
    def filters(self) -> dict[str, Any]:
        """The filters as arguments of the methods of `PaperAgent`."""
        names = [name for name in Filters.__slots__ if name in self.__slots__]
        return {name: getattr(self, name) for name in names}

    @property
    def is_filtered(self) -> bool:
        """Whether any filter is set."""
        return any(value is not None for value in self.filters.values())

    def address(self, path: str = "/", **changes: Any) -> str:
        """Return the address of this list with ``changes``, on its first page unless they name one."""
        changed = replace(self, **{"page": 1, **changes})
        default_sort = "relevance" if changed.q else "new"
        if changed.sort == "relevance" and not changed.q:
            changed = replace(changed, sort="new")
        values = {
            "q": changed.q,
            **{name: value or "" for name, value in changed.filters.items()},
            "sort": "" if changed.sort == default_sort else changed.sort,
            "page": changed.page if changed.page > 1 else "",
        }
        parameters = urlencode([(name, str(value)) for name, value in values.items() if value])
        return f"{path}?{parameters}" if parameters else path

    def removable(self, path: str = "/") -> list[tuple[str, str]]:
        """Return each filter in words, with the address of the list without it."""
        filters = {name: value for name, value in self.filters.items() if value is not None}
        return [
            (
                f"{_LABELS[name]} {value if isinstance(value, str) else format_day(value)}",
                self.address(path, **{name: None}),
            )
            for name, value in filters.items()
        ]
