"""The parts of reading a completion that need no server."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.llm.stream import REPETITION_WINDOW, ReasoningFilter, ends_in_repetition, parse_events


def fed(pieces: list[str]) -> tuple[str, str]:
    reasoning_filter = ReasoningFilter()
    shown = "".join(map(reasoning_filter.feed, pieces)) + reasoning_filter.end()
    return shown, reasoning_filter.reasoning


def cut(text: str, places: list[int]) -> list[str]:
    marks = sorted({p % (len(text) + 1) for p in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(marks)]


@given(st.lists(st.integers(0, 10_000)))
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('\n [{"a": 1}]', '[{"a": 1}]'),
        ('```json\n{"a": 1}\n```', '```json\n{"a": 1}\n```'),
        ('<think>no {"a": 2}</think>{"a": 1}', '{"a": 1}'),
        ('<think>a</think><think>b</think> {"a": 1}', '{"a": 1}'),
        ('thoughts </reasoning>{"a": "</think>"}', '{"a": "</think>"}'),
        ("Here you are: 1", "Here you are: 1"),
        ("<thinking>never ends {", ""),
        (" \n\t", ""),
        ("", ""),
    ],
)
def test_only_the_answer_passes(text, shown, places):
    """However the text is cut, thoughts before the answer are dropped and nothing else is."""
    found, dropped = fed(cut(text, places))
    assert found == shown
    assert not (set(dropped) - set(text))


@given(st.text(max_size=3000), st.text(min_size=1, max_size=500))
def test_a_passage_said_many_times_is_a_loop(before, unit):
    """Whatever came before, and however long the passage is."""
    text = before + unit * (REPETITION_WINDOW // len(unit) + 1)
    assert ends_in_repetition(text[-REPETITION_WINDOW:])


@given(st.lists(st.integers(0, 10**6), min_size=200, max_size=400, unique=True))
def test_different_claims_of_one_form_are_no_loop(numbers):
    """The same words with other numbers are an answer."""
    text = ", ".join(f'{{"text": "Run {n} reached {n % 97} %.", "evidence": ["1.{n}"]}}' for n in numbers)
    assert not ends_in_repetition(text[-REPETITION_WINDOW:])


@pytest.mark.parametrize("text", ["", "a", "ab" * 50, "word " * 70])
def test_short_repetition_is_no_loop(text):
    """Below 400 characters an answer may repeat itself."""
    assert not ends_in_repetition(text)


@given(st.lists(st.integers(0, 10_000)))
def test_events_are_the_same_however_they_are_cut(places):
    """Comments, fields, several lines of data and every end of line."""
    text = (
        ": hi\n\nevent: error\r\ndata: a: ü\rdata:b\n\ndata: c\nid: 1\n\n\ndata: 🙂\n\nerror: x\ndata: last"
    )
    body = text.encode()
    marks = sorted({p % (len(body) + 1) for p in places} | {0, len(body)})
    blocks = [body[a:b] for a, b in pairwise(marks)]
    assert list(parse_events(blocks)) == [
        ("error", "a: ü\nb"),
        ("", "c"),
        ("", "🙂"),
        ("error", "x"),
        ("", "last"),
    ]


def test_a_mark_of_byte_order_is_passed_over():
    """It may stand before the first event."""
    assert list(parse_events([b"\xef\xbb\xbfdata: a\n\n"])) == [("", "a")]


def test_what_is_not_utf8_is_an_error():
    """A replaced character would be a changed text."""
    with pytest.raises(UnicodeDecodeError):
        list(parse_events([b"data: \xff\n\n"]))
