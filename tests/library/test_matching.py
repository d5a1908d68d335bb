"""Counting and listing the papers that contain words or a phrase, in a folder and on a server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from library_helpers import Place, ingest, paper
from paperagent.library import Store
from paperagent.text.phrases import Phrase
from paperagent.types import Filters

TEXTS = (
    "We compare GPT-4 with a small model on tool use.",
    "GPT-4o and gpt-4 disagree; the tools are of use to neither.",
    "A study of tool-use in rats, without language models.",
    "Nothing here but a GPT of our own, and four tools used by hand.",
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with place.open(create=True) as opened:
        ingest(opened, [paper(n, title=f"Paper {n}", abstract=text) for n, text in enumerate(TEXTS)])
        yield opened


def ids(store: Store, phrase: str, *words: list[str], filters: Filters = Filters()) -> list[int]:  # noqa: B008
    result = store.matching(words=words, phrase=Phrase(phrase), filters=filters)
    assert result.total == len(result.papers)
    return [int(p.paper_id[-1]) for p in result.papers]


def test_a_phrase_is_found_as_words_newest_first(store: Store) -> None:
    """A hyphen equals a space, and the words must be adjacent."""
    assert ids(store, "tool use", ["tool"], ["use"]) == [2, 0]
    assert ids(store, "GPT-4", ["gpt"], ["4", "4o"]) == [1, 0]
    assert ids(store, "small models", *Phrase("small models").terms) == [0]
    assert ids(store, "studies", *Phrase("studies").terms) == [2]


def test_words_alone_may_stand_anywhere(store: Store) -> None:
    result = store.matching(words=[["tool"], ["use"]])
    assert [int(p.paper_id[-1]) for p in result.papers] == [3, 2, 1, 0]


def test_the_total_does_not_depend_on_the_limit(store: Store) -> None:
    result = store.matching(words=[["tool"]], limit=1, oldest_first=True)
    assert result.total == 4
    assert [p.title for p in result.papers] == ["Paper 0"]
    assert store.matching(limit=2).total == 4


def test_filters_limit_what_is_counted(store: Store) -> None:
    since = Filters(since=dt.date(2026, 1, 3))
    assert ids(store, "tool use", ["tool"], ["use"], filters=since) == [2]
    assert store.matching(filters=Filters(category="cs.RO")).total == 2
    assert store.matching(words=[["unheard"]]).total == 0


def test_a_phrase_is_counted_again_after_an_ingest(store: Store) -> None:
    """The papers of a phrase are cached only until the library changes."""
    assert ids(store, "tool use", ["tool"], ["use"]) == [2, 0]
    ingest(store, [paper(5, title="Paper 5", abstract="More tool use.")])
    assert ids(store, "tool use", ["tool"], ["use"]) == [5, 2, 0]
