"""Token counts and prices, without the network."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.factory import DEFAULT_MODEL
from paperagent.llm import pricing
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
    for cached in (pricing._is_on_disk, pricing._load_encoding):
        cached.cache_clear()
    return tmp_path


def put_ranks(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "o200k_base") -> Path:
    """Put ranks of single bytes and of the word "the" where tiktoken looks for them."""
    import tiktoken.registry
    import tiktoken_ext.openai_public as known

    words = [bytes([byte]) for byte in range(256)] + [b"th", b"the"]
    body = b"".join(base64.b64encode(w) + b" %d\n" % rank for rank, w in enumerate(words))
    digest = hashlib.sha256(body).hexdigest()
    monkeypatch.setitem(pricing._ENCODING_HASHES, name, digest)
    load = known.load_tiktoken_bpe
    monkeypatch.setattr(known, "load_tiktoken_bpe", lambda url, expected_hash: load(url, digest))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    path = folder / hashlib.sha1(pricing._URL.format(name).encode(), usedforsecurity=False).hexdigest()
    path.write_bytes(body)
    return path


def test_the_name_of_the_cached_file_is_tiktokens_own():
    """The file is looked for where tiktoken will look."""
    name = hashlib.sha1(pricing._URL.format("o200k_base").encode(), usedforsecurity=False).hexdigest()
    assert name == "fb374d419588a4632f3f557e76b4b70aebbca790"


def test_without_ranks_the_count_is_an_estimate():
    """A third of the bytes of prose, rounded up, whatever the model."""
    for model in ("gpt-4o", "llama3.2", "", "ft:gpt-4o:org"):
        assert pricing.estimate_tokens([PROSE], model) == (-(-len(PROSE) // 3), True)


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
    assert pricing.estimate_tokens([text], "m") == (-(-len(text.encode()) // bytes_each), True)


def test_ranks_at_hand_are_used(folder, monkeypatch):
    """The count is tiktoken's own, and no estimate; special words are text like any other."""
    put_ranks(folder, monkeypatch)
    assert pricing.estimate_tokens(["the", "a the"], "gpt-4o") == (4, False)
    assert pricing.estimate_tokens(["<|endoftext|>"], "gpt-4o-mini-2024-07-18") == (13, False)
    assert pricing.estimate_tokens(["the"], "openai/gpt-4o") == (1, False)
    assert pricing.estimate_tokens(["the"], "llama3.2") == (1, True)


@pytest.mark.parametrize("damage", ["cut", "empty", "folder"])
def test_damaged_ranks_are_not_used(folder, monkeypatch, damage):
    """The tokenizer would delete the file and fetch it; it is not asked."""
    path = put_ranks(folder, monkeypatch)
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"")
    assert pricing.estimate_tokens(["the"], "gpt-4o") == (1, True)
    assert path.exists()


def test_the_folder_is_tiktokens_own(monkeypatch, tmp_path):
    """Its variables in its order; an empty one means that nothing is kept."""
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "b"))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "a"))
    assert pricing.encodings_folder() == tmp_path / "a"
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert pricing.encodings_folder() == tmp_path / "b"
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "")
    assert pricing.encodings_folder() is None
    assert pricing.estimate_tokens(["abc"], "gpt-4o") == (1, True)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    assert pricing.encodings_folder().name == "data-gym-cache"


@given(st.text())
def test_any_text_can_be_counted(text):
    """Lone surrogates, controls and emoji included; never below a quarter of the characters."""
    tokens, _ = pricing.estimate_tokens([text], "m")
    assert tokens >= len(text) / 4


def test_a_prompt_is_its_messages_and_its_schema():
    """Each message and the reply add a few tokens of their own."""
    messages = [{"role": "user", "content": PROSE}] * 2
    tokens, estimated = pricing.prompt_tokens(messages, {"type": "object"}, "m")
    assert estimated
    assert tokens > 2 * len(PROSE) / 3 + 2 * pricing.MESSAGE_TOKENS


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("gpt-4o-mini", Usage(1, 1_000_000, 0, 0), 0.15),
        ("gpt-4o-mini", Usage(1, 1_000_000, 1_000_000, 0), 0.075),
        ("gpt-4o-mini", Usage(1, 3000, 1000, 500), (2000 * 0.15 + 1000 * 0.075 + 500 * 0.6) / 1e6),
        ("gpt-4o-mini-2024-07-18", Usage(1, 0, 0, 1_000_000), 0.6),
        ("gpt-6-luna", Usage(1, 3000, 1000, 500), (2000 * 0.10 + 1000 * 0.01 + 500 * 0.50) / 1e6),
        ("GPT-4.1", Usage(1, 1_000_000, 0, 1_000_000), 10.0),
        ("gpt-4o-2024-05-13", Usage(1, 1_000_000), 5.0),
        ("gpt-4o", Usage(1, 10, 99, 0), 10 * 1.25 / 1e6),
        ("gpt-4o", Usage(), 0.0),
    ],
)
def test_known_models_have_a_price(model, usage, dollars):
    """Fresh, cached and written tokens each at their own; a dated name costs what the model does."""
    assert pricing.cost(usage, model) == pytest.approx(dollars)


@pytest.mark.parametrize(
    "model", ["llama3.2", "gpt-4o-audio-preview", "ft:gpt-4o:org::id", "", "gpt-99", "gpt-4"]
)
def test_other_models_have_none(model):
    """Unknown is not free."""
    assert pricing.cost(Usage(1, 100, 0, 100), model) is None


def test_a_price_that_is_named_counts_before_ours():
    """It prices a model that we do not know, and any other."""
    used = Usage(1, 1_000_000, 500_000, 1_000_000)
    price = pricing.Price(1.0, 0.5, 2.0)
    assert pricing.cost(used, "llama3.2", price=price) == 2.75
    assert pricing.cost(used, "gpt-6-luna", price=price) == 2.75
    assert pricing.cost(used, "gpt-6-luna", price=pricing.FREE_PRICE) == 0


def test_our_list_is_dated_and_names_its_source():
    """Prices move: who reads one can see of what day it is."""
    ours = pricing.catalog()
    assert len(ours.as_of) == 10
    assert "openai.com" in ours.source
    for name, listing in ours.models.items():
        assert name == name.lower()
        if price := listing.price:
            assert 0 < price.cached <= price.input
            assert price.output == 0 or price.output > price.input


def test_the_default_model_is_priced_and_still_there():
    """A default that OpenAI has shut down by today fails here, before it fails a person."""
    default = pricing.catalog().get(DEFAULT_MODEL)
    assert default.price is not None
    assert default.shutdown is None or default.shutdown > dt.datetime.now(dt.UTC).date()


def test_a_replacement_is_listed_and_outlives_what_it_replaces():
    """No advice leads to a model that we know nothing of, or that ends first."""
    models = pricing.catalog().models
    for listing in models.values():
        if listing.replacement is not None:
            assert listing.shutdown is not None
            after = models[listing.replacement].shutdown
            assert after is None or after > listing.shutdown


@pytest.mark.parametrize(
    ("model", "day", "warning"),
    [
        ("gpt-4o-mini", "2026-11-14", None),
        (
            "gpt-4o-mini",
            "2026-11-15",
            "will be shut down on 2027-01-14, in 60 days; use gpt-6-luna",
        ),
        ("gpt-4o-mini-2024-07-18", "2027-01-13", "on 2027-01-14, in 1 day; use gpt-6-luna"),
        (
            "gpt-5-mini",
            "2026-12-11",
            "was shut down on 2026-12-11; use gpt-6.1-terra or gpt-6-luna",
        ),
        ("gpt-5.1", "2027-03-01", "will be shut down on 2027-04-01, in 31 days; use gpt-6-luna"),
        ("gpt-6-luna", "2030-01-01", None),
        ("llama3.2", "2030-01-01", None),
    ],
)
def test_a_model_that_ends_is_warned_of_in_time(model, day, warning):
    """From 60 days before its last one on, with what to use instead."""
    shutdown = pricing.catalog().get(model).shutdown
    found = pricing.shutdown_warning(model, shutdown, today=dt.date.fromisoformat(day), default=DEFAULT_MODEL)
    if warning is None:
        assert found is None
    else:
        assert (found or "").startswith(f"PAPERAGENT_MODEL: {model} w")
        assert (found or "").endswith(warning)
