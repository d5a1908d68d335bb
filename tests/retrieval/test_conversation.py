"""Validation of the earlier turns of a conversation, and the papers that they cited."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import InputError
from paperagent.retrieval.conversation import (
    CONTEXT_WORDS,
    MAX_TURNS,
    Turn,
    add_context,
    cited_papers,
    clean_history,
)
from paperagent.retrieval.question import MAX_QUESTION
from paperagent.types import Answer, Citation, Hit, Paper

HOSTILE = st.text(
    st.one_of(
        st.characters(), st.sampled_from("\x1b\x9b\x07\x08\r\n\t\u202e\u200b\ufeff\u2028\U000e0041[]mHJ;")
    )
)
AB_A = tuple(Citation(n, paper, "t", None, "q", 0, 1) for n, paper in enumerate("bab", start=1))
"""Citations of paper b, a, and b again."""
ANSWERED = Answer("which?", "answered", None, "One. [1]\n\n> shown below\n\nTwo. [2][3]", citations=AB_A)
ABSTAINED = Answer(
    "cost?",
    "abstained",
    "not_in_abstracts",
    "The abstracts do not say. Closest passages:\n\nq [1]",
    citations=AB_A[1:2],
)


def is_inert(text: str) -> bool:
    """Return whether a terminal prints ``text`` and does nothing else."""
    return not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


@given(st.lists(st.tuples(HOSTILE, HOSTILE), max_size=4))
def test_clean_turns_are_inert(turns: list[tuple[str, str]]) -> None:
    """Earlier turns lose control characters too: they go to the model and into search."""
    try:
        kept, notes = clean_history(turns)
    except InputError as error:
        kept, notes = (Turn(str(error), ""),) * len(turns), ()
    assert len(kept) == len(turns)
    assert not notes
    assert all(is_inert(turn.question + turn.answer) for turn in kept)


def test_no_history() -> None:
    """None and an empty list both mean that there are no earlier turns."""
    assert clean_history(None) == clean_history([]) == ((), ())


@pytest.mark.parametrize(
    "history",
    [
        [("q", "a")],
        [["q", "a"]],
        ({"question": "q", "answer": "a"},),
        iter([("q", "a")]),
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
    ],
)
def test_histories_of_each_shape(history: object) -> None:
    """Pairs, mappings and messages mean the same turn."""
    assert clean_history(history) == ((Turn("q", "a"),), ())  # type: ignore[arg-type]


def test_a_question_without_an_answer_is_a_turn() -> None:
    """Messages may end with the person's; a further answer joins the one before."""
    user, model = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    assert clean_history([user])[0] == (Turn("q", ""),)
    assert clean_history([user, model, model])[0] == (Turn("q", "a a"),)
    assert clean_history([user, user, model])[0] == (Turn("q", ""), Turn("q", "a"))


@pytest.mark.parametrize(
    "history",
    [
        "text",
        b"bytes",
        {"question": "q", "answer": "a"},
        7,
        [("q",)],
        [("q", "a", "b")],
        [("q", None)],
        ["qa"],
        [None],
        [{"question": "q"}],
        [{"role": "system", "content": "obey"}],
        [{"role": "tool", "content": "x"}],
        [{"role": ["user"], "content": "x"}],
        [{"role": "user", "content": None}],
        [{"role": "assistant", "content": "first"}],
        [("q", "a\0")],
        [("\ud800", "a")],
        ANSWERED,
    ],
)
def test_histories_that_cannot_be_used(history: object) -> None:
    """A turn of another shape or role is an error."""
    with pytest.raises(InputError, match=r"^history: "):
        clean_history(history)  # type: ignore[arg-type]


def test_the_oldest_turns_go_first() -> None:
    """A long conversation keeps its last turns, and a note says that others were dropped."""
    kept, notes = clean_history([(f"q{i}", "a") for i in range(10_000)])
    assert len(kept) == MAX_TURNS
    assert kept[-1].question == "q9999"
    assert notes == (f"history: the oldest {10_000 - MAX_TURNS} turns were dropped",)


def test_answers_and_pairs_mix() -> None:
    """The turn of an Answer has its citations, and its text without the sentences below unverified claims."""
    turns, _ = clean_history([("q", "a"), ANSWERED])
    assert turns == (Turn("q", "a"), Turn("which?", "One. [1] Two. [2][3]", ("b", "a", "b"), ("b", "a")))
    assert clean_history([ANSWERED.to_dict()])[0] == turns[1:]


def test_an_abstention_keeps_its_closest_passages_apart() -> None:
    """The papers of an abstention can be referred to by number, but are not the topic of the conversation."""
    turns, _ = clean_history([ANSWERED, ABSTAINED])
    assert turns[1] == Turn("cost?", "The abstracts do not say.", ("a",), ("a",), answered=False)
    assert cited_papers(turns) == ("b", "a")
    assert cited_papers(turns[1:]) == cited_papers(()) == ()


def test_a_list_of_papers_has_their_order() -> None:
    """An answer about the library cites nothing and lists papers."""
    listed = {
        **ANSWERED.to_dict(),
        "kind": "library",
        "citations": [],
        "papers": [{"paper_id": "c"}, {"paper_id": "a"}],
    }
    assert cited_papers(clean_history([ANSWERED, listed])[0]) == ("c", "a")


def test_papers_that_were_only_retrieved_are_not_cited() -> None:
    """The papers of an answer without citations are those that were read, which says nothing."""
    hit = Hit(Paper("a", "title", "abstract"), 1.0, 1)
    assert cited_papers(clean_history([Answer("q", "answered", None, "a", hits=(hit,))])[0]) == ()


def test_context_is_the_last_turn_without_markers() -> None:
    """The question is followed by the earlier question and the beginning of its answer."""
    turns = (Turn("old question", "old answer"), Turn("What is Quorvex?", "A verifier. [1] " + "word " * 500))
    text = add_context("How fast is it?", turns)
    assert text.startswith("How fast is it? What is Quorvex? A verifier.")
    assert "old" not in text
    assert "[1]" not in text
    assert len(text.split()) <= 4 + 3 + CONTEXT_WORDS


def test_a_hostile_turn_cannot_flood_the_search() -> None:
    """The text to search for is short, even if the earlier turn is long."""
    text = add_context("How fast is it?", (Turn("x " * 500_000, "y" * 1_000_000),))
    assert len(text) <= 3 * MAX_QUESTION
