"""Model calls that are read as a whole, and the budget that all calls of an answer share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from paperagent.errors import EndpointError
from paperagent.llm.protocol import PRICE_HINT, Completion, Pricing, TextModel, TextStream
from paperagent.time_limits import WorkerPool
from paperagent.types import Usage

T = TypeVar("T")
MAX_CONSECUTIVE_FAILURES = 4
"""Failures in a row after which no further call is made, because each may take a minute to fail."""
_LISTED_POINTER = re.compile(r'"\d+\.\d+"(?:, )?')
_TOKENS_PER_POINTER = 5


class OverBudgetError(Exception):
    """The next call could cost more than is allowed."""

    kind = "over_budget"


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One request to a model."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    schema_name: str
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class CallOutcome(Generic[T]):
    """The result of a call: a value, or the error that replaced it."""

    value: T | None
    usage: Usage
    """Without cost."""
    error: str = ""
    """Why there is no value."""
    error_kind: str = ""
    """Kind of the `EndpointError`, if there is no value."""


@dataclass(slots=True)
class Budget:
    """A limit in US dollars for several calls. A call that could exceed it is refused before it is made."""

    pricing: Pricing
    limit: float | None = None
    """None: no limit."""
    usage: Usage = field(default_factory=Usage)

    def max_usage(self, call: CompletionRequest) -> Usage:
        """Return the maximum usage of a call, with its cost."""
        tokens, estimated = self.pricing.prompt_tokens(call.messages, call.schema)
        output_tokens = call.max_output_tokens + self.pricing.thinking
        usage = Usage(1, input_tokens=tokens, output_tokens=output_tokens, estimated=estimated)
        return priced(usage, self.pricing)

    @property
    def remaining(self) -> float | None:
        """Dollars that may still be spent; None without a limit."""
        if self.limit is None:
            return None
        return max(0.0, self.limit - (self.usage.cost_usd or 0.0))

    def allows(self, usage: Usage, *, planned: float = 0.0) -> bool:
        """Return whether a call of at most ``usage`` fits the limit, beside ``planned`` dollars for others.

        Under a limit, a call of unknown price does not fit.
        """
        if self.remaining is None:
            return True
        return usage.cost_usd is not None and planned + usage.cost_usd <= self.remaining

    def allows_call(self, model: TextModel, call: CompletionRequest) -> bool:
        """Return whether a call may be made now: it fits the limit, or its reply is cached."""
        return self.limit is None or self.allows(self.max_usage(call)) or is_cached(model, call)

    def require(self, input_tokens: int, max_output_tokens: int, *, model: str) -> None:
        """Refuse a call that could exceed the limit, given what was already spent.

        Raises:
            OverBudgetError: the call could exceed the limit, or the price of ``model`` is not known.
        """
        if self.limit is None:
            return
        output_tokens = max_output_tokens + self.pricing.thinking
        price = self.pricing.price(Usage(1, input_tokens=input_tokens, output_tokens=output_tokens))
        if price is None or self.usage.cost_usd is None:
            raise OverBudgetError(
                f"Not asked: the price of {model} is not known, so it cannot be kept "
                f"under ${self.limit:g}; leave out the limit, or {PRICE_HINT}."
            )
        if self.usage.cost_usd + price > self.limit:
            raise OverBudgetError(
                f"Not asked: the call could cost ${self.usage.cost_usd + price:.4f}, "
                f"more than the ${self.limit:g} allowed."
            )

    def refusal(self) -> str:
        """Return the reason why a call is refused, as text for the user."""
        if self.pricing.price(Usage(1, 1_000)) is None:
            return f"the model's price is not known, so no limit on cost can be kept; {PRICE_HINT}"
        return "the call could exceed the limit on cost"

    def account(self, usage: Usage) -> Usage:
        """Add the usage of a call, which has no cost yet, and return it with its cost."""
        bill = priced(usage, self.pricing)
        self.add(bill)
        return bill

    def add(self, bill: Usage) -> None:
        """Add a usage that includes its cost."""
        self.usage += bill


def count_tokens(pricing: Pricing, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> int:
    """Return about how many tokens a call would send.

    Pointers listed in the schema are counted separately; as text they would be estimated at seven tokens
    each.
    """
    schema_text, pointers = _LISTED_POINTER.subn("", json.dumps(schema))
    texts = [*(m["content"] for m in messages), schema_text]
    return pricing.tokens(texts)[0] + _TOKENS_PER_POINTER * pointers


def priced(usage: Usage, pricing: Pricing) -> Usage:
    """Return ``usage`` with its cost."""
    return replace(usage, cost_usd=pricing.price(usage) if usage.calls else 0.0)


def is_cached(model: TextModel, call: CompletionRequest) -> bool:
    """Return whether the reply is cached, so that the call costs nothing. Sends nothing."""
    with _stream(model, call) as stream:
        return stream.is_cached


def complete(model: TextModel, call: CompletionRequest, parse: Callable[[str], T]) -> CallOutcome[T]:
    """Make a call and parse its reply. An endpoint failure is reported in the outcome, not raised.

    Args:
        model: The model to call.
        call: The request.
        parse: Converts the reply's text to the value; may raise `EndpointError`.

    Raises:
        ConfigError: A proxy blocks the connection.
    """
    usage = Usage()
    try:
        with _stream(model, call) as stream:
            try:
                text = "".join(stream)
            finally:
                usage = stream.completion.usage
            _require_complete(stream.completion)
            # Inside the block, so that a reply that cannot be parsed is not cached.
            return CallOutcome(parse(text), usage)
    except EndpointError as error:
        return CallOutcome(None, usage, str(error), error.kind)


def complete_all(
    model: TextModel,
    budget: Budget,
    calls: Sequence[CompletionRequest],
    parse: Callable[[str], T],
    *,
    max_concurrent: int = 1,
) -> list[CallOutcome[T]]:
    """Make calls within a budget, in order, and return their outcomes.

    A call that could exceed the budget waits until the earlier ones are paid, and is refused if it still does
    not fit. After `MAX_CONSECUTIVE_FAILURES` no further call is made.

    Args:
        model: The model to call.
        budget: Pays for the calls.
        calls: The requests.
        parse: Converts a reply's text to the value; may raise `EndpointError`.
        max_concurrent: The number of calls that are made at the same time.

    Raises:
        ConfigError: A proxy blocks the connection.
    """
    outcomes: list[CallOutcome[T]] = []
    failures = 0
    with WorkerPool(max_concurrent) as pool:
        while len(outcomes) < len(calls) and failures < MAX_CONSECUTIVE_FAILURES:
            batch = _affordable(model, budget, calls[len(outcomes) :][:max_concurrent])
            if not batch:
                break
            for outcome in pool.map(lambda call: complete(model, call, parse), batch):
                budget.account(outcome.usage)
                failures = failures + 1 if outcome.value is None else 0
                outcomes.append(outcome)
    gave_up = failures >= MAX_CONSECUTIVE_FAILURES
    error = outcomes[-1].error if gave_up else budget.refusal()
    return [*outcomes, *(CallOutcome(None, Usage(), error) for _ in calls[len(outcomes) :])]


def _affordable(
    model: TextModel, budget: Budget, calls: Sequence[CompletionRequest]
) -> list[CompletionRequest]:
    """Return the first calls that fit the budget together; cached replies cost nothing."""
    planned = 0.0
    batch: list[CompletionRequest] = []
    for call in calls:
        if not is_cached(model, call):
            usage = budget.max_usage(call)
            if not budget.allows(usage, planned=planned):
                break
            planned += usage.cost_usd or 0.0
        batch.append(call)
    return batch


def _stream(model: TextModel, call: CompletionRequest) -> AbstractContextManager[TextStream]:
    return model.stream(
        call.messages,
        schema=call.schema,
        schema_name=call.schema_name,
        max_output_tokens=call.max_output_tokens,
    )


def _require_complete(completion: Completion) -> None:
    if not completion.complete:
        reason = "declined" if completion.is_declined else "ended before it was complete"
        raise EndpointError(f"model reply: {reason}; try again or another model", kind="truncated")
