"""Reading the model's JSON while it arrives and once it is there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.answering.reply import ReplyParser, answer_schema, parse_claim, parse_object, parse_reply
from paperagent.errors import EndpointError

CLAIMS = [
    {"text": 'It says "61%" } and {more}.', "evidence": ["1.2"]},
    {"text": "Second, with a brace }", "evidence": ["2.1", "2.3"]},
    {"text": "Third.", "evidence": []},
]
WHOLE = {"verdict": "answer", "claims": CLAIMS, "missing": "", "queries": []}


def fed(text: str, size: int) -> tuple[list[str], list[int]]:
    """Feed a text in pieces; return the claims' texts and how much had been read when each came."""
    reader, texts, when = ReplyParser(), [], []
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
    reply = parse_reply(text)
    assert [c.text for c in reply.claims] == [c["text"] for c in CLAIMS]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No.",
        "[1, 2]",
        '{"verdict": "maybe"}',
        '{"verdict": "answer | abstain | search"}',
        json.dumps(answer_schema()),
        '{"sum": 3}',
        '{"verdict": "answer", "claims": [{"text": ""}]}',
        "{" * 5000,
    ],
)
def test_what_is_no_such_object_is_a_typed_failure(text: str) -> None:
    """Nothing is guessed: the failure is an EndpointError of kind malformed."""
    with pytest.raises(EndpointError) as caught:
        parse_reply(text)
    assert caught.value.kind == "malformed"


def test_a_single_pointer_or_a_number_is_taken_for_a_list() -> None:
    """Small models write evidence as text or as a number."""
    reply = parse_reply(
        '{"verdict":"answer","claims":[{"text":"a","evidence":"1.2"},{"text":"b","evidence":[1.3]}]}'
    )
    assert [c.evidence for c in reply.claims] == [["1.2"], ["1.3"]]


ONE = {"text": "A is 5%.", "evidence": ["1.1", "1.2"]}
TWO = {"text": "B is not.", "evidence": ["2.3"]}
A, B = json.dumps(ONE), json.dumps(TWO)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"verdict": "answer", "claims": [{A}, {B}], "missing": null, "queries": null}}',
        f'{{"verdict": "answer", "claims": [{A}, {B}]}}',
        f'{{"claims": [{A}, {B}]}}',
        f'{{"claims": [{A}, {B}], "verdict": "Answer"}}',
        f'{{"Verdict": " ANSWERED. ", "Claims": [{A}, {B}], "confidence": 0.9}}',
        f'{{"verdict": "yes", "claims": [{A}, {B}]}}',
        f'{{"verdict": ["answer"], "claims": [{A}, {B}]}}',
        f'{{"response": {{"verdict": "answer", "claims": [{A}, {B}]}}}}',
        f'{{"answer": {{"claims": [{A}, {B}]}}}}',
        f'[{{"verdict": "answer", "claims": [{A}, {B}]}}]',
        f"[{A}, {B}]",
        f"{A}\n{B}",
        f'{{"verdict": "answer"}}\n{A}\n{B}\n{{"missing": "", "queries": []}}',
        f'```\n{{"verdict": "answer", "claims": [{A}]}}\n```\n{{"verdict": "answer", "claims": [{B}]}}',
        f'{{"verdict": "answer", "claims": [{A}, {B}]}} {{"verdict": "answer", "claims": [{A}, {B}]}}',
        f'{{"verdict": "answer", "claims": {{"1": {A}, "2": {B}}}}}',
        f'{{"verdict": "answer", "sentences": [{A}, {B}]}}',
        f'{{"verdict": "answer", "claims": [{A}, {B},],}}',
        f'{{"verdict": "answer", /* two */ "claims": [{A}, // one\n {B}]}}',
        f'{{"verdict": "answer", "claims": [{A}, {B}',
        f'{{"verdict": "answer", "claims": [{A} {B}], "missing": ""',
        f'{{"verdict": "answer", "claims": [{A}, {{"text": "", "evidence": ["1.1"]}}, 7, {B}]}}',
        f'{{"verdict": "answer", "claims": [{A}, {{"text": "Half}}, {B}]}}, {B}',
        f'The passages say:\n\n{{"verdict": "answer", "claims": [{A}, {B}]}}\n\nDoes {{that}} help?',
        repr({"verdict": "answer", "claims": [ONE, TWO], "missing": None, "queries": []}),
        '{"verdict": "answer", "claims": ["A is 5% [1.1, 1.2].", "B is not [2.3]."]}',
        '{"verdict": "answer", "claims": ["A is 5%. [1.1][1.2]", "B is not. (2.3)"]}',
        '[{"claim": "A is 5%.", "sources": "1.1-1.2"}, {"sentence": "B is not.", "citations": [2.3]}]',
        '{"claims": [{"text": "A is 5%.", "refs": "1.1 1.2"}, {"text": "B is not.", "sentence": "2.3"}]}',
        '{"claims": [{"text": "A is 5% [1.1][1.2].", "evidence": []}, {"text": "B is not.", "refs": "2.3"}]}',
    ],
)
def test_every_shape_of_an_answer_is_read(text: str) -> None:
    """What models send instead of the object asked for gives the same two claims."""
    reply = parse_reply(text)
    assert reply.verdict == "answer"
    assert [c.model_dump() for c in reply.claims] == [ONE, TWO]
    texts, _ = fed(text, 3)
    assert texts == [ONE["text"], TWO["text"]]


@pytest.mark.parametrize(
    ("text", "verdict", "missing", "queries"),
    [
        ('{"claims": []}', "abstain", "", []),
        ('{"missing": "the dose"}', "abstain", "the dose", []),
        ('{"verdict": "Abstain", "missing": ["the dose", "the age"]}', "abstain", "the dose; the age", []),
        ('{"verdict": "abstain", "claims": [{"text": ""}]}', "abstain", "", []),
        ('{"queries": ["a", " b ", "", null, "c", "d"]}', "search", "", ["a", "b", "c"]),
        ('{"verdict": "SEARCH", "queries": "a b"}', "search", "", ["a b"]),
        ('{"verdict": "search", "queries": [{"query": "a b"}]}', "search", "", ["a b"]),
        ('{"verdict": "search", "queries": ["a"]} {"verdict": "answer"}', "search", "", ["a"]),
    ],
)
def test_other_verdicts_are_read_likewise(text: str, verdict: str, missing: str, queries: list[str]) -> None:
    """A verdict that is not there follows from what is: claims, queries, or neither."""
    reply = parse_reply(text)
    assert (reply.verdict, reply.missing, reply.queries, reply.claims) == (verdict, missing, queries, [])


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (f'{{"verdict": "answer"}}\n{A}\n{B}', [f"{A}", f"{A}\n{B}"]),
        (
            f'{{"verdict": "Answer", "claims": [{A}]}} {{"claims": [{B}]}}',
            [f"{A}", f'{A}]}} {{"claims": [{B}'],
        ),
        (f'[{{"verdict": "answer", "claims": [{A}, {B}]}}]', [f"{A}", f"{A}, {B}"]),
    ],
)
def test_a_claim_is_given_at_once_in_other_shapes_too(text: str, at: list[str]) -> None:
    """Lines, several objects and a list show each claim when its brace closes."""
    _, when = fed(text, 1)
    start = text.index(A)
    assert when == [start + len(part) for part in at]


@pytest.mark.parametrize(
    "text",
    [
        f'{{"claims": [{A}, {B}], "verdict": "abstain"}}',
        f'{{"claims": [{A}, {B}]}}',
        f'{{"verdict": "abstain", "claims": [{A}, {B}]}}',
        f"{A}\n{B}",
    ],
)
def test_nothing_is_shown_before_the_verdict(text: str) -> None:
    """Claims before the verdict, under another verdict, or without one wait for the end."""
    _, when = fed(text, 1)
    assert when == []


def test_many_claims_and_many_pointers_are_cut() -> None:
    """The first forty claims and the first eight pointers count."""
    claims = [{"text": f"Claim {n}.", "evidence": [f"1.{i}" for i in range(1, 30)]} for n in range(60)]
    reply = parse_reply(json.dumps({"verdict": "answer", "claims": claims}))
    assert len(reply.claims) == 40
    assert reply.claims[0].evidence == [f"1.{i}" for i in range(1, 9)]


def test_latex_in_a_claim_is_kept() -> None:
    """Whether or not the model doubled its backslashes."""
    for written in (
        r"$\beta \leq \nu$ at $\theta = 10^{-3}$, 30\%",
        r"$\\beta \\leq \\nu$ at $\\theta = 10^{-3}$, 30\\%",
    ):
        reply = parse_reply(
            f'{{"verdict": "answer", "claims": [{{"text": "{written}", "evidence": ["1.1"]}}]}}'
        )
        assert reply.claims[0].text == r"$\beta \leq \nu$ at $\theta = 10^{-3}$, 30\%"


@pytest.mark.parametrize(
    "text",
    [
        f'{{"sentences": [{A}, {B}]}}',
        f'{{"Sentences": [{A}, {B},]}} And more.',
        f'{{"summary": {{"sentences": [{A}, {B}]}}}}',
        f'[{{"sentences": [{A}, {B}]}}]',
        f"[{A}, {B}]",
        f"{A}\n{B}",
    ],
)
def test_the_object_with_a_key_is_found(text: str) -> None:
    """Wrapped, in another case, or only what should stand under the key."""
    listed = parse_object(text, "sentences")["sentences"]
    assert [c.model_dump() for c in map(parse_claim, listed) if c] == [ONE, TWO]


@pytest.mark.parametrize("text", ["", "No.", "{}", '{"other": [1]}', "{" * 5000])
def test_an_object_without_the_key_is_a_typed_failure(text: str) -> None:
    """Nothing is made up."""
    with pytest.raises(EndpointError) as caught:
        parse_object(text, "sentences")
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize("value", [None, 7, [], {}, "", {"text": ""}, {"text": 5}, {"text": "x" * 2_001}])
def test_what_is_no_claim_is_none(value: object) -> None:
    """Nothing, numbers, empty and endless texts."""
    assert parse_claim(value) is None
