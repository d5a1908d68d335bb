"""Libraries of the sample feed, created once per test run: without vectors, and with the real model."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from paperagent import Answer, Paper, PaperAgent
from paperagent.embedding.minilm import find_model_folder
from paperagent.factory import EmbeddingModels
from paperagent.feeds.reader import open_feed, sample_path

QUESTIONS = (
    "How much of the prompt does Tindersift remove?",
    "Which optimiser uses less memory than Adam?",
    "How many parameters does Quorvex have?",
    "Which papers are about retrieval?",
    "list papers on agents that call tools",
    "How do Orlanthe and Wickerlane differ?",
    "Compare Cobaltine with Ferrowin on low-resource languages",
    "What is the energy of fine-tuning a 7B model, and what do counters miss?",
    "Does chain-of-thought prompting help with irony?",
    "How reliable are the majority labels in Glasswarden?",
    "What's new on speech recognition?",
    "Who discovered the structure of DNA?",
    "recipe for sourdough bread",
    "tindersfit latancy",
    "Was hilft gegen eingebettete Anweisungen?",
    "読み取り 図表",
    "[1] [2.3] {0} %s $(id) <b>bold</b> retrieval",
    "forgetting " * 500,
)
"""Questions of every kind: facts, lists, comparisons, unanswerable, with typos, in other scripts, hostile."""

MARKER = re.compile(r"\[(\d+)\]")


def folder() -> Path:
    """Return a new folder that is deleted when the test run ends."""
    path = Path(tempfile.mkdtemp(prefix="paperagent-test-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def home() -> Path:
    """Return the folder of a library of the sample feed, without vectors. Do not write to it."""
    path = folder()
    with plain_agent(path) as agent:
        agent.ingest(sample_path(), date="2026-07-01")
    return path


def plain_agent(place: Path | None = None) -> PaperAgent:
    """Return an extractive agent without an embedding model; by default of the sample library."""
    return PaperAgent(place or home(), embedder="none", mode="extractive")


def models(encoder: Any) -> EmbeddingModels:
    """Return the embedding models of an agent that uses ``encoder`` for everything."""
    return EmbeddingModels(encoder, encoder)


@functools.cache
def _model() -> Path | None:
    folder = os.environ.get("PAPERAGENT_MODEL_DIR")
    return find_model_folder(Path(folder) if folder else None, platformdirs.user_cache_path("paperagent"))


@functools.cache
def _model_agent() -> PaperAgent:
    agent = PaperAgent(folder(), embedder="minilm", mode="extractive")
    atexit.register(agent.close)
    agent.ingest(sample_path(), date="2026-07-01")
    return agent


def model_agent() -> PaperAgent:
    """Return the shared agent of a sample library with MiniLM vectors, or skip the test. Do not close it."""
    if _model() is None:
        pytest.skip("the embedding model is not installed; run `paperagent models pull`")
    return _model_agent()


@functools.cache
def papers() -> tuple[Paper, ...]:
    """Return the papers of the sample feed as stored in the library."""
    with plain_agent() as agent:
        return tuple(agent.papers())


def paper_titled(start: str) -> Paper:
    """Return the sample paper whose title begins with ``start``."""
    return next(p for p in papers() if p.title.startswith(start))


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Write records as JSON lines and return the path."""
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def feed_papers() -> list[Paper]:
    """Return the papers of the sample feed as parsed from the feed."""
    with open_feed(sample_path()) as feed:
        return [r for r in feed.records if isinstance(r, Paper)]


def check_invariants(answer: Answer, agent: PaperAgent) -> None:
    """Assert that an answer agrees with the library: offsets, numbering, status."""
    retrieved = [h.paper_id for h in answer.hits]
    numbers = [c.n for c in answer.citations]
    assert len(set(numbers)) == len(numbers)
    assert [h.rank for h in answer.hits] == list(range(1, len(retrieved) + 1))
    assert len(set(retrieved)) == len(retrieved)
    for c in answer.citations:
        paper = agent.get(c.paper_id)
        assert 0 <= c.start < c.end <= len(paper.abstract)
        assert paper.abstract[c.start : c.end] == c.quote
        assert c.paper_id in retrieved
        assert (c.title, c.url) == (paper.title, paper.url)
    for claim in answer.claims:
        assert set(claim.citations) <= set(numbers)
        if claim.support in {"quoted", "supported"}:
            assert claim.citations
            assert all(v is not False for v in claim.checks.values())
    assert {int(n) for n in MARKER.findall(answer.answer)} <= set(numbers)
    if answer.kind != "papers":
        assert answer.answer
        assert not answer.claims
        assert not answer.citations
    elif answer.status == "answered":
        assert answer.claims
        assert answer.reason is None
    else:
        assert answer.reason
