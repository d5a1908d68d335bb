"""Papers with the further ids that a library finds them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from paperagent.library.identity import further_ids
from paperagent.types import Paper

Names = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]
"""What gives all names of papers, by present id."""


def named(papers: Iterable[Paper], names: Names, *, size: int) -> Iterator[Paper]:
    """Yield the papers with their further ids, which are looked up ``size`` papers at a time."""
    remaining = iter(papers)
    while page := list(islice(remaining, size)):
        known = names([paper.paper_id for paper in page])
        yield from (replace(p, ids=further_ids(p, known.get(p.paper_id, ()))) for p in page)
