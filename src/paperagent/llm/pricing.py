"""Token counts, prices and shutdown dates of models. Nothing here uses the network.

tiktoken downloads its encodings without a timeout, so it is used only if they are on disk already and
complete. Otherwise the count is an estimate from the bytes that errs on the high side.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from paperagent.errors import visible

if TYPE_CHECKING:
    import tiktoken

    from paperagent.types import Usage

MESSAGE_TOKENS, REPLY_TOKENS = 4, 3
"""Tokens that the chat format adds per message and per request."""
NOTICE_DAYS = 60
"""Days before a model's shutdown date from which a warning is shown."""
_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_ENCODING_HASHES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""SHA-256 of the encoding files, as tiktoken itself checks them."""
_ENCODING_ALIASES = {"o200k_harmony": "o200k_base"}


def estimate_tokens(texts: Iterable[str], model: str) -> tuple[int, bool]:
    """Return the number of tokens in ``texts`` for ``model``, and whether that is an estimate."""
    encoding = _encoding(model)
    if encoding is None:
        return sum(map(_estimate, texts)), True
    # An abstract may contain the text <|endoftext|>, which tiktoken rejects by default.
    return sum(len(encoding.encode(_clean(text), disallowed_special=())) for text in texts), False


def prompt_tokens(
    messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], model: str
) -> tuple[int, bool]:
    """Return the number of input tokens of a chat request, and whether that is an estimate."""
    texts = [message["content"] for message in messages]
    tokens, estimated = estimate_tokens([*texts, json.dumps(schema)], model)
    return tokens + MESSAGE_TOKENS * len(messages) + REPLY_TOKENS, estimated


def _estimate(text: str) -> int:
    """Return a token count that is rarely too low.

    Bytes per token on 12,000 arXiv abstracts (o200k, cl100k): at least 3.2 if less than a fifth of the
    characters are not letters or spaces. LaTeX has 2.3, Chinese 2.1, columns of numbers 1.4.
    """
    size = len(_clean(text).encode())
    share = len(_MARK.findall(text)) / max(len(text), 1)
    return math.ceil(size / (3 if share < 0.2 else 2 if share < 0.6 else 1))


_MARK = re.compile(r"[^A-Za-z ]")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _encoding(model: str) -> tiktoken.Encoding | None:
    """Return the model's encoding if it is available without the network."""
    import tiktoken.model

    try:
        name = tiktoken.model.encoding_name_for_model(model.rsplit("/", 1)[-1])
    except KeyError:
        return None  # not an OpenAI model
    name = _ENCODING_ALIASES.get(name, name)
    return (
        _load_encoding(name) if name in _ENCODING_HASHES and _is_on_disk(name, encodings_folder()) else None
    )


@cache
def _load_encoding(name: str) -> tiktoken.Encoding:
    import tiktoken

    return tiktoken.get_encoding(name)


@cache
def _is_on_disk(name: str, folder: Path | None) -> bool:
    """Return whether ``folder`` holds the complete encoding, so that tiktoken will not download it."""
    if folder is None:
        return False
    file = folder / hashlib.sha1(_URL.format(name).encode(), usedforsecurity=False).hexdigest()
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == _ENCODING_HASHES[name]
    except OSError:
        return False


def encodings_folder() -> Path | None:
    """Return the folder where tiktoken looks for its encodings; None if its cache is turned off.

    These environment variables are tiktoken's own, not settings of this package.
    """
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if (value := os.environ.get(name)) is not None:
            return Path(value) if value else None
    return Path(tempfile.gettempdir()) / "data-gym-cache"


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: float
    cached: float
    output: float

    def cost(self, usage: Usage) -> float:
        """Return the cost of ``usage`` in US dollars."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        uncached = usage.input_tokens - cached
        dollars = uncached * self.input + cached * self.cached + usage.output_tokens * self.output
        return dollars / 1_000_000


FREE_PRICE = Price(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ModelListing:
    """Price and shutdown date of one model."""

    price: Price | None = None
    shutdown: dt.date | None = None
    """The announced day on which it is shut down."""
    replacement: str | None = None
    """The model that OpenAI recommends instead."""


@dataclass(frozen=True, slots=True)
class ModelCatalog:
    """OpenAI's models by name."""

    as_of: str
    source: str
    models: Mapping[str, ModelListing]

    def get(self, model: str) -> ModelListing:
        """Return the listing of ``model``, with or without a date in its name; an empty one if unknown."""
        name = model.strip().lower()
        undated = re.sub(r"-\d{4}-\d\d-\d\d$", "", name)
        return self.models.get(name) or self.models.get(undated) or ModelListing()


@cache
def catalog() -> ModelCatalog:
    """Return the catalog in ``data/prices.json``."""
    data = json.loads(resources.files("paperagent").joinpath("data/prices.json").read_text("utf-8"))
    models = {name: _listing(row) for name, row in data["models"].items()}
    return ModelCatalog(data["as_of"], data["source"], models)


def _listing(row: Mapping[str, Any]) -> ModelListing:
    price, shutdown = row["price"], row.get("shutdown")
    return ModelListing(
        None if price is None else Price(*price),
        None if shutdown is None else dt.date.fromisoformat(shutdown),
        row.get("replacement"),
    )


def cost(usage: Usage, model: str, *, price: Price | None = None) -> float | None:
    """Return the cost of ``usage`` in US dollars; None if the price of ``model`` is unknown.

    Args:
        usage: Token counts.
        model: The model's name.
        price: Used instead of the catalog's price.
    """
    price = price or catalog().get(model).price
    return price.cost(usage) if price else None


def shutdown_warning(model: str, shutdown: dt.date | None, *, today: dt.date, default: str) -> str | None:
    """Return a warning if ``model`` is shut down within `NOTICE_DAYS`, or was already.

    It names the recommended replacement and ``default``.
    """
    if shutdown is None or (days_left := (shutdown - today).days) > NOTICE_DAYS:
        return None
    days = "1 day" if days_left == 1 else f"{days_left} days"
    event = f"will be shut down on {shutdown}, in {days}" if days_left > 0 else f"was shut down on {shutdown}"
    names = (catalog().get(model).replacement, default)
    alternatives = dict.fromkeys(name for name in names if name and name != model)
    use = " or ".join(alternatives) or "another model"
    return f"PAPERAGENT_MODEL: {visible(model, limit=80)} {event}; use {use}"
