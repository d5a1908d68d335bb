"""Measure retrieval on two public sets: by keywords, by vectors, and by both.

    python eval/retrieval.py [--shared ../shared] [--only scifact|pubmedqa] [--json FILE]

Each set is read into its own library in ``bench/.cache`` (minutes the first time) and searched as
`paperagent search` does. The three rankings are of the same candidates: by BM25, by cosine, and by both.
Exit code 1 if the fused ranking is not at least .03 nDCG@10 above the better single one on SciFact.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import json
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from paperagent import Paper
from paperagent.retrieval import scoring
from paperagent.text.terms import index_terms

if TYPE_CHECKING:
    from paperagent.embedding.minilm import MiniLM
    from paperagent.library import LocalStore

CACHE = Path(__file__).resolve().parents[1] / "bench/.cache"
SETS = ("scifact", "pubmedqa")
RANKINGS = ("lexical", "vector", "fused")
K = 10
MIN_GAIN = 0.03
"""Minimum gain in nDCG@10 of fusing over the better single ranking on SciFact."""


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate and print the table; return 1 if fusing gains too little."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--only", choices=SETS, action="append")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    model = load_model()
    if model is None or not (args.shared / "data/retrieval").is_dir():
        print(f"retrieval: skipped, no {'model' if model is None else 'test data at ' + str(args.shared)}")
        return 0
    figures = {name: evaluate(args.shared / "data/retrieval" / name, model) for name in args.only or SETS}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return report(figures)


def load_model() -> MiniLM | None:
    """Return the embedding model that paperagent would use."""
    from paperagent import config
    from paperagent.embedding.minilm import MiniLM, find_model_folder

    settings = config.load()
    folder = find_model_folder(settings.model_dir, settings.cache_dir)
    return MiniLM.load(folder) if folder else None


def evaluate(folder: Path, model: MiniLM) -> dict[str, Any]:
    """Return the number of queries, and nDCG@10 and R@10 of each ranking."""
    relevant = judgements(folder)
    queries = [q for q in rows(next(folder.glob("queries*.jsonl"))) if q["id"] in relevant]
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in RANKINGS}
    with library(folder, model) as store:
        papers_by_id = store.get_many({p for ids in relevant.values() for p in ids})
        for query in queries:
            gold = {papers_by_id[i].paper_id for i in relevant[query["id"]]}
            candidates = search(store, model, query["text"])
            for name in RANKINGS:
                top = [r.paper_id for r in ranked(candidates, name)[:K]]
                scores[name].append((ndcg(top, gold), recall(top, gold)))
        papers = store.count()
    figures = {
        name: {f"ndcg@{K}": mean(n for n, _ in pairs), f"recall@{K}": mean(r for _, r in pairs)}
        for name, pairs in scores.items()
    }
    return {"queries": len(queries), "papers": papers, **figures}


def search(store: LocalStore, model: MiniLM, text: str) -> list[scoring.RankedCandidate]:
    """Return the candidates of both indexes for a query with their scores, as `Pipeline.search` does."""
    vector = model.encode([text])[0].vector
    query = scoring.build_query(index_terms(text), store, vector=vector)
    candidates = store.candidates(stems=query.stems, vector=vector, limit=scoring.MIN_CANDIDATES)
    return scoring.rank(candidates, query)


def library(folder: Path, model: MiniLM) -> LocalStore:
    """Return a library of a set's papers; complete it first if necessary."""
    from paperagent.library import LocalStore

    home = CACHE / f"retrieval-{folder.name}"
    home.mkdir(parents=True, exist_ok=True)
    store = LocalStore(home, create=True)
    store.ingest(map(_paper, rows(folder / "corpus.jsonl.gz")), today=dt.date(2026, 1, 1))
    store.embed_pending(model, progress=_progress)
    return store


def _paper(row: dict[str, Any]) -> Paper:
    # PubMedQA's abstracts have no titles, which the library requires; a dash has no terms.
    return Paper(row["id"], row["title"] or "-", row["abstract"])


def _progress(stage: str, done: int, total: int | None) -> None:
    if stage == "embed" and done % 500 == 0:
        print(f"  {done:,} of {total or 0:,} embedded", file=sys.stderr)


def judgements(folder: Path) -> dict[str, list[str]]:
    """Return the relevant papers of each query."""
    relevant: dict[str, list[str]] = {}
    for line in next(folder.glob("qrels*.tsv")).read_text("utf-8").splitlines():
        query, paper, _ = line.split("\t")
        relevant.setdefault(query, []).append(paper)
    return relevant


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSONL file, compressed or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open() as file:
        yield from map(json.loads, file)


def ranked(candidates: Sequence[scoring.RankedCandidate], name: str) -> list[scoring.RankedCandidate]:
    """Return the candidates by one of their scores, best first."""
    score = {
        "lexical": lambda r: r.lexical,
        "vector": lambda r: -1.0 if r.vector is None else r.vector,
        "fused": lambda r: r.score,
    }[name]
    return sorted(candidates, key=score, reverse=True)


def ndcg(top: Sequence[str], gold: Collection[str]) -> float:
    """Return nDCG of a ranking with binary relevance."""
    gain = sum(1 / math.log2(rank + 2) for rank, paper in enumerate(top) if paper in gold)
    best = sum(1 / math.log2(rank + 2) for rank in range(min(K, len(gold))))
    return gain / best


def recall(top: Sequence[str], gold: Collection[str]) -> float:
    """Return the share of the relevant papers that are in the ranking."""
    return len(set(top) & set(gold)) / len(gold)


def report(figures: dict[str, Any]) -> int:
    """Print the table; return 1 if fusing gains too little."""
    print(f"{'set':10s} papers queries " + " ".join(f"{name:>16s}" for name in RANKINGS))
    for name, row in figures.items():
        pairs = [(row[n][f"ndcg@{K}"], row[n][f"recall@{K}"]) for n in RANKINGS]
        cells = " ".join(f"{n:8.3f} ({r:.3f})" for n, r in pairs)
        print(f"{name:10s} {row['papers']:6,d} {row['queries']:7,d} {cells}   nDCG@{K} (R@{K})")
    if "scifact" not in figures:
        return 0
    value = {n: figures["scifact"][n][f"ndcg@{K}"] for n in RANKINGS}
    gain = value["fused"] - max(value["lexical"], value["vector"])
    verdict = "PASS" if gain >= MIN_GAIN else "FAIL"
    print(f"fused over the better single one on SciFact: {gain:+.3f}, limit +{MIN_GAIN} {verdict}")
    return int(gain < MIN_GAIN)


if __name__ == "__main__":
    sys.exit(main())
