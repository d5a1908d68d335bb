"""Whether a paper has words for what a question asks for."""

from __future__ import annotations

import pytest

from paperagent.retrieval.attributes import NUMBER, count_match, lacks_attribute


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
    ],
)
def test_what_is_asked_for_is_looked_for(question: str, sentence: str, *, lacks: bool) -> None:
    assert lacks_attribute(question, "Owlet: Hints for Birds", [sentence]) is lacks


@pytest.mark.parametrize(
    ("question", "sentence", "match"),
    [
        ("how many owls were seen", "They saw 1,200 young owls.", 1),
        ("how many owls were seen", "They saw owls and 12 crows.", -1),
        ("number of tasks in Owlet?", "Owlet has twelve tasks.", 1),
        ("how many owls", "GPT-4 owls are seen.", -1),
        ("what are owls", "They saw 12 owls.", 0),
    ],
)
def test_counts_are_of_the_things_asked_for(question: str, sentence: str, match: float) -> None:
    assert count_match(question, [sentence]) == match


def test_a_number_in_a_name_is_no_number() -> None:
    assert not NUMBER.search("GPT-4 and Owlet2 are compared")
    assert all(map(NUMBER.search, ("a gain of 4%", "$20", "12k pairs", "seven owls")))
