"""Fit the abstention signal and print how well it separates.

    python eval/abstention.py --shared ../shared [--public 120] [--words]

Cases are the development questions and our own (`cases/answerability.jsonl`): as they are, without their gold
papers in the library (paper removed), and without their evidence sentences (fact removed). Further cases are
queries of PubMedQA and SciFact with and without the gold paper, in libraries of several sizes; they only
measure. For several sets of signals it prints the AUROC of a logistic regression by nested cross-validation
over questions: the inner loop chooses the penalty. Our held-back questions are in no fit.
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
from paperagent.evals.cases import load
from paperagent.feeds.reader import open_feed
from paperagent.retrieval.conversation import clean_history
from paperagent.types import Encoded, Paper

NAMES = abstention.AnswerabilitySignals.__slots__


@dataclass(frozen=True)
class Case:
    """One example of the fit."""

    group: str
    origin: str
    answerable: bool
    signals: tuple[float, ...]
    split: str = "development questions"


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


def dev_cases(shared: Path, model: MiniLM | CachingEncoder | None) -> list[Case]:
    """Return the development questions as they are, without gold papers, and without evidence."""
    papers = seed_papers(shared)
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


def _signals(
    library: ExactLibrary, model: MiniLM | CachingEncoder | None, request: AnswerRequest
) -> tuple[float, ...]:
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


def public_cases(shared: Path, name: str, model: MiniLM | CachingEncoder | None, count: int) -> list[Case]:
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


HELD_BACK = "held-back"
OWN_CASES = Path(__file__).parent / "cases/answerability.jsonl"
PENALTIES = (0.3, 1.0, 3.0, 10.0)
FOLDS, REPEATS = 7, 3
PUBLIC = ("pubmedqa", "scifact")


def own_cases(shared: Path, model: MiniLM | CachingEncoder | None) -> list[Case]:
    """Return our questions as they are, and the answerable ones without their gold papers."""
    library = ExactLibrary(seed_papers(shared), model)
    cases = []
    for case in load(OWN_CASES):
        request, split = AnswerRequest(case.question), case.tags[0]
        kind = "as is" if case.answerable else case.tags[1]
        signals = _signals(library, model, request)
        cases.append(Case(case.id, kind, case.answerable, signals, split))
        if case.answerable:
            signals = _signals(library.without(*case.gold_ids), model, request)
            cases.append(Case(case.id, "paper removed", False, signals, split))
    return cases


def seed_papers(shared: Path) -> list[Paper]:
    """Return the papers of the saved pages, each once."""
    sources = sorted((shared / "seeds").glob("*.txt"))
    records = [r for s in sources for r in open_feed(s).records if isinstance(r, Paper)]
    return list({_key(p.title): p for p in records}.values())


class CachingEncoder:
    """Encodes each text once."""

    def __init__(self, model: MiniLM) -> None:
        self.model = model
        self.embed = model.embed
        self.cache: dict[str, Encoded] = {}

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return the vector and token states of each text."""
        missing = [t for t in dict.fromkeys(texts) if t not in self.cache]
        self.cache.update(zip(missing, self.model.encode(missing) if missing else (), strict=True))
        return [self.cache[t] for t in texts]


@dataclass(frozen=True)
class Table:
    """The cases as arrays, for one set of signals."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    written: np.ndarray
    """Which cases are questions as they were written, of the development set or our own."""
    tuning: np.ndarray
    """Which cases may be fitted."""

    @classmethod
    def of(cls, cases: Sequence[Case], names: Sequence[str]) -> Table:
        """Return the table of the cases."""
        columns = [NAMES.index(n) for n in names]
        removed = np.array([c.origin.endswith("removed") for c in cases])
        public = np.array([c.origin in PUBLIC for c in cases])
        y = np.array([c.answerable for c in cases], float)
        return cls(
            np.array([[c.signals[i] for i in columns] for c in cases]),
            y,
            np.where(removed, 0.4, np.where(y == 0, 1.5, 1.0)),
            np.array([c.group for c in cases]),
            ~removed & ~public,
            ~public & np.array([c.split != HELD_BACK for c in cases]),
        )

    def scores(self, train: np.ndarray, penalty: float) -> np.ndarray:
        """Return the score of every case by a fit on some of them."""
        theta = fit(self.x[train], self.y[train], self.weights[train], penalty)
        return theta[0] + self.x @ theta[1:]

    def separation(self, scores: np.ndarray, chosen: np.ndarray) -> float:
        """Return the AUROC of scores on the chosen cases."""
        return auroc(scores[chosen & (self.y == 1)], scores[chosen & (self.y == 0)])

    def folds(self, chosen: np.ndarray, seed: int) -> list[np.ndarray]:
        """Return which of the chosen cases belong to each fold; all cases of a question to the same."""
        unique = sorted(set(self.groups[chosen]))
        random.Random(seed).shuffle(unique)  # noqa: S311 - a seeded shuffle
        return [chosen & np.isin(self.groups, unique[fold::FOLDS]) for fold in range(FOLDS)]

    def cross_validate(self, chosen: np.ndarray, penalty: float, seed: int) -> np.ndarray:
        """Return the score of each chosen case by a fit on the other folds."""
        scores = np.zeros(len(self.y))
        for test in self.folds(chosen, seed):
            scores[test] = self.scores(chosen & ~test, penalty)[test]
        return scores

    def best_penalty(self, chosen: np.ndarray, seed: int) -> float:
        """Return the penalty with the best AUROC by cross-validation on the chosen cases."""
        return max(
            PENALTIES,
            key=lambda p: self.separation(self.cross_validate(chosen, p, seed), chosen & self.written),
        )


def evaluate(cases: Sequence[Case], names: Sequence[str]) -> None:
    """Print the AUROC by nested cross-validation and on the held-back questions, and the coefficients."""
    table = Table.of(cases, names)
    nested = []
    for seed in range(REPEATS):
        scores = np.zeros(len(cases))
        for test in table.folds(table.tuning, seed):
            train = table.tuning & ~test
            scores[test] = table.scores(train, table.best_penalty(train, seed))[test]
        nested.append(table.separation(scores, table.tuning & table.written))
    penalty = table.best_penalty(table.tuning, 0)
    theta = fit(table.x[table.tuning], table.y[table.tuning], table.weights[table.tuning], penalty)
    scores = theta[0] + table.x @ theta[1:]
    held_back = np.array([c.split == HELD_BACK for c in cases])
    print(f"\n{', '.join(names)}")
    print(f"  AUROC: nested cross-validation {np.mean(nested):.3f}", end="")
    print(f", held back {table.separation(scores, held_back & table.written):.3f}", end="")
    for name in PUBLIC:
        public = np.array([c.origin == name for c in cases])
        print(f", {name} {table.separation(scores, public):.3f}" if public.any() else "", end="")
    coefficients = {n: round(float(t), 2) for n, t in zip(names, theta[1:], strict=True)}
    print(f"\n  penalty {penalty}, bias {theta[0]:.2f}, {coefficients}")


def outcomes(cases: Sequence[Case], *, encoder: bool) -> None:
    """Print the shares of the three outcomes with the weights and thresholds of the program."""
    limits = abstention.Thresholds.default(0, encoder=encoder)
    print("\n| questions | kind | n | answered | doubtful | abstained |\n|---|---|---:|---:|---:|---:|")
    shown: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        if case.origin.endswith("removed") or case.origin in PUBLIC:
            continue
        signals = abstention.AnswerabilitySignals(*case.signals)
        value = abstention.confidence(signals, encoder=encoder)
        kinds = ["answerable"] if case.answerable else ["unanswerable", f"unanswerable: {case.origin}"]
        for kind in kinds:
            shown.setdefault((case.split, kind), []).append(value)
    for (split, kind), values in sorted(shown.items()):
        answered = sum(v >= limits.doubt_below for v in values) / len(values)
        abstained = sum(v < limits.abstain_below for v in values) / len(values)
        shares = f"{answered:.2f} | {1 - answered - abstained:.2f} | {abstained:.2f}"
        print(f"| {split} | {kind} | {len(values)} | {shares} |")


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
    model = None if args.words or folder is None else CachingEncoder(MiniLM.load(folder))
    cases = dev_cases(args.shared, model) + own_cases(args.shared, model)
    for name in PUBLIC if args.public else ():
        cases += public_cases(args.shared, name, model, args.public)
    absent = ("missing_name", "attribute_absent", "count_match")
    if args.words:
        subsets = [("coverage", "gap"), ("coverage", "gap", *absent)]
    else:
        matched = ("similarity", "number_fit", "agree")
        subsets = [matched, (*matched, *absent), (*matched, *absent, "unmatched", "lead")]
    for subset in subsets:
        evaluate(cases, subset)
    outcomes(cases, encoder=model is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
