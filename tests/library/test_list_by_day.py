"""Papers by the day on which they appeared, for the web page's feed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_papers_between import MONDAY, SUNDAY, TODAY, paper

from library_helpers import Place
from paperagent.library import Store
from paperagent.types import Filters

LONG_AGO = dt.date(2024, 1, 1)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Yield a library: two papers of Monday, one of Sunday, and one that was only read today."""
    records = [
        paper(1, upvotes=3, categories=("cs.CL",), authors=("Ada Example",)),
        paper(2, published=LONG_AGO, listed=MONDAY, upvotes=9, categories=("cs.RO",)),
        paper(3, published=SUNDAY, listed=SUNDAY, categories=("cs.CL",), sources=("a-feed",)),
        paper(4, published=None),
    ]
    with place.open(create=True) as store:
        store.ingest(records, today=TODAY)
        yield store


def numbers(store: Store, filters: Filters | None = None, **options: object) -> list[int]:
    """Return the numbers of the papers in their order."""
    papers = store.list_by_day(filters or Filters(), **options)  # type: ignore[arg-type]
    return [int(paper.paper_id[5:]) for paper in papers]


def test_the_latest_day_is_first(store: Store) -> None:
    """A feed's day counts before that of publication, and the day of reading last."""
    assert numbers(store) == [4, 3, 1, 2]
    assert list(store.count_by_day().items()) == [(TODAY, 1), (SUNDAY, 1), (MONDAY, 2)]


def test_pages_are_parts_of_the_list(store: Store) -> None:
    assert [numbers(store, limit=2, offset=n) for n in (0, 2, 4)] == [[4, 3], [1, 2], []]


def test_the_most_upvotes_are_first(store: Store) -> None:
    assert numbers(store, sort="upvotes") == [2, 1, 4, 3]
    assert numbers(store, sort="upvotes", limit=1, offset=1) == [1]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(since=MONDAY, until=SUNDAY), [3, 1, 2]),
        (Filters(since=SUNDAY), [4, 3]),
        (Filters(until=MONDAY), [1, 2]),
        (Filters(since=LONG_AGO, until=LONG_AGO), []),
        (Filters(category="cs"), [3, 1, 2]),
        (Filters(category="cs.CL", until=MONDAY), [1]),
        (Filters(source="a-feed"), [3]),
        (Filters(author="A. Example"), [1]),
    ],
)
def test_filters_limit_both(store: Store, filters: Filters, expected: list[int]) -> None:
    """Days of the filters are days of appearance."""
    assert numbers(store, filters) == expected
    assert numbers(store, filters, limit=10) == expected
    assert sum(store.count_by_day(filters).values()) == len(expected)


def test_a_change_is_seen(place: Place) -> None:
    """The days and the state follow what is added, changed and removed."""
    with place.open(create=True) as store, place.open() as other:
        store.ingest([paper(1)], today=TODAY)
        assert numbers(other) == [1]
        states = {other.state()}
        store.ingest([replace(paper(1), listed=SUNDAY), paper(2)], today=TODAY)
        assert list(store.count_by_day().items()) == [(SUNDAY, 1), (MONDAY, 1)]
        store.remove(["2606.00001"])
        assert numbers(store) == [2]
        if not hasattr(other, "collections"):  # on a server, a change is noticed after ten seconds
            assert numbers(other) == [2]
            assert other.state() not in states
