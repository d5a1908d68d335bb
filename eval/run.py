"""Print one report on quality: answers, retrieval, sentences.

    python eval/run.py [--shared ../shared] [--only answers|retrieval|sentences]

Answers are measured on the development questions over the saved pages, where the folder of
test data is there; without it, a few questions to the sample feed are answered and shown.
Exit code 1 where one of the parts breaks its limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import questions
import retrieval
import sentences

from paperagent import PaperAgent
from paperagent.feeds import sample

SAMPLE_QUESTIONS = (
    "Which decoding method cuts the cost of long answers, and by how much?",
    "Which papers are about evaluation?",
    "What does insulin do in the liver?",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and return 1 where one breaks its limit."""
    parts = {"answers": answers, "retrieval": retrieved, "sentences": split}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--only", choices=list(parts), action="append")
    args = parser.parse_args(argv)
    codes = []
    for name in args.only or parts:
        print(f"\n## {name}\n", flush=True)
        codes.append(parts[name](args.shared))
    return max(codes)


def answers(shared: Path) -> int:
    """Run the development questions, or a few on the sample feed."""
    file, feeds = shared / "data/questions/dev.jsonl", sorted((shared / "seeds").glob("*.txt"))
    if file.exists() and feeds:
        return questions.main(["--questions", str(file), *map(str, feeds)])
    print(f"no test data at {shared}: the sample feed instead; nothing here is scored\n")
    with tempfile.TemporaryDirectory() as home, PaperAgent(home) as agent:
        agent.ingest(sample.path())
        for question in SAMPLE_QUESTIONS:
            answer = agent.ask(question, mode="extractive")
            print(f"{question}\n  {answer.status}, confidence {answer.confidence:.2f}")
            for citation in answer.citations:
                print(f"  [{citation.n}] {citation.title}: {citation.quote}")
    return 0


def retrieved(shared: Path) -> int:
    """Run the public retrieval sets."""
    return retrieval.main(["--shared", str(shared)])


def split(shared: Path) -> int:
    """Run the sentence splitter on abstracts given sentence by sentence."""
    return sentences.main(["--shared", str(shared)])


if __name__ == "__main__":
    sys.exit(main())
