"""Answers made by hand, for scorers whose result can be worked out on paper."""

from __future__ import annotations

from paperagent.evals.cases import Case
from paperagent.types import Answer, Citation, Claim, Hit, Paper

ONE = "The filter removes 61% of the tokens. It runs on one card. Accuracy falls by 0.4 points."
TWO = "The cache keeps 18% of its entries. Nothing else was tried."
PAPERS = {
    "p1": Paper("p1", "Tindersift: A Filter", ONE),
    "p2": Paper("p2", "Duskerna: A Cache", TWO),
    "p3": Paper("p3", "Brindlewave", "Speech is recognised while it is spoken."),
}


def hits(*ids: str) -> tuple[Hit, ...]:
    return tuple(Hit(PAPERS[i], 1.0 / n, n) for n, i in enumerate(ids, start=1))


def cite(n: int, paper_id: str, quote: str) -> Citation:
    start = PAPERS[paper_id].abstract.index(quote)
    return Citation(n, paper_id, PAPERS[paper_id].title, None, quote, start, start + len(quote))


REMOVES = cite(1, "p1", "The filter removes 61% of the tokens.")
FALLS = cite(2, "p1", "Accuracy falls by 0.4 points.")
KEEPS = cite(3, "p2", "The cache keeps 18% of its entries.")


def answer(
    *claims: Claim, citations: tuple[Citation, ...] = (REMOVES, FALLS, KEEPS), **more: object
) -> Answer:
    """Return an answer of these claims over papers 1, 2 and 3."""
    text = " ".join(f"{c.text} {''.join(f'[{n}]' for n in c.citations)}" for c in claims)
    fields: dict[str, object] = {"hits": hits("p1", "p2", "p3"), **more}
    return Answer("Why?", "answered", None, text, claims, citations, **fields)  # type: ignore[arg-type]


def claim(text: str, *citations: int, support: str = "supported", **checks: object) -> Claim:
    return Claim(text, citations, support, checks)  # type: ignore[arg-type]


RIGHT = claim("The filter removes 61% of the tokens.", 1, support="quoted")
CHANGED = claim("The filter removes 16% of the tokens.", 1)
UNCITED = claim("The filter removes 61% of the tokens.", support="uncited")


def case(**fields: object) -> Case:
    return Case.model_validate({"id": "c", "question": "Why?", **fields})


ABSTAINED = Answer("Why?", "abstained", "not_in_abstracts", "The abstracts do not say.", hits=hits("p1"))
EMPTY = Answer("Why?", "answered", None, "", hits=hits("p1"))
