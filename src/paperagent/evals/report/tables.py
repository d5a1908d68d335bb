"""Tables of a run, a comparison and a self-test, as text for a terminal or as Markdown; and JUnit XML.

Cells hold raw text, which may come from papers, models or authors of cases; each format escapes it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from paperagent.errors import visible
from paperagent.evals.compare import OUTCOME, Flip, MetricChange, RunComparison, p_text
from paperagent.evals.results import FAILURES, Figure, Row, Run
from paperagent.evals.scorers import GROUPS, METRICS, summarize
from paperagent.text.sanitize import safe_markdown, safe_terminal

if TYPE_CHECKING:
    from paperagent.evals.selftest import FaultResult

_MIN_WORDS_WIDTH = 12
"""Minimum width in columns of a last column of words, however narrow the terminal is."""


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the names of the columns, and rows of cells."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1
    """Number of columns from the left that hold words instead of figures."""
    words: bool = False
    """Whether the last column holds words as well; it is truncated if the terminal is narrow."""


def text(tables: Iterable[Table], *, width: int = 100) -> str:
    """Return the tables as aligned text for a terminal of ``width`` columns."""
    return "\n\n".join(_text(table, width) for table in tables if table.rows) + "\n"


def _text(table: Table, width: int) -> str:
    cells = [[safe_terminal(c) for c in row] for row in (table.head, *table.rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    words = _word_columns(table)
    if len(widths) - 1 in words:
        widths[-1] = min(widths[-1], max(_MIN_WORDS_WIDTH, width - sum(widths[:-1]) - 2 * len(widths) + 2))
        cells = [[*row[:-1], _truncate(row[-1], widths[-1])] for row in cells]
    lines = [
        "  ".join(_padded(c, w, left=i in words) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    rule = "  ".join("─" * w for w in widths)
    note = [safe_terminal(table.note)] if table.note else []
    body = [line.rstrip() for line in (lines[0], rule, *lines[1:])]
    return "\n".join([safe_terminal(table.title), "", *body, *note])


def _word_columns(table: Table) -> set[int]:
    return {*range(table.left), *([len(table.head) - 1] if table.words else [])}


def _truncate(cell: str, width: int) -> str:
    if _width(cell) <= width:
        return cell
    head = ""
    for char in cell:
        if _width(head) + _columns(char) > width - 1:
            break
        head += char
    return head.rstrip() + "…"


def _width(cell: str) -> int:
    return sum(_columns(c) for c in cell)


def _columns(char: str) -> int:
    return 0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")


def _padded(cell: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(cell))
    return cell + space if left else space + cell


def markdown(tables: Iterable[Table], *, level: int = 2) -> str:
    """Return the tables as Markdown."""
    return "\n\n".join(_markdown(table, level) for table in tables if table.rows) + "\n"


def _markdown(table: Table, level: int) -> str:
    words = _word_columns(table)
    rule = ["---" if i in words else "---:" for i in range(len(table.head))]
    lines = [_row(map(_cell, table.head)), _row(rule), *(_row(map(_cell, row)) for row in table.rows)]
    title = f"{'#' * level} {safe_markdown(table.title)}"
    return "\n".join([title, "", *lines, *(["", safe_markdown(table.note)] if table.note else [])])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: str) -> str:
    return safe_markdown(cell).replace("\\|", "|").replace("|", "\\|") or " "


def number(value: float | None, digits: int = 3) -> str:
    """Format a number: a share without its leading zero, an amount with its significant digits."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if abs(value) > 1 else f"{value:.{digits}f}".replace("0.", ".", 1)


def with_interval(figure: Figure | None, digits: int = 3) -> str:
    """Format a figure with its 95 % interval, such as ``.830 (.71–.91)``."""
    if figure is None or figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return number(figure.value, digits)
    return f"{number(figure.value, digits)} ({number(figure.low, 2)}–{number(figure.high, 2)})"


def change(value: float) -> str:
    """Format a difference with its sign."""
    return f"{'+' if value > 0 else '-' if value < 0 else '±'}{number(abs(value))}"


HEADLINES = ("correct", "evidence_any", "citation_recall", "answerable_accuracy")
"""The columns of the table by kind, if the run has them."""
RETRIEVAL_HEADLINES = ("ndcg@10", "recall@5", "recall@10", "mrr")
"""The same for a run that only searches."""
_SHORT = {
    "evidence_any": "evidence", "citation_recall": "citations", "answerable_accuracy": "decided",
}  # fmt: skip
FAILURE_ABOUT = {
    "retrieval_miss": "a gold paper was not retrieved",
    "evidence_ignored": "everything was retrieved, but it answered something else",
    "should_have_abstained": "answered, but the library does not contain the answer",
    "should_have_answered": "abstained, but the library contains the answer",
    "check_too_strict": "a check withheld a claim that would have been right",
    "error": "the case ended in an error",
}
"""Description of each failure."""


def with_metrics(run: Run, rows: Sequence[Row]) -> Run:
    """Return the run with the metrics of its rows, which an interrupted run lacks."""
    if len(rows) == run.count and run.metrics:
        return run
    errors = sum(row.state == "error" for row in rows)
    return run.model_copy(update={"metrics": summarize(rows, seed=run.seed), "errors": errors})


def unfinished(run: Run, rows: Sequence[Row]) -> str:
    """Return a note if cases are still to be asked, else an empty text."""
    return f"unfinished: {len(rows)} of {run.count} cases" if len(rows) < run.count else ""


def run_tables(run: Run, rows: Sequence[Row]) -> list[Table]:
    """Return the whole report: by kind, by metric, reasons of failures, and failed cases."""
    return [by_kind(run, rows), *by_metric(run), failures(rows), wrong(rows)]


def headlines(run: Run) -> list[str]:
    """Return the names of the most important metrics of this run."""
    return [
        name
        for name in (RETRIEVAL_HEADLINES if run.mode == "retrieval" else HEADLINES)
        if name in run.metrics
    ]


def by_kind(run: Run, rows: Sequence[Row]) -> Table:
    """Return the headline metrics by kind of case, each with its 95 % interval."""
    names = headlines(run)
    kinds = sorted({row.kind for row in rows})
    parts = [("all", rows), *((kind, [r for r in rows if r.kind == kind]) for kind in kinds)]
    cells = [
        (
            kind,
            str(len(part)),
            *(with_interval(METRICS[n].over_rows(_ok(part), seed=run.seed), 2) for n in names),
        )
        for kind, part in (parts if len(kinds) > 1 else parts[:1])
    ]
    errors = sum(row.state == "error" for row in rows)
    note = "In brackets the 95 % interval; – does not apply."
    note += f" Errors, left out: {errors}." if errors else ""
    note += f" The run is {unfinished(run, rows)}." if unfinished(run, rows) else ""
    head = ("kind", "cases", *(_SHORT.get(n, n) for n in names))
    return Table(f"{run.cases}, {describe_run(run)}", head, tuple(cells), note)


def describe_run(run: Run) -> str:
    """Return a short description of how the answers were made."""
    parts = [
        run.mode if run.model is None else f"{run.mode} ({run.model})",
        f"k = {run.settings.get('k', '?')}",
    ]
    return ", ".join(parts)


def _ok(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.state == "ok"]


def by_metric(run: Run) -> list[Table]:
    """Return every metric of the run, one table for each group."""
    head = ("metric", "value (95 %)", "cases", "n/a", "says")
    return [
        Table(group.capitalize(), head, tuple(_metric_rows(run, group)), left=1, words=True)
        for group in GROUPS
    ]


def _metric_rows(run: Run, group: str) -> Iterator[tuple[str, ...]]:
    for name, metric in METRICS.items():
        figure = run.metrics.get(name)
        if metric.group == group and figure is not None:
            yield name, with_interval(figure), str(figure.n), str(figure.null), metric.about


def failures(rows: Sequence[Row]) -> Table:
    """Return the reasons why cases failed, most frequent first."""
    counts = Counter(row.failure for row in rows if row.failure)
    names = sorted((name for name in FAILURES if counts[name]), key=lambda n: -counts[n])
    return Table(
        "Why cases failed",
        ("failure", "cases", "share", "means"),
        tuple((n, str(counts[n]), f"{counts[n] / len(rows):.0%}", FAILURE_ABOUT[n]) for n in names),
        words=True,
    )


def wrong(rows: Sequence[Row]) -> Table:
    """Return the failed cases."""
    cells = tuple((r.id, r.kind, r.failure, r.error or r.question) for r in rows if r.failure)
    return Table("Failed cases", ("case", "kind", "why", "question"), cells, left=4)


def comparison_tables(comparison: RunComparison) -> list[Table]:
    """Return the changes between two runs, and the cases that flipped."""
    a, b = comparison.a, comparison.b
    changes = [c for c in comparison.changes if c.judged or c.lost or c.gained or c.difference.value]
    head = ("metric", "A", "B", "B - A (95 %)", "cases", "down/up", "p", "")
    note = "* decides the verdict. Last column: if the paired interval excludes 0. p: sign-flip test."
    title = f"A: {describe_run(a)} ({a.id}) against B: {describe_run(b)} ({b.id})"
    p = next((c.mcnemar for c in comparison.changes if c.name == OUTCOME), None)
    test = f" (McNemar, exact: p {p_text(p)})" if p is not None else ""
    return [
        Table(title, head, tuple(map(_change_row, changes)), note, words=True),
        _flips(f"Right in A, not in B: {len(comparison.lost)}{test}", comparison.lost, "B"),
        _flips(f"Right in B, not in A: {len(comparison.gained)}{test}", comparison.gained, "A"),
    ]


def _change_row(c: MetricChange) -> tuple[str, ...]:
    d = c.difference
    return (
        ("* " if c.judged else "") + c.name,
        number(c.before),
        number(c.after),
        f"{change(d.value)} ({change(d.low)} to {change(d.high)})",
        str(d.n),
        f"{c.lost}/{c.gained}",
        p_text(d.p).removeprefix("= "),
        "" if c.leaning == "no difference" else c.leaning,
    )


def _flips(title: str, flips: Sequence[Flip], other: str) -> Table:
    rows = tuple((f.id, f.kind, f.after if other == "B" else f.before, f.question) for f in flips)
    return Table(title, ("case", "kind", f"in {other}", "question"), rows, left=4)


def selftest_table(results: Sequence[FaultResult]) -> Table:
    """Return the share of each kind of fault that was flagged, and the right answers that were."""
    rows = []
    for r in results:
        low, high = r.interval
        share = "–" if r.share is None else f"{number(r.share)} ({number(low, 2)}–{number(high, 2)})"
        rows.append((r.kind if r.faulty else f"({r.kind})", str(r.n), str(r.flagged), share, ", ".join(r.by)))
    return Table(
        "Answers with one fault, flagged by the scorers",
        ("fault", "answers", "flagged", "share (95 %)", "by"),
        tuple(rows),
        note="In brackets: answers without a fault, which should not be flagged.",
        words=True,
    )


def junit(run: Run, rows: Sequence[Row]) -> str:
    """Return the run as JUnit XML: one test per case, which fails if the case failed."""
    failed = sum(bool(r.failure) and r.state == "ok" for r in rows)
    errors = sum(r.state == "error" for r in rows)
    seconds = sum(r.ms for r in rows) / 1000
    totals = f'tests="{len(rows)}" failures="{failed}" errors="{errors}" time="{seconds:.3f}"'
    body = "".join(map(_testcase, rows))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="paperagent eval" {totals}>\n'
        f'<testsuite name={_quoted(run.id)} timestamp={_quoted(run.created)} {totals} skipped="0">\n'
        f"{body}</testsuite>\n</testsuites>\n"
    )


def _testcase(row: Row) -> str:
    head = f'<testcase classname={_quoted(row.kind)} name={_quoted(row.id)} time="{row.ms / 1000:.3f}"'
    if not row.failure:
        return f"  {head}/>\n"
    tag = "error" if row.state == "error" else "failure"
    why = row.error if row.state == "error" else FAILURE_ABOUT[row.failure]
    answer = (row.answer or {}).get("answer") or ""
    details = f"question: {row.question}\nanswer: {answer}"
    return (
        f"  {head}>\n    <{tag} type={_quoted(row.failure)} message={_quoted(why or '')}>"
        f"{escape(_xml(details))}</{tag}>\n  </testcase>\n"
    )


def _quoted(text: str) -> str:
    return f'"{escape(_xml(text))}"'


def _xml(text: str) -> str:
    """Return text with the characters that XML 1.0 does not allow made visible."""
    lines = (visible(line) for line in text.split("\n"))
    return "\n".join(lines).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
