"""What a call costs, and how long its model lasts. Nothing here uses the network.

tiktoken fetches its ranks without a timeout, so it is asked only where they lie on the disk
already, whole; otherwise the count is an estimate from the bytes that errs on the high side.
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
"""What the chat format adds for each message, and once."""
NOTICE_DAYS = 60
"""How long before its shutdown date a model is warned of."""
_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_RANKS = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
"""SHA-256 of the ranks, as tiktoken itself checks them."""
_SAME_RANKS = {"o200k_harmony": "o200k_base"}


def estimate_tokens(texts: Iterable[str], model: str) -> tuple[int, bool]:
    """Return the tokens of ``texts`` for ``model``, and whether that is an estimate."""
    encoding = _encoding(model)
    if encoding is None:
        return sum(map(_bound, texts)), True
    # An abstract may hold the text <|endoftext|>, which tiktoken refuses unless told otherwise.
    return sum(len(encoding.encode(_clean(text), disallowed_special=())) for text in texts), False


def prompt_tokens(
    messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], model: str
) -> tuple[int, bool]:
    """Return the input tokens of a chat request, and whether that is an estimate."""
    texts = [message["content"] for message in messages]
    tokens, estimated = estimate_tokens([*texts, json.dumps(schema)], model)
    return tokens + MESSAGE_TOKENS * len(messages) + REPLY_TOKENS, estimated


def _bound(text: str) -> int:
    """Return a count that is hardly ever too low.

    Bytes a token on 12,000 arXiv abstracts, o200k and cl100k: at least 3.2 below a fifth of
    characters other than letters and spaces. LaTeX has 2.3, Chinese 2.1, columns of numbers 1.4.
    """
    size = len(_clean(text).encode())
    share = len(_MARK.findall(text)) / max(len(text), 1)
    return math.ceil(size / (3 if share < 0.2 else 2 if share < 0.6 else 1))


_MARK = re.compile(r"[^A-Za-z ]")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _encoding(model: str) -> tiktoken.Encoding | None:
    """Return the model's encoding where it can be had without the network."""
    import tiktoken.model

    try:
        name = tiktoken.model.encoding_name_for_model(model.rsplit("/", 1)[-1])
    except KeyError:
        return None  # another maker's model
    name = _SAME_RANKS.get(name, name)
    return _loaded(name) if name in _RANKS and _at_hand(name, ranks_folder()) else None


@cache
def _loaded(name: str) -> tiktoken.Encoding:
    import tiktoken

    return tiktoken.get_encoding(name)


@cache
def _at_hand(name: str, folder: Path | None) -> bool:
    """Tell whether tiktoken will find the ranks in ``folder``, whole, and so not fetch them."""
    if folder is None:
        return False
    file = folder / hashlib.sha1(_URL.format(name).encode(), usedforsecurity=False).hexdigest()
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == _RANKS[name]
    except OSError:
        return False


def ranks_folder() -> Path | None:
    """Return the folder where tiktoken looks for its ranks; None where it is told to keep none.

    These are tiktoken's own variables, not settings of ours: it reads them itself a moment later.
    """
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if (value := os.environ.get(name)) is not None:
            return Path(value) if value else None
    return Path(tempfile.gettempdir()) / "data-gym-cache"


class Price(NamedTuple):
    """US dollars for a million tokens."""

    input: float
    cached: float
    output: float

    def cost(self, usage: Usage) -> float:
        """Return what ``usage`` costs."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        fresh = usage.input_tokens - cached
        return (fresh * self.input + cached * self.cached + usage.output_tokens * self.output) / 1_000_000


FREE = Price(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of one model."""

    price: Price | None = None
    shutdown: dt.date | None = None
    """The day from which it no longer answers, where one is announced."""
    replacement: str | None = None
    """What OpenAI recommends instead."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """OpenAI's models by name."""

    as_of: str
    source: str
    models: Mapping[str, Listing]

    def of(self, model: str) -> Listing:
        """Return what is known of ``model``, also by its dated name; nothing where it is not listed."""
        name = model.strip().lower()
        undated = re.sub(r"-\d{4}-\d\d-\d\d$", "", name)
        return self.models.get(name) or self.models.get(undated) or Listing()


@cache
def catalog() -> Catalog:
    """Return the list of ``data/prices.json``."""
    data = json.loads(resources.files("paperagent").joinpath("data/prices.json").read_text("utf-8"))
    models = {name: _listing(row) for name, row in data["models"].items()}
    return Catalog(data["as_of"], data["source"], models)


def _listing(row: Mapping[str, Any]) -> Listing:
    price, shutdown = row["price"], row.get("shutdown")
    return Listing(
        None if price is None else Price(*price),
        None if shutdown is None else dt.date.fromisoformat(shutdown),
        row.get("replacement"),
    )


def cost(usage: Usage, model: str, *, price: Price | None = None) -> float | None:
    """Return what ``usage`` costs in US dollars; None where the price of ``model`` is not known.

    ``price`` counts before the one that we know.
    """
    price = price or catalog().of(model).price
    return price.cost(usage) if price else None


def shutdown_warning(model: str, shutdown: dt.date | None, *, today: dt.date, default: str) -> str | None:
    """Return a warning if ``model`` is shut down within `NOTICE_DAYS`, or was.

    It names what OpenAI recommends instead, and ``default``.
    """
    if shutdown is None or (left := (shutdown - today).days) > NOTICE_DAYS:
        return None
    days = "1 day" if left == 1 else f"{left} days"
    fate = f"will be shut down on {shutdown}, in {days}" if left > 0 else f"was shut down on {shutdown}"
    names = (catalog().of(model).replacement, default)
    others = dict.fromkeys(name for name in names if name and name != model)
    return (
        f"PAPERAGENT_MODEL: {visible(model, limit=80)} {fate}; use {' or '.join(others) or 'another model'}"
    )
