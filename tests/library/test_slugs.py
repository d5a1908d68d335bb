"""Papers without arXiv id and DOI get a readable id; ids of existing libraries do not change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from library_helpers import Place, ingest, paper
from paperagent.feeds import ids
from paperagent.feeds.ids import content_id
from paperagent.library import Store
from paperagent.types import Paper


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Return an empty store, of each kind."""
    with place.open(create=True) as opened:
        yield opened


def page_paper(number: int, **changes: object) -> Paper:
    """Return paper ``number`` as a saved page has it."""
    plain = paper(number, arxiv_id=None, url=None, **changes)
    return paper(number, arxiv_id=None, url=None, paper_id=content_id(plain.title, plain.abstract), **changes)


def test_a_new_paper_gets_a_readable_id_and_keeps_the_hash_of_its_text(store: Store) -> None:
    """It is found by both, and reading its feed again changes nothing."""
    record = page_paper(3)
    assert ingest(store, [record]).new == 1
    (stored,) = store.papers()
    assert stored.paper_id == f"study-{record.paper_id[7:15]}"
    assert store.get(record.paper_id) == store.get(stored.paper_id) == stored
    assert next(store.with_further_ids([stored])).ids == (record.paper_id,)
    report = ingest(store, [record])
    assert (report.new, report.changed, report.papers) == (0, 0, 1)


def test_two_papers_never_share_a_readable_id(store: Store) -> None:
    """If the first eight digits and the word agree, the second paper gets all digits."""
    digest = "abcdefab" + "0" * 23
    records = [page_paper(n) for n in (1, 2)]
    first, second = (
        Paper(f"sha256:{digest}{n}", r.title, r.abstract, sources=("page",)) for n, r in enumerate(records)
    )
    ingest(store, [first])
    ingest(store, [second])
    assert {p.paper_id: p.title for p in store.papers()} == {
        "study-abcdefab": first.title,
        f"study-{digest}1": second.title,
    }
    third = Paper(f"sha256:{'1' * 32}", first.title + "!", "Another text.", sources=("page",))
    fourth = Paper(f"sha256:{'1' * 31}2", second.title + "!", "Yet another text.", sources=("page",))
    ingest(store, [third, fourth])  # in one batch
    assert store.count() == 4
    assert store.get("study-11111111") == store.get(third.paper_id) != store.get(fourth.paper_id)


def test_the_ids_of_an_existing_library_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of an earlier version has the hash as id; reading the feed or a copy of it keeps it."""
    record = page_paper(4)
    with monkeypatch.context() as earlier:
        earlier.setattr(ids, "slugs", lambda *_: ())
        ingest(store, [record])
    for again in (record, page_paper(4, sources=("another-page",))):
        assert ingest(store, [again]).new == 0
        assert [p.paper_id for p in store.papers()] == [record.paper_id]
