"""Names of themes, and which papers stand together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weeks import TOPICS, arrival, embedded, selector, week

from paperagent.digest.issue import ONLY_NAME, OTHER_NAME, Reason
from paperagent.digest.preferences import Preferences
from paperagent.digest.select.candidates import PeriodIndex
from paperagent.digest.select.phrases import PhraseFinder, ThemePhrases, capitalized
from paperagent.digest.select.themes import MAX_THEMES, build_themes
from paperagent.types import Paper

ALL = Preferences(interests=tuple(TOPICS), max_items=15)


def texts(*pairs: tuple[str, str]) -> PhraseFinder:
    """Return the words of papers given as title and abstract."""
    return PhraseFinder([Paper(str(n), title, abstract) for n, (title, abstract) in enumerate(pairs)])


def names(found: PhraseFinder) -> set[str]:
    """Return the phrases that could be names, as they are spelled."""
    return {found.spelling(f) for f in found.phrases(max_papers=100)}


def test_phrases_are_counted_over_spellings() -> None:
    """``KV caches`` and ``kv-cache`` are one, written as most write it."""
    held = texts(("KV cache eviction", ""), ("On KV caches", "A kv-cache. The KV cache; KV cache"))
    found = {f.phrase: f for f in held.phrases(max_papers=2)}[("kv", "cach")]
    assert found.papers.tolist() == [0, 1]
    assert found.weights.tolist() == [3, 3 + 3]
    assert (found.titles, held.spelling(found)) == (2, "KV cache")


def test_phrases_end_at_punctuation_and_function_words() -> None:
    """No phrase goes across a comma, a stop word or a sentence."""
    held = texts(("Sparse attention, linear decoding", "x"), ("Sparse attention for linear decoding", "y"))
    assert names(held) == {"Sparse", "attention", "Sparse attention", "linear", "decoding", "linear decoding"}


def test_phrases_cut_no_compound() -> None:
    """``free diffusion`` is no phrase of ``training-free diffusion``."""
    found = names(texts(("Training-free diffusion", ""), ("training-free diffusion", "")))
    assert {"diffusion", "Training-free diffusion"} <= found
    assert not {"free", "free diffusion"} & found


def test_names_stand_in_a_title() -> None:
    """What only abstracts say is no name, nor what a single paper says."""
    held = texts(("One", "shared words here"), ("Two", "shared words here"), ("Lonely title", ""))
    assert names(held) == set()


def test_how_often_a_phrase_only_describes_the_next_word() -> None:
    """``zero-shot`` is always followed by what it describes, ``transfer`` by nothing."""
    held = texts(("Zero-shot transfer", "zero-shot transfer."), ("Zero-shot transfer", ""))
    closed = {held.spelling(f).lower(): f.closed for f in held.phrases(max_papers=9)}
    assert (closed["zero-shot"], closed["transfer"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("phrase", "shown"),
    [
        ("image editing", "Image editing"),
        ("KV cache", "KV cache"),
        ("mRNA vaccines", "mRNA vaccines"),
        ("text-to-SQL", "text-to-SQL"),
        ("code for LLMs", "Code for LLMs"),
        ("3D scene", "3D scene"),
        ("", ""),
    ],
)
def test_headings_begin_with_a_capital(phrase: str, shown: str) -> None:
    """Words with capitals of their own stay as they are."""
    assert capitalized(phrase) == shown


def test_papers_of_a_topic_stand_together_under_its_name() -> None:
    """Each group holds one topic, and is called by a phrase of it."""
    found = selector(embedded(week())).select(Preferences(interests=tuple(TOPICS)[:4], max_items=15))
    assert len(found.themes) == 4
    for group in found.themes:
        topics = {t for c in group.items for t in TOPICS if t in c.paper.title}
        assert len(topics) == 1
        assert set(group.name.lower().split()) & set(topics.pop().split())


def test_a_theme_has_one_key_for_all_subscribers() -> None:
    """Two subscribers whose issues share a theme have it under one key and name."""
    chosen = selector(embedded(week()))
    one = chosen.select(Preferences(interests=("cache compression", "coral bleaching")))
    other = chosen.select(Preferences(interests=("protein folding", "cache compression")))
    shared = {g.key: g.name for g in one.themes}.items() & {g.key: g.name for g in other.themes}.items()
    assert [name for _, name in shared] == ["Cache compression"]


def test_interests_without_a_paper_are_named() -> None:
    """Those for which a paper is relevant are not, whether it is in the issue or not."""
    interests = ("submarine volcanoes", "coral bleaching", "code-switching")
    found = selector(embedded(week())).select(Preferences(interests=interests, max_items=1))
    assert found.unmatched == ("submarine volcanoes", "code-switching")


def test_groups_and_papers_come_best_first() -> None:
    """Scores fall within a group, and from one interest's first to the next one's."""
    found = selector([arrival(p) for p in week()]).select(ALL)
    for group in found.themes:
        scores = [c.score for c in group.items]
        assert scores == sorted(scores, reverse=True)
    firsts = [g.items[0].score for g in found.themes]
    assert firsts == sorted(firsts, reverse=True)


SHELF = PeriodIndex(embedded(week()))
LABELS = ThemePhrases(SHELF.papers, SHELF.vectors, SHELF.comparable)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, len(SHELF) - 1), unique=True, max_size=15), st.sampled_from(["", "reefs"]))
def test_grouping_keeps_every_paper_once(ranked: list[int], interest: str) -> None:
    """Those of an interest in one group, the others in at most five themes and one group without a name."""
    chosen = ranked[::2] if interest else []
    reasons = {n: Reason("interest" if n in chosen else "central", interest) for n in ranked}
    found = build_themes(ranked, LABELS, SHELF.vectors, reasons)
    assert sorted(n for c in found for n in c.members) == sorted(ranked)
    if chosen:
        assert (found[0].name, found[0].members) == ("Reefs", tuple(chosen))
    themes = [c for c in found if c.name not in {"Reefs", OTHER_NAME, ONLY_NAME}]
    assert len(themes) <= MAX_THEMES
    assert all(len(c.name.split()) > 1 for c in themes)
    assert all(c.key and c.name and c.members for c in found)
    assert len({c.name for c in found}) == len(found)


def test_headings_are_the_subscriber_s_words() -> None:
    """Interests, followed authors and questions have headings of their own, each with all its papers."""
    kinds = ("interest", "author", "question", "interest", "central")
    reasons = {n: Reason(kind, f"reefs {n % 2}") for n, kind in enumerate(kinds)}  # type: ignore[arg-type]
    found = build_themes(range(5), LABELS, SHELF.vectors, reasons)
    assert [(c.name, c.members) for c in found] == [
        ("Reefs 0", (0,)),
        ("By authors you follow", (1,)),
        ("For your questions", (2,)),
        ("Reefs 1", (3,)),
        ("Coral bleaching", (4,)),
    ]


def test_labels_of_papers_without_words() -> None:
    """Titles of symbols alone give no phrases and no error."""
    papers = [Paper(str(n), "∑ → ∞", "") for n in range(3)]
    labels = ThemePhrases(papers, np.zeros((3, 1), np.float32), np.zeros(3, bool))
    assert [c.name for c in build_themes([0, 1, 2], labels, np.zeros((3, 1), np.float32), {})] != []
    assert not labels.occurrences


def test_an_acronym_is_the_phrase_that_it_stands_for() -> None:
    """Papers that write it and papers that spell it out stand together under the whole name."""
    filler = embedded(week(["coral bleaching", "protein folding", "traffic forecasting"]))
    titles = ["Sign translation (ST) at sea", "ST on land: sign translation", "ST in the air"]
    held = [arrival(Paper(f"9.{n}", t, f"We study ST. {t}.")) for n, t in enumerate(titles)]
    shelf = PeriodIndex([*(a._replace(vector=None) for a in filler), *held])
    labels = ThemePhrases(shelf.papers, shelf.vectors, shelf.comparable)
    for number, held_paper in enumerate(shelf.papers):
        if held_paper.title in titles:
            assert ("sign", "translat") in labels.of(number)
            assert ("st",) not in labels.of(number)
