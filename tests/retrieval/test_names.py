"""Names in a question, and whether a library lacks them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from paperagent.retrieval.names import (
    Name,
    find_acronyms,
    find_names,
    missing_names,
    missing_versions,
    occurs,
    written_out,
)
from paperagent.retrieval.question import Question

LIBRARY = {"gpt", "4", "llama", "tindersift", "owl", "agentinstruct", "retriev", "mixtur", "expert"}


class Library:
    """Term statistics of a library with a few stems."""

    def corpus_stats(self, stems: Sequence[str]) -> tuple[int, float, dict[str, int]]:
        return 10, 50.0, {s: int(s in LIBRARY) for s in stems}

    def similar_stems(self, stem: str, distance: int) -> list[str]:
        return [s for s in LIBRARY if distance and s[:-1] == stem[:-1]]


def missing(question: str) -> list[str]:
    return [n.text for n in Question.analyze(question, Library()).missing]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What rank does QuorvX use?", ["QuorvX"]),
        ("QuorvX: what rank?", ["QuorvX"]),
        ("what is the BLARG score", ["BLARG"]),
        ("How does it compare with Velarion?", ["Velarion"]),
        ("How many experts does Zimtral 8x7B have?", ["Zimtral"]),
        ("how does Gizmo-V3 work", ["Gizmo"]),
        ("is Z5 larger?", ["Z5"]),
        ("Who wrote about owls in March, on a Monday?", []),
        ("Which Papers Deal With Owls And Bread Ovens?", []),
        ("What is known? Ovens are hot. Are they?", []),
        ("Woher kommen die Daten der Eulen?", []),
        ("does the 7B model beat 20k samples", []),
        ("ovens and bread", []),
    ],
)
def test_names_are_found(question: str, names: list[str]) -> None:
    english = Question.analyze(question, Library()).is_english
    assert [n.text for n in find_names(question, is_english=english)] == names


def test_a_rare_word_is_a_name_that_is_not_certain() -> None:
    found = find_names("is quorvex safe?", is_english=True, rare_words={"quorvex"})
    assert found == [Name("quorvex", is_certain=False)]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does GPT-4 do?", []),
        ("What does gpt4 do?", []),
        ("What do GPTs do?", []),
        ("What does Llama3 do?", []),
        ("What does Tindersift's filter do?", []),
        ("What does Tindersift2 do?", []),
        ("What does Tindersifd do?", []),
        ("What do Owls do?", []),
        ("What do Velarion and Tindersift do?", ["Velarion"]),
        ("What does QuorvX-2 do?", ["QuorvX"]),
    ],
)
def test_spellings_of_a_known_name_are_not_missing(question: str, names: list[str]) -> None:
    assert missing(question) == names


def test_a_library_is_asked_only_if_a_name_may_be_missing() -> None:
    def frequency(stems: Sequence[str]) -> set[str]:
        raise AssertionError(stems)

    assert missing_names([Name("Tindersift", is_certain=True)], set(), frequency) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("SelfTeach", "We extend Self-Teach to owls.", True),
        ("MoE", "A mixture of experts is used.", True),
        ("ReAct", "They interact in reactions.", False),
        ("Owl-2", "The owl sleeps.", True),
        ("QuorvX", "Nothing of it.", False),
    ],
)
def test_other_spellings_occur_in_a_text(name: str, text: str, *, found: bool) -> None:
    assert occurs(Name(name, is_certain=True), [text]) is found


PAPERS = (
    "We compare GPT-4 and GPT-3.5 with Llama 2.",
    "Stage 1 trains Tindersift2, stage 2 tests it at top-1.",
    "Gizmo4o and Gizmo 3.1 agree, as do QuorvX and a 7B model.",
)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What does GPT-5 do?", ["GPT-5"]),
        ("what does gpt-5 do?", ["gpt-5"]),
        ("Does GPT5's answer beat GPT4's?", ["GPT5"]),
        ("Is Llama 3 better than Llama 2?", ["Llama 3"]),
        ("What do Tindersift3 and QuorvX-2 filter?", ["Tindersift3", "QuorvX-2"]),
        ("GPT-4, GPT 3.5, gpt4 and GPT-3", []),
        ("Gizmo-4, Gizmo4o, Gizmo4v and Gizmo 3", []),
        ("What does stage 3 do, and top-5?", []),
        ("Does QuorvX 2 exist, or Velarion 5?", []),
        ("How does QuorvX-70B compare with QuorvX-1k, QuorvX-5-based and QuorvX-2024?", []),
        ("Does Llama 100% agree with 3 of 5 models?", []),
    ],
)
def test_another_version_is_another_name(question: str, names: list[str]) -> None:
    missing = missing_versions(question, PAPERS)
    assert [n.text for n in missing] == names
    assert not any(occurs(n, PAPERS) for n in missing)


def test_acronyms_are_found_in_capitals_or_without_vowels() -> None:
    assert find_acronyms("why the RL, and rlhf vs SFTs of LLMs?") == [
        ("RL", 8, 10),
        ("RLHF", 16, 20),
        ("VS", 21, 23),
        ("SFT", 24, 27),
    ]
    assert len(find_acronyms("ABC " * 5_000)) == 10


def test_acronyms_are_written_out() -> None:
    text = "Owls use reinforcement learning and lamp-light rods. Low"
    assert written_out("RL", text) == [(9, 31)]
    assert written_out("LL", text) == [(36, 46)]
    assert written_out("RL", "Rods. Low lamps") == []  # not across sentences
    assert written_out("OL", text) == []
