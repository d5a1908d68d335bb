"""Choosing the sentences that answer a question."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sample_library
from fake_encoder import FakeEncoder
from paperagent.retrieval.evidence import rank_matches
from paperagent.retrieval.question import Question
from paperagent.retrieval.sentence_selection import (
    FURTHER_MARGIN,
    WORD_LIST_MARGIN,
    SelectedSentence,
    adds_nothing,
    features,
    relevant_sentences,
    select_sentences,
    sentence_scores,
)
from questions import analyzed, hit, matched

ENCODER = FakeEncoder()
FACTS = (
    "Lamps are widely used, however they are dim. We present Quorvex, a lamp. Owls sleep at noon. "
    "Quorvex emits 350 lumens. Cats were not tested. We thank the birds."
)


def chosen(question: str, *abstracts: str, encoded: bool = False, **options: Any) -> list[tuple[int, int]]:
    encoder = ENCODER if encoded else None
    asked = analyzed(question, encoder)
    matches = [matched(asked, hit(a, paper_id=str(i), **options), encoder) for i, a in enumerate(abstracts)]
    return [(s.paper, s.sentence) for s in select_sentences(asked, matches)]


def scores_of(question: str, abstract: str) -> Any:
    asked = analyzed(question)
    return sentence_scores(asked, matched(asked, hit(abstract)))


# --- how many, and in which order ---


def test_the_sentence_that_answers_comes_first() -> None:
    """The best sentence comes first, even if it is the fourth of the abstract."""
    picks = chosen("How many lumens does Quorvex emit?", FACTS)
    assert picks[0] == (0, 3)
    assert len(picks) <= 3


def test_the_sentences_after_the_first_keep_the_order_of_the_abstract() -> None:
    """Further sentences keep the order of the abstract."""
    abstract = "Lanterns glow red. First lanterns glow blue. Then lanterns glow green. Owls sleep."
    rest = [s for _, s in chosen("how do lanterns glow", abstract)[1:]]
    assert len(rest) == 2
    assert rest == sorted(rest)


def test_a_sentence_far_below_the_best_is_not_shown() -> None:
    """Nothing is added to fill the answer."""
    assert chosen("quorvex lumens", "Quorvex emits many lumens. Owls sleep at noon. Cats purr.") == [(0, 0)]


def test_a_question_for_two_things_gets_more_sentences() -> None:
    """A question for brightness and weight may need two sentences where one for brightness needs one."""
    abstract = (
        "Quorvex shines with a bright 350 lumens. Owls sleep. It has a weight of 7 kilograms. Cats purr."
    )
    one = chosen("How bright is Quorvex?", abstract)
    both = chosen("How bright is Quorvex and what weight has it?", abstract)
    assert (0, 2) in both
    assert len(both) > len(one)


def test_no_more_sentences_than_there_are() -> None:
    """No sentence of a short abstract is shown twice."""
    assert sorted(chosen("lanterns", "Lanterns glow. Lanterns sleep.")) == [(0, 0), (0, 1)]
    assert chosen("lanterns", "Lanterns glow") == [(0, 0)]


def test_a_comparison_quotes_two_papers() -> None:
    """The two best papers are quoted, and a third is not."""
    counts = Counter(p for p, _ in chosen("compare lanterns and owls", FACTS, FACTS, FACTS))
    assert set(counts) == {0, 1}


def test_a_list_quotes_one_sentence_of_each_paper() -> None:
    """At most five papers, each with the sentence that presents it."""
    picks = chosen("which papers are about lamps?", *[FACTS] * 9)
    assert picks == [(i, 1) for i in range(5)]


def test_a_list_holds_only_papers_near_the_best() -> None:
    """There is no minimum number of papers: a list may be one paper long."""
    question = analyzed("which papers are about lamps?")
    for step, papers in ((WORD_LIST_MARGIN / 2, 3), (2 * WORD_LIST_MARGIN, 1)):
        matches = [matched(question, hit(FACTS, paper_id=str(i), score=9 - i * step)) for i in range(4)]
        assert {s.paper for s in select_sentences(question, matches)} == set(range(papers))


def test_a_near_paper_adds_a_sentence_to_a_single_answer() -> None:
    """A second paper adds one sentence if its score is close to the best."""
    question = analyzed("How bright is Quorvex?")
    near = [
        matched(question, hit(FACTS, paper_id=str(i), score=1 - i * FURTHER_MARGIN / 2)) for i in range(4)
    ]
    counts = Counter(s.paper for s in select_sentences(question, near))
    assert set(counts) == {0, 1}
    assert counts[1] == 1
    far = [matched(question, hit(FACTS, paper_id=str(i), score=5 - 4 * i)) for i in range(3)]
    assert {s.paper for s in select_sentences(question, far)} == {0}


# --- what is not shown ---

LINK = "The code of Quorvex is available at https://example.org/quorvex."
HOPE = "We hope that Quorvex lamps will inspire research on lamps."


@pytest.mark.parametrize("padding", [LINK, HOPE, "Is Quorvex the best of lamps?"])
def test_padding_is_never_shown_unless_asked_for(padding: str) -> None:
    """Links, hopes and questions are not selected, although they match well."""
    abstract = f"We present Quorvex, a lamp. Quorvex lamps are bright. {padding}"
    assert 2 not in {s for _, s in chosen("What is Quorvex, the best of lamps?", abstract)}


@pytest.mark.parametrize(
    ("question", "padding"),
    [
        ("Is the code of Quorvex available?", LINK),
        ("Where can I find Quorvex?", LINK),
        ("Under which license is Quorvex released?", "We release Quorvex under the MIT license."),
        ("What future work do they plan on Quorvex?", "Future work will give Quorvex a switch."),
    ],
)
def test_padding_that_is_asked_for_is_shown(question: str, padding: str) -> None:
    """A question about code, license or future work gets that sentence."""
    abstract = f"We present Quorvex, a lamp. Owls sleep at noon. {padding}"
    assert 2 in {s for _, s in chosen(question, abstract)}


def test_a_paper_of_padding_alone_still_answers() -> None:
    """If there is nothing else, the best of these sentences is quoted."""
    assert chosen("quorvex", LINK) == [(0, 0)]


@pytest.mark.parametrize(
    "statement",
    [
        "Quorvex (https://example.org), a lamp of 350 lumens, beats every model.",
        "Our findings highlight that owls sleep at noon.",
        "Quorvex reaches 350 lumens but drains the battery, which we leave for future work.",
        "Open-source models are dimmer than Quorvex.",
        "Our method is inspired by fireflies.",
    ],
)
def test_a_finding_is_not_padding(statement: str) -> None:
    """A link in parentheses or a remark on future work does not make a finding padding."""
    assert not adds_nothing(analyzed("How bright is Quorvex?"), statement)


# --- scores ---


def test_a_number_is_preferred_where_one_is_asked_for() -> None:
    """Of sentences that match equally, "how many" selects the one with a number."""
    scores = scores_of("how many lumens", "It gives lumens here. It gives 7 lumens here.")
    assert scores[1] - scores[0] > 0.5


def test_background_is_not_preferred() -> None:
    """What earlier work lacks is not this paper's finding."""
    scores = scores_of("lumens", "Existing lumens vary. We find that our lumens vary. Owls.")
    assert scores[1] > scores[0]


def test_the_sentence_that_presents_the_work_says_what_it_is() -> None:
    """For "what is X" a defining sentence beats one that only mentions X."""
    scores = scores_of(
        "What is Quorvex?", "Owls sleep. We introduce Quorvex, a lamp. Cats see Quorvex at night."
    )
    assert scores.argmax() == 1


def test_a_sentence_that_alone_holds_a_word_comes_first() -> None:
    """All three match two of the three words; only "glow" occurs in no other sentence."""
    scores = scores_of("lanterns glow hum", "Lanterns glow. Lanterns hum. Lanterns hum again.")
    assert scores.argmax() == 0


def test_relevant_sentences_include_the_selected_ones() -> None:
    """The relevant sentences include the sentences that the answer quotes."""
    question = analyzed("How many lumens does Quorvex emit?")
    matches = [matched(question, hit(FACTS))]
    relevant = relevant_sentences(question, matches, matches[0])
    assert all(relevant[s.sentence] for s in select_sentences(question, matches))
    far = matched(question, hit(FACTS, paper_id="far", score=-5.0))
    assert not relevant_sentences(question, matches, far).any()


_VOCABULARY = "lamp owls 7 we propose glow However the Quorvex lumens https://x.org hope".split()
_SENTENCES = st.lists(st.sampled_from(_VOCABULARY), min_size=1, max_size=8).map(
    lambda words: " ".join(words).capitalize() + "."
)
_ABSTRACTS = st.lists(_SENTENCES, min_size=1, max_size=8).map(" ".join)


@settings(deadline=None)
@given(st.sampled_from(sample_library.QUESTIONS), st.lists(_ABSTRACTS, min_size=1, max_size=8), st.booleans())
def test_picks_point_at_sentences(question: str, abstracts: list[str], encoded: bool) -> None:  # noqa: FBT001
    """The selected sentences exist, are distinct, and are grouped by paper."""
    encoder = ENCODER if encoded else None
    asked = analyzed(question[:200], encoder)
    matches = rank_matches(
        [matched(asked, hit(a, paper_id=str(i)), encoder) for i, a in enumerate(abstracts)]
    )
    picks = select_sentences(asked, matches)
    places = [(p.paper, p.sentence) for p in picks]
    assert places
    assert len(set(places)) == len(places)
    assert [p for p, _ in places] == sorted(p for p, _ in places)
    assert all(0 <= s < len(matches[p].sentences) for p, s in places)
    assert all(np.isfinite(p.score) and isinstance(p, SelectedSentence) for p in picks)
    for match in matches:
        assert all(v.shape == (len(match.sentences),) for v in features(asked, match).values())


@pytest.mark.parametrize(
    "unit",
    ["we ", "our x ", "this paper ", "however ", "7 ", "a", "(", "release the ", "code is ", "we present "],
)
@pytest.mark.parametrize("question", ["which papers are about lamps", "how many lamps", "compare lamps"])
def test_the_longest_sentence_is_read_at_once(question: str, unit: str) -> None:
    """A hostile abstract of 20,000 characters without a full stop takes no noticeable time."""
    begin = time.process_time()
    chosen(question, unit * (20_000 // len(unit)))
    assert time.process_time() - begin < 2


def test_what_only_one_sentence_says_is_quoted() -> None:
    """A sentence of the sample feed that is quoted because no other matches the same words."""
    with sample_library.plain_agent() as agent:
        answer = agent.ask("What do Sablewick and Duskerna each save memory on?")
    assert any(c.quote.startswith("The 13B model needs 5.6 GB of memory") for c in answer.citations)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("How does Quorvex glow?", "asks_method"),
        ("How bright is it and how long does it glow?", "is_compound"),
        ("Is there code for Quorvex?", "asks_release"),
        ("Which limitations does Quorvex have?", "asks_outlook"),
    ],
)
def test_what_a_question_asks_for(text: str, name: str) -> None:
    """Each property holds for its own question and for none of the others."""
    names = ("asks_method", "is_compound", "asks_release", "asks_outlook")
    question: Question = analyzed(text)
    found = {n for n in names if getattr(question, n)}
    assert name in found
    assert not getattr(analyzed("What is Quorvex?"), name)
