"""Answers by a model, played by a scripted server over real HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paperagent import PaperAgent
from paperagent.answering.answer_config import FULL, MAX_CONVERSATION_LENGTH
from paperagent.answering.answers import EMPTY_LIBRARY
from paperagent.answering.judge import REFUTED_REASON
from paperagent.errors import EndpointError
from paperagent.library import LocalStore
from paperagent.llm.chat import ChatModel
from paperagent.retrieval.evidence import PaperMatch
from paperagent.retrieval.question import QuestionKind
from paperagent.testing import (
    CHAT,
    Reply,
    Request,
    chat_chunk,
    chat_reply,
    error_reply,
    sse_reply,
    stream_reply,
)
from paperagent.types import Hit, Paper
from scripted_agent import (
    GOOD,
    QUESTION,
    SECOND,
    WRONG,
    ScriptedAgent,
    checked,
    opinions,
    passages,
    reply,
    scripted_agent,
    titles,
)

CUT = json.dumps(reply(GOOD, SECOND))[:-60]
"""A reply that ends inside its second claim."""
OUTPUT = FULL.output_tokens["single"]
ELSEWHERE = "How much memory does the optimiser of Sablewick need?"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library") as made:
        yield made


def texts(answer: Any) -> list[str]:
    return [c.text for c in answer.claims]


# --- one call ---


def test_an_answer_is_made_of_checked_claims(model: ScriptedAgent) -> None:
    """One call; each claim cites the sentence that it points at, quoted by the program."""
    answer = model.ask(reply(GOOD, SECOND))
    assert (answer.status, answer.reason, texts(answer)) == ("answered", None, [GOOD[0], SECOND[0]])
    assert [c.support for c in answer.claims] == ["supported", "quoted"]
    assert answer.citations[0].quote == passages(model.prompts[0])["1.3"]
    assert answer.answer == f"{GOOD[0]} [1] {SECOND[0]} [2]"
    assert (answer.usage.calls, len(model.requests)) == (1, 1)
    assert answer.usage.input_tokens > 0
    assert answer.model == "test-model"
    assert answer.prompt_hash


def test_the_prompt_begins_with_what_stays_the_same(model: ScriptedAgent) -> None:
    """Rules, library, passages inside a fence, then the question, and last what may change at any time."""
    model.ask(reply(GOOD))
    system, user = (m["content"] for m in model.requests[0].messages)
    fence = next(w for w in user.split() if w.startswith("====")).rstrip(".")
    lines = user.splitlines()
    assert lines[0].startswith("The library holds 32 papers, 2026-07; main topics: ")
    begin, end = lines.index(f"{fence} begin"), lines.index(f"{fence} end")
    assert len(passages("\n".join(lines[begin:end]))) > 10
    assert lines[-2:] == [f"Question: {QUESTION}", "You may ask for one more search."]
    assert lines.index(f"Question: {QUESTION}") > end
    assert fence not in system
    assert model.requests[0].response_format["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("question", "dated"),
    [
        (QUESTION, False),
        ("What do the latest papers report about retrieval?", True),
        ("Which papers of this year are about agents?", True),
        ("Is there anything on sparse attention since 2024?", True),
        ("Wie verkürzen neuere Verfahren den Prompt?", True),
        ("Does the new filter need a recurrent encoder?", False),
    ],
)
def test_the_date_is_told_where_the_question_speaks_of_time(
    model: ScriptedAgent, question: str, *, dated: bool
) -> None:
    """Or where its language is not known; otherwise the same prompt is sent, and kept, on any day."""
    model.ask(reply(verdict="abstain"), question=question)
    assert ("\nToday is 20" in model.prompts[0]) is dated


def test_the_model_may_point_only_at_what_it_was_shown(model: ScriptedAgent) -> None:
    """The schema lists this request's numbers, at most three a claim, and a search where it is allowed."""
    model.ask(reply(GOOD))
    model.ask(reply(GOOD), effort="fast")
    first, fast = (r.response_format["json_schema"]["schema"] for r in model.requests)
    evidence = first["properties"]["claims"]["items"]["properties"]["evidence"]
    assert evidence["items"]["enum"] == list(passages(model.prompts[0]))
    assert evidence["maxItems"] == 3
    assert first["properties"]["verdict"]["enum"] == ["answer", "abstain", "search"]
    assert first["required"] == ["verdict", "claims", "missing", "queries"]
    assert fast["properties"]["verdict"]["enum"] == ["answer", "abstain"]
    assert fast["required"] == ["verdict", "claims", "missing"]


def test_a_list_is_made_from_more_papers_than_a_fact(model: ScriptedAgent) -> None:
    """Two to four for one fact, eight at least for a list or a comparison, with room for a longer reply."""
    model.ask(reply(GOOD))
    model.ask(reply(verdict="abstain"), question="Which papers are about language models?")
    model.ask(reply(verdict="abstain"), question="Compare Cobaltine with Ferrowin on low-resource languages")
    fact, listed, compared = (len(titles(p)) for p in model.prompts)
    assert 2 <= fact <= 4
    assert 8 <= listed <= 12
    assert 8 <= compared <= 12
    limits = [r.json()["max_tokens"] for r in model.requests]
    assert limits[0] == OUTPUT < limits[1]


def test_a_title_alone_is_no_claim(model: ScriptedAgent) -> None:
    """It says nothing, so it is neither shown nor counted as withheld."""
    whole = "Tindersift: Filtering Retrieved Passages Before They Reach the Model"
    answer = model.ask(reply((f"“{whole}”.", "1.3"), GOOD, ("Tindersift.", "1.1")))
    assert texts(answer) == [GOOD[0]]
    assert answer.notes == ()


def test_a_claim_is_shown_before_the_last_byte(model: ScriptedAgent) -> None:
    """Each claim is checked and given as soon as the server has written it."""
    model.server.enqueue_answer(reply(GOOD, SECOND), chunk=4, pause=0.01)
    started = time.perf_counter()
    seen = [(e, time.perf_counter() - started) for e in model.agent.ask_stream(QUESTION, cache=False)]
    kinds = [e.kind for e, _ in seen]
    assert kinds == ["retrieved", "claim", "claim", "done"]
    first, last = seen[1][1], seen[-1][1]
    assert last - first > 0.2
    event, answer = seen[1][0], seen[-1][0].answer
    assert event.claim == answer.claims[0]
    assert event.citations == answer.citations[:1]
    checked(answer, model.agent)


def test_claims_written_before_the_verdict_wait_for_it(model: ScriptedAgent) -> None:
    """A server that ignores the order of keys gets no claim shown that the model then abstains from."""
    body = {"claims": reply(GOOD)["claims"], "verdict": "abstain", "missing": "", "queries": []}
    assert model.ask(body).status == "abstained"
    assert texts(model.ask({**body, "verdict": "answer"})) == [GOOD[0]]


@pytest.mark.parametrize("wrap", ["```json\n{}\n```", "Here it is:\n{}\nI hope this helps {{x}}."])
def test_a_reply_wrapped_in_prose_is_read(model: ScriptedAgent, wrap: str) -> None:
    """Servers that ignore the schema still work (row 39)."""
    answer = model.ask(wrap.replace("{}", json.dumps(reply(GOOD))))
    assert texts(answer) == [GOOD[0]]


def test_a_reply_without_a_stream_is_read(model: ScriptedAgent) -> None:
    """A server that answers whole gives the same answer."""

    def whole(request: Request) -> Reply:
        body = {**request.json(), "stream": False}
        return chat_reply(Request("POST", CHAT, {}, json.dumps(body).encode()), reply(GOOD))

    model.server.enqueue(whole, path=CHAT)
    assert texts(model.ask()) == [GOOD[0]]


# --- claims that fail ---


def test_claims_that_fail_are_withheld_and_told(model: ScriptedAgent) -> None:
    """Dangling pointers and refuted claims stay out of the text; notes say how many and why (row 40)."""
    fake = ("Owls sleep at night.", "9.9")
    answer = model.ask(reply(GOOD, WRONG, fake, ("Moths too.", "8.8"), ("No pointer.", "")))
    assert texts(answer) == [GOOD[0]]
    notes = [n for n in answer.notes if n.startswith("withheld")]
    assert len(notes) == 3
    assert WRONG[0] in notes[0]
    assert "16" in notes[0].partition("” (")[2]
    assert notes[1] == "withheld: “…” (points at no sentence that was shown; 2 claims)"
    assert "Owls" not in json.dumps(answer.to_dict())


def test_nothing_left_after_withholding_is_an_abstention(model: ScriptedAgent) -> None:
    """The reason is typed, and the text does not repeat the claim."""
    answer = model.ask(reply((WRONG[0], "9.9")))
    assert (answer.status, answer.reason, answer.claims) == ("abstained", "withheld_unsupported", ())
    assert "16%" not in answer.answer


def test_marking_shows_failed_claims_as_such(model: ScriptedAgent) -> None:
    """With ``mark`` they are in the answer, never as supported."""
    answer = model.ask(reply(GOOD, WRONG, ("Owls.", "9.9")), unsupported="mark")
    assert [c.support for c in answer.claims] == ["supported", "unsupported", "unsupported"]
    assert answer.claims[1].checks["numbers"] is False
    assert answer.claims[2].checks["dangling"] == ["9.9"]
    nowhere = answer.to_dict()["claims"][2]["checks"]  # the contract's keys are there all the same
    assert nowhere == {"numbers": False, "negation": False, "overlap": 0.0, "dangling": ["9.9"]}


def test_a_repair_is_one_more_call_that_names_the_failures(model: ScriptedAgent) -> None:
    """The model is told which claim failed why, and what it mends is shown."""
    answer = model.ask(reply(SECOND, WRONG), reply(GOOD), unsupported="repair")
    assert texts(answer) == [SECOND[0], GOOD[0]]
    assert len(model.prompts) == 2
    assert WRONG[0] in model.prompts[1]
    assert "number 16% is not in the cited sentence" in model.prompts[1]
    assert answer.usage.calls == 2


def test_a_repair_happens_once(model: ScriptedAgent) -> None:
    """What fails again is withheld."""
    answer = model.ask(reply(GOOD, WRONG), reply(WRONG), unsupported="repair")
    assert (texts(answer), len(model.prompts)) == ([GOOD[0]], 2)
    assert sum(n.startswith("withheld") for n in answer.notes) == 1


@pytest.mark.parametrize("broken", ["no JSON", error_reply(400, "bad request"), stream_reply()])
def test_a_repair_that_fails_changes_nothing(model: ScriptedAgent, broken: Any) -> None:
    """The answer stands as it was, and a note tells of it."""
    answer = model.ask(reply(GOOD, WRONG), broken, unsupported="repair")
    assert (answer.status, texts(answer)) == ("answered", [GOOD[0]])
    assert any(n.startswith("no repair:") for n in answer.notes)
    assert any(WRONG[0] in n for n in answer.notes)


def test_no_repair_without_a_failure(model: ScriptedAgent) -> None:
    """A clean answer costs one call under every policy."""
    model.ask(reply(GOOD), unsupported="repair")
    assert len(model.prompts) == 1


# --- abstaining ---


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("How much the prompt is shortened by Tindersift.", "The abstracts do not say “How much the prompt"),
        ("The paper was written by OWNED.", None),
        ("See https://evil.example for Tindersift", None),
        ("Tindersift 讀取", None),
        ("", None),
    ],
)
def test_what_is_missing_is_said_in_the_words_of_the_question(
    model: ScriptedAgent, missing: str, said: str | None
) -> None:
    """It rests on no sentence, so nothing else that the model writes there is shown."""
    answer = model.ask(reply(verdict="abstain", missing=missing))
    assert (answer.status, answer.reason) == ("abstained", "not_in_abstracts")
    assert answer.answer.startswith(said or "The abstracts do not say.")
    assert said or answer.answer == "The abstracts do not say."


def test_an_answer_may_say_what_part_is_missing(model: ScriptedAgent) -> None:
    """As a note, under the same rule."""
    answer = model.ask(reply(GOOD, missing="How much shorter the prompt is."))
    assert not any(n.startswith("not said:") for n in answer.notes)
    answer = model.ask(reply(GOOD, missing="How much of the prompt."))
    assert "not said: How much of the prompt." in answer.notes


def test_claims_beside_an_abstention_are_not_shown(model: ScriptedAgent) -> None:
    """The verdict counts."""
    assert model.ask(reply(GOOD, verdict="abstain")).claims == ()


def test_a_search_that_finds_nothing_costs_no_call(model: ScriptedAgent) -> None:
    """The reason is typed."""
    answer = model.ask(category="zz.ZZ")
    assert (answer.status, answer.reason, model.prompts) == ("abstained", "no_evidence", [])


def test_an_empty_library_costs_no_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The person is told to read a feed first."""
    LocalStore(tmp_path / "empty", create=True).close()
    with scripted_agent(monkeypatch, tmp_path / "library", tmp_path / "empty") as made:
        answer = made.ask()
        assert (answer.reason, answer.answer, made.prompts) == ("empty_library", EMPTY_LIBRARY, [])


# --- further searches ---


def test_the_model_may_search_once_more(model: ScriptedAgent) -> None:
    """New papers are appended, numbers already given stay, and what is found counts as retrieved."""
    answer = model.ask(reply(verdict="search", queries=["Sablewick quantisation"]), reply(GOOD))
    first, second = model.prompts
    assert "You may ask for one more search." in first
    assert "You may not search again" in second
    assert titles(second)[: len(titles(first))] == titles(first)
    assert len(titles(second)) > len(titles(first))
    assert any("Sablewick" in t for t in titles(second)[len(titles(first)) :])
    assert {h.title for h in answer.hits} >= set(titles(second))
    assert (texts(answer), answer.usage.calls) == ([GOOD[0]], 2)


def test_a_model_that_only_searches_is_stopped(model: ScriptedAgent) -> None:
    """Rounds are bounded; asking again is an abstention."""
    search = reply(verdict="search", queries=["quantised weights", "speech recognition"])
    answer = model.ask(search, search, search)
    assert (answer.status, answer.reason, len(model.prompts)) == ("abstained", "not_in_abstracts", 2)


def test_the_number_of_rounds_is_a_setting(
    model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With three, the model may search twice."""
    del model
    monkeypatch.setenv("PAPERAGENT_MAX_ROUNDS", "3")
    with scripted_agent(monkeypatch, tmp_path / "other") as made:
        made.ask(
            reply(verdict="search", queries=["speculative decoding"]),
            reply(verdict="search", queries=["quantised weights"]),
            reply(GOOD),
        )
        assert len(made.prompts) == 3


def test_fast_is_one_round(model: ScriptedAgent) -> None:
    """The prompt forbids a search, and one that is asked for anyway is not made."""
    answer = model.ask(reply(verdict="search", queries=["irony"]), effort="fast")
    assert (len(model.prompts), answer.status) == (1, "abstained")
    assert "You may not search again" in model.prompts[0]


@pytest.mark.parametrize("queries", [[], ["   "], ["Tindersift"], ["?!"]])
def test_a_search_that_finds_nothing_new_ends_the_rounds(
    model: ScriptedAgent, queries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is asked once more, and told that it may not search."""
    monkeypatch.setattr("paperagent.answering.llm_pipeline.MAX_ADDED_PASSAGES", 1)
    answer = model.ask(reply(verdict="search", queries=queries), reply(GOOD))
    assert len(model.prompts) == 2
    assert "You may not search again" in model.prompts[1]
    assert "the further search found no other paper" in answer.notes


def test_claims_beside_a_search_are_not_shown(model: ScriptedAgent) -> None:
    """Only the answer that follows it counts."""
    answer = model.ask(reply(WRONG, verdict="search", queries=["quantised weights"]), reply(GOOD))
    assert texts(answer) == [GOOD[0]]
    assert answer.notes == ()


def test_deep_plans_searches_then_answers_once(model: ScriptedAgent) -> None:
    """A plan call cuts the question into searches; their papers join the passages of one answer."""
    plan = reply(verdict="search", queries=["Sablewick outlier channels", "Kestrelode suffix index"])
    answer = model.ask(plan, reply(GOOD), effort="deep")
    assert len(model.prompts) == 2
    assert passages(model.prompts[0]) == {}
    shown = " ".join(titles(model.prompts[1]))
    assert "Sablewick" in shown
    assert "Kestrelode" in shown
    assert texts(answer) == [GOOD[0]]


def test_a_plan_that_cannot_be_read_costs_only_itself(model: ScriptedAgent) -> None:
    """The question is answered from what was retrieved, and a note says so."""
    answer = model.ask("I cannot plan", reply(GOOD), effort="deep")
    assert texts(answer) == [GOOD[0]]
    assert "the question was not cut into parts: the plan could not be read" in answer.notes


# --- the judge ---

OPEN = ("Tindersift trims the prompt by 61% and accuracy stays nearly the same.", "1.3")
"""Says in other words what its sentence says: wording cannot settle it."""
APART = ("Every reader always gains from it.", "2.4")
OFF = ("With any generator latency always falls for every user.", "1.4")
"""Say what their sentences do not say: wording finds something, but cannot refute it."""


def test_an_open_claim_is_put_to_a_second_reader(model: ScriptedAgent) -> None:
    """One further call settles it; the probability stands with the claim, and a note says by whom."""
    answer = model.ask(reply(GOOD, OPEN), {"1": "supported", "2": "supported"})
    assert [c.support for c in answer.claims] == ["supported", "supported"]
    assert [c.checks["judge"] for c in answer.claims] == [0.9, 0.9]
    assert "judge: test-model confirms 1 of 1 unverified claim" in answer.notes
    assert answer.usage.calls == len(model.requests) == 2
    assert answer.usage.input_tokens > 0
    for text in (GOOD[0], OPEN[0], answer.citations[0].quote):
        assert text in model.prompts[1]


@pytest.mark.parametrize(
    ("judge", "calls"), [("auto", 1), (None, 1), ("never", 1), (False, 1), ("always", 2)]
)
def test_settled_claims_are_judged_only_on_demand(model: ScriptedAgent, judge: Any, calls: int) -> None:
    """Without an open claim ``auto`` costs nothing; ``always`` asks about what wording supports."""
    answer = model.ask(reply(GOOD, SECOND), {"1": "supported", "2": "supported"}, judge=judge)
    assert len(model.requests) == calls
    assert [c.checks.get("judge") for c in answer.claims] == [0.9 if calls == 2 else None, None]


def test_never_asks_no_second_reader(model: ScriptedAgent) -> None:
    """The open claim is shown as it is."""
    answer = model.ask(reply(OPEN), judge="never")
    assert ([c.support for c in answer.claims], len(model.requests)) == (["unverified"], 1)


@pytest.mark.parametrize(
    "broken",
    ["no JSON", error_reply(400, "bad request"), {"1": "certainly"}, Reply("<html>"), {"labels": []}],
)
def test_a_second_reader_that_fails_changes_nothing(model: ScriptedAgent, broken: Any) -> None:
    """The answer stands, its open claim unverified, and one note says why."""
    answer = model.ask(reply(GOOD, OPEN), broken, judge="always")
    assert [c.support for c in answer.claims] == ["supported", "unverified"]
    assert all("judge" not in c.checks for c in answer.claims)
    assert len([n for n in answer.notes if n.startswith("not judged: ")]) == 1


def test_a_claim_that_a_second_reader_refutes_gives_way_to_its_sentence(model: ScriptedAgent) -> None:
    """As one that wording refutes: where the sentence has to do with the question, it is quoted instead."""
    model.server.decider = opinions(0.96, 0.01)
    question = "How do Tindersift's prompt and its mean latency with a generator change?"
    answer = model.ask(reply(GOOD, OFF), question=question)
    assert [c.support for c in answer.claims] == ["supported", "quoted"]
    assert answer.claims[1].checks["replaced"] == REFUTED_REASON
    assert answer.citations[1].quote == answer.claims[1].text
    assert OFF[0] not in answer.answer
    assert answer.usage.calls == 2


def test_a_claim_that_a_second_reader_refutes_is_withheld(model: ScriptedAgent) -> None:
    """With its citation, and a note says why; other citations keep the numbers they were shown with."""
    model.server.decider = opinions(0.01, 0.96)
    model.server.enqueue_answer(reply(APART, OPEN))
    *shown, done = model.agent.ask_stream(QUESTION, cache=False)
    answer = done.answer
    assert [e.claim.text for e in shown[1:]] == [APART[0], OPEN[0]]
    assert [(c.text, c.citations) for c in answer.claims] == [(OPEN[0], (2,))]
    assert [c.n for c in answer.citations] == [2]
    assert f"withheld: “…” ({REFUTED_REASON})" in answer.notes


def test_nothing_but_refuted_claims_is_an_abstention(model: ScriptedAgent) -> None:
    """The reason is the same as where wording refutes them."""
    model.server.decider = opinions(0.01)
    answer = model.ask(reply(APART), fallback=False)
    assert (answer.status, answer.reason, answer.claims) == ("abstained", "withheld_unsupported", ())


def test_marking_shows_what_a_second_reader_refutes(model: ScriptedAgent) -> None:
    """It is shown as unsupported."""
    model.server.decider = opinions(0.96, 0.01)
    answer = model.ask(reply(GOOD, OFF), unsupported="mark")
    assert [c.support for c in answer.claims] == ["supported", "unsupported"]


def test_a_second_reader_is_not_asked_beyond_the_limit(
    model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that is paid for stands; a further call that could cost too much is not made."""
    monkeypatch.setattr("paperagent.llm.pricing.cost", lambda usage, model, **_: 0.01 * usage.calls)
    answer = model.ask(reply(OPEN), max_cost=0.015)
    assert ([c.support for c in answer.claims], len(model.server.history)) == (["unverified"], 1)
    assert "not judged: asking it could cost more than the limit" in answer.notes
    assert model.ask(reply(OPEN), {"1": "supported"}, max_cost=0.02).usage.cost_usd == pytest.approx(0.02)


def test_a_second_reader_may_be_another_model(model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PAPERAGENT_JUDGE_MODEL`` names it, at the same address; the note says so."""
    monkeypatch.setenv("PAPERAGENT_JUDGE_MODEL", "other-model")
    with PaperAgent(model.agent.home) as agent:
        answer = ScriptedAgent(model.server, agent).ask(reply(OPEN), {"1": "supported"})
    assert [r.json()["model"] for r in model.requests] == ["test-model", "other-model"]
    assert "judge: other-model confirms 1 of 1 unverified claim" in answer.notes


def test_whether_the_question_is_answered_is_asked_too(model: ScriptedAgent) -> None:
    """With ``always`` a judge that finds no answer in the sentences says so in a note."""
    model.server.decider = opinions(0.97, 0.05)
    answer = model.ask(reply(GOOD), judge="always")
    assert "judge: test-model doubts that these sentences answer the question" in answer.notes
    question = model.server.history[-1].json()["questions"][-1]
    assert question["instructions"] == "The sentences quoted for question 3 state the answer to it."
    assert QUESTION in model.server.history[-1].json()["input"][-1]["content"]


def test_nothing_is_judged_where_nothing_is_claimed(model: ScriptedAgent) -> None:
    """An abstention costs one call."""
    model.ask(reply(verdict="abstain"), judge=True)
    assert len(model.prompts) == 1


# --- faults of the server: the rows of the table that fall to the pipeline ---


@pytest.mark.parametrize(
    "said",
    [
        stream_reply({"refusal": "I cannot help with OWNED."}),
        stream_reply({"content": '{"verdict": "an'}, finish_reason="content_filter"),
        error_reply(400, "filtered", code="content_filter"),
    ],
)
def test_36_37_a_refusal_is_refused(model: ScriptedAgent, said: Reply) -> None:
    """No second call, no claim, and none of the model's own words."""
    answer = model.ask(said)
    assert (answer.status, answer.reason, len(model.prompts)) == ("refused", "refused_by_model", 1)
    assert "OWNED" not in json.dumps(answer.to_dict())
    assert answer.hits


@pytest.mark.parametrize("end", ["reset", "silent"])
def test_09_10_a_cut_stream_keeps_what_was_checked(model: ScriptedAgent, end: str) -> None:
    """The status is incomplete, and nothing is asked again."""
    whole = stream_reply(*({"content": CUT[i : i + 9]} for i in range(0, len(CUT), 9)), finish_reason=None)
    reset = Reply(pieces=[*whole.pieces[:-1], b"data: " + b"x" * 50], headers=whole.headers, reset="body")
    answer = model.ask(reset if end == "reset" else whole)
    assert (answer.status, answer.reason) == ("incomplete", "truncated")
    assert texts(answer) == [GOOD[0]]
    assert any(n.startswith("incomplete:") for n in answer.notes)
    assert (len(model.prompts), answer.usage.calls, answer.usage.estimated) == (1, 1, True)


def test_11_an_error_in_the_stream_keeps_what_was_checked(model: ScriptedAgent) -> None:
    """The status is incomplete with the server's reason, and the call is counted."""
    answer = model.ask(sse_reply(chat_chunk({"content": CUT}), {"error": {"message": "out of memory"}}))
    assert (answer.status, texts(answer)) == ("incomplete", [GOOD[0]])
    assert any("out of memory" in n for n in answer.notes)
    assert answer.usage.calls == 1


def test_11_an_error_before_any_claim_is_raised(model: ScriptedAgent) -> None:
    """With what was retrieved, so that the reader gets at least the papers."""
    model.server.enqueue(sse_reply(chat_chunk({"content": '{"ver'}), {"error": {"message": "no memory"}}))
    with pytest.raises(EndpointError, match="no memory") as caught:
        model.ask()
    assert caught.value.hits
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("key", ["18", "20"])
def test_18_20_a_prompt_that_is_too_long_is_halved_once(model: ScriptedAgent, key: str) -> None:
    """The lowest-ranked papers go, and a note says so."""
    refusals = {
        "18": error_reply(400, "maximum context length exceeded", code="context_length_exceeded"),
        "20": error_reply(413, "too large"),
    }
    answer = model.ask(refusals[key], reply(GOOD))
    first, second = map(titles, model.prompts)
    assert len(first) > 1
    assert second == first[: len(first) // 2]
    assert texts(answer) == [GOOD[0]]
    assert any(f"only the best {len(second)} papers" in n for n in answer.notes)


def test_a_prompt_is_cut_to_the_context(
    model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before it is sent, from the lowest-ranked paper on; one paper is always shown."""
    model.ask(reply(GOOD))
    (whole,) = map(titles, model.prompts)
    monkeypatch.setenv("PAPERAGENT_CONTEXT_TOKENS", "2048")
    with scripted_agent(monkeypatch, tmp_path / "small") as small:
        answer = small.ask(reply(GOOD))
        (cut,) = map(titles, small.prompts)
    assert 1 <= len(cut) < len(whole)
    assert cut == whole[: len(cut)]
    assert any(f"only the best {len(cut)} papers" in n for n in answer.notes)


def test_only_papers_near_the_best_are_sent() -> None:
    """Of one fact two at least, four at most, the third and fourth if they score near the first."""
    hit, none = Hit(Paper("2601.00001", "A title", "A sentence."), 1.0, 1), np.zeros(0)

    def sent(kind: QuestionKind, *scores: float) -> int:
        return len(
            FULL.papers_to_show([PaperMatch(hit, (), none, none, 0.0, score) for score in scores], kind)
        )

    assert sent("single", 3.0) == 1
    assert sent("single", 3.0, 1.1, 1.1) == 2
    assert sent("single", 3.0, 2.9, 2.8, 1.2) == 3
    assert sent("single", 3.0, 2.9, 2.9, 2.9, 2.9) == 4
    assert sent("list", 3.0, *[1.0] * 20) == 8
    assert sent("compare", 3.0, *[2.9] * 20) == 12


def test_18_a_prompt_that_stays_too_long_is_an_error(model: ScriptedAgent) -> None:
    """It is shrunk once only."""
    long = error_reply(400, "maximum context length exceeded", code="context_length_exceeded")
    with pytest.raises(EndpointError) as caught:
        model.ask(long, long, long)
    assert (caught.value.kind, len(model.prompts)) == ("context", 2)


def test_33_an_answer_of_reasoning_alone_gets_a_larger_limit(model: ScriptedAgent) -> None:
    """Once; the reasoning is never shown."""
    thought = stream_reply({"reasoning_content": "The user wants OWNED"}, finish_reason="length")
    answer = model.ask(thought, reply(GOOD))
    limits = [r.json()["max_tokens"] for r in model.requests]
    assert limits == [OUTPUT, 2 * OUTPUT + 2_000]  # now it is known to reason
    assert texts(answer) == [GOOD[0]]
    assert "OWNED" not in json.dumps(answer.to_dict())


def test_35_a_cut_answer_without_a_claim_gets_a_larger_limit_once(model: ScriptedAgent) -> None:
    """Then it is incomplete."""
    cut = stream_reply({"content": '{"verdict": "answer", "claims": [{"te'}, finish_reason="length")
    answer = model.ask(cut, reply(GOOD))
    assert [r.json()["max_tokens"] for r in model.requests] == [OUTPUT, 2 * OUTPUT]
    assert (answer.status, answer.usage.calls) == ("answered", 2)
    answer = model.ask(cut, cut, cut)
    assert (answer.status, answer.reason, answer.claims) == ("incomplete", "truncated", ())
    assert len(model.prompts) == 4


def test_35_a_cut_answer_keeps_its_complete_claims(model: ScriptedAgent) -> None:
    """They were shown, so nothing is asked again."""
    answer = model.ask(stream_reply({"content": CUT}, finish_reason="length"))
    assert (answer.status, texts(answer), len(model.prompts)) == ("incomplete", [GOOD[0]], 1)


def test_32_an_empty_answer_is_asked_for_once_more_in_all(model: ScriptedAgent) -> None:
    """The client's retry is the only one."""
    empty = stream_reply({"content": ""})
    with pytest.raises(EndpointError) as caught:
        model.ask(empty, empty, empty, empty)
    assert (caught.value.kind, len(model.prompts)) == ("empty", 2)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(
    "said", ["I am a poet.", '{"verdict": "maybe"}', '{"verdict": "answer", "claims": [{"evidence": 3}]}']
)
def test_39_a_reply_that_is_no_answer_is_asked_for_once_more(
    model: ScriptedAgent, said: str, *, cache: bool
) -> None:
    """Then it is a typed failure that brings the papers along; the cache does not keep it."""
    assert texts(model.ask(said, reply(GOOD), cache=cache)) == [GOOD[0]]
    model.server.history.clear()
    with pytest.raises(EndpointError) as caught:
        model.ask(said, said, question=ELSEWHERE, cache=cache)
    assert (caught.value.kind, caught.value.exit_code, len(model.prompts)) == ("malformed", 6, 2)
    assert caught.value.hits


@pytest.mark.parametrize("unit", [" ", '{"text": "The same again.", "evidence": ["1.1"]}, '])
def test_41_a_model_that_repeats_itself_is_stopped(model: ScriptedAgent, unit: str) -> None:
    """Long before its limit; what it said before may stay."""
    body = f'{{"verdict": "answer", "claims": [{json.dumps(reply(GOOD)["claims"][0])}, ' + unit * 3000
    answer = model.ask(body)
    assert (answer.status, texts(answer)[0]) == ("incomplete", GOOD[0])
    assert answer.usage.output_tokens < 3000
    assert len(model.prompts) == 1


def test_45_a_repeated_call_makes_one_answer(model: ScriptedAgent) -> None:
    """A reset before the first text is asked again inside the client: no claim appears twice."""
    model.server.enqueue(Reply(reset="start"), path=CHAT)
    answer = model.ask(reply(GOOD), cache=True)
    assert texts(answer) == [GOOD[0]]
    assert len(model.prompts) == 2
    assert texts(model.ask(cache=True)) == [GOOD[0]]


def test_48_leaving_early_closes_the_connection(model: ScriptedAgent) -> None:
    """What was shown stays with the caller; the server is not read to its end."""
    model.server.enqueue_answer(reply(GOOD, *[SECOND] * 30), chunk=5, pause=0.005)
    events = model.agent.ask_stream(QUESTION, cache=False)
    assert [next(events).kind, next(events).kind] == ["retrieved", "claim"]
    events.close()
    deadline = time.monotonic() + 30
    while not model.server.hung_up and time.monotonic() < deadline:
        time.sleep(0.01)
    assert model.server.hung_up == 1


# --- money ---


GPT_4O = "2.5,10,1.25"
"""A price, for a model on this machine costs nothing by itself."""


def test_an_answer_that_could_cost_too_much_is_refused_before_the_call(model: ScriptedAgent) -> None:
    """Nothing is sent, and the message says what it could cost."""
    model.set(price=GPT_4O)
    answer = model.ask(max_cost=0.0001)
    assert (answer.status, answer.reason, model.server.history) == ("refused", "over_budget", [])
    assert (answer.usage.calls, answer.usage.cost_usd) == (0, 0.0)
    assert "$0.0001" in answer.answer
    assert answer.hits


def test_a_limit_without_a_price_is_refused(model: ScriptedAgent) -> None:
    """What cannot be priced cannot be kept under a limit; the message says how to name the price."""
    model.set(openai_base_url="http://model.invalid/v1")
    answer = model.ask(max_cost=10.0)
    assert (answer.status, answer.reason, model.server.history) == ("refused", "over_budget", [])
    assert "test-model is not known" in answer.answer
    assert "set PAPERAGENT_PRICE=INPUT,OUTPUT in US dollars per million tokens" in answer.answer


def test_the_second_call_is_refused_where_the_first_used_the_limit_up(model: ScriptedAgent) -> None:
    """What the first answered stays; the repair is not made."""
    model.set(price=GPT_4O)
    costly = {"prompt_tokens": 1_000_000, "completion_tokens": 10}
    model.server.enqueue_answer(reply(GOOD, WRONG), usage=costly)
    answer = model.ask(unsupported="repair", max_cost=1.0)
    assert (answer.status, texts(answer), len(model.prompts)) == ("answered", [GOOD[0]], 1)
    assert any(n.startswith("no repair: Not asked") for n in answer.notes)


USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}


def test_a_model_on_this_machine_costs_nothing_unless_its_price_is_named(model: ScriptedAgent) -> None:
    """Its own name does not price it, even under a limit; `PAPERAGENT_PRICE` does."""
    model.server.enqueue_answer(reply(GOOD), usage=USAGE)
    assert model.ask(model="gpt-4o", max_cost=0.0).usage.cost_usd == 0
    model.set(price=GPT_4O)
    model.server.enqueue_answer(reply(GOOD), usage=USAGE)
    assert model.ask(model="gpt-4o").usage.cost_usd == pytest.approx(2.5)


@pytest.mark.parametrize(("name", "dollars"), [("gpt-6-luna", 0.1), ("my-own-model", None)])
def test_elsewhere_the_price_goes_by_the_name(model: ScriptedAgent, name: str, dollars: float | None) -> None:
    """Without a limit an unknown model is asked too, and its cost is None, not zero."""
    model.set(openai_base_url=None, mode="llm")
    model.agent._llm = ChatModel(name, base_url=model.server.url)
    model.server.enqueue_answer(reply(GOOD), usage=USAGE)
    answer = model.ask()
    assert answer.status == "answered"
    assert answer.usage.cost_usd == (None if dollars is None else pytest.approx(dollars))


# --- conversations ---


def test_a_follow_up_brings_the_conversation_along(model: ScriptedAgent) -> None:
    """The prompt holds the earlier turns before the question; without history it has none."""
    history = [("What is Tindersift?", "A filter of 22 million parameters. [1]")]
    model.ask(reply(GOOD), question="How much does it shorten the prompt?", history=history)
    user = model.requests[0].messages[-1]["content"]
    assert user.index("A filter of 22 million") < user.index("How much does it shorten")
    model.ask(reply(GOOD))
    assert "Earlier in this conversation" not in model.prompts[1]


def test_the_paper_cited_before_is_the_first_passage(model: ScriptedAgent) -> None:
    """Though the question names no topic, and other papers have more of its words."""
    earlier = model.ask(reply(GOOD))
    model.ask(reply(GOOD), question="and how much latency does it have?", history=[earlier])
    assert "[1] Tindersift" in model.prompts[-1]


def test_the_conversation_is_bounded(model: ScriptedAgent) -> None:
    """The latest turns stay; of one that is too long its beginning does."""
    history = [(f"question {i}", "word " * 60) for i in range(20)]
    model.ask(reply(GOOD), history=history)
    user = model.requests[0].messages[-1]["content"]
    assert "question 19" in user
    assert "question 3\n" not in user
    start = user.index("Earlier in this conversation")
    assert user.index(f"Question: {QUESTION}") - start < MAX_CONVERSATION_LENGTH + 100
    model.ask(reply(GOOD), history=[("the only one", "long " * 5000)])
    told = model.prompts[1].partition(f"Question: {QUESTION}")[0].partition("Earlier in this conversation")[2]
    assert "Reader: the only one\nAnswer: long long" in told
    assert len(told) < MAX_CONVERSATION_LENGTH + 100
