"""The steps of `growth.py`, each run in its own process: ``growth_steps.py STEP LIBRARY FEED DAY SHARED``."""

from __future__ import annotations

import datetime as dt
import json
import lzma
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus import Corpus
from figures import p50, p95, seconds

from library import abstracts, large_library
from paperagent import Filters, PaperAgent
from paperagent.library import LocalStore
from paperagent.library.local.bm25_index import IndexWriter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Row = dict[str, Any]
SHARES = (0.02, 0.1, 0.3, 0.5, 0.9)
"""Shares of the library that match the date filters."""
CATEGORY = "cs.CL"
SEARCHES, FILTERED, ASKS, RECALLS, DEPTH = 200, 60, 40, 120, 100
BLOCK = 5_000
COPIES = 15
"""Copies of each real paper: enough for a million papers and the days that are added."""


class StepPaths:
    """The files that a step works on."""

    def __init__(self, home: Path, feed: Path, day: Path, shared: Path) -> None:
        self.home, self.feed, self.day, self.shared = home, feed, day, shared


def read(paths: StepPaths) -> Row:
    """Read the feed without vectors."""
    with PaperAgent(paths.home, embedder="none") as agent, _timed(IndexWriter, ("put", "commit")) as engine:
        reports: list[Any] = []
        duration = seconds(lambda: reports.append(agent.ingest(paths.feed, vectors=False)))
        report = reports[0]
    return {
        "papers": report.new,
        "library": report.papers,
        "seconds": duration,
        "tantivy": sum(engine),
        "peak_mb": _peak(),
    }


def vectors(paths: StepPaths) -> Row:
    """Add stored vectors to the vector index."""
    with LocalStore(paths.home) as store:
        return _index_vectors(paths, store)


def _index_vectors(paths: StepPaths, store: LocalStore) -> Row:
    from chromadb.api.models.Collection import Collection

    corpus = Corpus(paths.shared)
    with LocalStore(large_library(paths.shared)) as large:
        added = corpus.add_vectors(store, large, COPIES)
    before = _peak()
    with _timed(Collection, ("add",)) as engine:
        duration = seconds(partial(store.embed_pending, StoredEmbedder(store)))
    return {
        "papers": added,
        "seconds": duration,
        "chroma": sum(engine),
        "peak_mb": _peak(),
        "peak_before_mb": before,
    }


class StoredEmbedder:
    """Stands in for the embedder whose vectors are stored."""

    def __init__(self, store: LocalStore) -> None:
        active = store.table.vectors.active()
        assert active is not None
        _, self.embedder_id, self.dim = active

    def embed(self, texts: Sequence[str]) -> Iterator[Any]:
        """Fail: every vector should be stored."""
        raise AssertionError(f"{len(texts)} texts lack a vector")


def queries(paths: StepPaths) -> Row:
    """Search and answer in an open process, alternating with the bare engines on the same files."""
    from bare import BareParts

    from paperagent.retrieval.scoring import query_stems

    queries = _queries(paths.shared)
    _cache(paths.home)
    row: Row = {"load_before": os.getloadavg()[0]}
    with PaperAgent(paths.home, mode="extractive") as agent:
        row["first_search_s"] = seconds(partial(agent.search, queries[0]))
        for query in queries[:20]:
            agent.search(query)
        agent.ask(queries[0])
        row["memory_mb"], row["own_memory_mb"] = _resident()
        bare = BareParts(paths.home)
        ours: list[float] = []
        alone: list[float] = []
        for i, query in enumerate(queries):
            stems = query_stems(query)
            if i % 2:
                ours.append(seconds(partial(agent.search, query)))
            alone.append(seconds(partial(bare.search, query, stems, DEPTH)))
            if not i % 2:
                ours.append(seconds(partial(agent.search, query)))
        row["search_ms"], row["bare_ms"] = _spread(ours), _spread(alone)
        row["ratio"] = p50(ours) / p50(alone)
        row["filtered"] = {
            name: _filtered(agent, queries[:FILTERED], filters)
            for name, filters in _filters(paths.home).items()
        }
        agent.ask("what was asked before")
        row["ask_ms"] = _spread([seconds(partial(agent.ask, query)) for query in queries[-ASKS:]])
        row["memory_after_mb"], row["own_memory_after_mb"] = _resident()
    return row


def _cache(home: Path) -> None:
    """Read every file once, so that it is in the system's cache."""
    for file in home.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                while opened.read(2**24):
                    pass


def _filtered(agent: PaperAgent, queries: Sequence[str], filters: Filters) -> Row:
    search = partial(agent.search, since=filters.since, category=filters.category)
    first = seconds(partial(search, queries[0]))
    times = [seconds(partial(search, query)) for query in queries]
    return {"first_ms": 1000 * first, **_spread(times)}


def recall(paths: StepPaths) -> Row:
    """Compare the candidates of the vector index with an exact search of all stored vectors."""
    import numpy as np
    from bare import BareModel

    model = BareModel()
    vectors = np.stack([model.one(query) for query in _queries(paths.shared)[:RECALLS]])
    figures: Row = {}
    with LocalStore(paths.home) as store:
        rows, scores = _scores(store, vectors)
        ids = store.table.ids()
        days = dict(_days(store))
        day = np.array([days[int(row)] for row in rows])
        for name, filters in {"everything": Filters(), **_filters(paths.home)}.items():
            if filters.category:
                inside = np.isin(rows, store.indexes.lexical().matching(filters))
            else:
                inside = day >= (int(filters.since.strftime("%Y%m%d")) if filters.since else 0)
            each = [
                _share(store, vector, filters, rows[inside], score[inside], ids)
                for vector, score in zip(vectors, scores, strict=True)
            ]
            figures[name] = {
                "papers": int(inside.sum()),
                "recall@10": sum(a for a, _ in each) / len(each),
                "recall@100": sum(b for _, b in each) / len(each),
                "worst@10": min(a for a, _ in each),
            }
    return figures


def _share(
    store: LocalStore,
    vector: NDArray[np.float32],
    filters: Filters,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    ids: dict[int, str],
) -> tuple[float, float]:
    """Return the shares of the 10 and of the 100 nearest papers that a vector search finds."""
    best = (-scores).argpartition(DEPTH)[:DEPTH]
    exact = [ids[int(row)] for row in rows[best[(-scores[best]).argsort()]]]
    candidate_ids = {
        c.paper_id for c in store.candidates(stems=[], vector=vector, limit=DEPTH, filters=filters)
    }
    return len(candidate_ids & set(exact[:10])) / len(exact[:10]), len(candidate_ids & set(exact)) / len(
        exact
    )


def _scores(store: LocalStore, queries: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows [n] and cosines [queries, n] of every stored vector."""
    import numpy as np

    active = store.table.vectors.active()
    assert active is not None
    number, _, dim = active
    rows, scores = [], []
    everything = sorted(store.table.ids())
    for start in range(0, len(everything), BLOCK):
        block, matrix = store.table.vectors.load(number, dim, everything[start : start + BLOCK])
        rows.append(block)
        scores.append(queries @ matrix.T)
    return np.concatenate(rows), np.concatenate(scores, axis=1)


def _days(store: LocalStore) -> list[tuple[int, int]]:
    """Return row and day (yyyymmdd) of every paper, earliest first."""
    with store.table.db.reading() as connection:
        return connection.execute("SELECT row, coalesce(day, 0) FROM facts ORDER BY day").fetchall()


def cold(paths: StepPaths) -> Row:
    """Time whole processes, as a user runs them."""
    question = _queries(paths.shared)[0]
    commands = {
        "ask": ["ask", question],
        "search": ["search", question],
        "search by words": ["search", question],
        "status": ["status"],
    }
    environment = {**os.environ, "PAPERAGENT_HOME": str(paths.home), "PAPERAGENT_MODE": "extractive"}
    figures: Row = {}
    for name, arguments in commands.items():
        env = {**environment, "PAPERAGENT_EMBEDDER": "none"} if name.endswith("words") else environment
        run = partial(
            subprocess.run,
            [str(Path(sys.executable).with_name("paperagent")), *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        figures[name] = p50([seconds(run) for _ in range(4)][1:])
    return figures


def again(paths: StepPaths) -> Row:
    """Read the real abstracts again, all of which are in the library."""
    with PaperAgent(paths.home, embedder="none") as agent:
        reports: list[Any] = []
        duration = seconds(lambda: reports.append(agent.ingest(abstracts(paths.shared), vectors=False)))
        return {"papers": reports[0].read, "new": reports[0].new, "seconds": duration, "peak_mb": _peak()}


def doctor(paths: StepPaths) -> Row:
    """Check the library and its indexes."""
    with LocalStore(paths.home) as store:
        results: list[Any] = []
        duration = seconds(lambda: results.append(store.doctor()))
        return {
            "seconds": duration,
            "ok": results[0].ok,
            "peak_mb": _peak(),
            "failed": [f"{check.name}: {check.detail}" for check in results[0].checks if not check.ok],
        }


def disk(paths: StepPaths) -> Row:
    """Measure the sizes of the files."""
    parts = {"library": "library.db*", "lexical": "lexical/*", "vectors": "vectors/**/*"}
    return {
        name: sum(file.stat().st_size for file in paths.home.glob(pattern) if file.is_file()) / 1e6
        for name, pattern in parts.items()
    }


def add(paths: StepPaths) -> Row:
    """Add a day of papers: first the papers in an open process, then their vectors."""
    with PaperAgent(paths.home, embedder="none") as agent:
        agent.search("warm")
        reports: list[Any] = []
        words = seconds(lambda: reports.append(agent.ingest(paths.day, vectors=False)))
        peak = _peak()
    with LocalStore(paths.home) as store:
        indexed = _index_vectors(paths, store)
    return {
        "papers": reports[0].new,
        "words_s": words,
        "words_peak_mb": peak,
        "vectors_s": indexed["seconds"],
        "chroma_s": indexed["chroma"],
    }


def reindex(paths: StepPaths) -> Row:
    """Rebuild the keyword index."""
    with LocalStore(paths.home) as store, _timed(IndexWriter, ("put", "commit")) as engine:
        duration = seconds(partial(store.reindex, vectors=False))
    return {"seconds": duration, "tantivy": sum(engine), "peak_mb": _peak()}


STEPS: dict[str, Callable[[StepPaths], Row]] = {
    step.__name__: step for step in (read, vectors, queries, recall, cold, again, disk, doctor, reindex, add)
}


def _queries(shared: Path) -> list[str]:
    """Return the same queries for every size: development questions and garbled titles of real papers."""
    from warm import garble

    path = shared / "data/questions/dev.jsonl"
    rows = map(json.loads, path.read_text("utf-8").splitlines() if path.exists() else ())
    questions = [row["question"] for row in rows if not row.get("history")]
    with lzma.open(abstracts(shared), "rt", encoding="utf-8") as lines:
        titles = [json.loads(line)["title"] for line in lines]
    dice = random.Random(5)  # noqa: S311 - reproducible, not a secret
    queries = list(dict.fromkeys([*questions, *(garble(t, dice) for t in dice.sample(titles, SEARCHES))]))
    dice.shuffle(queries)
    return queries[:SEARCHES]


def _filters(home: Path) -> dict[str, Filters]:
    with LocalStore(home) as store:
        days = [day for _, day in _days(store)]
    filters = {f"newest {share:.0%}": Filters(since=_date(days, share)) for share in SHARES}
    return {**filters, CATEGORY: Filters(category=CATEGORY)}


def _date(days: Sequence[int], share: float) -> dt.date:
    return dt.date.fromisoformat(str(days[int(len(days) * (1 - share))]))


@contextmanager
def _timed(owner: type, names: Sequence[str]) -> Iterator[list[float]]:
    """Collect the seconds that methods of an engine take; the remaining time is ours."""
    durations: list[float] = []
    original = {name: getattr(owner, name) for name in names}

    def timed(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result: list[Any] = []
            durations.append(seconds(lambda: result.append(original[name](*args, **options))))
            return result[0]

        return call

    for name in names:
        setattr(owner, name, timed(name))
    try:
        yield durations
    finally:
        for name in names:
            setattr(owner, name, original[name])


def _spread(times: Sequence[float]) -> dict[str, float]:
    return {"p50": 1000 * p50(times), "p95": 1000 * p95(times)}


def _status() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {
        name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM", "RssAnon") if name in fields
    }


def _peak() -> float:
    return _status()["VmHWM"]


def _resident() -> tuple[float, float]:
    """Return the resident memory in MB, and the part of it that is not cached files."""
    status = _status()
    return status["VmRSS"], status["RssAnon"]


if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    print(json.dumps(STEPS[step](StepPaths(*map(Path, arguments)))))
