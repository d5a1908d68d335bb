"""Which model is asked how: by where it runs and what its name says."""

from __future__ import annotations

import pytest

from paperagent import config
from paperagent.model_names import is_small, parameters
from paperagent.profiles import COMPACT, FULL, profile

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
    assert parameters(name) == size


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
    assert profile(setting, model=model, on_this_machine=here) is expected


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
