"""Whether a paper has words for what a question asks for."""

from __future__ import annotations

import pytest

from paperagent.retrieval.attributes import (
    NUMBER,
    count_match,
    counts_asked,
    has_number,
    lacks_attribute,
    says_aspect,
)


@pytest.mark.parametrize(
    ("question", "sentence", "lacks"),
    [
        ("How accurate is Owlet?", "It is more accurate than others.", True),
        ("How accurate is Owlet?", "It is right in 81 % of cases.", False),
        ("Owlet accuracy on Barn", "It beats all others.", True),
        ("f1 score of Owlet", "It reaches 0.81.", False),
        ("Does the accuracy of Owlet drop?", "It beats all others.", False),
        ("Why does the error rate rise?", "It beats all others.", False),
        (
            "Which LLM writes the hints?",
            "LLMs write the hints of Owlet (OWL), see https://hub.example/GPT9.",
            True,
        ),
        ("Which LLM writes the hints?", "Here, FalconGPT writes them.", False),
        ("Which models get worse?", "The larger ones do.", False),
        ("What beam size do they use?", "They decode greedily.", True),
        ("What beam size do they use?", "A beam of four is best.", False),
        ("Can an LLM be a black-box optimizer?", "They search well.", False),
        ("Which optimizer do they use?", "They search well.", True),
        ("Which country are the students from?", "Thirty students took part.", True),
        ("Which country are the students from?", "Thirty Korean students took part.", False),
        ("Where did the raters come from?", "Nine raters took part.", True),
        ("Where do the seeds come from?", "Nine raters took part.", False),
        ("Which model did they tune?", "We tune Falke 3 on hints.", False),
        ("What did it cost to build?", "It was built in a barn.", True),
        ("What was the drop-out rate?", "Nine of ten owls stayed, 90%.", True),
        ("how much better is its F-score?", "It beats all others.", True),
        ("accuracy?", "It stays below 38\\%.", False),
    ],
)
def test_what_is_asked_for_is_looked_for(question: str, sentence: str, *, lacks: bool) -> None:
    assert lacks_attribute(question, "Owlet: Hints for Birds", [sentence]) is lacks


@pytest.mark.parametrize(
    ("question", "sentence", "says"),
    [
        ("which models play in it?", "We use LLMs (GPT and Falke 2).", True),
        ("which models play in it?", "Owlet lets LLMs play.", False),
        ("what was it tested on?", "We report gains on dialogue benchmarks.", True),
        ("what was it tested on?", "We write hints for owls.", False),
        ("what's the catch?", "This comes at the price of speed.", True),
        ("how was the study carried out?", "We conducted a mixed-methods study.", True),
        ("what is it called?", "Our method, dubbed Owlet, writes hints.", True),
        ("does it beat Barkline?", "It outperforms all others.", True),
        ("who are owls?", "It outperforms all others.", False),
    ],
)
def test_a_sentence_says_what_is_asked_about_a_paper(question: str, sentence: str, *, says: bool) -> None:
    assert says_aspect(question, "Owlet: Hints for Birds", sentence) is says


@pytest.mark.parametrize(
    ("question", "sentence", "match"),
    [
        ("how many owls were seen", "They saw 1,200 young owls.", 1),
        ("how many owls were seen", "They saw owls and 12 crows.", -1),
        ("number of tasks in Owlet?", "Owlet has twelve tasks.", 1),
        ("how many owls", "GPT-4 owls are seen.", -1),
        ("what are owls", "They saw 12 owls.", 0),
        ("how many owls wrote the hints?", "Hints were written by 12 owls.", 1),
        ("how many examples?", "It has 1,200 question-hint pairs.", 1),
        ("how many people were there?", "It took 86 participants.", 1),
    ],
)
def test_counts_are_of_the_things_asked_for(question: str, sentence: str, match: float) -> None:
    assert count_match(question, [sentence]) == match


@pytest.mark.parametrize(
    ("sentence", "counts"),
    [
        ("They saw 12 owls.", True),
        ("It has 1.5B parameters.", True),
        ("The error fell from 30% to 5\\%.", False),
        ("It reaches a score of 0.53.", False),
        ("It doubles the rate.", False),
    ],
)
def test_a_share_counts_nothing(sentence: str, *, counts: bool) -> None:
    assert has_number(sentence, counts=False)
    assert has_number(sentence, counts=True) is counts


def test_a_number_in_a_name_is_no_number() -> None:
    assert not NUMBER.search("GPT-4 and Owlet2 are compared")
    assert all(map(NUMBER.search, ("a gain of 4%", "$20", "12k pairs", "seven owls")))


@pytest.mark.parametrize(
    ("question", "lacking", "having"),
    [
        ("what were the participants paid?", "Owls hunt mice.", "Each keeper is paid 5 mice."),
        ("were the players told about the lamp?", "Players hunt mice.", "Players were informed of the lamp."),
        ("who annotated the songs?", "We collect songs.", "Experts mark songs."),
        ("which of the lamps came out best?", "We try six lamps.", "Copper lamps outperform others."),
        ("what was their mean age?", "Keepers hunt.", "Keepers aged 30 hunt."),
        ("who funded the zoo?", "Zoos need mice.", "A grant feeds the zoo."),
        ("how many of them are there?", "Owls grow 5%.", "We keep 30 owls."),
        ("how many?", "Owls hunt.", "We keep 30 owls."),
    ],
)
def test_what_people_ask_about_a_study(question: str, lacking: str, having: str) -> None:
    assert lacks_attribute(question, "Owls", [lacking])
    assert not lacks_attribute(question, "Owls", [having])


def test_at_inference_time_is_no_duration() -> None:
    assert lacks_attribute("what is the inference time?", "Owls", ["Owls hunt."])
    assert not lacks_attribute("what does it do at inference time?", "Owls", ["Owls hunt."])


def test_sentences_that_count_what_is_asked() -> None:
    question = "how many methods was it compared to?"
    assert counts_asked(question, "We compare it with 14 hunting approaches.")
    assert not counts_asked(question, "Two owls hunt.")
    assert not counts_asked("which methods?", "We try 14 methods.")
