"""Replies that are kept, so that the same call is never paid for twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperagent import PaperAgent
from paperagent.errors import EndpointError
from paperagent.llm import cache
from paperagent.testing import Request, ScriptedServer, error_reply, stream_reply
from paths import ROOT
from scripted_agent import GOOD, QUESTION, SECOND, WRONG, ScriptedAgent, reply, scripted_agent

NOTE = "answered from the cache: no call was made"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    """Return a scripted agent whose model answers everything with one supported claim."""
    with scripted_agent(monkeypatch, tmp_path / "library") as made:
        made.server.responder = lambda _: reply(GOOD)
        yield made


def file(model: ScriptedAgent) -> Path:
    return model.agent.home / "answers.db"


def kept(model: ScriptedAgent) -> int:
    with sqlite3.connect(file(model)) as db:
        count = int(db.execute("SELECT count(*) FROM reply").fetchone()[0])
    db.close()
    return count


def test_the_same_question_costs_one_call(model: ScriptedAgent) -> None:
    """The second answer is the first, made without a call, and says so."""
    first, second = model.ask(cache=True), model.ask(cache=True)
    assert len(model.requests) == 1
    assert (second.claims, second.citations, second.answer) == (first.claims, first.citations, first.answer)
    assert NOTE in second.notes
    assert NOTE not in first.notes
    assert (second.usage.calls, second.usage.input_tokens, second.usage.cost_usd) == (0, 0, 0.0)


def test_the_cache_outlives_the_process(model: ScriptedAgent) -> None:
    """Another agent over the same library finds the reply."""
    model.ask(cache=True)
    with PaperAgent(model.agent.home) as other:
        assert NOTE in other.ask(QUESTION).notes
    assert len(model.requests) == 1


def test_without_the_cache_each_question_is_a_call(model: ScriptedAgent) -> None:
    """The cache is neither read nor written."""
    model.ask(cache=False)
    model.ask(cache=False)
    assert len(model.requests) == 2
    assert not file(model).exists()


def test_the_setting_switches_it_off(model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PAPERAGENT_CACHE=false`` is the same as asking each time without."""
    monkeypatch.setenv("PAPERAGENT_CACHE", "false")
    with PaperAgent(model.agent.home) as other:
        for _ in range(2):
            other.ask(QUESTION)
    assert len(model.requests) == 2


def test_another_model_is_another_call(model: ScriptedAgent) -> None:
    """So is another question or another effort."""
    for options in ({}, {"model": "other"}, {"question": "What does Quorvex do?"}, {"effort": "fast"}):
        model.ask(cache=True, judge="never", **options)
    assert len(model.requests) == 4


def test_another_temperature_or_effort_is_another_call(model: ScriptedAgent, tmp_path: Path) -> None:
    """A retry with another temperature is a new call; an unset temperature is the same as 0."""
    messages = [{"role": "user", "content": "JSON, please."}]

    def ask(effort: str | None = None, **options: float | None) -> None:
        endpoint = model.agent._open_llm(None)
        cached = cache.CachedModel(endpoint, tmp_path / "c.db", endpoint=None, effort=effort)
        call = cached.stream(messages, schema={}, schema_name="answer", max_output_tokens=9, **options)
        with call as pieces:
            list(pieces)

    for options in ({}, {"temperature": None}, {"temperature": 0.0}):
        ask(**options)
    assert len(model.requests) == 1
    ask(temperature=0.7)
    ask(temperature=0.7)
    ask(effort="high")
    assert [r.json()["temperature"] for r in model.requests] == [0.0, 0.7, 0.0]


def test_a_changed_library_is_another_call(model: ScriptedAgent, tmp_path: Path) -> None:
    """A paper that joins the passages changes the prompt, and with it the key."""
    model.ask(cache=True)
    feed = tmp_path / "feed.jsonl"
    paper = {
        "title": "Tindersift shortens the prompt",
        "abstract": "How much Tindersift shortens the prompt.",
    }
    feed.write_text(json.dumps({"id": "2601.00001", **paper}) + "\n")
    model.agent.ingest(feed)
    model.server.responder = lambda _: reply(verdict="abstain")
    assert model.ask(cache=True).status == "abstained"
    assert len(model.requests) == 2


def test_a_changed_prompt_is_another_call(
    model: ScriptedAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wording is part of the key."""
    model.ask(cache=True)
    folder = tmp_path / "prompts"
    folder.mkdir()
    packaged = ROOT / "prompts" / "answer.md"
    (folder / "answer.md").write_text(packaged.read_text("utf-8").replace("Count carefully.", "Count!"))
    monkeypatch.setenv("PAPERAGENT_PROMPTS_DIR", str(folder))
    with PaperAgent(model.agent.home) as other:
        other.ask(QUESTION)
    assert len(model.requests) == 2


def test_every_call_of_an_answer_is_cached(model: ScriptedAgent) -> None:
    """Searches, repairs and judgements are free the second time too."""

    def play(request: Request) -> object:
        if "not_supported" in json.dumps(request.response_format):
            return {"1": "supported", "2": "supported", "3": "supported"}
        if "Claims that failed" in request.messages[-1]["content"]:
            return reply(GOOD)
        if "You may ask for one more search" in request.messages[-1]["content"]:
            return reply(verdict="search", queries=["quantised weights"])
        return reply(SECOND, WRONG)

    model.server.responder = play
    first = model.ask(cache=True, unsupported="repair", judge=True)
    assert (len(model.requests), first.usage.calls) == (4, 4)
    second = model.ask(cache=True, unsupported="repair", judge=True)
    assert (len(model.requests), second.usage.calls) == (4, 0)
    assert second.claims == first.claims


@pytest.mark.parametrize(
    "said",
    [
        stream_reply({"refusal": "No."}),
        stream_reply({"content": '{"ver'}, finish_reason="content_filter"),
        stream_reply({"content": json.dumps(reply(GOOD, SECOND))[:-40]}, finish_reason="length"),
        stream_reply({"content": json.dumps(reply(GOOD, SECOND))[:-40]}, finish_reason=None),
        stream_reply({"content": json.dumps(reply(GOOD))}, finish_reason=None),
    ],
)
def test_refused_and_incomplete_replies_are_not_cached(model: ScriptedAgent, said: object) -> None:
    """Otherwise they would be repeated forever."""
    assert model.ask(said, cache=True).status in ("refused", "incomplete")
    assert kept(model) == 0 if file(model).exists() else True
    assert model.ask(cache=True).status == "answered"


@pytest.mark.parametrize("said", [["I am a poet."] * 2, [error_reply(400, "bad request")]])
def test_failures_are_not_cached(model: ScriptedAgent, said: list[object]) -> None:
    """The next question is a real call."""
    with pytest.raises(EndpointError):
        model.ask(*said, cache=True)
    assert model.ask(cache=True).status == "answered"
    assert kept(model) == 1


def test_an_abandoned_answer_is_not_cached(model: ScriptedAgent) -> None:
    """A partial reply is not stored."""
    model.server.enqueue_answer(reply(GOOD, SECOND), chunk=5, pause=0.01)
    events = model.agent.ask_stream(QUESTION, cache=True)
    assert [next(events).kind, next(events).kind] == ["retrieved", "claim"]
    events.close()
    assert kept(model) == 0


def test_an_abstention_is_cached(model: ScriptedAgent) -> None:
    """An abstention is a complete answer, so a second call would be a waste."""
    model.server.responder = lambda _: reply(verdict="abstain")
    assert [model.ask(cache=True).status for _ in range(2)] == ["abstained", "abstained"]
    assert len(model.requests) == 1


def test_a_broken_cache_costs_a_call_but_not_the_answer(
    model: ScriptedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is not a database is left unchanged, and a warning is logged."""
    file(model).write_bytes(b"this is not a database, whatever its name says" * 50)
    for _ in range(2):
        assert model.ask(cache=True).status == "answered"
    assert len(model.requests) == 2
    assert "answer cache: cannot be read" in caplog.text
    assert file(model).read_bytes().startswith(b"this is not")


def test_a_cache_that_cannot_be_opened_costs_a_call_but_not_the_answer(model: ScriptedAgent) -> None:
    """For example, if a folder is in its place."""
    file(model).mkdir()
    assert model.ask(cache=True).status == "answered"


def test_a_cached_reply_is_checked_again(model: ScriptedAgent) -> None:
    """A cached reply is model output and is not trusted more than a new one."""
    model.ask(cache=True)
    with sqlite3.connect(file(model)) as db:
        db.execute("UPDATE reply SET text = ?", (json.dumps(reply(WRONG)),))
    db.close()
    answer = model.ask(cache=True)
    assert WRONG[0] not in [c.text for c in answer.claims]
    assert answer.claims[0].checks["replaced"]


def test_a_cached_reply_is_given_under_any_cost_limit(model: ScriptedAgent) -> None:
    """`--max-cost` limits spending, and a cached reply costs nothing."""
    model.ask(cache=True, model="gpt-4o")
    again = model.ask(cache=True, model="gpt-4o", max_cost=0.0)
    assert (again.status, again.usage.cost_usd, len(model.requests)) == ("answered", 0.0, 1)


def test_another_server_is_another_call(model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the same name at another address is another model."""
    model.ask(cache=True)
    with ScriptedServer() as other:
        other.responder = lambda _: reply(SECOND)
        monkeypatch.setenv("OPENAI_BASE_URL", other.url)
        with PaperAgent(model.agent.home) as agent:
            answer = agent.ask(QUESTION)
    assert NOTE not in answer.notes
    assert [c.text for c in answer.claims] == [SECOND[0]]


def test_the_cache_size_is_limited(model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest replies go first."""
    monkeypatch.setattr(cache, "MAX_REPLIES", 20)
    for n in range(22):
        model.ask(cache=True, question=f"{QUESTION} And number {n}?")
    assert kept(model) <= 20
    calls = len(model.requests)
    model.ask(cache=True, question=f"{QUESTION} And number 21?")
    assert len(model.requests) == calls
