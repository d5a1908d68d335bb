"""Recording what a model says over real HTTP, and saying it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_answers import case

from paperagent import PaperAgent
from paperagent.errors import EndpointError
from paperagent.evals import results, runner
from paperagent.evals.cases import Case
from paperagent.evals.replay import Recorder, Replayer, numbered_sentences, reply_pointers, repoint
from paperagent.evals.results import ModelCall, Row
from paperagent.evals.runner import RunConfig
from paperagent.factory import open_model
from paperagent.testing import CHAT, error_reply
from sample_library import home
from scripted_agent import GOOD, QUESTION, SECOND, WRONG, ScriptedAgent, reply, scripted_agent

CASES = [
    case(id="tokens", question=QUESTION, must_include=["61%"]),
    case(id="latency", question="What does Tindersift do to the latency?", must_include=["1.6"]),
]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library") as opened:
        yield opened


def record(at: ScriptedAgent, out: Path, *, cases: list[Case] | None = None, **options: Any) -> list[Row]:
    """Run the cases with the scripted model and return the rows."""
    recorder = Recorder(open_model(at.agent.settings, None))
    with PaperAgent(settings=at.agent.settings, endpoint=recorder) as agent:
        setup = RunConfig("c", "llm", model=recorder.model, recorder=recorder, **options)
        return runner.run_cases(agent, cases or CASES, setup, out)[1]


def replay(kept: list[Row], out: Path, *, cases: list[Case] | None = None, **options: Any) -> list[Row]:
    """Run them again without any model, over the library of the tests."""
    recorder = Replayer("test-model", kept)
    with PaperAgent(home(), embedder="none", endpoint=recorder) as agent:
        return runner.run_cases(
            agent, cases or CASES, RunConfig("c", "llm", recorder=recorder, **options), out
        )[1]


def test_a_replay_gives_the_same_answers_without_a_model(at: ScriptedAgent, tmp_path: Path) -> None:
    """Claims, scores and counts are those of the recording; the cost is not paid again."""
    at.server.enqueue_answer(reply(GOOD, WRONG))
    at.server.enqueue_answer(reply(SECOND))
    before = record(at, tmp_path / "r")
    after = replay(results.load(tmp_path / "r")[1], tmp_path / "s")
    assert len(at.requests) == 2
    same = set(before[0].scores) - {"latency_ms", "cost_usd"}
    for old, new in zip(before, after, strict=True):
        assert old.answer is not None
        assert new.answer is not None
        assert (old.answer["claims"], old.raw) == (new.answer["claims"], new.raw)
        assert {n: old.scores[n] for n in same} == {n: new.scores[n] for n in same}
    assert before[0].scores["claims_withheld"] == 1.0
    assert before[0].scores["input_tokens"]


def test_what_is_kept_of_a_call(at: ScriptedAgent, tmp_path: Path) -> None:
    """The reply to the letter, why it ended, its tokens, and the sentences that it points at."""
    at.server.enqueue_answer(reply(GOOD))
    (row,) = record(at, tmp_path / "r", cases=CASES[:1])
    assert row.raw is not None
    (call,) = row.raw
    assert (call.schema_name, call.finish_reason, call.usage["calls"]) == ("answer", "stop", 1)
    assert GOOD[0] in call.text
    assert list(call.shown) == ["1.3"]
    assert "removes 61%" in call.shown["1.3"]


def test_several_cases_at_once_keep_their_own_replies(at: ScriptedAgent, tmp_path: Path) -> None:
    """Each thread's calls go to the case that it asks."""
    at.server.responder = lambda request: reply(
        GOOD if f"Question: {QUESTION}\n" in request.messages[-1]["content"] else SECOND
    )
    first, second = record(at, tmp_path / "r", concurrency=2)
    assert first.raw is not None
    assert second.raw is not None
    assert (GOOD[0] in first.raw[0].text, SECOND[0] in second.raw[0].text) == (True, True)


def test_a_second_search_is_replayed_in_order(at: ScriptedAgent, tmp_path: Path) -> None:
    """A case of several calls gives them back one after another."""
    at.server.enqueue_answer(reply(verdict="search", queries=["Tindersift latency"]))
    at.server.enqueue_answer(reply(GOOD))
    (before,) = record(at, tmp_path / "r", cases=CASES[:1])
    (after,) = replay([before], tmp_path / "s", cases=CASES[:1])
    assert before.raw is not None
    assert len(before.raw) == 2
    assert after.raw == before.raw
    assert after.failure is before.failure is None


def test_an_error_stays_an_error(at: ScriptedAgent, tmp_path: Path) -> None:
    """What failed when it was recorded, and what was never recorded, is no answer in a replay either."""
    at.server.enqueue(error_reply(401, "no"), path=CHAT)
    at.server.enqueue_answer(reply(SECOND))
    kept = record(at, tmp_path / "r", options={"fallback": False})
    assert [r.state for r in kept] == ["error", "ok"]
    after = replay(kept, tmp_path / "s", cases=[*CASES, case(id="new", question="What is Quorvex?")])
    assert [(r.id, r.state) for r in after] == [("tokens", "error"), ("latency", "ok"), ("new", "error")]
    assert "recorded case ended in an error" in (after[0].error or "")
    assert "was not recorded" in (after[2].error or "")


def test_what_was_quoted_for_a_failure_is_quoted_again(at: ScriptedAgent, tmp_path: Path) -> None:
    """A server that failed fails in the replay, in the same words; the run says how many did."""
    at.server.enqueue(error_reply(401, "no"), path=CHAT)
    at.server.enqueue_answer(reply(SECOND))
    kept = record(at, tmp_path / "r")
    assert [(r.state, r.server_failed, r.scores["quoted_instead"]) for r in kept] == [
        ("ok", True, 1.0),
        ("ok", False, 0.0),
    ]
    after = replay(kept, tmp_path / "s")
    assert [r.answer and r.answer["notes"] for r in after] == [r.answer and r.answer["notes"] for r in kept]
    assert [r.answer and r.answer["answer"] for r in after] == [r.answer and r.answer["answer"] for r in kept]


def test_a_failure_is_asked_again_when_a_run_is_taken_up(at: ScriptedAgent, tmp_path: Path) -> None:
    """Running into the same folder asks what was quoted since the server failed; the rest stays."""
    warned: list[str] = []
    at.server.enqueue(error_reply(401, "no"), path=CHAT)
    at.server.enqueue_answer(reply(SECOND))
    with PaperAgent(settings=at.agent.settings, endpoint=open_model(at.agent.settings, None)) as agent:
        setup = RunConfig("c", "llm", model="test-model")
        runner.run_cases(agent, CASES, setup, tmp_path / "r", warn=warned.append)
        at.server.enqueue_answer(reply(GOOD))
        rows = runner.run_cases(agent, CASES, setup, tmp_path / "r", warn=warned.append)[1]
    assert len(at.prompts) == 3
    assert not any(row.server_failed for row in rows)
    assert len(warned) == 1
    assert "its server failed for 1 of 2 answers" in warned[0]


def test_a_call_that_was_not_made_then_cannot_be_answered(at: ScriptedAgent, tmp_path: Path) -> None:
    """A replay with a judge, recorded without one, says so with the answer instead of making one up."""
    at.server.enqueue_answer(reply(GOOD))
    kept = record(at, tmp_path / "r", cases=CASES[:1])
    (row,) = replay(kept, tmp_path / "s", cases=CASES[:1], options={"judge": True})
    assert row.answer is not None
    assert any(
        "case tokens has no recorded reply for this call (judge)" in note for note in row.answer["notes"]
    )


CALL = ModelCall(
    schema_name="answer",
    text='{"claims": [{"text": "See 1.2 and 7.4 points.", "evidence": ["1.2", "2.1", "9.9"]}]}',
    shown={"1.2": "First.", "2.1": "Second."},
)


def prompt(*lines: str) -> list[dict[str, str]]:
    """Return messages that show these numbered sentences."""
    return [{"role": "system", "content": "1.2 not here"}, {"role": "user", "content": "\n".join(lines)}]


def test_pointers_follow_their_sentences() -> None:
    """In another prompt the same sentences are pointed at; numbers in the claim's words stay."""
    assert repoint(CALL, prompt("1.2 First.", "2.1 Second.")) == CALL.text
    moved = repoint(CALL, prompt("3.1 Second.", "4.7 First."))
    assert '"evidence": ["4.7", "3.1", "999.999"]' in moved
    assert "See 1.2 and 7.4 points." in moved
    assert '"evidence": ["999.999", "1.1", "999.999"]' in repoint(CALL, prompt("1.1 Second."))


def test_pointers_are_read_where_they_are_meant() -> None:
    """In evidence, whatever its form, and nowhere else; sentences only in the last message."""
    assert reply_pointers('{"text": "5.5", "evidence": "1.2"}, {"evidence": [3.4, "1.2"]}') == ["1.2", "3.4"]
    assert numbered_sentences(prompt("[1] Title", "1.1 A b.", " 1.2 no")) == {"1.1": "A b."}


def test_nothing_is_answered_outside_a_case() -> None:
    """A replay refuses a case that it does not have before anything is asked."""
    with pytest.raises(EndpointError, match="case x was not recorded"), Replayer("m", []).for_case("x"):
        pass
