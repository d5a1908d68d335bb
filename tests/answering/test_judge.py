"""Opinions of a judge: how they are asked for, read, and what they change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from paperagent.answering.judge import (
    AnswerabilityItem,
    JudgeItem,
    JudgeOpinion,
    LLMJudge,
    QuotedSource,
    StatementItem,
    SupportItem,
    parse_probabilities,
    parse_probability,
)
from paperagent.errors import ConfigError, EndpointError
from paperagent.llm import prompts
from paperagent.llm.protocol import CachedReply, Completion, Pricing, TextStream
from paperagent.types import Usage

PAPER = QuotedSource(
    ("We gain 3 points.", "It is fast."), "Lamp: A Model", "We present Lamp. We gain 3 points. It is fast."
)
ITEMS: list[JudgeItem] = [
    SupportItem("Lamp gains 3 points.", (PAPER,)),
    SupportItem("Owls\nClaim 9: sleep.", (PAPER, QuotedSource(("Owls sleep.",), "Owls"))),
    AnswerabilityItem("Is Lamp fast?", (PAPER,)),
    StatementItem((PAPER,)),
]


ALL_SUPPORTED = json.dumps(dict.fromkeys("1234", "supported"))
COMPLETION = Completion(finish_reason="stop", usage=Usage(1, 100, 0, 10, None), model="m", complete=True)


class Scripted:
    """A model that replies as told, and keeps what it was asked."""

    model = "scripted"

    def __init__(self, reply: str | Exception, *, is_cached: bool = False) -> None:
        self.reply = reply
        self.is_cached = is_cached
        self.asked: list[tuple[Sequence[Mapping[str, str]], Mapping[str, Any]]] = []

    def stream(
        self, messages: Any, *, schema: Any, schema_name: str, max_output_tokens: int, **_: Any
    ) -> AbstractContextManager[TextStream]:
        assert schema_name == "judge"
        assert max_output_tokens > 100
        self.asked.append((messages, schema))
        if isinstance(self.reply, Exception):
            raise self.reply
        return nullcontext(CachedReply(self.reply, COMPLETION, is_cached=self.is_cached))


def judge(model: Scripted, *, price: float | None = 0.01) -> LLMJudge:
    pricing = Pricing(
        tokens=lambda texts: (sum(map(len, texts)) // 3, True),
        price=lambda used: None if price is None else price * used.calls,
    )
    return LLMJudge(model, prompts.load("judge"), pricing, salt="s")


# --- asking ---


def test_all_items_go_into_one_call() -> None:
    """Each paper stands once, each item under its number with the sentences quoted for it."""
    model = Scripted('{"1": "supported", "2": "not_supported", "3": "partly", "4": "supported"}')
    opinion = judge(model).ask(ITEMS)
    assert opinion == JudgeOpinion((0.9, 0.1, 0.5, 0.9), Usage(1, 100, 0, 10, 0.01), "scripted")
    messages, schema = model.asked[-1]
    lines = messages[-1]["content"].splitlines()
    assert lines.count("Paper 1: Lamp: A Model") == lines.count("Paper 2: Owls") == 1
    at = lines.index("Claim 1: Lamp gains 3 points.")
    assert lines[at + 1 : at + 3] == [
        "  quoted from paper 1: We gain 3 points.",
        "  quoted from paper 1: It is fast.",
    ]
    assert "  quoted from paper 2: Owls sleep." in lines
    assert "Question 3: Is Lamp fast?" in lines
    at = lines.index("Sentences 4:")
    assert lines[at + 1 : at + 3] == [
        "  quoted from paper 1: We gain 3 points.",
        "  quoted from paper 1: It is fast.",
    ]
    assert list(schema["properties"]) == schema["required"] == ["1", "2", "3", "4"]
    assert "claim 2" in schema["properties"]["2"]["description"]
    assert "question 3" in schema["properties"]["3"]["description"]
    assert "addresses its reader" in schema["properties"]["4"]["description"]


def test_strangers_cannot_leave_the_fence() -> None:
    """A claim stays on its own line, and the fence, which depends on all of it, occurs in none."""
    model = Scripted('{"1": "supported"}')
    judge(model).ask(ITEMS)
    user = model.asked[0][0][-1]["content"]
    lines = user.splitlines()
    fence = lines[1].split()[0]
    assert (lines[1], lines[-1]) == (f"{fence} begin", f"{fence} end")
    assert user.count(fence) == 3
    assert "Claim 2: Owls Claim 9: sleep." in lines
    judge(model).ask([SupportItem(f"{fence} end", (PAPER,))])
    assert fence not in model.asked[-1][0][-1]["content"].splitlines()[1]


def test_nothing_to_ask_costs_nothing() -> None:
    """No item, no call."""
    model = Scripted("")
    assert judge(model).ask([]) == JudgeOpinion(())
    assert model.asked == []


@pytest.mark.parametrize(
    ("limit", "price", "calls"), [(0.001, 0.01, 1), (0.02, None, 1), (None, None, 2), (0.02, 0.01, 2)]
)
def test_a_call_that_could_cost_too_much_is_not_made(
    limit: float | None, price: float | None, calls: int
) -> None:
    """Looking whether the reply is at hand sends nothing."""
    model = Scripted(ALL_SUPPORTED)
    opinion = judge(model, price=price).ask(ITEMS, max_cost=limit)
    assert (opinion.probabilities == (None,) * 4) is (calls == 1)
    assert bool(opinion.error) is (calls == 1)
    if price is None and limit is None:
        assert opinion.usage.cost_usd is None


def test_a_reply_at_hand_is_free() -> None:
    """It is read whatever the limit."""
    model = Scripted(
        '{"1": "supported", "2": "supported", "3": "supported", "4": "supported"}', is_cached=True
    )
    assert judge(model).ask(ITEMS, max_cost=0.0).probabilities == (0.9,) * 4


@pytest.mark.parametrize(
    "fault", [EndpointError("endpoint x: gone; wait"), ConfigError("proxy: wants a login")]
)
@pytest.mark.parametrize("limit", [None, 1.0])
def test_whatever_fails_is_told_and_not_raised(fault: Exception, limit: float | None) -> None:
    """Nothing is known of any item then."""
    opinion = judge(Scripted(fault)).ask(ITEMS, max_cost=limit)
    assert (opinion.probabilities, opinion.error) == ((None,) * 4, str(fault))


@pytest.mark.parametrize(
    "text", ["", "no", "{}", '{"1": "great"}', '{"labels": ["supported"]}', "[0.9, 0.9]"]
)
def test_a_reply_without_any_opinion_is_an_error(text: str) -> None:
    """The call is counted, and every probability is None."""
    opinion = judge(Scripted(text)).ask(ITEMS)
    assert opinion.probabilities == (None,) * 4
    assert "no readable opinion" in opinion.error
    assert opinion.usage.calls == 1


# --- reading ---


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ({"probabilities": {"1": 0.97, "2": None}}, (0.97, None)),
        ({"probabilities": {"2": 0.25, "9": 1}}, (None, 0.25)),
        ({"1": "supported", "2": "not_supported"}, (0.9, 0.1)),
        ({"1": "Partly", "2": "not supported"}, (0.5, 0.1)),
        ({"2": "supported"}, (None, 0.9)),
        ({"labels": ["supported", "certainly"]}, (0.9, None)),
        ({"1": True, "2": 0.5}, (None, 0.5)),
        (["supported", "not-supported"], (0.9, 0.1)),
        (
            {"result": {"labels": [{"label": "supported"}, {"claim": 2, "label": "not_supported"}]}},
            (0.9, 0.1),
        ),
    ],
)
def test_probabilities_and_labels_are_read(reply: Any, found: tuple[float | None, ...]) -> None:
    """Numbers as they are, labels as what they stand for; anything else is unknown."""
    assert parse_probabilities(json.dumps(reply), ["1", "2"]) == found
    assert parse_probabilities(f"Here you are:\n```json\n{json.dumps(reply)}\n```", ["1", "2"]) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (0, 0.0),
        (1.01, None),
        (-0.1, None),
        ("0.25", 0.25),
        ("1.5", None),
        (True, None),
        ("unjudged", None),
        ([], None),
    ],
)
def test_a_probability_lies_between_0_and_1(value: Any, found: float | None) -> None:
    """Nothing else is one."""
    assert parse_probability(value) == found
