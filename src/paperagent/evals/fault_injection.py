"""Right answers, and what can be wrong with one: each fault is put in on purpose, one at a time. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from paperagent.answering.citations import cite, join_claims, quoted_claim
from paperagent.evals import mutations
from paperagent.evals.cases import Case
from paperagent.text.sentences import split_sentences
from paperagent.types import Answer, Citation, Claim, Hit, Paper

_WORDS = range(8, 61)
"""Words of a sentence that is used: shorter ones are headings, longer ones badly split."""
_INVENTED = "These results were confirmed by an independent group on a second collection."


@dataclass(frozen=True, slots=True)
class Example:
    """A question's case with an answer to it."""

    case: Case
    answer: Answer


Fault = Callable[[Example, random.Random], Example | None]
"""Puts one fault in, or returns None where the answer offers no place for it."""


def right_answers(papers: Iterable[Paper]) -> list[Example]:
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
                Example(_case(f"{paper.paper_id}/{j}", paper), _answer(paper.title, cited, retrieved))
            )
    return found


def _case(name: str, paper: Paper) -> Case:
    return Case(id=name, question=f"What does “{paper.title}” say?", kind="selftest", k=None)


def _answer(question: str, cited: Sequence[Citation], hits: tuple[Hit, ...]) -> Answer:
    claims = tuple(map(quoted_claim, cited))
    text = join_claims(claims, cited)
    return Answer(question, "answered", None, text, claims, tuple(cited), hits)


def _with_claim(example: Example, claim: Claim) -> Example:
    """Return the example with another first claim, which still calls itself supported."""
    claims = (claim, *example.answer.claims[1:])
    text = join_claims(claims, example.answer.citations)
    return replace(example, answer=replace(example.answer, claims=claims, answer=text))


def _with_citation(example: Example, citation: Citation) -> Example:
    citations = (citation, *example.answer.citations[1:])
    return replace(example, answer=replace(example.answer, citations=citations))


def _says(mutate: mutations.Mutation) -> Fault:
    """Return the fault that changes what the first claim says."""

    def fault(example: Example, chance: random.Random) -> Example | None:
        claim = example.answer.claims[0]
        text = mutate(claim.text, chance)
        if text is None or text == claim.text:
            return None
        return _with_claim(example, replace(claim, text=text, support="supported"))

    return fault


def wrong_pointer(example: Example, _chance: random.Random) -> Example | None:
    """Point at another sentence of the same paper."""
    claim = replace(example.answer.claims[0], citations=(2,), support="supported")
    return _with_claim(example, claim)


def other_paper(example: Example, chance: random.Random) -> Example | None:
    """Point at a sentence of another paper that was retrieved too."""
    others = [h.paper for h in example.answer.hits if h.paper_id != example.answer.citations[0].paper_id]
    if not others:
        return None
    sentence = chance.choice(split_sentences(others[0].abstract))
    return _with_citation(example, cite(1, others[0], sentence))


def quote_cut(example: Example, chance: random.Random) -> Example | None:
    """Leave out a part of the quote, but not of its place."""
    citation = example.answer.citations[0]
    words = citation.quote.split()
    kept = " ".join(words[: chance.randint(len(words) // 2, len(words) - 1)])
    return _with_citation(example, replace(citation, quote=kept))


def quote_shortened(example: Example, chance: random.Random) -> Example | None:
    """Point at the first half of the sentence only: the quote is right, the claim says more."""
    citation = example.answer.citations[0]
    gaps = [m.start() for m in re.finditer(r"\s", citation.quote)]
    cut = chance.choice(gaps[len(gaps) // 3 : len(gaps) // 2 + 1])
    short = replace(citation, quote=citation.quote[:cut], end=citation.start + cut)
    return _with_citation(example, short)


def invented_citation(example: Example, chance: random.Random) -> Example | None:
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


def citation_left_out(example: Example, _chance: random.Random) -> Example | None:
    """Leave a claim without a citation: it inherits none from its neighbour."""
    return _with_claim(example, replace(example.answer.claims[0], citations=(), support="supported"))


def claim_added(example: Example, chance: random.Random) -> Example | None:
    """Let a claim of the model's own ride on the citation of a right one."""
    claim = example.answer.claims[0]
    own = chance.choice(
        ("The code and all data are freely available.", "This holds for every language.", _INVENTED)
    )
    return _with_claim(example, replace(claim, text=f"{claim.text} {own}", support="supported"))  # fmt: skip


def unanswerable(example: Example, _chance: random.Random) -> Example | None:
    """Answer a question that the library cannot answer."""
    return replace(example, case=example.case.model_copy(update={"answerable": False}))


def refused(example: Example, _chance: random.Random) -> Example | None:
    """Abstain from a question that the library answers."""
    silent = replace(
        example.answer, status="abstained", reason="not_in_abstracts", answer="", claims=(), citations=()
    )
    return replace(example, answer=silent)


def empty(example: Example, _chance: random.Random) -> Example | None:
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


def untouched(example: Example, _chance: random.Random) -> Example | None:
    """Change nothing."""
    return example


HONEST: Mapping[str, Fault] = {"untouched": untouched, "honestly reworded": _says(mutations.reword)}
"""Kind → a change, or none, after which the answer is still right."""


def examples(fault: Fault, answers: Sequence[Example], *, most: int, seed: str) -> Iterator[Example]:
    """Yield up to ``most`` answers with the fault in them, of answers taken in a fixed random order."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable sample, no secret
    left = most
    for example in chance.sample(answers, len(answers)):
        changed = fault(example, chance) if left else None
        if changed is not None:
            left -= 1
            yield changed
