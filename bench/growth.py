"""Measure how a library grows: the same figures at 74,728, 250,000, 500,000 and 1,000,000 papers.

    python bench/growth.py [--shared ../shared] [--sizes 74728,250000] [--out bench/growth.json]

One library grows in ``bench/.cache/growth`` (9 GB and an hour and a half for a million, on two cores;
a size that was reached is not built again). Its papers are the real abstracts and seeded mixtures of them
(`corpus.py`), their vectors mixtures of the real ones. Every step runs in a process of its own, so that its
time and its memory are its own. `growth_report.py` makes table and plot of what is measured.
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
"""Papers that are added to each size, to see what one more day costs."""
Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Build, measure, and keep what was measured after every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="numbers of papers, rising")
    parser.add_argument("--out", type=Path, default=HERE / "growth.json", help="where the figures are kept")
    parser.add_argument("--only", choices=list(STEPS), action="append", help="measure this alone, anew")
    args = parser.parse_args(argv)
    shared, folder = args.shared.resolve(), CACHE / "growth"
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Row] = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {}
    corpus = Corpus(shared)
    start = 0
    for place, size in enumerate(args.sizes):
        row = kept.setdefault(str(size), {})
        if args.only and place == len(args.sizes) - 1:
            for step in args.only:
                row.pop(step, None)
        feed, day = folder / f"feed-{size}.jsonl", folder / f"day-{size}.jsonl"
        if not {"read", "add"} <= row.keys():
            write(corpus.lines(start, size), feed)
            write(corpus.lines(SIZES[-1] + place * ADDED, SIZES[-1] + (place + 1) * ADDED), day)
        for step in STEPS:
            if step not in row:
                say(f"{size:,} papers: {step} …")
                row[step] = _run(step, folder / "library", feed, day, shared)
                say(f"  {json.dumps(row[step])}")
                args.out.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        with suppress(FileNotFoundError):
            feed.unlink()
        start = size
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    found = tuple(int(part) for part in text.split(","))
    if list(found) != sorted(set(found)):
        raise argparse.ArgumentTypeError("rising numbers, please")
    return found


def _run(step: str, home: Path, feed: Path, day: Path, shared: Path) -> Row:
    """Make one step in a process of its own."""
    command = [sys.executable, str(HERE / "growth_steps.py"), step, *map(str, (home, feed, day, shared))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
