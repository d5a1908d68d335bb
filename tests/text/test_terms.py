"""The analysis of text into index terms."""

from __future__ import annotations

import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.text.terms import STOP_WORDS, index_terms, is_english, stem, term_ids, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Retrieval-augmented GENERATION", ["retriev", "augment", "generat"]),
        ("the cat and the hat", ["cat", "hat"]),
        ("models' model’s model", ["model", "model", "model"]),
        ("naïve Übersetzung", ["naiv", "ubersetzung"]),
        ("0.4 points of 1,000", ["0.4", "point", "1,000"]),
        ("GPT-4V and p53", ["gpt", "4v", "p53"]),
        ("深層学習", ["深", "層", "学", "習"]),
        ("snake_case", ["snake", "case"]),
        ("ﬁne-tuning", ["fine", "tune"]),
        ("", []),
        ("… — !?", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    """Words are lower case, folded, stemmed, without function words; decimal numbers stay whole."""
    assert index_terms(text) == expected


def test_inflections_meet() -> None:
    """A question finds a paper that uses another form of its words."""
    assert index_terms("summarised summarising summarise") == [stem("summarise")] * 3
    assert index_terms("agents") == index_terms("Agent")


def test_repeats_are_kept() -> None:
    """Term frequency survives the analysis."""
    assert index_terms("token tokens token") == ["token"] * 3


@pytest.mark.parametrize("text", ["don't", "it’s", "they'll", "we've"])
def test_contractions_of_function_words_vanish(text: str) -> None:
    """A contraction is dropped like the words that it joins."""
    assert index_terms(text) == []


def test_composed_and_decomposed_text_agree() -> None:
    """The same letters in another Unicode form give the same terms."""
    assert index_terms("caf\u00e9") == index_terms("cafe\u0301") == ["cafe"]


def test_long_runs_are_cut_to_the_same_head() -> None:
    """An identifier of any length is one term of bounded length."""
    assert index_terms("x" * 100_000) == index_terms("x" * 41)
    assert all(len(t) <= 40 for t in index_terms("ab" * 5_000))


def test_words_keep_function_words() -> None:
    """Pronouns and the like can be looked for."""
    assert words("Does IT scale?") == ["does", "it", "scale"]
    assert not STOP_WORDS.isdisjoint(words("Does IT scale?"))


@given(st.text())
def test_any_text_can_be_analyzed(text: str) -> None:
    """Terms are non-empty, lower case, without white space, and never function words unstemmed."""
    for term in index_terms(text):
        assert term
        assert not any(c.isspace() for c in term)
        assert term == term.lower()


@given(st.text(), st.text())
def test_terms_of_joined_texts_are_the_terms_of_the_parts(first: str, second: str) -> None:
    """Nothing depends on the words around: an index may analyze title and abstract apart."""
    assert index_terms(f"{first}\n{second}") == index_terms(first) + index_terms(second)


def test_term_ids_are_crc32() -> None:
    """The stored ids are those of a published checksum, so that a library outlives the program."""
    ids = term_ids(["retriev", "ä"])
    assert ids.dtype == np.uint32
    assert ids.tolist() == [zlib.crc32(b"retriev"), zlib.crc32("ä".encode())]
    assert term_ids([]).shape == (0,)


def test_stems_are_right_in_every_thread() -> None:
    """Threads that stem at once do not mix their words up."""
    expected = index_terms("generation of running cases")
    results: list[bool] = []

    def work() -> None:
        results.extend(index_terms("generation of running cases") == expected for _ in range(500))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 2_000
    assert all(results)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("How do I fix the brakes of my car?", True),
        ("cheap flights lisbon to oslo in march?", True),
        ("Welche Arbeiten lehren Modelle, Werkzeuge zu benutzen?", False),
        ("Quels sont les modèles à suivre?", False),
        ("大規模言語モデルの校正について", False),
        ("sourdough bread recipe", False),
    ],
)
def test_english_is_told_by_its_small_words(text: str, *, english: bool) -> None:
    """Where there is none of them it is not known, and so not called English."""
    assert is_english(text) is english
