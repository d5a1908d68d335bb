"""Evaluate paperagent with its own harness; `make eval`.

    python eval/run.py [--shared ../shared] [--only ours|claims|answers|retrieval|sentences] [--update]

*ours*: the cases over the sample feed, three times: quoted sentences by words alone, the same with
the embedding model (where it is there), and the replies of a recorded model. Each run is compared
with the one committed in ``baseline``; exit code 9 where one is worse by more than chance.
``--update`` writes the new runs there instead, which is a decision to be explained in its commit.

The other parts need the folder of test data beside the checkout and are skipped without it; exit
code 1 where one of them breaks its limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import claims
import record
import sentences

import retrieval
from paperagent.cli.main import main as paperagent
from paperagent.evals import gate, results
from paperagent.evals.compare import compare

HERE = Path(__file__).parent
BASELINE = HERE / "baseline"
RECORDED = BASELINE / "recorded"
WAYS = {
    "words": ["--mode", "extractive", "--embedder", "none"],
    "extractive": ["--mode", "extractive"],
    "recorded": ["--replay", str(RECORDED), "--embedder", "none", "--no-judge"],
}
GATE_FAILED = 9


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and return the highest of their codes."""
    parts = {"ours": ours, "claims": judged, "answers": answers, "retrieval": retrieved, "sentences": split}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--only", choices=list(parts), action="append")
    parser.add_argument("--update", action="store_true", help="make these runs the baseline")
    args = parser.parse_args(argv)
    codes = []
    for name in args.only or parts:
        print(f"\n## {name}\n", flush=True)
        codes.append(update() if name == "ours" and args.update else parts[name](args.shared))
    return max(codes)


def ours(_shared: Path) -> int:
    """Run our cases in every way and compare each run with its baseline."""
    codes = []
    with tempfile.TemporaryDirectory() as folder:
        for way in _possible():
            out = Path(folder) / way
            if (code := _run(way, out)) == 0:
                comparison = compare(results.load(BASELINE / way), results.load(out))
                print(f"{way}: against the baseline {comparison.sentence}")
                for flip in comparison.lost:
                    print(f"  lost: {flip.id} ({flip.after})")
                for flip in comparison.gained:
                    print(f"  gained: {flip.id}")
                code = GATE_FAILED if comparison.verdict == "worse" or not _keeps(way, out) else 0
            codes.append(code)
    return max(codes)


def _keeps(way: str, out: Path) -> bool:
    """Tell whether a run keeps the thresholds of all, and those of its own; say which it does not."""
    files = [HERE / "gate.toml", HERE / f"gate-{way}.toml"]
    found = results.load_rows(out / results.ROWS_FILE)
    broken = [text for file in files if file.exists() for text in gate.breaches(gate.load(file), found)]
    for text in broken:
        print(f"  not kept: {text}")
    return not broken


def update() -> int:
    """Write the baselines anew: first the recording, then the runs."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        codes = [record.recorded(fresh / "recorded")]
        _keep(fresh / "recorded", RECORDED)
        for way in [w for w in _possible() if w != "recorded"]:
            codes.append(_run(way, fresh / way))
            _keep(fresh / way, BASELINE / way)
    return max(codes)


def _possible() -> list[str]:
    """Return the ways that need nothing that is not there."""
    if retrieval.load_model() is not None:
        return list(WAYS)
    print("the embedding model is not here: without it the run by sentence similarity is left out")
    return [way for way in WAYS if way != "extractive"]


def _run(way: str, out: Path) -> int:
    library = ["--feed", "sample", "--library", str(out.parent / "library")]
    return paperagent(["eval", "run", str(record.CASES), *library, *WAYS[way], "--out", str(out), "--quiet"])


def _keep(made: Path, place: Path) -> None:
    """Put a run among the baselines, without the answers: scores, what was found and what a model said."""
    run, found = results.load(made)
    place.mkdir(parents=True, exist_ok=True)
    results.write_run(place, run)
    results.write_rows(place, [row.model_copy(update={"answer": None, "ms": 0.0}) for row in found])


def judged(shared: Path) -> int:
    """Judge claims as models write them; our own have gates."""
    return claims.main(["--shared", str(shared)])


def answers(shared: Path) -> int:
    """Run the development questions over the saved pages."""
    file, feeds = shared / "data/questions/dev.jsonl", sorted((shared / "seeds").glob("*.txt"))
    if not (file.exists() and feeds):
        print(f"answers: skipped, no test data at {shared}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        pages = [word for feed in feeds for word in ("--feed", str(feed))]
        place = ["--library", f"{folder}/library", "--out", f"{folder}/run"]
        return paperagent(["eval", "run", str(file), *pages, *place, "--mode", "extractive"])


def retrieved(shared: Path) -> int:
    """Run the public retrieval sets."""
    return retrieval.main(["--shared", str(shared)])


def split(shared: Path) -> int:
    """Run the sentence splitter on abstracts given sentence by sentence."""
    return sentences.main(["--shared", str(shared)])


if __name__ == "__main__":
    sys.exit(main())
