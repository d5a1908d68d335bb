"""Whether to answer at all: the signals and the logistic over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact_library import ExactLibrary
from hypothesis import given
from hypothesis import strategies as st

import sample_library
from fake_encoder import FakeEncoder
from paperagent import PaperAgent
from paperagent.answering import abstention
from paperagent.answering.abstention import (
    AnswerabilitySignals,
    Thresholds,
    answerability_signals,
    confidence,
    setting_name,
)
from paperagent.answering.pipeline import AnswerRequest, Pipeline
from paperagent.feeds.reader import sample_path
from paperagent.retrieval import evidence
from paperagent.retrieval.question import Question
from paperagent.text.sentences import split_sentences
from paperagent.types import Hit, Paper
from questions import analyzed

ENCODER = FakeEncoder()


def matched(question: Question, abstract: str, title: str = "A title") -> evidence.PaperMatch:
    sentences = split_sentences(abstract)
    states = ENCODER.encode([title, *(s.text for s in sentences)])
    hit = Hit(Paper("p", title, abstract), 1.0, 1)
    return evidence.match_papers(question, [(hit, sentences)], [states])[0]


def asked(text: str) -> Question:
    return analyzed(text, ENCODER)


def of(question: str, abstract: str, **more: str) -> AnswerabilitySignals:
    prepared = asked(question)
    return answerability_signals(prepared, [matched(prepared, abstract, **more)], indexes_agree=True, gap=0.3)


def test_a_sentence_that_says_it_all_gives_full_signals() -> None:
    """Every word matched: nothing is weak and all is covered."""
    found = of("lanterns glow brightly", "Lanterns glow brightly. Owls sleep.")
    assert found.coverage == pytest.approx(1, abs=1e-5)
    assert found.unmatched == 0
    assert found.similarity > 0.9
    assert (found.agree, found.gap, found.number_fit) == (1.0, 0.3, 0.0)


def test_a_missing_word_is_unmatched() -> None:
    """A question whose one particular word is nowhere shows by how far that word is from a match."""
    there = of("lanterns glow at night", "Lanterns glow at night.")
    absent = of("lanterns explode at night", "Lanterns glow at night.")
    assert absent.unmatched > 0 == there.unmatched
    assert absent.coverage < there.coverage


def test_what_the_title_explains_is_not_missed() -> None:
    """A word of the title need not be said again in a sentence."""
    plain = of("Quorvex blocked calls", "It blocked many calls.")
    titled = of("Quorvex blocked calls", "It blocked many calls.", title="Quorvex")
    assert titled.unmatched < plain.unmatched
    assert titled.coverage > plain.coverage


def test_a_number_asked_for_must_stand_near_what_is_counted() -> None:
    """A question that asks for a number fits a sentence that counts the same thing."""
    question = "how many parameters does it have"
    fits = of(question, "It has 350 million parameters.")
    spelled = of(question, "It has seven parameters.")
    without = of(question, "It has parameters.")
    assert fits.number_fit > 0.1
    assert spelled.number_fit > 0.1
    assert without.number_fit == -0.75
    assert of("who owns parameters", "It has 350 million parameters.").number_fit == 0.0


_SHARE = st.floats(0, 1)
_FLAG = st.sampled_from([0.0, 1.0])
_SIGNALS = st.builds(
    AnswerabilitySignals,
    similarity=st.floats(-1, 1),
    number_fit=st.floats(-0.75, 0.25),
    agree=_FLAG,
    coverage=_SHARE,
    gap=_SHARE,
    missing_name=_FLAG,
    attribute_absent=_FLAG,
    count_match=st.sampled_from([-1.0, 0.0, 1.0]),
    unmatched=st.floats(0, 0.6),
    lead=st.floats(-1, 1),
    sentence=st.floats(-1, 1),
    absent_word=st.floats(0, 0.7),
)
_FOR, _AGAINST = (
    ("similarity", "number_fit", "agree", "coverage", "count_match", "sentence"),
    ("missing_name", "attribute_absent", "unmatched", "absent_word"),
)


@given(_SIGNALS, st.booleans())
def test_confidence_is_a_chance(found: AnswerabilitySignals, encoder: bool) -> None:  # noqa: FBT001 - drawn
    """Between 0 and 1 for any signals, and fixed by them."""
    assert 0 < confidence(found, encoder=encoder) < 1
    assert confidence(found, encoder=encoder) == confidence(replace(found), encoder=encoder)


@given(_SIGNALS, st.booleans(), st.sampled_from(_FOR + _AGAINST))
def test_no_signal_of_an_answer_lowers_the_confidence(
    found: AnswerabilitySignals,
    encoder: bool,  # noqa: FBT001 - drawn
    name: str,
) -> None:
    """More of a signal for an answer never makes it less likely; nor does less of one against it."""
    sign = 1 if name in _FOR else -1
    more = replace(found, **{name: getattr(found, name) + sign * 0.1})
    assert confidence(more, encoder=encoder) >= confidence(found, encoder=encoder)


@pytest.mark.parametrize(
    ("question", "abstract", "absent"),
    [
        ("What license are the lanterns released under?", "Lanterns glow.", True),
        ("What license are the lanterns released under?", "Lanterns are under the Apache license.", False),
        ("How much did the lanterns cost in dollars?", "Lanterns glow.", True),
        ("How much did the lanterns cost?", "Lanterns are made for $20.", False),
        ("How many parameters does it have?", "Lanterns glow.", True),
        ("How many parameters does it have?", "We train lanterns of 7B.", False),
        ("What learning rate is used for lanterns?", "The rate of learning is high.", True),
        ("How do lanterns glow at a high temperature?", "Lanterns glow.", False),
    ],
)
def test_an_attribute_that_the_paper_has_no_word_for(question: str, abstract: str, *, absent: bool) -> None:
    assert of(question, abstract).attribute_absent == float(absent)


def test_a_missing_name_is_named() -> None:
    """An abstention and a caveat say what no paper mentions."""
    with sample_library.plain_agent() as agent:
        answer = agent.ask("What rank does VelaQ use?")
        both = agent.ask("Does VelaQ beat ZomboNet at ranking?")
    assert answer.status == "abstained"
    assert answer.answer.startswith("The abstracts do not say. No paper here mentions “VelaQ”.")
    assert "No paper here mentions “VelaQ” or “ZomboNet”" in both.answer


def test_a_paper_about_one_version_does_not_answer_for_another() -> None:
    question = "How much of the prompt does {} remove?"
    with sample_library.plain_agent() as agent:
        first, second = (agent.ask(question.format(name)) for name in ("Tindersift", "Tindersift-2"))
    assert first.status == "answered"
    assert second.status in ("doubtful", "abstained")
    assert "o paper here mentions “Tindersift-2”" in second.answer


def test_signals_have_names() -> None:
    """The evaluation reads them by name, all of them."""
    found = AnswerabilitySignals(0.1, 0.2, 1.0, 0.5, 0.6, 0.0, 1.0, 0.0, 0.1, 0.2, 0.5, 0.0)
    assert list(found.as_dict()) == [f.name for f in fields(AnswerabilitySignals)]
    assert found.as_dict()["coverage"] == 0.5


def test_a_question_of_one_word_has_signals() -> None:
    assert of("lanterns", "Lanterns glow.").unmatched == 0


def test_other_languages_are_not_judged_by_unmatched_words() -> None:
    """The encoder understands English only: every foreign word is unmatched."""
    english, foreign = (
        of(q, "Lanterns glow.") for q in ("Why explode owls?", "Warum explodieren die Eulen?")
    )
    assert foreign.unmatched == 0.05 < english.unmatched


def test_a_count_must_be_of_the_same_things() -> None:
    counted = "How many owls are there?"
    assert of(counted, "We keep 30 snowy owls.").count_match == 1
    assert of(counted, "We keep owls in 30 large and airy wooden cages.").count_match == -1
    assert of("Where are the owls?", "We keep 30 owls.").count_match == 0


def test_a_name_is_not_the_common_word() -> None:
    """A paper whose owls "react" is not about ReAct."""
    question = asked("what does ReAct do")
    named, word = (matched(question, a) for a in ("ReAct blinks at owls.", "Owls react."))
    assert not abstention.names_missing(question, [named])
    assert [n.text for n in abstention.names_missing(question, [word])] == ["ReAct"]


def test_on_the_sample_the_answerable_are_surer_than_the_foreign() -> None:
    """By words alone, questions on the papers get more confidence than questions on anything else."""
    with sample_library.plain_agent() as agent:
        ours = [
            agent.ask(q).confidence
            for q in ("How much of the prompt does Tindersift remove?", "How many parameters has Quorvex?")
        ]
        foreign = [
            agent.ask(q).confidence
            for q in ("Who discovered the structure of DNA?", "sourdough bread recipe")
        ]
    assert min(c for c in ours if c is not None) > max(c for c in foreign if c is not None) + 0.2


def test_arrays_do_not_leak_into_signals() -> None:
    """Signals are plain numbers, ready for JSON."""
    found = of("how many lanterns", "There are 7 lanterns.")
    assert all(isinstance(v, float) and not isinstance(v, np.floating) for v in found.as_dict().values())


@pytest.mark.parametrize(
    "kept",
    [None, [], "0.5", {"abstain_below": 0.2}, {"abstain_below": 0.5, "doubt_below": 0.2},
     {"abstain_below": -1, "doubt_below": 0.2}, {"abstain_below": True, "doubt_below": True},
     {"abstain_below": 0.1, "doubt_below": float("nan")}, {"abstain_below": 0.1, "doubt_below": 7}],
)  # fmt: skip
def test_damaged_thresholds_are_none(kept: object) -> None:
    """What a library keeps is read back only where it makes sense."""
    assert Thresholds.from_dict(kept) is None


@pytest.mark.parametrize("encoder", [True, False])
def test_a_large_library_needs_more_confidence(encoder: bool) -> None:  # noqa: FBT001 - a table
    """From 5,000 to 75,000 papers it rises, and stays the same outside; doubt begins above it."""
    sizes = [0, 1, 5_000, 20_000, 75_000, 1_000_000]
    found = [Thresholds.default(size, encoder=encoder) for size in sizes]
    lowest = [t.abstain_below for t in found]
    assert lowest == sorted(lowest)
    assert lowest[0] == lowest[2] < lowest[3] < lowest[4] == lowest[5]
    assert all(t.abstain_below < t.doubt_below for t in found)


def test_the_size_of_the_library_decides_unless_it_was_calibrated() -> None:
    """The same answer is kept back where a hundred thousand papers were searched."""
    papers, question = sample_library.feed_papers(), "Which filter is small?"
    small = Pipeline(ExactLibrary(papers, None), encoder=None)
    last = list(small.stream(AnswerRequest(question)))[-1].answer
    assert last is not None
    assert last.confidence is not None
    assert Thresholds.default(32, encoder=False).abstain_below < last.confidence
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(abstention, "_ABSTAIN_BELOW", {False: (0.0, 1.0), True: (0.0, 1.0)})
        patch.setattr(ExactLibrary, "corpus_stats", _in_a_crowd(ExactLibrary.corpus_stats))
        large = list(small.stream(AnswerRequest(question)))[-1].answer
        own = list(
            Pipeline(ExactLibrary(papers, None), encoder=None, thresholds=Thresholds()).stream(
                AnswerRequest(question)
            )
        )
    assert large is not None
    assert (last.status, large.status) == ("answered", "abstained")
    assert own[-1].answer is not None
    assert own[-1].answer.status == "answered"


def _in_a_crowd(stats: Any) -> Any:
    """Return statistics as if a hundred thousand papers more were there."""

    def crowded(library: ExactLibrary, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        papers, length, known = stats(library, stems)
        return papers + 100_000, length, known

    return crowded


def test_thresholds_are_kept_with_the_library(tmp_path: Path) -> None:
    """They shape answers at once and for later agents, apart for each signal; None takes them back."""
    question = "How much of the prompt does Tindersift remove?"
    with sample_library.plain_agent(tmp_path / "library") as agent:
        agent.ingest(sample_path())
        before = agent.thresholds()
        assert agent.ask(question).status == "answered"
        agent.set_thresholds(Thresholds(1.0, 1.0))
        assert agent.ask(question).reason == "not_in_abstracts"
        with PaperAgent(settings=agent.settings) as later:
            assert later.thresholds() == Thresholds(1.0, 1.0)
            assert later.ask(question).status == "abstained"
        assert agent._open_store().get_setting(setting_name(encoder=True)) is None
        agent.set_thresholds(None)
        assert agent.thresholds() == before == Thresholds.default(32, encoder=False)
        assert agent.ask(question).status == "answered"
