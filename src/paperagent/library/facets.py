"""Summary of a library: the range of dates, and the number of papers per feed and category."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from paperagent.types import IngestReport, Paper

if TYPE_CHECKING:
    from paperagent.library.protocol import Store

Group = tuple[tuple[str, ...], tuple[str, ...], dt.date | None, dt.date | None, int, int]
"""Categories, sources, first day, last day, number of papers, and how many of them have a day."""

STORED_FACETS = "facets"
"""The setting of a local library that stores its facets and their revision."""
LAST_INGEST = "last-ingest"
"""The setting of the library that stores a summary of the last ingest."""
_MAX_FEEDS = 20
"""The maximum number of feeds stored by name."""


@dataclass(frozen=True, slots=True)
class Facets:
    """The range of dates in a library, and the number of papers per feed and category."""

    papers: int = 0
    first_day: dt.date | None = None
    """The earliest day of publication or, for papers without one, of listing in a feed.

    The day on which a paper was read does not count.
    """
    last_day: dt.date | None = None
    undated: int = 0
    """The number of papers without such a day."""
    sources: Mapping[str, int] = field(default_factory=dict)
    """Feed → number of its papers, most first."""
    categories: Mapping[str, int] = field(default_factory=dict)
    """Category → number of its papers, most first."""

    def to_dict(self) -> dict[str, Any]:
        """Return the facets as JSON-ready values."""
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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the facets for a result of `to_dict`."""
        span = data["span"]
        first, last = (dt.date.fromisoformat(d) if d else None for d in (span["first"], span["last"]))
        return cls(data["papers"], first, last, span["undated"], data["sources"], data["categories"])


def count_groups(groups: Iterable[Group]) -> Facets:
    """Return the facets of papers grouped by categories and sources."""
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
    """Return the facets of papers."""
    days = ((paper, paper.published or paper.listed) for paper in papers)
    return count_groups((p.categories, p.sources, day, day, 1, int(day is not None)) for p, day in days)


def ingest_summary(report: IngestReport, *, time: dt.datetime) -> dict[str, Any]:
    """Return the time, the feeds and the counts of an ingest, as JSON-ready values."""
    feeds = [feed for feed in report.feeds if not feed.ignored]
    return {
        "time": time.isoformat(timespec="seconds"),
        "feeds": [feed.source for feed in feeds[:_MAX_FEEDS]],
        "feed_count": len(feeds),
        "failed": sum(feed.error is not None for feed in feeds),
        "read": report.read,
        "new": report.new,
        "changed": report.changed,
    }


def status_details(store: Store, *, on_server: bool) -> dict[str, Any]:
    """Return what `Store.status` lacks: facets, size on disk and last ingest.

    There are no facets of a library on a server, because all of its papers would have to be fetched.
    """
    details: dict[str, Any] = {"span": None, "sources": None, "categories": None, "disk_bytes": None}
    if not on_server:
        details |= {k: v for k, v in store.facets().to_dict().items() if k != "papers"}
        details["disk_bytes"] = _size(store.home)
    last = store.get_setting(LAST_INGEST)
    return {**details, "last_ingest": last if isinstance(last, dict) else None}


def _size(folder: Path) -> int:
    """Return the size of a folder's files in bytes, ignoring files that are removed meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        try:
            size += 0 if path.is_symlink() or path.is_dir() else path.stat().st_size
        except OSError:
            continue
    return size


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
