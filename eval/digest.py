"""Measure how many papers of an issue a subscriber would want.

    python eval/digest.py [--shared ../shared] [--items | --fit]

Eight invented subscribers (`labels/digest-subscribers.json`) get the issues of two weeks of arXiv. For each
of them, the candidates of a week were pooled from the search, the digest, word and vector rankings and
exact phrases, and judged by title and abstract before anything was tuned (`labels/digest-relevance.tsv`):
``want``, ``maybe`` or ``no``. Papers that entered an issue later were judged in the same way. The
subscribers marked ``held_out`` were not used for tuning.

``--fit`` prints the weights of relevance (`RELEVANCE_WEIGHTS`) that best explain the judgments of the other
subscribers and those of twenty single interests (`labels/digest-interests.tsv`), which count one each.

The first run embeds the papers of both weeks, which takes some minutes. The library is kept in
``bench/.cache``.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paperagent import PaperAgent
from paperagent.digest.preferences import Preferences
from paperagent.digest.schedule import parse_week
from paperagent.digest.select.candidates import PeriodIndex
from paperagent.digest.select.relevance import QueryEncoder
from paperagent.factory.library import load_embedding_models, open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = Path(__file__).parent / "labels"
CACHE = Path(__file__).parents[1] / "bench/.cache/digest-weeks"
WEEKS = ("2026-W16", "2026-W25")
MIN_WANTED, MAX_UNWANTED = 0.85, 0.05
"""The least share of wanted papers and the greatest share of unwanted ones, over all subscribers."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if too few papers are wanted or too many are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--home", type=Path, default=CACHE, help="the library of the two weeks")
    parser.add_argument("--items", action="store_true", help="print every paper that is not wanted or missed")
    parser.add_argument("--fit", action="store_true", help="print the weights of relevance")
    args = parser.parse_args(argv)
    abstracts = args.shared / "data/arxiv/abstracts.jsonl.xz"
    if not abstracts.exists():
        print(f"digest: skipped, no test data at {args.shared}")
        return 0
    subscribers = json.loads((LABELS / "digest-subscribers.json").read_text("utf-8"))
    labels = _labels()
    with PaperAgent(args.home) as agent:
        _fill(agent, abstracts)
        if args.fit:
            print(_fit(agent, {n: s for n, s in subscribers.items() if not s["held_out"]}, labels))
            return 0
        rows = [
            _measure(agent, name, subscriber, week, labels, show=args.items)
            for name, subscriber in subscribers.items()
            for week in WEEKS
        ]
    tuned = [row for row in rows if not subscribers[row.subscriber]["held_out"]]
    held_out = [row for row in rows if subscribers[row.subscriber]["held_out"]]
    print(f"\n{'':24}papers  want maybe    no unjudged  P@10 wanted unwanted recall")
    for row in rows:
        _print_line(f"{row.subscriber} {row.week}", [row])
    for name, group in (("tuned on", tuned), ("held out", held_out), ("all", rows)):
        _print_line(name, group)
    return int(_share(rows, "want") < MIN_WANTED or _share(rows, "no") > MAX_UNWANTED)


@dataclass(frozen=True)
class Row:
    """The papers of one issue, by label."""

    subscriber: str
    week: str
    chosen: Counter[str]
    first_ten: Counter[str]
    """The labels of the ten papers with the highest scores."""
    wanted: int
    """The wanted papers among the week's judged ones."""


def _labels() -> dict[tuple[str, str], dict[str, str]]:
    """Return the label by paper id, for each subscriber and week."""
    labels: dict[tuple[str, str], dict[str, str]] = {}
    with (LABELS / "digest-relevance.tsv").open(encoding="utf-8", newline="") as file:
        for subscriber, week, paper_id, label in csv.reader(file, delimiter="\t"):
            labels.setdefault((subscriber, week), {})[paper_id] = label
    return labels


def _fill(agent: PaperAgent, abstracts: Path) -> None:
    """Read the papers of the weeks that the library lacks."""
    days = [parse_week(week) for week in WEEKS]
    if agent.status()["papers"] and not agent.status()["vectors"]["pending"]:
        return
    with lzma.open(abstracts, "rt", encoding="utf-8") as file:
        lines = [
            line
            for line in file
            if any(p.since.isoformat() <= json.loads(line)["date"][:10] <= p.until.isoformat() for p in days)
        ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weeks.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        agent.ingest(path)


def _measure(
    agent: PaperAgent,
    name: str,
    subscriber: dict[str, Any],
    week: str,
    labels: dict[tuple[str, str], dict[str, str]],
    *,
    show: bool,
) -> Row:
    issue = agent.digest(week=week, **subscriber["preferences"])
    judged = labels[name, week]
    items = sorted(issue.items, key=lambda item: -item.score)
    found = [judged.get(item.paper.paper_id, "unjudged") for item in items]
    wanted = {paper_id for paper_id, label in judged.items() if label == "want"}
    if show:
        print(f"\n{name} {week}")
        for item, label in zip(items, found, strict=True):
            if label != "want":
                print(f"  {label:8} {item.score:5.2f} {item.paper.paper_id} {item.paper.title[:70]}")
                print(f"           {item.reason.kind}: {item.reason.text}")
        for paper_id in sorted(wanted - {item.paper.paper_id for item in items}):
            paper = agent.get(paper_id)
            print(f"  missed         {paper_id} {paper.title[:70] if paper else ''}")
    return Row(name, week, Counter(found), Counter(found[:10]), len(wanted))


def _fit(
    agent: PaperAgent,
    subscribers: dict[str, Any],
    labels: dict[tuple[str, str], dict[str, str]],
) -> str:
    """Return the weights and the bias of a logistic regression on the judgments."""
    single: dict[tuple[str, str], dict[str, str]] = {}
    with (LABELS / "digest-interests.tsv").open(encoding="utf-8", newline="") as file:
        for interest, week, paper_id, label in csv.reader(file, delimiter="\t"):
            single.setdefault((interest, week), {})[paper_id] = label
    features: list[NDArray[np.float32]] = []
    wanted: list[float] = []
    models = load_embedding_models(agent.settings)
    with open_store(agent.settings) as store:
        queries = QueryEncoder(store, models.embedder)
        for week in WEEKS:
            period = parse_week(week)
            index = PeriodIndex(store.papers_between(period.since, period.until))
            numbers = {paper.paper_id: n for n, paper in enumerate(index.papers)}
            groups = [([interest], judged) for (interest, w), judged in single.items() if w == week]
            groups += [(s["preferences"]["interests"], labels[n, week]) for n, s in subscribers.items()]
            for interests, judged in groups:
                encoded = queries.encode(Preferences(tuple(interests)))
                matches = [index.match(q.stems, q.vector, q.stats) for q in encoded]
                # A subscriber's paper is judged once, so it counts for the interest that it fits best.
                best = np.argmax([m.relevance for m in matches], axis=0)
                for paper_id, label in judged.items():
                    number = numbers[paper_id]
                    features.append(matches[best[number]].features[number])
                    wanted.append({"want": 1.0, "maybe": 0.2, "no": 0.0}[label])
    weights = _logistic_regression(np.array(features, float), np.array(wanted))
    return " ".join(f"{weight:.2f}" for weight in weights)


def _logistic_regression(
    features: NDArray[np.float64], target: NDArray[np.float64], *, ridge: float = 0.3
) -> NDArray[np.float64]:
    """Return the weights and the bias (Newton's method)."""
    rows = np.hstack([features, np.ones((len(features), 1))])
    penalty = ridge * np.array([1.0] * features.shape[1] + [0.0])
    weights = np.zeros(rows.shape[1])
    for _ in range(40):
        p = 1 / (1 + np.exp(-rows @ weights))
        hessian = (rows * (p * (1 - p))[:, None]).T @ rows + np.diag(penalty)
        weights -= np.linalg.solve(hessian, rows.T @ (p - target) + penalty * weights)
    return weights


def _share(rows: Iterable[Row], label: str) -> float:
    rows = list(rows)
    return sum(r.chosen[label] for r in rows) / max(sum(r.chosen.total() for r in rows), 1)


def _print_line(name: str, rows: Sequence[Row]) -> None:
    counts = sum((row.chosen for row in rows), Counter[str]())
    first_ten = sum((row.first_ten for row in rows), Counter[str]())
    precision = first_ten["want"] / max(first_ten.total(), 1)
    recall = counts["want"] / max(sum(row.wanted for row in rows), 1)
    print(
        f"{name:24}{counts.total():6} {counts['want']:5} {counts['maybe']:5} {counts['no']:5} "
        f"{counts['unjudged']:8} {precision:5.2f} {_share(rows, 'want'):6.2f} {_share(rows, 'no'):8.2f} "
        f"{recall:6.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
