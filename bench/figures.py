"""Measure figures, compare them with their limits, and print them as a table."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class MissingError(Exception):
    """Something that a measurement needs is missing; the measurement is skipped."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, with an optional limit."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    """Whether the limit is a minimum instead of a maximum."""
    note: str = ""

    @property
    def verdict(self) -> str:
        """``PASS``, ``FAIL``, or an empty text without a limit."""
        if self.limit is None:
            return ""
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "PASS" if met else "FAIL"


Measure = Callable[[T], Sequence[Figure]]


def run(
    title: str,
    measures: Mapping[str, Measure[T]],
    setup: Callable[[argparse.Namespace], T],
    argv: Sequence[str] | None = None,
) -> int:
    """Run the selected measurements and print one table; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=title, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument(
        "--only", choices=list(measures), action="append", help="measure only this; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    args.shared = args.shared.resolve()
    figures: list[Figure] = []
    try:
        context = setup(args)
        for name in args.only or measures:
            say(f"{name} …")
            figures += measures[name](context)
    except MissingError as error:
        say(f"skipped: {error}")
    if args.json:
        args.json.write_text(json.dumps([asdict(f) for f in figures], indent=1) + "\n", "utf-8")
    print(table(figures))
    return exit_code(figures)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| figure | measured | limit | | note |", "|---|---:|---:|---|---|"]
    for f in figures:
        bound = "" if f.limit is None else f"{'≥' if f.at_least else '≤'} {number(f.limit)} {f.unit}"
        lines.append(f"| {f.name} | {number(f.value)} {f.unit} | {bound} | {f.verdict} | {f.note} |")
    return "\n".join(lines)


def exit_code(figures: Sequence[Figure]) -> int:
    """Return 1 if a limit is exceeded."""
    return int(any(f.verdict == "FAIL" for f in figures))


def number(value: float) -> str:
    """Format ``value`` with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def say(line: str) -> None:
    """Print progress to standard error."""
    print(line, file=sys.stderr, flush=True)


def seconds(action: Callable[[], object]) -> float:
    """Return the wall time of ``action`` in seconds."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def interleaved(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time each action once per round, in rotating order, and return seconds by name.

    Other load on the machine then affects all of them alike, so that their ratios are reliable even if
    their times are not. Each action first runs once untimed, to fill the system's caches.
    """
    names = list(actions)
    for name in names:
        actions[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(seconds(actions[name]))
    return times


def p50(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[round(0.95 * (len(values) - 1))]
