"""Evaluate paperagent with its own harness; `make eval`.

    python eval/run.py [--shared ../shared] [--only PART] [--update]

*ours*: the cases over the sample feed in three configurations: extractive answers with keyword search,
extractive answers with the embedding model (if installed), and the recorded replies of a scripted model.
Each run is compared with the one committed in ``baseline`` and with the thresholds of ``gate*.toml``; exit
code 9 if a run is significantly worse or misses a threshold. ``--update`` writes the new runs as baselines
instead; explain that decision in the commit.

The other parts need the test data beside the checkout and are skipped without it. *answers* asks the
development questions and checks the figures that README.md quotes (``gate-dev*.toml``, exit code 9);
*followups* replays conversations with the agent's own answers as their history (``gate-followups.toml``); the
rest exits with 1 if a limit is broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import answer_sentences
import claims
import record
import sentences
import utterances

import retrieval
from paperagent.cli.main import main as paperagent
from paperagent.evals import gate, results
from paperagent.evals.compare import compare

HERE = Path(__file__).parent
BASELINE = HERE / "baseline"
RECORDED = BASELINE / "recorded"
CONFIGURATIONS = {
    "words": ["--mode", "extractive", "--embedder", "none"],
    "extractive": ["--mode", "extractive"],
    "recorded": ["--replay", str(RECORDED), "--embedder", "none", "--no-judge"],
}
GATE_FAILED = 9


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and return the highest of their exit codes."""
    parts = {
        "ours": run_our_cases,
        "claims": run_claims,
        "answers": run_dev_questions,
        "shown": run_answer_sentences,
        "followups": run_follow_ups,
        "retrieval": run_retrieval,
        "sentences": run_sentences,
        "utterances": run_utterances,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--only", choices=list(parts), action="append")
    parser.add_argument("--update", action="store_true", help="make these runs the baselines")
    args = parser.parse_args(argv)
    codes = []
    for name in args.only or parts:
        print(f"\n## {name}\n", flush=True)
        codes.append(update_baselines() if name == "ours" and args.update else parts[name](args.shared))
    return max(codes)


def run_our_cases(_shared: Path) -> int:
    """Run our cases in every configuration and compare each run with its baseline."""
    codes = []
    with tempfile.TemporaryDirectory() as folder:
        for name in runnable_configurations():
            out = Path(folder) / name
            if (code := _run(name, out)) == 0:
                comparison = compare(results.load(BASELINE / name), results.load(out))
                print(f"{name}: against the baseline {comparison.sentence}")
                for flip in comparison.lost:
                    print(f"  lost: {flip.id} ({flip.after})")
                for flip in comparison.gained:
                    print(f"  gained: {flip.id}")
                passed = passes_gates(out, HERE / "gate.toml", HERE / f"gate-{name}.toml")
                code = GATE_FAILED if comparison.verdict == "worse" or not passed else 0
            codes.append(code)
    return max(codes)


def passes_gates(run: Path, *files: Path) -> bool:
    """Return whether a run meets the thresholds of the files that exist; print those it misses."""
    rows = results.load_rows(run / results.ROWS_FILE)
    breaches = [text for file in files if file.exists() for text in gate.breaches(gate.load(file), rows)]
    for text in breaches:
        print(f"  threshold missed: {text}")
    return not breaches


def update_baselines() -> int:
    """Replace the baselines: first the recording, then the runs."""
    with tempfile.TemporaryDirectory() as folder:
        new_runs = Path(folder)
        codes = [record.record(new_runs / "recorded")]
        _save_baseline(new_runs / "recorded", RECORDED)
        for name in [n for n in runnable_configurations() if n != "recorded"]:
            codes.append(_run(name, new_runs / name))
            _save_baseline(new_runs / name, BASELINE / name)
    return max(codes)


def runnable_configurations() -> list[str]:
    """Return the configurations that can run here."""
    if retrieval.load_model() is not None:
        return list(CONFIGURATIONS)
    print("the embedding model is not installed: the run that needs it is skipped")
    return [name for name in CONFIGURATIONS if name != "extractive"]


def _run(name: str, out: Path) -> int:
    library = ["--feed", "sample", "--library", str(out.parent / "library")]
    options = [*library, *CONFIGURATIONS[name], "--out", str(out), "--quiet"]
    return paperagent(["eval", "run", str(record.CASES), *options])


def _save_baseline(source: Path, destination: Path) -> None:
    """Copy a run without its answers: scores, retrieved papers and the model's replies remain."""
    run, rows = results.load(source)
    destination.mkdir(parents=True, exist_ok=True)
    results.write_run(destination, run)
    results.write_rows(destination, [row.model_copy(update={"answer": None, "ms": 0.0}) for row in rows])


def run_claims(shared: Path) -> int:
    """Check claims as models write them; our own have gates."""
    return claims.main(["--shared", str(shared)])


def run_dev_questions(shared: Path) -> int:
    """Ask the development questions with vectors and by keywords, and check the gates."""
    questions, feeds = shared / "data/questions/dev.jsonl", sorted((shared / "seeds").glob("*.txt"))
    if not (questions.exists() and feeds):
        print(f"answers: skipped, no test data at {shared}")
        return 0
    codes = []
    for cases, embedder, gate_file in _dev_runs(questions):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--mode", "extractive", "--embedder", embedder, "--gate", str(gate_file)]
            options += [word for feed in feeds for word in ("--feed", str(feed))]
            options += ["--library", f"{folder}/library", "--out", f"{folder}/run"]
            codes.append(paperagent(["eval", "run", str(cases), *options]))
    return max(codes)


def _dev_runs(questions: Path) -> Iterator[tuple[Path, str, Path]]:
    """Yield the cases, the embedder and the gate file of each run."""
    yield questions, "none", HERE / "gate-dev-words.toml"
    if retrieval.load_model() is not None:
        yield questions, "minilm", HERE / "gate-dev.toml"
        for name in ("answerability", "independent"):
            yield HERE / f"cases/{name}.jsonl", "minilm", HERE / f"gate-{name}.toml"


def run_answer_sentences(shared: Path) -> int:
    """Compare the sentences that answers show with those that a reader keeps, and check the limits."""
    return answer_sentences.main(["--shared", str(shared)])


def run_follow_ups(shared: Path) -> int:
    """Replay our conversations over the saved pages, and print the share of right turns by tag and kind."""
    feeds = sorted((shared / "seeds").glob("*.txt"))
    if not feeds or retrieval.load_model() is None:
        print(f"followups: skipped, no test data at {shared} or no embedding model")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        options = ["--mode", "extractive", "--gate", str(HERE / "gate-followups.toml")]
        options += [word for feed in feeds for word in ("--feed", str(feed))]
        options += ["--library", f"{folder}/library", "--out", f"{folder}/run", "--quiet"]
        code = paperagent(["eval", "run", str(HERE / "cases/followups.jsonl"), *options])
        rows = results.load_rows(Path(folder, "run", results.ROWS_FILE))
    for tag in ("dev", "held-back"):
        for kind in ("followup", "topic", "unanswerable"):
            scores = [row.scores["turn_correct"] or 0 for row in rows if tag in row.tags and row.kind == kind]
            print(f"{tag:9}  {kind:12}  {sum(scores):.0f} of {len(scores)} turns right")
    return code


def run_retrieval(shared: Path) -> int:
    """Run the public retrieval sets."""
    return retrieval.main(["--shared", str(shared)])


def run_utterances(shared: Path) -> int:
    """Ask what people type first, and count the real questions that are mistaken for it."""
    return utterances.main(["--shared", str(shared)])


def run_sentences(shared: Path) -> int:
    """Run the sentence splitter on abstracts given sentence by sentence."""
    return sentences.main(["--shared", str(shared)])


if __name__ == "__main__":
    sys.exit(main())
