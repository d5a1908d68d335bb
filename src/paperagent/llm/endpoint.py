"""What is known about a model's server without speaking to it: address, key, redaction, wording.

`llm` puts the openai SDK on top. Nothing that a server or the SDK says is shown unredacted.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from paperagent.errors import ConfigError, EndpointError, visible
from paperagent.http_limits import TransientError
from paperagent.llm.refusals import CONTEXT, ErrorBody, is_overflow

DEFAULT_URL = "https://api.openai.com/v1"
_NO_KEY = "none"
"""Sent to servers that want no key: the SDK insists on one."""


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """Where the server is, and the key for it."""

    url: str
    key: str

    @classmethod
    def checked(cls, *, api_key: str | None, base_url: str | None) -> EndpointAddress:
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

    @property
    def is_openai(self) -> bool:
        """Whether the server is OpenAI's own."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        return f".{host}".endswith(".api.openai.com")

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


def parse_reply(body: bytes, content_type: str, address: EndpointAddress) -> dict[str, Any]:
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
    if isinstance(reply, list) and len(reply) == 1:  # Gemini's form of an error
        reply = reply[0]
    if not isinstance(reply, dict):
        raise address.error("sent JSON of another form", "check OPENAI_BASE_URL", "invalid_reply")
    refuse_failure(reply, address)
    return reply


def refuse_failure(reply: dict[str, Any], address: EndpointAddress) -> None:
    """Raise where a reply with a good status holds an error."""
    failure = reply.get("error") or ("choices" not in reply and "id" not in reply and reply.get("detail"))
    if failure or reply.get("object") == "error":
        said = ErrorBody.of(reply)
        kind, fix = (CONTEXT, "send less") if is_overflow(said) else ("server", "try again")
        raise address.error(f"failed: {address.clean(said.message or str(failure))}", fix, kind)


def same_model(answered: str, asked: str) -> bool:
    """Tell whether two names may mean one model: apart from folder, file type, tag and date."""
    bare = [name.lower().rsplit("/", 1)[-1].removesuffix(".gguf") for name in (answered, asked)]
    first, second = (_TAG.sub("", name) for name in bare)
    return first == second


_TAG = re.compile(r"(?::[\w.-]+|@[\w-]+|-\d{4}-?\d{2}-?\d{2}|-\d{3,4}|-latest)$")


class UnsupportedError(EndpointError):
    """A request refused for an optional parameter that the server does not know."""

    names: tuple[str, ...] = ()
    """The parameters that may be meant, the likeliest first."""
    complaint: str = ""
    """The server's words, raw: only for comparing."""


OPTIONAL = (
    "response_format",
    "stream_options",
    "temperature",
    "reasoning_effort",
    "seed",
    "logprobs",
    "top_logprobs",
    "max_completion_tokens",
    "max_tokens",
    "stream",
)
"""The parameters of a chat request that it can do without, or say otherwise."""


def unsupported(said: ErrorBody) -> tuple[str, ...]:
    """Return the optional parameters that a 400 or 422 complains of, the likeliest first."""
    if said.param in OPTIONAL or said.param.split(".")[0] in OPTIONAL:
        return (said.param.split(".")[0],)
    if not _UNKNOWN.search(f"{said.code} {said.message}"):
        return ()
    message = re.sub(r"json_schema|json_object|json schema|\bgrammar\b", "response_format", said.message)
    places = {name: re.search(rf"\b{name}\b", message) for name in OPTIONAL}
    found = [(place.start(), name) for name, place in places.items() if place]
    return tuple(name for _, name in sorted(found))


_UNKNOWN = re.compile(
    r"unsupported|(?:not|n't|no) support|unrecogni[sz]ed|unknown|unexpected|\bextra\b"
    r"|failed to (?:parse|deserialize)|must contain the word"
    r"|not (?:permitted|allowed|available|implemented)"
    r"|unavailable|invalid|only the default|deprecated",
    re.IGNORECASE,
)


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
    ({"TooSlowError"}, "deadline", "reply too slow", "try again or raise PAPERAGENT_TIMEOUT", 1),
    ({"TooLargeError"}, "too_long", "reply too large", "check OPENAI_BASE_URL", 1),
    ({"SSLError"}, "tls", "TLS failed", "check the address and the server's certificate", 1),
    (
        {"LocalProtocolError", "UnsupportedProtocol", "InvalidURL"},
        "rejected",
        "request cannot be sent",
        "check OPENAI_API_KEY and OPENAI_BASE_URL",
        1,
    ),
    ({"ReadTimeout"}, "timeout", "no answer in time", "try again or raise PAPERAGENT_TIMEOUT", 1),
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
