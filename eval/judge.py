"""Measure claims end to end with a judge that is right nine times out of ten.

    python eval/judge.py [--shared ../shared] [--seeds 40]

The claims are those of `claims.py`: our own about the sample papers and, if present, those of the test
data. Each is processed like a model's claim: its pointers are resolved, its wording is checked, and the
judge is asked if the policy says so. The judge is scripted: right on 90 % of the claims, by one draw per
claim, so that asking twice would not help. Judges differ in how confident they are and in which claims they
get wrong. By another draw, they are right on 90 % of the cited sentences, all of which are statements.

Exit code 9 if the policy ``always`` misses its goals with random errors: at most .040 of the wrong claims
supported, and at most .020 of the honest ones withheld (or .015 more than wording alone withholds).
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
from paperagent.answering.judge import (
    LABELS,
    JudgeItem,
    JudgeOpinion,
    JudgeWhen,
    StatementItem,
    SupportItem,
    review_claims,
)
from paperagent.answering.passages import Passages
from paperagent.answering.reply import WrittenClaim
from paperagent.text.sentences import split_sentences
from paperagent.types import Citation, Claim, Paper
from paperagent.verification import check

RIGHT = 0.9
WRONG_SUPPORTED, HONEST_WITHHELD, MORE_WITHHELD = 0.04, 0.02, 0.015


@dataclass(frozen=True)
class Case:
    """A claim whose wording was checked."""

    honest: bool
    writer: str
    """The writer of an honest claim, or the kind of fault of a wrong one."""
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
    """Return the checked claims that cite a single paper."""
    return [_case(n, row) for n, row in enumerate(rows) if len(row["titles"]) == 1]


def _case(number: int, row: claims.Row) -> Case:
    paper = Paper(str(number), row["titles"][0], row["abstract"])
    passages = Passages.from_papers([paper], salt="s")
    collector = ClaimCollector(check, "withhold", row["question"])
    checked = collector.check(
        WrittenClaim(text=row["claim"], evidence=list(_pointers(paper, row["evidence"]))), passages
    )
    honest = row["label"] == "honest"
    return Case(
        honest, row["kind"], row["question"], checked.claim, checked.citations, checked.is_rejected, paper
    )


def _pointers(paper: Paper, evidence: Sequence[str]) -> Iterator[str]:
    """Yield the pointers of the sentences that contain the evidence."""
    for text in evidence:
        start = paper.abstract.index(text)
        for n, sentence in enumerate(split_sentences(paper.abstract), start=1):
            if sentence.start < start + len(text) and start < sentence.end:
                yield f"1.{n}"


# --- scripted judges ---

Confidence = Callable[[random.Random, bool], float]
"""Draws the judge's confidence (mostly .5 to 1) in a right or wrong opinion."""


def _beta(right: tuple[float, float], wrong: tuple[float, float]) -> Confidence:
    return lambda draw, is_right: draw.betavariate(*(right if is_right else wrong))


JUDGES: dict[str, Confidence] = {
    "less sure when wrong": _beta((8, 2), (5, 3)),
    "as sure when wrong": _beta((8, 2), (8, 2)),
    "very sure, right or wrong": _beta((40, 1), (40, 1)),
    "bare labels": lambda draw, is_right: LABELS["supported"],  # noqa: ARG005
}


def random_errors(cases: Sequence[Case], draw: random.Random) -> set[int]:
    """Return the claims that the judge gets wrong: independent of each other."""
    return {i for i in range(len(cases)) if draw.random() >= RIGHT}


def errors_like_wording(cases: Sequence[Case], draw: random.Random) -> set[int]:
    """Return the claims that the judge gets wrong: half of those that mislead the wording check most.

    These are the honest claims in the lowest fifth by score, and the wrong ones in the highest fifth.
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
class ScriptedJudge:
    """A scripted judge. Implements `judge.Judge`."""

    probabilities: dict[str, float]
    """By claim, or by the first cited sentence."""
    calls: int = 0

    def ask(self, items: Sequence[JudgeItem], *, max_cost: float | None = None) -> JudgeOpinion:
        """Return its opinion of each claim."""
        del max_cost
        self.calls += 1
        return JudgeOpinion(tuple(map(self._opinion, items)), model="scripted")

    def _opinion(self, item: JudgeItem) -> float | None:
        if isinstance(item, SupportItem):
            return self.probabilities[item.claim]
        if isinstance(item, StatementItem):
            return self.probabilities[item.sources[0].sentences[0]]
        return None


def scripted_judge(
    cases: Sequence[Case], confidence_of: Confidence, errors: set[int], draw: random.Random
) -> ScriptedJudge:
    """Return a judge of these claims."""
    probabilities = {}
    for i, case in enumerate(cases):
        confidence = confidence_of(draw, i not in errors)
        yes = case.honest is (i not in errors)
        probabilities[case.claim.text] = confidence if yes else 1 - confidence
    for quote in sorted({citation.quote for case in cases for citation in case.citations}):
        is_right = draw.random() < RIGHT
        confidence = confidence_of(draw, is_right)
        probabilities[quote] = confidence if is_right else 1 - confidence
    return ScriptedJudge(probabilities)


# --- end to end ---


def answers(cases: Sequence[Case]) -> list[list[Case]]:
    """Return answers of a careless model: honest claims with a wrong claim among them.

    Each wrong claim is added to the answers of both writers to its question.
    """
    honest: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.honest and case.writer in ("fluent", "fluent, free"):
            honest[case.question, case.writer].append(case)
    wrong = [case for case in cases if not case.honest]
    return [[*honest[case.question, writer], case] for case in wrong for writer in ("fluent", "fluent, free")]


def outcome(answer: Sequence[Case], judge: ScriptedJudge, when: JudgeWhen) -> list[str]:
    """Return the outcome of each claim of an answer: its support, or ``withheld``."""
    collector = ClaimCollector(check, "withhold", answer[0].question)
    first_citation: dict[int, int] = {}
    for i, case in enumerate(answer):
        if not case.withheld:
            first = len(collector.citations)
            citations = [replace(c, n=first + k) for k, c in enumerate(case.citations, start=1)]
            first_citation[i] = citations[0].n
            collector.citations += citations
            collector.claims.append(replace(case.claim, citations=tuple(c.n for c in citations)))
    review_claims(collector, judge, when, [case.paper for case in answer])
    support = {claim.citations[0]: claim.support for claim in collector.claims}
    return [support.get(first_citation.get(i, 0), "withheld") for i in range(len(answer))]


def figures(answer_list: Sequence[Sequence[Case]], judge: ScriptedJudge, when: JudgeWhen) -> dict[str, float]:
    """Return the shares of outcomes over all claims, and the calls per answer."""
    counts: Counter[tuple[bool, str]] = Counter()
    for answer in answer_list:
        for case, result in zip(answer, outcome(answer, judge, when), strict=True):
            counts[case.honest, result] += 1
    total = {honest: sum(n for (h, _), n in counts.items() if h is honest) for honest in (True, False)}
    supported = ("quoted", "supported")
    return {
        "wrong supported": sum(counts[False, s] for s in supported) / total[False],
        "honest withheld": counts[True, "withheld"] / total[True],
        "wrong withheld": counts[False, "withheld"] / total[False],
        "honest supported": sum(counts[True, s] for s in supported) / total[True],
        "calls": judge.calls / len(answer_list),
    }


def spread(rows: Iterable[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Return the mean and the largest value of each figure."""
    by_name: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            by_name[name].append(value)
    return {name: (sum(values) / len(values), max(values)) for name, values in by_name.items()}


NAMES = ("wrong supported", "honest withheld", "wrong withheld", "honest supported", "calls")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables of every set; return 9 if a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=claims.HERE.parent / "../shared")
    parser.add_argument("--seeds", type=int, default=40)
    args = parser.parse_args(argv)
    sets, others = {"sample papers": claims.ours_with_abstracts()}, args.shared / "data/claims/dev.jsonl"
    if others.exists():
        sets["test data"] = claims.load(others)
    missed = False
    for name, rows in sets.items():
        cases = read_cases(rows)
        undecided = sum(case.claim.support == "unverified" for case in cases)
        honest = sum(case.honest for case in cases)
        print(f"{name}: {len(cases)} claims, {honest} honest; wording leaves {undecided} unverified")
        missed |= _tables(cases, args.seeds)
    return claims.GATE_FAILED if missed else 0


def _tables(cases: Sequence[Case], seeds: int) -> bool:
    """Print the tables of one set; return whether a goal is missed."""
    ways: list[tuple[str, list[list[Case]], JudgeWhen]] = [
        ("always", [[case] for case in cases], "always"),
        ("auto, each claim alone in its answer", [[case] for case in cases], "auto"),
        ("auto, a wrong claim among honest ones", answers(cases), "auto"),
    ]
    missed = False
    for title, answer_list, when in ways:
        print(f"\n  {title}: mean (largest) of {seeds} draws")
        print(" " * 50 + "".join(f"{n:>18}" for n in NAMES))
        without_judge = figures(answer_list, ScriptedJudge({}), "never")
        print(f"  {'no judge':48}" + "".join(f"{without_judge[n]:>18.3f}" for n in NAMES))
        for errors in (random_errors, errors_like_wording):
            for name, confidence in JUDGES.items():
                stats = spread(_draws(cases, answer_list, (confidence, errors), when, seeds))
                suffix = "" if errors is random_errors else ", misled like wording"
                cells = "".join(f"{f'{stats[n][0]:.3f} ({stats[n][1]:.3f})':>18}" for n in NAMES)
                print(f"  {name + suffix:48}" + cells)
                most = max(HONEST_WITHHELD, without_judge["honest withheld"] + MORE_WITHHELD)
                over = stats["wrong supported"][0] > WRONG_SUPPORTED or stats["honest withheld"][0] > most
                missed |= over and when == "always" and errors is random_errors
    print()
    return missed


def _draws(
    cases: Sequence[Case],
    answer_list: Sequence[Sequence[Case]],
    judge: tuple[Confidence, Callable[[Sequence[Case], random.Random], set[int]]],
    when: JudgeWhen,
    seeds: int,
) -> Iterator[dict[str, float]]:
    confidence, errors = judge
    for seed in range(seeds):
        draw = random.Random(seed)  # noqa: S311 - not a secret
        yield figures(answer_list, scripted_judge(cases, confidence, errors(cases, draw), draw), when)


if __name__ == "__main__":
    sys.exit(main())
