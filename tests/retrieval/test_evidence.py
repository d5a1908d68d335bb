"""Reading papers for a question."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_encoder import FakeEncoder
from paperagent.retrieval import evidence
from paperagent.retrieval.evidence import (
    PaperMatch,
    rank_matches,
)
from paperagent.retrieval.question import Question, classify_question
from paperagent.types import Hit
from questions import analyzed, hit, matched

ENCODER = FakeEncoder()
COMPARISON = (
    "How do Plinthara and the study of confident wording differ in what they find wrong with model judges?"
)


def prepared(text: str, *, encoded: bool = False) -> Question:
    return analyzed(text, ENCODER if encoded else None)


def read(question: Question, found: Hit) -> PaperMatch:
    return matched(question, found, ENCODER if question.encoded else None)


# --- the question ---


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How much of the prompt does Tindersift remove?", "single"),
        ("What is Quorvex?", "single"),
        ("How many papers does the corpus hold?", "single"),
        ("Compare Cobaltine with Ferrowin", "compare"),
        ("How do Orlanthe and Wickerlane differ?", "compare"),
        ("Tindersift versus Wickerlane", "compare"),
        ("What is the difference between pruning and distillation?", "compare"),
        ("Which papers are about agents?", "list"),
        ("list papers on agents", "list"),
        ("What's new on retrieval?", "list"),
        ("who works on speech?", "list"),
        ("Give me an overview of quantisation", "list"),
    ],
)
def test_question_kinds(text: str, kind: str) -> None:
    """Comparisons and requests for lists are told from questions on one paper."""
    assert classify_question(text) == kind


@given(st.text(max_size=300))
def test_any_text_is_a_question_of_some_kind(text: str) -> None:
    """Weights are finite, one a piece, and never all nothing."""
    question = prepared(text)
    assert question.kind in {"single", "compare", "list"}
    assert len(question.weights) == len(question.piece_words) == len(question.counted)
    assert np.isfinite(question.weights).all()
    assert not len(question.weights) or question.weights.sum() > 0


def test_rare_words_weigh_most() -> None:
    """Function words weigh least, words that say what is asked for half, the rest by their rarity."""
    question = analyzed("is the paper Quorvex", weights={"quorvex": 4.0, "paper": 4.0})
    weights = dict(zip(question.piece_words, question.weights, strict=True))
    assert weights["quorvex"] == pytest.approx(4.0)
    assert weights["paper"] == pytest.approx(2.0)
    assert weights["is"] == weights["the"] < 1


def test_what_is_counted_is_marked() -> None:
    """In "how many parameters" the number must belong to parameters."""
    question = prepared("how many parameters does it have?")
    marked = [p for p, c in zip(question.piece_words, question.counted, strict=True) if c]
    assert "parameters" in marked
    assert "have" not in marked
    assert question.asks_number
    assert not prepared("who made it?").asks_number


@pytest.mark.parametrize(
    "unit", ["which papers ", "compare the ", "how many ", "the one and what the ", "any "]
)
def test_the_longest_question_is_understood_at_once(unit: str) -> None:
    """The patterns that tell a question's kind do not blow up on 8,000 characters."""
    begin = time.process_time()
    prepared((unit * 8_000)[:8_000])
    assert time.process_time() - begin < 2


# --- reading ---


@pytest.mark.parametrize("encoded", [False, True])
def test_a_reading_has_one_match_a_sentence_and_piece(encoded: bool) -> None:  # noqa: FBT001 - a table's column
    """Shapes fit the abstract and the question, and matches stay within their range."""
    question = prepared("which lanterns glow", encoded=encoded)
    found = read(question, hit("Lanterns glow. Owls sleep. The end."))
    assert found.match.shape == (3, 3)
    assert found.title_match.shape == (3,)
    assert (found.match <= 1 + 1e-5).all()
    assert found.score >= 1.0
    assert found.match[0, 1] == pytest.approx(1, abs=1e-5)


def test_without_an_encoder_a_match_is_a_shared_stem() -> None:
    """Inflections match fully, other words not at all."""
    found = read(prepared("glowing lantern"), hit("Lanterns glow. Owls sleep.", "Lantern song"))
    assert found.match.tolist() == [[1, 1], [0, 0]]
    assert found.title_match.tolist() == [0, 1]
    assert found.similarity == 0


def test_an_acronym_matches_its_long_form() -> None:
    """In either direction, with or without an encoder."""
    for question, abstract in (
        ("why the OD?", "Lamps glow. Owl detection needs light."),
        ("why owl detection?", "Lamps glow. Their OD needs light."),
    ):
        found = read(prepared(question), hit(abstract))
        assert found.match[1].max() >= 0.9 > found.match[0].max()


def test_coverage_may_come_from_several_sentences() -> None:
    """A paper that says half here and half there covers the question."""
    question = prepared("lanterns owls")
    both, one = hit("Lanterns glow. Owls sleep."), hit("Lanterns glow. Cats sleep.", paper_id="q")
    assert read(question, both).score == pytest.approx(1 + evidence.RERANK_WEIGHT)
    assert [r.hit.paper_id for r in rank_matches([read(question, one), read(question, both)])] == ["p", "q"]


def test_rerank_breaks_ties_by_id() -> None:
    """Equal readings keep one order."""
    question = prepared("lanterns")
    readings = [read(question, hit("Lanterns glow.", paper_id=i)) for i in "ba"]
    assert [r.hit.paper_id for r in rank_matches(readings)] == ["a", "b"]
