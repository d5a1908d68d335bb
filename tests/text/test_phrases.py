"""Finding a phrase in text."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from paperagent.text.phrases import Phrase, term_variants
from paperagent.text.terms import index_terms


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("GPT-4", "we use GPT-4, of course"),
        ("GPT-4", "we use GPT 4"),
        ("GPT-4", "GPT-4o is newer"),
        ("gpt-4", "GPT-4."),
        ("rag", "RAG helps"),
        ("hallucination", "Hallucinations are frequent"),
        ("chain of thought", "Chain-of-Thought prompting"),
        ("LLM", "all LLMs"),
        ("naïve bayes", "a Naïve Bayes model"),
        ("Zipf's law", "Zipf’s law holds"),
        ("diffusion models", "a diffusion model"),
        ("diffusion model", "Diffusion Models"),
        ("LLMs", "an LLM is used"),
        ("query", "five queries"),
        ("text corpora", "a text corpus"),
        ("hypothesis", "two hypotheses"),
        ("50% [sic]", "it is 50% [sic] better"),
    ],
)
def test_a_phrase_is_found(phrase: str, text: str) -> None:
    assert Phrase(phrase).is_in(text)
    assert Phrase(phrase).is_in("nothing", text)
    assert {term for terms in Phrase(phrase).terms for term in terms} & set(index_terms(text))
    with closing(sqlite3.connect(":memory:")) as db:
        assert db.execute("SELECT ? LIKE ? ESCAPE '!'", (text, Phrase(phrase).like)).fetchone() == (1,)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("RAG", "a rag doll"),
        ("art", "this article"),
        ("agent", "reagents"),
        ("GPT-3", "GPT-3.5 is newer"),
        ("GPT-4", "GPT-40"),
        ("tool use", "tools are of use"),
        ("LoRA", "the rain in Lora"),
        ("diffusion models", "diffusion modeling"),
        ("diffusion models", "diffusions model"),
        ("news", "a new paper"),
        ("semantics", "semantic parsing"),
        ("loss", "los"),
    ],
)
def test_a_phrase_is_not_found_in_other_words(phrase: str, text: str) -> None:
    assert not Phrase(phrase).is_in(text)


def test_a_longer_form_is_not_the_whole_phrase() -> None:
    phrase = Phrase("GPT-4")
    assert not phrase.is_whole_in("GPT-4o only")
    assert phrase.is_whole_in("GPT-4o and GPT-4")
    assert phrase.form_in("with GPT-4o, not GPT-4") == "GPT-4o"
    assert phrase.form_in("with nothing") == ""


def test_the_terms_of_longer_forms() -> None:
    assert term_variants(Phrase("GPT-4"), ["4o", "40", "4v", "42", "4"]) == ["4o", "4v", "4"]
