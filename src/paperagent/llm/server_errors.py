"""Turn the failures of an OpenAI-compatible server into errors with a kind, a reason and a fix.

Servers word the same failure in many ways. This module knows the forms of error bodies, statuses,
200 replies that contain an error, and broken connections.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any, NamedTuple

from paperagent.errors import EndpointError
from paperagent.http_limits import TransientError

if TYPE_CHECKING:
    from paperagent.llm.client import EndpointAddress

CONTEXT_KIND = "context"
"""Kind of the error for a prompt that is too long for the model."""
EMBEDDER_SETTING = "PAPERAGENT_EMBEDDER"
"""The setting that names an embedding model, whose requests hold many texts."""

# --- error bodies ---


class ErrorBody(NamedTuple):
    """The contents of an error body. Not redacted: only for comparisons."""

    message: str
    code: str = ""
    param: str = ""
    """The request parameter that the error is about."""

    @classmethod
    def decode(cls, raw: bytes) -> ErrorBody:
        """Read the body of an error response as JSON, with or without a byte order mark, or else as text."""
        try:
            return cls.parse(json.loads(raw))
        except (ValueError, RecursionError):
            return cls(raw.decode(errors="replace").strip())

    @classmethod
    def parse(cls, body: Any) -> ErrorBody:
        """Read an error body in any of the forms that servers use, including nested ones."""
        if isinstance(body, list):
            return cls._parse_list(body)
        if not isinstance(body, dict):
            return cls(body if isinstance(body, str) else "")
        code = " ".join(str(body[k]) for k in ("code", "type", "status") if isinstance(body.get(k), str))
        param = body["param"] if isinstance(body.get("param"), str) else ""
        inner = next((cls.parse(body[k]) for k in _MESSAGE_FIELDS if body.get(k)), cls(""))
        metadata = body.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None  # OpenRouter: the provider's error
        message = f"{inner.message}: {raw}" if isinstance(raw, str) else inner.message
        return cls(message, f"{code} {inner.code}".strip(), param or inner.param)

    @classmethod
    def _parse_list(cls, body: list[Any]) -> ErrorBody:
        """Read a list of errors. FastAPI names the part of the request in ``loc``."""
        messages, param = [], ""
        for error in body[:3]:
            location = error.get("loc") if isinstance(error, dict) else None
            names = [str(name) for name in location if name != "body"] if isinstance(location, list) else []
            inner = cls.parse(error)
            messages.append(": ".join(filter(None, (".".join(names), inner.message))))
            param = param or (names[0] if names else inner.param)
        return cls("; ".join(filter(None, messages)), cls.parse(body[0]).code if body else "", param)

    @property
    def text(self) -> str:
        """Code and message."""
        return f"{self.code} {self.message}"


_MESSAGE_FIELDS = ("error", "message", "detail", "errors", "msg", "error_message", "error_msg", "title")
"""Fields that may contain an error's message, most likely first."""


# --- statuses ---


def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


_OVERFLOW = _pattern(
    r"""context[ _](?:length|window|size) | exceed_context | maximum\ context | prompt\ is\ too\ long
    | too\ many\ (?:input\ )?tokens | request\ too\ large | context\ the\ overflows
    | exceeds?\ (?:the\ (?:model's\ )?)?(?:maximum|max)\ (?:input\ )?(?:length|tokens)"""
)
"""Covers OpenAI, vLLM, llama.cpp, LM Studio, and the gateways of Anthropic and Mistral."""
_NOT_LOADED = _pattern(
    r"""\bno\ models?\ (?:is\ |are\ )?(?:currently\ )?(?:loaded|running)
    | \bmodel\b.{0,60}(?:is\ |has\ )?not\ (?:been\ )?loaded"""
)
_NO_CREDIT = _pattern(
    r"""insufficient[_ ](?:quota|balance|credits?|funds) | credit\ balance | out\ of\ credits
    | used\ (?:up\ )?all\ .{0,20}credits | billing[_ ](?:hard[_ ]limit|not[_ ]active)"""
)
_TOO_MANY_INPUTS = _pattern(
    r"""batch | too\ many\ (?:inputs|texts|items|documents|requests|tokens)
    | array[_ ](?:is[_ ])?(?:too[_ ]long|above_max)
    | \b(?:at\ most|no\ more\ than|larger\ than|maximum|max|limit|exceeds?)\b.{0,60}\b(?:inputs|texts|items)\b
    | \b(?:inputs|texts|items)\b.{0,60}\b(?:at\ most|no\ more\ than|maximum|max|limit|exceeds?)\b"""
)
"""Covers DashScope, Gemini, Cohere, Azure, Mistral, Jina, TEI and SiliconFlow."""
_FILTERED = _pattern("content_filter | content_policy")
_SHORTEN = "send less or use a model with a longer context"
_ADD_CREDIT = "the balance or credit is used up: check plan and billing"
_BY_STATUS = {
    401: ("auth", "check OPENAI_API_KEY"),
    402: ("quota", _ADD_CREDIT),
    403: ("forbidden", "check the key's rights and region"),
    408: ("server", "try again later"),
    413: ("too_large", "send less at once"),
    429: ("rate_limit", "try again later"),
}


def is_context_overflow(body: ErrorBody) -> bool:
    """Return whether an error means that the prompt is too long for the model."""
    return _OVERFLOW.search(body.text) is not None


def classify_status(status: int, body: ErrorBody, *, setting: str) -> tuple[str, str]:
    """Return the kind and the fix for an error status.

    Args:
        status: HTTP status, 400 or above.
        body: The error body.
        setting: The setting that names the model.
    """
    by_wording: tuple[tuple[bool, re.Pattern[str], str, str], ...] = (
        (True, _NOT_LOADED, "not_loaded", "load a model in the server first"),
        (status in (400, 403, 429), _NO_CREDIT, "quota", _ADD_CREDIT),
        (
            status in (400, 413, 422) and setting == EMBEDDER_SETTING,
            _TOO_MANY_INPUTS,
            "too_large",
            "send less at once",
        ),
        (status in (400, 413, 422, 429), _OVERFLOW, CONTEXT_KIND, _SHORTEN),
        (status == 400, _FILTERED, "refused", "rephrase the question"),
    )
    for applies, pattern, kind, fix in by_wording:
        if applies and pattern.search(body.text):
            return kind, fix
    if status >= 500:
        return "server", "try again later"
    return _BY_STATUS.get(status, ("rejected", f"check {setting} and the server's log"))


# --- unsupported parameters ---


class UnsupportedParameterError(EndpointError):
    """The server rejected a request because of an optional parameter."""

    names: tuple[str, ...] = ()
    """The parameters that may be the cause, most likely first."""
    complaint: str = ""
    """The server's message. Not redacted: only for comparisons."""


OPTIONAL_PARAMETERS = (
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
"""Parameters of a chat request that can be left out or sent in another form."""
_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't|no) support|unrecogni[sz]ed|unknown|unexpected|\bextra\b"
    r"|failed to (?:parse|deserialize)|must contain the word"
    r"|not (?:permitted|allowed|available|implemented)"
    r"|unavailable|invalid|only the default|deprecated",
    re.IGNORECASE,
)


def unsupported_parameters(body: ErrorBody) -> tuple[str, ...]:
    """Return the optional parameters that a 400 or 422 error complains about, most likely first."""
    if body.param in OPTIONAL_PARAMETERS or body.param.split(".")[0] in OPTIONAL_PARAMETERS:
        return (body.param.split(".")[0],)
    if not _UNSUPPORTED.search(body.text):
        return ()
    message = re.sub(r"json_schema|json_object|json schema|\bgrammar\b", "response_format", body.message)
    matches = {name: re.search(rf"\b{name}\b", message) for name in OPTIONAL_PARAMETERS}
    positions = [(match.start(), name) for name, match in matches.items() if match]
    return tuple(name for _, name in sorted(positions))


# --- 200 replies ---


def parse_reply(body: bytes, content_type: str, address: EndpointAddress) -> dict[str, Any]:
    """Return the JSON object of a 200 reply.

    Raises:
        EndpointError: The reply is a web page or contains an error.
        TransientError: The JSON is invalid or truncated; another request may succeed.
    """
    if body.removeprefix(BOM_UTF8).lstrip()[:1] == b"<" or "html" in content_type:
        fix = "check OPENAI_BASE_URL, which usually ends in /v1"
        raise address.error("sent a web page: not an OpenAI-compatible endpoint", fix, "invalid_reply")
    try:
        reply = json.loads(body)  # recognizes a byte order mark
    except (ValueError, RecursionError):
        error = address.error("sent invalid or truncated JSON", "try again", "invalid_reply")
        raise TransientError(error, tries=2) from None
    if isinstance(reply, list) and len(reply) == 1:  # Gemini wraps an error in a list
        reply = reply[0]
    if not isinstance(reply, dict):
        raise address.error("sent unexpected JSON", "check OPENAI_BASE_URL", "invalid_reply")
    raise_for_error_body(reply, address)
    return reply


def raise_for_error_body(reply: dict[str, Any], address: EndpointAddress) -> None:
    """Raise `EndpointError` if a reply with a success status contains an error."""
    failure = reply.get("error") or ("choices" not in reply and "id" not in reply and reply.get("detail"))
    if failure or reply.get("object") == "error":
        body = ErrorBody.parse(reply)
        kind, fix = (CONTEXT_KIND, "send less") if is_context_overflow(body) else ("server", "try again")
        raise address.error(f"failed: {address.redact(body.message or str(failure))}", fix, kind)


# --- redirects ---


class RedirectError(OSError):
    """A server redirects a request to another server. The message is the address of that server."""


def refuse_redirect(response: Any) -> None:
    """Raise `RedirectError` if a response redirects to another server. This is an httpx response hook.

    The other server would get the question and the abstracts, and would write the answer. A redirect from
    http to https on the same host is followed.
    """
    if not response.has_redirect_location:
        return
    here = response.request.url
    try:
        target = here.join(response.headers["location"])
    except Exception:  # noqa: BLE001 - httpx or httpx2: InvalidURL
        raise RedirectError("an invalid address") from None
    upgraded = (here.scheme, target.scheme, target.port) == ("http", "https", None) and here.port is None
    same_scheme = (here.scheme, here.port) == (target.scheme, target.port)
    if target.host != here.host or not (same_scheme or upgraded):
        raise RedirectError(f"{target.scheme}://{target.netloc.decode('ascii', 'replace')}")


# --- broken connections ---


_CONNECTION_ERRORS: tuple[tuple[set[str], str, str, str, int], ...] = (
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
    (
        {"ReadTimeout", "NoReplyError"},
        "timeout",
        "no reply in time",
        "try again or raise PAPERAGENT_TIMEOUT",
        1,
    ),
    (
        {"ConnectTimeout", "ConnectError"},
        "unreachable",
        "cannot be reached",
        "is the server running at that address?",
        3,
    ),
    (set(), "unreachable", "the connection broke", "try again", 3),
)
"""Class names of causes (the same in httpx and httpx2), kind, reason, fix, attempts. The last row is the
default."""
_NO_SUCH_HOST = ("Name or service not known", "getaddrinfo", "nodename nor servname", "name resolution")


def classify_connection_error(class_names: set[str], text: str) -> tuple[str, str, str, int]:
    """Return the kind, reason, fix and maximum attempts for a broken connection.

    Args:
        class_names: Class names of the exception and its causes.
        text: Their messages.
    """
    if "CERTIFICATE" in text.upper() or "SSL" in text:
        class_names = {"SSLError"}
    _, kind, reason, fix, tries = next(
        row for row in _CONNECTION_ERRORS if not row[0] or row[0] & class_names
    )
    if kind == "unreachable" and any(sign in text for sign in _NO_SUCH_HOST):
        reason = "no such host"
    return kind, reason, fix, tries
