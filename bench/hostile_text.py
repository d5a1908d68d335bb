"""Measure what eight hostile abstracts add to the time of `search` and `ask`.

    python bench/hostile_text.py [--every N]

The abstracts are those of ``tests/text_shapes.py``: 20,000 characters that make careless patterns slow. Each
begins with a sentence that the question matches, so that all eight are retrieved. They are ingested into a
library with the sample papers. Times are process times, the median of three calls, without an embedding
model. Exit code 1 if a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from paperagent import PaperAgent

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from text_shapes import shapes

QUESTION = "How much does Tindersift shorten the prompt?"
FIRST_SENTENCE = "Tindersift shortens the prompt by {} percent. "
PAPERS = 8
LIMIT = 0.5
"""Seconds of process time of a command over the hostile abstracts."""


def seconds(call: Callable[[], object]) -> float:
    """Return the median process time of three calls, after one that warms up."""
    call()
    times = []
    for _ in range(3):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def measure(text: str | None) -> tuple[float, float, float]:
    """Return the seconds of the ingest of eight papers with this abstract, of `search` and of `ask`."""
    with tempfile.TemporaryDirectory() as folder:
        feed = Path(folder) / "feed.jsonl"
        sentence = "It was measured on four domains. " * 4
        rows = [
            {
                "id": f"2606.{n:05}",
                "title": f"Tindersift again {n}",
                "abstract": FIRST_SENTENCE.format(n + 40) + (sentence if text is None else text[n:]),
                "date": "2026-06-24",
            }
            for n in range(PAPERS)
        ]
        feed.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        with PaperAgent(Path(folder) / "library", embedder="none") as agent:
            agent.ingest("sample", date="2026-07-01")
            began = time.process_time()
            agent.ingest(str(feed))
            ingest = time.process_time() - began
            search = seconds(lambda: agent.search(QUESTION))
            return ingest, search, seconds(lambda: agent.ask(QUESTION, mode="extractive", cache=False))


def main() -> int:
    """Print the slowest shapes; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="use every Nth shape")
    args = parser.parse_args()
    usual = measure(None)
    rows = {name: measure(text) for name, text in list(shapes().items())[:: args.every]}
    print(f"{len(rows)} shapes; seconds of process time of ingest, search and ask")
    print(f"{'eight usual abstracts':40}" + "".join(f"{value:8.3f}" for value in usual))
    for position, command in enumerate(("ingest", "search", "ask")):
        name, values = max(rows.items(), key=lambda row: row[1][position])
        print(f"{f'slowest {command}: {name[:24]!r}':40}" + "".join(f"{value:8.3f}" for value in values))
    exceeded = [name for name, values in rows.items() if max(values) > LIMIT]
    for name in exceeded:
        print(f"over {LIMIT} s: {name!r}")
    return int(bool(exceeded))


if __name__ == "__main__":
    sys.exit(main())
