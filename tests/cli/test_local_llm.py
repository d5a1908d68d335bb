"""Select mode and the compact profile with llama.cpp's real server: a random model, and a small real one.

The random one runs wherever ``pip install 'paperagent[llama-test]'`` was done. The real one is opt-in:
it runs where a file of `eval/local_model.py` is in the cache, or PAPERAGENT_TEST_LOCAL_MODEL names one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import local_model
import pytest

import llama_server
from paperagent import Answer, PaperAgent
from paperagent.feeds.reader import sample_path
from sample_library import check_invariants
from scripted_agent import QUESTION

CHOSEN = "PAPERAGENT_TEST_LOCAL_MODEL"
FACT = "61%"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library of the sample feed, by words alone."""
    home = tmp_path_factory.mktemp("local") / "library"
    with PaperAgent(home, embedder="none", mode="extractive") as agent:
        agent.ingest(sample_path(), date="2026-07-01")
    return home


def asked(library: Path, *, url: str, model: str, mode: str, question: str = QUESTION) -> Answer:
    """Ask a model of this machine, and check the contract's invariants on the answer."""
    from paperagent import config

    settings = config.load(
        home=library,
        openai_base_url=url,
        model=model,
        embedder="none",
        profile="compact",
        timeout=280,
        cache=False,
    )
    with PaperAgent(settings=settings) as agent:
        answer = agent.ask(question, mode=mode)
        check_invariants(answer, agent)
    return answer


@pytest.mark.parametrize("mode", ["select", "llm"])
def test_a_model_of_random_weights_costs_nothing_but_its_call(library, llama_address, mode):
    """What it says is valid by the schema and means nothing: an answer comes all the same."""
    answer = asked(library, url=llama_address, model=llama_server.MODEL, mode=mode)
    assert answer.status in ("answered", "abstained")
    assert answer.usage.calls >= 1
    if mode == "select":
        assert FACT in answer.answer


def _model() -> str | None:
    """Return which real model to ask: the one named, else the smallest that is there."""
    named = os.environ.get(CHOSEN)
    there = [n for n, m in reversed(local_model.MODELS.items()) if (local_model.folder() / m.file).is_file()]
    return named or next(iter(there), None)


@pytest.fixture(scope="module")
def real_server() -> Iterator[tuple[str, str]]:
    """Give the address and the name of a small real model."""
    name = _model()
    if reason := llama_server.missing():
        pytest.skip(reason)
    if name is None:
        pytest.skip(f"no small model here; run make local-llm, or set {CHOSEN}=135m, 0.5b or 1.5b")
    command = [sys.executable, local_model.__file__, "serve", name, "--port", "0", "--threads", "1"]
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdout=pipe, stderr=silent, text=True) as process:
        assert process.stdout
        try:
            lines = [process.stdout.readline().strip() for _ in range(3)]
            exports = dict(line.removeprefix("export ").split("=", 1) for line in lines)
            yield exports["OPENAI_BASE_URL"], exports["PAPERAGENT_MODEL"]
        finally:
            process.kill()


@pytest.mark.slow
def test_a_small_real_model_chooses(library, real_server):
    """Its choice is read, and the answer holds the fact as the extractive one does."""
    url, model = real_server
    answer = asked(library, url=url, model=model, mode="select")
    assert FACT in answer.answer
    assert (answer.model, answer.fallback) == (model, None)
    assert {c.support for c in answer.claims} == {"quoted"}


@pytest.mark.slow
def test_a_small_real_model_writes_compactly(library, real_server):
    """Whatever it writes is checked: an answer comes, and no claim that fails its check is shown."""
    url, model = real_server
    answer = asked(library, url=url, model=model, mode="llm")
    assert answer.status in ("answered", "abstained")
    assert not {c.support for c in answer.claims} & {"unsupported", "uncited"}
