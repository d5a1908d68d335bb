"""Compare a local model with quoting alone on the development questions.

    python eval/local.py --shared DIR --out FOLDER [--serve 1.5b] [--limit 24] [--seed 1]
                         [--way extractive --way select --way compact --way full] [--json]

Each way is a run of the harness (`paperagent eval run`) in its own folder under FOLDER, so that an
interrupted measurement can be resumed and each run shown with `paperagent eval report`. ``--serve`` starts
one of the models of `local_model.py`; without it, the server of OPENAI_BASE_URL and PAPERAGENT_MODEL is
used. Only cases that every way has answered count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import local_model

from paperagent import PaperAgent
from paperagent.cli.main import main as paperagent
from paperagent.evals import cases, results
from paperagent.evals.cases import Case
from paperagent.evals.scorers import content
from paperagent.types import Paper

WAYS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "extractive": ("extractive", {}),
    "select": ("select", {}),
    "compact": ("llm", {"PAPERAGENT_PROFILE": "compact"}),
    "full": ("llm", {"PAPERAGENT_PROFILE": "full"}),
}
"""Mode and settings of each way to answer."""
TIMEOUT = 900
"""Seconds for one answer: a small, busy machine takes minutes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing and print the figures; return the highest exit code of the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of test data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--serve", choices=local_model.MODELS, help="fetch and serve this model")
    parser.add_argument("--threads", type=int, default=2, help="threads of the served model")
    parser.add_argument("--limit", type=int, help="ask a sample of this many questions")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample")
    parser.add_argument("--way", choices=WAYS, action="append", help="default: extractive and select")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    ways = args.way or ["extractive", "select"]
    questions = args.shared / "data/questions/dev.jsonl"
    feeds = sorted((args.shared / "seeds").glob("*.txt"))
    library = args.out / "library"
    options = ["--library", str(library), *(word for feed in feeds for word in ("--feed", str(feed)))]
    if args.limit:
        options += ["--limit", str(args.limit), "--seed", str(args.seed)]
    with serve_model(args.serve, args.threads):
        codes = [_run(way, questions, options, args.out / way) for way in ways]
    report(ways, args.out, cases.load(questions), library, as_json=args.json)
    return max(codes)


@contextmanager
def serve_model(name: str | None, threads: int) -> Iterator[None]:
    """Serve a model in another process for the block, and point the settings at it."""
    if name is None:
        yield
        return
    command = [sys.executable, local_model.__file__, "serve", name, "--port", "0", "--threads", str(threads)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603 - our own script
        assert process.stdout
        try:
            for line in iter(process.stdout.readline, ""):
                key, _, value = line.removeprefix("export ").strip().partition("=")
                if key == "PAPERAGENT_MODE":
                    break
                os.environ[key] = value
            else:
                sys.exit("the model's server did not start")
            yield
        finally:
            process.terminate()


def _run(way: str, questions: Path, options: Sequence[str], out: Path) -> int:
    mode, environment = WAYS[way]
    os.environ.update(environment)
    print(f"{way} …", file=sys.stderr, flush=True)
    run_options = ["--mode", mode, "--concurrency", "1", "--quiet", "--out", str(out)]
    if mode != "extractive":
        run_options += ["--timeout", str(TIMEOUT)]
    try:
        return paperagent(["eval", "run", str(questions), *options, *run_options])
    finally:
        for key in environment:
            del os.environ[key]


def report(
    ways: Sequence[str], out: Path, all_cases: Sequence[Case], library: Path, *, as_json: bool
) -> None:
    """Print the figures of each way over the cases that all ways answered."""
    runs = {way: {row.id: row for row in results.load_rows(out / way / results.ROWS_FILE)} for way in ways}
    common = set.intersection(*({i for i, row in run.items() if row.state == "ok"} for run in runs.values()))
    by_id = {case.id: case for case in all_cases}
    with PaperAgent(library, mode="extractive") as agent:
        papers = {paper.paper_id: paper for paper in agent.papers()}
    table = {
        way: figures([run[i] for i in sorted(common)], by_id, papers)
        | {"errors": sum(row.state == "error" for row in run.values())}
        for way, run in runs.items()
    }
    if as_json:
        print(json.dumps({"cases": len(common), "ways": table}))
        return
    print(f"{len(common)} questions")
    names = list(next(iter(table.values())))
    print("| | " + " | ".join(ways) + " |")
    print("|---|" + "---|" * len(ways))
    for name in names:
        print(f"| {name} | " + " | ".join(_cell(table[way][name]) for way in ways) + " |")


def figures(
    answered: Sequence[results.Row], by_id: Mapping[str, Case], papers: Mapping[str, Paper]
) -> dict[str, float | None]:
    """Return the figures of one way."""
    answerable = [row for row in answered if row.answerable]
    return {
        "all facts": _mean(row.scores.get("must_include") for row in answerable),
        "cites the evidence": _mean(row.scores.get("evidence_any") for row in answerable),
        "begins with the evidence": _mean(
            _leads_with_evidence(row, by_id[row.id], papers) for row in answerable
        ),
        "correctly answered or abstained": _mean(row.scores.get("answerable_accuracy") for row in answered),
        "abstained though answerable": _mean(row.scores.get("over_refusal") for row in answerable),
        "sentences": _mean(row.scores.get("sentences") for row in answerable),
        "quoted instead": _mean(float(bool((row.answer or {}).get("fallback"))) for row in answered),
        "seconds, median": median(row.ms / 1000 for row in answered) if answered else None,
        "output tokens": _mean(row.scores.get("output_tokens") for row in answered),
        "input tokens": _mean(row.scores.get("input_tokens") for row in answered),
    }


def _leads_with_evidence(row: results.Row, case: Case, papers: Mapping[str, Paper]) -> float | None:
    """Return whether the first claim cites gold evidence."""
    answer = results.answer_of(row, papers)
    return (
        None
        if answer is None
        else content.evidence_any(case, replace(answer, claims=answer.claims[:1]), papers)
    )


def _mean(values: Iterable[Any]) -> float | None:
    present = [v for v in values if v is not None]
    return mean(present) if present else None


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
