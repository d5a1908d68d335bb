"""Requests to an OpenAI-compatible server through the openai SDK, with retries, limits and error messages.

This is the only module that uses the SDK. The SDK's own retries are off: it retries
``insufficient_quota`` and has no total deadline. Messages of a server or the SDK are
redacted before they are shown, and SDK errors are not chained to ours, because their text may contain
request headers.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

from paperagent.errors import ConfigError, EndpointError, visible
from paperagent.http_limits import (
    ATTEMPTS,
    MAX_RESPONSE_BYTES,
    LimitedStream,
    TooLargeError,
    TransientError,
    limit_connections,
    retry_after,
    retrying,
)
from paperagent.llm.server_errors import (
    EMBEDDER_SETTING,
    ErrorBody,
    RedirectError,
    UnsupportedParameterError,
    classify_connection_error,
    classify_status,
    parse_reply,
    refuse_redirect,
    unsupported_parameters,
)
from paperagent.text.redaction import Redactor
from paperagent.time_limits import Deadline, current_deadline, interruptible_sleep

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
_NO_KEY = "none"
"""Sent to servers that need no key, because the SDK requires one."""
_MODEL_SUFFIX = re.compile(r"(?::[\w.-]+|@[\w-]+|-\d{4}-?\d{2}-?\d{2}|-\d{3,4}|-latest)$")
CONNECT_SECONDS = 5.0
LIST_SECONDS = 15.0
"""For the list of models, including retries, unless the timeout is shorter."""
HINT_SECONDS = 5.0
"""For the list of models inside an error message."""
_MAX_HINT_BYTES = 1 << 20
_PLAIN_HTTP_SIGNS = ("wrong_version_number", "wrong version number", "record layer failure", "http_request")
"""OpenSSL's messages when the other side does not speak TLS."""
_T = TypeVar("_T")


# --- addresses ---


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """The base URL of a server and the key for it."""

    url: str
    key: str

    @classmethod
    def parse(cls, *, api_key: str | None, base_url: str | None) -> EndpointAddress:
        """Validate key and URL. Without a URL it is OpenAI's, which needs a key.

        Raises:
            ConfigError: The key or the URL is invalid.
        """
        key, url = (api_key or "").strip(), (base_url or "").strip()
        if not key and not url:
            raise ConfigError(
                "OPENAI_API_KEY: not set; set it, or OPENAI_BASE_URL for a server without a key"
            )
        if any(not "!" <= char <= "~" for char in key):
            raise ConfigError("OPENAI_API_KEY: contains invalid characters; copy the key again")
        if _split_http_url(url or OPENAI_URL) is None:
            raise ConfigError("OPENAI_BASE_URL: not an http(s) URL; use one like http://127.0.0.1:8080/v1")
        return cls(url or OPENAI_URL, key or _NO_KEY)

    @property
    def display_url(self) -> str:
        """The URL for messages: without user, password and query."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return visible(f"{parts.scheme}://{parts.hostname}{port}{parts.path}", limit=200)

    @property
    def is_loopback(self) -> bool:
        """Whether the server runs on this machine."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        return f".{host}".endswith(".api.openai.com")

    def error(self, why: str, fix: str, kind: str = "failed", status: int | None = None) -> EndpointError:
        """Return an error of the form ``WHAT: WHY; FIX`` about this endpoint."""
        return EndpointError(f"endpoint {self.display_url}: {why}; {fix}", kind=kind, status=status)

    def redact(self, text: str) -> str:
        """Return ``text`` from the server on one line, shortened, without the key."""
        secrets = () if self.key == _NO_KEY else (self.key,)
        return visible(Redactor(secrets).redact_message(text), limit=160)


def _split_http_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def is_same_model(name: str, other: str) -> bool:
    """Return whether two names may mean one model, apart from folder, file type, tag and date."""
    bare = [n.lower().rsplit("/", 1)[-1].removesuffix(".gguf") for n in (name, other)]
    return _MODEL_SUFFIX.sub("", bare[0]) == _MODEL_SUFFIX.sub("", bare[1])


# --- requests ---


def preload() -> None:
    """Import the whole SDK, which otherwise loads its chat module at the first call."""
    import openai.resources.chat.completions  # noqa: F401 - imported for its side effect


def open_stream(resource: Any, **request: Any) -> Any:
    """Send ``request`` to a resource of the client and return the response with its body unread."""
    return resource.with_streaming_response.create(**request).__enter__().http_response


class OfferedModel(NamedTuple):
    """A model in a server's list."""

    name: str
    shutdown: str | None = None
    """The date on which it is shut down, if the server announces one. OpenAI does."""


class ApiNotOfferedError(Exception):
    """The server does not offer an optional API."""


class Endpoint:
    """One server: SDK client, retries, limits, and an error message for every failure. Thread-safe.

    Args:
        address: URL and key.
        timeout: Seconds for a whole call, including retries and pauses.
        http_client: Used instead of the SDK's own client; for tests.
        sleep: Called for pauses between attempts.
        setting: Name of the setting that names the model, for messages.
    """

    def __init__(
        self,
        address: EndpointAddress,
        *,
        timeout: float,
        http_client: Any = None,
        sleep: Callable[[float], None] = time.sleep,
        setting: str = EMBEDDER_SETTING,
    ) -> None:
        self.address = address
        self.attempts = ATTEMPTS
        """Maximum number of attempts for a call."""
        self.offers: dict[str, bool] = {}
        """Optional API → whether this server offers it, as far as known."""
        self._timeout = timeout
        self._http_client = http_client
        self._sleep = sleep
        self._setting = setting
        self._client_or_none: openai.OpenAI | None = None
        self._client_lock = Lock()

    def call(
        self, function: Callable[[openai.OpenAI], _T], *, model: str, deadline: Deadline | None = None
    ) -> _T:
        """Run ``function(client)`` with retries and a deadline.

        Args:
            function: Makes one attempt.
            model: The model's name, for error messages; may be empty.
            deadline: The deadline of the call, and of reading the response that ``function`` returns. By
                default, it is the client's timeout from now.

        Raises:
            EndpointError: The call failed; ``kind`` classifies the failure.
            ConfigError: A proxy refused the connection.
        """
        with (deadline or self.deadline()).active() as limit:
            retry = retrying(
                timeout=limit.seconds_left, sleep=interruptible_sleep(self._sleep), attempts=self.attempts
            )
            try:
                result: _T = retry(self._attempt, function, model)
            except TransientError as fault:
                raise fault.error from None
        return result

    def models(self) -> list[OfferedModel]:
        """Return the models that the server lists, in its order.

        Raises:
            EndpointError: The server has no list, or failed.
            ConfigError: A proxy refused the connection.
        """
        preload()  # takes a second or more, which must not count toward the time limit
        deadline = Deadline.after(min(LIST_SECONDS, self._timeout))
        reply = self.call(self._get_models, model="", deadline=deadline)
        return self._parse_models(reply)

    def _get_models(self, client: openai.OpenAI, max_bytes: int = MAX_RESPONSE_BYTES) -> dict[str, Any]:
        with closing(client.models.with_streaming_response.list().__enter__().http_response) as response:
            return self.parse(response, max_bytes=max_bytes)

    def _parse_models(self, reply: dict[str, Any]) -> list[OfferedModel]:
        rows = reply.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
            fix = "check that OPENAI_BASE_URL ends in /v1"
            raise self.address.error("sent no list of models", fix, "invalid_reply")
        named = ((row["id"], row.get("shutdown_date")) for row in rows)
        return [OfferedModel(n, d if isinstance(d, str) else None) for n, d in named if isinstance(n, str)]

    def call_optional(
        self, api: str, function: Callable[[openai.OpenAI], _T], *, model: str, refusals: frozenset[int]
    ) -> _T:
        """Call an API that the server may lack, and remember in `offers` whether it does.

        Args:
            api: The API's name in `offers`.
            function: Makes one attempt.
            model: The model's name, for error messages.
            refusals: Statuses of a server without this API.

        Raises:
            ApiNotOfferedError: The server answered with one of ``refusals`` or in another form.
            EndpointError: Any other failure.
        """

        def attempt(client: openai.OpenAI) -> _T:
            import openai

            try:
                return function(client)
            except openai.APIStatusError as error:
                if error.status_code in refusals:
                    raise ApiNotOfferedError from None
                raise

        try:
            result = self.call(attempt, model=model)
        except ApiNotOfferedError:
            self.offers.setdefault(api, False)
            raise
        except EndpointError as error:
            if error.kind != "invalid_reply":
                raise
            self.offers.setdefault(api, False)
            raise ApiNotOfferedError from None
        self.offers[api] = True
        return result

    def deadline(self) -> Deadline:
        """Return the deadline of a call that starts now."""
        return Deadline.after(self._timeout)

    def parse(self, response: Any, *, max_bytes: int = MAX_RESPONSE_BYTES) -> dict[str, Any]:
        """Return the JSON object of a 200 reply; see `server_errors.parse_reply`."""
        body = b"".join(self.blocks(response, max_bytes=max_bytes))
        return parse_reply(body, response.headers.get("content-type", ""), self.address)

    def blocks(self, response: Any, *, max_bytes: int = MAX_RESPONSE_BYTES) -> Iterator[bytes]:
        """Yield a decompressed body within a size limit.

        Raises:
            EndpointError, TransientError: The connection broke or a limit was exceeded.
        """
        size = 0
        try:
            for block in response.iter_bytes():
                size += len(block)
                if size > max_bytes:
                    raise TooLargeError  # noqa: TRY301 - reported below, like errors of the connection
                yield block
        except Exception as error:  # noqa: BLE001 - errors of httpx or httpx2, whichever the SDK uses
            raise self._connection_error(error) from None

    def close(self) -> None:
        """Close the connections, if any were opened."""
        if self._client_or_none is not None:
            self._client_or_none.close()

    def _attempt(self, function: Callable[[openai.OpenAI], _T], model: str) -> _T:
        import openai

        # The first byte may take the whole timeout: a model may read its prompt, or reason, for minutes.
        seconds_left = max(current_deadline().seconds_left, 0.001)
        timeout = openai.Timeout(seconds_left, connect=min(CONNECT_SECONDS, seconds_left))
        try:
            return function(self._client.with_options(timeout=timeout))
        except openai.APIStatusError as error:
            raise self._status_error(error, model) from None
        except (openai.APIConnectionError, OSError) as error:  # OSError: our limits, which pass through
            raise self._connection_error(error) from None
        except openai.OpenAIError as error:
            raise self.address.error(f"failed: {type(error).__name__}", "try again") from None

    @property
    def _client(self) -> openai.OpenAI:
        with self._client_lock:  # concurrent threads share one
            self._client_or_none = self._client_or_none or self._create_client()
        return self._client_or_none

    def _create_client(self) -> openai.OpenAI:
        import openai

        http_client = self._http_client or openai.DefaultHttpxClient(
            # A proxy cannot reach a server on this machine, but HTTP_PROXY would be used for it.
            trust_env=not self.address.is_loopback,
            event_hooks={
                "request": [limit_connections],
                "response": [LimitedStream.limit, refuse_redirect],
            },
        )
        return openai.OpenAI(
            api_key=self.address.key,
            base_url=self.address.url,
            max_retries=0,
            http_client=http_client,
            default_headers={
                "Accept-Encoding": "identity"
            },  # a small compressed reply may expand to a huge one
        )

    def _status_error(self, error: openai.APIStatusError, model: str) -> Exception:
        status, body = error.status_code, ErrorBody.decode(error.response.content)
        message = self.address.redact(body.message) or "the server gave no reason"
        if status == 407:
            return ConfigError(
                f"proxy: requires a login to reach {self.address.display_url}; correct HTTPS_PROXY"
            )
        kind, fix = classify_status(status, body, setting=self._setting)
        if status == 404 and model and kind != "not_loaded":
            return self.address.error(*self._explain_not_found(model, message), "not_found", status)
        fault = self.address.error(f"{status}: {message}", fix, kind, status)
        if kind == "rejected" and status in (400, 422) and (names := unsupported_parameters(body)):
            unsupported = UnsupportedParameterError(str(fault), kind=kind, status=status)
            unsupported.names, unsupported.complaint = names, body.message
            return unsupported
        if kind not in ("rate_limit", "server"):
            return fault
        wait = retry_after(error.response.headers)
        if wait is None or 0 <= wait <= self._timeout:
            return TransientError(fault, wait=wait)
        return self.address.error(f"{status}, and asks to wait {wait:.0f} s", "try again later", kind, status)

    def _explain_not_found(self, model: str, message: str) -> tuple[str, str]:
        """Return reason and fix for a 404, naming the models that the server lists."""
        name = visible(model, limit=80)
        if names := self._list_model_names():
            offered = ", ".join(visible(self.address.redact(name), limit=60) for name in names[:10])
            return f"model '{name}' not found", f"this server offers: {offered}"
        return f"404: {message}", f"check the model '{name}' and that the address ends in /v1"

    def _list_model_names(self) -> list[str]:
        """Return the server's models, or nothing: the 404 is reported either way."""
        try:
            with Deadline.after(HINT_SECONDS).active():
                client = self._client.with_options(timeout=HINT_SECONDS)
                return [model.name for model in self._parse_models(self._get_models(client, _MAX_HINT_BYTES))]
        except Exception:  # noqa: BLE001 - the list is only a hint, and the server may send anything
            return []

    def _connection_error(self, error: Exception) -> Exception:
        causes = list(_cause_chain(error))
        class_names = {type(cause).__name__ for cause in causes}
        text = " ".join(str(cause) for cause in causes)
        if "ProxyError" in class_names:
            return ConfigError(
                f"proxy: refused to connect to {self.address.display_url}; correct HTTPS_PROXY"
            )
        if redirect := next((cause for cause in causes if isinstance(cause, RedirectError)), None):
            target = self.address.redact(str(redirect))
            fix = "if you trust that server, set OPENAI_BASE_URL to its address"
            return self.address.error(f"it redirects to {target}, which is refused", fix, "rejected")
        kind, reason, fix, tries = classify_connection_error(class_names, text)
        is_plain_http = any(sign in text.lower() for sign in _PLAIN_HTTP_SIGNS)
        if kind == "tls" and self.address.is_loopback and is_plain_http:
            reason = "the server speaks plain http"
            fix = f"set OPENAI_BASE_URL={self.address.display_url.replace('https', 'http', 1)}"
        fault = self.address.error(reason, fix, kind)
        return TransientError(fault, tries=tries) if tries > 1 else fault


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
