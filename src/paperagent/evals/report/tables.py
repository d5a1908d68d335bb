"""Tables of figures, as aligned text for a terminal or as Markdown. Pure.

Cells hold raw text, which may come from strangers; each form makes it harmless as it is written.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from paperagent.evals.results import Figure
from paperagent.text.sanitize import safe_markdown, safe_terminal

_LEAST = 12
"""Columns that words are given however narrow the terminal is."""


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the columns' names and rows of cells."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1
    """Columns from the left that hold words, not figures."""
    words: bool = False
    """Whether the last column holds words too; it is cut where a terminal is narrow."""


def text(tables: Iterable[Table], *, width: int = 100) -> str:
    """Return the tables as aligned text for a terminal of ``width`` columns."""
    return "\n\n".join(_text(table, width) for table in tables if table.rows) + "\n"


def _text(table: Table, width: int) -> str:
    cells = [[safe_terminal(c) for c in row] for row in (table.head, *table.rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    words = _words(table)
    if len(widths) - 1 in words:
        widths[-1] = min(widths[-1], max(_LEAST, width - sum(widths[:-1]) - 2 * len(widths) + 2))
        cells = [[*row[:-1], _cut(row[-1], widths[-1])] for row in cells]
    lines = [
        "  ".join(_padded(c, w, left=i in words) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    rule = "  ".join("─" * w for w in widths)
    note = [safe_terminal(table.note)] if table.note else []
    body = [line.rstrip() for line in (lines[0], rule, *lines[1:])]
    return "\n".join([safe_terminal(table.title), "", *body, *note])


def _words(table: Table) -> set[int]:
    return {*range(table.left), *([len(table.head) - 1] if table.words else [])}


def _cut(cell: str, width: int) -> str:
    if _width(cell) <= width:
        return cell
    kept = ""
    for char in cell:
        if _width(kept) + _columns(char) > width - 1:
            break
        kept += char
    return kept.rstrip() + "…"


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
    words = _words(table)
    rule = ["---" if i in words else "---:" for i in range(len(table.head))]
    lines = [_row(map(_cell, table.head)), _row(rule), *(_row(map(_cell, row)) for row in table.rows)]
    title = f"{'#' * level} {safe_markdown(table.title)}"
    return "\n".join([title, "", *lines, *(["", safe_markdown(table.note)] if table.note else [])])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: str) -> str:
    return safe_markdown(cell).replace("\\|", "|").replace("|", "\\|") or " "


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure: a share without its leading zero, an amount with the digits that say something."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if abs(value) > 1 else f"{value:.{digits}f}".replace("0.", ".", 1)


def with_interval(figure: Figure | None, digits: int = 3) -> str:
    """Return a figure and its 95 % interval, such as ``.830 (.71–.91)``."""
    if figure is None or figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return number(figure.value, digits)
    return f"{number(figure.value, digits)} ({number(figure.low, 2)}–{number(figure.high, 2)})"


def change(value: float) -> str:
    """Return a difference with its sign."""
    return f"{'+' if value > 0 else '-' if value < 0 else '±'}{number(abs(value))}"
