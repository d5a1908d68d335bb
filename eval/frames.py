"""Measure how many framed findings are called supported, on forms that no check lists.

    python eval/frames.py [--shared ../shared] [--rounds 10] [--seed 7] [--list KIND] [--json]

The forms come from the grammar in ``tests/verification/frame_grammar.py``. Half of its templates and words
were read while the checks were developed (seen), the other half was not (held). The findings are sentences
of the sample papers and, if present, sentences of arXiv abstracts and the honest claims and paraphrases of
the test data that are supported without a frame. Exit code 9 if more than `LIMIT` of a half is supported.
``--list`` prints what passes of a kind ("all" for every kind), of the seen half only.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from claims import load, ours_with_abstracts

from paperagent.feeds.reader import open_feed
from paperagent.text.sentences import split_sentences
from paperagent.types import Paper
from paperagent.verification import check

sys.path.append(str(Path(__file__).parents[1] / "tests/verification"))
import frame_grammar

GATE_FAILED = 9
LIMIT = 0.03
"""Maximum share of the framed findings of a half that may be supported."""
Case = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Frame findings of every source and print the shares that are supported."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[1] / "../shared")
    parser.add_argument("--rounds", type=int, default=10, help="how often each template is used, per source")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--list", metavar="KIND", help="print what passes of this kind, of the seen half")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    figures: dict[str, dict[str, tuple[float, int]]] = {}
    began, count = time.process_time(), 0
    halves: tuple[frame_grammar.Half, ...] = ("seen", "held")
    for half in halves:
        passed: dict[str, list[bool]] = defaultdict(list)
        for source, cases in sources(args.shared, args.seed).items():
            texts = [case["claim"] for case in cases]
            for index, framed in frame_grammar.framed(texts, half, rounds=args.rounds, seed=args.seed):
                good = is_supported(cases[index], framed.claim)
                for name in ("all", f"findings: {source}", framed.kind):
                    passed[name].append(good)
                if good and half == "seen" and args.list in (framed.kind, "all"):
                    print(f"  {framed.kind}: {framed.claim}")
                count += 1
        figures[half] = {name: (sum(v) / len(v), len(v)) for name, v in passed.items()}
    rate = count / (time.process_time() - began)
    if args.json:
        print(json.dumps({**figures, "claims a second": rate}))
    else:
        report(figures, rate)
    return GATE_FAILED if any(f["all"][0] > LIMIT for f in figures.values()) else 0


def report(figures: Mapping[str, Mapping[str, tuple[float, int]]], rate: float) -> None:
    """Print the shares of both halves side by side."""
    print(f"{'called supported':32} {'seen':>8} {'of':>6} {'held':>10} {'of':>6}")
    for name, (share, count) in figures["seen"].items():
        held, held_count = figures["held"][name]
        print(f"{name:32} {share:8.3f} {count:6} {held:10.3f} {held_count:6}")
    print(f"{rate:.0f} claims a second of CPU")


def is_supported(case: Case, claim: str) -> bool:
    """Return whether a claim about the evidence of a case is supported."""
    verdict = check(
        claim,
        case["evidence"],
        titles=case.get("titles", ()),
        abstracts=[case["abstract"]] if case.get("abstract") else (),
        question=case.get("question", ""),
    )
    return verdict.support in ("quoted", "supported")


def sources(shared: Path, seed: int) -> dict[str, list[Case]]:
    """Return findings that are supported without a frame, by source."""
    data = shared / "data"
    candidates = {"sample papers": [*sample_sentences(), *honest(ours_with_abstracts())]}
    if (data / "arxiv/abstracts.jsonl.xz").exists():
        candidates["arXiv sentences"] = list(arxiv_sentences(data / "arxiv/abstracts.jsonl.xz", seed))
    if (data / "claims/dev.jsonl").exists():
        candidates["honest claims"] = honest(load(data / "claims/dev.jsonl"))
    if (data / "support/paraphrases.jsonl").exists():
        rows = load(data / "support/paraphrases.jsonl")
        candidates["paraphrases"] = [
            {"claim": r["claim"], "evidence": r["evidence"], "titles": [r["paper_title"]],
             "abstract": " ".join(r["abstract"])}
            for r in rows if r["label"]
        ]  # fmt: skip
    return {name: [c for c in cases if is_supported(c, c["claim"])] for name, cases in candidates.items()}


def honest(rows: Sequence[Case]) -> list[Case]:
    """Return the rows of honest claims."""
    return [row for row in rows if row["label"] == "honest"]


def sample_sentences() -> list[Case]:
    """Return the sentences of the sample papers as claims."""
    with open_feed("sample") as feed:
        papers = [paper for paper in feed.records if isinstance(paper, Paper)]
    return [case for paper in papers for case in sentences_of(paper.title, paper.abstract)]


def sentences_of(title: str, abstract: str) -> Iterator[Case]:
    """Yield each sentence of an abstract as a claim that cites it."""
    for sentence in split_sentences(abstract):
        if 8 <= len(sentence.text.split()) <= 60:
            yield {"claim": sentence.text, "evidence": [sentence.text], "titles": [title],
                   "abstract": abstract}  # fmt: skip


def arxiv_sentences(path: Path, seed: int, papers: int = 400) -> Iterator[Case]:
    """Yield the sentences of a sample of arXiv abstracts as claims."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for row in random.Random(seed).sample(rows, papers):  # noqa: S311 - a reproducible sample, not a secret
        yield from sentences_of(row["title"], row["abstract"])


if __name__ == "__main__":
    sys.exit(main())
