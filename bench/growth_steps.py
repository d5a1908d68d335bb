"""The steps of `growth.py`: ``growth_steps.py STEP LIBRARY FEED DAY SHARED``, each in its own process."""

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
"""How much of the library the date filters admit."""
CATEGORY = "cs.CL"
SEARCHES, FILTERED, ASKS, RECALLS, DEPTH = 200, 60, 40, 120, 100
BLOCK = 5_000
COPIES = 15
"""How often a real paper may occur: a million papers, and those that are added as a day."""


class Place:
    """Where a step works."""

    def __init__(self, home: Path, feed: Path, day: Path, shared: Path) -> None:
        self.home, self.feed, self.day, self.shared = home, feed, day, shared


def read(place: Place) -> Row:
    """Read the feed, by words."""
    with PaperAgent(place.home, embedder="none") as agent, _timed(IndexWriter, ("put", "commit")) as engine:
        reports: list[Any] = []
        took = seconds(lambda: reports.append(agent.ingest(place.feed, vectors=False)))
        report = reports[0]
    return {
        "papers": report.new,
        "library": report.papers,
        "seconds": took,
        "tantivy": sum(engine),
        "peak_mb": _peak(),
    }


def vectors(place: Place) -> Row:
    """Give the vector index what it lacks, from stored vectors."""
    with LocalStore(place.home) as store:
        return _index_vectors(place, store)


def _index_vectors(place: Place, store: LocalStore) -> Row:
    from chromadb.api.models.Collection import Collection

    corpus = Corpus(place.shared)
    with LocalStore(large_library(place.shared)) as large:
        given = corpus.give_vectors(store, large, COPIES)
    before = _peak()
    with _timed(Collection, ("add",)) as engine:
        took = seconds(partial(store.embed_pending, Held(store)))
    return {
        "papers": given,
        "seconds": took,
        "chroma": sum(engine),
        "peak_mb": _peak(),
        "peak_before_mb": before,
    }


class Held:
    """Stands for the embedder whose vectors are stored."""

    def __init__(self, store: LocalStore) -> None:
        active = store.table.vectors.active()
        assert active is not None
        _, self.embedder_id, self.dim = active

    def embed(self, texts: Sequence[str]) -> Iterator[Any]:
        """Embed nothing: every vector is stored."""
        raise AssertionError(f"{len(texts)} texts lack a vector")


def queries(place: Place) -> Row:
    """Search and answer in an open process, beside the bare engines on the same files."""
    from bare import BareParts

    from paperagent.retrieval.scoring import query_stems

    asked = _queries(place.shared)
    _cache(place.home)
    found: Row = {"load_before": os.getloadavg()[0]}
    with PaperAgent(place.home, mode="extractive") as agent:
        found["first_search_s"] = seconds(partial(agent.search, asked[0]))
        for query in asked[:20]:
            agent.search(query)
        agent.ask(asked[0])
        found["memory_mb"], found["own_memory_mb"] = _resident()
        bare = BareParts(place.home)
        ours: list[float] = []
        alone: list[float] = []
        for i, query in enumerate(asked):
            stems = query_stems(query)
            if i % 2:
                ours.append(seconds(partial(agent.search, query)))
            alone.append(seconds(partial(bare.search, query, stems, DEPTH)))
            if not i % 2:
                ours.append(seconds(partial(agent.search, query)))
        found["search_ms"], found["bare_ms"] = _spread(ours), _spread(alone)
        found["ratio"] = p50(ours) / p50(alone)
        found["filtered"] = {
            name: _filtered(agent, asked[:FILTERED], filters)
            for name, filters in _filters(place.home).items()
        }
        agent.ask("what was asked before")
        found["ask_ms"] = _spread([seconds(partial(agent.ask, query)) for query in asked[-ASKS:]])
        found["memory_after_mb"], found["own_memory_after_mb"] = _resident()
    return found


def _cache(home: Path) -> None:
    """Read every file once, so that the system has it cached."""
    for file in home.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                while opened.read(2**24):
                    pass


def _filtered(agent: PaperAgent, asked: Sequence[str], filters: Filters) -> Row:
    search = partial(agent.search, since=filters.since, category=filters.category)
    first = seconds(partial(search, asked[0]))
    times = [seconds(partial(search, query)) for query in asked]
    return {"first_ms": 1000 * first, **_spread(times)}


def recall(place: Place) -> Row:
    """Compare what the vector index nominates with an exact comparison of all stored vectors."""
    import numpy as np
    from bare import BareModel

    model = BareModel()
    asked = np.stack([model.one(query) for query in _queries(place.shared)[:RECALLS]])
    found: Row = {}
    with LocalStore(place.home) as store:
        rows, scores = _scores(store, asked)
        ids = store.table.ids()
        days = dict(_days(store))
        day = np.array([days[int(row)] for row in rows])
        for name, filters in {"everything": Filters(), **_filters(place.home)}.items():
            if filters.category:
                inside = np.isin(rows, store.indexes.lexical().matching(filters))
            else:
                inside = day >= (int(filters.since.strftime("%Y%m%d")) if filters.since else 0)
            each = [
                _share(store, vector, filters, rows[inside], score[inside], ids)
                for vector, score in zip(asked, scores, strict=True)
            ]
            found[name] = {
                "papers": int(inside.sum()),
                "recall@10": sum(a for a, _ in each) / len(each),
                "recall@100": sum(b for _, b in each) / len(each),
                "worst@10": min(a for a, _ in each),
            }
    return found


def _share(
    store: LocalStore,
    vector: NDArray[np.float32],
    filters: Filters,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    ids: dict[int, str],
) -> tuple[float, float]:
    """Return which part of the 10 and of the 100 nearest papers a search by vector finds."""
    best = (-scores).argpartition(DEPTH)[:DEPTH]
    exact = [ids[int(row)] for row in rows[best[(-scores[best]).argsort()]]]
    held = {c.paper_id for c in store.candidates(stems=[], vector=vector, limit=DEPTH, filters=filters)}
    return len(held & set(exact[:10])) / len(exact[:10]), len(held & set(exact)) / len(exact)


def _scores(store: LocalStore, asked: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows [n] and the cosines [queries, n] of every stored vector."""
    import numpy as np

    active = store.table.vectors.active()
    assert active is not None
    number, _, dim = active
    rows, scores = [], []
    everything = sorted(store.table.ids())
    for start in range(0, len(everything), BLOCK):
        block, matrix = store.table.vectors.load(number, dim, everything[start : start + BLOCK])
        rows.append(block)
        scores.append(asked @ matrix.T)
    return np.concatenate(rows), np.concatenate(scores, axis=1)


def _days(store: LocalStore) -> list[tuple[int, int]]:
    """Return row and day (yyyymmdd) of every paper, earliest first."""
    with store.table.db.reading() as connection:
        return connection.execute("SELECT row, coalesce(day, 0) FROM facts ORDER BY day").fetchall()


def cold(place: Place) -> Row:
    """Run whole processes, as a person does."""
    question = _queries(place.shared)[0]
    commands = {
        "ask": ["ask", question],
        "search": ["search", question],
        "search by words": ["search", question],
        "status": ["status"],
    }
    environment = {**os.environ, "PAPERAGENT_HOME": str(place.home), "PAPERAGENT_MODE": "extractive"}
    found: Row = {}
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
        found[name] = p50([seconds(run) for _ in range(4)][1:])
    return found


def again(place: Place) -> Row:
    """Read the real abstracts again: all of them are held."""
    with PaperAgent(place.home, embedder="none") as agent:
        reports: list[Any] = []
        took = seconds(lambda: reports.append(agent.ingest(abstracts(place.shared), vectors=False)))
        return {"papers": reports[0].read, "new": reports[0].new, "seconds": took, "peak_mb": _peak()}


def doctor(place: Place) -> Row:
    """Examine everything."""
    with LocalStore(place.home) as store:
        found: list[Any] = []
        took = seconds(lambda: found.append(store.doctor()))
        return {
            "seconds": took,
            "ok": found[0].ok,
            "peak_mb": _peak(),
            "failed": [f"{check.name}: {check.detail}" for check in found[0].checks if not check.ok],
        }


def disk(place: Place) -> Row:
    """Weigh the files."""
    parts = {"library": "library.db*", "lexical": "lexical/*", "vectors": "vectors/**/*"}
    return {
        name: sum(file.stat().st_size for file in place.home.glob(pattern) if file.is_file()) / 1e6
        for name, pattern in parts.items()
    }


def add(place: Place) -> Row:
    """Add a day of papers: by words in an open process, then their vectors."""
    with PaperAgent(place.home, embedder="none") as agent:
        agent.search("warm")
        reports: list[Any] = []
        words = seconds(lambda: reports.append(agent.ingest(place.day, vectors=False)))
        peak = _peak()
    with LocalStore(place.home) as store:
        indexed = _index_vectors(place, store)
    return {
        "papers": reports[0].new,
        "words_s": words,
        "words_peak_mb": peak,
        "vectors_s": indexed["seconds"],
        "chroma_s": indexed["chroma"],
    }


def reindex(place: Place) -> Row:
    """Build the word index anew."""
    with LocalStore(place.home) as store, _timed(IndexWriter, ("put", "commit")) as engine:
        took = seconds(partial(store.reindex, vectors=False))
    return {"seconds": took, "tantivy": sum(engine), "peak_mb": _peak()}


STEPS: dict[str, Callable[[Place], Row]] = {
    step.__name__: step for step in (read, vectors, queries, recall, cold, again, disk, doctor, reindex, add)
}


def _queries(shared: Path) -> list[str]:
    """Return the same queries for every size: development questions and mangled titles of real papers."""
    from warm import mangled

    path = shared / "data/questions/dev.jsonl"
    rows = map(json.loads, path.read_text("utf-8").splitlines() if path.exists() else ())
    questions = [row["question"] for row in rows if not row.get("history")]
    with lzma.open(abstracts(shared), "rt", encoding="utf-8") as lines:
        titles = [json.loads(line)["title"] for line in lines]
    dice = random.Random(5)  # noqa: S311 - the same queries in every run
    found = list(dict.fromkeys([*questions, *(mangled(t, dice) for t in dice.sample(titles, SEARCHES))]))
    dice.shuffle(found)
    return found[:SEARCHES]


def _filters(home: Path) -> dict[str, Filters]:
    with LocalStore(home) as store:
        days = [day for _, day in _days(store)]
    found = {f"newest {share:.0%}": Filters(since=_date(days, share)) for share in SHARES}
    return {**found, CATEGORY: Filters(category=CATEGORY)}


def _date(days: Sequence[int], share: float) -> dt.date:
    return dt.date.fromisoformat(str(days[int(len(days) * (1 - share))]))


@contextmanager
def _timed(owner: type, names: Sequence[str]) -> Iterator[list[float]]:
    """Collect the seconds that methods of an engine take: what is left is ours."""
    taken: list[float] = []
    original = {name: getattr(owner, name) for name in names}

    def timed(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result: list[Any] = []
            taken.append(seconds(lambda: result.append(original[name](*args, **options))))
            return result[0]

        return call

    for name in names:
        setattr(owner, name, timed(name))
    try:
        yield taken
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
    """Return MB resident, and what of it is no page of a file."""
    status = _status()
    return status["VmRSS"], status["RssAnon"]


if __name__ == "__main__":
    step, *paths = sys.argv[1:]
    print(json.dumps(STEPS[step](Place(*map(Path, paths)))))
