"""What a server means by an error: its words, in whatever form they come, and the kind of failure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple


class ErrorBody(NamedTuple):
    """What an error's body says; raw, so only for comparing."""

    message: str
    code: str = ""
    param: str = ""

    @classmethod
    def of(cls, body: Any) -> ErrorBody:
        """Read the forms in which servers word an error: objects, lists of them, texts, one in another."""
        if isinstance(body, list):
            return cls._of_list(body)
        if not isinstance(body, dict):
            return cls(body if isinstance(body, str) else "")
        code = " ".join(str(body[k]) for k in ("code", "type", "status") if isinstance(body.get(k), str))
        param = body["param"] if isinstance(body.get("param"), str) else ""
        inner = next((cls.of(body[k]) for k in _FIELDS if body.get(k)), cls(""))
        metadata = body.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None  # OpenRouter: the provider's words
        message = f"{inner.message}: {raw}" if isinstance(raw, str) else inner.message
        return cls(message, f"{code} {inner.code}".strip(), param or inner.param)

    @classmethod
    def _of_list(cls, body: list[Any]) -> ErrorBody:
        """Read a list of errors; FastAPI's say with ``loc`` which part of the request they mean."""
        message, param = [], ""
        for error in body[:3]:
            place = error.get("loc") if isinstance(error, dict) else None
            names = [str(name) for name in place if name != "body"] if isinstance(place, list) else []
            inner = cls.of(error)
            message.append(": ".join(filter(None, (".".join(names), inner.message))))
            param = param or (names[0] if names else inner.param)
        return cls("; ".join(filter(None, message)), cls.of(body[0]).code if body else "", param)


_FIELDS = ("error", "message", "detail", "errors", "msg", "error_message", "error_msg", "title")
"""Where the words of an error stand, the likeliest first."""


CONTEXT = "context"
"""The kind of error of a prompt that is too long for the model."""


def is_overflow(said: ErrorBody) -> bool:
    """Tell whether an error means that the prompt is too long for the model."""
    return _OVERFLOW.search(f"{said.code} {said.message}") is not None


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


_OVERFLOW = _words(
    r"""context[ _](?:length|window|size) | exceed_context | maximum\ context | prompt\ is\ too\ long
    | too\ many\ (?:input\ )?tokens | request\ too\ large | context\ the\ overflows
    | exceeds?\ (?:the\ (?:model's\ )?)?(?:maximum|max)\ (?:input\ )?(?:length|tokens)"""
)
"""As OpenAI, vLLM, llama.cpp, LM Studio, Anthropic's and Mistral's gateways word it."""
_NOT_LOADED = _words(
    r"""\bno\ models?\ (?:is\ |are\ )?(?:currently\ )?(?:loaded|running)
    | \bmodel\b.{0,60}(?:is\ |has\ )?not\ (?:been\ )?loaded"""
)
_NO_CREDIT = _words(
    r"""insufficient[_ ](?:quota|balance|credits?|funds) | credit\ balance | out\ of\ credits
    | used\ (?:up\ )?all\ .{0,20}credits | billing[_ ](?:hard[_ ]limit|not[_ ]active)"""
)
_TOO_MANY = _words(
    r"""batch | too\ many\ (?:inputs|texts|items|documents|requests|tokens)
    | array[_ ](?:is[_ ])?(?:too[_ ]long|above_max)
    | \b(?:at\ most|no\ more\ than|larger\ than|maximum|max|limit|exceeds?)\b.{0,60}\b(?:inputs|texts|items)\b
    | \b(?:inputs|texts|items)\b.{0,60}\b(?:at\ most|no\ more\ than|maximum|max|limit|exceeds?)\b"""
)
"""As DashScope, Gemini, Cohere, Azure, Mistral, Jina, TEI and SiliconFlow word it."""
_FILTERED = _words("content_filter | content_policy")
EMBEDDER = "PAPERAGENT_EMBEDDER"
"""The setting that names a model of embeddings, whose requests hold many texts."""
_SEND_LESS = "send less or use a model with a longer context"
_NO_MONEY = "the balance or credit is used up: check plan and billing"


def status_kind(status: int, said: ErrorBody, *, setting: str) -> tuple[str, str]:
    """Return kind and fix of an error status; ``setting`` is the one that names the model."""
    words = f"{said.code} {said.message}"
    worded: tuple[tuple[bool, re.Pattern[str], str, str], ...] = (
        (True, _NOT_LOADED, "not_loaded", "load a model in the server first"),
        (status in (400, 403, 429), _NO_CREDIT, "quota", _NO_MONEY),
        (status in (400, 413, 422) and setting == EMBEDDER, _TOO_MANY, "too_large", "send less at once"),
        (status in (400, 413, 422, 429), _OVERFLOW, CONTEXT, _SEND_LESS),
        (status == 400, _FILTERED, "refused", "rephrase the question"),
    )
    for applies, pattern, kind, fix in worded:
        if applies and pattern.search(words):
            return kind, fix
    if status >= 500:
        return "server", "try again later"
    return _BY_STATUS.get(status, ("rejected", f"check {setting} and the server's log"))


_BY_STATUS = {
    401: ("auth", "check OPENAI_API_KEY"),
    402: ("quota", _NO_MONEY),
    403: ("forbidden", "check the key's rights and region"),
    408: ("server", "try again later"),
    413: ("too_large", "send less at once"),
    429: ("rate_limit", "try again later"),
}
