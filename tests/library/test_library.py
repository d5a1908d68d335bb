"""The library through the store that everyone uses: what is kept, merged, versioned and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from library_helpers import (
    TODAY,
    FakeEmbedder,
    Place,
    ServerPlace,
    candidate_ids,
    fill,
    filled_store,
    ingest,
    paper,
    papers,
    run_python,
)
from paperagent.errors import FeedError, StoreError
from paperagent.feeds.reader import open_feed
from paperagent.library import LocalStore, Store, content_hash
from paperagent.library.facets import Facets
from paperagent.types import Filters, Paper, Skipped
from paperagent.ui.export import jsonl


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Return an empty store, of each kind."""
    with place.open(create=True) as opened:
        yield opened


def test_a_paper_comes_back_as_it_went_in(store: Store) -> None:
    """Every field survives; the library adds the day it first saw the paper."""
    whole = replace(
        paper(7),
        updated=dt.date(2026, 2, 2),
        listed=dt.date(2026, 1, 9),
        doi="10.1000/xyz",
        version=3,
        upvotes=12,
        withdrawn=True,
        flags=("suspicious",),
        authors=("Ann Ü", "林"),
    )
    ingest(store, [whole])
    assert store.get(whole.paper_id) == replace(whole, first_seen=TODAY)
    assert store.get("nothing") is None
    assert list(store.papers()) == [replace(whole, first_seen=TODAY)]


def test_the_report_counts_new_changed_unchanged_and_skipped(store: Store) -> None:
    """Duplicates count as unchanged, skipped records by reason."""
    records = [*papers(5), paper(1), Skipped("line 9", "no abstract"), Skipped("line 11", "no abstract")]
    report = store.ingest(records, today=TODAY)
    assert (report.read, report.new, report.changed, report.unchanged) == (6, 5, 0, 1)
    assert report.skipped == {"no abstract": 2}
    assert (report.papers, report.pending) == (5, 5)
    report = ingest(store, [paper(1, abstract="Quite another abstract."), paper(2), paper(9)])
    assert (report.new, report.changed, report.unchanged) == (1, 1, 1)


def test_reading_the_same_again_changes_nothing(store: Store) -> None:
    """A second ingest writes nothing at all."""
    ingest(store, papers(50))
    before = store.status()
    report = ingest(store, papers(50))
    assert (report.unchanged, report.papers) == (50, 50)
    assert store.status() == before


def test_two_feeds_that_differ_do_not_change_a_paper_in_turn(store: Store) -> None:
    """Each is read again without a change, in either order: what a feed says is its word once."""
    first = [without_ids(n, arxiv_id=paper(n).arxiv_id, authors=("Example, A.",)) for n in range(6)]
    second = [paper(n, abstract=f"The abstract of another version, number {n}.") for n in range(6)]
    assert ingest(store, first).new == 6
    assert ingest(store, second).changed == 6
    embedder = FakeEmbedder()
    store.embed_pending(embedder)
    for feed in (first, second, second, first):
        report = ingest(store, feed)
        assert (report.changed, report.unchanged, report.pending) == (0, 6, 0)
    assert ingest(store, [replace(second[0], abstract=first[0].abstract)]).changed == 1
    assert store.doctor().ok


def test_two_renderings_in_one_file_are_no_change_when_it_is_read_again(store: Store) -> None:
    """Both are remembered; what the feed then says anew takes the place of both."""
    feed = [paper(1, abstract="One text, in a rendering."), paper(1, abstract="Another text altogether.")]
    ingest(store, feed)
    assert ingest(store, feed).unchanged == 2
    assert ingest(store, [paper(1, abstract="A third one.")]).changed == 1
    assert ingest(store, feed[:1]).changed == 1


def test_records_that_cannot_be_held_are_skipped_with_their_reason(store: Store) -> None:
    """One bad record does not stop the others."""
    bad = [
        paper(1, abstract="\ud800"),
        paper(2, title="\0"),
        paper(3, upvotes=2**63),
        paper(4, abstract="x" * 5_000_000),
    ]
    report = store.ingest([*bad, paper(5)], today=TODAY)
    assert report.skipped == {
        "text is not valid Unicode": 2,
        "number out of range": 1,
        "abstract too long": 1,
    }
    assert (report.new, store.count()) == (1, 1)


def without_ids(number: int, **changes: object) -> Paper:
    """Return paper ``number`` as a saved page has it."""
    bare = {
        "paper_id": f"sha256:{number}",
        "arxiv_id": None,
        "sources": ("page",),
        "url": None,
        "categories": (),
    }
    return paper(number, **{**bare, **changes})


def test_the_same_paper_of_two_feeds_is_one_paper(store: Store) -> None:
    """Title and abstract agree: one paper, under its real id, with the feeds of both."""
    ingest(store, [without_ids(3)])
    assert ingest(store, [paper(3)]).papers == 1
    merged = store.get(paper(3).paper_id)
    assert merged is not None
    assert merged.sources == ("page", "test-feed")
    assert store.get("sha256:3") == merged
    assert candidate_ids(store, stems=["studi"]) == {paper(3).paper_id}


def test_a_library_taken_over_by_json_lines_finds_papers_by_their_further_ids(
    place: Place, tmp_path: Path
) -> None:
    """Ids of services and former ids: written with the paper, read back, told, and again written."""
    page = "sha256:" + "1" * 32
    records = [
        paper(1, paper_id="acl:2024.acl-long.1"),
        paper(2, paper_id="pmid:77", arxiv_id=None, doi="10.1000/x"),
        without_ids(3, paper_id=page),
        paper(3),
        paper(4),
    ]
    with LocalStore(tmp_path / "old", create=True) as old:
        ingest(old, records)
        lines = "".join(jsonl(old.with_further_ids(old.papers())))
    (tmp_path / "all.jsonl").write_text(lines, encoding="utf-8")
    assert lines.count('"ids"') == 3
    with place.open(create=True) as store:
        store.ingest(open_feed(tmp_path / "all.jsonl").records, today=TODAY)
        for name, number in (("acl:2024.acl-long.1", 1), ("pmid:77", 2), (page, 3)):
            held = store.get(name)
            assert held is not None
            assert held.title == paper(number).title
            slug = ("study-11111111",) if name == page else ()
            assert next(store.with_further_ids([held])).ids == (name, *slug)
        assert sorted(jsonl(store.with_further_ids(store.papers()))) == sorted(
            lines.splitlines(keepends=True)
        )
        ingest(store, [paper(9, paper_id="pmid:77", arxiv_id=None, title=paper(2).title)])
        assert store.count() == 4
        assert store.doctor().ok


def test_a_title_alone_merges_nothing(store: Store) -> None:
    """Two papers of one title and different abstracts stay two."""
    ingest(
        store, [paper(3), without_ids(3, abstract="Nothing of this was said there, so it is another paper.")]
    )
    assert store.count() == 2


def test_contradicting_real_ids_never_merge(store: Store) -> None:
    """A copy of title and abstract under another arXiv id is another paper."""
    copy = paper(3, paper_id="2601.99999", arxiv_id="2601.99999")
    ingest(store, [paper(3), copy])
    assert store.count() == 2


def test_an_id_that_is_upgraded_leaves_the_indexes(place: Place) -> None:
    """The old id keeps its meaning for `get`, and is found by no search."""
    embedder = FakeEmbedder()
    with place.open(create=True) as store:
        ingest(store, [without_ids(3), *papers(5, 10)])
        store.embed_pending(embedder)
        ingest(store, [paper(3)])
        store.embed_pending(embedder)
        everything = candidate_ids(store, stems=["studi"], vector=embedder.one("study"))
        assert everything == {p.paper_id for p in (paper(3), *papers(5, 10))}
        assert store.doctor().ok


def test_two_rows_that_turn_out_to_be_one_paper_are_joined(place: Place) -> None:
    """A record with both ids joins the paper known by DOI and the one known by arXiv id."""
    embedder = FakeEmbedder()
    by_doi = without_ids(3, paper_id="doi:10.1/x", doi="10.1/x", title="Study number 3 of vision!")
    with place.open(create=True) as store:
        ingest(store, [replace(paper(3), title="Another title"), by_doi, *papers(3, 20)])
        store.embed_pending(embedder)
        assert store.count() == 5
        ingest(store, [replace(paper(3), doi="10.1/x")])
        store.embed_pending(embedder)
        assert store.count() == 4
        assert store.get("doi:10.1/x") == store.get(paper(3).paper_id)
        assert store.doctor().ok


def test_one_record_cannot_join_two_different_papers(store: Store) -> None:
    """A hostile record that names the ids of two papers takes over neither."""
    ingest(store, [paper(1), paper(2, paper_id="doi:10.1/y", doi="10.1/y", arxiv_id=None)])
    ingest(store, [replace(paper(1), doi="10.1/y", upvotes=1)])
    assert store.count() == 2
    victim = store.get("doi:10.1/y")
    assert victim is not None
    assert victim.title == paper(2).title


def test_earlier_versions_stay_checkable(store: Store) -> None:
    """A citation of the old text finds the old text by its hash; the new one is what is searched."""
    old, new = paper(1, version=1), paper(1, version=2, abstract="The revised abstract speaks of zebras.")
    ingest(store, [old])
    ingest(store, [new])
    ingest(store, [replace(old, upvotes=5)])
    current = store.get(old.paper_id)
    assert current is not None
    assert current.abstract == new.abstract
    past = store.get_version(old.paper_id, content_hash(old))
    assert past is not None
    assert (past.abstract, past.version) == (old.abstract, 1)
    assert store.get_version(old.paper_id, content_hash(new)) == current
    assert store.get_version(old.paper_id, "00" * 16) is None
    assert candidate_ids(store, stems=["zebra"]) == {old.paper_id}


def test_a_feed_without_versions_does_not_bring_an_older_text_back(store: Store) -> None:
    """New upvotes of a paper leave the text of its newer version, which arXiv told, in its place."""
    first = paper(1, sources=("saved",), abstract="The first abstract speaks of lanterns.")
    listed = replace(first, sources=("daily",), upvotes=1)
    second = paper(1, version=2, updated=TODAY, abstract="Now it is about zebras.", sources=("arxiv",))
    for record in (first, listed, second, replace(listed, upvotes=7)):
        ingest(store, [record])
    held = store.get(paper(1).paper_id)
    assert held is not None
    assert (held.abstract, held.version, held.upvotes) == (second.abstract, 2, 7)
    assert candidate_ids(store, stems=["zebra"]) == {held.paper_id}


def test_a_text_that_changes_back_is_a_change(store: Store) -> None:
    """A feed may undo its own edit."""
    for text in ("First text of this paper.", "Second text of this paper.", "First text of this paper."):
        ingest(store, [paper(1, abstract=text)])
        held = store.get(paper(1).paper_id)
        assert held is not None
        assert held.abstract == text


def test_an_error_of_the_feed_keeps_what_came_before_it(store: Store) -> None:
    """The papers read until then are in, searchable, and the error is the feed's own."""

    def torn() -> Iterator[Paper]:
        yield from papers(30)
        raise FeedError("feed: torn off; fetch it again")

    with pytest.raises(FeedError, match="torn off"):
        ingest(store, torn())
    assert store.count() == 30
    assert store.status()["lexical"] == {"indexed": 30}


def test_ctrl_c_keeps_the_batches_that_were_acknowledged(store: Store) -> None:
    """An interrupt between batches loses nothing of the earlier ones."""

    def interrupted() -> Iterator[Paper]:
        yield from papers(2_500)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(store, interrupted())
    acknowledged = 2_000 if isinstance(store, LocalStore) else 2_400  # a server takes 300 at a time
    assert store.count() == acknowledged
    assert len(candidate_ids(store, stems=["studi"], limit=5_000)) == acknowledged


def test_corpus_statistics_follow_the_papers(store: Store) -> None:
    """Number, mean length and document frequencies are those of the current texts."""
    ingest(
        store,
        [paper(1, title="Alpha", abstract="beta gamma gamma"), paper(2, title="Delta", abstract="beta")],
    )
    assert store.corpus_stats(["beta", "gamma", "omega"]) == (2, 4.0, {"beta": 2, "gamma": 1, "omega": 0})
    for n in range(4):
        ingest(store, [paper(1, title="Alpha", abstract=f"beta{n} beta")])
    count, mean, frequency = store.corpus_stats(["alpha", "beta"])
    assert (count, mean) == (2, 3.5)
    assert frequency["beta"] == 2
    assert frequency["alpha"] in (1, 2)  # tantivy counts a replaced paper until it merges it away


def test_candidates_carry_the_terms_with_the_title_twice(store: Store) -> None:
    """The bag of words of a candidate is title, title, abstract."""
    from paperagent.text.terms import index_terms, term_ids

    ingest(store, [paper(1)])
    (candidate,) = store.candidates(stems=["studi"], vector=None)
    wanted = term_ids(
        [*index_terms(paper(1).title), *index_terms(paper(1).title), *index_terms(paper(1).abstract)]
    )
    assert candidate.terms.tolist() == wanted.tolist()
    assert candidate.vector is None
    assert candidate.day == 20260102


def test_settings_are_kept_with_the_library(place: Place) -> None:
    """A JSON value survives closing."""
    with place.open(create=True) as store:
        assert store.get_setting("calibration") is None
        store.set_setting("calibration", {"a": [1, 2.5]})
    with place.open() as store:
        assert store.get_setting("calibration") == {"a": [1, 2.5]}


def test_another_process_sees_new_papers_at_the_next_call(tmp_path: Path) -> None:
    """An open reader needs no reopening, in either index, after another process wrote."""
    embedder = FakeEmbedder()
    with filled_store(tmp_path, 20, embedder=embedder) as store:
        question = embedder.one(f"{paper(500).title}\nWe study zebras.")
        assert len(candidate_ids(store, stems=["studi"], vector=question)) == 20
        code = """
        import sys; from pathlib import Path
        from library_helpers import *
        with LocalStore(Path(sys.argv[1])) as store:
            changed = paper(1, abstract="Nothing is left of it.")
            ingest(store, [paper(500, abstract="We study zebras."), changed])
            store.embed_pending(FakeEmbedder())
        """
        done = run_python(code, tmp_path)
        assert done.returncode == 0, done.stderr
        assert candidate_ids(store, stems=["zebra"]) == {paper(500).paper_id}
        assert candidate_ids(store, vector=question, limit=1) == {paper(500).paper_id}
        assert len(candidate_ids(store, vector=question)) == 21
        assert store.corpus_stats(["zebra"])[2] == {"zebra": 1}


def test_several_threads_read_while_one_writes(place: Place) -> None:
    """Searches from threads see all former papers, and nothing raises.

    A local library shows a batch as a whole. A server may show a part of one, and its graph of vectors may
    not reach a few papers, which the repair inserts again.
    """
    from concurrent.futures import ThreadPoolExecutor

    embedder = FakeEmbedder()
    with place.open(create=True) as store:
        fill(store, 50, embedder=embedder)

        def search(_: int) -> int:
            return len(candidate_ids(store, stems=["studi"], vector=embedder.one("vision"), limit=500))

        with ThreadPoolExecutor(4) as pool:
            searches = [pool.submit(search, n) for n in range(40)]
            for start in range(50, 250, 50):
                ingest(store, papers(50, start))
                store.embed_pending(embedder)
            sizes = {search.result() for search in searches}
        if isinstance(place, ServerPlace):
            assert min(sizes) >= 48
            assert store.doctor(repair=True).ok
        else:
            assert sizes <= {50, 100, 150, 200, 250}
        assert search(0) == 250


def test_a_store_is_refused_after_a_fork(tmp_path: Path) -> None:
    """A child process gets one clear error instead of a shared SQLite connection."""
    code = """
    import os, sys; from pathlib import Path
    from library_helpers import *
    from paperagent.errors import StoreError
    store = filled_store(Path(sys.argv[1]), 3)
    if os.fork():
        raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
    try:
        store.get("x")
    except StoreError as error:
        os._exit(0 if "fork" in str(error) else 3)
    os._exit(4)
    """
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_library_of_another_text_analysis_says_so(tmp_path: Path) -> None:
    """Queries and papers analyzed differently are never compared; reindex makes them agree."""
    filled_store(tmp_path, 3).close()
    with LocalStore(tmp_path) as store:
        store.table.set_note("analysis", "other")
        with pytest.raises(StoreError, match="run 'paperagent reindex'"):
            candidate_ids(store, stems=["studi"])
        assert not store.doctor().ok
        store.reindex()
        assert len(candidate_ids(store, stems=["studi"])) == 3
        assert store.doctor().ok


def test_filters_agree_with_their_definition(store: Store) -> None:
    """The index admits exactly the papers that `Filters.admits` does."""
    undated = paper(90, published=None)
    records = [*papers(60), undated, paper(91, categories=("CS.cl",), sources=("Two words",))]
    ingest(store, records)
    day = dt.date(2026, 1, 20)
    cases = [
        Filters(since=day),
        Filters(until=day),
        Filters(since=day, until=day),
        Filters(category="cs"),
        Filters(category="cs.CL"),
        Filters(category="cs.C"),
        Filters(category="stat", since=day),
        Filters(source="test-feed"),
        Filters(source="Two words"),
        Filters(source="two words"),
        Filters(source="none"),
    ]
    for filters in cases:
        wanted = {p.paper_id for p in store.papers() if filters.admits(p)}
        assert candidate_ids(store, stems=["studi"], filters=filters, limit=500) == wanted, filters


def test_facets_count_feeds_categories_and_days(store: Store) -> None:
    """Each paper counts once in each of its feeds and categories; the day of reading is no date."""
    assert store.facets() == Facets()
    ingest(store, papers(5))
    listed = paper(5, published=None, listed=dt.date(2025, 12, 1), sources=("test-feed", "other-feed"))
    ingest(store, [listed, paper(6, published=None, categories=())])
    facets = store.facets()
    assert (facets.papers, facets.undated) == (7, 1)
    assert (facets.first_day, facets.last_day) == (dt.date(2025, 12, 1), dt.date(2026, 1, 5))
    assert list(facets.sources.items()) == [("test-feed", 7), ("other-feed", 1)]
    assert list(facets.categories.items()) == [("cs.CL", 3), ("cs.RO", 3), ("stat.ML", 3)]
    assert facets.to_dict()["span"] == {"first": "2025-12-01", "last": "2026-01-05", "undated": 1}
