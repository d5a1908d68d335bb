"""Hugging Face's Daily Papers as JSON, as ``/api/daily_papers`` gives it.

Fields stand in ``item["paper"]`` or, in older and in single-paper answers, in the item itself.
"""

from __future__ import annotations

from typing import Any

from paperagent.feeds import dates, ids
from paperagent.feeds.record import (
    JsonObject,
    clean_abstract,
    clean_count,
    clean_names,
    clean_title,
    flags,
    require_arxiv_id,
    says_withdrawn,
)
from paperagent.types import Paper

NAME = "hf-daily"


def convert(item: JsonObject) -> Paper:
    """Return the paper of one item. ``submittedOnDailyAt``, not ``publishedAt``, is the day it was listed."""
    noticed: set[str] = set()
    fields = _Fields(item)
    found = require_arxiv_id(fields["id"])
    title = clean_title(fields["title"], noticed)
    abstract = clean_abstract(fields["summary"], noticed)
    return Paper(
        paper_id=found.id,
        title=title,
        abstract=abstract,
        authors=clean_names(_authors(fields["authors"]), noticed),
        published=dates.parse_day(fields["publishedAt"], noticed),
        listed=dates.parse_day(fields["submittedOnDailyAt"], noticed),
        url=ids.arxiv_url(found.id),
        arxiv_id=found.id,
        version=found.version,
        sources=(NAME,),
        upvotes=clean_count(fields["upvotes"]),
        withdrawn=says_withdrawn(abstract),
        flags=flags(noticed),
    )


class _Fields:
    """The inner record first, then the item around it."""

    def __init__(self, item: JsonObject) -> None:
        inner = item.get("paper")
        self._layers = [inner, item] if isinstance(inner, dict) else [item]

    def __getitem__(self, key: str) -> Any:
        return next((layer[key] for layer in self._layers if layer.get(key) not in (None, "")), None)


def _authors(values: Any) -> list[Any]:
    if not isinstance(values, list):
        return []
    return [v.get("name") if isinstance(v, dict) else v for v in values]
