"""The doctor command: checks the library, or with --endpoint the model's server."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from paperagent.cli.options import common_options, json_option
from paperagent.cli.session import Session, show, show_json, warn, warn_about_shutdown
from paperagent.errors import ConfigError, EndpointError, StoreError
from paperagent.layout import Block, row_blocks
from paperagent.types import Usage

if TYPE_CHECKING:
    from paperagent.config import Settings
    from paperagent.library.protocol import Check, Health
    from paperagent.llm.client import Endpoint, OfferedModel
    from paperagent.llm.pricing import Price
    from paperagent.llm.probe import ProbeResult

LIBRARY_FAILED = 5
MAX_MODELS_SHOWN = 30
"""Models printed as text; JSON lists all of them."""
TYPICAL_USAGE = Usage(1, input_tokens=3_000, output_tokens=300)
"""Usage of a typical answer."""
TIMEOUT_MARGIN = 2.0
"""Proposed timeout ÷ time of a typical answer."""
MIN_TIMEOUT_S, MAX_TIMEOUT_S, TIMEOUT_STEP_S = 60, 3_600, 30
"""Bounds and step of a proposed timeout."""
_NO_MODEL_LIST = frozenset({"rejected", "server", "invalid_reply"})
"""Error kinds of a server that responds but does not list its models."""


@click.command()
@click.option("--repair", is_flag=True, help="Rebuild the indexes that fail a check, and restore digest.db.")
@click.option(
    "--endpoint",
    is_flag=True,
    help="Check the model's server instead: its models, price and speed, and the timeout to set. "
    "Makes one small call, which may cost money (less than $0.001 with the default model).",
)
@json_option
@common_options
@click.pass_context
def doctor(ctx: click.Context, *, repair: bool, endpoint: bool, as_json: bool) -> None:
    """Check that every paper can be found through every index, and that no file is damaged.

    Exits with 5 if a check fails.
    """
    if endpoint:
        if repair:
            raise click.UsageError("--endpoint and --repair: cannot be combined; use one of them")
        _check_endpoint(ctx.obj, as_json=as_json)
        return
    from paperagent.factory.digest import mail_problems

    with ctx.obj.agent() as agent:
        health = agent.doctor(repair=repair)
        web = _check_web_database(agent.settings)
        if web is not None:
            health = replace(health, ok=health.ok and web.ok, checks=(*health.checks, web))
        warn_about_shutdown(agent.settings)
        for problem in mail_problems(agent.settings):
            warn(problem)
    if as_json:
        show_json(dataclasses.asdict(health))
    else:
        show(_health_blocks(health))
    if not health.ok:
        ctx.exit(LIBRARY_FAILED)


def _check_web_database(settings: Settings) -> Check | None:
    """Check the database of the web page, which has no backup; None if it does not exist."""
    from paperagent.library.protocol import Check
    from paperagent.web.database import FILE_NAME, WebDatabase

    path = settings.home / FILE_NAME
    if not path.exists():
        return None
    try:
        with WebDatabase(path) as database:
            damage = database.find_damage()
    except StoreError as error:
        return Check.failed("web page", error)
    if damage:
        return Check("web page", False, f"{FILE_NAME} is damaged: {damage}", WebDatabase.DAMAGED)
    return Check("web page", True, f"{FILE_NAME} is intact")


def _health_blocks(health: Health) -> Iterator[Block]:
    for check in health.checks:
        detail = "; ".join(part for part in (check.detail, "" if check.ok else check.fix) if part)
        yield Block("row", check.name, marker="ok  " if check.ok else "FAIL", detail=detail, tight=True)


def _check_endpoint(session: Session, *, as_json: bool) -> None:
    report = check_endpoint(session.settings())
    if as_json:
        show_json(report.to_dict())
    else:
        show(_endpoint_blocks(report))
    for warning in report.warnings:
        warn(session.masked(warning))
    if report.failure is not None:
        raise report.failure


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """The result of `check_endpoint`."""

    address: str
    model: str
    models: tuple[OfferedModel, ...] | None
    """Models that the server offers; None if it does not list them."""
    timeout: float
    """Current setting, in seconds."""
    price: Price | None
    price_source: str
    shutdown: dt.date | None
    replacement: str | None
    call: ProbeResult | None
    failure: EndpointError | None
    """Why the call failed."""
    warnings: tuple[str, ...]

    @property
    def typical_seconds(self) -> float | None:
        """Estimated time of a typical answer."""
        if self.call is None:
            return None
        return self.call.seconds_for(TYPICAL_USAGE.input_tokens, TYPICAL_USAGE.output_tokens)

    @property
    def proposed_timeout(self) -> int | None:
        """Timeout in seconds that leaves room for a slow answer."""
        if self.typical_seconds is None:
            return None
        steps = math.ceil(TIMEOUT_MARGIN * self.typical_seconds / TIMEOUT_STEP_S)
        return min(max(TIMEOUT_STEP_S * steps, MIN_TIMEOUT_S), MAX_TIMEOUT_S)

    def cost(self, usage: Usage) -> float | None:
        """Return the cost in US dollars, or None if the price is unknown."""
        return self.price.cost(usage) if self.price else None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON."""
        proposed = self.proposed_timeout
        models = self.models and [
            {"name": m.name, "configured": m.name == self.model, "shutdown": m.shutdown} for m in self.models
        ]
        return {
            "endpoint": self.address,
            "model": self.model,
            "models": models,
            **self._call_dict(),
            "typical_answer": {
                "input_tokens": TYPICAL_USAGE.input_tokens,
                "output_tokens": TYPICAL_USAGE.output_tokens,
                "seconds": _rounded(self.typical_seconds),
                "cost_usd": self.cost(TYPICAL_USAGE),
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

    def _call_dict(self) -> dict[str, Any]:
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


def check_endpoint(settings: Settings) -> EndpointReport:
    """List the models of the configured endpoint, and time one small call.

    Raises:
        ConfigError: No endpoint is configured, or no model is set and the server offers several.
        EndpointError: The server cannot be reached or rejects the key.
    """
    from paperagent import arguments, factory

    if not (settings.openai_api_key or settings.openai_base_url):
        raise ConfigError(
            "endpoint: not configured; set OPENAI_API_KEY, or OPENAI_BASE_URL for a server without a key"
        )
    from paperagent.llm import pricing
    from paperagent.llm.probe import probe

    model = factory.open_model(settings, None)
    call = failure = None
    try:
        models, warnings = _list_models(model.endpoint, model.model)
        try:
            call = probe(model)
        except EndpointError as error:
            failure = error
    finally:
        model.close()
    listing, price = pricing.catalog().get(model.model), factory.configured_price(settings)
    shutdown = _announced_shutdown(models or (), model.model) or listing.shutdown
    warning = pricing.shutdown_warning(
        model.model, shutdown, today=arguments.today(), default=factory.DEFAULT_MODEL
    )
    return EndpointReport(
        address=model.endpoint.address.display_url,
        model=model.model,
        models=models,
        timeout=settings.timeout,
        price=price or listing.price,
        price_source=_price_source(settings, pricing.catalog().as_of),
        shutdown=shutdown,
        replacement=listing.replacement,
        call=call,
        failure=failure,
        warnings=(*warnings, *([warning] if warning else [])),
    )


def _list_models(endpoint: Endpoint, model: str) -> tuple[tuple[OfferedModel, ...] | None, list[str]]:
    """Return the models that the server offers, and warnings about the list."""
    try:
        models = tuple(endpoint.models())
    except EndpointError as error:
        if error.kind not in _NO_MODEL_LIST:
            raise
        return None, ["the server does not list its models"]
    if any(served.name == model for served in models):
        return models, []
    return models, [f"the server does not list the model {endpoint.address.redact(model)}"]


def _announced_shutdown(models: tuple[OfferedModel, ...], model: str) -> dt.date | None:
    """Return the shutdown date that the server announces for the model."""
    dates = [served.shutdown for served in models if served.name == model and served.shutdown]
    with suppress(ValueError, TypeError, IndexError):
        return dt.date.fromisoformat(dates[0])
    return None


def _price_source(settings: Settings, as_of: str) -> str:
    if settings.price is not None:
        return "PAPERAGENT_PRICE"
    return "a server on this machine" if settings.local_endpoint else f"OpenAI's prices, {as_of}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _endpoint_blocks(report: EndpointReport) -> Iterator[Block]:
    yield from row_blocks(_endpoint_rows(report))
    for note in report.call.notes if report.call else ():
        yield Block("note", note)


def _endpoint_rows(report: EndpointReport) -> Iterator[tuple[str, Any]]:
    yield "endpoint", report.address
    yield "model", report.model
    if report.models is not None:
        names = [f"{m.name} (configured)" if m.name == report.model else m.name for m in report.models]
        names.sort(key=lambda name: not name.endswith(" (configured)"))
        more = f" and {len(names) - MAX_MODELS_SHOWN} more" if len(names) > MAX_MODELS_SHOWN else ""
        yield "models", ", ".join(names[:MAX_MODELS_SHOWN]) + more
    if report.shutdown is not None:
        replacement = f", replaced by {report.replacement}" if report.replacement else ""
        yield "shutdown", f"{report.shutdown}{replacement}"
    yield "price", _price_text(report)
    if report.call is not None:
        yield from _call_rows(report)


def _price_text(report: EndpointReport) -> str:
    price = report.price
    if price is None:
        return "unknown; set PAPERAGENT_PRICE=INPUT,OUTPUT"
    if not any(price):
        return f"$0 ({report.price_source})"
    dollars = f"${price.input:g} input, ${price.cached:g} cached input, ${price.output:g} output"
    return f"{dollars} per million tokens ({report.price_source})"


def _call_rows(report: EndpointReport) -> Iterator[tuple[str, Any]]:
    from paperagent.ui.render import describe_usage

    call, typical, proposed = report.call, report.typical_seconds, report.proposed_timeout
    assert call is not None
    assert typical is not None
    assert proposed is not None
    usage = describe_usage(replace(call.usage, cost_usd=report.cost(call.usage)))
    yield "call", f"{call.seconds:.1f} s, first text after {call.seconds_to_first_text:.1f} s; {usage}"
    speeds = ((call.input_speed, "in"), (call.output_speed, "out"))
    yield "speed", ", ".join(f"{v:,.0f} tokens/s {name}" for v, name in speeds if v) or "not measurable"
    features = [
        f"{name} {'–' if ok is None else 'yes' if ok else 'no'}" for name, ok in call.features.items()
    ]
    yield "features", ", ".join(features)
    sufficient = ", sufficient" if report.timeout >= proposed else ""
    estimate = f"a typical answer ({TYPICAL_USAGE.input_tokens:,} tokens in) takes about {typical:.0f} s"
    yield "timeout", f"PAPERAGENT_TIMEOUT={proposed} (now {report.timeout:g}{sufficient}): {estimate}"
