"""Token counts and prices, without the network."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.errors import ConfigError
from paperagent.llm import costs
from paperagent.types import Usage

PROSE = "We show that large language models can summarise papers, and measure how often they err. "


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder for tiktoken's ranks; nothing may be fetched."""
    import tiktoken.load

    def fetch(_: str) -> bytes:
        raise AssertionError("tiktoken tried to use the network")

    monkeypatch.setattr(tiktoken.load, "read_file", fetch)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for cached in (costs._at_hand, costs._loaded):
        cached.cache_clear()
    return tmp_path


def put_ranks(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "o200k_base") -> Path:
    """Put ranks of single bytes and of the word "the" where tiktoken looks for them."""
    import tiktoken.registry
    import tiktoken_ext.openai_public as known

    words = [bytes([byte]) for byte in range(256)] + [b"th", b"the"]
    body = b"".join(base64.b64encode(w) + b" %d\n" % rank for rank, w in enumerate(words))
    digest = hashlib.sha256(body).hexdigest()
    monkeypatch.setitem(costs._RANKS, name, digest)
    load = known.load_tiktoken_bpe
    monkeypatch.setattr(known, "load_tiktoken_bpe", lambda url, expected_hash: load(url, digest))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    path = folder / hashlib.sha1(costs._URL.format(name).encode(), usedforsecurity=False).hexdigest()
    path.write_bytes(body)
    return path


def test_the_name_of_the_cached_file_is_tiktokens_own():
    """The file is looked for where tiktoken will look."""
    name = hashlib.sha1(costs._URL.format("o200k_base").encode(), usedforsecurity=False).hexdigest()
    assert name == "fb374d419588a4632f3f557e76b4b70aebbca790"


def test_without_ranks_the_count_is_an_estimate():
    """A third of the bytes of prose, rounded up, whatever the model."""
    for model in ("gpt-4o", "llama3.2", "", "ft:gpt-4o:org"):
        assert costs.estimate_tokens([PROSE], model) == (-(-len(PROSE) // 3), True)


@pytest.mark.parametrize(
    ("text", "bytes_each"),
    [
        (r"$\mathcal{L}_{\theta}(x)=\sum_{i=1}^{N} f_i$ " * 9, 2),
        ("0.123 0.456 12.5 99 -3.2 " * 9, 1),
        ("中文摘要研究深度学习模型的性能" * 9, 1),
        ("", 3),
    ],
)
def test_dense_text_is_counted_higher(text, bytes_each):
    """LaTeX, numbers and other scripts have more tokens to the byte."""
    assert costs.estimate_tokens([text], "m") == (-(-len(text.encode()) // bytes_each), True)


def test_ranks_at_hand_are_used(folder, monkeypatch):
    """The count is tiktoken's own, and no estimate; special words are text like any other."""
    put_ranks(folder, monkeypatch)
    assert costs.estimate_tokens(["the", "a the"], "gpt-4o") == (4, False)
    assert costs.estimate_tokens(["<|endoftext|>"], "gpt-4o-mini-2024-07-18") == (13, False)
    assert costs.estimate_tokens(["the"], "openai/gpt-4o") == (1, False)
    assert costs.estimate_tokens(["the"], "llama3.2") == (1, True)


@pytest.mark.parametrize("damage", ["cut", "empty", "folder"])
def test_damaged_ranks_are_not_used(folder, monkeypatch, damage):
    """The tokenizer would delete the file and fetch it; it is not asked."""
    path = put_ranks(folder, monkeypatch)
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"")
    assert costs.estimate_tokens(["the"], "gpt-4o") == (1, True)
    assert path.exists()


def test_the_folder_is_tiktokens_own(monkeypatch, tmp_path):
    """Its variables in its order; an empty one means that nothing is kept."""
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "b"))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "a"))
    assert costs.ranks_folder() == tmp_path / "a"
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert costs.ranks_folder() == tmp_path / "b"
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "")
    assert costs.ranks_folder() is None
    assert costs.estimate_tokens(["abc"], "gpt-4o") == (1, True)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    assert costs.ranks_folder().name == "data-gym-cache"


@given(st.text())
def test_any_text_can_be_counted(text):
    """Lone surrogates, controls and emoji included; never below a quarter of the characters."""
    tokens, _ = costs.estimate_tokens([text], "m")
    assert tokens >= len(text) / 4


def test_a_prompt_is_its_messages_and_its_schema():
    """Each message and the reply add a few tokens of their own."""
    messages = [{"role": "user", "content": PROSE}] * 2
    tokens, estimated = costs.prompt_tokens(messages, {"type": "object"}, "m")
    assert estimated
    assert tokens > 2 * len(PROSE) / 3 + 2 * costs.MESSAGE_TOKENS


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("gpt-4o-mini", Usage(1, 1_000_000, 0, 0), 0.15),
        ("gpt-4o-mini", Usage(1, 1_000_000, 1_000_000, 0), 0.075),
        ("gpt-4o-mini", Usage(1, 3000, 1000, 500), (2000 * 0.15 + 1000 * 0.075 + 500 * 0.6) / 1e6),
        ("gpt-4o-mini-2024-07-18", Usage(1, 0, 0, 1_000_000), 0.6),
        ("GPT-4.1", Usage(1, 1_000_000, 0, 1_000_000), 10.0),
        ("gpt-4o-2024-05-13", Usage(1, 1_000_000), 5.0),
        ("gpt-4o", Usage(1, 10, 99, 0), 10 * 1.25 / 1e6),
        ("gpt-4o", Usage(), 0.0),
    ],
)
def test_known_models_have_a_price(model, usage, dollars):
    """Fresh, cached and written tokens each at their own; a dated name costs what the model does."""
    assert costs.cost(usage, model) == pytest.approx(dollars)


@pytest.mark.parametrize("model", ["llama3.2", "gpt-4o-audio-preview", "ft:gpt-4o:org::id", "", "gpt-99"])
def test_other_models_have_none(model):
    """Unknown is not free."""
    assert costs.cost(Usage(1, 100, 0, 100), model) is None


def test_a_file_of_prices_counts_before_ours(tmp_path):
    """It adds models and changes those that we know."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"models": {"llama3.2": [0, 0, 0], "gpt-4o": [1, 1, 2]}}))
    used = Usage(1, 1_000_000, 0, 1_000_000)
    assert costs.cost(used, "llama3.2", prices=path) == 0
    assert costs.cost(used, "gpt-4o", prices=path) == 3
    assert costs.cost(used, "gpt-4.1", prices=path) == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"models": []}',
        '{"models": {"m": 3}}',
        '{"models": {"m": [1, 2]}}',
        '{"models": {"m": [1, -2, 3]}}',
        '{"models": {"m": [1, NaN, 3]}}',
        '{"models": {"m": [1, 1e999, 3]}}',
        '{"models": {"m": [1, true, 3]}}',
        '{"models": {"m": ["1", 2, 3]}}',
        "[" * 100_000,
        None,
    ],
)
def test_a_file_that_is_no_price_list_is_refused(tmp_path, text):
    """The error names the file and shows the form."""
    path = tmp_path / "my\nprices.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read as a price list") as caught:
        costs.cost(Usage(), "m", prices=path)
    assert str(caught.value).isprintable()


def test_our_list_is_dated_and_names_its_source():
    """Prices move: who reads one can see of what day it is."""
    ours = costs.load_prices()
    assert len(ours.as_of) == 10
    assert "openai.com" in ours.source
    for name, price in ours.models.items():
        assert name == name.lower()
        assert 0 < price.cached <= price.input
        assert price.output == 0 or price.output > price.input
