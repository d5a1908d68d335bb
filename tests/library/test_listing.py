"""Filters by author and words, lists and counts: the stores agree with `Filters.admits`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from library_helpers import FakeEmbedder, Place, candidate_ids, ingest, paper
from paperagent.library import LocalStore, Store
from paperagent.library.local.ingest import AUTHOR_TAGS
from paperagent.types import Filters, Paper

EMBEDDER = FakeEmbedder()
AUTHORS = (
    ("Peter Henderson", "Mei Lin"),
    ("P. Henderson",),
    ("Henderson, Paula", "Peter Lund"),
    ("Jörg Müller", "Lin Mei Tan"),
    (),
)
FILTERS = (
    Filters(author="henderson"),
    Filters(author="Peter Henderson"),
    Filters(author="P. Henderson", since=dt.date(2026, 1, 10)),
    Filters(author="Muller", category="cs"),
    Filters(author="P."),
    Filters(author="nobody"),
    Filters(author="%_"),
    Filters(exclude=("vision",)),
    Filters(exclude=("study number",)),
    Filters(exclude=("number of", "m7")),
    Filters(exclude=("the",)),
    Filters(exclude=("of study",)),
    Filters(author="Lin", exclude=("vision", "study number 5"), until=dt.date(2026, 2, 1)),
    Filters(source="test-feed", exclude=("m3",)),
    Filters(ids=(paper(3).paper_id, paper(30).paper_id, "nobody")),
    Filters(ids=(paper(3).paper_id, paper(4).paper_id), author="Henderson"),
)


def some_papers() -> list[Paper]:
    """Return forty papers by five groups of authors."""
    return [paper(n, authors=AUTHORS[n % len(AUTHORS)], upvotes=n * 7 % 11 or None) for n in range(40)]


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Return a store of each kind; half of the papers have vectors."""
    with place.open(create=True) as opened:
        ingest(opened, some_papers()[:20])
        opened.embed_pending(EMBEDDER)
        ingest(opened, some_papers()[20:])
        yield opened


def admitted(filters: Filters) -> set[str]:
    """Return the ids of the papers that filters admit."""
    return {p.paper_id for p in some_papers() if filters.admits(p)}


def test_filters_admit_the_same_papers_everywhere(store: Store) -> None:
    """In lists, counts and both kinds of search."""
    vector = EMBEDDER.one("vision")
    for filters in FILTERS:
        expected = admitted(filters)
        assert {p.paper_id for p in store.list_papers(filters)} == expected, filters
        assert store.count_matching(filters) == len(expected), filters
        by_words = candidate_ids(store, stems=["studi"], filters=filters)
        assert by_words == expected, filters
        assert candidate_ids(store, stems=["studi"], vector=vector, filters=filters) == expected, filters
    assert 0 < len(admitted(FILTERS[1])) < len(admitted(FILTERS[0]))
    assert store.count_matching(Filters()) == 40


def test_lists_are_sorted(store: Store) -> None:
    """By day in both directions, by title and by upvotes; a limit cuts the end off."""
    days = [p.day for p in store.list_papers(limit=7)]
    assert days == sorted((p.day for p in some_papers()), reverse=True)[:7]  # type: ignore[type-var]
    assert [p.paper_id for p in store.list_papers(sort="oldest", limit=2)] == ["2601.00000", "2601.00001"]
    titles = [p.title for p in store.list_papers(sort="title")]
    assert titles == sorted(titles)
    upvotes = [p.upvotes or 0 for p in store.list_papers(Filters(author="henderson"), sort="upvotes")]
    assert upvotes == sorted(upvotes, reverse=True)
    assert len(store.list_papers(Filters(category="cs.RO"), limit=3)) == 3


def test_papers_of_one_day_stay_in_the_order_of_reading(tmp_path: Path) -> None:
    """Papers of one day keep the order of the page."""
    with LocalStore(tmp_path, create=True) as store:
        ingest(store, [paper(n, published=None) for n in (5, 3, 9)])
        for sort in ("newest", "oldest"):
            assert [p.title.split()[2] for p in store.list_papers(sort=sort)] == ["5", "3", "9"]  # type: ignore[arg-type]


def test_a_library_of_an_earlier_version_finds_authors_too(tmp_path: Path) -> None:
    """Its index does not contain names of authors, so papers are read until it is reindexed."""
    with LocalStore(tmp_path, create=True) as store:
        ingest(store, some_papers())
        with store.table.db.writing() as connection:
            connection.execute("DELETE FROM meta WHERE key = ?", (AUTHOR_TAGS,))
            connection.execute("UPDATE facts SET tags = substr(tags, 1, instr(tags || 'a:', 'a:') - 1)")
            connection.execute("UPDATE meta SET value = 0 WHERE key = 'lexical_mark'")
    for reindexed in (False, True):
        with LocalStore(tmp_path) as store:
            for filters in FILTERS:
                assert {p.paper_id for p in store.list_papers(filters)} == admitted(filters), filters
            assert (store.table.db.note(AUTHOR_TAGS) is not None) == reindexed
            store.reindex()


def test_an_author_who_is_corrected_is_found_by_the_new_name(store: Store) -> None:
    """A change of the authors alone reaches the index."""
    ingest(store, [paper(2, authors=("Grace Newname",))])
    assert [p.paper_id for p in store.list_papers(Filters(author="newname"))] == ["2601.00002"]
    assert "2601.00002" not in {p.paper_id for p in store.list_papers(Filters(author="paula"))}


@pytest.mark.parametrize(
    ("excluded", "left"),
    [
        ("few-shot", {3, 4, 5, 6}),
        ("FEW shot", {3, 4, 5, 6}),
        ("shot", {4, 5, 6}),
        ("generative", {1, 2, 3, 4, 6}),
        ("Generate", {1, 2, 3, 4, 5}),
        ("rag", {1, 2, 3, 5, 6}),
        ("lens", {1, 2, 3, 4, 5}),
        ("shots", {4, 5, 6}),
    ],
)
def test_words_are_excluded_as_typed(excluded: str, left: set[int], place: Place) -> None:
    """In any case, singular or plural; neither stems nor function words count."""
    texts = {
        1: "We sort moths with few-shot prompts.",
        2: "Few shots suffice for moths.",
        3: "A moth needs a shot of nectar, and few do.",
        4: "RAGs help a moth.",
        5: "A generative model of moths.",
        6: "We generate moths with lenses.",
    }
    records = [paper(n, title=f"Moths {n}", abstract=text) for n, text in texts.items()]
    with place.open(create=True) as store:
        ingest(store, records)
        store.embed_pending(EMBEDDER)
        filters = Filters(exclude=(excluded,))
        expected = {f"2601.{n:05d}" for n in left}
        assert {p.paper_id for p in records if filters.admits(p)} == expected
        assert {p.paper_id for p in store.list_papers(filters)} == expected
        vector = EMBEDDER.one("moths")
        assert candidate_ids(store, stems=["moth"], vector=vector, filters=filters) == expected
