"""Gates: thresholds that the metrics of a run must meet, from a TOML file.

::

    errors = 0                     # cases that may end in an error; default 0

    [metrics]
    correct = 0.65                 # a minimum, because higher is better
    over_refusal = 0.10            # a maximum, because lower is better
    sentences = {min = 2, max = 8}
    evidence_any = {min = 0.7, sure = true}   # for the low end of the 95 % interval

    [kinds.compare]                # for the cases of one kind
    correct = 0.5
"""

from __future__ import annotations

import difflib
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paperagent.errors import EvalError, GateError, visible
from paperagent.evals.results import Figure, Row
from paperagent.evals.scorers import METRICS

_MAX_BYTES = 1 << 20
_MAX_LISTED = 8


@dataclass(frozen=True, slots=True)
class Threshold:
    """The limits of one metric."""

    metric: str
    low: float | None = None
    high: float | None = None
    sure: bool = False
    """Whether the end of the 95 % interval is compared instead of the value."""
    kind: str | None = None
    """Only cases of this kind count; None for all cases."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The thresholds of a file."""

    name: str
    thresholds: tuple[Threshold, ...]
    errors: int = 0
    """Number of cases that may end in an error."""


def load(path: Path) -> Gate:
    """Read the thresholds of a file.

    Raises:
        EvalError: The file cannot be read, has no threshold, or has an invalid one.
    """
    name = visible(str(path))
    try:
        with path.open("rb") as file:
            fields = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise EvalError(f"{name}: cannot be read: {error.strerror}; name a file of thresholds") from None
    except (ValueError, RecursionError) as error:  # also: not UTF-8, a number with thousands of digits
        raise EvalError(f"{name}: not TOML: {visible(str(error), limit=120)}; correct it") from None
    return _parse(fields, name)


def _parse(fields: Mapping[str, Any], name: str) -> Gate:
    for key in fields.keys() - {"errors", "metrics", "kinds"}:
        raise EvalError(f"{name}: unknown key {visible(key)}; use errors, [metrics] or [kinds.NAME]")
    errors = fields.get("errors", 0)
    if not isinstance(errors, int) or isinstance(errors, bool) or errors < 0:
        raise EvalError(f"{name}: errors: must be an integer >= 0; correct it")
    sections: list[tuple[str | None, Any]] = [(None, fields.get("metrics", {}))]
    kinds = fields.get("kinds", {})
    sections += list(kinds.items()) if isinstance(kinds, dict) else [("kinds", None)]
    thresholds = tuple(t for kind, table in sections for t in _section(table, kind, name))
    if not thresholds:
        raise EvalError(f"{name}: has no threshold; add some to [metrics]")
    return Gate(name, thresholds, errors)


def _section(table: Any, kind: str | None, name: str) -> Iterator[Threshold]:
    if not isinstance(table, dict):
        raise EvalError(f"{name}: {visible(kind or 'metrics')}: must be a table; write lines METRIC = NUMBER")
    for metric, limits in table.items():
        yield _threshold(metric, limits, kind, f"{name}: {visible(metric)}")


def _threshold(metric: str, limits: Any, kind: str | None, where: str) -> Threshold:
    if metric not in METRICS:
        close = difflib.get_close_matches(metric, METRICS, n=1)
        raise EvalError(
            f"{where}: no such metric; {f'did you mean {close[0]}?' if close else _all_metrics()}"
        )
    better = METRICS[metric].better
    if not isinstance(limits, dict):
        if better == "neither":
            raise EvalError(f"{where}: neither higher nor lower is better; write {{min = …}} or {{max = …}}")
        limits = {"min" if better == "higher" else "max": limits}
    if limits.keys() - {"min", "max", "sure"} or not limits.keys() & {"min", "max"}:
        raise EvalError(
            f"{where}: only min, max and sure are allowed, and one of min and max is required; correct it"
        )
    if not isinstance(limits.get("sure", False), bool):
        raise EvalError(f"{where}: sure: must be true or false; correct it")
    low, high = limits.get("min"), limits.get("max")
    for bound in (low, high):
        if bound is not None and (
            not isinstance(bound, int | float)
            or isinstance(bound, bool)
            or not abs(bound) <= sys.float_info.max
        ):
            raise EvalError(f"{where}: must be a number; correct it")
    return Threshold(metric, low, high, sure=limits.get("sure", False), kind=kind)


def _all_metrics() -> str:
    return "metrics: " + ", ".join(METRICS)


def breaches(gate: Gate, rows: Sequence[Row], *, seed: int = 0) -> list[str]:
    """Return a line for each threshold that the rows do not meet; a metric without a value meets none."""
    lines = []
    errors = sum(row.state == "error" for row in rows)
    if errors > gate.errors:
        lines.append(f"{errors} errors > {gate.errors}")
    for threshold in gate.thresholds:
        selected = [r for r in rows if r.state == "ok" and threshold.kind in (None, r.kind)]
        lines += _compare(threshold, METRICS[threshold.metric].over_rows(selected, seed=seed))
    return lines


def _compare(threshold: Threshold, figure: Figure) -> Iterator[str]:
    name = threshold.metric if threshold.kind is None else f"{threshold.metric} of {visible(threshold.kind)}"
    if figure.value is None:
        yield f"{name} was not measured"
        return
    low = figure.low if threshold.sure and figure.low is not None else figure.value
    high = figure.high if threshold.sure and figure.high is not None else figure.value
    if threshold.low is not None and low < threshold.low:
        yield f"{name} {low:.3f}{' (low end of 95 %)' if threshold.sure else ''} < {threshold.low:g}"
    if threshold.high is not None and high > threshold.high:
        yield f"{name} {high:.3f}{' (high end of 95 %)' if threshold.sure else ''} > {threshold.high:g}"


def enforce(gate: Gate, rows: Sequence[Row], *, seed: int = 0, count: int = 0) -> None:
    """Raise an error unless every threshold is met by a run with all of its ``count`` cases.

    Raises:
        GateError: Names the thresholds that are not met.
    """
    failed = [f"only {len(rows)} of {count} cases were asked"] if len(rows) < count else []
    failed += breaches(gate, rows, seed=seed)
    if failed:
        more = f" and {len(failed) - _MAX_LISTED} more" if len(failed) > _MAX_LISTED else ""
        raise GateError(
            f"gate {gate.name}: not met: {', '.join(failed[:_MAX_LISTED])}{more}; "
            "`paperagent eval report` shows the cases"
        )
