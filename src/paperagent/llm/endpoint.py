"""What is known about a model's server without speaking to it: address, key, redaction, wording.

`llm` puts the openai SDK on top. Nothing that a server or the SDK says is shown unredacted.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from paperagent.errors import ConfigError, EndpointError, visible
from paperagent.transport import TransientError

DEFAULT_URL = "https://api.openai.com/v1"
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


class Said(NamedTuple):
    """What an error's body says; raw, so only for comparing."""

    message: str
    code: str = ""
    param: str = ""

    @classmethod
    def of(cls, body: Any) -> Said:
        """Read the forms in which servers word an error."""
        if isinstance(body, dict) and isinstance(body.get("error"), (dict, str)):
            body = body["error"]
        if not isinstance(body, dict):
            return cls(body if isinstance(body, str) else "")
        message = next((str(body[k]) for k in ("message", "detail", "error") if body.get(k)), "")
        code = f"{body.get('code') or ''} {body.get('type') or ''}"
        return cls(message, code, str(body.get("param") or ""))


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
    refuse_failure(reply, address)
    return reply


def refuse_failure(reply: dict[str, Any], address: Address) -> None:
    """Raise where a reply with a good status holds an error."""
    if failure := reply.get("error"):
        said = Said.of(reply)
        kind, fix = (CONTEXT, "send less") if is_overflow(said) else ("server", "try again")
        raise address.error(f"failed: {address.clean(said.message or str(failure))}", fix, kind)


CONTEXT = "context"
"""The kind of error of a prompt that is too long for the model."""


def is_overflow(said: Said) -> bool:
    """Tell whether an error means that the prompt is too long for the model."""
    if "context_length" in said.code or "exceed_context" in said.code:
        return True
    return _OVERFLOW.search(said.message) is not None


_OVERFLOW = re.compile(
    r"context (?:length|window|size)|maximum context|prompt is too long|too many (?:input )?tokens"
    r"|request too large|context the overflows|exceeds? the (?:model's )?(?:maximum|max) "
    r"(?:input )?(?:length|tokens)",
    re.IGNORECASE,
)
"""As OpenAI, vLLM, llama.cpp, LM Studio, Anthropic's and Mistral's gateways word it."""


def status_kind(status: int, said: Said, *, setting: str) -> tuple[str, str]:
    """Return kind and fix of an error status; ``setting`` is the one that names the model."""
    if status in (400, 413, 422, 429) and is_overflow(said):
        return CONTEXT, "send less or use a model with a longer context"
    if status == 429:
        quota = "insufficient_quota" in said.code
        return ("quota", "check plan and billing") if quota else ("rate_limit", "try again later")
    if status >= 500 or status == 408:
        return "server", "try again later"
    if status == 413 or (status == 422 and "batch" in said.message.lower()):  # so one server words its limit
        return "too_large", "send less at once"
    if status == 400 and ("content_filter" in said.code or "content_policy" in said.code):
        return "refused", "rephrase the question"
    known = {401: ("auth", "check OPENAI_API_KEY"), 403: ("forbidden", "check the key's rights and region")}
    return known.get(status, ("rejected", f"check {setting} and the server's log"))


class UnsupportedError(EndpointError):
    """A request refused for an optional parameter that the server does not know."""

    names: tuple[str, ...] = ()
    """The parameters that may be meant, the likeliest first."""


OPTIONAL = (
    "response_format",
    "stream_options",
    "temperature",
    "seed",
    "max_completion_tokens",
    "max_tokens",
    "stream",
)
"""The parameters of a chat request that it can do without, or say otherwise."""


def unsupported(said: Said) -> tuple[str, ...]:
    """Return the optional parameters that a 400 complains of, the likeliest first."""
    if said.param in OPTIONAL or said.param.split(".")[0] in OPTIONAL:
        return (said.param.split(".")[0],)
    if not _UNKNOWN.search(f"{said.code} {said.message}"):
        return ()
    message = re.sub(r"json_schema|json schema|\bgrammar\b", "response_format", said.message)
    places = {name: re.search(rf"\b{name}\b", message) for name in OPTIONAL}
    found = [(place.start(), name) for name, place in places.items() if place]
    return tuple(name for _, name in sorted(found))


_UNKNOWN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|\bextra\b|failed to parse"
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
