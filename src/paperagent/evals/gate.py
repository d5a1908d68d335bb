"""Thresholds that a run must keep: a TOML file, checked metric by metric.

::

    errors = 0                     # cases that may end in an error; 0 where nothing is said

    [metrics]
    correct = 0.65                 # at least, since higher is better
    over_refusal = 0.10            # at most, since lower is better
    sentences = {min = 2, max = 8}
    evidence_any = {min = 0.7, sure = true}   # the whole 95 % interval must lie above

    [kinds.compare]                # the same for the cases of one kind
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

_MOST_BYTES = 1 << 20
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one metric must keep."""

    metric: str
    low: float | None = None
    high: float | None = None
    sure: bool = False
    """Whether the interval's end, not the value, is compared."""
    kind: str | None = None
    """Of the cases of this kind alone; None for all."""


@dataclass(frozen=True, slots=True)
class Gate:
    """All thresholds of a file."""

    name: str
    thresholds: tuple[Threshold, ...]
    errors: int = 0
    """Cases that may end in an error."""


def load(path: Path) -> Gate:
    """Return the thresholds of a file.

    Raises:
        EvalError: it cannot be read, holds none, or one cannot be used; names it.
    """
    shown = visible(str(path))
    try:
        with path.open("rb") as file:
            given = tomllib.loads(file.read(_MOST_BYTES).decode("utf-8"))
    except OSError as error:
        raise EvalError(f"{shown}: cannot be read: {error.strerror}; name a file of thresholds") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # not TOML or UTF-8, a number of thousands of digits, too deep
        raise EvalError(f"{shown}: is not TOML: {visible(str(error), limit=120)}; correct it") from None
    return _parsed(given, shown)


def _parsed(given: Mapping[str, Any], name: str) -> Gate:
    for key in given.keys() - {"errors", "metrics", "kinds"}:
        raise EvalError(f"{name}: unknown key {visible(key)}; use errors, [metrics] or [kinds.NAME]")
    errors = given.get("errors", 0)
    if not isinstance(errors, int) or isinstance(errors, bool) or errors < 0:
        raise EvalError(f"{name}: errors: must be a whole number >= 0; correct it")
    sections: list[tuple[str | None, Any]] = [(None, given.get("metrics", {}))]
    kinds = given.get("kinds", {})
    sections += list(kinds.items()) if isinstance(kinds, dict) else [("kinds", None)]
    thresholds = tuple(t for kind, table in sections for t in _section(table, kind, name))
    if not thresholds:
        raise EvalError(f"{name}: holds no threshold; write some below [metrics]")
    return Gate(name, thresholds, errors)


def _section(table: Any, kind: str | None, name: str) -> Iterator[Threshold]:
    if not isinstance(table, dict):
        raise EvalError(f"{name}: {visible(kind or 'metrics')}: must be a table; write METRIC = NUMBER lines")
    for metric, wanted in table.items():
        yield _threshold(metric, wanted, kind, f"{name}: {visible(metric)}")


def _threshold(metric: str, wanted: Any, kind: str | None, where: str) -> Threshold:
    if metric not in METRICS:
        close = difflib.get_close_matches(metric, METRICS, n=1)
        raise EvalError(f"{where}: no such metric; {f'did you mean {close[0]}?' if close else _known()}")
    better = METRICS[metric].better
    if not isinstance(wanted, dict):
        if better == "neither":
            raise EvalError(f"{where}: neither more nor less is better; write {{min = …}} or {{max = …}}")
        wanted = {"min" if better == "higher" else "max": wanted}
    if wanted.keys() - {"min", "max", "sure"} or not wanted.keys() & {"min", "max"}:
        raise EvalError(f"{where}: takes min, max and sure; correct it")
    if not isinstance(wanted.get("sure", False), bool):
        raise EvalError(f"{where}: sure: must be true or false; correct it")
    low, high = wanted.get("min"), wanted.get("max")
    for bound in (low, high):
        if bound is not None and (
            not isinstance(bound, int | float)
            or isinstance(bound, bool)
            or not abs(bound) <= sys.float_info.max
        ):
            raise EvalError(f"{where}: must be a number; correct it")
    return Threshold(metric, low, high, sure=wanted.get("sure", False), kind=kind)


def _known() -> str:
    return "metrics: " + ", ".join(METRICS)


def breaches(gate: Gate, rows: Sequence[Row], *, seed: int = 0) -> list[str]:
    """Return each threshold that is not kept, in words; what was not measured is not kept either."""
    found = []
    errors = sum(row.state == "error" for row in rows)
    if errors > gate.errors:
        found.append(f"{errors} errors > {gate.errors}")
    for threshold in gate.thresholds:
        chosen = [r for r in rows if r.state == "ok" and threshold.kind in (None, r.kind)]
        found += _broken(threshold, METRICS[threshold.metric].over_rows(chosen, seed=seed))
    return found


def _broken(wanted: Threshold, found: Figure) -> Iterator[str]:
    name = wanted.metric if wanted.kind is None else f"{wanted.metric} of {visible(wanted.kind)}"
    if found.value is None:
        yield f"{name} was not measured"
        return
    low = found.low if wanted.sure and found.low is not None else found.value
    high = found.high if wanted.sure and found.high is not None else found.value
    end = " (low end of 95 %)" if wanted.sure else ""
    if wanted.low is not None and low < wanted.low:
        yield f"{name} {low:.3f}{end} < {wanted.low:g}"
    end = " (high end of 95 %)" if wanted.sure else ""
    if wanted.high is not None and high > wanted.high:
        yield f"{name} {high:.3f}{end} > {wanted.high:g}"


def enforce(gate: Gate, rows: Sequence[Row], *, seed: int = 0, count: int = 0) -> None:
    """Demand that every threshold is kept, by a run that has all its ``count`` cases.

    Raises:
        GateError: names what is not.
    """
    broken = [f"only {len(rows)} of {count} cases were asked"] if len(rows) < count else []
    broken += breaches(gate, rows, seed=seed)
    if broken:
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise GateError(
            f"gate {gate.name}: not kept: {', '.join(broken[:_SHOWN])}{more}; "
            "`paperagent eval report` shows the cases"
        )
