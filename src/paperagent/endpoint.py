"""What is known about a model's server without speaking to it: address, key, limits, wording, retries.

`llm` puts the openai SDK on top. Nothing that a server or the SDK says is shown unredacted.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import math
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

from paperagent.errors import ConfigError, EndpointError, visible

if TYPE_CHECKING:
    import tenacity

DEFAULT_URL = "https://api.openai.com/v1"
ATTEMPTS = 3
MAX_REPLY_BYTES = 128 << 20
_NO_KEY = "none"
"""Sent to servers that want no key: the SDK insists on one."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and the key for it."""

    url: str
    key: str

    @classmethod
    def checked(cls, *, api_key: str | None, base_url: str | None) -> Address:
        """Check key and address; an empty address is OpenAI's own, which needs a key.

        Raises:
            ConfigError: one of them cannot be right.
        """
        key, url = (api_key or "").strip(), (base_url or "").strip()
        if not key and not url:
            raise ConfigError(
                "OPENAI_API_KEY: not set; set it, or OPENAI_BASE_URL for a server that wants none"
            )
        if any(not "!" <= char <= "~" for char in key):
            raise ConfigError("OPENAI_API_KEY: holds characters that no key has; copy it again")
        if _split(url or DEFAULT_URL) is None:
            raise ConfigError("OPENAI_BASE_URL: no http(s) address; give one like http://127.0.0.1:8080/v1")
        return cls(url or DEFAULT_URL, key or _NO_KEY)

    @property
    def name(self) -> str:
        """The address as messages show it: without user, password or query."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return visible(f"{parts.scheme}://{parts.hostname}{port}{parts.path}", limit=200)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def error(self, why: str, fix: str, kind: str = "failed", status: int | None = None) -> EndpointError:
        """Return the error in the form ``WHAT: WHY; FIX``."""
        return EndpointError(f"endpoint {self.name}: {why}; {fix}", kind=kind, status=status)

    def clean(self, text: str) -> str:
        """Return a stranger's ``text`` on one line, short, without the key."""
        return visible(redact(text, self.key), limit=160)


def _split(url: str) -> SplitResult | None:
    """Return the parts of an http(s) address, or None."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def redact(text: str, key: str) -> str:
    """Return ``text`` without ``key`` (plain, URL-encoded or in base64) and without anything like a key."""
    if key != _NO_KEY:
        for form in (key, quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("=")):
            text = text.replace(form, "***")
    return re.sub(r"\bsk-[\w*-]{3,}", "***", text)


def parse_reply(body: bytes, content_type: str, address: Address) -> dict[str, Any]:
    """Return the JSON object of a 200 reply.

    Raises:
        EndpointError: a web page, or an error in the body.
        TransientError: invalid or cut JSON, worth one more request.
    """
    if body.lstrip()[:1] == b"<" or "html" in content_type:
        fix = "check OPENAI_BASE_URL, which mostly ends in /v1"
        raise address.error("sent a web page: not an OpenAI-compatible endpoint", fix, "invalid_reply")
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        error = address.error("sent invalid or cut JSON", "try again", "invalid_reply")
        raise TransientError(error, tries=2) from None
    if not isinstance(reply, dict):
        raise address.error("sent JSON of another form", "check OPENAI_BASE_URL", "invalid_reply")
    if failure := reply.get("error"):
        said = failure.get("message", failure) if isinstance(failure, dict) else failure
        raise address.error(f"failed: {address.clean(str(said))}", "try again", "server")
    return reply


class TransientError(Exception):
    """A fault that another attempt may cure."""

    def __init__(self, error: EndpointError, *, wait: float | None = None, tries: int = ATTEMPTS) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        """Seconds that the server asks for."""
        self.tries = tries
        """Attempts that this fault is worth, the first included."""


def retrying(*, timeout: float, sleep: Callable[[float], None]) -> tenacity.Retrying:
    """Return the one retry layer: a function runs again while it raises `TransientError` and time is left."""
    import tenacity

    in_time = tenacity.stop_before_delay(timeout)
    return tenacity.Retrying(
        stop=lambda state: state.attempt_number >= _fault(state).tries or in_time(state),
        wait=_pause,
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=sleep,
        reraise=True,
    )


def _fault(state: tenacity.RetryCallState) -> TransientError:
    fault = state.outcome.exception() if state.outcome else None
    assert isinstance(fault, TransientError)
    return fault


def _pause(state: tenacity.RetryCallState) -> float:
    """Return the wait that the server asked for, else 1 to 2, then 2 to 4 seconds (equal jitter)."""
    wait = _fault(state).wait
    base = float(2 ** (state.attempt_number - 1))
    return base + random.uniform(0, base) if wait is None else wait  # noqa: S311 - spreads retries, no secret


def retry_after(headers: Any) -> float | None:
    """Return the seconds that a server asks to wait; None where it does not say, NaN for nonsense.

    Reads ``retry-after-ms`` and ``Retry-After`` in both forms (RFC 9110, 10.2.3).
    """
    if (milliseconds := headers.get("retry-after-ms")) is not None:
        return _number(milliseconds) / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if math.isnan(seconds):
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return math.nan
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def status_kind(status: int, code: str, said: str) -> tuple[str, str]:
    """Return kind and fix of an error status."""
    if status == 429:
        quota = "insufficient_quota" in code
        return ("quota", "check plan and billing") if quota else ("rate_limit", "try again later")
    if status >= 500 or status == 408:
        return "server", "try again later"
    if status == 413 or (status == 422 and "batch" in said.lower()):  # so one server words its limit
        return "too_large", "send less at once"
    known = {401: ("auth", "check OPENAI_API_KEY"), 403: ("forbidden", "check the key's rights and region")}
    return known.get(status, ("rejected", "check PAPERAGENT_EMBEDDER and the server's log"))


def connection_kind(names: set[str], text: str) -> tuple[str, str, str, int]:
    """Return kind, reason, fix and worthwhile attempts of a broken connection.

    ``names`` are the classes of its causes, ``text`` what they say.
    """
    if "CERTIFICATE" in text.upper() or "SSL" in text:
        names = {"SSLError"}
    _, kind, why, fix, tries = next(row for row in _BROKEN if not row[0] or row[0] & names)
    if kind == "unreachable" and any(sign in text for sign in _NO_SUCH_HOST):
        why = "no such host"
    return kind, why, fix, tries


_BROKEN: tuple[tuple[set[str], str, str, str, int], ...] = (
    ({"TooSlowError"}, "deadline", "reply too slow", "try again or raise the timeout", 1),
    ({"TooLargeError"}, "too_long", "reply too large", "check OPENAI_BASE_URL", 1),
    ({"SSLError"}, "tls", "TLS failed", "check the address and the server's certificate", 1),
    (
        {"LocalProtocolError", "UnsupportedProtocol", "InvalidURL"},
        "rejected",
        "request cannot be sent",
        "check OPENAI_API_KEY and OPENAI_BASE_URL",
        1,
    ),
    ({"ReadTimeout"}, "timeout", "no answer in time", "try again or raise the timeout", 2),
    (
        {"ConnectTimeout", "ConnectError"},
        "unreachable",
        "cannot be reached",
        "is the server running at that address?",
        3,
    ),
    (set(), "unreachable", "the connection broke", "try again", 3),
)
"""Causes by class name (httpx and httpx2 have the same), kind, why, fix, attempts; the last fits all."""
_NO_SUCH_HOST = ("Name or service not known", "getaddrinfo", "nodename nor servname", "name resolution")


class TooLargeError(OSError):
    """A reply beyond our limit of size."""


class TooSlowError(OSError):
    """A reply that was not complete in time."""


class Bounded:
    """A response stream that stops at a size and a time: a read timeout alone lets a slow drip go on."""

    def __init__(self, stream: Any, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    @classmethod
    def around(cls, stream: Any, *, deadline: float) -> Any:
        """Wrap ``stream``; ``deadline`` is a `time.monotonic`.

        The class made here also has the stream's own root: httpx and httpx2 (openai 2 and 3)
        each insist on theirs.
        """
        return type("BoundedStream", (cls, type(stream).__mro__[-2]), {})(stream, deadline)

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for block in self._stream:
            size += len(block)
            if size > MAX_REPLY_BYTES:
                raise TooLargeError
            if time.monotonic() > self._deadline:
                raise TooSlowError
            yield block

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()
