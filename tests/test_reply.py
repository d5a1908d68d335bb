"""Reading the model's JSON while it arrives and once it is there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import EndpointError
from paperagent.reply import Reader, parse, parse_labels

CLAIMS = [
    {"text": 'It says "61%" } and {more}.', "evidence": ["1.2"]},
    {"text": "Second, with a brace }", "evidence": ["2.1", "2.3"]},
    {"text": "Third.", "evidence": []},
]
WHOLE = {"verdict": "answer", "claims": CLAIMS, "missing": "", "queries": []}


def fed(text: str, size: int) -> tuple[list[str], list[int]]:
    """Feed a text in pieces; return the claims' texts and how much had been read when each came."""
    reader, texts, when = Reader(), [], []
    for start in range(0, len(text), size):
        for claim in reader.feed(text[start : start + size]):
            texts.append(claim.text)
            when.append(start + size)
    _, rest = reader.finish()
    return texts + [c.text for c in rest], when


@given(st.integers(1, 60), st.sampled_from([None, 2]))
def test_each_claim_comes_once_and_in_order_whatever_the_pieces(size: int, indent: int | None) -> None:
    """Cutting the stream anywhere changes nothing, braces and quotes inside texts included."""
    texts, _ = fed(json.dumps(WHOLE, indent=indent), size)
    assert texts == [c["text"] for c in CLAIMS]


def test_a_claim_is_given_as_soon_as_it_is_complete() -> None:
    """The first claim does not wait for the second."""
    text = json.dumps(WHOLE)
    _, when = fed(text, 1)
    assert when[0] == text.index('["1.2"]}') + len('["1.2"]}')


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "Here is the answer:\n{}\nI hope that helps {{really}}.",
        "<think>Is it {{a}}? no.</think>{}",
        "\ufeff {}",
    ],
)
def test_an_object_wrapped_in_prose_is_read(wrapped: str) -> None:
    """Fences, prose and thoughts around the object are ignored."""
    text = wrapped.replace("{}", json.dumps(WHOLE)).replace("{{", "{").replace("}}", "}")
    reply = parse(text)
    assert [c.text for c in reply.claims] == [c["text"] for c in CLAIMS]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No.",
        "[1, 2]",
        '{"verdict": "maybe"}',
        '{"claims": []}',
        '{"verdict": "answer", "claims": [{"text": ""}]}',
        "{" * 5000,
    ],
)
def test_what_is_no_such_object_is_a_typed_failure(text: str) -> None:
    """Nothing is guessed: the failure is an EndpointError of kind malformed."""
    with pytest.raises(EndpointError) as caught:
        parse(text)
    assert caught.value.kind == "malformed"


def test_a_single_pointer_or_a_number_is_taken_for_a_list() -> None:
    """Small models write evidence as text or as a number."""
    reply = parse(
        '{"verdict":"answer","claims":[{"text":"a","evidence":"1.2"},{"text":"b","evidence":[1.3]}]}'
    )
    assert [c.evidence for c in reply.claims] == [["1.2"], ["1.3"]]


def test_claims_given_back_come_again() -> None:
    """Claims that may not be shown yet are given once the verdict allows it."""
    reader = Reader()
    first = reader.feed('{"claims":[{"text":"a","evidence":["1.1"]}')
    reader.give_back(first)
    again = reader.feed('],"verdict":"answer"}')
    assert [c.text for c in first] == [c.text for c in again] == ["a"]


def test_a_judge_may_only_choose_among_the_labels() -> None:
    """Another label is unjudged; another number of labels judges nothing."""
    assert parse_labels('{"labels":["supported","great"]}', 2) == ["supported", None]
    assert parse_labels('{"labels":["supported"]}', 2) == [None, None]
    assert parse_labels("supported", 1) == [None]
