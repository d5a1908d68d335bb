"""Removing papers, and finding them by the beginning of an id: in a folder and on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from library_helpers import FakeEmbedder, Place, candidate_ids, ingest, paper, papers
from paperagent.library import LocalStore, Store

EMBEDDER = FakeEmbedder()


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Return a store of each kind; the last papers have no vector."""
    with place.open(create=True) as opened:
        ingest(opened, papers(20))
        opened.embed_pending(EMBEDDER)
        ingest(opened, papers(5, start=20))
        yield opened


def test_a_removed_paper_is_in_no_index(store: Store) -> None:
    """With and without a vector, word counts are updated, and `doctor` finds no problem."""
    gone = [paper(n).paper_id for n in (3, 19, 24)]
    before = store.corpus_stats(["m3", "studi"])
    store.remove(gone)
    assert store.count() == 22
    assert store.get_many(gone) == {}
    vector = EMBEDDER.one(paper(3).title)
    assert candidate_ids(store, stems=["studi"], vector=vector).isdisjoint(gone)
    after = store.corpus_stats(["m3", "studi"])
    assert after[0] == before[0] - 3
    assert store.doctor().ok
    store.remove([*gone, "never-there"])
    assert store.count() == 22


def test_a_removed_paper_can_be_added_again(store: Store) -> None:
    """Under the same id, with a new vector; the last row of a table may be used again."""
    gone = [paper(n).paper_id for n in (7, 24)]
    store.remove(gone)
    assert ingest(store, papers(25)).new == 2
    store.embed_pending(EMBEDDER)
    assert store.get_many(gone).keys() == set(gone)
    found = candidate_ids(store, vector=EMBEDDER.one(f"{paper(24).title}\n{paper(24).abstract}"), limit=3)
    assert paper(24).paper_id in found
    assert store.doctor().ok


def test_a_former_text_and_the_former_ids_go_too(store: Store) -> None:
    """None of its ids finds the paper."""
    page = paper(5, paper_id="sha256:" + "5" * 32, arxiv_id=None, sources=("page",))
    ingest(store, [page, paper(5, version=2, abstract="A new abstract.")])
    assert store.get(page.paper_id) is not None
    store.remove([paper(5).paper_id])
    assert store.get(page.paper_id) is None
    assert store.starting_with(["sha256:5555"], limit=5) == []


def test_papers_are_found_by_the_beginning_of_any_id(store: Store) -> None:
    """Present and former ids; wildcards are plain characters."""
    ingest(store, [paper(50, paper_id="acl:2026.acl-long.7", arxiv_id=None, doi="10.1000/a_b")])

    def titles(*prefixes: str, limit: int = 9) -> list[str]:
        return [p.title.split()[2] for p in store.starting_with(prefixes, limit=limit)]

    assert titles("2601.0000") == [str(n) for n in range(9)]
    assert titles("2601.00024") == ["24"]
    assert titles("acl:2026", "doi:10.1000/a") == ["50"]
    assert titles("doi:10.1000/a_") == ["50"]
    assert len(titles("2601", limit=3)) == 3
    for nothing in ("doi:10.1000/a%", "2601_", "study", "title:", "(", "[", ".*"):
        assert titles(nothing) == [], nothing


def test_an_interrupted_removal_is_finished_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill between the table and the indexes, no search returns the paper."""
    with LocalStore(tmp_path, create=True) as store:
        ingest(store, papers(6))
        store.embed_pending(EMBEDDER)
        monkeypatch.setattr(store.indexes, "sync_vectors", _killed)
        with pytest.raises(KeyboardInterrupt):
            store.remove([paper(2).paper_id])
    with LocalStore(tmp_path) as store:
        assert paper(2).paper_id not in candidate_ids(store, stems=["studi"], vector=EMBEDDER.one("vision"))
        ingest(store, papers(2, start=6))
        store.embed_pending(EMBEDDER)
        assert store.count() == 7
        assert store.doctor().ok


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
