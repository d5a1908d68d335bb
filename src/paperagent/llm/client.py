"""The model's server, behind any OpenAI-compatible address: the only file that touches openai.

One retry layer. The SDK's own is off: it retries ``insufficient_quota`` and knows no total
deadline. SDK errors are not chained to ours, for their text may hold the request's headers.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Lock, local
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from paperagent.errors import ConfigError, EndpointError, visible
from paperagent.http_limits import (
    ATTEMPTS,
    MAX_RESPONSE_BYTES,
    LimitedStream,
    TooLargeError,
    TooSlowError,
    TransientError,
    interruptible_sleep,
    make_cancellable,
    retry_after,
    retrying,
)
from paperagent.llm.endpoint import (
    EndpointAddress,
    UnsupportedError,
    connection_kind,
    parse_reply,
    unsupported,
)
from paperagent.llm.refusals import EMBEDDER, ErrorBody, status_kind

if TYPE_CHECKING:
    import openai

CONNECT_SECONDS, LIST_SECONDS, HINT_SECONDS = 5.0, 15.0, 5.0
"""For a connection; for the list of models, with retries; for that list in an error message."""
_T = TypeVar("_T")


def load() -> None:
    """Import the SDK whole; it leaves the part for chat to the first call."""
    import openai.resources.chat.completions  # noqa: F401 - what importing does is wanted


def open_stream(resource: Any, **request: Any) -> Any:
    """Send ``request`` to one of the client's resources; return the response, whose body is not read yet."""
    return resource.with_streaming_response.create(**request).__enter__().http_response


class Served(NamedTuple):
    """One model that a server offers."""

    name: str
    shutdown: str | None = None
    """The day on which it is shut down, where the server says so: OpenAI's does."""


class NotOfferedError(Exception):
    """The server has no such API."""


class Endpoint:
    """One server seen through the SDK: client, retries, and the wording of every failure."""

    def __init__(
        self,
        address: EndpointAddress,
        *,
        timeout: float,
        http_client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
        setting: str = EMBEDDER,
    ) -> None:
        self.address = address
        self.attempts = ATTEMPTS
        """Attempts that a call is worth at most."""
        self._timeout = timeout
        self._given_client = http_client
        self._sleep = sleep
        self._setting = setting
        self.offers: dict[str, bool] = {}
        """API that not every server has → whether this one was found to have it."""
        self._now = local()
        self._made: openai.OpenAI | None = None
        self._making = Lock()

    def call(
        self, function: Callable[[openai.OpenAI], _T], *, model: str, deadline: float | None = None
    ) -> _T:
        """Run ``function(client)``, again where that may help, within the total time.

        ``deadline`` is a `time.monotonic`; by default the timeout from now.

        Raises:
            EndpointError: with its ``kind``.
            ConfigError: a proxy stands in the way.
        """
        self._now.deadline = self.deadline() if deadline is None else deadline
        left = max(self._now.deadline - time.monotonic(), 0.0)
        again = retrying(timeout=left, sleep=interruptible_sleep(self._sleep), attempts=self.attempts)
        try:
            result: _T = again(self._once, function, model)
        except TransientError as fault:
            raise fault.error from None
        return result

    def models(self) -> list[Served]:
        """Return the models that the server offers, in its order.

        Raises:
            EndpointError: it does not list them, or it failed.
            ConfigError: a proxy stands in the way.
        """

        def ask(client: openai.OpenAI) -> dict[str, Any]:
            with closing(client.models.with_streaming_response.list().__enter__().http_response) as response:
                return self.parse(response)

        load()  # takes a second or more, which is not the server's
        listed = self.call(ask, model="", deadline=time.monotonic() + LIST_SECONDS)
        try:
            return [Served(str(row["id"]), row.get("shutdown_date")) for row in listed["data"]]
        except (LookupError, TypeError, AttributeError):
            fix = "check that OPENAI_BASE_URL ends in /v1"
            raise self.address.error("sent no list of models", fix, "invalid_reply") from None

    def call_optional(
        self, api: str, function: Callable[[openai.OpenAI], _T], *, model: str, refusals: frozenset[int]
    ) -> _T:
        """Do as `call` with an API that the server may lack, and remember in ``offers`` whether it does.

        Raises:
            NotOfferedError: the server answered with a status of ``refusals`` or with another form.
            EndpointError: any other failure.
        """

        def attempt(client: openai.OpenAI) -> _T:
            import openai

            try:
                return function(client)
            except openai.APIStatusError as error:
                if error.status_code in refusals:
                    raise NotOfferedError from None
                raise

        try:
            result = self.call(attempt, model=model)
        except NotOfferedError:
            self.offers.setdefault(api, False)
            raise
        except EndpointError as error:
            if error.kind != "invalid_reply":
                raise
            self.offers.setdefault(api, False)
            raise NotOfferedError from None
        self.offers[api] = True
        return result

    def deadline(self) -> float:
        """Return when a call that starts now must be over."""
        return time.monotonic() + self._timeout

    def parse(self, response: Any) -> dict[str, Any]:
        """Return a 200 reply's JSON object, as `endpoint.parse_reply`."""
        body = b"".join(self.blocks(response))
        return parse_reply(body, response.headers.get("content-type", ""), self.address)

    def blocks(self, response: Any, *, most: int = MAX_RESPONSE_BYTES) -> Iterator[bytes]:
        """Yield a body, decompressed, up to ``most`` bytes and the deadline of the call.

        Raises:
            EndpointError, TransientError: the connection broke or a limit was met.
        """
        size, deadline = 0, self._now.deadline
        try:
            for block in response.iter_bytes():
                size += len(block)
                if size > most:
                    raise TooLargeError  # noqa: TRY301 - worded below, like what the connection raises
                if time.monotonic() > deadline:
                    raise TooSlowError  # noqa: TRY301 - likewise
                yield block
        except Exception as error:  # noqa: BLE001 - httpx's or httpx2's errors, whichever the SDK has
            raise self._connection_fault(error) from None

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._made is not None:
            self._made.close()

    def _once(self, function: Callable[[openai.OpenAI], _T], model: str) -> _T:
        import openai

        # The first byte may take all of the time: a model may read its prompt, or reason, for minutes.
        left = max(self._now.deadline - time.monotonic(), 0.001)
        patience = openai.Timeout(left, connect=min(CONNECT_SECONDS, left))
        try:
            return function(self._client.with_options(timeout=patience))
        except openai.APIStatusError as error:
            raise self._status_fault(error, model) from None
        except (openai.APIConnectionError, OSError) as error:  # OSError: our limits, which pass through
            raise self._connection_fault(error) from None
        except openai.OpenAIError as error:
            said = f"failed: {type(error).__name__}"
            raise self.address.error(said, "try again") from None

    @property
    def _client(self) -> openai.OpenAI:
        with self._making:  # threads that ask at once share one
            self._made = self._made or self._make_client()
        return self._made

    def _make_client(self) -> openai.OpenAI:
        import openai

        client = self._given_client or openai.DefaultHttpxClient(
            # A proxy is no way to a server on this machine, though HTTP_PROXY would be used.
            trust_env=not self.address.is_loopback,
            event_hooks={"request": [make_cancellable], "response": [self._guard]},
        )
        return openai.OpenAI(
            api_key=self.address.key,
            base_url=self.address.url,
            max_retries=0,
            http_client=client,
            default_headers={"Accept-Encoding": "identity"},  # a small reply may unpack to a huge one
        )

    def _guard(self, response: Any) -> None:
        """Bound a reply before its body is read."""
        response.stream = LimitedStream.wrap(response, deadline=getattr(self._now, "deadline", math.inf))

    def _status_fault(self, error: openai.APIStatusError, model: str) -> Exception:
        status, said = error.status_code, ErrorBody.of(error.body)
        words = self.address.clean(said.message) or "the server gave no reason"
        if status == 407:
            return ConfigError(f"proxy: wants a login to reach {self.address.name}; correct HTTPS_PROXY")
        kind, fix = status_kind(status, said, setting=self._setting)
        if status == 404 and model and kind != "not_loaded":
            return self.address.error(*self._not_found(model, words), "not_found", status)
        fault = self.address.error(f"{status}: {words}", fix, kind, status)
        if kind == "rejected" and status in (400, 422) and (names := unsupported(said)):
            refusal = UnsupportedError(str(fault), kind=kind, status=status)
            refusal.names, refusal.complaint = names, said.message
            return refusal
        if kind not in ("rate_limit", "server"):
            return fault
        wait = retry_after(error.response.headers)
        if wait is None or 0 <= wait <= self._timeout:
            return TransientError(fault, wait=wait)
        return self.address.error(f"{status}, and asks to wait {wait:.0f} s", "try again later", kind, status)

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
            raw = self._client.with_options(timeout=HINT_SECONDS).models.with_raw_response.list()
            return [str(row["id"]) for row in json.loads(raw.http_response.content)["data"]]
        except (openai.OpenAIError, ValueError, LookupError, TypeError, RecursionError):
            return []  # the list is a courtesy: the 404 is reported either way

    def _connection_fault(self, error: Exception) -> Exception:
        causes = list(_causes(error))
        names = {type(cause).__name__ for cause in causes}
        text = " ".join(str(cause) for cause in causes)
        if "ProxyError" in names:
            return ConfigError(f"proxy: refused the way to {self.address.name}; correct HTTPS_PROXY")
        kind, why, fix, tries = connection_kind(names, text)
        if kind == "tls" and self.address.is_loopback and any(sign in text.lower() for sign in _PLAIN):
            why = "the server speaks plain http"
            fix = f"set OPENAI_BASE_URL={self.address.name.replace('https', 'http', 1)}"
        fault = self.address.error(why, fix, kind)
        return TransientError(fault, tries=tries) if tries > 1 else fault


_PLAIN = ("wrong_version_number", "wrong version number", "record layer failure", "http_request")
"""As OpenSSL says that what answers is not encrypted."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
