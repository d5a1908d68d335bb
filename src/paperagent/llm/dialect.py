"""Which options of a chat request a server takes: what it refused once is not sent to it again.

OpenAI-compatible servers differ in the optional parameters of a request. All are sent at first; one
that the server refuses by name is left out or said otherwise, for the rest of the process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from paperagent.llm.endpoint import EndpointAddress

EFFORTS = ("none", "minimal", "low", "medium", "high")
"""Values of ``reasoning_effort``, the least first."""
OMIT = "omit"
"""In place of an effort: none is sent, and the model reasons as much as it does by default."""
THINKING_TOKENS = {"none": 0, "minimal": 500, "low": 2_000, "medium": 8_000, "high": 16_000}
"""Effort → tokens that a reply may take beyond its limit, which counts reasoning too."""
_DEPENDENT = {"stream": {"stream_options"}, "logprobs": {"top_logprobs"}}
"""Parameter → those that make no sense without it."""
LIMITS = ("max_tokens", "max_completion_tokens")
_LOWEST = (
    (re.compile(r"o\d(?!.*chat)"), "low"),
    (re.compile(r"gpt-5(?:-(?:mini|nano|codex))?(?:-\d{4}-\d\d-\d\d)?$"), "minimal"),
    (re.compile(r"gpt-(?:5\.\d|[6-9])(?!.*chat)"), "none"),
)
"""OpenAI's models that reason → the lowest effort that they take."""


def lowest_effort(model: str) -> str | None:
    """Return the lowest effort of one of OpenAI's reasoning models; None for any other model."""
    return next((effort for name, effort in _LOWEST if name.match(model.lower())), None)


@dataclass(slots=True)
class Dialect:
    """What is known of one model at one server. Threads share it."""

    limit_name: str
    """What the server calls the limit of a reply."""
    effort: str | None = None
    """The reasoning effort that is sent."""
    reasons: bool = False
    """Whether the model is known to reason."""
    refused: frozenset[str] = frozenset()
    """Parameters that the server does not take."""
    schema: bool = True
    """Whether it takes a JSON schema; else it is asked for any JSON object."""

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may take for reasoning, beyond its limit."""
        if not self.reasons:
            return 0
        sent = None if "reasoning_effort" in self.refused else self.effort
        return THINKING_TOKENS["low" if sent is None else sent]

    def request(self, wanted: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """Return the request as the server takes it; ``limit`` is of the reply, without reasoning."""
        refused = self.refused.union(*(_DEPENDENT.get(name, ()) for name in self.refused))
        parts = {name: value for name, value in wanted.items() if name not in refused}
        if self.effort and "reasoning_effort" not in refused:
            parts["reasoning_effort"] = self.effort
        if "response_format" in parts and not self.schema:
            parts["response_format"] = {"type": "json_object"}
        return {**parts, self.limit_name: limit + self.thinking_tokens}

    def adapt(self, name: str, sent: Mapping[str, Any], complaint: str) -> str:
        """Change the dialect for a parameter of the request ``sent`` that was refused; return the change."""
        if name in LIMITS:
            self.limit_name = LIMITS[name == LIMITS[0]]
            return f"sent {self.limit_name} instead"
        if name == "response_format" and sent[name]["type"] == "json_schema" and _OF_SCHEMA.search(complaint):
            self.schema = False
            return "asked for any JSON object instead"
        if name == "reasoning_effort" and (other := _nearest(str(sent[name]), complaint)):
            self.effort = other
            return f"sent '{other}' instead"
        self.refused |= {name}
        return "sent without it"


_OF_SCHEMA = re.compile(r"schema|type|grammar", re.IGNORECASE)
"""A complaint about the kind of format; any other is about the parameter itself."""


def _nearest(effort: str, complaint: str) -> str | None:
    """Return the effort closest to ``effort`` among those that a complaint offers."""
    offered = [e for e in EFFORTS if e != effort and re.search(rf"\b{e}\b['\"`]", complaint)]
    place = EFFORTS.index(effort)
    return min(offered, key=lambda e: abs(EFFORTS.index(e) - place), default=None)


@dataclass(slots=True)
class _Known:
    dialects: dict[tuple[str, str, str | None], Dialect] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


_KNOWN = _Known()


def dialect_of(address: EndpointAddress, model: str, effort: str | None) -> Dialect:
    """Return what this process knows of ``model`` at ``address``.

    ``effort`` is one of `EFFORTS`, or `OMIT`; None stands for the lowest of OpenAI's reasoning
    models and for none elsewhere.
    """
    with _KNOWN.lock:
        key = (address.url, model, effort)
        if key not in _KNOWN.dialects:
            _KNOWN.dialects[key] = _first(address, model, effort)
        return _KNOWN.dialects[key]


def forget() -> None:
    """Forget what every server was found to take."""
    with _KNOWN.lock:
        _KNOWN.dialects.clear()


def _first(address: EndpointAddress, model: str, effort: str | None) -> Dialect:
    lowest = lowest_effort(model) if address.is_openai else None
    # OpenAI's reasoning models know only the newer name, Ollama and older servers only the older.
    limit_name = LIMITS[address.is_openai]
    if effort == OMIT:
        return Dialect(limit_name, reasons=lowest is not None)
    sent = effort or lowest
    return Dialect(limit_name, effort=sent, reasons=sent is not None)
