"""Does the harness see faults? Put known ones into right answers and count what is flagged.

A scorer that is always content would make every run look good. Each kind of fault is put into
answers that are right; an answer is flagged where one of `WATCHED` falls below 1. The second
figure is as important: how many answers are flagged that are right.

Right answers, and what can be wrong with one: each fault is put in on purpose, one at a time. Pure.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from paperagent.answering.citations import cite, join, quoted_claim
from paperagent.errors import GateError, InputError
from paperagent.evals import mutations
from paperagent.evals.cases import Case
from paperagent.evals.scorers import METRICS
from paperagent.evals.stats import wilson
from paperagent.text.sentences import split_sentences
from paperagent.types import Answer, Citation, Claim, Hit, Paper

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


_WORDS = range(8, 61)
"""Words of a sentence that is used: shorter ones are headings, longer ones badly split."""
_INVENTED = "These results were confirmed by an independent group on a second collection."


@dataclass(frozen=True, slots=True)
class AnswerExample:
    """A question's case with an answer to it."""

    case: Case
    answer: Answer


Fault = Callable[[AnswerExample, random.Random], AnswerExample | None]
"""Puts one fault in, or returns None where the answer offers no place for it."""


def right_answers(papers: Iterable[Paper]) -> list[AnswerExample]:
    """Return an answer for every two sentences of an abstract, quoted, with two papers retrieved."""
    known = [(p, [s for s in split_sentences(p.abstract) if len(s.text.split()) in _WORDS]) for p in papers]
    known = [(p, sentences) for p, sentences in known if len(sentences) > 1]
    found = []
    for i, (paper, sentences) in enumerate(known):
        hits = tuple(
            Hit(p, score, rank)
            for rank, (p, score) in enumerate(((paper, 1.0), (known[i - 1][0], 0.5)), start=1)
        )
        for j, sentence in enumerate(sentences):
            cited = (cite(1, paper, sentence), cite(2, paper, sentences[j - 1]))
            retrieved = hits if len(known) > 1 else hits[:1]
            found.append(
                AnswerExample(_case(f"{paper.paper_id}/{j}", paper), _answer(paper.title, cited, retrieved))
            )
    return found


def _case(name: str, paper: Paper) -> Case:
    return Case(id=name, question=f"What does “{paper.title}” say?", kind="selftest", k=None)


def _answer(question: str, cited: Sequence[Citation], hits: tuple[Hit, ...]) -> Answer:
    claims = tuple(map(quoted_claim, cited))
    text = join(claims, cited)
    return Answer(question, "answered", None, text, claims, tuple(cited), hits)


def _with_claim(example: AnswerExample, claim: Claim) -> AnswerExample:
    """Return the example with another first claim, which still calls itself supported."""
    claims = (claim, *example.answer.claims[1:])
    text = join(claims, example.answer.citations)
    return replace(example, answer=replace(example.answer, claims=claims, answer=text))


def _with_citation(example: AnswerExample, citation: Citation) -> AnswerExample:
    citations = (citation, *example.answer.citations[1:])
    return replace(example, answer=replace(example.answer, citations=citations))


def _says(mutate: mutations.Mutation) -> Fault:
    """Return the fault that changes what the first claim says."""

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
    """Point at a sentence of another paper that was retrieved too."""
    others = [h.paper for h in example.answer.hits if h.paper_id != example.answer.citations[0].paper_id]
    if not others:
        return None
    sentence = chance.choice(split_sentences(others[0].abstract))
    return _with_citation(example, cite(1, others[0], sentence))


def quote_cut(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Leave out a part of the quote, but not of its place."""
    citation = example.answer.citations[0]
    words = citation.quote.split()
    kept = " ".join(words[: chance.randint(len(words) // 2, len(words) - 1)])
    return _with_citation(example, replace(citation, quote=kept))


def quote_shortened(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Point at the first half of the sentence only: the quote is right, the claim says more."""
    citation = example.answer.citations[0]
    gaps = [m.start() for m in re.finditer(r"\s", citation.quote)]
    cut = chance.choice(gaps[len(gaps) // 3 : len(gaps) // 2 + 1])
    short = replace(citation, quote=citation.quote[:cut], end=citation.start + cut)
    return _with_citation(example, short)


def invented_citation(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Cite what is not there: a number without a source, a paper or a sentence that nobody wrote."""
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
    """Leave a claim without a citation: it inherits none from its neighbour."""
    return _with_claim(example, replace(example.answer.claims[0], citations=(), support="supported"))


def claim_added(example: AnswerExample, chance: random.Random) -> AnswerExample | None:
    """Let a claim of the model's own ride on the citation of a right one."""
    claim = example.answer.claims[0]
    own = chance.choice(
        ("The code and all data are freely available.", "This holds for every language.", _INVENTED)
    )
    return _with_claim(example, replace(claim, text=f"{claim.text} {own}", support="supported"))  # fmt: skip


def unanswerable(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Answer a question that the library cannot answer."""
    return replace(example, case=example.case.model_copy(update={"answerable": False}))


def refused(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Abstain from a question that the library answers."""
    silent = replace(
        example.answer, status="abstained", reason="not_in_abstracts", answer="", claims=(), citations=()
    )
    return replace(example, answer=silent)


def empty(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Answer with nothing."""
    return replace(example, answer=replace(example.answer, answer="", claims=(), citations=()))


FAULTS: Mapping[str, Fault] = {
    "wrong pointer": wrong_pointer,
    "other paper": other_paper,
    "number changed": _says(mutations.change_number),
    "numbers swapped": _says(mutations.swap_numbers),
    "negation dropped": _says(mutations.remove_negation),
    "negation added": _says(mutations.add_negation),
    "antonym": _says(mutations.put_antonym),
    "hedge removed": _says(mutations.drop_hedge),
    "words swapped": _says(mutations.swap_words),
    "sides swapped": _says(mutations.swap_sides),
    "claim added": claim_added,
    "quote cut": quote_cut,
    "quote shortened": quote_shortened,
    "invented citation": invented_citation,
    "citation left out": citation_left_out,
    "answer to unanswerable": unanswerable,
    "answerable refused": refused,
    "empty answer": empty,
}
"""Kind → what puts it in."""


def untouched(example: AnswerExample, _chance: random.Random) -> AnswerExample | None:
    """Change nothing."""
    return example


HONEST: Mapping[str, Fault] = {"untouched": untouched, "honestly reworded": _says(mutations.reword)}
"""Kind → a change, or none, after which the answer is still right."""


def examples(
    fault: Fault, answers: Sequence[AnswerExample], *, most: int, seed: str
) -> Iterator[AnswerExample]:
    """Yield up to ``most`` answers with the fault in them, of answers taken in a fixed random order."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable sample, no secret
    left = most
    for example in chance.sample(answers, len(answers)):
        changed = fault(example, chance) if left else None
        if changed is not None:
            left -= 1
            yield changed
