"""Answers to standing questions, made from all papers of a period before any is selected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from selections import Words, sample
from weeks import MemoryLibrary, arrival, embedded, week

from fake_encoder import FakeEncoder
from paperagent.digest.issue import QuestionAnswer
from paperagent.digest.preferences import Preferences
from paperagent.digest.select.candidates import PeriodIndex
from paperagent.digest.write.highlights import highlights
from paperagent.digest.write.standing_questions import (
    MAX_READ,
    MAX_SENTENCES,
    CachingEncoder,
    StandingQuestions,
)
from sample_library import paper_titled

ASKED = "Which filters are there for retrieved passages?"
UNASKED = "Who discovered the structure of DNA?"
SAMPLE = PeriodIndex([arrival(p) for p in sample(12)])


def questions(
    index: PeriodIndex = SAMPLE, words: Words | None = None, encoder: FakeEncoder | None = None
) -> StandingQuestions:
    return StandingQuestions(index, words or Words(), highlights, encoder=encoder)


def everything(index: PeriodIndex = SAMPLE) -> np.ndarray:
    return np.ones(len(index), bool)


def without(title: str) -> np.ndarray:
    return np.array([not p.title.startswith(title) for p in SAMPLE.papers])


def cited(answer: QuestionAnswer) -> set[str]:
    """Return the titles of the cited papers."""
    return {c.title for cited in answer.claims for c in cited.citations}


def test_the_answer_quotes_the_period() -> None:
    """Each claim is a sentence of the abstract that it cites."""
    (answer,) = questions().answers([ASKED], everything())
    (claim,) = answer.claims
    (citation,) = claim.citations
    paper = paper_titled("Tindersift")
    assert (citation.paper_id, claim.claim.support) == (paper.paper_id, "quoted")
    assert paper.abstract[citation.start : citation.end] == citation.quote == claim.claim.text
    assert "a filter of 22 million parameters" in citation.quote


def test_papers_that_may_not_be_shown_answer_nothing() -> None:
    """Not even if they are the best."""
    (answer,) = questions().answers([ASKED], without("Tindersift"))
    assert not any("Tindersift" in title for title in cited(answer))


def test_what_the_period_does_not_say_has_no_answer() -> None:
    """A question about something else, and an empty period."""
    assert questions().answers([UNASKED], everything()) == (QuestionAnswer(UNASKED),)
    nothing = PeriodIndex([])
    assert questions(nothing).answers([ASKED], everything(nothing)) == (QuestionAnswer(ASKED),)


@pytest.mark.parametrize("encoder", [None, FakeEncoder()])
def test_an_answer_is_short(encoder: FakeEncoder | None) -> None:
    """One sentence of each of a few papers, however many answer."""
    text = "We present satellite measurements of coral bleaching over five warm summers. "
    papers = [replace(p, abstract=text + p.abstract) for p in week(["coral bleaching"], each=20)]
    arrivals = embedded(papers) if encoder else [arrival(p) for p in papers]
    index = PeriodIndex(arrivals)
    asked = StandingQuestions(index, MemoryLibrary(arrivals), highlights, encoder=encoder)
    (answer,) = asked.answers(["What is new on coral bleaching?"], everything(index))
    assert len(answer.claims) == len(cited(answer)) == MAX_SENTENCES


def test_a_paper_that_an_issue_cannot_show_is_not_cited() -> None:
    """Its answer would have no paper in the issue."""
    silent = StandingQuestions(SAMPLE, Words(), lambda _: None)
    assert silent.answers([ASKED], everything()) == (QuestionAnswer(ASKED),)


def test_answers_do_not_depend_on_those_before() -> None:
    """What is kept from subscriber to subscriber changes nothing; with an encoder too."""
    masks = [everything(), without("Tindersift"), without("Larkspur")]
    for encoder in (None, FakeEncoder()):
        alone = [questions(encoder=encoder).answers([ASKED, UNASKED], mask) for mask in masks]
        shared = questions(encoder=encoder)
        shared.prepare([Preferences(questions=(ASKED, UNASKED))])
        assert [shared.answers([ASKED, UNASKED], mask) for mask in reversed(masks)][::-1] == alone


def test_a_question_is_answered_once_for_all_subscribers() -> None:
    """The same question about the same papers reads and searches nothing again."""
    encoder, words = FakeEncoder(), Words()
    asked = questions(words=words, encoder=encoder)
    first = asked.answers([ASKED], everything())
    read, searched = len(encoder.texts), words.asked
    assert asked.answers([ASKED], everything())[0] is first[0]
    assert (len(encoder.texts), words.asked) == (read, searched)
    asked.answers([ASKED], without("Larkspur"))
    assert len(set(encoder.texts)) == len(encoder.texts)


def test_only_papers_that_may_answer_are_read() -> None:
    """Reading is the cost of a question."""
    encoder = FakeEncoder()
    questions(encoder=encoder).answers([ASKED], everything())
    titles = [p.title for p in SAMPLE.papers if p.title in encoder.texts]
    assert paper_titled("Tindersift").title in titles
    assert len(titles) <= MAX_READ


def test_a_remembered_text_is_the_same_as_a_new_one() -> None:
    """Half precision is given the first time too, so that order does not matter."""
    encoder = CachingEncoder(FakeEncoder())
    (first,), (second,) = encoder.encode(["some words"]), encoder.encode(["some words"])
    assert (first.states == second.states).all()
    assert first.states.dtype == "float32"
