"""Write the table and plots of `growth.py`, and compare the figures with their limits.

    python bench/growth_report.py [bench/growth.json]

Writes ``growth.md`` and ``growth.svg`` next to the figures. Exit code 1 if a limit is exceeded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from figures import Figure, exit_code, number, table
from growth_steps import STEPS

from paperagent.evals.report.plots import HEIGHT, WIDTH, Axis, Plot, amounts

Row = Mapping[str, Any]
Read = Callable[[Row], float]

HEAD = """# How a library scales

One library, measured at each size with `python bench/growth.py --shared ../shared`, each step in its own
process. `python bench/growth_report.py` writes this page. Papers beyond the first 74,728 are seeded
mixtures of two real abstracts of the same field, words and vectors alike (`bench/corpus.py`).

![Growth](growth.svg)

"""


def _slowest(row: Row, key: str) -> float:
    return max(float(times[key]) for times in row["queries"]["filtered"].values())


def _worst(row: Row) -> float:
    return min(float(figures["recall@10"]) for name, figures in row["recall"].items() if name != "everything")


ROWS: tuple[tuple[str, Read], ...] = (
    ("search p50, ms", lambda r: r["queries"]["search_ms"]["p50"]),
    ("search p95, ms", lambda r: r["queries"]["search_ms"]["p95"]),
    ("… bare engines p50, ms", lambda r: r["queries"]["bare_ms"]["p50"]),
    ("… bare engines p95, ms", lambda r: r["queries"]["bare_ms"]["p95"]),
    ("… ours / bare, ×", lambda r: r["queries"]["ratio"]),
    *(
        (f"search in {name} p50, ms", lambda r, n=name: r["queries"]["filtered"][n]["p50"])
        for name in ("newest 2%", "newest 10%", "newest 30%", "newest 50%", "newest 90%", "cs.CL")
    ),
    ("… the slowest of these p95, ms", lambda r: _slowest(r, "p95")),
    ("… the slowest of these at first, ms", lambda r: _slowest(r, "first_ms")),
    ("10 nearest found", lambda r: r["recall"]["everything"]["recall@10"]),
    ("… inside filters, the worst", _worst),
    ("100 nearest found", lambda r: r["recall"]["everything"]["recall@100"]),
    ("extractive answer p50, ms", lambda r: r["queries"]["ask_ms"]["p50"]),
    ("extractive answer p95, ms", lambda r: r["queries"]["ask_ms"]["p95"]),
    ("memory after searches and an answer, MB", lambda r: r["queries"]["memory_mb"]),
    ("… its own, without cached pages of files, MB", lambda r: r["queries"]["own_memory_mb"]),
    ("… after 400 filtered searches and 40 answers more, MB", lambda r: r["queries"]["memory_after_mb"]),
    ("`paperagent ask`, whole process, s", lambda r: r["cold"]["ask"]),
    ("`paperagent search`, whole process, s", lambda r: r["cold"]["search"]),
    ("… by words alone, s", lambda r: r["cold"]["search by words"]),
    ("`paperagent status`, s", lambda r: r["cold"]["status"]),
    ("reading, papers/s", lambda r: r["read"]["papers"] / r["read"]["seconds"]),
    ("… peak memory, MB", lambda r: r["read"]["peak_mb"]),
    (
        "stored vectors into Chroma, papers/s",
        lambda r: r["vectors"]["papers"] / r["vectors"]["seconds"],
    ),
    ("… of this inside Chroma itself", lambda r: r["vectors"]["chroma"] / r["vectors"]["seconds"]),
    ("… peak memory, MB", lambda r: r["vectors"]["peak_mb"]),
    ("74,728 known papers read again, papers/s", lambda r: r["again"]["papers"] / r["again"]["seconds"]),
    ("1,000 papers more, words, s", lambda r: r["add"]["words_s"]),
    ("… their stored vectors, s", lambda r: r["add"]["vectors_s"]),
    ("doctor, s", lambda r: r["doctor"]["seconds"]),
    ("… peak memory, MB", lambda r: r["doctor"]["peak_mb"]),
    ("reindex of the words, s", lambda r: r["reindex"]["seconds"]),
    ("… of this inside tantivy itself", lambda r: r["reindex"]["tantivy"] / r["reindex"]["seconds"]),
    ("disk, MB", lambda r: sum(r["disk"].values())),
    ("… library, MB", lambda r: r["disk"]["library"]),
    ("… word index, MB", lambda r: r["disk"]["lexical"]),
    ("… vector index, MB", lambda r: r["disk"]["vectors"]),
)


def main(argv: Sequence[str]) -> int:
    """Write both files and print the limits."""
    source = Path(argv[0]) if argv else Path(__file__).with_name("growth.json")
    saved: dict[str, Row] = json.loads(source.read_text("utf-8"))
    sizes = sorted(int(size) for size, row in saved.items() if set(STEPS) <= row.keys())
    rows = [saved[str(size)] for size in sizes]
    goals = limits(sizes, rows)
    text = f"{HEAD}{table(goals)}\n\n{_grid(sizes, rows)}\n\n{NOTES}"
    source.with_suffix(".md").write_text(text, "utf-8")
    source.with_suffix(".svg").write_text(drawing(sizes, rows), "utf-8")
    print(table(goals))
    return exit_code(goals)


def limits(sizes: Sequence[int], rows: Sequence[Row]) -> list[Figure]:
    """Return the figures with limits at the largest size, partly relative to the smallest."""
    first, last = rows[0], rows[-1]

    def p95(row: Row) -> float:
        return float(row["queries"]["search_ms"]["p95"])

    def added(row: Row) -> float:
        return float(row["add"]["words_s"])

    large, small = f"{sizes[-1]:,}", f"{sizes[0]:,}"
    recall = last["recall"]["everything"]["recall@10"]
    return [
        Figure(
            f"search p95 at {large} / at {small}",
            p95(last) / p95(first),
            "×",
            limit=4,
            note=f"{p95(last):.1f} ms against {p95(first):.1f} ms",
        ),
        Figure(f"memory at {large}", last["queries"]["memory_mb"], "MB", limit=2_500),
        Figure(
            f"adding 1,000 papers at {large} / at {small}",
            added(last) / added(first),
            "×",
            limit=2,
            note=f"{added(last):.2f} s against {added(first):.2f} s, vectors apart",
        ),
        Figure(f"10 nearest found, of {large}", recall, "", limit=0.98, at_least=True),
        Figure("… inside filters, the worst", _worst(last), "", limit=0.98, at_least=True),
    ]


def _grid(sizes: Sequence[int], rows: Sequence[Row]) -> str:
    lines = [
        "| papers | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    lines += [f"| {name} | " + " | ".join(number(read(row)) for row in rows) + " |" for name, read in ROWS]
    return "\n".join(lines)


# --- plots ---

_LINES: tuple[tuple[str, str, tuple[tuple[str, str, Read], ...]], ...] = (
    (
        "a search",
        "ms",
        (
            ("p95", "one", lambda r: r["queries"]["search_ms"]["p95"]),
            ("p50", "two", lambda r: r["queries"]["search_ms"]["p50"]),
            ("bare engines p50", "three", lambda r: r["queries"]["bare_ms"]["p50"]),
        ),
    ),
    (
        "searches inside filters, p50",
        "ms",
        (
            ("newest 2%", "one", lambda r: r["queries"]["filtered"]["newest 2%"]["p50"]),
            ("newest 10%", "two", lambda r: r["queries"]["filtered"]["newest 10%"]["p50"]),
            ("cs.CL", "three", lambda r: r["queries"]["filtered"]["cs.CL"]["p50"]),
        ),
    ),
    (
        "memory of a process that searches",
        "MB",
        (
            ("resident", "one", lambda r: r["queries"]["memory_mb"]),
            ("its own", "two", lambda r: r["queries"]["own_memory_mb"]),
        ),
    ),
    (
        "a whole process",
        "s",
        (
            ("ask", "one", lambda r: r["cold"]["ask"]),
            ("search", "two", lambda r: r["cold"]["search"]),
            ("search by words", "three", lambda r: r["cold"]["search by words"]),
        ),
    ),
    (
        "1,000 papers more",
        "s",
        (
            ("words", "one", lambda r: r["add"]["words_s"]),
            ("stored vectors", "two", lambda r: r["add"]["vectors_s"]),
        ),
    ),
    (
        "papers a second",
        "1/s",
        (
            ("read, by words", "one", lambda r: r["read"]["papers"] / r["read"]["seconds"]),
            ("vectors into Chroma", "two", lambda r: r["vectors"]["papers"] / r["vectors"]["seconds"]),
        ),
    ),
)
_COLUMNS, _GAP, _TITLE = 2, 24, 26
_STYLE = """text{font:11px system-ui,sans-serif;fill:#555}.title{font-size:14px;font-weight:600;fill:#222}
.line{fill:none;stroke-width:2}.one{stroke:#1f6feb}.two{stroke:#c2410c}.three{stroke:#7a7a7a}
.dot{fill:#fff;stroke-width:2}.grid{stroke:#e4e4e4}.axis{stroke:#999}"""


def drawing(sizes: Sequence[int], rows: Sequence[Row]) -> str:
    """Return all plots as one SVG drawing."""
    width, height = WIDTH + _GAP, HEIGHT + _GAP + _TITLE
    plot_rows = -(-len(_LINES) // _COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_COLUMNS * width} {plot_rows * height}">',
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
    ]
    for i, (title, unit, lines) in enumerate(_LINES):
        x, y = i % _COLUMNS * width + _GAP / 2, i // _COLUMNS * height + _GAP / 2
        parts.append(f'<text class="title" x="{x + 10}" y="{y + 14}">{title}, {unit}</text>')
        parts.append(f'<svg x="{x}" y="{y + _TITLE}" width="{WIDTH}" height="{HEIGHT}">')
        parts.append(f"{_plot(title, unit, lines, sizes, rows)}</svg>")
    return "".join([*parts, "</svg>\n"])


def _plot(
    title: str,
    unit: str,
    lines: Sequence[tuple[str, str, Read]],
    sizes: Sequence[int],
    rows: Sequence[Row],
) -> str:
    values = {name: [float(read(row)) for row in rows] for name, _, read in lines}
    ticks = tuple((float(size), f"{size / 1e6:.2g} M") for size in sizes)
    x = Axis(0.0, 1.02 * sizes[-1], ticks, "papers")
    y = amounts([1.2 * v for line in values.values() for v in line], unit, lambda v: f"{v:,.4g}")
    plot = Plot(title, x, y)
    for row, (name, style, _) in enumerate(lines):
        points = [(float(size), value) for size, value in zip(sizes, values[name], strict=True)]
        plot.line(points, style)
        for size, value in points:
            plot.dot(
                size, value, style, tooltip=f"{name}, {size:,.0f} papers: {number(value)} {unit}", radius=3
            )
        above = y.high * (0.99 - 0.07 * row)
        plot.line([(x.high * 0.03, above), (x.high * 0.08, above)], style)
        plot.note(x.high * 0.08, above, name)
    return plot.svg()


NOTES = """\
- **bare engines**: one query embedding with onnxruntime, one tantivy search and one Chroma query on the
  same files, called directly, alternating with ours.
- **memory** is measured after twenty searches and an answer. The part that is not the process's own are
  cached pages of its files, which the system reclaims when needed.
- **search**: the library's files are in the system's cache. Otherwise a search of a million papers reads
  about 60 rows from disk and took 44 ms (p95 60 ms) on this machine.
- **nearest found**: 120 queries, compared with an exact search of all stored vectors.
- **stored vectors**: embedding itself takes the same time per paper at any size (`bench/ingest.py`).
  Rebuilding the vector index is the same work: the sum of the steps of this row.
- **a whole process** starts Python, loads the model and opens the indexes. The growth is Chroma reading
  its graph.
- At a million papers, reading, vectors and reindex were timed while other work was running, and reading
  still used mapped files, hence its peak memory.
- Filters were measured before they requested three times the limit from Chroma, which finds more of the
  100 nearest for a few milliseconds more.
- The rates of a size are those of the papers added since the previous size.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
