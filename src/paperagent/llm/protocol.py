"""The interface between the package and a chat model: requests, streamed replies, token counts and prices.

`TextModel` is the interface that the pipeline requires of a model. `llm.chat.ChatModel` implements it over
HTTP, `llm.cache.CachedModel` with a reply cache in front, and `evals.replay` from a recorded run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from paperagent.types import Usage

PRICE_HINT = "set PAPERAGENT_PRICE=INPUT,OUTPUT in US dollars per million tokens"
"""The fix to suggest where a cost limit cannot be enforced because the model's price is unknown."""


@dataclass(frozen=True, slots=True)
class SampledToken:
    """One generated token with the probabilities of its alternatives."""

    text: str
    probabilities: Mapping[str, float]
    """Token → probability: the token itself and the most likely alternatives at its position."""


DECLINED_REASONS = ("refusal", "content_filter")
"""Finish reasons of a reply that the model or its provider declined to give."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The outcome of one model call."""

    text: str = ""
    finish_reason: str | None = None
    """``stop``, ``length``, ``refusal``, ``content_filter``, ``repetition``, ``tool_calls``, …; None if
    the reply was cut off."""
    usage: Usage = field(default_factory=Usage)
    """Tokens, without cost."""
    model: str | None = None
    """The model that replied, as the server names it."""
    notes: tuple[str, ...] = ()
    """Notes for the user on anything unusual about the call."""
    complete: bool = False
    """Whether the model finished its reply. Otherwise the text is partial."""
    tokens: tuple[SampledToken, ...] = ()
    """The generated tokens, where probabilities were requested and the server returned them."""

    @property
    def is_declined(self) -> bool:
        """Whether the model or its provider declined to reply."""
        return self.finish_reason in DECLINED_REASONS


class TextStream(Protocol):
    """The text of a reply, piece by piece."""

    def __iter__(self) -> Iterator[str]: ...

    @property
    def completion(self) -> Completion:
        """The outcome of the call; final after the last piece."""
        ...

    @property
    def is_cached(self) -> bool:
        """Whether the reply comes from a cache, without a call. Known before the first piece."""
        ...


class TextModel(Protocol):
    """A chat model that replies in JSON."""

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    @property
    def thinking_tokens(self) -> int:
        """Tokens that a reply may spend on reasoning, on top of its output limit."""
        ...

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        schema: Mapping[str, Any],
        schema_name: str,
        max_output_tokens: int,
        temperature: float | None = None,
    ) -> AbstractContextManager[TextStream]:
        """Request a JSON reply and stream it.

        Args:
            messages: Chat messages with ``role`` and ``content``.
            schema: JSON schema of the reply.
            schema_name: Name of the schema, which also identifies the kind of call.
            max_output_tokens: Limit of the reply, without reasoning.
            temperature: None for the model's default of 0.

        Raises:
            EndpointError: The server failed, refused, or could not be reached.
        """
        ...


class DelegatingModel:
    """Base of models that pass their calls on to another one."""

    def __init__(self, model: TextModel) -> None:
        self._model = model

    @property
    def model(self) -> str:
        return self._model.model

    @property
    def thinking_tokens(self) -> int:
        return self._model.thinking_tokens


@dataclass(slots=True)
class RecordingStream:
    """Passes a stream on and keeps its text. Implements `TextStream`."""

    stream: TextStream
    text: str = ""

    def __iter__(self) -> Iterator[str]:
        for piece in self.stream:
            self.text += piece
            yield piece

    @property
    def completion(self) -> Completion:
        return self.stream.completion

    @property
    def is_cached(self) -> bool:
        return self.stream.is_cached


@dataclass(frozen=True, slots=True)
class CachedReply:
    """A stored reply, returned in one piece. Implements `TextStream`."""

    text: str
    completion: Completion
    is_cached: bool = True

    def __iter__(self) -> Iterator[str]:
        yield self.text


@dataclass(frozen=True, slots=True)
class Pricing:
    """Counts and prices the tokens of a call: an estimate before it, the actual cost after it."""

    tokens: Callable[[Sequence[str]], tuple[int, bool]]
    """Returns the number of tokens in the texts, and whether that is an estimate."""
    price: Callable[[Usage], float | None]
    """Returns the cost of a usage in US dollars; None if the price is unknown."""
    thinking: int = 0
    """Tokens that a reply may spend on reasoning, on top of its output limit."""

    def prompt_tokens(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]
    ) -> tuple[int, bool]:
        """Return the tokens of a prompt and its schema, and whether that is an estimate."""
        return self.tokens([*(message["content"] for message in messages), json.dumps(schema)])
