"""Which model is asked how: by where it runs and what its name says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paperagent import PaperAgent, config
from paperagent.answering.answer_config import COMPACT, FULL, select_profile
from paperagent.text.model_names import is_small, parameter_count
from scripted_agent import GOOD, QUESTION, ScriptedAgent, passages, reply, scripted_agent, titles

HERE, ELSEWHERE = "http://127.0.0.1:8080/v1", "https://llm.example.org/v1"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("qwen2.5-coder-1.5b-instruct-q4_k_m", 1.5),
        ("llama3.2:3b", 3.0),
        ("SmolLM2-135M-Instruct", 0.135),
        ("hf.co/someone/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", 1.0),
        ("mixtral-8x7b", 56.0),
        ("Qwen3-30B-A3B", 30.0),
        ("gemma-3n-e4b", 4.0),
        ("qwen2.5-7b-instruct-1m", 7.0),
        ("phi3:mini", 3.8),
        ("gpt-4o-mini", None),
        ("llama3.1", None),
        ("tiny-random", None),
        ("", None),
    ],
)
def test_the_size_is_read_from_the_name(name, size):
    """Billions or millions, experts multiplied; the largest number counts, and none is guessed."""
    assert parameter_count(name) == size


def test_small_is_up_to_four_billion():
    """What is sold as 4B is small; 7B and names without a size are not."""
    assert [is_small(n) for n in ("gemma3:4b", "qwen2.5:7b", "mistral")] == [True, False, False]


@pytest.mark.parametrize(
    ("setting", "model", "here", "expected"),
    [
        ("auto", "qwen2.5:1.5b", True, COMPACT),
        ("auto", "qwen2.5:1.5b", False, FULL),
        ("auto", "qwen2.5:14b", True, FULL),
        ("auto", "unnamed", True, FULL),
        ("compact", "gpt-5", False, COMPACT),
        ("full", "qwen2.5:1.5b", True, FULL),
    ],
)
def test_auto_is_compact_for_a_small_model_on_this_machine(setting, model, here, expected):
    """Every other model is asked in full, and the setting is stronger."""
    assert select_profile(setting, model=model, on_this_machine=here) is expected


@pytest.mark.parametrize(
    ("url", "model", "mode"),
    [
        (HERE, "qwen2.5:1.5b", "select"),
        ("http://localhost:11434/v1", "qwen2.5:1.5b", "select"),
        (HERE, "qwen2.5:14b", "llm"),
        (HERE, None, "llm"),
        (ELSEWHERE, "qwen2.5:1.5b", "llm"),
        (None, "qwen2.5:1.5b", "extractive"),
    ],
)
def test_a_small_model_on_this_machine_chooses_by_default(url, model, mode):
    """Others write; without a server sentences are quoted."""
    assert config.load(openai_base_url=url, model=model).answer_mode == mode


def test_the_mode_that_is_set_counts():
    """Whoever wants a small model to write says so."""
    assert config.load(openai_base_url=HERE, model="qwen2.5:1.5b", mode="llm").answer_mode == "llm"


@pytest.fixture
def compact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    """Give an agent that asks compactly."""
    monkeypatch.setenv("PAPERAGENT_PROFILE", "compact")
    with scripted_agent(monkeypatch, tmp_path / "library") as made:
        yield made


def asked_for(place: ScriptedAgent) -> dict[str, Any]:
    """Return the properties of the schema of the first request."""
    schema = place.requests[0].response_format
    assert schema is not None
    properties: dict[str, Any] = schema["json_schema"]["schema"]["properties"]
    return properties


def test_a_compact_request_is_short_and_ends_with_the_question(compact):
    """Two abstracts, one example, and nothing on dates, searches or the library."""
    answer = compact.ask(reply(GOOD))
    assert answer.status == "answered"
    (prompt,) = compact.prompts
    assert len(titles(prompt.partition("Foldnet is trained")[2])) == 2
    assert prompt.endswith(f"Question: {QUESTION}")
    assert "You may" not in prompt
    assert len(prompt) < 5_500
    body = compact.requests[0].json()
    assert body.get("max_tokens", body.get("max_completion_tokens")) == COMPACT.output_tokens["single"]


def test_a_compact_schema_leaves_little_to_go_wrong(compact):
    """Three claims, pointers of this request alone, no search and nothing on what is missing."""
    compact.ask(reply(GOOD))
    fields = asked_for(compact)
    assert set(fields) == {"verdict", "claims"}
    assert fields["verdict"]["enum"] == ["answer", "abstain"]
    assert fields["claims"]["maxItems"] == 3
    pointers = fields["claims"]["items"]["properties"]["evidence"]["items"]["enum"]
    shown = compact.prompts[0].rpartition("Foldnet is trained")[2]
    assert set(pointers) == set(passages(shown))


def test_a_small_model_is_not_its_own_judge(compact, monkeypatch):
    """By default it is not asked about its unverified claims; another model, or a wish, makes the call."""
    unverified = ("Tindersift trims the prompt by 61% and accuracy stays nearly the same.", "1.3")
    assert compact.ask(reply(unverified)).claims[0].support == "unverified"
    assert len(compact.server.history) == 1
    compact.server.decider = lambda request: [0.95] * len(request.json()["questions"])
    assert compact.ask(reply(unverified), judge="always").claims[0].support == "supported"
    monkeypatch.setenv("PAPERAGENT_JUDGE_MODEL", "larger")
    with PaperAgent(compact.agent.home) as agent:
        assert ScriptedAgent(compact.server, agent).ask(reply(unverified)).claims[0].support == "supported"
    assert compact.server.history[-1].json()["model"] == "larger"


def test_a_compact_reply_needs_no_more_than_its_claims(compact):
    """What the prompt does not ask for is not missed; a search that is asked for all the same is not made."""
    answer = compact.ask({"verdict": "answer", "claims": [{"text": GOOD[0], "evidence": [GOOD[1]]}]})
    assert answer.claims[0].text == GOOD[0]
    compact.ask(reply(verdict="search", queries=["prompt length"]))
    assert len(compact.requests) <= 3


def test_the_full_profile_is_asked_otherwise(monkeypatch, tmp_path):
    """The wording that was used is in the answer."""
    with scripted_agent(monkeypatch, tmp_path / "library") as place:
        full = place.ask(reply(GOOD))
        monkeypatch.setenv("PAPERAGENT_PROFILE", "compact")
        with PaperAgent(place.agent.home) as agent:
            place.server.enqueue_answer(reply(GOOD))
            short = agent.ask(QUESTION, cache=False)
    assert full.prompt_hash != short.prompt_hash
