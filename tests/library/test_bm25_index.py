"""The lexical index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import StoreError
from paperagent.library.local.bm25_index import IndexEntry, LexicalIndex
from paperagent.text.spelling import within_edit_distance
from paperagent.types import Filters

ANY = Filters()


@pytest.fixture
def index(tmp_path: Path) -> LexicalIndex:
    """Return an empty index."""
    return LexicalIndex(tmp_path / "lexical", create=True)


def put(
    index: LexicalIndex, row: int, text: str, *, day: int | None = None, tags: Sequence[str] = ()
) -> None:
    """Index one paper, in place of an earlier one of its row."""
    with index.writing() as writer:
        writer.put(IndexEntry(row, f"id-{row}", text.split(), day, tags), replace=True)
        writer.commit()


def test_the_paper_that_holds_more_of_the_query_comes_first(index: LexicalIndex) -> None:
    """Any word suffices, more of them score higher."""
    put(index, 1, "alpha beta gamma")
    put(index, 2, "alpha alpha delta")
    put(index, 3, "omega")
    assert [row for row, _ in index.search(["beta", "gamma", "alpha"], limit=10, filters=ANY)] == [1, 2]
    assert index.search([], limit=10, filters=ANY) == []
    assert len(index.search(["alpha"], limit=1, filters=ANY)) == 1


def test_query_words_are_data(index: LexicalIndex) -> None:
    """What would be syntax to a query parser is a word that no paper holds."""
    put(index, 1, "alpha beta")
    for hostile in (
        "*",
        "alpha AND beta",
        "terms:alpha",
        '"alpha beta"',
        "al*",
        "[a TO z]",
        "",
        "(",
        "alpha~2",
    ):
        assert index.search([hostile], limit=10, filters=ANY) == []


def test_a_replaced_paper_is_found_by_its_new_words_only(index: LexicalIndex) -> None:
    """Putting a row again is idempotent."""
    put(index, 1, "alpha")
    put(index, 1, "beta")
    put(index, 1, "beta")
    assert index.search(["alpha"], limit=10, filters=ANY) == []
    assert index.ids() == {1: "id-1"}
    assert index.count == 1


def test_a_deleted_paper_is_gone(index: LexicalIndex) -> None:
    """Deleting what is not there is no error."""
    put(index, 1, "alpha")
    with index.writing() as writer:
        writer.delete(1)
        writer.delete(77)
        writer.commit()
    assert index.count == 0
    assert index.ids() == {}


def test_what_was_not_committed_is_dropped(index: LexicalIndex) -> None:
    """A block that fails leaves the index as it was, and can be followed by another."""

    def fail() -> None:
        with index.writing() as writer:
            writer.put(IndexEntry(1, "id-1", ["alpha"], None, ()), replace=False)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert index.count == 0
    put(index, 2, "beta")
    assert index.count == 1


def test_filters_count_and_match(index: LexicalIndex) -> None:
    """A paper without a day is inside no dates; tags match whole."""
    put(index, 1, "alpha", day=20260101, tags=["c:cs", "c:cs.cl", "s:a feed"])
    put(index, 2, "alpha", day=20260201, tags=["c:math"])
    put(index, 3, "alpha", tags=["c:cs"])
    assert index.count_matching(ANY) == 3
    assert index.matching(Filters(category="CS")) in ([1, 3], [3, 1])
    assert index.count_matching(Filters(source="a feed")) == 1
    assert index.count_matching(Filters(source="a")) == 0


def test_document_frequencies(index: LexicalIndex) -> None:
    """A stem counts once a paper."""
    put(index, 1, "alpha alpha beta")
    put(index, 2, "alpha")
    assert index.doc_freq(["alpha", "beta", "none"]) == [2, 1, 0]


def test_similar_stems_come_most_frequent_first(index: LexicalIndex) -> None:
    """Within the distance, with the same first letter, and no others."""
    put(index, 1, "retriev retrieve transform")
    put(index, 2, "retriev metriev")
    assert index.similar_stems("retreiv", 1) == ["retriev"]
    assert index.similar_stems("retriev", 1) == ["retriev", "retrieve"]
    assert index.similar_stems("retrxxx", 2) == []
    assert index.similar_stems("", 2) == []


def edits(one: str, other: str) -> int:
    """Return the edit distance with swaps of neighbours, from its recursive definition."""
    if not one or not other:
        return len(one) + len(other)
    costs = [
        edits(one[1:], other) + 1,
        edits(one, other[1:]) + 1,
        edits(one[1:], other[1:]) + (one[0] != other[0]),
    ]
    if len(one) > 1 and len(other) > 1 and one[0] == other[1] and one[1] == other[0]:
        costs.append(edits(one[2:], other[2:]) + 1)
    return min(costs)


@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(0, 3))
def test_the_edit_distance_is_the_textbooks(one: str, other: str, distance: int) -> None:
    """Insertion, deletion, substitution and a swap of neighbours cost one each."""
    assert within_edit_distance(one, other, distance) == (edits(one, other) <= distance)


def test_a_missing_or_damaged_index_names_its_repair(tmp_path: Path) -> None:
    """Opening one is an error with the command that mends it."""
    with pytest.raises(StoreError, match="missing; run 'paperagent doctor --repair'"):
        LexicalIndex(tmp_path / "none")
    (tmp_path / "meta.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="run 'paperagent doctor --repair'"):
        LexicalIndex(tmp_path)
