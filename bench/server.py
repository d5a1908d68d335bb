"""Compare a library on a Chroma server with the same one in a folder, on SciFact.

    python bench/server.py [--shared ../shared] [--url http://127.0.0.1:8000] [--json FILE]

Without ``--url`` it starts ``chroma run`` on this machine. The papers and vectors are those of the library
of ``eval/retrieval.py``. The same queries are ranked by the same scores, so that only the candidates
differ. Exit code 1 if the server's nDCG@10 is more than .01 below the folder's.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "eval"), str(HERE.parent / "tests/library")]

import chroma_server  # noqa: E402 - on the path added above

import retrieval  # noqa: E402 - likewise
from paperagent.library.features import embedded_text  # noqa: E402 - likewise
from paperagent.library.server import ServerAddress, ServerStore, search  # noqa: E402 - likewise

if TYPE_CHECKING:
    from paperagent.embedding.minilm import MiniLM
    from paperagent.library import LocalStore, Store
    from paperagent.types import Vector

MAX_LOSS = 0.01


class StoredEmbedder:
    """Returns the vectors that a library in a folder has stored, so that nothing is embedded twice."""

    def __init__(self, store: LocalStore, embedder: MiniLM) -> None:
        self.embedder_id, self.dim = embedder.embedder_id, embedder.dim
        active = store.table.vectors.active()
        assert active is not None
        number = active[0]
        papers = store.table.papers_by_row(store.table.ids())
        rows, vectors = store.table.vectors.load(number, self.dim, list(papers))
        self._vectors = {
            embedded_text(papers[int(row)]): vector for row, vector in zip(rows, vectors, strict=True)
        }

    def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Yield the vector of each text."""
        return (self._vectors[text] for text in texts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if the server's quality is too low."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--url", help="a running server")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    model = retrieval.load_model()
    folder = args.shared / "data/retrieval/scifact"
    if model is None or not folder.is_dir():
        print(f"server: skipped, no {'model' if model is None else f'test data at {args.shared}'}")
        return 0
    with _server(args.url) as (url, data), retrieval.library(folder, model) as local:
        figures = compare(url, local, model, folder, data)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    for name, value in figures.items():
        print(f"{name:28s} {value}")
    return int(figures["server nDCG@10"] < figures["folder nDCG@10"] - MAX_LOSS)


@contextmanager
def _server(url: str | None) -> Iterator[tuple[str, Path | None]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with nullcontext(url) if url else chroma_server.serving(data) as server_url:
            yield str(server_url), None if url else data


def compare(url: str, local: LocalStore, model: MiniLM, folder: Path, data: Path | None) -> dict[str, Any]:
    """Return the figures of both libraries."""
    figures: dict[str, Any] = {}
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    with ServerStore(ServerAddress.parse(url), home=Path(), prefix=prefix, create=True) as store:
        papers = list(local.papers())
        figures["papers"] = len(papers)
        figures["read, papers/s"] = _rate(
            len(papers), lambda: store.ingest(papers, today=dt.date(2026, 1, 1))
        )
        embedder = StoredEmbedder(local, model)
        figures["vectors, papers/s"] = _rate(len(papers), lambda: store.embed_pending(embedder))
        figures["read again, papers/s"] = _rate(
            len(papers), lambda: store.ingest(papers, today=dt.date(2026, 1, 1))
        )
        if data is not None:
            size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
            figures["bytes a paper on the server"] = round(size / len(papers))
        vectors = _queries(folder, model)
        for name, library in (("folder", local), ("server", store)):
            figures |= _quality(name, library, folder, vectors)
        search.RARE, rare = 0, search.RARE
        figures |= _quality("server, no rare words", store, folder, vectors)
        search.RARE = rare
        figures["doctor"] = store.doctor().ok
    return figures


def _rate(count: int, work: Any) -> int:
    start = time.perf_counter()
    work()
    return round(count / (time.perf_counter() - start))


class _CachedEncoder:
    """An encoder with cached queries, so that only the time of the store is measured."""

    def __init__(self, vectors: dict[str, Any]) -> None:
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """Return the cached encodings."""
        return [self._vectors[text] for text in texts]


def _queries(folder: Path, model: MiniLM) -> dict[str, Any]:
    rows = list(retrieval.rows(next(folder.glob("queries*.jsonl"))))
    return {row["text"]: model.encode([row["text"]])[0] for row in rows}


def _quality(name: str, store: Store, folder: Path, vectors: dict[str, Any]) -> dict[str, Any]:
    relevant = retrieval.judgements(folder)
    queries = [q for q in retrieval.rows(next(folder.glob("queries*.jsonl"))) if q["id"] in relevant]
    papers = store.get_many({p for ids in relevant.values() for p in ids})
    encoder: Any = _CachedEncoder(vectors)
    gains, recalls, times = [], [], []
    for query in queries:
        gold = {papers[i].paper_id for i in relevant[query["id"]]}
        start = time.perf_counter()
        ranking = retrieval.search(store, encoder, query["text"])  # type: ignore[arg-type]  # either store
        times.append((time.perf_counter() - start) * 1000)
        top = [r.paper_id for r in ranking[: retrieval.K]]
        gains.append(retrieval.ndcg(top, gold))
        recalls.append(retrieval.recall(top, gold))
    return {
        f"{name} nDCG@10": round(mean(gains), 4),
        f"{name} R@10": round(mean(recalls), 4),
        f"{name} p50, ms": round(median(times), 1),
        f"{name} p95, ms": round(quantiles(times, n=20)[-1], 1),
        f"{name} queries": len(times),
    }


if __name__ == "__main__":
    sys.exit(main())
