"""The model's server, behind any OpenAI-compatible address: the only file that touches openai.

One retry layer. The SDK's own is off: it retries ``insufficient_quota`` and knows no total
deadline. SDK errors are not chained to ours, for their text may hold the request's headers.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from threading import local
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from paperagent.embed import without_surrogates
from paperagent.endpoint import (
    Address,
    Bounded,
    TransientError,
    connection_kind,
    parse_reply,
    retry_after,
    retrying,
    status_kind,
)
from paperagent.errors import ConfigError, EndpointError, visible

if TYPE_CHECKING:
    import openai

    from paperagent.types import Vector

CONNECT_SECONDS, IDLE_SECONDS, LIST_SECONDS = 5.0, 60.0, 5.0
MAX_INPUTS, MAX_BATCH_TOKENS, MAX_INPUT_TOKENS = 2048, 300_000, 8192
"""OpenAI's limits on one embeddings request. A token is at least one byte, so we count bytes."""

_T = TypeVar("_T")


class OpenAIEmbedder:
    """Embeddings of an OpenAI-compatible server. Implements `types.Embedder`; threads may share it."""

    def __init__(  # noqa: PLR0913 - the address, its limits and two seams
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
        address = Address.checked(api_key=api_key, base_url=base_url)
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
        for text in map(_sendable, texts):
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
        def ask(client: openai.OpenAI) -> list[Vector]:
            create = client.embeddings.with_raw_response.create
            # Floats, because not every server knows base64, which the SDK asks for by default.
            raw = create(model=self.model, input=texts, encoding_format="float")
            return self._checked(self._endpoint.parse(raw.http_response), len(texts))

        return self._endpoint.call(ask, model=self.model)

    def _checked(self, reply: dict[str, Any], count: int) -> list[Vector]:
        """Return the vectors in the order of their indices; one fault refuses the whole batch."""
        refuse = self._endpoint.refuse
        try:
            # The SDK does not sort, and a server may answer in any order.
            rows = {row["index"]: row["embedding"] for row in reply["data"]}
            if len(reply["data"]) != count or sorted(rows) != list(range(count)):
                refuse(f"{len(reply['data'])} embeddings for {count} texts, or with wrong indices")
            vectors = unit_rows([rows[i] for i in range(count)])
        except (LookupError, TypeError, ValueError):
            refuse("embeddings that are no rows of finite numbers")
        found = len(vectors[0])
        if self._dim not in (None, found):
            refuse(f"embeddings of {found} values instead of {self._dim}")
        self._dim = found
        return vectors


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


def _sendable(text: str) -> str:
    """Return ``text`` as a server takes it: not empty, valid UTF-8, below the limit of one input."""
    whole = without_surrogates(text[:MAX_INPUT_TOKENS])
    cut = whole.encode()[: MAX_INPUT_TOKENS - 1].decode(errors="ignore")
    return cut if cut.strip() else "-"


class Endpoint:
    """One server seen through the SDK: client, retries, and the wording of every failure."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        http_client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._given_client = http_client
        self._sleep = sleep
        self._now = local()

    def call(self, function: Callable[[openai.OpenAI], _T], *, model: str) -> _T:
        """Run ``function(client)``, again where that may help, within the total time.

        Raises:
            EndpointError: with its ``kind``.
            ConfigError: a proxy stands in the way.
        """
        self._now.deadline = time.monotonic() + self._timeout
        again = retrying(timeout=self._timeout, sleep=self._sleep)
        try:
            result: _T = again(self._once, function, model)
        except TransientError as fault:
            raise fault.error from None
        return result

    def parse(self, response: Any) -> dict[str, Any]:
        """Return a 200 reply's JSON object, as `endpoint.parse_reply`."""
        return parse_reply(response.content, response.headers.get("content-type", ""), self._address)

    def refuse(self, what: str) -> NoReturn:
        """Raise the error for a reply that must not be used."""
        fix = "check that the model makes embeddings"
        raise self._address.error(f"sent {what}", fix, "invalid_reply")

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if "_client" in self.__dict__:
            self._client.close()

    def _once(self, function: Callable[[openai.OpenAI], _T], model: str) -> _T:
        import openai

        left = max(self._now.deadline - time.monotonic(), 0.001)
        patience = openai.Timeout(min(IDLE_SECONDS, left), connect=min(CONNECT_SECONDS, left))
        try:
            return function(self._client.with_options(timeout=patience))
        except openai.APIStatusError as error:
            raise self._status_fault(error, model) from None
        except (openai.APIConnectionError, OSError) as error:  # OSError: our limits, which pass through
            raise self._connection_fault(error) from None
        except openai.OpenAIError as error:
            said = f"failed: {type(error).__name__}"
            raise self._address.error(said, "try again") from None

    @cached_property
    def _client(self) -> openai.OpenAI:
        import openai

        client = self._given_client or openai.DefaultHttpxClient(
            # A proxy is no way to a server on this machine, though HTTP_PROXY would be used.
            trust_env=not self._address.is_loopback,
            event_hooks={"response": [self._guard]},
        )
        return openai.OpenAI(
            api_key=self._address.key, base_url=self._address.url, max_retries=0, http_client=client
        )

    def _guard(self, response: Any) -> None:
        """Bound a reply before its body is read."""
        response.stream = Bounded.around(response.stream, deadline=getattr(self._now, "deadline", math.inf))

    def _status_fault(self, error: openai.APIStatusError, model: str) -> Exception:
        status, said = error.status_code, self._said(error)
        if status == 407:
            return ConfigError(f"proxy: wants a login to reach {self._address.name}; correct HTTPS_PROXY")
        if status == 404:
            return self._address.error(*self._not_found(model, said), "not_found", status)
        kind, fix = status_kind(status, str(error.code or error.type or ""), said)
        fault = self._address.error(f"{status}: {said}", fix, kind, status)
        if kind not in ("rate_limit", "server"):
            return fault
        wait = retry_after(error.response.headers)
        if wait is None or 0 <= wait <= self._timeout:
            return TransientError(fault, wait=wait)
        return self._address.error(
            f"{status}, and asks to wait {wait:.0f} s", "try again later", kind, status
        )

    def _not_found(self, model: str, said: str) -> tuple[str, str]:
        """Say what a 404 means: with the models that the server has, where it tells."""
        wanted = visible(model, limit=80)
        if names := self._models():
            offer = ", ".join(visible(name, limit=60) for name in names[:10])
            return f"model '{wanted}' not found", f"this server offers: {offer}"
        return f"404: {said}", f"check the model '{wanted}' and that the address ends in /v1"

    def _models(self) -> list[str]:
        import openai

        try:
            raw = self._client.with_options(timeout=LIST_SECONDS).models.with_raw_response.list()
            return [str(row["id"]) for row in json.loads(raw.http_response.content)["data"]]
        except (openai.OpenAIError, ValueError, LookupError, TypeError, RecursionError):
            return []  # the list is a courtesy: the 404 is reported either way

    def _connection_fault(self, error: Exception) -> Exception:
        causes = list(_causes(error))
        names = {type(cause).__name__ for cause in causes}
        text = " ".join(str(cause) for cause in causes)
        if "ProxyError" in names:
            return ConfigError(f"proxy: refused the way to {self._address.name}; correct HTTPS_PROXY")
        kind, why, fix, tries = connection_kind(names, text)
        fault = self._address.error(why, fix, kind)
        return TransientError(fault, tries=tries) if tries > 1 else fault

    def _said(self, error: openai.APIStatusError) -> str:
        """Return the server's own message, redacted."""
        body = error.body
        message = body.get("message") if isinstance(body, dict) else None
        return self._address.clean(message) if isinstance(message, str) else "the server gave no reason"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
