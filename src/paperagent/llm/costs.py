"""What a call costs: tokens before it, dollars before and after it. Nothing here uses the network.

tiktoken fetches its ranks without a timeout, so it is asked only where they lie on the disk
already, whole; otherwise the count is an estimate from the bytes that errs on the high side.
"""

from __future__ import annotations

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

from paperagent.errors import ConfigError, visible

if TYPE_CHECKING:
    import tiktoken

    from paperagent.types import Usage

MESSAGE_TOKENS, REPLY_TOKENS = 4, 3
"""What the chat format adds for each message, and once."""
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


@dataclass(frozen=True, slots=True)
class Prices:
    """A price list."""

    as_of: str
    source: str
    models: Mapping[str, Price]

    def of(self, model: str) -> Price | None:
        """Return the price of ``model``, also by its dated name; None where it is not listed."""
        name = model.strip().lower()
        return self.models.get(name) or self.models.get(re.sub(r"-\d{4}-\d\d-\d\d$", "", name))


def cost(usage: Usage, model: str, *, prices: Path | None = None) -> float | None:
    """Return what ``usage`` costs in US dollars; None where the price of ``model`` is not known.

    ``prices`` is a file in the form of ``data/prices.json``; what it lists counts before ours.

    Raises:
        ConfigError: the file cannot be used.
    """
    price = load_prices(prices).of(model)
    if price is None:
        return None
    cached = min(usage.cached_tokens, usage.input_tokens)
    fresh = usage.input_tokens - cached
    return (fresh * price.input + cached * price.cached + usage.output_tokens * price.output) / 1_000_000


@cache
def load_prices(path: Path | None = None) -> Prices:
    """Return our price list, or that of ``path`` laid over ours.

    Raises:
        ConfigError: the file cannot be used.
    """
    ours = _parse(resources.files("paperagent").joinpath("data/prices.json").read_text("utf-8"))
    if path is None:
        return ours
    try:
        theirs = _parse(path.read_text("utf-8"))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        name = visible(str(path), limit=200)
        raise ConfigError(
            f"prices {name}: cannot be read as a price list; give models as "
            '{"models": {"name": [input, cached, output]}} in USD per million tokens'
        ) from None
    return Prices(theirs.as_of, theirs.source, {**ours.models, **theirs.models})


def _parse(text: str) -> Prices:
    held = json.loads(text)
    models = {name.lower(): Price(*map(_dollars, row)) for name, row in held["models"].items()}
    return Prices(str(held.get("as_of", "")), str(held.get("source", "")), models)


def _dollars(value: Any) -> float:
    if isinstance(value, bool) or not 0 <= value < math.inf:
        raise ValueError("no price")
    return float(value)
