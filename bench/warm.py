"""Time searches and answers over 74,728 abstracts in an open process.

    python bench/warm.py [--shared ../shared] [--only search|filters|ask|recall] [--json FILE]

Each is compared with its bare engines, called directly in the same process and alternating with it: one
query embedding with onnxruntime, one tantivy search of the same index, and one Chroma query of the same
collection; for an answer also the model on exactly the sentences that it embedded.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bare import BareParts
from figures import Figure, p50, p95, run, seconds

from library import large_library
from paperagent import Filters, PaperAgent
from paperagent.retrieval.scoring import query_stems

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.types import Encoded

SEARCHES, FILTERED, ASKS, BATCHES, RECALLS = 240, 120, 100, 15, 100
DEPTH = 100
"""Number of papers that the bare engines request from each index, and that recall compares."""
SHARES = (0.02, 0.1, 0.3, 0.5, 0.9)
"""Shares of the library that match the date filters."""


@dataclass
class Bench:
    """An open agent, the bare engines, and queries for both."""

    agent: PaperAgent
    home: Path
    queries: list[str]
    days: list[dt.date]
    """The day of each paper, in ascending order."""
    bare: BareParts = field(init=False)
    memory: tuple[float, str] = field(init=False)
    """Memory of the process in MB, with a remark, after its first searches and an answer."""

    def __post_init__(self) -> None:
        for query in self.queries[:20]:
            self.agent.search(query)
        self.ask(self.queries[0])
        self.memory = memory()
        self.bare = BareParts(self.home)

    def search(self, query: str, since: dt.date | None = None) -> None:
        """Search with paperagent."""
        self.agent.search(query, since=since)

    def ask(self, query: str) -> None:
        """Answer with paperagent."""
        self.agent.ask(query, mode="extractive")

    def bare_search(self, query: str) -> Callable[[], None]:
        """Return the search with the bare engines; the query's words are analyzed beforehand."""
        return partial(self.bare.search, query, query_stems(query), DEPTH)

    def since(self, share: float) -> dt.date:
        """Return the first day of the newest ``share`` of the papers."""
        return self.days[int(len(self.days) * (1 - share))]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    measures = {"search": searches, "filters": filtered, "ask": asks, "recall": recall}
    return run(str(__doc__), measures, _open, argv)


def _open(args: argparse.Namespace) -> Bench:
    home = large_library(args.shared)
    agent = PaperAgent(home, mode="extractive")
    days = sorted(p.day for p in agent.papers() if p.day)
    return Bench(agent, home, _queries(args.shared, agent), days)


def _queries(shared: Path, agent: PaperAgent) -> list[str]:
    """Return distinct queries in random order: the development questions and garbled titles."""
    path = shared / "data/questions/dev.jsonl"
    rows = map(json.loads, path.read_text("utf-8").splitlines() if path.exists() else ())
    questions = [row["question"] for row in rows if not row.get("history")]
    rng = random.Random(5)  # noqa: S311 - the same queries in every run
    titles = rng.sample([p.title for p in agent.papers()], SEARCHES)
    queries = list(dict.fromkeys([*questions, *(garble(t, rng) for t in titles)]))[:SEARCHES]
    rng.shuffle(queries)
    return queries


def garble(title: str, rng: random.Random) -> str:
    """Return a title as a user remembers it: without some words and, one time in ten, without a letter."""
    words = [w for w in title.split() if rng.random() < 0.75] or title.split()
    if rng.random() < 0.1:
        longest = max(range(len(words)), key=lambda i: len(words[i]))
        cut = rng.randrange(1, max(2, len(words[longest])))
        words[longest] = words[longest][:cut] + words[longest][cut + 1 :]
    return " ".join(words)


def searches(bench: Bench) -> list[Figure]:
    """Compare a search with the bare engines."""
    ours: list[float] = []
    bare: list[float] = []
    for i, query in enumerate(bench.queries):
        if i % 2:
            ours.append(seconds(partial(bench.search, query)))
        bare.append(seconds(bench.bare_search(query)))
        if not i % 2:
            ours.append(seconds(partial(bench.search, query)))
    return [
        Figure("agent.search / bare engines", p50(ours) / p50(bare), "×", limit=1.5, note=_ms(ours, bare)),
        Figure("agent.search p50", 1000 * p50(ours), "ms"),
        Figure("agent.search p95", 1000 * p95(ours), "ms"),
        Figure("process memory", bench.memory[0], "MB", note=bench.memory[1]),
    ]


def filtered(bench: Bench) -> list[Figure]:
    """Compare searches with a date filter with the same searches without."""
    figures = []
    for share in SHARES:
        since = bench.since(share)
        first = seconds(partial(bench.search, bench.queries[0], since))
        inside: list[float] = []
        anywhere: list[float] = []
        # In groups of ten: neither kind pays for the busy threads and cold caches of the other.
        for queries in _tens(bench.queries[:FILTERED]):
            inside += [seconds(partial(bench.search, q, since)) for q in queries]
            anywhere += [seconds(partial(bench.search, q)) for q in queries]
        name = f"search in the newest {share:.0%} of the library / in all"
        note = f"{_ms(inside, anywhere)}; first search since {since} {1000 * first:.0f} ms"
        figures.append(Figure(name, p50(inside) / p50(anywhere), "×", limit=2.0, note=note))
    return figures


def asks(bench: Bench) -> list[Figure]:
    """Compare extractive answers with the bare engines and the model on the texts they embedded.

    The model runs in the fastest known way: each text alone, on all cores. One padded batch of the same
    texts takes several times as long; a few are timed for comparison.
    """
    from paperagent.embedding.minilm import available_cores

    ours, bare, batches, counts = list[float](), list[float](), list[float](), list[int]()
    outputs, threads = ("embedding", "tokens"), available_cores()
    bench.agent.close()  # drops the cache of papers
    bench.ask("warm again")
    for i, query in enumerate(bench.queries[-ASKS:]):
        with _record_texts() as texts:
            ours.append(seconds(partial(bench.ask, query)))
        embedded = [t for t in texts if t != query]
        counts.append(len(embedded))
        search = seconds(bench.bare_search(query))
        bare.append(search + seconds(partial(bench.bare.model.each, embedded, threads, outputs)))
        if i < BATCHES:
            batches.append(search + seconds(partial(bench.bare.model.batch, embedded, outputs)))
    ratio = p50(ours) / p50(bare)
    note = f"{_ms(ours, bare)}; with one padded batch {1000 * p50(batches):.0f} ms"
    return [
        Figure("agent.ask / bare engines and the texts it embeds", ratio, "×", limit=1.3, note=note),
        Figure("agent.ask p50", 1000 * p50(ours), "ms", note=f"{p50(counts):.0f} titles and sentences read"),
        Figure("agent.ask p95", 1000 * p95(ours), "ms"),
    ]


@contextmanager
def _record_texts() -> Iterator[list[str]]:
    """Collect the texts that the agent embeds."""
    from paperagent.embedding.minilm import MiniLM

    original, embedded = MiniLM.encode, list[str]()

    def encode(self: MiniLM, texts: Sequence[str]) -> list[Encoded]:
        embedded.extend(texts)
        return original(self, texts)

    MiniLM.encode = encode  # type: ignore[method-assign]  # restored below
    try:
        yield embedded
    finally:
        MiniLM.encode = original  # type: ignore[method-assign]


def recall(bench: Bench) -> list[Figure]:
    """Compare the nearest papers with those of an exact search, with and without date filters."""
    import numpy as np

    from paperagent.library import LocalStore

    figures: list[Figure] = []
    ids, matrix = bench.bare.vectors()
    day_of = {p.paper_id: p.day for p in bench.agent.papers()}
    days = np.array([day_of[i] or dt.date.min for i in ids])
    vectors = [bench.bare.model.one(q) for q in bench.queries[:RECALLS]]
    with LocalStore(bench.home) as store:
        for share in (1.0, *SHARES):
            since = None if share == 1.0 else bench.since(share)
            inside = days >= (since or dt.date.min)
            exact = [_exact(np.where(inside, matrix @ v, -2), ids) for v in vectors]
            filters = Filters(since=since)
            candidates = [store.candidates(stems=[], vector=v, limit=DEPTH, filters=filters) for v in vectors]
            figures += _recalls(share, exact, [{c.paper_id for c in each} for each in candidates])
    unfiltered, filtered_figures = figures[:2], figures[2:]
    floors = {_kind(f): f.value - 0.01 for f in unfiltered}
    return [*unfiltered, *(replace(f, limit=floors[_kind(f)], at_least=True) for f in filtered_figures)]


def _kind(figure: Figure) -> str:
    return figure.name.split(",", maxsplit=1)[0]


def _exact(cosines: NDArray[np.floating], ids: Sequence[str]) -> list[str]:
    return [ids[i] for i in cosines.argsort()[::-1][:DEPTH]]


def _recalls(share: float, exact: Sequence[Sequence[str]], candidates: Sequence[set[str]]) -> list[Figure]:
    """Return the shares of the 10 and of the 100 nearest papers among the 100 candidates."""
    figures = []
    for k in (10, DEPTH):
        each = [len(ids & set(e[:k])) / k for e, ids in zip(exact, candidates, strict=True)]
        name = f"{k} nearest found, newest {share:.0%} of the library"
        figures.append(Figure(name, sum(each) / len(each), "", note=f"worst query {min(each):.2f}"))
    return figures


def _tens(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[i : i + 10] for i in range(0, len(items), 10))


def _ms(ours: Sequence[float], other: Sequence[float]) -> str:
    return f"p50 {1000 * p50(ours):.1f} ms against {1000 * p50(other):.1f} ms"


def memory() -> tuple[float, str]:
    """Return the resident memory in MB with a remark; the peak where the system does not tell more."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "peak"
    fields = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
    size = {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")}
    return size["VmRSS"], f"resident; {size['RssAnon']:.0f} MB its own, the rest cached pages of files"


if __name__ == "__main__":
    sys.exit(main())
