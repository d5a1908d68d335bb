"""Plots as SVG text: every colour and font is the page's, every mark says its value when pointed at. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from paperagent.evals.calibrate import Bin, Point, histogram
from paperagent.evals.report.tables import number

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 14, 44
_BARS = 24


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from ``low`` to ``high``, some of them labelled."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str

    def at(self, value: float) -> float:
        """Return the place of a value between the ends, 0 to 1."""
        span = self.high - self.low
        return min(1.0, max(0.0, (value - self.low) / span)) if span else 0.5


def shares(label: str, low: float = 0.0) -> Axis:
    """Return an axis from ``low`` to 1."""
    step = 0.25 if low == 0 else 0.1 if low >= 0.5 else 0.2
    count = round((1 - low) / step)
    values = [1 - i * step for i in range(count, -1, -1)]
    return Axis(low, 1.0, tuple((v, f"{v:.0%}") for v in values), label)


def amounts(values: Sequence[float], label: str, show: Callable[[float], str]) -> Axis:
    """Return an axis from 0 past the largest value, with round ticks."""
    top = max(values, default=0.0) or 1.0
    step = 10.0 ** math.floor(math.log10(top / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if top / (step * m) <= 5)
    count = math.ceil(top / step - 1e-9)
    return Axis(0.0, count * step, tuple((i * step, show(i * step)) for i in range(count + 1)), label)


class Plot:
    """Marks within a pair of axes; `svg` returns the picture."""

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self.title, self.x, self.y = title, x, y
        self._marks: list[str] = []

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies on the picture."""
        return (
            round(LEFT + self.x.at(x) * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - self.y.at(y) * (HEIGHT - TOP - BOTTOM), 1),
        )

    def line(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Draw a line through points."""
        path = " ".join(f"{a},{b}" for a, b in (self.place(*p) for p in points))
        self._marks.append(f'<polyline class="line {style}" points="{path}"/>')

    def dot(self, x: float, y: float, style: str, *, says: str, radius: float = 4.5) -> None:
        """Draw a point that says something when pointed at."""
        a, b = self.place(x, y)
        self._marks.append(
            f'<circle class="dot {style}" cx="{a}" cy="{b}" r="{radius:.1f}">{_title(says)}</circle>'
        )

    def whisker(self, x: float, low: float, high: float, style: str) -> None:
        """Draw an interval upright."""
        (a, b), (_, c) = self.place(x, low), self.place(x, high)
        self._marks.append(f'<line class="whisker {style}" x1="{a}" y1="{b}" x2="{a}" y2="{c}"/>')

    def bar(self, start: float, end: float, height: float, *, says: str) -> None:
        """Draw a bar from the ground, with a gap to the next."""
        (a, b), (c, d) = self.place(start, height), self.place(end, 0)
        self._marks.append(
            f'<rect class="bar" x="{a + 1:.1f}" y="{b}" width="{max(c - a - 2, 0.8):.1f}" '
            f'height="{d - b:.1f}" rx="2">{_title(says)}</rect>'
        )

    def rule(self, x: float, label: str, *, row: int = 0) -> None:
        """Draw a line upright at a value, with its name."""
        a, _ = self.place(x, 0)
        end = a > WIDTH * 0.68
        self._marks.append(
            f'<line class="rule" x1="{a}" y1="{TOP}" x2="{a}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="mark" x="{a - 5 if end else a + 5}" y="{TOP + 10 + 14 * row}" '
            f'text-anchor="{"end" if end else "start"}">{escape(label)}</text>'
        )

    def note(
        self, x: float, y: float, label: str, *, dx: float = 8, dy: float = 4, end: bool = False
    ) -> None:
        """Write beside a point."""
        a, b = self.place(x, y)
        self._marks.append(
            f'<text class="mark" x="{a + dx}" y="{b + dy}" text-anchor="{"end" if end else "start"}">'
            f"{escape(label)}</text>"
        )

    def svg(self) -> str:
        """Return the picture."""
        return (
            f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"{self._grid()}{''.join(self._marks)}</svg>"
        )

    def _grid(self) -> str:
        right, ground = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = []
        for value, label in self.y.ticks:
            _, b = self.place(self.x.low, value)
            parts.append(f'<line class="grid" x1="{LEFT}" y1="{b}" x2="{right}" y2="{b}"/>')
            parts.append(f'<text x="{LEFT - 7}" y="{b + 3.5}" text-anchor="end">{escape(label)}</text>')
        for value, label in self.x.ticks:
            a, _ = self.place(value, self.y.low)
            parts.append(f'<text x="{a}" y="{ground + 16}" text-anchor="middle">{escape(label)}</text>')
        middle = (LEFT + right) / 2
        parts.append(f'<line class="axis" x1="{LEFT}" y1="{ground}" x2="{right}" y2="{ground}"/>')
        parts.append(f'<text class="name" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">')
        parts.append(f"{escape(self.x.label)}</text>")
        return "".join(parts)


def _title(says: str) -> str:
    return f"<title>{escape(says)}</title>"


def reliability(bins: Sequence[Bin]) -> str:
    """Draw how often answers of each confidence were about something that the library holds."""
    plot = Plot("Reliability of confidence", shares("confidence that the answer is there"), shares(""))
    plot.line([(0, 0), (1, 1)], "ideal")
    plot.line([(b.confidence, b.share) for b in bins], "one thin")
    most = max((b.n for b in bins), default=1)
    for b in bins:
        plot.whisker(b.confidence, b.low, b.high, "one")
        says = f"{b.n} cases, mean confidence {b.confidence:.2f}: {b.share:.0%} answerable"
        plot.dot(b.confidence, b.share, "one", says=says, radius=3.5 + 4 * math.sqrt(b.n / most))
    return plot.svg()


def precision_coverage(points: Sequence[Point], now: Point | None, name: str = "this run") -> str:
    """Draw what is gained in precision by answering fewer questions, and where ``now`` stands."""
    known = [(p.coverage, p.precision, p.threshold) for p in points if p.precision is not None]
    lowest = min((p for _, p, _ in known), default=0.0)
    low = 0.5 if lowest >= 0.5 else 0.0
    plot = Plot("Precision by coverage", shares("share of questions answered"), shares("", low))
    plot.line([(c, p) for c, p, _ in known], "one")
    if now is not None and now.precision is not None:
        says = f"{name}: answers {now.coverage:.0%}, of them {now.precision:.0%} answerable"
        plot.dot(now.coverage, now.precision, "two", says=says, radius=6)
        plot.note(now.coverage, now.precision, name, dx=-10, dy=20, end=True)
    return plot.svg()


def thresholds(points: Sequence[Point], chosen: Sequence[tuple[float, str]] = ()) -> str:
    """Draw both errors of every threshold: what is refused wrongly, and what is answered wrongly."""
    plot = Plot("Errors by threshold", shares("threshold on confidence"), shares(""))
    refused = [(p.threshold, p.refused) for p in points if p.refused is not None]
    let_by = [(p.threshold, 1 - p.caught) for p in points if p.caught is not None]
    for line, style in ((_steps(refused), "one"), (_steps(let_by), "two")):
        plot.line(line, style)
    for row, (value, label) in enumerate(chosen):
        plot.rule(value, label, row=row)
    return plot.svg()


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for x, y in points:
        if found and found[-1][1] != y:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return found


def recall(values: Sequence[tuple[int, float, float, float]]) -> str:
    """Draw recall by depth: (k, value, low, high), evenly spaced."""
    ticks = tuple((float(i), str(k)) for i, (k, *_) in enumerate(values))
    axis = Axis(-0.4, len(values) - 0.6, ticks, "papers retrieved (k)")
    lowest = min((low for _, _, low, _ in values), default=0.0)
    plot = Plot("Recall by depth", axis, shares("", 0.5 if lowest >= 0.5 else 0.0))
    plot.line([(float(i), v[1]) for i, v in enumerate(values)], "one")
    for i, (k, value, low, high) in enumerate(values):
        plot.whisker(float(i), low, high, "one")
        plot.dot(float(i), value, "one", says=f"recall@{k} {value:.1%} ({low:.1%} to {high:.1%})")
    return plot.svg()


def spread(values: Sequence[float], label: str, show: Callable[[float], str], marks: Sequence[float]) -> str:
    """Draw how values are spread, with the median and the 95th percentile named."""
    axis = amounts(values, label, show)
    edges = [axis.high * i / _BARS for i in range(_BARS + 1)]
    counts = histogram(values, edges)
    plot = Plot(label, axis, amounts([float(c) for c in counts], "cases", lambda v: f"{v:g}"))
    for count, start, end in zip(counts, edges, edges[1:], strict=False):
        if count:
            plot.bar(start, end, count, says=f"{show(start)} to {show(end)}: {count} cases")
    for row, (mark, name) in enumerate(zip(marks, ("median", "95th percentile"), strict=False)):
        plot.rule(mark, f"{name} {show(mark)}", row=row)
    return plot.svg()


def interval(value: float, low: float, high: float) -> str:
    """Draw a share and its interval as a small strip."""
    says = f"{number(value)} ({number(low)} to {number(high)})"
    return (
        f'<svg class="strip" viewBox="0 0 100 14" role="img" aria-label="{says}">{_title(says)}'
        '<line class="track" x1="3" y1="7" x2="97" y2="7"/>'
        f'<line class="range" x1="{3 + 94 * low:.1f}" y1="7" x2="{3 + 94 * high:.1f}" y2="7"/>'
        f'<circle class="dot one" cx="{3 + 94 * value:.1f}" cy="7" r="4"/></svg>'
    )
