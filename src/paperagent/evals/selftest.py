"""Does the harness see faults? Put known ones into right answers and count what is flagged.

A scorer that is always content would make every run look good. Each kind of fault is put into
answers that are right; an answer is flagged where one of `WATCHED` falls below 1. The second
figure is as important: how many answers are flagged that are right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paperagent.errors import GateError, InputError
from paperagent.evals.fault_injection import FAULTS, HONEST, AnswerExample, examples, right_answers
from paperagent.evals.scorers import METRICS
from paperagent.evals.stats import wilson
from paperagent.types import Paper

WATCHED = (
    "pointer_validity", "quote_validity", "citation_precision", "citation_recall", "number_support",
    "answerable_accuracy",
)  # fmt: skip
"""What must be 1 for an answer that is right, whatever its case wants said."""
MOST = 200
"""Answers of each kind."""
FLOOR = 0.9
"""Share of each kind of fault that must be seen, where nothing else is asked for."""
CEILING = 0.0
"""Share of untouched answers that may be flagged."""


@dataclass(frozen=True, slots=True)
class FaultResult:
    """What became of the answers of one kind."""

    kind: str
    faulty: bool
    """Whether they should be flagged."""
    flagged: int
    n: int
    by: Mapping[str, int]
    """Metric → answers that it flagged; several may flag one."""
    wrong: Sequence[AnswerExample] = field(default=(), repr=False)
    """Faulty answers that were not flagged, or right ones that were."""

    @property
    def share(self) -> float | None:
        """Flagged answers ÷ answers; None without one."""
        return self.flagged / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The share's 95 % interval."""
        return wilson(self.flagged, self.n)

    def good_enough(self, floor: float, ceiling: float) -> bool:
        """Tell whether enough faults, or few enough untouched answers, are flagged.

        Of honest rewording the share is shown, but nothing is demanded.
        """
        if self.share is None or self.kind == "honestly reworded":
            return True
        return self.share >= floor if self.faulty else self.share <= ceiling

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values."""
        low, high = self.interval
        return {
            "kind": self.kind, "faulty": self.faulty, "n": self.n, "flagged": self.flagged,
            "share": self.share, "low": low, "high": high, "by": dict(self.by),
        }  # fmt: skip


def run_selftest(papers: Iterable[Paper], *, most: int = MOST, seed: int = 7) -> list[FaultResult]:
    """Test the scorers on the sentences of ``papers``; the same seed gives the same figures.

    Raises:
        InputError: the abstracts have too few sentences to make answers of.
    """
    known = {p.paper_id: p for p in papers}
    answers = right_answers(known.values())
    if not answers:
        raise InputError(
            "papers: no abstract has two sentences of 8 to 60 words; read a feed, or leave out --library"
        )
    wanted = [(k, f, True) for k, f in FAULTS.items()] + [(k, f, False) for k, f in HONEST.items()]
    return [
        _count(kind, list(examples(fault, answers, most=most, seed=f"{seed}{kind}")), known, faulty=faulty)
        for kind, fault, faulty in wanted
    ]


def _count(
    kind: str, made: Sequence[AnswerExample], papers: Mapping[str, Paper], *, faulty: bool
) -> FaultResult:
    found = [flags(example, papers) for example in made]
    wrong = [e for e, names in zip(made, found, strict=True) if bool(names) != faulty]
    by = Counter(name for names in found for name in names)
    return FaultResult(kind, faulty, sum(map(bool, found)), len(made), dict(by.most_common()), wrong)


def flags(example: AnswerExample, papers: Mapping[str, Paper]) -> list[str]:
    """Return the metrics that find something wrong with an answer."""
    found = []
    for name in WATCHED:
        score = METRICS[name].score
        assert score is not None
        value = score(example.case, example.answer, papers)
        if value is not None and value < 1:
            found.append(name)
    return found


def require(figures: Sequence[FaultResult], *, floor: float = FLOOR, ceiling: float = CEILING) -> None:
    """Demand that each kind of fault is seen and that untouched answers are left alone.

    Raises:
        GateError: names what falls short. A kind that no answer could be made for is passed over.
    """
    short = [f"{c.kind} {c.flagged} of {c.n}" for c in figures if not c.good_enough(floor, ceiling)]
    if short:
        raise GateError(
            f"selftest: the scorers fall short: {', '.join(short)} flagged "
            f"(wanted >= {floor:g} of faults, <= {ceiling:g} of untouched answers); look at --missed"
        )
