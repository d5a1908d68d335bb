"""Time what a person waits for before anything happens: import, --help, a first question.

    python bench/startup.py [--shared ../shared] [--only import|help|ask] [--json FILE]

Whole processes, interleaved with the least that Python itself, or the libraries that an
answer cannot do without, need. Files are in the system's cache; bytecode is compiled.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bare import model_folder, onnx_file
from figures import Figure, interleaved, p50, p95, run

BARE = [sys.executable, "-c", "pass"]
PAPERAGENT = [str(Path(sys.executable).with_name("paperagent"))]
UNAVOIDABLE = """
import sys
import click, pydantic_settings, numpy, tokenizers, onnxruntime, tantivy, chromadb
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
tokenizers.Tokenizer.from_file(sys.argv[2])
"""
_INGEST = "import sys, paperagent; paperagent.PaperAgent(sys.argv[1]).ingest(sys.argv[2:])"
_ROUNDS = 25
_QUESTIONS = (
    "Which decoding method cuts the cost of long answers, and by how much?",
    "What is new on evaluating language models?",
    "How many parameters does the smallest model have?",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    measures = {"import": imports, "help": helps, "ask": asks}
    return run(str(__doc__), measures, lambda args: args.shared, argv)


def imports(_: Path) -> list[Figure]:
    """Compare ``import paperagent`` with Python's own start."""
    return [_against_bare("import paperagent", [sys.executable, "-c", "import paperagent"], limit=3)]


def helps(_: Path) -> list[Figure]:
    """Compare ``paperagent --help`` with Python's own start."""
    return [_against_bare("paperagent --help", [*PAPERAGENT, "--help"], limit=5)]


def asks(shared: Path) -> list[Figure]:
    """Time a first question to a small library, as a whole process."""
    feeds, questions = _feeds(shared)
    turn = itertools.cycle(questions)
    with tempfile.TemporaryDirectory() as home:
        _run([sys.executable, "-c", _INGEST, home, *map(str, feeds)])
        files = [str(onnx_file()), str(model_folder() / "tokenizer.json")]
        actions = {
            "ask": lambda: _run([*PAPERAGENT, "ask", next(turn)], PAPERAGENT_HOME=home),
            "unavoidable": lambda: _run([sys.executable, "-c", UNAVOIDABLE, *files]),
        }
        times = interleaved(actions, _ROUNDS)
    ask, least = times["ask"], times["unavoidable"]
    note = f"p50 {p50(ask):.2f} s, p95 {p95(ask):.2f} s; {', '.join(f.name for f in feeds)}"
    return [
        Figure("cold paperagent ask", p50(ask), "s", limit=2.0, note=note),
        Figure(
            "cold paperagent ask / imports and model load",
            p50(ask) / p50(least),
            "×",
            limit=1.3,
            note=f"imports and model load {p50(least):.2f} s",
        ),
    ]


def _against_bare(name: str, command: list[str], *, limit: float) -> Figure:
    times = interleaved({"bare": lambda: _run(BARE), "ours": lambda: _run(command)}, _ROUNDS)
    bare, ours = p50(times["bare"]), p50(times["ours"])
    note = f"{1000 * ours:.0f} ms against {1000 * bare:.0f} ms, medians of {_ROUNDS}"
    return Figure(f"{name} / python -c pass", ours / bare, "×", limit=limit, note=note)


def _run(command: list[str], **environment: str) -> None:
    """Run ``command`` in a folder without a ``.env``."""
    merged = {**os.environ, **environment}
    subprocess.run(command, env=merged, check=True, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())


def _feeds(shared: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the saved pages with questions about them, or the sample feed if there is no test data."""
    seeds = sorted((shared / "seeds").glob("*.txt"))
    if not seeds:
        from paperagent.feeds.reader import sample_path

        return [sample_path()], _QUESTIONS
    lines = (shared / "data/questions/dev.jsonl").read_text("utf-8").splitlines()
    return seeds, tuple(json.loads(line)["question"] for line in lines)


if __name__ == "__main__":
    sys.exit(main())
