"""The comparison of a local model with quoting alone, over a scripted server."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import local
import pytest

from paperagent.feeds.reader import sample_path
from paperagent.testing import Request, ScriptedServer, chat_reply

CASES = [
    {
        "id": "shorter",
        "question": "Which passages does Tindersift remove?",
        "gold_titles": ["Tindersift: Filtering Retrieved Passages Before They Reach the Model"],
        "evidence": ["keeps only those sentences that are likely to matter"],
        "must_include": ["likely to matter"],
    },
    {"id": "nowhere", "question": "Who won the cup final in Ghana?", "kind": "unanswerable"},
]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a folder of test data: the sample feed and two questions."""
    folder = tmp_path / "shared"
    (folder / "seeds").mkdir(parents=True)
    (folder / "data/questions").mkdir(parents=True)
    shutil.copy(sample_path(), folder / "seeds/feed.txt")
    lines = "".join(json.dumps(case) + "\n" for case in CASES)
    (folder / "data/questions/dev.jsonl").write_text(lines, encoding="utf-8")
    return folder


def choosing_the_evidence(request: Request) -> object:
    """Choose the sentence that holds the fact."""
    lines = request.messages[-1]["content"].splitlines()
    numbers = [int(line.split()[0]) for line in lines if "likely to matter" in line]
    return chat_reply(request, {"sentences": numbers})


def test_ways_are_compared_over_the_same_cases(monkeypatch, capsys, shared, tmp_path):
    """Each way is a run of its own; a second call asks nothing again and prints the same."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setenv("PAPERAGENT_MODEL", "test-model")
    arguments = ["--shared", str(shared), "--out", str(tmp_path / "out"), "--json"]
    with ScriptedServer() as server:
        server.responder = choosing_the_evidence
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert local.main(arguments) == 0
        first = json.loads(capsys.readouterr().out)
        asked = len(server.history)
        assert local.main(arguments) == 0
        assert json.loads(capsys.readouterr().out) == first
        assert len(server.history) == asked
    assert first["cases"] == 2
    quoted, chosen = first["ways"]["extractive"], first["ways"]["select"]
    assert (quoted["all facts"], chosen["all facts"]) == (1.0, 1.0)
    assert (quoted["begins with the evidence"], chosen["begins with the evidence"]) == (0.0, 1.0)
    assert (quoted["output tokens"], chosen["quoted instead"]) == (0.0, 0.0)
    assert chosen["output tokens"] > 0
    assert "PAPERAGENT_PROFILE" not in os.environ


def test_the_table_is_markdown(monkeypatch, capsys, shared, tmp_path):
    """A figure a line, a column a way."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    local.main(["--shared", str(shared), "--out", str(tmp_path / "out"), "--way", "extractive"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[:3] == ["2 questions", "| | extractive |", "|---|---|"]
    assert "| all facts | 1.00 |" in printed
