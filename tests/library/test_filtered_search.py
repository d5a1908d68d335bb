"""Filtered vector search: the same papers as an exact search finds, by every route."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import numpy as np
import pytest

from library_helpers import FakeEmbedder, Place, candidate_ids, fill, filled_store, ingest, paper
from paperagent.errors import StoreError
from paperagent.library import LocalStore
from paperagent.library.features import embedded_text
from paperagent.library.local import stored_vectors
from paperagent.types import Filters

COUNT = 300
LIMIT = 12
FILTERS = {
    "narrow": Filters(since=dt.date(2026, 1, 3), until=dt.date(2026, 1, 5)),
    "wide": Filters(since=dt.date(2026, 1, 10)),
    "until": Filters(until=dt.date(2026, 5, 1)),
    "category": Filters(category="cs.RO"),
    "both": Filters(category="stat", since=dt.date(2026, 2, 1)),
    "source": Filters(source="test-feed"),
    "empty": Filters(source="no such feed"),
    "none": Filters(),
}
EMBEDDER = FakeEmbedder()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library with vectors."""
    folder = tmp_path_factory.mktemp("dense")
    filled_store(folder, COUNT, embedder=EMBEDDER).close()
    return folder


def exact(store: LocalStore, vector: np.ndarray, filters: Filters) -> set[str]:
    """Return the nearest papers inside ``filters`` by comparing with all."""
    inside = [p for p in store.papers() if filters.admits(p)]
    cosines = {p.paper_id: float(EMBEDDER.one(embedded_text(p)) @ vector) for p in inside}
    return set(sorted(cosines, key=lambda i: -cosines[i])[:LIMIT])


@pytest.mark.parametrize("route", ["cheapest", "wider", "widened", "stored", "blocks"])
@pytest.mark.parametrize("name", FILTERS)
def test_every_route_finds_what_an_exact_search_finds(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, route: str
) -> None:
    """By wider and wider questions to Chroma, and from the database at once or block by block."""
    if route != "cheapest":
        monkeypatch.setattr(
            stored_vectors, "_COMPARISONS_PER_RESULT", 0.01 if route.startswith("wide") else math.inf
        )
    if route == "widened":
        monkeypatch.setattr(stored_vectors, "_OVERSAMPLING", 0)
        monkeypatch.setattr(stored_vectors, "_MARGIN", 0.25)
    if route == "blocks":
        monkeypatch.setattr(stored_vectors, "_BLOCK", 7)
    vector = EMBEDDER.one("we study planning with robotics")
    with LocalStore(home) as store:
        wanted = exact(store, vector, FILTERS[name])
        got = candidate_ids(store, vector=vector, limit=LIMIT, filters=FILTERS[name])
    least = LIMIT // 4 if route == "widened" else LIMIT
    assert len(got) >= min(least, len(wanted))
    assert len(got - wanted) <= 1  # half precision may swap the last two


def test_candidates_are_the_union_of_both_indexes(place: Place) -> None:
    """A paper found by words only and one found by vector only are both there, once, with vectors."""
    with place.open(create=True) as store:
        fill(store, COUNT, embedder=EMBEDDER)
        vector = EMBEDDER.one(embedded_text(paper(3)))
        candidates = store.candidates(stems=["m250"], vector=vector, limit=1)
        assert sorted(c.paper_id for c in candidates) == [paper(3).paper_id, paper(250).paper_id]
        for candidate in candidates:
            assert candidate.vector is not None
            assert candidate.vector.dtype == np.float32
            assert np.linalg.norm(candidate.vector) == pytest.approx(1, abs=1e-3)


def test_a_text_that_changed_has_no_vector_until_it_is_embedded_again(place: Place) -> None:
    """A vector never stands for a text that it was not made of."""
    with place.open(create=True) as store:
        fill(store, 5, embedder=EMBEDDER)
        ingest(store, [paper(1, abstract="Something about zebras.")])
        (candidate,) = store.candidates(stems=["zebra"], vector=None)
        assert candidate.vector is None
        assert store.status()["vectors"] == {"indexed": 4, "pending": 1, "embedder": "fake"}
        assert store.embed_pending(EMBEDDER) == (1, 0)
        vector = EMBEDDER.one(f"{paper(1).title}\nSomething about zebras.")
        (candidate,) = store.candidates(stems=["zebra"], vector=vector, limit=1)
        assert candidate.vector is not None
        assert candidate.vector @ vector == pytest.approx(1, abs=1e-3)


def test_without_vectors_everything_works_by_words(place: Place) -> None:
    """A query's vector is of no use before the first vectors, and no error."""
    with place.open(create=True) as store:
        fill(store, 5)
        assert len(candidate_ids(store, stems=["studi"], vector=EMBEDDER.one("study"))) == 5
        assert candidate_ids(store, stems=[], vector=EMBEDDER.one("study")) == set()
        assert store.embedder_id is None


def test_a_query_of_another_embedder_is_refused(place: Place) -> None:
    """The wrong number of dimensions names the fix."""
    with place.open(create=True) as store:
        fill(store, 5, embedder=EMBEDDER)
        with pytest.raises(StoreError, match="run 'paperagent reindex'"):
            candidate_ids(store, vector=FakeEmbedder(dim=8).one("study"))


def test_while_another_process_writes_the_index_the_stored_vectors_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma's files are opened by one process at a time: reading them half written ends the process."""
    from paperagent.library.home import vector_lock
    from paperagent.library.local import doctor, index_sync

    monkeypatch.setattr(index_sync, "_READER_WAIT", 0.0)
    monkeypatch.setattr(doctor, "_LOCK_WAIT", 0.0)
    filled_store(tmp_path, 20, embedder=EMBEDDER).close()
    vector = EMBEDDER.one(embedded_text(paper(3)))
    with vector_lock(tmp_path, wait=0) as held, LocalStore(tmp_path) as store:
        assert held
        assert candidate_ids(store, vector=vector, limit=1) == {paper(3).paper_id}
        assert "not checked" in next(c.detail for c in store.doctor().checks if c.name == "vector index")
    with LocalStore(tmp_path) as reader, LocalStore(tmp_path) as writer:
        assert len(candidate_ids(reader, vector=vector)) == 20
        ingest(writer, [paper(50)])
        writer.embed_pending(EMBEDDER)
        with vector_lock(tmp_path, wait=0):
            assert len(candidate_ids(reader, vector=vector)) == 20
        monkeypatch.setattr(reader.indexes, "_retry_at", 0.0)
        assert len(candidate_ids(reader, vector=vector)) == 21
