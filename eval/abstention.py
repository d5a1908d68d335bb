"""Fit the abstention signal and print how well it separates.

    python eval/abstention.py --shared ../shared [--embed-limit 150]

Cases are the development questions: as they are, without their gold papers in the library (absent paper),
and without their evidence sentences in the abstract (absent fact). Further cases are queries of PubMedQA and
SciFact with and without the gold paper, in libraries of several sizes. For several sets of signals it prints
the AUROC of a logistic regression, cross-validated over questions.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from exact_library import ExactLibrary

from paperagent.answering import abstention
from paperagent.answering.pipeline import AnswerRequest, Pipeline
from paperagent.embedding.minilm import MiniLM, find_model_folder
from paperagent.feeds.reader import open_feed
from paperagent.retrieval.conversation import clean_history
from paperagent.types import Paper

NAMES = abstention.AnswerabilitySignals.__slots__


@dataclass(frozen=True)
class Case:
    """One example of the fit."""

    group: str
    origin: str
    answerable: bool
    signals: tuple[float, ...]


def signals_of(pipeline: Pipeline, request: AnswerRequest) -> tuple[float, ...]:
    """Return the signals of one question, in the order of `NAMES`."""
    retrieved = pipeline.retrieve(request)
    signals = abstention.answerability_signals(
        retrieved.question,
        pipeline.rerank(retrieved),
        indexes_agree=retrieved.indexes_agree,
        gap=retrieved.gap,
    )
    return tuple(signals.as_dict()[n] for n in NAMES)


def dev_cases(shared: Path, model: MiniLM | None) -> list[Case]:
    """Return the development questions as they are, without gold papers, and without evidence."""
    sources = sorted((shared / "seeds").glob("*.txt"))
    records = [r for s in sources for r in open_feed(s).records if isinstance(r, Paper)]
    papers = list({_key(p.title): p for p in records}.values())
    by_title = {_key(p.title): p for p in papers}
    library = ExactLibrary(papers, model)
    cases = []
    for line in (shared / "data/questions/dev.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        request = AnswerRequest(row["question"], clean_history(row.get("history"))[0])
        gold = [by_title[_key(t)] for t in row["gold_titles"]]
        tag = "as is" if gold else (row["tags"] or ["unanswerable"])[0]
        group = row["id"]
        cases.append(Case(group, tag, bool(gold), _signals(library, model, request)))
        if gold:
            reduced = library.without(*(p.paper_id for p in gold))
            cases.append(Case(group, "paper removed", False, _signals(reduced, model, request)))
        if len(gold) == 1:
            reduced = _without_evidence(library, gold[0], row["evidence"])
            cases.append(Case(group, "fact removed", False, _signals(reduced, model, request)))
    return cases


def _signals(library: ExactLibrary, model: MiniLM | None, request: AnswerRequest) -> tuple[float, ...]:
    return signals_of(Pipeline(library, encoder=model), request)


def _without_evidence(library: ExactLibrary, paper: Paper, evidence: Sequence[str]) -> ExactLibrary:
    from paperagent.text.sentences import split_sentences

    text = paper.abstract
    spans = [(text.find(e), text.find(e) + len(e)) for e in evidence if e in text]
    sentences = [
        s.text for s in split_sentences(text) if not any(s.start < b and a < s.end for a, b in spans)
    ]
    view = library.without()
    abstract = " ".join(sentences) or paper.title
    view.papers = {**library.papers, paper.paper_id: replace(paper, abstract=abstract)}
    return view


def public_cases(shared: Path, name: str, model: MiniLM | None, count: int) -> list[Case]:
    """Return queries of a public set with and without their gold paper, in libraries of several sizes."""
    folder = shared / "data/retrieval" / name
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    qrels_file = next(folder.glob("qrels*.tsv"))
    gold: dict[str, list[str]] = {}
    for line in qrels_file.read_text("utf-8").splitlines():
        query_id, paper_id, _ = line.split("\t")
        gold.setdefault(query_id, []).append(paper_id)
    queries = [json.loads(x) for x in next(folder.glob("queries*.jsonl")).read_text("utf-8").splitlines()]
    queries = [q for q in queries if len(gold.get(q["id"], ())) == 1]
    rng = random.Random(11)  # noqa: S311 - a seeded sample, not a secret
    chosen = rng.sample(queries, count)
    chosen_gold = {gold[q["id"]][0] for q in chosen}
    others = [r for r in rows if r["id"] not in chosen_gold]
    rows = [r for r in rows if r["id"] in chosen_gold] + rng.sample(others, min(len(others), 1000))
    library = ExactLibrary([Paper(r["id"], r["title"], r["abstract"]) for r in rows], model)
    ids = list(library.papers)
    cases = []
    for query in chosen:
        paper_id, request = gold[query["id"]][0], AnswerRequest(query["text"])
        size = rng.choice((100, 300, 1000))
        sublibrary = library.without(only={paper_id, *rng.sample(ids, min(size, len(ids)))})
        cases.append(Case(query["id"], name, True, _signals(sublibrary, model, request)))
        cases.append(Case(query["id"], name, False, _signals(sublibrary.without(paper_id), model, request)))
    return cases


def fit(x: np.ndarray, y: np.ndarray, weights: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Return [bias, coefficients…] of a ridge logistic regression, by Newton's method."""
    center, scale = x.mean(0), x.std(0) + 1e-9
    z = np.c_[np.ones(len(x)), (x - center) / scale]
    ridge = np.diag([0.0] + [penalty] * x.shape[1])
    theta = np.zeros(z.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ theta))
        gradient = z.T @ (weights * (p - y)) + ridge @ theta
        hessian = (z * (weights * p * (1 - p))[:, None]).T @ z + ridge
        theta -= np.linalg.solve(hessian, gradient)
    raw = theta[1:] / scale
    return np.r_[theta[0] - raw @ center, raw]


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the probability that a positive scores above a negative."""
    if not len(positive) or not len(negative):
        return float("nan")
    difference = positive[:, None] - negative[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


WEIGHTS = {"as is": 1.0, "paper removed": 0.5, "fact removed": 0.4, "pubmedqa": 0.25, "scifact": 0.25}
"""Weight of a case in the fit, by origin; 2 for questions that were written as unanswerable."""


def evaluate(cases: Sequence[Case], names: Sequence[str]) -> None:
    """Print cross-validated AUROC on the development questions and the fitted weights."""
    columns = [NAMES.index(n) for n in names]
    x = np.array([[c.signals[i] for i in columns] for c in cases])
    y = np.array([c.answerable for c in cases], float)
    w = np.array([WEIGHTS.get(c.origin, 2.0) for c in cases])
    groups = np.array([c.group for c in cases])
    written = np.array([c.origin not in WEIGHTS or c.origin == "as is" for c in cases])
    fold_aurocs, scores = [], np.zeros(len(cases))
    for repeat in range(5):
        unique = sorted(set(groups))
        random.Random(repeat).shuffle(unique)  # noqa: S311 - a seeded shuffle
        for fold in range(7):
            out = np.isin(groups, unique[fold::7])
            theta = fit(x[~out], y[~out], w[~out])
            scores[out] = theta[0] + x[out] @ theta[1:]
        fold_aurocs.append(auroc(scores[written & (y == 1)], scores[written & (y == 0)]))
    theta = fit(x, y, w)
    final = theta[0] + x @ theta[1:]
    parts = {"written": auroc(final[written & (y == 1)], final[written & (y == 0)])}
    for origin in sorted({c.origin for c in cases if not c.answerable}):
        negative = np.array([c.origin == origin and not c.answerable for c in cases])
        answered = origin if origin in ("pubmedqa", "scifact") else "as is"
        positive = np.array([c.answerable and c.origin == answered for c in cases])
        parts[origin] = auroc(final[positive], final[negative])
    print(
        f"\n{names}\n  cross-validated AUROC on the written questions {np.mean(fold_aurocs):.3f}; fitted:",
        end=" ",
    )
    print(" ".join(f"{k} {v:.3f}" for k, v in parts.items()))
    print(
        "  bias", round(theta[0], 3), {n: round(float(t), 3) for n, t in zip(names, theta[1:], strict=True)}
    )


def _key(title: str) -> str:
    return re.sub(r"\W+", "", title.casefold())


def main() -> int:
    """Collect the cases and print the fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--public", type=int, default=120, help="number of queries of each public set")
    parser.add_argument(
        "--words", action="store_true", help="without the embedding model, for keyword-only libraries"
    )
    args = parser.parse_args()
    import platformdirs

    folder = find_model_folder(None, platformdirs.user_cache_path("paperagent"))
    model = None if args.words or folder is None else MiniLM.load(folder)
    cases = dev_cases(args.shared, model)
    for name in ("pubmedqa", "scifact"):
        cases += public_cases(args.shared, name, model, args.public)
    for subset in (
        ("coverage", "gap") if args.words else ("similarity", "weakest", "number_fit", "agree", "gap"),
        ("coverage", "weakest", "number_fit", "gap")
        if args.words
        else ("similarity", "weakest", "number_fit", "agree"),
        ("similarity", "weakest", "number_fit", "agree", "coverage", "gap"),
    ):
        evaluate(cases, subset)
    return 0


if __name__ == "__main__":
    sys.exit(main())
