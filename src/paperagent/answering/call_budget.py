"""Calls whose replies are needed whole, what a run of them may cost, and what it used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from paperagent.errors import EndpointError
from paperagent.llm.protocol import PRICE_HINT, Completion, Pricing, TextModel, TextStream
from paperagent.types import Usage

T = TypeVar("T")


@dataclass(slots=True)
class Budget:
    """US dollars for a run. A call is refused before it is made if it could pass the limit."""

    pricing: Pricing
    limit: float | None = None
    """None: no limit."""
    usage: Usage = field(default_factory=Usage)

    def bound(self, call: Call) -> Usage:
        """Return the most that a call may use, priced."""
        tokens, estimated = self.pricing.prompt_tokens(call.messages, call.schema)
        written = call.limit + self.pricing.thinking
        most = Usage(1, input_tokens=tokens, output_tokens=written, estimated=estimated)
        return priced(most, self.pricing)

    @property
    def left(self) -> float | None:
        """Dollars that may still be spent; None without a limit."""
        if self.limit is None:
            return None
        return max(0.0, self.limit - (self.usage.cost_usd or 0.0))

    def allows(self, bound: Usage, *, planned: float = 0.0) -> bool:
        """Tell whether a call fits beside ``planned`` dollars; one of unknown price fits under no limit."""
        if self.left is None:
            return True
        return bound.cost_usd is not None and planned + bound.cost_usd <= self.left

    def allows_call(self, model: TextModel, call: Call) -> bool:
        """Tell whether a call may be made now: it fits, or its reply is at hand."""
        return self.limit is None or self.allows(self.bound(call)) or at_hand(model, call)

    def refusal(self) -> str:
        """Say why a call is not allowed."""
        if self.pricing.price(Usage(1, 1_000)) is None:
            return f"the model's price is not known, so no limit on cost can be kept; {PRICE_HINT}"
        return "the call could exceed the limit on cost"

    def account(self, used: Usage) -> Usage:
        """Add what a call used, unpriced, and return it priced."""
        bill = priced(used, self.pricing)
        self.add(bill)
        return bill

    def add(self, bill: Usage) -> None:
        """Add what was priced elsewhere."""
        self.usage += bill


def priced(used: Usage, pricing: Pricing) -> Usage:
    """Return ``used`` with its price."""
    cost = pricing.price(used) if used.calls else 0.0
    return Usage(
        used.calls, used.input_tokens, used.cached_tokens, used.output_tokens, cost, estimated=used.estimated
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    name: str
    """Of the schema."""
    limit: int
    """Tokens of the reply."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of a call."""

    value: T | None
    usage: Usage
    """Unpriced."""
    fault: str = ""
    """Why there is no value."""
    kind: str = ""
    """The error's kind, where there is no value."""


def at_hand(model: TextModel, call: Call) -> bool:
    """Tell whether the reply is kept, so that it costs nothing. Nothing is sent to find out."""
    with _stream(model, call) as pieces:
        return pieces.is_cached


def make(model: TextModel, call: Call, read: Callable[[str], T]) -> Outcome[T]:
    """Make a call and read its reply; an endpoint that fails is reported, not raised.

    Raises:
        ConfigError: a proxy stands in the way.
    """
    used = Usage()
    try:
        with _stream(model, call) as pieces:
            try:
                text = "".join(pieces)
            finally:
                used = pieces.completion.usage
            _require_whole(pieces.completion)
            # Inside the block: a reply that cannot be read must not get into the cache.
            return Outcome(read(text), used)
    except EndpointError as error:
        return Outcome(None, used, str(error), error.kind)


def _stream(model: TextModel, call: Call) -> AbstractContextManager[TextStream]:
    return model.stream(
        call.messages, schema=call.schema, schema_name=call.name, max_output_tokens=call.limit
    )


def _require_whole(completion: Completion) -> None:
    if not completion.complete:
        why = "declined" if completion.is_declined else "ended before it was complete"
        raise EndpointError(f"model reply: {why}; try again or another model", kind="truncated")
