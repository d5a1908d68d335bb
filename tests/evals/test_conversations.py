"""Conversations of cases, in which the agent's own answers are the history."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from example_answers import ABSTAINED, PAPERS, RIGHT, answer, case
from test_runner import FakeAgent

import sample_library
from paperagent.agent import PaperAgent
from paperagent.errors import EvalError
from paperagent.evals import cases, runner
from paperagent.evals.conversations import Conversations, by_conversation
from paperagent.evals.runner import RunConfig
from paperagent.evals.scorers.content import correct, turn_correct
from paperagent.types import Answer
from paths import ROOT

SETUP = RunConfig(name="c", mode="extractive")
CHAIN = [
    case(id="a", question="Filter?"),
    case(id="b", question="Cache?", follows="a"),
    case(id="c", question="Bread?", follows="b", answerable=False),
    case(id="x", question="Filter?"),
]


def test_a_case_gets_the_answers_before_it(tmp_path: Path) -> None:
    agent = FakeAgent()
    runner.run_cases(agent, CHAIN, SETUP, tmp_path / "r")  # type: ignore[arg-type]
    filtered, cached = agent.answers["Filter?"], agent.answers["Cache?"]
    assert [o["history"] for o in agent.options] == [[], [filtered], [filtered, cached], []]


def test_a_resumed_run_goes_on_with_the_recorded_answers(tmp_path: Path) -> None:
    agent = FakeAgent(Bread=EvalError("case: broken; wait"))
    runner.run_cases(agent, CHAIN, SETUP, tmp_path / "r")  # type: ignore[arg-type]
    again = FakeAgent()
    runner.run_cases(again, CHAIN, SETUP, tmp_path / "r")  # type: ignore[arg-type]
    history = again.options[0]["history"]
    assert again.asked == ["Bread?"]
    assert [turn["citations"][0]["paper_id"] for turn in history] == ["p1", "p1"]


def test_conversations_are_asked_in_order_at_the_same_time(tmp_path: Path) -> None:
    agent, both = FakeAgent(), threading.Barrier(2, timeout=10)
    agent.during = lambda: both.wait() if len(agent.asked) <= 2 else None
    chains = [
        case(id=f"{n}{i}", question="Filter?", follows=f"{n - 1}{i}" if n else None)
        for i in "xy"
        for n in (0, 1)
    ]
    assert [[c.id for c in group] for group in by_conversation(chains)] == [["0x", "1x"], ["0y", "1y"]]
    _, rows = runner.run_cases(agent, chains, RunConfig("c", "extractive", concurrency=2), tmp_path / "r")  # type: ignore[arg-type]
    assert [row.id for row in rows] == ["0x", "1x", "0y", "1y"]
    assert sorted(len(o["history"]) for o in agent.options) == [0, 0, 1, 1]


def test_turns_of_text_keep_the_papers_that_they_cite() -> None:
    """Under their current ids."""
    turns: list[Any] = [["Q", "A [1]", ["old", "gone"]], ["Q", "A"]]
    earlier = case(history=turns)
    assert cases.parse([cases.to_line(earlier)], "f").__next__() == earlier
    assert earlier.paper_ids == ("old", "gone")
    assert Conversations({"old": PAPERS["p2"]}).history(earlier) == [
        ("Q", "A [1]", ["p2", "gone"]),
        ("Q", "A"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "question": "Why?", "follows": "b"}', "follows b, which is not an earlier case"),
        ('{"id": "a", "question": "Why?", "follows": "a"}', "follows a, which is not an earlier case"),
        ('{"id": "a", "question": "Why?", "follows": "b", "history": [["q", "a"]]}', "give only one of them"),
    ],
)
def test_cases_that_follow_nothing(line: str, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        list(cases.parse([line], "f"))


def test_only_later_turns_are_scored_as_turns() -> None:
    right, doubtful = (
        answer(RIGHT),
        Answer("Why?", "doubtful", "low_confidence", "", (RIGHT,), answer(RIGHT).citations),
    )
    assert turn_correct(case(), right, PAPERS) is None
    assert turn_correct(case(follows="a"), right, PAPERS) == 1
    assert turn_correct(case(follows="a", gold_ids=["p2"]), right, PAPERS) == 0
    unanswerable = case(history=[["q", "a"]], answerable=False)
    assert [turn_correct(unanswerable, a, PAPERS) for a in (ABSTAINED, doubtful, right)] == [1, 1, 0]
    no_authors = Answer("who wrote it?", "answered", None, "The feed gives no authors.", kind="library")
    assert turn_correct(unanswerable, no_authors, PAPERS) == 1


def test_a_paper_that_must_not_be_cited() -> None:
    assert correct(case(not_cited=["p1"]), answer(RIGHT), PAPERS) == 0
    assert correct(case(not_cited=["p2"]), answer(RIGHT), PAPERS) == 1


TURNS = [
    ("What does Tindersift do?", "Tindersift", "filter"),
    ("how many parameters does it have?", "Tindersift", "22 million"),
    ("and the latency?", "Tindersift", "1.6 seconds"),
    ("on how many pairs is it trained?", "Tindersift", "48,000"),
    ("How does Nettlegraph link sentences of two papers?", "Nettlegraph", "rare technical term"),
    ("how long does building the graph take?", "Nettlegraph", "14 minutes"),
    ("which limitation does it have", "Nettlegraph", "vocabulary"),
]
"""A conversation over the sample feed: question, start of the title, fact."""


@pytest.mark.parametrize("agent", [sample_library.plain_agent, sample_library.model_agent])
def test_a_conversation_over_the_sample_feed(agent: Any) -> None:
    """Each turn quotes its paper, also after a change of topic."""
    asking: PaperAgent = agent()
    history: list[Answer] = []
    for question, title, fact in TURNS:
        reply = asking.ask(question, history=history, mode="extractive")
        assert reply.citations[0].title.startswith(title), question
        assert fact in reply.answer, question
        history.append(reply)
    picked = asking.ask("and the first one, how many tokens does it remove?", history=history[:1])
    assert "61%" in picked.answer


@pytest.mark.parametrize("agent", [sample_library.plain_agent, sample_library.model_agent])
def test_a_question_for_itself_is_answered_as_without_history(agent: Any) -> None:
    asking: PaperAgent = agent()
    earlier = asking.ask("What does Tindersift do?", mode="extractive")
    for question in ("How reliable are the majority labels in Glasswarden?", "recipe for sourdough bread"):
        alone, after = (asking.ask(question, history=h, mode="extractive") for h in ([], [earlier]))
        assert after.citations == alone.citations
        assert (after.status, after.confidence) == (alone.status, alone.confidence)


def test_our_conversations_are_in_halves_without_common_papers() -> None:
    ours = cases.load(ROOT / "eval/cases/followups.jsonl")
    turns = [c for c in ours if c.follows or c.history]
    papers = [{i for c in ours if tag in c.tags for i in c.gold_ids} for tag in ("dev", "held-back")]
    assert len(turns) >= 100
    assert not papers[0] & papers[1]
    assert {c.tags for c in ours} == {("dev",), ("held-back",)}
