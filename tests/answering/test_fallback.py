"""What a person gets where the model gives no answer: the extractive one, with the reason on one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paperagent import Answer, EndpointError
from paperagent.answering.answers import (
    FALLBACK_NOTE,
    NOT_SERVER_FAULTS,
    server_failed,
)
from paperagent.retrieval.sentence_selection import MAX_DOUBTFUL_PASSAGES
from paperagent.testing import CHAT, Reply, chat_chunk, error_reply, sse_reply, stream_reply
from scripted_agent import GOOD, QUESTION, SECOND, WRONG, ScriptedAgent, passages, reply, scripted_agent

NOTHING = "How do I bake sourdough bread in a wood oven?"
DOUBTED = "Does a longer context hurt the quality of code completion for editors?"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library") as made:
        yield made


def extractive(model: ScriptedAgent, question: str = QUESTION) -> Answer:
    return model.agent.ask(question, mode="extractive")


def asked(at: ScriptedAgent, *answers: Any, question: str = QUESTION, **options: Any) -> Answer:
    """Return the answer with the fallback that a person has."""
    for answer in answers:
        if isinstance(answer, Reply):
            at.server.enqueue(answer, path=CHAT)
        else:
            at.server.enqueue_answer(answer)
    return at.agent.ask(question, cache=False, **options)


def why(answer: Answer) -> str:
    (note,) = [n for n in answer.notes if n.startswith(FALLBACK_NOTE)]
    assert note.isprintable()
    return note.removeprefix(f"{FALLBACK_NOTE}: ")


def same(answer: Answer, quoted: Answer) -> bool:
    """Return whether an answer says what the extractive one says."""
    shown = (answer.status, answer.reason, answer.answer, answer.claims, answer.citations, answer.mode)
    return shown == (
        quoted.status,
        quoted.reason,
        quoted.answer,
        quoted.claims,
        quoted.citations,
        quoted.mode,
    )


# --- the server ---


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        (error_reply(400, "the GPU is on fire"), "rejected", "the GPU is on fire"),
        (error_reply(401, "no such key"), "auth", "OPENAI_API_KEY"),
        (error_reply(429, "no money", code="insufficient_quota"), "quota", "billing"),
        (Reply("<!doctype html>", headers={"Content-Type": "text/html"}), "invalid_reply", "not an OpenAI"),
        (
            sse_reply(chat_chunk({"content": '{"ver'}), {"error": {"message": "no memory"}}),
            "server",
            "no memory",
        ),
        ("I am a poet.", "malformed", "not the JSON object"),
        (stream_reply({"content": ""}), "empty", "no text returned"),
        (
            stream_reply({"reasoning_content": "Hm."}, finish_reason="length"),
            "truncated",
            "before it was complete",
        ),
        ('{"claims": [' + " " * 5000, "truncated", "repeated itself"),
    ],
)
def test_sentences_are_quoted_where_the_server_fails(
    model: ScriptedAgent, said: Any, kind: str, reason: str
) -> None:
    """Whatever is wrong with it, the answer is the extractive one, and says why on one line."""
    answer = asked(model, *[said] * 4)
    assert same(answer, extractive(model))
    assert (answer.status, answer.mode, answer.model, answer.fallback) == (
        "answered",
        "extractive",
        None,
        kind,
    )
    assert reason in why(answer)
    assert answer.to_dict()["fallback"] == kind
    assert server_failed(answer) is (kind not in NOT_SERVER_FAULTS)


def test_a_server_that_is_down_is_named(model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address stands in the line; without the fallback it is the error that it was."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr("paperagent.http_limits.ATTEMPTS", 1, raising=False)
    with type(model.agent)(model.agent.home) as down:
        answer = down.ask(QUESTION, cache=False)
        assert "127.0.0.1:9" in why(answer)
        assert same(answer, extractive(model))
        with pytest.raises(EndpointError) as caught:
            down.ask(QUESTION, cache=False, fallback=False)
    assert (caught.value.kind, bool(caught.value.hits)) == ("unreachable", True)


def test_calls_that_failed_are_counted(model: ScriptedAgent) -> None:
    """The usage includes calls without a usable reply."""
    usage = {"prompt_tokens": 900, "completion_tokens": 40, "total_tokens": 940}
    for _ in range(2):
        model.server.enqueue_answer("I am a poet.", usage=usage)
    used = asked(model).usage
    assert (used.calls, used.input_tokens, used.output_tokens) == (2, 1800, 80)


def test_what_was_shown_stays(model: ScriptedAgent) -> None:
    """A stream that breaks off after a claim ends as incomplete, not in quotations."""
    body = json.dumps(reply(GOOD, SECOND))[:-60]
    answer = asked(model, stream_reply({"content": body}, finish_reason="length"))
    assert (answer.status, [c.text for c in answer.claims], answer.fallback) == (
        "incomplete",
        [GOOD[0]],
        None,
    )


def test_a_refusal_stays_a_refusal(model: ScriptedAgent) -> None:
    """What a model will not answer is not answered around it."""
    answer = asked(model, stream_reply({"refusal": "I cannot."}))
    assert (answer.status, answer.fallback, answer.claims) == ("refused", None, ())


def test_what_would_cost_too_much_is_quoted(model: ScriptedAgent) -> None:
    """Nothing is sent, and the line says what the call could cost."""
    model.set(price="2.5,10")
    answer = asked(model, max_cost=0.0001)
    assert same(answer, extractive(model))
    assert (answer.fallback, model.server.history) == ("over_budget", [])
    assert "more than the $0.0001 allowed" in why(answer)


def test_the_claims_come_as_events(model: ScriptedAgent) -> None:
    """A reader of the stream sees the quoted sentences as any claims, and how they came about."""
    model.server.enqueue_answer("I am a poet.")
    model.server.enqueue_answer("I am a poet.")
    events = list(model.agent.ask_stream(QUESTION, cache=False))
    claims = [e for e in events if e.kind == "claim"]
    assert [e.kind for e in events] == ["retrieved", *["claim"] * len(claims), "done"]
    answer = events[-1].answer
    assert answer is not None
    assert tuple(e.claim for e in claims) == answer.claims
    assert {e.mode for e in claims} == {"extractive"}


# --- the model ---


def test_nothing_that_holds_is_replaced_by_quotations(model: ScriptedAgent) -> None:
    """Where all that the model wrote fails its check; what failed is told too."""
    answer = asked(model, reply(("Owls sleep.", "9.9"), ("Moths too.", "8.8")))
    assert same(answer, extractive(model))
    assert answer.fallback == "withheld_unsupported"
    assert any(n.startswith("withheld: ") for n in answer.notes)


@pytest.mark.parametrize(
    "said",
    [
        reply(verdict="abstain", missing="How much of the prompt Tindersift removes."),
        reply(verdict="abstain"),
        reply(verdict="answer"),
        reply(("Tindersift: Filtering Retrieved Passages Before They Reach the Model", "1.1")),
    ],
)
def test_a_model_that_finds_nothing_does_not_hide_a_sure_answer(model: ScriptedAgent, said: Any) -> None:
    """The abstracts say it beyond the reading's doubt, so they are quoted."""
    answer = asked(model, said)
    assert same(answer, extractive(model))
    assert (answer.fallback, "found no answer" in why(answer)) == ("abstained", True)


def test_a_considered_abstention_counts_where_the_reading_is_in_doubt(
    model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that names what is missing is believed; one that gives no reason is not."""
    quoted = extractive(model)
    doubt = model.agent.thresholds()
    assert quoted.confidence is not None
    model.agent.set_thresholds(replace(doubt, doubt_below=quoted.confidence + 0.01))
    missing = "How much Tindersift shortens the prompt."
    believed = asked(model, reply(verdict="abstain", missing=missing))
    assert (believed.status, believed.reason, believed.fallback) == ("abstained", "not_in_abstracts", None)
    assert believed.answer.startswith(f"The abstracts do not say “{missing[:-1]}”. Closest passages:")
    assert 0 < len(believed.citations) <= MAX_DOUBTFUL_PASSAGES
    assert {c.quote for c in believed.citations} <= {c.quote for c in quoted.citations}
    for lazy in (reply(verdict="abstain"), reply(verdict="abstain", missing="The passages do not say.")):
        assert asked(model, lazy).fallback == "abstained"
    del monkeypatch


def test_nothing_is_quoted_against_an_abstention_where_nothing_is_there(model: ScriptedAgent) -> None:
    """Where the extractive reading abstains too, the model's abstention stands."""
    assert extractive(model, NOTHING).status == "abstained"
    answer = asked(model, reply(verdict="abstain"), question=NOTHING)
    assert (answer.status, answer.claims, answer.fallback) == ("abstained", (), None)


# --- claims ---


def test_a_failed_claim_gives_way_to_the_sentence_it_cites(model: ScriptedAgent) -> None:
    """The sentence has to do with the question, so the reader gets it, marked with what failed."""
    answer = asked(model, reply(WRONG, SECOND))
    first, second = answer.claims
    assert (first.text, first.support) == (passages(model.prompts[0])["1.3"], "quoted")
    assert "numbers" in first.checks["replaced"]
    assert (second.text, "replaced" in second.checks) == (SECOND[0], False)
    assert (answer.mode, answer.notes) == ("llm", ())
    assert "16%" not in json.dumps(answer.to_dict())


def test_a_sentence_that_is_cited_already_is_not_shown_again(model: ScriptedAgent) -> None:
    """The failed claim is withheld, with its reason."""
    answer = asked(model, reply(GOOD, WRONG))
    assert [c.text for c in answer.claims] == [GOOD[0]]
    assert any(n.startswith("withheld: ") and WRONG[0] in n for n in answer.notes)


def test_an_unrelated_sentence_never_stands_for_a_claim(model: ScriptedAgent) -> None:
    """A claim that points at another paper's sentence is withheld: that sentence answers nothing."""
    listed = reply(GOOD)
    model.ask(listed, question="Which papers are about language models?")
    shown = passages(model.prompts[0])
    last = max(int(p.partition(".")[0]) for p in shown)
    far = next(p for p in shown if p.startswith(f"{last}."))
    text = "Nine of seventeen owls sing at 440 hertz."
    answer = model.ask(reply((text, far)), question="Which papers are about owls and moths?")
    assert not answer.claims


def test_a_question_without_an_answer_is_never_answered_by_a_quotation(model: ScriptedAgent) -> None:
    """Whatever a model claims and cites, what has nothing to do with the question is not quoted."""
    answer = asked(model, reply(("Bread bakes at 230 degrees.", "1.1")), question=NOTHING)
    assert (answer.status, answer.claims) == ("abstained", ())


@pytest.mark.parametrize(
    ("pointer", "found"), [("1.4", True), ("1.1 1.2", True), ("1.99", True), ("7.7", False)]
)
def test_a_pointer_that_is_off_is_put_right(model: ScriptedAgent, pointer: str, found: bool) -> None:  # noqa: FBT001
    """Where another sentence of the same abstract supports the claim, it is cited instead, and noted."""
    answer = model.ask(reply((GOOD[0], pointer)))
    if not found:
        assert answer.claims == ()
        return
    (claim,) = answer.claims
    assert (claim.support, claim.checks["repointed"]) == ("supported", True)
    assert [c.quote for c in answer.citations] == [passages(model.prompts[0])["1.3"]]


def test_a_pointer_that_is_right_stays(model: ScriptedAgent) -> None:
    """Nothing is noted then."""
    answer = model.ask(reply(GOOD))
    assert "repointed" not in answer.claims[0].checks


# --- what is not asked ---


def test_no_call_is_paid_where_nothing_is_there(
    model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reading model that knows the question's words, and nothing near them, nobody is asked."""
    monkeypatch.setattr("paperagent.answering.pipeline.ExtractiveAnswer.is_off_topic", True)
    answer = asked(model, question=NOTHING)
    assert (answer.status, answer.reason, answer.usage.calls) == ("abstained", "no_evidence", 0)
    assert model.server.history == []


def test_by_words_alone_a_model_may_still_know_other_words(model: ScriptedAgent) -> None:
    """Without a reading model it is not certain that nothing is there, so the model is asked."""
    question = "What does VelaQ read at night?"
    assert extractive(model, question).reason == "no_evidence"
    asked(model, reply(verdict="abstain"), question=question)
    assert len(model.prompts) == 1


# --- the second try ---


@pytest.mark.parametrize("said", ["I am a poet.", '{"verdict": "answer", "claims": [' + "ab, " * 3000])
def test_the_second_try_is_another_one(model: ScriptedAgent, said: str) -> None:
    """After a reply that is none, or goes round in circles: fewer papers, another temperature."""
    answer = asked(model, said, reply(GOOD))
    first, again = model.requests
    assert [c.text for c in answer.claims] == [GOOD[0]]
    assert first.json()["temperature"] == 0
    assert again.json()["temperature"] > 0
    assert len(passages(model.prompts[1])) < len(passages(model.prompts[0]))


def test_a_repair_goes_on_in_the_same_conversation(model: ScriptedAgent) -> None:
    """The server has read the passages already: the first messages are sent again as they were."""
    asked(model, reply(SECOND, WRONG), reply(GOOD), unsupported="repair")
    first, repair = (r.messages for r in model.requests)
    assert repair[: len(first)] == first
    assert [m["role"] for m in repair[len(first) :]] == ["assistant", "user"]
    assert WRONG[0] in repair[-1]["content"]
