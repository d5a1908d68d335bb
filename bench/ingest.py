"""Time the ingest of 74,728 abstracts, of the same file again, and of vectors.

    python bench/ingest.py [--shared ../shared] [--only papers|vectors] [--json FILE]

The large ingest runs in its own process, so that the peak memory is its own. Vectors are compared,
alternating, with onnxruntime alone on the same texts and with as many threads.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bare import BareModel, model_folder
from figures import Figure, p50, run, seconds

from library import PAPERS, abstracts

CHILD = "--child"
TEXTS, ROUNDS = 400, 5
_PEAK_UNIT = 2**20 if sys.platform == "darwin" else 2**10
"""Units per MB of `getrusage`: macOS counts bytes, Linux kilobytes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == [CHILD]:
        print(json.dumps(_ingest(Path(arguments[1]), Path(arguments[2]))))
        return 0
    measures: dict[str, Callable[[Path], Sequence[Figure]]] = {"papers": papers, "vectors": vectors}
    return run(str(__doc__), measures, lambda args: args.shared, arguments)


def papers(shared: Path) -> list[Figure]:
    """Ingest all abstracts twice, without vectors."""
    feed = abstracts(shared)
    with tempfile.TemporaryDirectory() as home:
        first, again = _in_process(home, feed), _in_process(home, feed)
    same = all(first[k] == again[k] for k in ("state", "papers")) and not again["new"] + again["changed"]
    return [
        _rate("papers until searchable by keywords", first, 2_000),
        Figure("peak memory of that", first["peak_mb"], "MB", limit=500),
        _rate("the same file again", again, 10_000),
        Figure("differences after that", float(not same), "", limit=0, note="every field of every paper"),
    ]


def _rate(name: str, ingest: dict[str, Any], limit: float) -> Figure:
    note = f"{PAPERS:,} in {ingest['seconds']:.1f} s"
    return Figure(name, ingest["read"] / ingest["seconds"], "papers/s", limit=limit, at_least=True, note=note)


def _in_process(home: str, feed: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, CHILD, home, str(feed)]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(process.stdout)
    return figures


def _ingest(home: Path, feed: Path) -> dict[str, Any]:
    """Ingest ``feed``; return counts, seconds, peak memory and a hash of the library.

    The last paper must be found by its title.
    """
    from paperagent import PaperAgent

    with PaperAgent(home, embedder="none") as agent:
        reports = []
        duration = seconds(lambda: reports.append(agent.ingest(feed, vectors=False)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        last = None
        state = hashlib.sha256()
        for last in agent.papers():
            state.update(repr(last).encode())
        assert last is not None
        assert last.paper_id in {hit.paper_id for hit in agent.search(last.title)}
        report = reports[0]
        return {
            "seconds": duration,
            "read": report.read,
            "new": report.new,
            "changed": report.changed,
            "papers": report.papers,
            "peak_mb": peak / _PEAK_UNIT,
            "state": [state.hexdigest(), agent.status()["revision"]],
        }


def vectors(shared: Path) -> list[Figure]:
    """Compare the embedding of papers into a library with the model alone."""
    from paperagent import Paper
    from paperagent.embedding.minilm import MiniLM, available_cores
    from paperagent.feeds.reader import open_feed
    from paperagent.library import LocalStore

    with open_feed(abstracts(shared)) as feed:
        chosen = list(islice((r for r in feed.records if isinstance(r, Paper)), TEXTS))
    texts = [f"{p.title}\n{p.abstract}" for p in chosen]
    model, bare, threads = MiniLM.load(model_folder()), BareModel(), available_cores()
    ours: list[float] = []
    alone: list[float] = []
    for i in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home, LocalStore(Path(home), create=True) as store:
            store.ingest(chosen, today=dt.date(2026, 1, 1))
            if i % 2:
                ours.append(seconds(partial(store.embed_pending, model)))
            alone.append(seconds(partial(bare.each, texts, threads)))
            if not i % 2:
                ours.append(seconds(partial(store.embed_pending, model)))
    shares = [b / o for b, o in zip(alone, ours, strict=True)]
    note = f"{TEXTS / p50(ours):.0f} texts/s against {TEXTS / p50(alone):.0f}, {threads} threads"
    return [
        Figure("vectors, to disk / onnxruntime alone", p50(shares), "×", limit=0.9, at_least=True, note=note)
    ]


if __name__ == "__main__":
    sys.exit(main())
