"""Measure how a library scales: the same figures at 74,728, 250,000, 500,000 and 1,000,000 papers.

    python bench/growth.py [--shared ../shared] [--sizes 74728,250000] [--out bench/growth.json]

One library grows in ``bench/.cache/growth`` (9 GB and one and a half hours for a million papers on two
cores; existing sizes are not built again). Its papers are the real abstracts and seeded mixtures of them
(`corpus.py`), with equally mixed vectors. Every step runs in its own process, so that time and memory are
its own. `growth_report.py` writes the table and the plots.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from corpus import Corpus, write
from figures import say
from growth_steps import STEPS

from library import CACHE, PAPERS

HERE = Path(__file__).resolve().parent
SIZES = (PAPERS, 250_000, 500_000, 1_000_000)
ADDED = 1_000
"""Papers that are added at each size, to measure the cost of one more day."""
Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Build and measure, and save the figures after every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="numbers of papers, in rising order")
    parser.add_argument("--out", type=Path, default=HERE / "growth.json", help="file of the figures")
    parser.add_argument("--only", choices=list(STEPS), action="append", help="measure this step again")
    args = parser.parse_args(argv)
    shared, folder = args.shared.resolve(), CACHE / "growth"
    folder.mkdir(parents=True, exist_ok=True)
    saved: dict[str, Row] = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {}
    corpus = Corpus(shared)
    start = 0
    for i, size in enumerate(args.sizes):
        row = saved.setdefault(str(size), {})
        if args.only and i == len(args.sizes) - 1:
            for step in args.only:
                row.pop(step, None)
        feed, day = folder / f"feed-{size}.jsonl", folder / f"day-{size}.jsonl"
        if not {"read", "add"} <= row.keys():
            write(corpus.lines(start, size), feed)
            write(corpus.lines(SIZES[-1] + i * ADDED, SIZES[-1] + (i + 1) * ADDED), day)
        for step in STEPS:
            if step not in row:
                say(f"{size:,} papers: {step} …")
                row[step] = _run(step, folder / "library", feed, day, shared)
                say(f"  {json.dumps(row[step])}")
                args.out.write_text(json.dumps(saved, indent=1) + "\n", "utf-8")
        with suppress(FileNotFoundError):
            feed.unlink()
        start = size
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if list(sizes) != sorted(set(sizes)):
        raise argparse.ArgumentTypeError("sizes must be in rising order")
    return sizes


def _run(step: str, home: Path, feed: Path, day: Path, shared: Path) -> Row:
    """Run one step in its own process."""
    command = [sys.executable, str(HERE / "growth_steps.py"), step, *map(str, (home, feed, day, shared))]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: Row = json.loads(process.stdout.splitlines()[-1])
    return row


if __name__ == "__main__":
    sys.exit(main())
