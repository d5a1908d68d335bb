"""Distinguish questions about the library from questions about the content of papers."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from paperagent.answering.library_questions.classify import MAX_LENGTH, classify, is_goodbye
from paperagent.answering.library_questions.intents import Intent
from paperagent.types import Filters

TODAY = dt.date(2026, 7, 1)


def intent(text: str, *, has_history: bool = False) -> Intent:
    result = classify(text, has_history=has_history, today=TODAY)
    assert result is not None, text
    return result


@pytest.mark.parametrize(
    ("text", "topic", "mention"),
    [
        ("how many papers are there?", "", False),
        ("How many papers mention GPT-4?", "GPT-4", True),
        ("how many papers on tool use", "tool use", False),
        ("how many diffusion papers do you have?", "diffusion", False),
        ("in how many papers is LoRA mentioned?", "LoRA", True),
        ("pls how many pappers mention “chain of thought”", "chain of thought", True),
    ],
)
def test_counts(text: str, topic: str, *, mention: bool) -> None:
    result = intent(text)
    assert (result.kind, result.topic, result.mention) == ("count", topic, mention)


def test_limits_are_read_in_any_order() -> None:
    since = Filters(since=dt.date(2026, 5, 1), category="cs.CL")
    for text in ("how many papers from cs.CL since May", "how many cs.CL papers since May"):
        assert intent(text).filters == since
    both = intent("how many papers by Ada Quillfeather since May mention lanterns?")
    assert (both.author, both.topic, both.filters.since) == ("Ada Quillfeather", "lanterns", since.since)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("do you have Zorbulator?", "existence"),
        ("is the Zorbulator paper in the library?", "existence"),
        ("what is 2404.14313 about?", "overview"),
        ("anything since Monday", "newest"),
        ("in which conference did the Zorbulator paper appear?", "metadata"),
        ("what do your papers deal with in general", "contents"),
        ("i am new here, what do i do", "help"),
        ("What should I read first?", "help"),
        ("Recommend a paper", "help"),
        ("what are the most important papers?", "help"),
        ("ok thats all, goodbye", "quit"),
    ],
)
def test_other_requests(text: str, kind: str) -> None:
    assert intent(text).kind == kind
    assert not intent(text).if_found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Wie viele Artikel hast du?", "count"),
        ("Hast du das Zorbulator-Paper?", "existence"),
        ("¿Cuántos artículos mencionan RLHF?", "count"),
        ("¿Quién escribió el artículo Zorbulator?", "metadata"),
        ("Montre-moi les derniers articles", "newest"),
        ("Résume l'article Zorbulator", "overview"),
        ("库里有多少篇论文？", "count"),
        ("谁写了Zorbulator这篇论文？", "metadata"),
        ("有没有证据表明它有效？", None),
        ("Was ist neu an Zorbulator 2?", None),
        ("¿Cuántos artículos se usaron para el corpus?", None),
        ("Qui a annoté les données ?", None),
    ],
)
def test_other_languages(text: str, kind: str | None) -> None:
    result = classify(text, today=TODAY)
    assert (result.kind if result else None) == kind


def test_words_in_titles_and_abstracts() -> None:
    for text in ("how many papers have survey in the title", "titles with survey in them"):
        assert (intent(text).topic, intent(text).text_field) == ("survey", "title")
    assert intent("list papers with lanterns in the abstract").text_field == "abstract"


@pytest.mark.parametrize(
    "text",
    [
        "do you have to fine-tune Zorbulator?",
        "do you have evidence that it helps?",
        "is Zorbulator better in here than others?",
        "what has BERT learned?",
        "which authors argue that it fails?",
        "how many papers are needed for a survey?",
        "how many papers does the survey cover?",
        "how many papers on sleep were excluded?",
        "what is new in Llama 3?",
        "what is the newest model of the lab?",
        "list papers on agents that call tools",
        "hi-res image models?",
        "exit strategies in early-exit networks",
        "help me understand retrieval",
        "thanks to what does it improve?",
        "results?",
    ],
)
def test_questions_are_not_caught(text: str) -> None:
    for has_history in (False, True):
        result = classify(text, has_history=has_history, today=TODAY)
        assert result is None or result.exact_title


def test_what_may_be_a_title_depends_on_the_library() -> None:
    """A lookup in the library decides whether these are about a paper."""
    for text in ("who wrote the annotations of the corpus?", "when was Zephyrine released?"):
        assert intent(text).if_found
    assert not intent("who wrote [2]?").if_found


def test_it_means_the_program_only_without_an_answer_before() -> None:
    assert intent("how does it work?").kind == "help"
    assert classify("how does it work?", has_history=True) is None


def test_goodbyes_end_a_session() -> None:
    assert all(map(is_goodbye, ("quit", "exit", "Bye!", ":q", "ok, bye", "tschüss")))
    assert not any(map(is_goodbye, ("exit codes of the tool?", "hi", "quit rates", "x" * 10_000)))


def test_long_texts_are_questions_and_take_no_time() -> None:
    """Every rule reads a bounded text, so no input makes one of them slow."""
    assert classify("how many papers " + "a " * MAX_LENGTH) is None
    hostile = [
        "the " * 70,
        "how many " * 30,
        "a.b-c " * 45,
        "list all of the " * 18,
        "papers by " * 29,
        "((" * 140,
    ]
    started = time.process_time()
    for text in hostile:
        classify(text, has_history=True)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Could you tell me how many works your holdings comprise?", "count"),
        ("cs.RO: how many?", "count"),
        ("how many manuscripts has Ada Quillfeather in here", "count"),
        ("Do you possess a copy of “Lanternfold”?", "existence"),
        ("I liked Lanternfold, what should I read next?", "similar"),
        ("What is the scope of this collection?", "contents"),
        ("That was most helpful, thank you kindly.", "thanks"),
        ("gtg, see ya", "quit"),
        ("Are you a human or a program?", "help"),
    ],
)
def test_other_words_and_another_order(text: str, kind: str) -> None:
    intent = classify(text)
    assert intent is not None
    assert intent.kind == kind


def test_after_an_answer_how_many_may_be_about_it() -> None:
    assert classify("how many have failed?", has_history=True) is None
    assert classify("how many are there?", has_history=True) is None
