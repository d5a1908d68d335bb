"""An answer, a digest or a summary whose citation misses its sentence is never returned."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paperagent import PaperAgent
from paperagent.answering import citations
from paperagent.digest.write import writer
from paperagent.errors import PaperAgentError
from paperagent.types import Citation, Paper, Sentence
from sample_library import paper_titled, plain_agent
from scripted_agent import GOOD, ScriptedAgent, reply, scripted_agent

QUESTION = "How much of the prompt does Tindersift remove?"
original = citations.cite


@pytest.fixture
def agent() -> Iterator[PaperAgent]:
    with plain_agent() as agent:
        yield agent


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    with scripted_agent(monkeypatch, tmp_path / "library") as model:
        yield model


def shifted(n: int, paper: Paper, sentence: Sentence) -> Citation:
    citation = original(n, paper, sentence)
    return replace(citation, start=citation.start + 1, end=citation.end + 1)


def break_offsets(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Shift the offsets of every citation that the modules make, by default of all."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "cite", None) is original and name in (modules or (name,)):
            monkeypatch.setattr(module, "cite", shifted)


def test_ask_withholds_a_broken_offset(agent: PaperAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agent.ask(QUESTION).citations
    break_offsets(monkeypatch)
    with pytest.raises(PaperAgentError, match=r"answer withheld: citation .* is not what the abstract says"):
        agent.ask(QUESTION)


def test_a_model_answer_withholds_a_broken_offset(
    model: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extractive answer made first is right here, so only the check of the model's answer can fail."""
    assert model.ask(reply(GOOD)).citations
    break_offsets(monkeypatch, "paperagent.answering.claims")
    with pytest.raises(PaperAgentError, match=r"answer withheld: citation .* is not what the abstract says"):
        model.ask(reply(GOOD))


def test_a_digest_withholds_a_broken_offset(agent: PaperAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agent.digest("2026-W27").citations
    break_offsets(monkeypatch)
    with pytest.raises(PaperAgentError, match="issue 2026-W27 withheld: citation"):
        agent.digest("2026-W27")


def test_a_summary_of_one_paper_withholds_a_broken_offset(
    agent: PaperAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [paper_titled("Tindersift").paper_id]
    assert agent.summarize(ids=ids).citations
    break_offsets(monkeypatch)
    with pytest.raises(PaperAgentError, match=r"answer withheld: citation .* is not what the abstract says"):
        agent.summarize(ids=ids)


def test_a_summary_of_a_topic_withholds_a_broken_offset(
    agent: PaperAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the finished summary fails even where the check of the issue under it does not."""
    assert agent.summarize("retrieval").citations
    break_offsets(monkeypatch)
    with pytest.raises(PaperAgentError, match="issue retrieval withheld: citation"):
        agent.summarize("retrieval")
    monkeypatch.setattr(writer, "check_issue", lambda issue, papers: issue)
    with pytest.raises(PaperAgentError, match=r"answer withheld: citation .* is not what the abstract says"):
        agent.summarize("retrieval")
