"""From settings to the model that writes answers: its name, client, price and shutdown date."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from paperagent.errors import ConfigError, EndpointError

if TYPE_CHECKING:
    import datetime as dt

    from paperagent.config import Settings
    from paperagent.llm.chat import ChatModel
    from paperagent.llm.pricing import Price
    from paperagent.llm.protocol import Pricing

DEFAULT_MODEL = "gpt-6-luna"
"""The model that OpenAI's own endpoint uses where none is named."""
MOST_NAMED = 10
"""Models of a server that an error lists."""
_NOT_SET = "PAPERAGENT_MODEL: not set, and the server at"


def model_name(settings: Settings) -> str | None:
    """Return the model that answers by these settings; None where answers are quoted without one.

    It is empty where your own server is set but no model: `open_model` asks the server. Nothing is sent here.
    """
    if settings.answer_mode == "extractive":
        return None
    from paperagent.llm.endpoint import DEFAULT_URL, EndpointAddress

    address = EndpointAddress(settings.openai_base_url or DEFAULT_URL, key="")
    return settings.model or (DEFAULT_MODEL if address.is_openai else "")


def open_model(settings: Settings, model: str | None) -> ChatModel:
    """Return the chat model that the settings, or the question, name.

    Where neither names one, your own server is asked for its only model, once in a process.

    Raises:
        ConfigError: no model is named, and the server offers none, several, or no list.
        EndpointError: no model is named, and the server cannot be reached.
    """
    from paperagent.llm.chat import ChatModel

    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    return ChatModel(
        model or settings.model or _unnamed(key, settings.openai_base_url),
        api_key=key,
        base_url=settings.openai_base_url,
        timeout=settings.timeout,
        reasoning_effort=settings.reasoning_effort,
    )


@cache
def _unnamed(key: str | None, url: str | None) -> str:
    """Return the model of a server where nobody named one."""
    from paperagent.llm.client import Endpoint
    from paperagent.llm.endpoint import EndpointAddress

    address = EndpointAddress.checked(api_key=key, base_url=url)
    if address.is_openai:
        return DEFAULT_MODEL
    endpoint = Endpoint(address, timeout=0.0)
    try:
        # Some servers list the model that embeds beside the one that writes.
        names = [served.name for served in endpoint.models() if "embed" not in served.name.lower()]
    except EndpointError as error:
        if error.kind not in ("rejected", "server", "invalid_reply"):
            raise
        why = str(error).removeprefix(f"endpoint {address.name}: ").partition("; ")[0]
        fix = "set it to a model that the server offers, or check that OPENAI_BASE_URL ends in /v1"
        raise ConfigError(f"{_NOT_SET} {address.name} does not list its models ({why}); {fix}") from None
    finally:
        endpoint.close()
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(f"{_NOT_SET} {address.name} offers no model; load one there, or set a name")
    listed = ", ".join(address.clean(name) for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    raise ConfigError(f"{_NOT_SET} {address.name} offers several models; set it to one of: {listed}{more}")


def load_client(settings: Settings) -> None:
    """Import what calls and prices a model, whole."""
    from paperagent.llm import client as llm
    from paperagent.llm import pricing

    llm.load()
    pricing.estimate_tokens([""], model_name(settings) or "")


def model_pricing(settings: Settings, model: str) -> Pricing:
    """Return how calls of ``model`` are counted and priced."""
    from paperagent.llm import pricing
    from paperagent.llm.protocol import Pricing

    price = own_price(settings)
    return Pricing(
        tokens=lambda texts: pricing.estimate_tokens(texts, model),
        price=lambda usage: pricing.cost(usage, model, price=price),
    )


def own_price(settings: Settings) -> Price | None:
    """Return the price in the settings, or zero on this machine; None: the model's name decides."""
    from paperagent.llm.pricing import FREE, Price

    if settings.prices is not None:
        return Price(*settings.prices)
    return FREE if settings.local_endpoint else None


def shutdown_warning(settings: Settings, *, today: dt.date) -> str | None:
    """Return a warning if the configured model is shut down, or will be soon."""
    from paperagent.llm import pricing

    model = model_name(settings) or ""
    return pricing.shutdown_warning(
        model, pricing.catalog().of(model).shutdown, today=today, default=DEFAULT_MODEL
    )
