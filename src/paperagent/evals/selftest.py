"""Measure which faults the scorers detect, by injecting known faults into right answers.

A scorer that never objects would make every run look good. `FAULTS` are injected, one at a time, into right
answers; an answer is flagged if one of the `METRICS_WATCHED` falls below 1. The number of right answers that
are flagged (`HONEST`) is just as important.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from paperagent.answering.citations import cite, join_claims, quoted_claim
from paperagent.errors import GateError, InputError
from paperagent.evals import mutations
from paperagent.evals.cases import Case
from paperagent.evals.scorers import METRICS
from paperagent.evals.stats import wilson
from paperagent.text.sentences import split_sentences
from paperagent.types import Answer, Citation, Claim, Hit, Paper

METRICS_WATCHED = (
    "pointer_validity", "quote_validity", "citation_precision", "citation_recall", "number_support",
    "answerable_accuracy",
)  # fmt: skip
"""The metrics that are 1 for every right answer, whatever its case expects."""
MAX_ANSWERS = 200
"""Number of answers of each kind."""
FLOOR = 0.9
"""Default minimum share of each kind of fault that must be flagged."""
CEILING = 0.0
"""Maximum share of untouched answers that may be flagged."""
_SENTENCE_WORDS = range(8, 61)
"""Lengths in words of the sentences that are used: shorter ones are headings, longer ones badly split."""
_INVENTED = "These results were confirmed by an independent group on a second collection."


@dataclass(frozen=True, slots=True)
class AnswerExample:
    """A case with an answer to its question."""

    case: Case
    answer: Answer


Fault = Callable[[AnswerExample, random.Random], AnswerExample | None]
"""Injects a fault into an answer, or returns None if that is impossible."""


@dataclass(frozen=True, slots=True)
class FaultResult:
    """Numbers of answers of one kind, in total and flagged."""

    kind: str
    faulty: bool
    """Whether they should be flagged."""
    flagged: int
    n: int
    by: Mapping[str, int]
    """Number of answers flagged by each metric; several may flag the same answer."""
    wrong: Sequence[AnswerExample] = field(default=(), repr=False)
    """Faulty answers that were not flagged, or right answers that were."""

    @property
    def share(self) -> float | None:
        """Share of flagged answers; None without answers."""
        return self.flagged / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share."""
        return wilson(self.flagged, self.n)

    def passes(self, floor: float, ceiling: float) -> bool:
        """Return whether enough faults, or few enough untouched answers, were flagged.

        Reworded answers are reported, but have no limit.
        """
        if self.share is None or self.kind == "honestly reworded":
            return True
        return self.share >= floor if self.faulty else self.share <= ceiling

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        low, high = self.interval
        return {
            "kind": self.kind, "faulty": self.faulty, "n": self.n, "flagged": self.flagged,
            "share": self.share, "low": low, "high": high, "by": dict(self.by),
        }  # fmt: skip


def run_selftest(
    papers: Iterable[Paper], *, max_answers: int = MAX_ANSWERS, seed: int = 7
) -> list[FaultResult]:
    """Test the scorers on answers that quote the sentences of ``papers``; reproducible for a seed.

    Raises:
        InputError: The abstracts have too few sentences.
    """
    by_id = {p.paper_id: p for p in papers}
    answers = right_answers(by_id.values())
    if not answers:
        raise InputError(
            "papers: no abstract has two sentences of 8 to 60 words; read a feed, or omit --library"
        )
    kinds = [(kind, fault, True) for kind, fault in FAULTS.items()]
    kinds += [(kind, change, False) for kind, change in HONEST.items()]
    return [
        _count_flagged(
            kind,
            list(examples(fault, answers, max_answers=max_answers, seed=f"{seed}{kind}")),
            by_id,
            faulty=faulty,
        )
        for kind, fault, faulty in kinds
    ]


def _count_flagged(
    kind: str, changed: Sequence[AnswerExample], papers: Mapping[str, Paper], *, faulty: bool
) -> FaultResult:
    flagged_by = [flags(example, papers) for example in changed]
    wrong = [e for e, names in zip(changed, flagged_by, strict=True) if bool(names) != faulty]
    by = Counter(name for names in flagged_by for name in names)
    return FaultResult(kind, faulty, sum(map(bool, flagged_by)), len(changed), dict(by.most_common()), wrong)


def flags(example: AnswerExample, papers: Mapping[str, Paper]) -> list[str]:
    """Return the watched metrics that are below 1 for an answer."""
    names = []
    for name in METRICS_WATCHED:
        scorer = METRICS[name].score
        assert scorer is not None
        score = scorer(example.case, example.answer, papers)
        if score is not None and score < 1:
            names.append(name)
    return names


def require(results: Sequence[FaultResult], *, floor: float = FLOOR, ceiling: float = CEILING) -> None:
    """Raise an error if too few faults of a kind, or too many untouched answers, are flagged.

    Raises:
        GateError: Names the kinds that fail. A kind without answers passes.
    """
    failed = [f"{r.kind} {r.flagged} of {r.n}" for r in results if not r.passes(floor, ceiling)]
    if failed:
        raise GateError(
            f"selftest: the scorers fall short: {', '.join(failed)} flagged "
            f"(required: >= {floor:g} of faults, <= {ceiling:g} of untouched answers); look at --missed"
        )


def right_answers(papers: Iterable[Paper]) -> list[AnswerExample]:
    """Return an answer for each sentence of the abstracts, which quotes it and its predecessor.

    Two papers are retrieved for each answer: the cited one and the one before it.
    """
    usable = [
        (paper, [s for s in split_sentences(paper.abstract) if len(s.text.split()) in _SENTENCE_WORDS])
        for paper in papers
    ]
    usable = [(paper, sentences) for paper, sentences in usable if len(sentences) > 1]
    answers = []
    for i, (paper, sentences) in enumerate(usable):
        hits = (Hit(paper, 1.0, 1), Hit(usable[i - 1][0], 0.5, 2))
        for j, sentence in enumerate(sentences):
            citations = (cite(1, paper, sentence), cite(2, paper, sentences[j - 1]))
            answer = _answer(paper.title, citations, hits if len(usable) > 1 else hits[:1])
            answers.append(AnswerExample(_case(f"{paper.paper_id}/{j}", paper), answer))
    return answers


def _case(name: str, paper: Paper) -> Case:
    return Case(id=name, question=f"What does “{paper.title}” say?", kind="selftest", k=None)


def _answer(question: str, citations: Sequence[Citation], hits: tuple[Hit, ...]) -> Answer:
    claims = tuple(map(quoted_claim, citations))
    text = join_claims(claims, citations)
    return Answer(question, "answered", None, text, claims, tuple(citations), hits)


def _with_claim(example: AnswerExample, claim: Claim) -> AnswerExample:
    """Return the example with another first claim."""
    claims = (claim, *example.answer.claims[1:])
    text = join_claims(claims, example.answer.citations)
    return replace(example, answer=replace(example.answer, claims=claims, answer=text))


def _with_citation(example: AnswerExample, citation: Citation) -> AnswerExample:
    citations = (citation, *example.answer.citations[1:])
    return replace(example, answer=replace(example.answer, citations=citations))


def _mutate_claim(mutate: mutations.Mutation) -> Fault:
    """Return a fault that mutates the text of the first claim."""

    def fault(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
        claim = example.answer.claims[0]
        text = mutate(claim.text, chance)
        if text is None or text == claim.text:
            return None
        return _with_claim(example, replace(claim, text=text, support="supported"))

    return fault


def wrong_pointer(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Point at another sentence of the same paper."""
    claim = replace(example.answer.claims[0], citations=(2,), support="supported")
    return _with_claim(example, claim)


def other_paper(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Point at a sentence of the other retrieved paper."""
    others = [h.paper for h in example.answer.hits if h.paper_id != example.answer.citations[0].paper_id]
    if not others:
        return None
    sentence = chance.choice(split_sentences(others[0].abstract))
    return _with_citation(example, cite(1, others[0], sentence))


def quote_cut(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Shorten the quote, but not its offsets."""
    citation = example.answer.citations[0]
    words = citation.quote.split()
    shortened = " ".join(words[: chance.randint(len(words) // 2, len(words) - 1)])
    return _with_citation(example, replace(citation, quote=shortened))


def quote_shortened(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Quote only the first half of the sentence: the quote is valid, but the claim says more."""
    citation = example.answer.citations[0]
    gaps = [m.start() for m in re.finditer(r"\s", citation.quote)]
    cut = chance.choice(gaps[len(gaps) // 3 : len(gaps) // 2 + 1])
    short = replace(citation, quote=citation.quote[:cut], end=citation.start + cut)
    return _with_citation(example, short)


def invented_citation(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Cite something that does not exist: a citation number, a paper, or a sentence."""
    claim, citation = example.answer.claims[0], example.answer.citations[0]
    how = chance.randrange(3)
    if how == 0:
        return _with_claim(example, replace(claim, citations=(1, 9)))
    if how == 1:
        return _with_citation(example, replace(citation, paper_id="2999.00001", title="A paper of nobody"))
    invented = replace(citation, quote=_INVENTED, end=citation.start + len(_INVENTED))
    claimed = replace(claim, text=_INVENTED, support="supported")
    return _with_claim(_with_citation(example, invented), claimed)


def citation_left_out(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Remove the citation of a claim: it inherits none from the claim before it."""
    return _with_claim(example, replace(example.answer.claims[0], citations=(), support="supported"))


def claim_added(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Append an unsupported sentence to a claim, under the same citation."""
    claim = example.answer.claims[0]
    unsupported = chance.choice(
        ("The code and all data are freely available.", "This holds for every language.", _INVENTED)
    )
    text = f"{claim.text} {unsupported}"
    return _with_claim(example, replace(claim, text=text, support="supported"))


def unanswerable(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Make the question unanswerable, so that the answer should have been an abstention."""
    return replace(example, case=example.case.model_copy(update={"answerable": False}))


def refused(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Abstain from an answerable question."""
    silent = replace(
        example.answer, status="abstained", reason="not_in_abstracts", answer="", claims=(), citations=()
    )
    return replace(example, answer=silent)


def empty(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Give an empty answer."""
    return replace(example, answer=replace(example.answer, answer="", claims=(), citations=()))


FAULTS: Mapping[str, Fault] = {
    "wrong pointer": wrong_pointer,
    "other paper": other_paper,
    "number changed": _mutate_claim(mutations.change_number),
    "numbers swapped": _mutate_claim(mutations.swap_numbers),
    "negation dropped": _mutate_claim(mutations.remove_negation),
    "negation added": _mutate_claim(mutations.add_negation),
    "antonym": _mutate_claim(mutations.put_antonym),
    "hedge removed": _mutate_claim(mutations.drop_hedge),
    "words swapped": _mutate_claim(mutations.swap_words),
    "sides swapped": _mutate_claim(mutations.swap_sides),
    "claim added": claim_added,
    "quote cut": quote_cut,
    "quote shortened": quote_shortened,
    "invented citation": invented_citation,
    "citation left out": citation_left_out,
    "answer to unanswerable": unanswerable,
    "answerable refused": refused,
    "empty answer": empty,
}
"""The faults by kind."""


def untouched(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Leave the answer as it is."""
    return example


HONEST: Mapping[str, Fault] = {"untouched": untouched, "honestly reworded": _mutate_claim(mutations.reword)}
"""Changes after which the answer is still right, by kind."""


def examples(
    fault: Fault, answers: Sequence[AnswerExample], *, max_answers: int, seed: str
) -> Iterator[AnswerExample]:
    """Yield up to ``max_answers`` answers with the fault, in a random order that depends on the seed."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    remaining = max_answers
    for example in chance.sample(answers, len(answers)):
        changed = fault(example, chance) if remaining else None
        if changed is not None:
            remaining -= 1
            yield changed
