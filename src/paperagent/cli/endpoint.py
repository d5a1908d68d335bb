"""The part of `doctor` that checks the model's server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paperagent.cli.session import Session, show, warn
from paperagent.layout import Block, row_blocks

if TYPE_CHECKING:
    from paperagent.cli.endpoint_check import EndpointReport

MOST_MODELS = 30
"""Models that are listed for a person; JSON has all."""


def check_endpoint(session: Session, *, as_json: bool) -> None:
    """Print what the endpoint offers and how fast it is.

    Raises:
        ConfigError, EndpointError: the server cannot be asked, or its model does not answer.
    """
    from paperagent.cli.endpoint_check import check

    report = check(session.settings())
    show(report.to_dict, _blocks(report), as_json=as_json)
    for warning in report.warnings:
        warn(session.masked(warning))
    if report.failure is not None:
        raise report.failure


def _blocks(report: EndpointReport) -> Iterator[Block]:
    yield from row_blocks(_rows(report))
    for note in report.call.notes if report.call else ():
        yield Block("note", note)


def _rows(report: EndpointReport) -> Iterator[tuple[str, Any]]:
    yield "endpoint", report.address
    yield "model", report.model
    if report.models is not None:
        names = [f"{m.name} (configured)" if m.name == report.model else m.name for m in report.models]
        names.sort(key=lambda name: not name.endswith(" (configured)"))
        more = f" and {len(names) - MOST_MODELS} more" if len(names) > MOST_MODELS else ""
        yield "models", ", ".join(names[:MOST_MODELS]) + more
    if report.shutdown is not None:
        instead = f", replaced by {report.replacement}" if report.replacement else ""
        yield "shutdown", f"{report.shutdown}{instead}"
    yield "price", _price(report)
    if report.call is not None:
        yield from _measured(report)


def _price(report: EndpointReport) -> str:
    price = report.price
    if price is None:
        return "not known; set PAPERAGENT_PRICE=INPUT,OUTPUT"
    if not any(price):
        return f"$0 ({report.price_source})"
    dollars = f"${price.input:g} input, ${price.cached:g} cached input, ${price.output:g} output"
    return f"{dollars} per million tokens ({report.price_source})"


def _measured(report: EndpointReport) -> Iterator[tuple[str, Any]]:
    from paperagent.cli import endpoint_check
    from paperagent.ui import session_usage

    call = report.call
    assert call is not None
    used = session_usage.in_words(replace(call.usage, cost_usd=report.cost(call.usage)))
    yield "call", f"{call.seconds:.1f} s, first text after {call.seconds_to_first_text:.1f} s; {used}"
    speeds = ((call.input_speed, "in"), (call.output_speed, "out"))
    yield "speed", ", ".join(f"{v:,.0f} tokens/s {name}" for v, name in speeds if v) or "not measurable"
    yield (
        "features",
        ", ".join(
            f"{name} {'–' if ok is None else 'yes' if ok else 'no'}" for name, ok in call.features.items()
        ),
    )
    typical, proposed = report.typical_seconds, report.proposed_timeout
    assert typical is not None
    assert proposed is not None
    about = (
        f"a typical answer ({endpoint_check.TYPICAL.input_tokens:,} tokens in) takes about {typical:.0f} s"
    )
    enough = ", which is enough" if report.timeout >= proposed else ""
    yield "timeout", f"PAPERAGENT_TIMEOUT={proposed} (now {report.timeout:g}{enough}): {about}"
