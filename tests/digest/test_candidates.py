"""The period's papers in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from weeks import MemoryLibrary, arrival, embedded, paper, week

from fake_encoder import FakeEncoder
from paperagent.digest.select.candidates import PeriodIndex, distinctive_title_key, duplicates
from paperagent.retrieval.scoring import CorpusStats, SearchQuery, query_stems, rank


@pytest.mark.parametrize("text", ["cache compression", "coral reefs of the ocean 3 points", "zebra", ""])
def test_scores_are_those_of_search(text: str) -> None:
    """All papers at once give what `retrieve.rank` gives one by one."""
    papers = embedded(week())
    stems = query_stems(text)
    stats = CorpusStats(*MemoryLibrary(papers).corpus_stats(stems))
    vector = next(FakeEncoder().embed([text]))
    expected = {r.paper_id: r.score for r in rank(papers, SearchQuery(tuple(stems), vector, stats))}
    shelf = PeriodIndex(papers)
    found = shelf.match(stems, vector, stats).score
    assert found == pytest.approx([expected[p.paper_id] for p in shelf.papers], abs=1e-4)


def test_a_paper_on_the_query_is_relevant_and_another_is_not() -> None:
    """With vectors and without; where some papers have none, words tell."""
    papers = embedded(week())
    stems = query_stems("cache compression")
    stats = CorpusStats(*MemoryLibrary(papers).corpus_stats(stems))
    half = [a if n % 2 else a._replace(vector=None) for n, a in enumerate(papers)]
    vector = next(FakeEncoder().embed(["cache compression"]))
    for held, query in ((papers, vector), (half, vector), (papers, None)):
        shelf = PeriodIndex(held)
        relevance = shelf.match(stems, query, stats).relevance
        on_it = np.array(["cache" in p.title for p in shelf.papers])
        assert relevance[on_it].min() > relevance[~on_it].max()


def test_the_best_record_stands_for_a_paper() -> None:
    """One with an abstract, then one with an arXiv id; names of all lead to it."""
    held = paper(1, "cache compression")
    bare = replace(held, paper_id="a", arxiv_id=None, abstract="")
    other = replace(held, paper_id="b", arxiv_id=None)
    shelf = PeriodIndex([arrival(p) for p in (bare, other, held)])
    assert [p.paper_id for p in shelf.papers] == [held.paper_id]
    assert shelf.names == [(held.paper_id, "a", "b")]
    assert shelf.duplicates == [("a", "b")]


def test_short_titles_say_nothing() -> None:
    """Two editorials are two papers, unless their texts are one."""
    assert (distinctive_title_key("Editorial"), distinctive_title_key("Deep Learning: A Review")) == (
        "",
        "deeplearningareview",
    )
    apart, same = np.eye(2, dtype=np.float32), np.ones((2, 1), np.float32)
    assert duplicates(["Editorial", "Editorial"], apart) == [[0], [1]]
    assert duplicates(["Editorial", "Preface"], same) == [[0, 1]]


def test_close_papers_are_one_only_with_almost_one_title() -> None:
    """At a cosine of .9 the titles decide; duplicates of duplicates are one group."""
    near = np.array([[1, 0], [0.9, np.sqrt(1 - 0.81)]], np.float32)
    titles = [
        "Low-field MR image quality enhancement in k-space",
        "Low-field MR image enhancement in k-space",
    ]
    assert duplicates(titles, near) == [[0, 1]]
    assert duplicates([titles[0], "Tumour segmentation at low field"], near) == [[0], [1]]
    chain = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    assert duplicates(["A title of some length", "A title of some length!", "Another one"], chain) == [
        [0, 1, 2]
    ]


def test_papers_without_vectors_are_compared_by_their_words() -> None:
    """Those of a topic are closer to each other than to others."""
    shelf = PeriodIndex([arrival(p) for p in week(["cache compression", "coral bleaching"])])
    cosines = shelf.vectors @ shelf.vectors.T
    first = np.array(["cache" in p.title for p in shelf.papers])
    assert cosines[np.ix_(first, first)].mean() > cosines[np.ix_(first, ~first)].mean() + 0.2
    assert not shelf.has_embedding.any()
    assert shelf.comparable.all()
