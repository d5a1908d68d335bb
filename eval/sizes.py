"""Measure abstention in libraries of different sizes, on everyday and development questions.

    python eval/sizes.py LIBRARY… [--shared ../shared] [--words]

A LIBRARY is a folder whose papers include the saved Daily Papers pages. For each threshold the table shows
the share of answers that it withholds: for everyday questions, which no paper answers; for development
questions that the pages do not answer; and for those that they answer, with and without a cited gold paper.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paperagent import PaperAgent

EVERYDAY = """Who won the 2018 football world cup?
best pizza dough hydration percentage
How do I renew my passport in Germany?
recipe for sourdough bread
how to change a flat bicycle tire
When was the Magna Carta signed?
What's the boiling point of ethanol?
cheap flights lisbon to oslo in march?
Is it safe to take ibuprofen together with lisinopril?
how long do you boil eggs
Which river runs through Vienna?
What year did the Titanic sink?
how do I get red wine out of a carpet
Who wrote Pride and Prejudice?
opening hours of the British Museum
How tall is Mount Kilimanjaro?
what size of shoes should a toddler wear
best time to plant tomatoes outdoors
What is the currency of Thailand?
how many strings does a violin have
side effects of amoxicillin
When does daylight saving time end in Canada?
how to knit a scarf for beginners
Which team has won the most Stanley Cups?
can dogs eat grapes
rent prices for a two bedroom flat in Porto
Who painted The Night Watch?
How do vaccines for measles get stored?
lyrics of the national anthem of Norway
What is the phone number of the tax office?""".splitlines()
THRESHOLDS = (0.13, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4)
GROUPS = ("everyday", "unanswerable", "gold cited", "no gold cited")


def main(argv: Sequence[str] | None = None) -> int:
    """Ask all questions of every library and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", type=Path, nargs="+", metavar="LIBRARY")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the folder of test data")
    parser.add_argument("--words", action="store_true", help="keyword search only")
    args = parser.parse_args(argv)
    path = args.shared / "data/questions/dev.jsonl"
    if not path.exists():
        print(f"sizes: skipped, no test data at {args.shared}")
        return 0
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for library in args.libraries:
        with PaperAgent(library, mode="extractive", embedder="none" if args.words else None) as agent:
            threshold = agent.thresholds().abstain_below
            print(f"\n{agent.status()['papers']:,} papers; threshold in use: {threshold:.2f}\n")
            print(table(_ask(agent, rows)))
    return 0


def _ask(agent: PaperAgent, rows: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the confidences of each group, without lists (which cite many papers) and follow-ups."""
    confidences: dict[str, list[float]] = {group: [] for group in GROUPS}
    confidences["everyday"] = [agent.ask(question).confidence or 0.0 for question in EVERYDAY]
    for row in rows:
        if row.get("history") or row["kind"] == "list":
            continue
        answer = agent.ask(str(row["question"]))
        cited = {citation.title for citation in answer.citations}
        gold = cited.intersection(row.get("gold_titles") or [])
        group = "unanswerable" if row["kind"] == "unanswerable" else "gold cited" if gold else "no gold cited"
        confidences[group].append(answer.confidence or 0.0)
    return confidences


def table(confidences: dict[str, list[float]]) -> str:
    """Return a Markdown table with the share of each group that each threshold withholds."""
    lines = [
        "| below | " + " | ".join(f"{g} ({len(confidences[g])})" for g in GROUPS) + " |",
        "|---:|" + "---:|" * 4,
    ]
    for threshold in THRESHOLDS:
        shares = [sum(c < threshold for c in confidences[g]) / max(1, len(confidences[g])) for g in GROUPS]
        lines.append(f"| {threshold} | " + " | ".join(f"{share:.2f}" for share in shares) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
