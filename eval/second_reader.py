"""Print what a second reader that is right nine times in ten makes of claims, end to end.

    python eval/second_reader.py [--shared ../shared] [--seeds 40]

The claims are those of `claims.py`: our own about the sample papers, and where they lie beside the
shared ones. Each goes the way of a model's claim: its pointers are resolved, wording is checked, and a
second reader is asked where the policy says so. The reader is scripted: right on 90 % of the claims,
by one draw a claim, so that asking it twice would not help. Readers differ in how sure they are, and
in which claims they get wrong.

Exit code 9 where ``always`` misses the goal although errors fall anywhere: wrong claims called supported
≤ .040; honest ones withheld ≤ .020, or .015 more than wording alone withholds.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import claims

from paperagent.answering.claims import ClaimCollector
from paperagent.answering.judge import LABELS, JudgeItem, JudgeOpinion, JudgeWhen, SupportItem, review_claims
from paperagent.answering.passages import Passages
from paperagent.answering.reply import WrittenClaim
from paperagent.text.sentences import split_sentences
from paperagent.types import Citation, Claim, Paper
from paperagent.verification import check

RIGHT = 0.9
WRONG_SUPPORTED, HONEST_WITHHELD, MORE_WITHHELD = 0.04, 0.02, 0.015


@dataclass(frozen=True)
class Case:
    """A claim that went through the check of its wording."""

    honest: bool
    writer: str
    """Who wrote it, of the honest ones; the kind of its fault, of the wrong ones."""
    question: str
    claim: Claim
    citations: tuple[Citation, ...]
    withheld: bool
    paper: Paper

    @property
    def score(self) -> float:
        """The score of its wording."""
        return float(self.claim.checks.get("score", 0.0))


def read_cases(rows: Sequence[claims.Row]) -> list[Case]:
    """Return the claims that cite one paper, each checked."""
    return [_case(n, row) for n, row in enumerate(rows) if len(row["titles"]) == 1]


def _case(number: int, row: claims.Row) -> Case:
    paper = Paper(str(number), row["titles"][0], row["abstract"])
    passages = Passages.from_papers([paper], salt="s")
    ledger = ClaimCollector(check, "withhold", row["question"])
    checked = ledger.check(
        WrittenClaim(text=row["claim"], evidence=list(_pointers(paper, row["evidence"]))), passages
    )
    honest = row["label"] == "honest"
    return Case(
        honest, row["kind"], row["question"], checked.claim, checked.citations, checked.is_rejected, paper
    )


def _pointers(paper: Paper, evidence: Sequence[str]) -> Iterator[str]:
    """Yield the numbers of the sentences that hold the evidence."""
    for text in evidence:
        start = paper.abstract.index(text)
        for n, sentence in enumerate(split_sentences(paper.abstract), start=1):
            if sentence.start < start + len(text) and start < sentence.end:
                yield f"1.{n}"


# --- readers ---

Sure = Callable[[random.Random, bool], float]
"""How sure the reader is of what it says (0.5 to 1 mostly), for a right and for a wrong opinion."""


def _beta(right: tuple[float, float], wrong: tuple[float, float]) -> Sure:
    return lambda draw, is_right: draw.betavariate(*(right if is_right else wrong))


READERS: dict[str, Sure] = {
    "less sure when wrong": _beta((8, 2), (5, 3)),
    "as sure when wrong": _beta((8, 2), (8, 2)),
    "very sure, right or wrong": _beta((40, 1), (40, 1)),
    "bare labels": lambda draw, is_right: LABELS["supported"],  # noqa: ARG005
}


def errors_anywhere(cases: Sequence[Case], draw: random.Random) -> set[int]:
    """Return which claims the reader gets wrong: any, one by one."""
    return {i for i in range(len(cases)) if draw.random() >= RIGHT}


def errors_with_wording(cases: Sequence[Case], draw: random.Random) -> set[int]:
    """Return which claims the reader gets wrong: among those that deceive wording most, half at random.

    Honest claims of the lowest fifth by score, and wrong ones of the highest.
    """
    chosen: set[int] = set()
    for honest in (True, False):
        ranked = sorted(
            (i for i, c in enumerate(cases) if c.honest is honest),
            key=lambda i: cases[i].score if honest else -cases[i].score,
        )
        hard = ranked[: round(len(ranked) * 2 * (1 - RIGHT))]
        chosen |= {i for i in hard if draw.random() < 0.5}
    return chosen


@dataclass
class Reader:
    """A scripted second reader. Implements `judge.Judge`."""

    said: dict[str, float]
    calls: int = 0

    def ask(self, items: Sequence[JudgeItem], *, max_cost: float | None = None) -> JudgeOpinion:
        """Return what it says of each claim."""
        del max_cost
        self.calls += 1
        found = (self.said[i.claim] if isinstance(i, SupportItem) else None for i in items)
        return JudgeOpinion(tuple(found), model="scripted")


def reader_of(cases: Sequence[Case], sure: Sure, errors: set[int], draw: random.Random) -> Reader:
    """Return a reader of these claims."""
    said = {}
    for i, case in enumerate(cases):
        confidence = sure(draw, i not in errors)
        yes = case.honest is (i not in errors)
        said[case.claim.text] = confidence if yes else 1 - confidence
    return Reader(said)


# --- end to end ---


def answers(cases: Sequence[Case]) -> list[list[Case]]:
    """Return answers as a careless model might give them: an honest one, and a wrong claim in its midst.

    Each wrong claim stands in the answers of two writers to its question, and in none where there are none.
    """
    honest: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.honest and case.writer in ("fluent", "fluent, free"):
            honest[case.question, case.writer].append(case)
    wrong = [case for case in cases if not case.honest]
    return [[*honest[case.question, writer], case] for case in wrong for writer in ("fluent", "fluent, free")]


def outcome(answer: Sequence[Case], reader: Reader, when: JudgeWhen) -> list[str]:
    """Return how each claim of an answer ends: its support, or ``withheld``."""
    ledger = ClaimCollector(check, "withhold", answer[0].question)
    places: dict[int, int] = {}
    for i, case in enumerate(answer):
        if not case.withheld:
            first = len(ledger.citations)
            cited = [replace(c, n=first + k) for k, c in enumerate(case.citations, start=1)]
            places[i] = cited[0].n
            ledger.citations += cited
            ledger.claims.append(replace(case.claim, citations=tuple(c.n for c in cited)))
    review_claims(ledger, reader, when, [case.paper for case in answer])
    ended = {claim.citations[0]: claim.support for claim in ledger.claims}
    return [ended.get(places.get(i, 0), "withheld") for i in range(len(answer))]


def figures(asked: Sequence[Sequence[Case]], reader: Reader, when: JudgeWhen) -> dict[str, float]:
    """Return the shares of outcomes over all claims of answers, and calls an answer."""
    ended: Counter[tuple[bool, str]] = Counter()
    for answer in asked:
        for case, end in zip(answer, outcome(answer, reader, when), strict=True):
            ended[case.honest, end] += 1
    total = {honest: sum(n for (h, _), n in ended.items() if h is honest) for honest in (True, False)}
    shown = ("quoted", "supported")
    return {
        "wrong supported": sum(ended[False, s] for s in shown) / total[False],
        "honest withheld": ended[True, "withheld"] / total[True],
        "wrong withheld": ended[False, "withheld"] / total[False],
        "honest supported": sum(ended[True, s] for s in shown) / total[True],
        "calls": reader.calls / len(asked),
    }


def spread(rows: Iterable[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Return mean and largest value of each figure."""
    gathered: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            gathered[name].append(value)
    return {name: (sum(values) / len(values), max(values)) for name, values in gathered.items()}


NAMES = ("wrong supported", "honest withheld", "wrong withheld", "honest supported", "calls")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables of every set; 9 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=claims.HERE.parent / "../shared")
    parser.add_argument("--seeds", type=int, default=40)
    given = parser.parse_args(argv)
    sets, others = {"sample papers": claims.ours_with_abstracts()}, given.shared / "data/claims/dev.jsonl"
    if others.exists():
        sets["shared claims"] = claims.load(others)
    missed = False
    for name, rows in sets.items():
        cases = read_cases(rows)
        opened = sum(case.claim.support == "unverified" for case in cases)
        honest = sum(case.honest for case in cases)
        print(f"{name}: {len(cases)} claims, {honest} honest; wording leaves {opened} open")
        missed |= _tables(cases, given.seeds)
    return claims.GATE_FAILED if missed else 0


def _tables(cases: Sequence[Case], seeds: int) -> bool:
    """Print the tables of one set; tell whether a goal is missed."""
    ways: list[tuple[str, list[list[Case]], JudgeWhen]] = [
        ("always", [[case] for case in cases], "always"),
        ("auto, each claim alone in its answer", [[case] for case in cases], "auto"),
        ("auto, a wrong claim among honest ones", answers(cases), "auto"),
    ]
    missed = False
    for title, asked, when in ways:
        print(f"\n  {title}: mean (largest) of {seeds} draws")
        print(" " * 50 + "".join(f"{n:>18}" for n in NAMES))
        alone = figures(asked, Reader({}), "never")
        print(f"  {'no second reader':48}" + "".join(f"{alone[n]:>18.3f}" for n in NAMES))
        for errors in (errors_anywhere, errors_with_wording):
            for name, sure in READERS.items():
                found = spread(_drawn(cases, asked, (sure, errors), when, seeds))
                where = "" if errors is errors_anywhere else ", misled as wording is"
                cells = "".join(f"{f'{found[n][0]:.3f} ({found[n][1]:.3f})':>18}" for n in NAMES)
                print(f"  {name + where:48}" + cells)
                most = max(HONEST_WITHHELD, alone["honest withheld"] + MORE_WITHHELD)
                over = found["wrong supported"][0] > WRONG_SUPPORTED or found["honest withheld"][0] > most
                missed |= over and when == "always" and errors is errors_anywhere
    print()
    return missed


def _drawn(
    cases: Sequence[Case],
    asked: Sequence[Sequence[Case]],
    how: tuple[Sure, Callable[[Sequence[Case], random.Random], set[int]]],
    when: JudgeWhen,
    seeds: int,
) -> Iterator[dict[str, float]]:
    sure, errors = how
    for seed in range(seeds):
        draw = random.Random(seed)  # noqa: S311 - no secret
        yield figures(asked, reader_of(cases, sure, errors(cases, draw), draw), when)


if __name__ == "__main__":
    sys.exit(main())
