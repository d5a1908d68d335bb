"""Claims that name the paper they are about."""

from __future__ import annotations

import pytest

from paperagent.checks import check
from paperagent.checks.attribution import own_name, without_name

TITLE = "Lanternwick: Shorter Prompts for Readers"
LATENCY = "With a 7B generator the mean latency drops from 2.9 to 1.6 seconds."
FILTER = "Our filter reduces the length of the prompt by 31%."
TRAINED = "The model was trained on 48,000 pairs."
FIND = "We find that the gain shrinks when fewer than five passages are retrieved."


def supported(claim: str, sentence: str, title: str = TITLE) -> bool:
    ways = (claim, *without_name(claim, title, [sentence]))
    return any(check(way, [sentence]).support in ("quoted", "supported") for way in ways)


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        (f"Lanternwick: {LATENCY}", LATENCY),
        ("In Lanternwick, the mean latency drops from 2.9 to 1.6 seconds with a 7B generator.", LATENCY),
        (f"{TITLE}: {LATENCY}", LATENCY),
        ("Lanternwick reduces the length of the prompt by 31%.", FILTER),
        ("The Lanternwick model was trained on 48,000 pairs.", TRAINED),
        ("The authors of Lanternwick find that the gain shrinks with fewer than five passages.", FIND),
    ],
)
def test_the_papers_own_name_is_no_claim(claim: str, sentence: str) -> None:
    """Whose sentence it is, is known."""
    assert supported(claim, sentence)


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("Sablewick: the mean latency drops from 2.9 to 1.6 seconds with a 7B generator.", LATENCY),
        ("Lanternwick: the mean latency drops from 2.9 to 1.3 seconds with a 7B generator.", LATENCY),
        ("Lanternwick: the mean latency rises from 1.6 to 2.9 seconds with a 7B generator.", LATENCY),
        ("Lanternwick achieves 88.3% on the test set.", "GPT-4 achieves 88.3% on the test set."),
        ("Lanternwick increases the length of the prompt by 31%.", FILTER),
    ],
)
def test_nothing_else_is_let_through(claim: str, sentence: str) -> None:
    """Another work's name, a wrong number, a turned direction, and a name in another's place."""
    assert not supported(claim, sentence)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        (TITLE, "Lanternwick"),
        ("A Study of Prompts", None),
        ("What We Know About Long Prompts Today: A Survey", None),
        (": odd", None),
    ],
)
def test_a_name_stands_before_the_colon(title: str, name: str | None) -> None:
    """Four words at most; other titles give none."""
    assert own_name(title) == name
