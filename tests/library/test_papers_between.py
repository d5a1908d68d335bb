"""What a period brought, as the store tells it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fake_encoder import FakeEncoder
from library_helpers import Place
from paperagent.library import Store
from paperagent.types import Paper

MONDAY, SUNDAY = dt.date(2026, 6, 22), dt.date(2026, 6, 28)
TODAY = dt.date(2026, 7, 1)


def paper(number: int, **changed: object) -> Paper:
    """Return a paper of the week's Monday."""
    made = Paper(
        f"2606.{number:05}", f"Title number {number}", f"Abstract number {number}.",
        published=MONDAY, arxiv_id=f"2606.{number:05}",
    )  # fmt: skip
    return replace(made, **changed)  # type: ignore[arg-type]  # fields of Paper


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Give an empty library, in a folder and on a server."""
    with place.open(create=True) as made:
        yield made


def came(store: Store) -> dict[str, bool]:
    """Return the ids that the week gives, and whether each is new."""
    return {a.paper_id: a.new for a in store.papers_between(MONDAY, SUNDAY)}


def test_both_ends_belong_to_the_period(store: Store) -> None:
    """The day before and the day after do not."""
    days = [MONDAY - dt.timedelta(days=1), MONDAY, SUNDAY, SUNDAY + dt.timedelta(days=1)]
    store.ingest([paper(n, published=day) for n, day in enumerate(days)], today=TODAY)
    assert came(store) == {"2606.00001": True, "2606.00002": True}


def test_the_day_of_the_feed_counts(store: Store) -> None:
    """A feed may list what was published long before; without any day the first reading counts."""
    long_ago = dt.date(2025, 1, 1)
    records = [
        paper(1, published=long_ago, listed=MONDAY),
        paper(2, published=MONDAY, listed=SUNDAY + dt.timedelta(days=1)),
        paper(3, published=None),
    ]
    store.ingest(records, today=SUNDAY)
    assert came(store) == {"2606.00001": True, "2606.00003": True}


def test_what_is_read_days_after_its_day_came_too(store: Store) -> None:
    """The issue of its day may have been sent; what is read ten days and more after it is no news."""
    days = [MONDAY - dt.timedelta(days=n) for n in (1, 10, 11)]
    store.ingest([paper(n, published=day) for n, day in enumerate(days)], today=MONDAY)
    assert came(store) == {"2606.00000": True, "2606.00001": True}


def test_the_calendars_first_and_last_days_are_days(store: Store) -> None:
    """Nothing is read before the first one; a period over all of them holds every paper."""
    store.ingest([paper(1)], today=TODAY)
    assert store.papers_between(dt.date.min, dt.date.min) == []
    assert len(store.papers_between(dt.date.min, dt.date.max)) == 1


def test_a_paper_changed_in_the_period_is_told_from_a_new_one(store: Store) -> None:
    """By the day of the version held."""
    store.ingest([paper(1, published=dt.date(2026, 5, 1), updated=SUNDAY, version=2)], today=TODAY)
    assert came(store) == {"2606.00001": False}


def test_former_names_come_along(store: Store) -> None:
    """The id of a paper before it was known by its arXiv id, and its DOI."""
    first = paper(1, paper_id="sha256:" + "0" * 32, arxiv_id=None)
    store.ingest([first], today=TODAY)
    store.ingest([paper(1, title=first.title, doi="10.1/x")], today=TODAY)
    (found,) = store.papers_between(MONDAY, SUNDAY)
    assert found.names == ("2606.00001", "doi:10.1/x", "sha256:" + "0" * 32, "title-00000000")
    assert list(store.get_with_features([first.paper_id, "gone"])) == [first.paper_id]
    assert store.get_with_features([first.paper_id])[first.paper_id].paper == found.paper


def test_vectors_are_those_of_the_text_held(store: Store) -> None:
    """None before the embedding, and none once the text has changed."""
    store.ingest([paper(1)], today=TODAY)
    assert store.papers_between(MONDAY, SUNDAY)[0].vector is None
    store.embed_pending(FakeEncoder())
    vector = store.papers_between(MONDAY, SUNDAY)[0].vector
    assert vector is not None
    assert vector @ vector == pytest.approx(1, abs=0.01)
    store.ingest([paper(1, abstract="Another text.", version=2)], today=TODAY)
    assert store.papers_between(MONDAY, SUNDAY)[0].vector is None


def test_papers_come_by_id_with_their_terms(store: Store) -> None:
    """The same as search gets, many at a time."""
    store.ingest([paper(n) for n in range(1200, 0, -1)], today=TODAY)
    found = store.papers_between(MONDAY, SUNDAY)
    assert [a.paper_id for a in found] == sorted(a.paper_id for a in found)
    assert len(found) == 1200
    searched = {
        c.paper_id: c.terms.tolist() for c in store.candidates(stems=["number"], vector=None, limit=5)
    }
    assert {a.paper_id: a.terms.tolist() for a in found if a.paper_id in searched} == searched
