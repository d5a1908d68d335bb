"""Adapt chat requests to the parameters that a server supports.

OpenAI-compatible servers differ in the optional parameters of a request. All are sent at first. A
parameter that the server rejects by name is omitted, or sent in another form, for the rest of the
process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from paperagent.llm.client import EndpointAddress

EFFORTS = ("none", "minimal", "low", "medium", "high")
"""Values of ``reasoning_effort``, lowest first."""
OMIT = "omit"
"""Instead of an effort: send none, so that the model uses its default."""
THINKING_TOKENS = {"none": 0, "minimal": 500, "low": 2_000, "medium": 8_000, "high": 16_000}
"""Effort → tokens added to the output limit, because the limit counts reasoning too."""
LIMIT_PARAMETERS = ("max_tokens", "max_completion_tokens")
_DEPENDENT = {"stream": {"stream_options"}, "logprobs": {"top_logprobs"}}
"""Parameter → parameters that are invalid without it."""
_LOWEST_EFFORTS = (
    (re.compile(r"o\d(?!.*chat)"), "low"),
    (re.compile(r"gpt-5(?:-(?:mini|nano|codex))?(?:-\d{4}-\d\d-\d\d)?$"), "minimal"),
    (re.compile(r"gpt-(?:5\.\d|[6-9])(?!.*chat)"), "none"),
)
"""OpenAI's reasoning models → the lowest effort that they accept."""
_SCHEMA_COMPLAINT = re.compile(r"schema|type|grammar", re.IGNORECASE)
"""Matches a complaint about the type of format; other complaints are about the parameter itself."""


def lowest_effort(model: str) -> str | None:
    """Return the lowest effort of an OpenAI reasoning model; None for any other model."""
    return next((effort for name, effort in _LOWEST_EFFORTS if name.match(model.lower())), None)


@dataclass(slots=True)
class RequestDialect:
    """The parameters that one model at one server supports. Shared between threads."""

    limit_parameter: str
    """The server's name for the output limit."""
    effort: str | None = None
    """The reasoning effort that is sent."""
    reasons: bool = False
    """Whether the model is known to reason."""
    unsupported: frozenset[str] = frozenset()
    """Parameters that the server has rejected."""
    schema: bool = True
    """Whether the server accepts a JSON schema; otherwise any JSON object is requested."""

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may spend on reasoning, on top of its output limit."""
        if not self.reasons:
            return 0
        effort = None if "reasoning_effort" in self.unsupported else self.effort
        return THINKING_TOKENS["low" if effort is None else effort]

    def request(self, parameters: Mapping[str, Any], max_output_tokens: int) -> dict[str, Any]:
        """Return a request in the form the server supports.

        Args:
            parameters: The full request, without an output limit.
            max_output_tokens: Limit of the reply, without reasoning.
        """
        unsupported = self.unsupported.union(*(_DEPENDENT.get(name, ()) for name in self.unsupported))
        request = {name: value for name, value in parameters.items() if name not in unsupported}
        if self.effort and "reasoning_effort" not in unsupported:
            request["reasoning_effort"] = self.effort
        if "response_format" in request and not self.schema:
            request["response_format"] = {"type": "json_object"}
        return {**request, self.limit_parameter: max_output_tokens + self.thinking_tokens}

    def adapt(self, name: str, request: Mapping[str, Any], complaint: str) -> str:
        """Change the dialect after the server rejected a parameter.

        Args:
            name: The rejected parameter.
            request: The request that was sent.
            complaint: The server's message.

        Returns:
            A description of the change.
        """
        if name in LIMIT_PARAMETERS:
            self.limit_parameter = LIMIT_PARAMETERS[name == LIMIT_PARAMETERS[0]]
            return f"sent {self.limit_parameter} instead"
        is_schema = name == "response_format" and request[name]["type"] == "json_schema"
        if is_schema and _SCHEMA_COMPLAINT.search(complaint):
            self.schema = False
            return "asked for any JSON object instead"
        if name == "reasoning_effort" and (effort := _nearest_effort(str(request[name]), complaint)):
            self.effort = effort
            return f"sent '{effort}' instead"
        self.unsupported |= {name}
        return "sent without it"


def _nearest_effort(effort: str, complaint: str) -> str | None:
    """Return the effort closest to ``effort`` among those that a complaint offers."""
    offered = [e for e in EFFORTS if e != effort and re.search(rf"\b{e}\b['\"`]", complaint)]
    rank = EFFORTS.index(effort)
    return min(offered, key=lambda e: abs(EFFORTS.index(e) - rank), default=None)


_DIALECTS: dict[tuple[str, str, str | None], RequestDialect] = {}
"""Base URL, model and effort → what this process has learned."""
_LOCK = Lock()


def get_dialect(address: EndpointAddress, model: str, effort: str | None) -> RequestDialect:
    """Return what this process has learned about a model at a server.

    Args:
        address: The server.
        model: The model's name.
        effort: One of `EFFORTS`, `OMIT`, or None: the lowest for OpenAI's reasoning models, none elsewhere.
    """
    with _LOCK:
        key = (address.url, model, effort)
        if key not in _DIALECTS:
            _DIALECTS[key] = _default_dialect(address, model, effort)
        return _DIALECTS[key]


def forget_dialects() -> None:
    """Forget everything learned about servers."""
    with _LOCK:
        _DIALECTS.clear()


def _default_dialect(address: EndpointAddress, model: str, effort: str | None) -> RequestDialect:
    lowest = lowest_effort(model) if address.is_openai else None
    # OpenAI's reasoning models know only the newer name, Ollama and older servers only the older.
    limit_parameter = LIMIT_PARAMETERS[address.is_openai]
    if effort == OMIT:
        return RequestDialect(limit_parameter, reasons=lowest is not None)
    effort = effort or lowest
    return RequestDialect(limit_parameter, effort=effort, reasons=effort is not None)
