"""Embeddings of any OpenAI-compatible server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NoReturn

from paperagent.errors import EndpointError
from paperagent.llm.client import Endpoint, open_stream
from paperagent.llm.endpoint import EndpointAddress
from paperagent.text.sanitize import replace_surrogates

if TYPE_CHECKING:
    from paperagent.types import Vector

MAX_INPUTS, MAX_BATCH_TOKENS, MAX_INPUT_TOKENS = 2048, 300_000, 8192
"""OpenAI's limits on one embeddings request. A token is at least one byte, so we count bytes."""


class OpenAIEmbedder:
    """Embeddings of an OpenAI-compatible server. Implements `types.Embedder`; threads may share it."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 120.0,
        dim: int | None = None,
        http_client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = EndpointAddress.checked(api_key=api_key, base_url=base_url)
        self.model = model
        self._endpoint = Endpoint(address, timeout=timeout, http_client=http_client, sleep=sleep)
        self._dim = dim
        self._most = MAX_INPUTS

    @property
    def embedder_id(self) -> str:
        """``openai:`` and the model's name."""
        return f"openai:{self.model}"

    @property
    def dim(self) -> int:
        """Length of every vector; asks the server once where it was not given."""
        if self._dim is None:
            self._request(["dimension"])
        assert self._dim is not None
        return self._dim

    def embed(self, texts: Iterable[str]) -> Iterator[Vector]:
        """Yield one unit vector [dim] a text, in order; reads ``texts`` one request ahead.

        Texts are cut at 8,191 bytes, four times the longest abstract.

        Raises:
            EndpointError: the server failed or its reply is not usable; vectors already
                yielded stay valid.
        """
        batch: list[str] = []
        size = 0
        for text in map(sendable, texts):
            cost = len(text.encode())
            if batch and (len(batch) >= self._most or size + cost > MAX_BATCH_TOKENS):
                yield from self._vectors(batch)
                batch, size = [], 0
            batch.append(text)
            size += cost
        if batch:
            yield from self._vectors(batch)

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _vectors(self, texts: list[str]) -> list[Vector]:
        """Ask for all of ``texts``, or for halves where the server takes fewer at once."""
        if len(texts) <= self._most:
            try:
                return self._request(texts)
            except EndpointError as error:
                if error.kind != "too_large" or len(texts) == 1:
                    raise
                self._most = min(self._most, len(texts) // 2)
        half = len(texts) // 2
        return self._vectors(texts[:half]) + self._vectors(texts[half:])

    def _request(self, texts: list[str]) -> list[Vector]:
        def ask(client: Any) -> list[Vector]:
            # Floats, because not every server knows base64, which the SDK asks for by default.
            response = open_stream(client.embeddings, model=self.model, input=texts, encoding_format="float")
            with closing(response):
                return self._checked(self._endpoint.parse(response), len(texts))

        return self._endpoint.call(ask, model=self.model)

    def _checked(self, reply: dict[str, Any], count: int) -> list[Vector]:
        """Return the vectors in the order of their indices; one fault refuses the whole batch."""
        try:
            # The SDK does not sort, and a server may answer in any order.
            rows = {row["index"]: row["embedding"] for row in reply["data"]}
            if len(reply["data"]) != count or sorted(rows) != list(range(count)):
                self._refuse(f"{len(reply['data'])} embeddings for {count} texts, or with wrong indices")
            vectors = unit_rows([rows[i] for i in range(count)])
        except (LookupError, TypeError, ValueError):
            self._refuse("embeddings that are no rows of finite numbers")
        found = len(vectors[0])
        if self._dim not in (None, found):
            self._refuse(f"embeddings of {found} values instead of {self._dim}")
        self._dim = found
        return vectors

    def _refuse(self, what: str) -> NoReturn:
        fix = "check that the model makes embeddings"
        raise self._endpoint.address.error(f"sent {what}", fix, "invalid_reply")


def unit_rows(rows: Sequence[Sequence[float]]) -> list[Vector]:
    """Return ``rows`` scaled to unit length.

    Raises:
        ValueError: ragged, empty, zero or not finite.
    """
    import numpy as np

    matrix = np.array(rows, np.float64)
    with np.errstate(over="ignore"):
        length = np.linalg.norm(matrix, axis=-1, keepdims=True)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(length).all() or not length.all():
        raise ValueError("not unit vectors")
    return list((matrix / length).astype(np.float32))


def sendable(text: str) -> str:
    """Return ``text`` as a server takes it: not empty, valid UTF-8, below the limit of one input."""
    whole = replace_surrogates(text[:MAX_INPUT_TOKENS])
    cut = whole.encode()[: MAX_INPUT_TOKENS - 1].decode(errors="ignore")
    return cut if cut.strip() else "-"
