"""Replies in other shapes than the one asked for, through the whole of `PaperAgent.ask`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperagent.errors import EndpointError
from paperagent.testing import CHAT, Style, chat_reply
from scripted_agent import GOOD, QUESTION, SECOND, ScriptedAgent, scripted_agent

ONE = json.dumps({"text": GOOD[0], "evidence": [GOOD[1]]})
TWO = json.dumps({"text": SECOND[0], "evidence": [SECOND[1]]})
WHOLE = {
    "verdict": "answer",
    "claims": [json.loads(ONE), json.loads(TWO)],
    "missing": "",
    "queries": [],
}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library") as made:
        yield made


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WHOLE),
        json.dumps({**WHOLE, "missing": None, "queries": None}),
        json.dumps({"claims": WHOLE["claims"]}),
        json.dumps({"Claims": WHOLE["claims"], "confidence": 0.9, "Verdict": "Answer"}),
        json.dumps({"response": WHOLE}),
        json.dumps([WHOLE]),
        f'{{"verdict": "answer"}}\n{ONE}\n{TWO}\n',
        f'{{"verdict": "answer", "claims": [{ONE}]}}\n{{"verdict": "answer", "claims": [{TWO}]}}',
        f'{{"verdict": "answer", "claims": [{ONE}, {TWO},],}}',
        f'{{"verdict": "answer", "claims": [{ONE}, {{"text": ""}}, {TWO}',
        repr(WHOLE),
        f'{{"verdict": "answer", "claims": [{ONE}, {TWO.replace("[", "").replace("]", "")}]}}',
        ONE.replace('"1.3"', "1.3") + TWO.replace('["1.4"]', '{"id": "1.4"}'),
        f'{{"verdict": "answer", "claims": ["{GOOD[0]} [{GOOD[1]}]", "{SECOND[0][:-1]} [S{SECOND[1]}]."]}}',
        json.dumps([{"claim": GOOD[0], "sources": "[1.3]"}, {"statement": SECOND[0], "ref": "1.4 and 1.4"}]),
        f"<think>Is {{it}} there?</think>Here:\n```json\n{json.dumps(WHOLE, indent=1)}\n```\nIs {{that}} it?",
    ],
)
def test_the_answer_is_the_same_in_every_shape(model: ScriptedAgent, text: str) -> None:
    """One call, both claims, their citations at the right sentences."""
    answer = model.ask(text)
    assert (answer.status, len(model.requests)) == ("answered", 1)
    assert [c.text for c in answer.claims] == [GOOD[0], SECOND[0]]
    assert ["removes 61%" in answer.citations[0].quote, "2.9 to 1.6" in answer.citations[1].quote] == [
        True
    ] * 2


def test_a_range_points_at_each_of_its_sentences(model: ScriptedAgent) -> None:
    """Both sentences are cited."""
    text = json.dumps({"verdict": "answer", "claims": [{"text": GOOD[0], "evidence": "1.3-1.4"}]})
    answer = model.ask(text)
    assert len(answer.claims[0].citations) == 2
    assert "2.9 to 1.6" in answer.citations[1].quote


def test_latex_reaches_the_claim_unharmed(model: ScriptedAgent) -> None:
    """A backslash that happens to begin an escape is not lost on the way."""
    claim = f'{{"text": "{GOOD[0]} Here $\\theta \\neq \\beta$.", "evidence": ["1.3"]}}'
    answer = model.ask(f'{{"verdict": "answer", "claims": [{claim}]}}', unsupported="mark")
    assert answer.claims[0].text.endswith("Here θ ≠ β.")


def test_each_line_is_shown_before_the_next_is_written(model: ScriptedAgent) -> None:
    """One claim a line streams like the object asked for."""
    text = f'{{"verdict": "Answer"}}\n{ONE}\n{TWO}\n{{"missing": ""}}'
    model.server.enqueue(lambda request: chat_reply(request, text, Style(chunk=20, pause=0.02)), path=CHAT)
    events = [(event.kind, time.monotonic()) for event in model.agent.ask_stream(QUESTION, cache=False)]
    first, second, done = (at for kind, at in events if kind != "retrieved")
    assert [kind for kind, _ in events] == ["retrieved", "claim", "claim", "done"]
    assert min(second - first, done - second) > 0.02


@pytest.mark.parametrize("text", ["Tindersift removes 61% [1.3].", '{"sum": 1}', "[1.3]"])
def test_what_is_no_reply_stays_a_typed_failure(model: ScriptedAgent, text: str) -> None:
    """After a second try: prose, another object, a pointer alone."""
    with pytest.raises(EndpointError) as caught:
        model.ask(text, text)
    assert (caught.value.kind, len(model.requests)) == ("malformed", 2)
