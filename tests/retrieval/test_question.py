"""What a person may hand in: questions, checked and cleaned."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import InputError
from paperagent.retrieval.question import (
    MAX_QUESTION,
    clean_question,
)

HOSTILE = st.text(
    st.one_of(
        st.characters(), st.sampled_from("\x1b\x9b\x07\x08\r\n\t\u202e\u200b\ufeff\u2028\U000e0041[]mHJ;")
    )
)


def is_inert(text: str) -> bool:
    """Return whether a terminal prints ``text`` and does nothing else."""
    return not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


@given(HOSTILE)
def test_a_clean_question_is_one_inert_line(text: str) -> None:
    """Whatever comes in, what goes on is one trimmed NFC line without controls, or an error."""
    try:
        cleaned = clean_question(text)
    except InputError as error:
        cleaned = str(error)
    assert is_inert(cleaned)
    assert cleaned == cleaned.strip()
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean_question(cleaned) == cleaned


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("  What is\n new? ", "What is new?"),
        ("\x1b[2J hi", "hi"),
        ("\x1b]0;title\x07hello", "hello"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP payload \x1b\\after", "after"),
        ("see\u202eesrever", "seeesrever"),
        ("zero\u200bwidth", "zerowidth"),
        ("cafe\u0301", "caf\u00e9"),
        ("two\u2028lines", "two lines"),
        ("tab\tbed", "tab bed"),
    ],
)
def test_questions_are_cleaned(question: str, expected: str) -> None:
    """Escape sequences, invisible characters and line breaks go; words stay."""
    assert clean_question(question) == expected


@pytest.mark.parametrize("control", ["\x0b", "\x0c", "\x1c", "\x85"])
def test_controls_that_separate_words_leave_a_space(control: str) -> None:
    """A vertical tab or a form feed is white space: the words around it stay two words."""
    assert clean_question(f"left{control}right") == "left right"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (None, "question: must be str, got NoneType"),
        (b"x", "question: must be str, got bytes"),
        ("", "question: is empty"),
        (" \t\u200b\ufeff", "question: is empty"),
        ("\x1b[31m", "question: is empty"),
        ("?!…", "question: has no words"),
        ("a\0b", "control character U+0000 at 1"),
        ("ab\udcff", "lone surrogate at 2"),
        ("x" * (MAX_QUESTION + 1), "too long (8,001 characters); at most 8,000 characters"),
    ],
)
def test_questions_that_cannot_be_used(question: object, message: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(InputError) as caught:
        clean_question(question)
    assert message in str(caught.value)


def test_the_longest_question_is_accepted() -> None:
    """The limit is inclusive."""
    assert len(clean_question("x" * MAX_QUESTION)) == MAX_QUESTION


@pytest.mark.parametrize("unit", ["\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b\\", "\x1b[1;", "\x9b"])
def test_unfinished_escape_sequences_take_no_time(unit: str) -> None:
    """A question full of broken escape sequences is cleaned at once."""
    begin = time.process_time()
    clean_question("word " + unit * ((MAX_QUESTION - 9) // len(unit)) + " end")
    assert time.process_time() - begin < 1
