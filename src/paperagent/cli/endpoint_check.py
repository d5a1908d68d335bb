"""What the model's server offers, how fast it answers, and what it costs: `doctor --endpoint`."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperagent import arguments, factory
from paperagent.errors import ConfigError, EndpointError
from paperagent.types import Usage

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.llm.client import Endpoint, OfferedModel
    from paperagent.llm.pricing import Price
    from paperagent.llm.probe import Probe

TYPICAL = Usage(1, input_tokens=3_000, output_tokens=300)
"""What a typical answer uses."""
MARGIN = 2.0
"""How much longer than a typical answer another may take."""
LEAST_SECONDS, MOST_SECONDS, STEP_SECONDS = 60, 3_600, 30
"""Of a timeout that is proposed."""
_SILENT = frozenset({"rejected", "server", "invalid_reply"})
"""Kinds of error of a server that answers, but has no list of its models."""


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """What was found of the endpoint."""

    address: str
    model: str
    models: tuple[OfferedModel, ...] | None
    """What the server offers; None where it does not say."""
    timeout: float
    """Seconds, as they are set now."""
    price: Price | None
    price_source: str
    shutdown: dt.date | None
    replacement: str | None
    call: Probe | None
    failure: EndpointError | None
    """Why there is no call."""
    warnings: tuple[str, ...]

    @property
    def typical_seconds(self) -> float | None:
        """About how long a typical answer takes, as far as one call tells."""
        return self.call.seconds_for(TYPICAL.input_tokens, TYPICAL.output_tokens) if self.call else None

    @property
    def proposed_timeout(self) -> int | None:
        """Seconds that leave room for a slow answer."""
        if self.typical_seconds is None:
            return None
        steps = math.ceil(MARGIN * self.typical_seconds / STEP_SECONDS)
        return min(max(STEP_SECONDS * steps, LEAST_SECONDS), MOST_SECONDS)

    def cost(self, usage: Usage) -> float | None:
        """Return US dollars; None where the price is not known."""
        return self.price.cost(usage) if self.price else None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON."""
        proposed = self.proposed_timeout
        listed = self.models and [
            {"name": m.name, "configured": m.name == self.model, "shutdown": m.shutdown} for m in self.models
        ]
        return {
            "endpoint": self.address,
            "model": self.model,
            "models": listed,
            **self._call(),
            "typical_answer": {
                "input_tokens": TYPICAL.input_tokens,
                "output_tokens": TYPICAL.output_tokens,
                "seconds": _rounded(self.typical_seconds),
                "cost_usd": self.cost(TYPICAL),
            },
            "timeout": {
                "seconds": self.timeout,
                "proposed": proposed,
                "setting": proposed and f"PAPERAGENT_TIMEOUT={proposed}",
            },
            "price": self.price and {**self.price._asdict(), "source": self.price_source},
            "shutdown": self.shutdown and str(self.shutdown),
            "replacement": self.replacement,
            "warnings": list(self.warnings),
            "error": str(self.failure) if self.failure else None,
        }

    def _call(self) -> dict[str, Any]:
        call = self.call
        if call is None:
            return {"call": None, "features": None, "notes": []}
        return {
            "call": {
                "seconds": _rounded(call.seconds),
                "seconds_to_first_text": _rounded(call.seconds_to_first_text),
                "input_tokens": call.usage.input_tokens,
                "output_tokens": call.usage.output_tokens,
                "estimated": call.usage.estimated,
                "input_tokens_per_second": _rounded(call.input_speed),
                "output_tokens_per_second": _rounded(call.output_speed),
                "cost_usd": self.cost(call.usage),
            },
            "features": call.features,
            "notes": list(call.notes),
        }


def check(settings: Settings) -> EndpointReport:
    """Ask the endpoint of the settings for its models, and the model for one small reply.

    Raises:
        ConfigError: no endpoint is set, or no model is named and the server leaves a choice.
        EndpointError: the server cannot be reached, or refuses the key.
    """
    if not (settings.openai_api_key or settings.openai_base_url):
        raise ConfigError(
            "endpoint: none is set; set OPENAI_API_KEY, or OPENAI_BASE_URL for a server without a key"
        )
    from paperagent.llm import pricing
    from paperagent.llm.probe import probe

    model = factory.open_model(settings, None)
    call = failure = None
    try:
        models, warnings = _models(model.endpoint, model.model)
        try:
            call = probe(model)
        except EndpointError as error:
            failure = error
    finally:
        model.close()
    listing, price = pricing.catalog().get(model.model), factory.configured_price(settings)
    shutdown = _announced(models or (), model.model) or listing.shutdown
    warning = pricing.shutdown_warning(
        model.model, shutdown, today=arguments.today(), default=factory.DEFAULT_MODEL
    )
    return EndpointReport(
        address=model.endpoint.address.display_url,
        model=model.model,
        models=models,
        timeout=settings.timeout,
        price=price or listing.price,
        price_source=_source(settings, pricing.catalog().as_of),
        shutdown=shutdown,
        replacement=listing.replacement,
        call=call,
        failure=failure,
        warnings=(*warnings, *([warning] if warning else [])),
    )


def _models(endpoint: Endpoint, model: str) -> tuple[tuple[OfferedModel, ...] | None, list[str]]:
    """Return what the server offers, and what is odd about that."""
    try:
        models = tuple(endpoint.models())
    except EndpointError as error:
        if error.kind not in _SILENT:
            raise
        return None, ["the server does not list its models"]
    if any(served.name == model for served in models):
        return models, []
    return models, [f"the server does not list the model {endpoint.address.redact(model)}"]


def _announced(models: tuple[OfferedModel, ...], model: str) -> dt.date | None:
    """Return the day on which the server says that it shuts the model down."""
    days = [served.shutdown for served in models if served.name == model and served.shutdown]
    with suppress(ValueError, TypeError, IndexError):
        return dt.date.fromisoformat(days[0])
    return None


def _source(settings: Settings, as_of: str) -> str:
    if settings.price is not None:
        return "PAPERAGENT_PRICE"
    return "a server on this machine" if settings.local_endpoint else f"OpenAI's prices, {as_of}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
