"""The figures of the page: what confidence is worth, how deep to search, what answers cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from paperagent.evals import calibrate, stats
from paperagent.evals.calibrate import Calibration, Labelled
from paperagent.evals.report import plots
from paperagent.evals.report.tables import number
from paperagent.evals.results import Row, Run

_KEY = (
    '<span class="key"><i></i>answerable, refused</span>'
    '<span class="key two"><i></i>unanswerable, answered</span>'
)
_COVERAGE = "Answering only the surer questions: of those answered, the share that the library can answer."
_RELIABILITY = "Of the answers of each confidence, the share that the library holds; larger dots, more cases."


def figures(run: Run, rows: Sequence[Row]) -> str:
    """Return every figure that the rows have enough for."""
    known = [(r.confidence, r.answerable) for r in rows if r.state == "ok" and r.confidence is not None]
    both = len({yes for _, yes in known}) == 2
    parts = [
        *((_reliability(run, known), _coverage(rows, known), _threshold(known)) if both else ()),
        _recall(run),
        _latency(rows),
        _cost(rows),
    ]
    return "".join(parts)


def calibration(found: Calibration) -> str:
    """Return the figures that speak for two thresholds, with both marked."""
    now = found.thresholds
    chosen = [(now.abstain_below, "abstain below"), (now.doubt_below, "doubt below")]
    points = calibrate.sweep(found.labelled)
    coverage = plots.precision_coverage(points, calibrate.point(found.labelled, now.abstain_below), "chosen")
    return (
        _figure("Both errors by threshold", _KEY, plots.thresholds(points, chosen))
        + _figure("Precision by coverage", _COVERAGE, coverage)
        + _figure("Reliability", _RELIABILITY, plots.reliability(calibrate.reliability(found.labelled)))
    )


def _figure(title: str, about: str, drawing: str) -> str:
    return f'<div class="card figure"><h3>{title}</h3><p>{about}</p>{drawing}</div>'


def _reliability(run: Run, known: Labelled) -> str:
    ece = run.metrics.get("ece")
    off = f" Mean distance from the diagonal (ECE): {number(ece.value, 2)}." if ece else ""
    about = (
        f"Of the answers of each confidence, the share that the library holds; larger dots, more cases.{off}"
    )
    return _figure("Reliability", about, plots.reliability(calibrate.reliability(known)))


def _coverage(rows: Sequence[Row], known: Labelled) -> str:
    drawing = plots.precision_coverage(calibrate.sweep(known), _now(rows))
    return _figure("Precision by coverage", _COVERAGE, drawing)


def _now(rows: Sequence[Row]) -> calibrate.Point | None:
    """Return where the run itself stands: by what it did, whatever its threshold was."""
    done = [(r.answer["status"] == "answered", r.answerable) for r in rows if r.answer is not None]
    return calibrate.point([(float(a), yes) for a, yes in done], 0.5) if done else None


def _threshold(known: Labelled) -> str:
    return _figure("Both errors by threshold", _KEY, plots.thresholds(calibrate.sweep(known)))


def _recall(run: Run) -> str:
    known = []
    for name, found in run.metrics.items():
        stem, _, k = name.partition("@")
        if stem == "recall" and found.value is not None and found.low is not None and found.high is not None:
            known.append((int(k), found.value, found.low, found.high))
    if len(known) < 2:
        return ""
    about = "Share of the gold papers among the first k retrieved, with 95 % intervals."
    return _figure("Recall", about, plots.recall(sorted(known)))


def _latency(rows: Sequence[Row]) -> str:
    known = [r.ms / 1000 for r in rows if r.state == "ok"]
    if not known:
        return ""
    marks = [stats.quantile(known, 0.5) or 0.0, stats.quantile(known, 0.95) or 0.0]
    show = _milliseconds if marks[1] < 1 else _seconds
    return _figure("Latency", "Time from question to finished answer, as it was waited for.",
                   plots.spread(known, "time an answer", show, marks))  # fmt: skip


def _milliseconds(value: float) -> str:
    return f"{value * 1000:.0f} ms"


def _seconds(value: float) -> str:
    return f"{value:g} s" if value == round(value, 1) else f"{value:.2f} s"


def _dollars(value: float) -> str:
    return f"${value:.4f}" if value < 0.01 else f"${value:.2f}"


def _thousands(value: float) -> str:
    return f"{value:,.0f}"


def _cost(rows: Sequence[Row]) -> str:
    usages = [r.answer["usage"] for r in rows if r.answer is not None]
    if not any(u["calls"] for u in usages):
        return ""
    costs = [float(u["cost_usd"]) for u in usages if u["cost_usd"] is not None]
    if len(costs) == len(usages) and any(costs):
        return _figure("Cost", f"US dollars an answer; all {len(costs)} together {_dollars(sum(costs))}.",
                       plots.spread(costs, "cost an answer", _dollars, _marks(costs)))  # fmt: skip
    tokens = [float(u["input_tokens"] + u["output_tokens"]) for u in usages]
    about = "Tokens sent and written for an answer; what they cost is not known."
    return _figure("Cost", about, plots.spread(tokens, "tokens an answer", _thousands, _marks(tokens)))


def _marks(values: Sequence[float]) -> list[float]:
    return [stats.quantile(values, 0.5) or 0.0, stats.quantile(values, 0.95) or 0.0]
