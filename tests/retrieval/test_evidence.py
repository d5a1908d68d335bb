"""Reading papers for a question and choosing the sentences that answer it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sample_library
from fake_encoder import FakeEncoder
from paperagent.retrieval import evidence
from paperagent.retrieval.evidence import (
    PaperMatch,
    SelectedSentence,
    rank_matches,
    select_sentences,
    sentence_scores,
)
from paperagent.retrieval.question import Question, classify_question
from paperagent.text.sentences import split_sentences
from paperagent.types import Hit, Paper
from questions import analyzed

ENCODER = FakeEncoder()
COMPARISON = (
    "How do Plinthara and the study of confident wording differ in what they find wrong with model judges?"
)


def hit(abstract: str, title: str = "A title", *, paper_id: str = "p", score: float = 1.0) -> Hit:
    return Hit(Paper(paper_id, title, abstract), score, 1)


def prepared(text: str, *, encoded: bool = False) -> Question:
    return analyzed(text, ENCODER if encoded else None)


def read(question: Question, found: Hit) -> PaperMatch:
    sentences = split_sentences(found.paper.abstract)
    texts = [found.title, *(s.text for s in sentences)]
    encoded = [ENCODER.encode(texts)] if question.encoded else None
    return evidence.match_papers(question, [(found, sentences)], encoded)[0]


def chosen(question: str, *abstracts: str, encoded: bool = False, **options: Any) -> list[tuple[int, int]]:
    asked = prepared(question, encoded=encoded)
    readings = [read(asked, hit(a, paper_id=str(i), **options)) for i, a in enumerate(abstracts)]
    return [(p.paper, p.sentence) for p in select_sentences(asked, readings)]


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


# --- choosing ---

FACTS = (
    "Lamps are widely used, however they are dim. We present Quorvex, a lamp. Owls sleep at noon. "
    "Quorvex emits 350 lumens. Cats were not tested. We thank the birds."
)


def test_the_sentence_that_answers_is_chosen() -> None:
    """The sentence that matches best is among the shown, in the abstract's order."""
    picks = chosen("How many lumens does Quorvex emit?", FACTS)
    assert (0, 3) in picks
    assert len(picks) == evidence.SINGLE_SENTENCES
    assert picks == sorted(picks)


def test_no_more_sentences_than_there_are() -> None:
    """A short abstract gives what it has, each sentence once."""
    assert chosen("lanterns", "Lanterns glow. Owls sleep.") == [(0, 0), (0, 1)]
    assert chosen("lanterns", "Lanterns glow") == [(0, 0)]


def test_a_comparison_quotes_two_papers() -> None:
    """Three sentences of each of the two best papers, and none of a third."""
    counts = Counter(p for p, _ in chosen("compare lanterns and owls", FACTS, FACTS, FACTS))
    assert counts == {0: 3, 1: 3}


def test_a_list_quotes_many_papers() -> None:
    """Two sentences of each of six papers."""
    counts = Counter(p for p, _ in chosen("which papers are about lamps?", *[FACTS] * 9))
    assert counts == dict.fromkeys(range(6), 2)


def test_near_papers_speak_in_a_single_answer() -> None:
    """Two further papers give a sentence if their score is near the best, else not."""
    question = prepared("How bright is Quorvex?")
    near = [read(question, hit(FACTS, paper_id=str(i), score=1 - i * 0.1)) for i in range(5)]
    assert Counter(p.paper for p in select_sentences(question, near)) == {0: 4, 1: 1, 2: 1}
    far = [read(question, hit(FACTS, paper_id=str(i), score=5 - 4 * i)) for i in range(3)]
    assert Counter(p.paper for p in select_sentences(question, far)) == {0: 4}


def test_a_number_is_preferred_where_one_is_asked_for() -> None:
    """Among sentences that match alike, "how many" takes the one with a number."""
    asked = prepared("how many lumens")
    scores = sentence_scores(asked, read(asked, hit("It gives lumens here. It gives 7 lumens here.")))
    assert scores[1] - scores[0] > 0.5


def test_background_is_not_preferred() -> None:
    """What earlier work lacks is not this paper's finding."""
    asked = prepared("lumens")
    scores = sentence_scores(asked, read(asked, hit("Existing lumens vary. Our lumens vary. Owls.")))
    assert scores[1] > scores[0]


_VOCABULARY = "lamp owls 7 we propose glow However the Quorvex lumens".split()
_SENTENCES = st.lists(st.sampled_from(_VOCABULARY), min_size=1, max_size=8).map(
    lambda words: " ".join(words).capitalize() + "."
)
_ABSTRACTS = st.lists(_SENTENCES, min_size=1, max_size=8).map(" ".join)


@settings(deadline=None)
@given(st.sampled_from(sample_library.QUESTIONS), st.lists(_ABSTRACTS, min_size=1, max_size=8), st.booleans())
def test_picks_point_at_sentences(question: str, abstracts: list[str], encoded: bool) -> None:  # noqa: FBT001
    """Whatever the question and the papers, picks are distinct, exist, and are grouped by paper."""
    asked = prepared(question[:200], encoded=encoded)
    readings = rank_matches([read(asked, hit(a, paper_id=str(i))) for i, a in enumerate(abstracts)])
    picks = select_sentences(asked, readings)
    places = [(p.paper, p.sentence) for p in picks]
    assert places
    assert len(set(places)) == len(places)
    assert places == sorted(places)
    assert all(0 <= s < len(readings[p].sentences) for p, s in places)
    assert all(np.isfinite(p.score) and isinstance(p, SelectedSentence) for p in picks)


@pytest.mark.parametrize("unit", ["we ", "our x ", "this paper ", "however ", "7 ", "a"])
@pytest.mark.parametrize("question", ["which papers are about lamps", "how many lamps", "compare lamps"])
def test_the_longest_sentence_is_read_at_once(question: str, unit: str) -> None:
    """A hostile abstract of 20,000 characters without a full stop takes no noticeable time."""
    begin = time.process_time()
    chosen(question, unit * (20_000 // len(unit)))
    assert time.process_time() - begin < 2


def test_a_sentence_that_alone_holds_a_word_comes_first() -> None:
    """All three match two of the three words; only "glow" stands in no other sentence."""
    abstract = "Lanterns glow. Lanterns hum. Lanterns hum again."
    scores = sentence_scores(
        prepared("lanterns glow hum"), read(prepared("lanterns glow hum"), hit(abstract))
    )
    assert scores.argmax() == 0


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("What do Sablewick and Duskerna each save memory on?", "The 13B model needs 5.6 GB of memory"),
        (
            COMPARISON,
            "We also observe that anchors from a different domain can make calibration worse than none.",
        ),
    ],
)
def test_what_only_one_sentence_says_is_quoted(question: str, quote: str) -> None:
    """Sentences of the sample feed that are quoted only because others do not match the same words."""
    with sample_library.plain_agent() as agent:
        assert any(c.quote.startswith(quote) for c in agent.ask(question).citations)
