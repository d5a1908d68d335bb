"""What a library contains, counted: its papers, their span of dates, their feeds and their categories."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paperagent.types import Paper

Group = tuple[tuple[str, ...], tuple[str, ...], dt.date | None, dt.date | None, int, int]
"""Categories, sources, first day, last day, number of papers, and how many of them have a day."""


@dataclass(frozen=True, slots=True)
class Facets:
    """The papers of a library, counted."""

    papers: int = 0
    first_day: dt.date | None = None
    """The earliest day of publication or, for a paper without one, of its listing in a feed.

    The day on which the library read a paper does not count.
    """
    last_day: dt.date | None = None
    undated: int = 0
    """The number of papers without such a day."""
    sources: Mapping[str, int] = field(default_factory=dict)
    """Feed → number of its papers, most first."""
    categories: Mapping[str, int] = field(default_factory=dict)
    """Category → number of its papers, most first."""

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        return {
            "papers": self.papers,
            "span": {
                "first": self.first_day.isoformat() if self.first_day else None,
                "last": self.last_day.isoformat() if self.last_day else None,
                "undated": self.undated,
            },
            "sources": dict(self.sources),
            "categories": dict(self.categories),
        }


def count_groups(groups: Iterable[Group]) -> Facets:
    """Return the counts of papers that are grouped by their categories and sources."""
    papers = dated = 0
    sources, categories = Counter[str](), Counter[str]()
    days: list[dt.date] = []
    for group_categories, group_sources, first, last, count, with_day in groups:
        papers, dated = papers + count, dated + with_day
        days += [day for day in (first, last) if day is not None]
        sources.update(dict.fromkeys(group_sources, count))
        categories.update(dict.fromkeys(group_categories, count))
    return Facets(
        papers=papers,
        first_day=min(days, default=None),
        last_day=max(days, default=None),
        undated=papers - dated,
        sources=_most_first(sources),
        categories=_most_first(categories),
    )


def count_papers(papers: Iterable[Paper]) -> Facets:
    """Return the counts of papers."""
    days = ((paper, paper.published or paper.listed) for paper in papers)
    return count_groups((p.categories, p.sources, day, day, 1, int(day is not None)) for p, day in days)


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
