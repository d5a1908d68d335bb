"""Reading JSON as models write it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.text.lenient_json import LenientJsonParser, parse_all

_KEYS = st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=1, max_size=12)
_TEXTS = st.text(st.characters(exclude_characters="\\\b\f\n\r\t", exclude_categories=("Cs",)), max_size=30)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


def in_pieces(text: str, size: int) -> list[Any]:
    """Read a text that arrives in pieces."""
    reader = LenientJsonParser()
    for start in range(0, len(text), size):
        reader.feed(text[start : start + size])
    reader.close()
    return reader.values


@given(st.dictionaries(_KEYS, _VALUES, max_size=5) | st.lists(_VALUES, max_size=5), st.integers(1, 9))
def test_strict_json_is_read_as_the_library_reads_it(value: Any, size: int) -> None:
    """Whatever texts it holds (but escapes, see below), however it is laid out, and wherever it is cut."""
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        assert parse_all(text) == in_pieces(text, size) == [value]


@given(st.text("{}[]\"',:\\/*ab1 \n<think>", max_size=80), st.integers(1, 9))
def test_any_text_is_read_to_its_end(text: str, size: int) -> None:
    """Nothing makes the reader fail, and pieces change nothing."""
    assert in_pieces(text, size) == parse_all(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": 1,, "b": 2}', {"a": 1, "b": 2}),
        ("{'a': 'it doesn't, or won\\'t', 'b': [\"x\"]}", {"a": "it doesn't, or won't", "b": ["x"]}),
        ("{“a”: “b”}", {"a": "b"}),
        ("{a: 'b', c: yes, d: True, e: None}", {"a": "b", "c": "yes", "d": True, "e": None}),
        ('{"a": 1, // one\n "b": /* two */ 2}', {"a": 1, "b": 2}),
        ('{"a": "b" "c": 1}', {"a": "b", "c": 1}),
        ('{"a": ["b"\n"c"]}', {"a": ["b", "c"]}),
        ('{"a": "he said "yes", twice", "b": 1}', {"a": 'he said "yes", twice', "b": 1}),
        ('{"a": "line\nbreak\tand tab"}', {"a": "line\nbreak\tand tab"}),
        ('{"a": [{"b": ["c"]]', {"a": [{"b": ["c"]}]}),
        ('{"a": [{"b": ["c"], {"b": ["d"]}]}', {"a": [{"b": ["c"]}, {"b": ["d"]}]}),
        ('{"a": ["b"}', {"a": ["b"]}),
        ('{"a": [{"b": 1}, "c": 2}', {"a": [{"b": 1}], "c": 2}),
        ('{"a": ["b"', {"a": ["b"]}),
        ('{"a": , "b": 1}', {"a": None, "b": 1}),
        ('{" A ": 1}', {"a": 1}),
        ('{"a": [1.10, 2]}', {"a": ["1.10", 2]}),
        ('{"a": "\\ud83d\\ude00 \\u00e9"}', {"a": "😀 é"}),
    ],
)
def test_slips_of_form_are_forgiven(text: str, value: Any) -> None:
    """Each reads as what was meant."""
    assert parse_all(text) == in_pieces(text, 1) == [value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("No.", []),
        ('Look {here}: {"a": 1} and {"b": 2}.', [{"a": 1}, {"b": 2}]),
        ('```json\n{"a": 1}\n```', [{"a": 1}]),
        ('<think>{"a": 1} <b></think>{"a": 2}', [{"a": 2}]),
        ("<Reasoning>{", []),
        ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ('{"a": "cut here', [{}]),
        ('{"a": ["whole", "cut', [{"a": ["whole"]}]),
        ('{"a": 12', [{}]),
        ('[{"a": "no end}, {"a": "b"}]', [{"a": "b"}]),
        ('[{"a": "no end, "c": 1}, {"a": "b"}]', [{"a": "b"}]),
        ('{"a" "b" "c" } {"d": 1}', [{"d": 1}]),
    ],
)
def test_what_is_no_json_is_passed_over(text: str, values: list[Any]) -> None:
    """Prose is skipped, and what the text ends in the middle of is not guessed."""
    assert parse_all(text) == in_pieces(text, 1) == values


@pytest.mark.parametrize(
    "command",
    r"""\alpha \beta \theta \frac{1}{2} \nu \nu_1 \rho \text{min} \textbf{x} \times \times10 \forall \neq \ne
    \leq \to \tau \tilde{x} \nabla_x \not= \bar{x} \begin{a} \right) \rightarrow \bf x \upsilon \underline{a}
    \% \$ \_ \{ \, \mathcal{L} \xi \sim \pm 30\% \tfrac12 \notin \rm""".split(),
)
def test_latex_means_itself(command: str) -> None:
    """A lone backslash and one that happens to be a valid escape are kept; a doubled one is one."""
    for written in (command, command.replace("\\", "\\\\")):
        text = f'{{"a": "so {written} it"}}'
        assert parse_all(text) == in_pieces(text, 1) == [{"a": f"so {command} it"}]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"one\ntwo", "one\ntwo"),
        (r"one\n\nUnder it", "one\n\nUnder it"),
        (r"one\nunder it", "one\nunder it"),
        (r"one\ne.g. two", "one\ne.g. two"),
        (r"one\nother", "one\nother"),
        (r"one\ttwo", "one\ttwo"),
        (r"one\r\ntwo", "one\r\ntwo"),
        (r"a\"b\"\/c", 'a"b"/c'),
        (r"C:\\new", r"C:\new"),
        (r"caf\u00e9", "café"),
    ],
)
def test_escapes_between_words_stay_escapes(written: str, meant: str) -> None:
    """A line feed before a word that is no command is a line feed."""
    assert parse_all(f'{{"a": "{written}"}}') == [{"a": meant}]


def test_values_are_told_as_soon_as_they_are_complete() -> None:
    """Members before what holds them, each with its path."""
    calls: list[tuple[tuple[str | int, ...], Any]] = []
    reader = LenientJsonParser(lambda path, value: calls.append((tuple(path), value)))
    reader.feed('{"a": [{"b": "c"}')
    assert calls == [(("a", 0, "b"), "c"), (("a", 0), {"b": "c"})]
    reader.feed("]}")
    assert calls[2:] == [(("a",), [{"b": "c"}]), ((), {"a": [{"b": "c"}]})]


_SIZE = 60_000
_HOSTILE = [
    *("{", "[", '{"a":', '"', '{"a" ', "{ prose ", '{"a":"b"c", ', "{a b c: ", "{'a':'", "{/*", "{//"),
    *("[1,", '["a",', '{"a":1,', "{},", "[{},", "<think>", '"a"/*', "{“a”:“", "[[[[[[", '{"text":"word '),
]
_INSIDE_A_TEXT = ["\\", "\\n", "\\u00e9", 'x "y" ', '" ', '",', '"\n', '"/*', "// ", " "]


@pytest.mark.parametrize("text", [u * (_SIZE // len(u)) for u in _HOSTILE])
@pytest.mark.parametrize("size", [7, _SIZE])
def test_hostile_text_takes_no_time(text: str, size: int) -> None:
    """The longest reply that is read at all is read at once, whole or in pieces: 50 ms, here with room."""
    begin = time.process_time()
    in_pieces(text, size)
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize("unit", _INSIDE_A_TEXT)
@pytest.mark.parametrize("size", [7, _SIZE])
def test_a_hostile_string_takes_no_time(unit: str, size: int) -> None:
    """The same inside a text."""
    begin = time.process_time()
    in_pieces('{"a": "' + unit * (_SIZE // len(unit)), size)
    assert time.process_time() - begin < 0.5
