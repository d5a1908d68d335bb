"""The judge's model over real HTTP: decisions where they are offered, else labels by a chat model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from paperagent.errors import EndpointError
from paperagent.llm.chat import ChatModel
from paperagent.llm.client import EndpointAddress
from paperagent.llm.judge_model import JudgeModel, label_probabilities, parse_decisions
from paperagent.llm.protocol import Completion, SampledToken
from paperagent.testing import (
    CHAT,
    DECISIONS,
    Reply,
    Request,
    ScriptedServer,
    chat_chunk,
    error_reply,
    sse_reply,
)
from paperagent.types import Usage

KEY = "sk-test-SECRET-0123456789"
MESSAGES = [{"role": "system", "content": "Judge."}, {"role": "user", "content": "Claim 1: Owls sleep."}]
LABELS = ["supported", "partly", "not_supported"]


def schema(count: int) -> dict[str, Any]:
    asked = {
        str(i): {"type": "string", "enum": LABELS, "description": f"Claim {i} is right."}
        for i in range(1, count + 1)
    }
    return {"type": "object", "properties": asked, "required": list(asked), "additionalProperties": False}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(api_key=KEY) as scripted:
        yield scripted


@pytest.fixture
def judge(server: ScriptedServer) -> Iterator[JudgeModel]:
    chat = ChatModel("test-model", api_key=KEY, base_url=server.url, sleep=lambda _: None)
    yield JudgeModel(chat)
    chat.close()


def ask(judge: JudgeModel, count: int = 2) -> tuple[Any, Completion]:
    with judge.stream(MESSAGES, schema=schema(count), schema_name="judge", max_output_tokens=90) as pieces:
        text = "".join(pieces)
    return json.loads(text), pieces.completion


def paths(server: ScriptedServer) -> list[str]:
    return [r.path for r in server.history]


# --- decisions ---


def test_every_question_is_a_predicate_on_one_input(judge: JudgeModel, server: ScriptedServer) -> None:
    """The messages are the input, each property of the schema is a question, and one call answers all."""
    server.decider = lambda request: [0.97, 0.03]
    said, done = ask(judge)
    assert said == {"probabilities": {"1": 0.97, "2": 0.03}}
    assert server.history[0].json() == {
        "model": "test-model",
        "input": [{**m, "type": "message"} for m in MESSAGES],
        "questions": [
            {"type": "predicate", "name": "1", "instructions": "Claim 1 is right."},
            {"type": "predicate", "name": "2", "instructions": "Claim 2 is right."},
        ],
    }
    assert paths(server) == [DECISIONS]
    assert (done.finish_reason, done.complete, done.model) == ("stop", True, "test-model")
    assert done.usage.calls == 1
    assert done.usage.input_tokens > 20
    assert not done.usage.estimated


def test_a_refusal_leaves_one_question_open(judge: JudgeModel, server: ScriptedServer) -> None:
    """The other answers of the same call count."""
    server.decider = lambda request: [None, 0.4]
    assert ask(judge)[0] == {"probabilities": {"1": None, "2": 0.4}}


def test_tokens_are_counted_as_the_server_does(judge: JudgeModel, server: ScriptedServer) -> None:
    """Cached input is told apart; a server that counts nothing gives an estimate."""
    answers = [{"type": "predicate", "name": "1", "probability": 1}]
    usage = {"input_tokens": 90, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 2}
    server.enqueue(Reply({"answers": answers, "model": "m", "usage": usage}))
    assert ask(judge, 1)[1].usage == Usage(1, 90, 64, 2, None)
    server.enqueue(Reply({"answers": answers, "model": "m"}))
    used = ask(judge, 1)[1].usage
    assert (used.calls, used.estimated, used.input_tokens > 5) == (1, True, True)


@pytest.mark.parametrize(
    ("answers", "read"),
    [
        (
            [{"type": "predicate", "name": "2", "probability": 0.2}, {"name": "1", "probability": 1}],
            [1.0, 0.2],
        ),
        ([{"type": "predicate", "probability": 0.9}, {"type": "refusal", "name": None}], [0.9, None]),
        ([{"type": "predicate", "probability": 0.9}], [None, None]),
        ([{"name": "1", "probability": 1.5}, {"name": "2", "probability": math.nan}], [None, None]),
        ([{"name": "1", "probability": True}, {"name": "2", "probability": "0.5"}], [None, None]),
        ([{"type": "score", "name": "1", "probability": 0.5}, "nonsense"], [None, None]),
        ([], [None, None]),
    ],
)
def test_answers_are_matched_to_their_questions(answers: list[Any], read: list[float | None]) -> None:
    """By name, otherwise by order if there is one for each; an invalid probability is unknown."""
    assert list(parse_decisions(answers, ["1", "2"]).values()) == read


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_server_without_decisions_is_asked_once(
    judge: JudgeModel, server: ScriptedServer, status: int
) -> None:
    """The chat model labels the questions instead, now and the next time."""
    server.enqueue(error_reply(status, "no such thing"), path=DECISIONS)
    server.responder = lambda request: {"1": "supported", "2": "partly"}
    assert ask(judge)[0] == {"1": "supported", "2": "partly"}
    ask(judge)
    assert paths(server) == [DECISIONS, CHAT, CHAT]


@pytest.mark.parametrize("body", ["<html>hello</html>", {"choices": []}, {"answers": None}])
def test_a_server_that_answers_to_any_address_has_no_decisions(
    judge: JudgeModel, server: ScriptedServer, body: Any
) -> None:
    """A web page, or JSON of another form, is no decision."""
    server.enqueue(Reply(body), path=DECISIONS)
    server.responder = lambda request: {"1": "supported", "2": "partly"}
    assert ask(judge)[0] == {"1": "supported", "2": "partly"}
    ask(judge)
    assert paths(server) == [DECISIONS, CHAT, CHAT]


def test_one_refused_request_does_not_end_decisions(judge: JudgeModel, server: ScriptedServer) -> None:
    """A server that has decided before is asked again after a 400."""
    server.decider = lambda request: [0.9, 0.9]
    server.responder = lambda request: {"1": "supported", "2": "partly"}
    ask(judge)
    server.enqueue(error_reply(400, "input too long"), path=DECISIONS)
    assert ask(judge)[0] == {"1": "supported", "2": "partly"}
    ask(judge)
    assert paths(server) == [DECISIONS, DECISIONS, CHAT, DECISIONS]


def test_judges_on_one_endpoint_share_what_it_offers(server: ScriptedServer) -> None:
    chat = ChatModel("test-model", api_key=KEY, base_url=server.url)
    server.responder = lambda request: {"1": "supported", "2": "partly"}
    ask(JudgeModel(chat))
    ask(JudgeModel(chat))
    chat.close()
    assert paths(server) == [DECISIONS, CHAT, CHAT]


@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (500, "server")])
def test_another_failure_is_an_error(
    judge: JudgeModel, server: ScriptedServer, status: int, kind: str
) -> None:
    """Chat is not called as well; retries happen as usual."""
    server.enqueue(*[error_reply(status, "no")] * 3, path=DECISIONS)
    with pytest.raises(EndpointError) as raised:
        ask(judge)
    assert raised.value.kind == kind
    assert CHAT not in paths(server)


def test_a_transient_fault_is_retried(judge: JudgeModel, server: ScriptedServer) -> None:
    """Decisions go through the one retry layer."""
    server.decider = lambda request: [0.9, 0.1]
    server.enqueue(error_reply(503, "busy"), path=DECISIONS)
    assert ask(judge)[0] == {"probabilities": {"1": 0.9, "2": 0.1}}


@pytest.mark.parametrize(
    ("url", "model", "asked"),
    [
        ("https://api.openai.com/v1", "gpt-6-luna", True),
        ("https://api.openai.com/v1", "gpt-6-luna-2026-10-01", True),
        ("https://eu.api.openai.com/v1", "GPT-6-Luna", True),
        ("https://api.openai.com/v1", "gpt-6-luna-mini", False),
        ("https://api.openai.com/v1", "gpt-5.6", False),
        ("https://gateway.example.org/v1", "gpt-5.6", True),
        ("http://127.0.0.1:8080/v1", "qwen2.5", True),
    ],
)
def test_openai_decides_only_with_documented_models(url: str, model: str, *, asked: bool) -> None:
    """Elsewhere this is unknown before the first call."""
    judge = JudgeModel(ChatModel(model, api_key=KEY, base_url=url))
    assert EndpointAddress.parse(api_key=KEY, base_url=url).is_openai is ("openai.com" in url)
    assert judge.uses_decisions(3) is asked
    assert not judge.uses_decisions(401)
    assert not judge.uses_decisions(0)


def test_nothing_is_sent_before_the_reply_is_read(judge: JudgeModel, server: ScriptedServer) -> None:
    """The caller checks the budget first."""
    with judge.stream(MESSAGES, schema=schema(1), schema_name="judge", max_output_tokens=90) as pieces:
        assert not pieces.is_cached
    assert server.history == []


# --- labels by a chat model ---


def spelled(text: str, chances: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return a reply's chunks, token by token; ``chances`` are the alternatives of the tokens named."""
    chunks = []
    for token in text.split("|"):
        others = chances.get(token, {token: 1.0})
        rows = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in others.items()]
        own = {"token": token, "logprob": math.log(others.get(token, 0.01)), "top_logprobs": rows}
        chunk = chat_chunk({"content": token})
        chunk["choices"][0]["logprobs"] = {"content": [own]}
        chunks.append(chunk)
    return [*chunks, chat_chunk({}, finish_reason="stop")]


def test_the_probability_is_that_of_the_labels_first_token(judge: JudgeModel, server: ScriptedServer) -> None:
    """*Partly* counts half; what the alternatives leave over counts half, too."""
    chunks = spelled(
        '{"|1|": "|supp|orted|", "|2|":| "|not|_supported|"}',
        {"supp": {"supp": 0.8, "partly": 0.1, "not": 0.08}, "not": {"not": 0.9, "supp": 0.1}},
    )
    server.enqueue(sse_reply(*chunks, "[DONE]"), path=CHAT)
    said, done = ask(judge)
    assert said == {"probabilities": {"1": pytest.approx(0.86), "2": pytest.approx(0.1)}}
    assert done.complete
    sent = server.history[-1].json()
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 5)
    assert sent["response_format"]["json_schema"]["schema"] == schema(2)


def test_a_label_without_its_probability_is_read_as_a_label(
    judge: JudgeModel, server: ScriptedServer
) -> None:
    """One token whose alternatives are no labels: the whole reply is handed on as it was written."""
    chunks = spelled('{"|1|": "|supported|", "|2|": "|not_supported|"}', {"not_supported": {"xyz": 0.9}})
    server.enqueue(sse_reply(*chunks, "[DONE]"), path=CHAT)
    assert ask(judge)[0] == {"1": "supported", "2": "not_supported"}


def test_a_server_without_logprobs_still_labels(judge: JudgeModel, server: ScriptedServer) -> None:
    """The parameter and the one that needs it are left out once the server refuses it, and later too."""
    server.enqueue(
        error_reply(400, "Unsupported parameter: 'logprobs' is not supported with this model."), path=CHAT
    )
    server.responder = lambda request: {"1": "supported", "2": "partly"}
    assert ask(judge)[0] == {"1": "supported", "2": "partly"}
    ask(judge)
    sent = [r.json() for r in server.history if r.path == CHAT]
    assert ["logprobs" in s for s in sent] == [True, False, False]
    assert ["top_logprobs" in s for s in sent] == [True, False, False]


@pytest.mark.parametrize(
    "logprobs",
    [None, [], "x", {"content": None}, {"content": [None, {"token": 3}, {"token": "a", "logprob": "x"}]}],
)
def test_logprobs_of_another_form_are_passed_over(
    judge: JudgeModel, server: ScriptedServer, logprobs: Any
) -> None:
    """The labels count."""
    chunk = chat_chunk({"content": '{"1": "supported", "2": "partly"}'})
    chunk["choices"][0]["logprobs"] = logprobs
    server.enqueue(sse_reply(chunk, chat_chunk({}, finish_reason="stop"), "[DONE]"), path=CHAT)
    assert ask(judge)[0] == {"1": "supported", "2": "partly"}


@pytest.mark.parametrize(
    ("tokens", "read"),
    [
        ((), {}),
        (
            (SampledToken('{"1":"', {}), SampledToken("s", {"s": 1.0}), SampledToken('upported"}', {})),
            {"1": 1.0},
        ),
        ((SampledToken('{"1": "partly"}', {'{"1": "partly"}': 1.0}),), {}),
        (
            (
                SampledToken('{"1":', {}),
                SampledToken(' "par', {' "par': 0.6, ' "sup': 0.4}),
                SampledToken('tly"}', {}),
            ),
            {"1": 0.7},
        ),
    ],
)
def test_tokens_may_be_cut_anywhere(tokens: tuple[SampledToken, ...], read: dict[str, float]) -> None:
    """The token that holds the label's first letter decides, whatever else it holds."""
    assert label_probabilities(tokens) == pytest.approx(read)


def test_chat_is_counted_once(judge: JudgeModel, server: ScriptedServer) -> None:
    """A rejected decisions request is not billed."""
    server.responder = lambda request: {"1": "supported", "2": "partly"}
    assert ask(judge)[1].usage.calls == 1


def test_a_decider_answers_predicates_only(server: ScriptedServer) -> None:
    """The scripted server rejects other types of questions."""
    server.decider = lambda request: [0.5]
    body = {"model": "m", "input": "x", "questions": [{"type": "choice", "instructions": "?"}]}
    reply = server.respond(Request("POST", DECISIONS, {}, json.dumps(body).encode()), f"Bearer {KEY}")
    assert reply.status == 400
