"""Which sentences can be read alone, and which beginnings are left out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.text.discourse import refers_back, standalone
from paperagent.text.sentences import split_sentences


def left(text: str) -> str:
    """Return what `standalone` leaves of a sentence."""
    (sentence,) = split_sentences(text)
    shorter = standalone(sentence)
    assert text[shorter.start : shorter.end] == shorter.text
    assert shorter.is_cut == (shorter.text != text)
    return shorter.text


@pytest.mark.parametrize(
    "lead_in",
    [
        "To address this gap, ",
        "To bridge the gap, ",
        "To this end, ",
        "However, ",
        "In particular, ",
        "Motivated by these findings, ",
        "Building on this, ",
        "Despite their simplicity, ",
        "For the second issue, ",
        "Using this approach, ",
        "Thus ",
        "And ",
        "Further, ",
        "However, to overcome these limitations, ",
        "To address this research gap, ",
    ],
)
def test_a_lead_in_that_refers_back_is_left_out(lead_in: str) -> None:
    """What remains is the main clause, word for word."""
    rest = "we propose Tindersift, a filter of long prompts."
    assert left(lead_in + rest) == rest


@pytest.mark.parametrize(
    "whole",
    [
        "To evaluate filters, we propose Tindersift, a suite of tasks.",
        "In this paper, we propose Tindersift, a filter of prompts.",
        "Without this module, we lose 4.2 points on all tasks.",
        "With this method, even when prompts are long, we gain 4.2 points.",
        "To address this, even if prompts are long, we drop a third.",
        "Building on MoE-FM, we develop a model of language and speech.",
        "However, no.",
    ],
)
def test_what_says_more_than_a_reference_stays(whole: str) -> None:
    """A purpose of its own, a condition, and the paper itself are part of the sentence."""
    assert left(whole) == whole


@pytest.mark.parametrize(
    "text",
    [
        "We also release a mill.",
        "These two keep the accuracy.",
        "This approach improves accuracy.",
        "It achieves 71.8 points.",
        "They fail on long prompts.",
        "Both improve accuracy.",
        "The former is faster.",
        "Such models fail on long prompts.",
        "We address these limitations by pruning.",
        "We evaluate this on four domains.",
        "This paper addresses these issues by pruning.",
        "On four domains, it removes 61% of the tokens.",
        "In the multi-round setting it keeps the accuracy.",
        "Experiments show that this approach improves accuracy.",
        "Our results show that it achieves 77.2%.",
        "We show the opposite through attention.",
        "We then prove a bound.",
        "The resulting model has 3.58M parameters.",
        "Using this pipeline, thousands of trajectories are built.",
        "To use the graphs, we further introduce a mill.",
        "(ii) Latent spaces align better.",
        "Tindersift also improves accuracy.",
        "We compare the two approaches on equal terms.",
    ],
)
def test_sentences_that_refer_back(text: str) -> None:
    """A marker, pronoun or demonstrative with nothing before it that it could mean."""
    assert refers_back(text)


@pytest.mark.parametrize(
    "text",
    [
        "This paper presents a mill.",
        "This position paper argues for mills.",
        "In this work, we present a mill.",
        "We propose Tindersift, a filter that drops what it does not need.",
        "Both humans and models fail on long prompts.",
        "It is possible to prune a third of the tokens.",
        "Filters such as ours fail on long prompts.",
        "Accuracy rises to those of larger models.",
        "Using the same base model as DeepSeek-R1, Tindersift gains 2.4 points.",
        "The first time it succeeds, PreAct compiles the run.",
        "When a prompt is long, it is cut by a third.",
        "By directing readers to errors, we show that it is possible to save time.",
        "Experiments show that filters help.",
        "At its core, Tindersift is a filter.",
        "Our method achieves 71.8 points.",
    ],
)
def test_sentences_that_stand_alone(text: str) -> None:
    """The paper itself, a name, and what the sentence mentions before need no earlier sentence."""
    assert not refers_back(text)


@given(st.text(max_size=300))
def test_what_is_left_is_the_end_of_the_sentence(text: str) -> None:
    """Whatever the text, its end stays as it is."""
    for sentence in split_sentences(text):
        shorter = standalone(sentence)
        assert text[shorter.start : shorter.end] == shorter.text
        assert shorter.end == sentence.end


@pytest.mark.parametrize("part", ["we ", "to this ", "however, ", "this ", "a, ", "both ", "it "])
def test_a_hostile_sentence_takes_no_long_time(part: str) -> None:
    """Patterns stay linear."""
    start = time.process_time()
    (sentence,) = split_sentences(part * (100_000 // len(part)))
    refers_back(standalone(sentence).text)
    assert time.process_time() - start < 2
