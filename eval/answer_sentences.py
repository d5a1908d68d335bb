"""Measure which sentences an extractive answer shows, against labels of the sentences that a reader keeps.

    python eval/answer_sentences.py [--shared ../shared] [--embedder minilm|none] [--misses]

The cases are the development questions, with the labels in ``labels/dev-sentences.jsonl``, and our own in
``cases/sentences.jsonl``; those tagged ``held-out`` were not used for tuning. A sentence is kept if it helps
to answer the question. Unanswerable questions have none and are left out. Exit code 9 if a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from paperagent import Answer, Paper, PaperAgent
from paperagent.evals import cases, scorers
from paperagent.text.sentences import split_sentences

HERE = Path(__file__).parent
GATE_FAILED = 9
HELD_OUT = "held-out"
LIMITS: Mapping[str, Mapping[str, float]] = {}
"""Minimum of each figure, by set of cases, with the embedding model."""

Labels = Mapping[str, Sequence[int]]
"""Paper id → numbers of the sentences that a reader keeps."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One answerable question: what its answer shows."""

    case: cases.Case
    shown: tuple[tuple[str, int], ...]
    """Paper id and number of each sentence, in the order shown."""
    kept: tuple[bool, ...]
    """For each of these, whether a reader keeps it."""
    papers: tuple[bool, ...]
    """For each paper shown, whether it is relevant."""
    scores: Mapping[str, float | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Ask all cases, print the figures, and return 9 if one misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--home", type=Path, help="a library of the saved pages; by default a new one")
    parser.add_argument("--embedder", default="minilm", choices=("minilm", "none"))
    parser.add_argument("--misses", action="store_true", help="show each sentence that a reader would not keep")
    args = parser.parse_args(argv)
    feeds = sorted((args.shared / "seeds").glob("*.txt"))
    if not feeds:
        print(f"answer sentences: skipped, no test data at {args.shared}")
        return 0
    with (
        tempfile.TemporaryDirectory() as folder,
        PaperAgent(home=args.home or folder, embedder=args.embedder, mode="extractive") as agent,
    ):
        if args.home is None:
            agent.ingest(*map(str, feeds))
        papers = {p.paper_id: p for p in agent.papers()}
        sets = {
            name: [score_case(agent, papers, case, labels) for case, labels in members]
            for name, members in case_sets(args.shared).items()
        }
    figures = {name: measure(scored) for name, scored in sets.items()}
    report(figures)
    if args.misses:
        for scored in sets.values():
            print_misses(scored, papers)
    missed = list(breaches(figures)) if args.embedder == "minilm" else []
    for text in missed:
        print(f"limit missed: {text}")
    return GATE_FAILED if missed else 0


def case_sets(shared: Path) -> dict[str, list[tuple[cases.Case, Labels]]]:
    """Return the answerable cases with their labels: development questions, own ones, own ones held out."""
    dev_labels = _labels(HERE / "labels/dev-sentences.jsonl")
    own_labels = _labels(HERE / "cases/sentences.jsonl")
    dev = cases.load(shared / "data/questions/dev.jsonl")
    own = cases.load(HERE / "cases/sentences.jsonl")
    return {
        "dev": [(c, dev_labels[c.id]) for c in dev if c.answerable],
        "own": [(c, own_labels[c.id]) for c in own if HELD_OUT not in c.tags],
        "held out": [(c, own_labels[c.id]) for c in own if HELD_OUT in c.tags],
    }


def _labels(path: Path) -> dict[str, Labels]:
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return {row["id"]: row["keep"] for row in rows}


def score_case(agent: PaperAgent, papers: Mapping[str, Paper], case: cases.Case, keep: Labels) -> Scored:
    """Ask one case and compare the sentences shown with the labels."""
    answer = agent.ask(case.question, history=case.history)
    shown = tuple(_sentence_number(c.paper_id, c.start, papers) for c in _shown(answer))
    return Scored(
        case,
        shown,
        tuple(number in keep.get(paper_id, ()) for paper_id, number in shown),
        tuple(paper_id in keep for paper_id in dict.fromkeys(paper_id for paper_id, _ in shown)),
        {
            **{m: scorers.METRICS[m].score(case, answer, papers) for m in METRICS},
            "evidence_first": _evidence_first(case, answer, papers),
        },
    )


METRICS = ("evidence_any", "must_include", "gold_cited")


def _shown(answer: Answer) -> Sequence[Any]:
    return answer.citations if answer.status == "answered" else ()


def _sentence_number(paper_id: str, start: int, papers: Mapping[str, Paper]) -> tuple[str, int]:
    sentences = split_sentences(papers[paper_id].abstract)
    return paper_id, next(s.index for s in sentences if s.start == start)


def _evidence_first(case: cases.Case, answer: Answer, papers: Mapping[str, Paper]) -> float | None:
    return None


if __name__ == "__main__":
    sys.exit(main())
