"""The plots of the HTML report, drawn as SVG.

Colors and fonts come from the page's style sheet; every mark has a tooltip with its value. `run_figures` and
`calibration_figures` choose what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from paperagent.evals import calibrate, stats
from paperagent.evals.calibrate import Bin, Calibration, Point, histogram
from paperagent.evals.report.tables import number
from paperagent.evals.results import Row, Run

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 14, 44
_BARS = 24


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from ``low`` to ``high`` with labeled ticks."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str

    def at(self, value: float) -> float:
        """Return the position of a value between the ends, clipped to 0 to 1."""
        span = self.high - self.low
        return min(1.0, max(0.0, (value - self.low) / span)) if span else 0.5


def shares(label: str, low: float = 0.0) -> Axis:
    """Return an axis of shares from ``low`` to 1."""
    step = 0.25 if low == 0 else 0.1 if low >= 0.5 else 0.2
    count = round((1 - low) / step)
    values = [1 - i * step for i in range(count, -1, -1)]
    return Axis(low, 1.0, tuple((v, f"{v:.0%}") for v in values), label)


def amounts(values: Sequence[float], label: str, show: Callable[[float], str]) -> Axis:
    """Return an axis from 0 to at least the largest value, with round ticks."""
    top = max(values, default=0.0) or 1.0
    step = 10.0 ** math.floor(math.log10(top / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if top / (step * m) <= 5)
    count = math.ceil(top / step - 1e-9)
    return Axis(0.0, count * step, tuple((i * step, show(i * step)) for i in range(count + 1)), label)


class Plot:
    """Marks within a pair of axes; `svg` returns the drawing."""

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self.title, self.x, self.y = title, x, y
        self._marks: list[str] = []

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel coordinates of a point."""
        return (
            round(LEFT + self.x.at(x) * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - self.y.at(y) * (HEIGHT - TOP - BOTTOM), 1),
        )

    def line(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Draw a line through points."""
        path = " ".join(f"{a},{b}" for a, b in (self.pixel(*p) for p in points))
        self._marks.append(f'<polyline class="line {style}" points="{path}"/>')

    def dot(self, x: float, y: float, style: str, *, tooltip: str, radius: float = 4.5) -> None:
        """Draw a point with a tooltip."""
        a, b = self.pixel(x, y)
        self._marks.append(
            f'<circle class="dot {style}" cx="{a}" cy="{b}" r="{radius:.1f}">{_tooltip(tooltip)}</circle>'
        )

    def whisker(self, x: float, low: float, high: float, style: str) -> None:
        """Draw a vertical interval."""
        (a, b), (_, c) = self.pixel(x, low), self.pixel(x, high)
        self._marks.append(f'<line class="whisker {style}" x1="{a}" y1="{b}" x2="{a}" y2="{c}"/>')

    def bar(self, start: float, end: float, height: float, *, tooltip: str) -> None:
        """Draw a bar from 0 up to ``height`` with a tooltip."""
        (a, b), (c, d) = self.pixel(start, height), self.pixel(end, 0)
        self._marks.append(
            f'<rect class="bar" x="{a + 1:.1f}" y="{b}" width="{max(c - a - 2, 0.8):.1f}" '
            f'height="{d - b:.1f}" rx="2">{_tooltip(tooltip)}</rect>'
        )

    def rule(self, x: float, label: str, *, row: int = 0) -> None:
        """Draw a labeled vertical line; ``row`` moves the label down."""
        a, _ = self.pixel(x, 0)
        end = a > WIDTH * 0.68
        self._marks.append(
            f'<line class="rule" x1="{a}" y1="{TOP}" x2="{a}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="mark" x="{a - 5 if end else a + 5}" y="{TOP + 10 + 14 * row}" '
            f'text-anchor="{"end" if end else "start"}">{escape(label)}</text>'
        )

    def note(
        self, x: float, y: float, label: str, *, dx: float = 8, dy: float = 4, end: bool = False
    ) -> None:
        """Write a label beside a point."""
        a, b = self.pixel(x, y)
        self._marks.append(
            f'<text class="mark" x="{a + dx}" y="{b + dy}" text-anchor="{"end" if end else "start"}">'
            f"{escape(label)}</text>"
        )

    def svg(self) -> str:
        return (
            f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"{self._grid()}{''.join(self._marks)}</svg>"
        )

    def _grid(self) -> str:
        right, ground = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = []
        for value, label in self.y.ticks:
            _, b = self.pixel(self.x.low, value)
            parts.append(f'<line class="grid" x1="{LEFT}" y1="{b}" x2="{right}" y2="{b}"/>')
            parts.append(f'<text x="{LEFT - 7}" y="{b + 3.5}" text-anchor="end">{escape(label)}</text>')
        for value, label in self.x.ticks:
            a, _ = self.pixel(value, self.y.low)
            parts.append(f'<text x="{a}" y="{ground + 16}" text-anchor="middle">{escape(label)}</text>')
        middle = (LEFT + right) / 2
        parts.append(f'<line class="axis" x1="{LEFT}" y1="{ground}" x2="{right}" y2="{ground}"/>')
        parts.append(f'<text class="name" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">')
        parts.append(f"{escape(self.x.label)}</text>")
        return "".join(parts)


def _tooltip(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def reliability(bins: Sequence[Bin]) -> str:
    """Draw the share of answerable cases by confidence."""
    plot = Plot("Reliability of confidence", shares("confidence that the answer is there"), shares(""))
    plot.line([(0, 0), (1, 1)], "ideal")
    plot.line([(b.confidence, b.share) for b in bins], "one thin")
    most = max((b.n for b in bins), default=1)
    for b in bins:
        plot.whisker(b.confidence, b.low, b.high, "one")
        tooltip = f"{b.n} cases, mean confidence {b.confidence:.2f}: {b.share:.0%} answerable"
        plot.dot(b.confidence, b.share, "one", tooltip=tooltip, radius=3.5 + 4 * math.sqrt(b.n / most))
    return plot.svg()


def precision_coverage(points: Sequence[Point], now: Point | None, name: str = "this run") -> str:
    """Draw the precision gained by answering fewer questions, and mark the point ``now``."""
    curve = [(p.coverage, p.precision) for p in points if p.precision is not None]
    lowest = min((precision for _, precision in curve), default=0.0)
    low = 0.5 if lowest >= 0.5 else 0.0
    plot = Plot("Precision by coverage", shares("share of questions answered"), shares("", low))
    plot.line(curve, "one")
    if now is not None and now.precision is not None:
        tooltip = f"{name}: answers {now.coverage:.0%}, of them {now.precision:.0%} answerable"
        plot.dot(now.coverage, now.precision, "two", tooltip=tooltip, radius=6)
        plot.note(now.coverage, now.precision, name, dx=-10, dy=20, end=True)
    return plot.svg()


def thresholds(points: Sequence[Point], chosen: Sequence[tuple[float, str]] = ()) -> str:
    """Draw both errors by threshold: answerable cases refused, and unanswerable cases answered."""
    plot = Plot("Errors by threshold", shares("threshold on confidence"), shares(""))
    refused = [(p.threshold, p.refused) for p in points if p.refused is not None]
    missed = [(p.threshold, 1 - p.caught) for p in points if p.caught is not None]
    for line, style in ((_steps(refused), "one"), (_steps(missed), "two")):
        plot.line(line, style)
    for row, (value, label) in enumerate(chosen):
        plot.rule(value, label, row=row)
    return plot.svg()


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    steps: list[tuple[float, float]] = []
    for x, y in points:
        if steps and steps[-1][1] != y:
            steps.append((x, steps[-1][1]))
        steps.append((x, y))
    return steps


def recall(values: Sequence[tuple[int, float, float, float]]) -> str:
    """Draw recall@k from (k, value, low, high), with k evenly spaced."""
    ticks = tuple((float(i), str(k)) for i, (k, *_) in enumerate(values))
    axis = Axis(-0.4, len(values) - 0.6, ticks, "papers retrieved (k)")
    lowest = min((low for _, _, low, _ in values), default=0.0)
    plot = Plot("Recall by depth", axis, shares("", 0.5 if lowest >= 0.5 else 0.0))
    plot.line([(float(i), v[1]) for i, v in enumerate(values)], "one")
    for i, (k, value, low, high) in enumerate(values):
        plot.whisker(float(i), low, high, "one")
        plot.dot(float(i), value, "one", tooltip=f"recall@{k} {value:.1%} ({low:.1%} to {high:.1%})")
    return plot.svg()


def distribution(
    values: Sequence[float], label: str, show: Callable[[float], str], marks: Sequence[float]
) -> str:
    """Draw a histogram with labeled median and 95th percentile."""
    axis = amounts(values, label, show)
    edges = [axis.high * i / _BARS for i in range(_BARS + 1)]
    counts = histogram(values, edges)
    plot = Plot(label, axis, amounts([float(c) for c in counts], "cases", lambda v: f"{v:g}"))
    for count, start, end in zip(counts, edges, edges[1:], strict=False):
        if count:
            plot.bar(start, end, count, tooltip=f"{show(start)} to {show(end)}: {count} cases")
    for row, (mark, name) in enumerate(zip(marks, ("median", "95th percentile"), strict=False)):
        plot.rule(mark, f"{name} {show(mark)}", row=row)
    return plot.svg()


def interval(value: float, low: float, high: float) -> Markup:
    """Draw a share and its interval as a small strip."""
    from markupsafe import Markup

    tooltip = f"{number(value)} ({number(low)} to {number(high)})"
    return Markup(  # noqa: S704 - built from numbers
        f'<svg class="strip" viewBox="0 0 100 14" role="img" aria-label="{tooltip}">{_tooltip(tooltip)}'
        '<line class="track" x1="3" y1="7" x2="97" y2="7"/>'
        f'<line class="range" x1="{3 + 94 * low:.1f}" y1="7" x2="{3 + 94 * high:.1f}" y2="7"/>'
        f'<circle class="dot one" cx="{3 + 94 * value:.1f}" cy="7" r="4"/></svg>'
    )


@dataclass(frozen=True, slots=True)
class PlotCard:
    """A plot with its title and explanation, as the page shows it."""

    title: str
    svg: Markup
    about: str = ""
    with_key: bool = False
    """Whether the key of both kinds of error is shown instead of ``about``."""

    @classmethod
    def of(cls, title: str, about: str, svg: str, *, with_key: bool = False) -> PlotCard:
        """Wrap the output of one of the functions above."""
        from markupsafe import Markup

        return cls(title, Markup(svg), about, with_key)  # noqa: S704 - plots escape their texts


_COVERAGE = "Answering only the surer questions: share of the answered questions that are answerable."
_RELIABILITY = "Share of answerable questions by confidence; larger dots, more cases."


def run_figures(run: Run, rows: Sequence[Row]) -> list[PlotCard]:
    """Return the plots for which a run has enough data."""
    labeled = [(r.confidence, r.answerable) for r in rows if r.state == "ok" and r.confidence is not None]
    cards = []
    if len({answerable for _, answerable in labeled}) == 2:
        ece = run.metrics.get("ece")
        off = f" Mean distance from the diagonal (ECE): {number(ece.value, 2)}." if ece else ""
        points = calibrate.sweep(labeled)
        coverage = precision_coverage(points, _point_of(rows))
        cards += [
            PlotCard.of("Reliability", _RELIABILITY + off, reliability(calibrate.reliability(labeled))),
            PlotCard.of("Precision by coverage", _COVERAGE, coverage),
            PlotCard.of("Both errors by threshold", "", thresholds(points), with_key=True),
        ]
    return [*cards, *_recall_figure(run), *_latency_figure(rows), *_cost_figure(rows)]


def calibration_figures(calibration: Calibration) -> list[PlotCard]:
    """Return the plots behind two thresholds, with both marked."""
    now = calibration.thresholds
    marks = [(now.abstain_below, "abstain below"), (now.doubt_below, "doubt below")]
    points = calibrate.sweep(calibration.labeled)
    chosen = calibrate.point(calibration.labeled, now.abstain_below)
    bins = calibrate.reliability(calibration.labeled)
    return [
        PlotCard.of("Both errors by threshold", "", thresholds(points, marks), with_key=True),
        PlotCard.of("Precision by coverage", _COVERAGE, precision_coverage(points, chosen, "chosen")),
        PlotCard.of("Reliability", _RELIABILITY, reliability(bins)),
    ]


def _point_of(rows: Sequence[Row]) -> Point | None:
    """Return the point of the run itself: by what it answered, whatever its threshold was."""
    decisions = [
        (float(r.answer["status"] == "answered"), r.answerable) for r in rows if r.answer is not None
    ]
    return calibrate.point(decisions, 0.5) if decisions else None


def _recall_figure(run: Run) -> Iterator[PlotCard]:
    values = []
    for name, figure in run.metrics.items():
        stem, _, k = name.partition("@")
        if stem == "recall" and None not in (figure.value, figure.low, figure.high):
            values.append((int(k), figure.value or 0.0, figure.low or 0.0, figure.high or 0.0))
    if len(values) > 1:
        about = "Share of the gold papers among the first k retrieved, with 95 % intervals."
        yield PlotCard.of("Recall", about, recall(sorted(values)))


def _latency_figure(rows: Sequence[Row]) -> Iterator[PlotCard]:
    seconds = [r.ms / 1000 for r in rows if r.state == "ok"]
    if seconds:
        marks = _percentiles(seconds)
        show = _milliseconds if marks[1] < 1 else _seconds
        drawing = distribution(seconds, "time an answer", show, marks)
        yield PlotCard.of("Latency", "Wall time from question to finished answer.", drawing)


def _cost_figure(rows: Sequence[Row]) -> Iterator[PlotCard]:
    usages = [r.answer["usage"] for r in rows if r.answer is not None]
    if not any(u["calls"] for u in usages):
        return
    costs = [float(u["cost_usd"]) for u in usages if u["cost_usd"] is not None]
    if len(costs) == len(usages) and any(costs):
        about = f"US dollars per answer; {_dollars(sum(costs))} for all {len(costs)} together."
        drawing = distribution(costs, "cost an answer", _dollars, _percentiles(costs))
    else:
        tokens = [float(u["input_tokens"] + u["output_tokens"]) for u in usages]
        about = "Tokens sent and written for an answer; their price is not known."
        drawing = distribution(tokens, "tokens an answer", _thousands, _percentiles(tokens))
    yield PlotCard.of("Cost", about, drawing)


def _percentiles(values: Sequence[float]) -> list[float]:
    return [stats.quantile(values, 0.5) or 0.0, stats.quantile(values, 0.95) or 0.0]


def _milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"


def _seconds(value: float) -> str:
    return f"{value:g} s" if value == round(value, 1) else f"{value:.2f} s"


def _dollars(value: float) -> str:
    return f"${value:.4f}" if value < 0.01 else f"${value:.2f}"


def _thousands(value: float) -> str:
    return f"{value:,.0f}"
