"""Check the answers to greetings and to questions about the library itself.

    python eval/utterances.py [--shared ../shared] [--split dev|held]

Each line of ``cases/utterances.jsonl`` is asked over the sample feed, over six invented records with authors
and dates, or over the saved pages beside the checkout. An utterance is handled correctly if its intent is
recognized and the answer contains what the case expects, such as the right number or titles. Any other
question is mistaken for one about the library if the kind of its answer is not ``papers``; the questions
beside the checkout are counted, too. The split ``held`` was not used for tuning. Exit code 9 if a limit is
missed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from paperagent import Answer, PaperAgent, PaperAgentError
from paperagent.answering.library_questions.classify import classify
from paperagent.feeds.reader import sample_path

CASES = Path(__file__).parent / "cases" / "utterances.jsonl"
RECORDS = Path(__file__).parent / "cases" / "records.jsonl"
MIN_RIGHT, MAX_CAUGHT, GATE_FAILED = 0.95, 0.005, 9
TODAY = dt.date(2026, 7, 1)
Case = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--split", choices=["dev", "held"], help="run only these cases")
    args = parser.parse_args(argv)
    cases = [case for case in load() if args.split in (None, case["split"])]
    with tempfile.TemporaryDirectory() as folder, Libraries(Path(folder), args.shared) as libraries:
        outcomes = [(case, why) for case in cases if (why := libraries.fault(case)) is not None]
        caught, questions = caught_questions(args.shared)
    codes = [_report(outcomes, split) for split in ("dev", "held") if args.split in (None, split)]
    if questions:
        print(f"real questions of other sets caught: {len(caught)} of {questions:,}")
        for question in caught:
            print(f"  caught: {question}")
        codes.append(GATE_FAILED if len(caught) > MAX_CAUGHT * questions else 0)
    return max(codes)


def load() -> list[Case]:
    """Return the cases."""
    lines = CASES.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if not line.startswith("#")]


class Libraries:
    """The libraries of the cases, with keyword search, created when a case first needs them."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self._folder = folder
        self._feeds: dict[str, list[Path]] = {
            "sample": [Path(sample_path())],
            "records": [RECORDS],
            "seeds": sorted((shared / "seeds").glob("*.txt")),
            "none": [],
        }
        self._agents: dict[str, PaperAgent] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self._agents.values():
            agent.close()

    def fault(self, case: Case) -> str | None:
        """Return what is wrong with an answer, "" if it is right, or None if its feed is missing."""
        name = case["library"]
        if name != "none" and not self._feeds[name]:
            return None
        if name not in self._agents:
            agent = PaperAgent(self._folder / name, embedder="none", mode="extractive")
            if name != "none":
                agent.ingest(self._feeds[name], date=TODAY if name == "sample" else None, vectors=False)
            self._agents[name] = agent
        agent = self._agents[name]
        history = [agent.ask(case["after"])] if "after" in case else []
        try:
            answer = agent.ask(case["utterance"], history=history)
        except PaperAgentError as error:  # such as that there is no library to look up papers in
            return str(error)
        return fault(case, answer, has_history=bool(history))


def fault(case: Case, answer: Answer, *, has_history: bool) -> str:
    """Return what is wrong with an answer, or an empty string."""
    intent = classify(case["utterance"], has_history=has_history, today=TODAY)
    if case["intent"] is None:
        return "" if answer.kind == "papers" else f"caught as {intent.kind if intent else answer.kind}"
    kind = {"overview": "papers"}.get(case["intent"], "library")
    kind = "chat" if case["intent"] in ("greeting", "thanks", "help", "quit") else kind
    if intent is None or intent.kind != case["intent"] or answer.kind != kind:
        return f"understood as {intent.kind if intent else None}, answered from {answer.kind}"
    if answer.status not in ("answered", "doubtful") or answer.answer == "":
        return f"status {answer.status}"
    titles = [hit.title for hit in answer.hits]
    missing = [text for text in case.get("contains", ()) if text not in answer.answer]
    missing += [t for t in case.get("titles", ()) if not any(t.lower() in title.lower() for title in titles)]
    if "first" in case and not (titles and titles[0].startswith(case["first"])):
        missing.append(f"{case['first']} first")
    return f"missing: {'; '.join(missing)}" if missing else ""


def _report(outcomes: Sequence[tuple[Case, str]], split: str) -> int:
    """Print how the cases of a split were handled, and return the exit code."""
    by_intent: dict[str, list[bool]] = defaultdict(list)
    for case, why in outcomes:
        if case["split"] == split:
            by_intent[case["intent"] or "real question"].append(not why)
            if why:
                print(f"  {split}: {case['utterance']!r}: {why}")
    real = by_intent.pop("real question", [])
    asked = [right for results in by_intent.values() for right in results]
    share, caught = sum(asked) / len(asked), real.count(False) / len(real)
    print(f"{split}: {sum(asked)} of {len(asked)} handled rightly ({share:.3f})")
    print("  " + ", ".join(f"{name} {sum(r)}/{len(r)}" for name, r in sorted(by_intent.items())))
    print(f"{split}: {real.count(False)} of {len(real)} real questions caught")
    return 0 if share >= MIN_RIGHT and caught <= MAX_CAUGHT else GATE_FAILED


def caught_questions(shared: Path) -> tuple[list[str], int]:
    """Return the questions and claims of other sets that a rule catches, and the number of them."""
    questions = list(dict.fromkeys(_questions(shared)))
    caught = [q for q in questions if (intent := classify(q, today=TODAY)) and not intent.if_found]
    return caught, len(questions)


def _questions(shared: Path) -> Iterator[str]:
    folder = shared / "data"
    for name in (
        "questions/dev.jsonl",
        "retrieval/pubmedqa/queries.jsonl",
        "retrieval/scifact/claims_train.jsonl",
    ):
        if (folder / name).exists():
            for line in (folder / name).read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                yield record.get("question") or record.get("text") or record["claim"]


if __name__ == "__main__":
    sys.exit(main())
