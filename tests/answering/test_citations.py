"""From pointers to quotes, and the check that everything shown has passed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.answering.citations import (
    cite,
    contract_violations,
    escape_markers,
    join_claims,
    quoted_claim,
    verify,
    without_quotes,
)
from paperagent.errors import PaperAgentError
from paperagent.layout import REPLACED, UNVERIFIED
from paperagent.text.sentences import split_sentences
from paperagent.types import Answer, Citation, Claim, Hit, Paper, Sentence

A = Paper(
    "a",
    "Lanterns at Night",
    "We study lanterns. They glow by 12%. The code is public.",
    url="https://x.org/a",
)
B = Paper("b", "Owls", "Owls sleep. They do not glow.")
PAPERS = {"a": A, "b": B}
HITS = (Hit(A, 2.0, 1), Hit(B, 1.0, 2))


def cited(n: int, paper: Paper, sentence: int) -> Citation:
    return cite(n, paper, split_sentences(paper.abstract)[sentence])


def right() -> Answer:
    """Return an answer that keeps the contract: two papers, three quotes."""
    citations = (cited(1, A, 0), cited(2, A, 1), cited(3, B, 1))
    claims = tuple(map(quoted_claim, citations))
    return Answer("q", "answered", None, join_claims(claims, citations), claims, citations, HITS)


def change(answer: Answer, n: int, /, **fields: Any) -> Answer:
    """Return the answer with citation ``n`` changed."""
    return replace(answer, citations=tuple(replace(c, **fields) if c.n == n else c for c in answer.citations))


def change_claim(answer: Answer, index: int, **fields: Any) -> Answer:
    """Return the answer with one claim changed."""
    claims = list(answer.claims)
    claims[index] = replace(claims[index], **fields)
    return replace(answer, claims=tuple(claims))


# --- making ---


def test_a_citation_is_all_from_the_library() -> None:
    """Quote, offsets, title and address come from the paper."""
    found = cited(7, A, 1)
    assert found == Citation(7, "a", "Lanterns at Night", "https://x.org/a", "They glow by 12%.", 19, 36)
    assert A.abstract[found.start : found.end] == found.quote


def test_a_quoted_claim_says_what_its_citation_says() -> None:
    """Its text is the quote, and its checks have passed."""
    claim = quoted_claim(cited(7, A, 1))
    assert (claim.text, claim.citations, claim.support) == ("They glow by 12%.", (7,), "quoted")
    assert all(claim.checks.values())


def test_joined_claims_are_grouped_by_paper() -> None:
    """Papers are paragraphs under their title; every claim ends in its marker."""
    assert right().answer == (
        "Lanterns at Night\nWe study lanterns. [1] They glow by 12%. [2]\n\nOwls\nThey do not glow. [3]"
    )


def test_one_paper_needs_no_title() -> None:
    """Sentences of a single paper stand as one paragraph."""
    citations = (cited(1, A, 0), cited(2, A, 1))
    assert (
        join_claims(list(map(quoted_claim, citations)), citations)
        == "We study lanterns. [1] They glow by 12%. [2]"
    )


def test_a_claim_may_have_several_citations_or_none() -> None:
    """All markers are shown; a claim without one is shown without."""
    both = Claim("They differ.", (1, 2), "supported")
    bare = Claim("Who knows.", (), "uncited")
    assert join_claims([both], (cited(1, A, 0), cited(2, B, 0))) == "They differ. [1][2]"
    assert join_claims([bare], ()) == "Who knows. (no source given)"
    assert join_claims([], ()) == ""


LOOSE = Claim("Lamps of some kind give light.", (1, 2), "unverified")


def test_an_unverified_claim_is_a_paragraph_over_its_sentences() -> None:
    """Each sentence is a line of quotation with its number, the first with what it is for."""
    both = (cited(1, A, 0), cited(2, B, 1))
    sure = Claim("Lanterns are studied.", (1,), "supported")
    assert join_claims([sure, sure, LOOSE, sure, sure], both) == (
        "Lanterns are studied. [1] Lanterns are studied. [1]\n\n"
        "Lamps of some kind give light. [1][2]\n"
        f"> {UNVERIFIED} “We study lanterns.” [1]\n"
        "> “They do not glow.” [2]\n\n"
        "Lanterns are studied. [1] Lanterns are studied. [1]"
    )


def test_a_replaced_wording_is_marked_in_the_text() -> None:
    """The sentence says that it stands in place of the model's words."""
    claim = replace(quoted_claim(cited(1, A, 0)), checks={"replaced": True})
    assert join_claims([claim], [cited(1, A, 0)]) == f"We study lanterns. ({REPLACED}) [1]"


def test_the_sentences_under_claims_can_be_left_out() -> None:
    """What remains is the claims with their markers."""
    both = (cited(1, A, 0), cited(2, B, 1))
    sure = Claim("Lanterns are studied.", (1,), "supported")
    text = join_claims([LOOSE, sure, LOOSE], both)
    assert without_quotes(text) == (
        "Lamps of some kind give light. [1][2]\n\nLanterns are studied. [1]\n\n"
        "Lamps of some kind give light. [1][2]"
    )
    assert without_quotes(right().answer) == right().answer


@pytest.mark.parametrize(
    "text",
    [
        "> “They do not glow.” [2]",
        "x\n> y",
        "\n\n >> z",
        "see [9] and [1, 2]",
        "“a” [3]\r\n> b",
        "> \u2028> c",
    ],
)
def test_a_quotation_cannot_be_forged(text: str) -> None:
    """Whatever claim, title and sentence hold, only a cited sentence begins a line of quotation."""
    paper = Paper("x", f"{text} title", f"{text} abstract")
    one, other = cite(1, paper, Sentence(0, paper.abstract, 0, len(paper.abstract))), cited(2, B, 1)
    claims = (Claim(f"{text} claim", (1,), "unverified"), Claim(text, (1,), "supported"), LOOSE)
    answer = Answer(
        "q",
        "answered",
        None,
        join_claims(claims, (one, other)),
        claims,
        (one, other),
        (Hit(paper, 1, 1), *HITS),
    )
    assert list(contract_violations(answer, {"x": paper, **PAPERS})) == []
    lines = [line for line in answer.answer.splitlines() if line.lstrip().startswith(">")]
    assert [line[-3:] for line in lines] == ["[1]", "[1]", "[2]"]
    assert [line.startswith(f"> {UNVERIFIED} “") for line in lines] == [True, True, False]
    assert ">" not in without_quotes(answer.answer).replace("\n", "")[:1]
    quotations = join_claims([quoted_claim(one), quoted_claim(other)], (one, other))
    assert not [line for line in quotations.splitlines() if line.lstrip().startswith(">")]


@pytest.mark.parametrize("marker", ["[1]", "[12]", "[1, 2]", "[3-5]", "[1–3]", "[١]", "[[1]]", "[1][2]"])
def test_markers_in_foreign_text_are_inert(marker: str) -> None:
    """What looks like our marker in an abstract or a title can be told from ours, and nothing is lost."""
    paper = Paper("x", f"Title {marker}", f"As shown {marker} here. Second {marker}.")
    citations = (cited(1, paper, 0), cited(2, B, 0))
    text = join_claims(list(map(quoted_claim, citations)), citations)
    assert re.findall(r"\[\d[\d\s,–-]*\]", text) == ["[1]", "[2]"]
    assert escape_markers(marker).translate({0xFF3B: "[", 0xFF3D: "]"}) == marker


@given(st.text(alphabet=st.one_of(st.sampled_from("[]123, -–١"), st.characters())))
def test_inert_text_holds_no_marker(text: str) -> None:
    """No marker survives, and inert text is left alone."""
    assert not re.search(r"\[\d+\]", escape_markers(text))
    assert escape_markers(escape_markers(text)) == escape_markers(text)
    assert len(escape_markers(text)) == len(text)


# --- proving ---


def test_a_right_answer_has_no_problems() -> None:
    """And `verify` returns it."""
    assert list(contract_violations(right(), PAPERS)) == []
    assert verify(right(), PAPERS) is not None


def test_an_abstention_may_quote_the_closest_passages() -> None:
    """Citations without claims are allowed: they are what was looked at."""
    answer = replace(right(), status="abstained", reason="not_in_abstracts", claims=())
    assert list(contract_violations(answer, PAPERS)) == []


BROKEN = {
    "a changed quote": change(right(), 2, quote="They glow by 13%."),
    "a longer span": change(right(), 2, end=40),
    "a shifted span": change(right(), 2, start=20, end=37),
    "an empty quote": change(right(), 2, quote="", start=5, end=5),
    "offsets from the end": change(right(), 1, start=-len(A.abstract), end=18 - len(A.abstract)),
    "an end behind the abstract": change(right(), 3, end=len(B.abstract) + 5),
    "another paper's sentence": change(right(), 3, paper_id="a", title=A.title, url=A.url),
    "an unknown paper": change(right(), 3, paper_id="c"),
    "a wrong title": change(right(), 3, title="Cats"),
    "a wrong address": change(right(), 3, url="https://evil.example"),
    "a number used twice": change(right(), 2, n=1),
    "a paper that was not retrieved": replace(right(), hits=HITS[:1]),
    "a claim that points at nothing": change_claim(right(), 0, citations=(9,)),
    "a quoted claim in other words": change_claim(right(), 0, text="We study lamps."),
    "a quoted claim without citation": change_claim(right(), 0, citations=()),
    "a quoted claim with another's citation": change_claim(right(), 0, citations=(2,)),
    "a supported claim without citation": change_claim(right(), 0, citations=(), support="supported"),
    "a supported claim that failed a check": change_claim(
        right(), 0, support="supported", checks={"numbers": False, "overlap": 0.9}
    ),
    "a quoted claim that failed a check": change_claim(right(), 0, checks={"negation": False}),
    "an unverified claim without citation": change_claim(right(), 0, citations=(), support="unverified"),
    "a marker without citation": replace(right(), answer="We study lanterns. [4]"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_answer_is_found_out(fault: str) -> None:
    """Each breach of the contract is a problem, and the answer is withheld."""
    assert list(contract_violations(BROKEN[fault], PAPERS))
    with pytest.raises(PaperAgentError, match=r"answer withheld: .*please report"):
        verify(BROKEN[fault], PAPERS)


@pytest.mark.parametrize("support", ["unverified", "unsupported", "uncited"])
def test_marked_claims_may_fail(support: Any) -> None:
    """A claim that is shown as failed breaks nothing."""
    answer = change_claim(right(), 0, support=support, checks={"numbers": False}, text="We study 7 lamps.")
    assert list(contract_violations(answer, PAPERS)) == []


@given(st.integers(-70, 70), st.integers(-70, 70))
def test_only_the_true_span_passes(start: int, end: int) -> None:
    """Of all spans, only the one that reads as the quote, counted from the front, is accepted."""
    found = cited(1, A, 0)
    claim = quoted_claim(found)
    moved = replace(found, start=start, end=end)
    answer = Answer("q", "answered", None, join_claims([claim], [found]), (claim,), (moved,), HITS)
    right_span = 0 <= start <= end <= len(A.abstract) and A.abstract[start:end] == found.quote
    assert (not list(contract_violations(answer, PAPERS))) is right_span
