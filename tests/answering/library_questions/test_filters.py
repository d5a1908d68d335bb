"""Questions about the library within the filters of the request and those that the question names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sample_library
from paperagent import PaperAgent

ROWS = [
    ("Kelp Cables", "Cables of kelp carry light under water.", "cs.CV", "2026-05-01", "Mira Oduya"),
    (
        "Kelp Choirs",
        "Choirs of kelp hum when light arrives.",
        "cs.CL cs.CV",
        "2026-05-02",
        "Mira Oduya, Jon Falk",
    ),
    ("Moss Maps", "Maps of moss show where agents rest.", "cs.CL", "2025-03-03", "Jon Falk"),
    ("Moss Minds", "Moss is modeled without any light.", "cs.CV", "2025-03-04", "Ann Bree"),
]


def _library(folder: Path, name: str, rows: list[dict[str, Any]]) -> PaperAgent:
    agent = PaperAgent(folder / name, embedder="none", mode="extractive")
    agent.ingest(sample_library.write_jsonl(folder / f"{name}.jsonl", rows))
    return agent


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[PaperAgent]:
    keys = ("title", "abstract", "categories", "published", "authors")
    rows: list[dict[str, Any]] = [dict(zip(keys, row, strict=True)) for row in ROWS]
    for row in rows:
        row["categories"], row["authors"] = row["categories"].split(), row["authors"].split(", ")
    with _library(tmp_path, "full", rows) as opened:
        yield opened


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[PaperAgent]:
    """Return an agent whose papers have no dates, authors and categories."""
    rows = [{"title": title, "abstract": abstract} for title, abstract, *_ in ROWS]
    with _library(tmp_path, "bare", rows) as opened:
        yield opened


@pytest.mark.parametrize(
    ("question", "options", "start"),
    [
        ("how many papers?", {"exclude": ["agents"]}, "3 of 4 papers are without “agents”."),
        ("how many papers from cs.CV?", {"exclude": ["hum"]}, "2 of 4 papers are in cs.CV, without “hum”."),
        ("how many papers?", {"author": "Falk"}, "2 of 4 papers are by Falk."),
        ("how many papers mention kelp?", {"since": "2026-05-02"}, "1 of 1 paper since 2026-05-02 mentions"),
        ("how many papers mention light?", {"exclude": "moss"}, "2 of 2 papers without “moss” mention"),
        ("list the titles", {"category": "cs.CL"}, "2 papers in cs.CL; the newest first:"),
        ("what's new?", {"until": "2025-12-31"}, "2 papers until 2025-12-31; the newest first:"),
        ("list all the authors", {"category": "cs.CL"}, "The papers in cs.CL have 2 authors."),
        (
            "what's in this library?",
            {"category": "cs.CL"},
            "2 of 4 papers are in cs.CL.\n\n- Dates: 2025-03-03 to 2026",
        ),
        ("what's in this library?", {"category": "cs.RO"}, "No paper is in cs.RO."),
        (
            "do you have the Moss Maps paper?",
            {"exclude": "agents"},
            "“Moss Maps” is not among the papers without",
        ),
        (
            "who wrote the Moss Maps paper?",
            {"category": "cs.CV"},
            "“Moss Maps” is not among the papers in cs.CV.",
        ),
    ],
)
def test_options_limit_every_question(
    agent: PaperAgent, question: str, options: dict[str, Any], start: str
) -> None:
    assert agent.ask(question, **options).answer.startswith(start)


@pytest.mark.parametrize(
    ("question", "options", "start"),
    [
        (
            "how many papers from 2025?",
            {"since": "2025-03-04"},
            "1 of 4 papers is from 2025-03-04 to 2025-12-31.",
        ),
        (
            "how many papers from 2025?",
            {"since": "2026-01-01"},
            "0 of 4 papers are since 2026-01-01, from 2025-01-01",
        ),
        ("how many papers from cs.CV?", {"category": "cs.CL"}, "1 of 4 papers is in cs.CL, in cs.CV."),
        ("how many papers from cs.CV?", {"category": "cs"}, "3 of 4 papers are in cs.CV."),
        ("list the papers by Jon Falk", {"author": "Oduya"}, "1 paper by Oduya, by Jon Falk:"),
        ("list the papers by Jon Falk", {"author": "Falk"}, "2 papers by Jon Falk;"),
        ("papers by Jon Falk", {"author": "Bree"}, "No paper is by Bree, by Jon Falk."),
    ],
)
def test_a_filter_in_the_question_never_widens_an_option(
    agent: PaperAgent, question: str, options: dict[str, Any], start: str
) -> None:
    assert agent.ask(question, **options).answer.startswith(start)


def test_hints_keep_the_filters(agent: PaperAgent) -> None:
    answer = agent.ask("how many papers from cs.CV?", since="2026-01-01", exclude=["green hum"]).answer
    listing = "'paperagent list --since 2026-01-01 --category cs.CV --not \"green hum\"' lists them."
    assert answer.endswith(listing)
    assert "paperagent" not in agent.ask("how many papers from cs.CV?", category="cs.CL").answer
    newest = agent.ask("newest paper on kelp", exclude="moss").answer
    assert newest.endswith("… and 1 more; 'paperagent search kelp --not moss' ranks the papers by relevance")


def test_similar_papers_are_within_the_filters(agent: PaperAgent) -> None:
    source = next(p for p in agent.papers() if p.title == "Kelp Cables").paper_id
    answer = agent.ask(f"papers like {source}", exclude="kelp")
    assert answer.answer.startswith("Papers without “kelp” most similar to “Kelp Cables”")
    assert {hit.title for hit in answer.hits} <= {"Moss Maps", "Moss Minds"}


def test_a_count_is_no_list(agent: PaperAgent) -> None:
    answer = agent.ask("how many papers do you have?")
    assert answer.answer == (
        "The library has 4 papers, from 2025-03-03 to 2026-05-02.\n\n'paperagent list' lists them."
    )
    assert answer.hits == ()


def test_the_newest_paper_is_one(agent: PaperAgent) -> None:
    newest, oldest = agent.ask("newest paper"), agent.ask("what is the oldest paper?")
    assert newest.answer == "The newest paper is of 2026-05-02:\n\n1. Kelp Choirs"
    assert oldest.answer == "The oldest paper is of 2025-03-03:\n\n1. Moss Maps"
    assert len(agent.ask("newest papers").hits) == 4
    assert agent.ask("newest paper", category="cs.CL", until="2025-12-31").hits[0].title == "Moss Maps"


def test_what_no_feed_gives_is_not_counted(bare: PaperAgent) -> None:
    for text in ("how many papers are from 2024?", "list the papers from 2024"):
        assert bare.ask(text).answer == "The feeds of these papers give no dates."
    for text in ("papers by Geoffrey Hinton", "how many papers did Geoffrey Hinton write?"):
        assert bare.ask(text).answer == "The feeds of these papers give no authors."
    assert (
        bare.ask("how many papers?", category="cs.CL").answer
        == "The feeds of these papers give no categories."
    )
    assert bare.ask("how many papers mention kelp?", author="Falk").answer.endswith("give no authors.")


def test_the_order_without_dates_is_that_of_reading(bare: PaperAgent) -> None:
    for text in ("list the titles", "what's new?"):
        answer = bare.ask(text)
        assert "give no dates; in the order of reading, the latest day first:" in answer.answer
        assert [hit.title for hit in answer.hits] == [title for title, *_ in ROWS]
    newest = bare.ask("newest paper")
    assert newest.answer.startswith("The feeds give no dates. The first paper that was read on 20")
    assert [hit.title for hit in newest.hits] == ["Kelp Cables"]


@pytest.mark.parametrize("history", ["answers", "json"])
def test_facts_do_not_renumber_the_papers(agent: PaperAgent, history: str) -> None:
    turns: list[Any] = [agent.ask("list the papers from cs.CV")]
    assert [hit.title for hit in turns[0].hits] == ["Kelp Choirs", "Kelp Cables", "Moss Minds"]
    for question, title in [
        ("who wrote the second one?", "Kelp Cables"),
        ("when was it published?", "Kelp Cables"),
        ("how many papers are there?", "The library"),
        ("show the first one", "Kelp Choirs"),
        ("who wrote the third one?", "Moss Minds"),
        ("who wrote the ninth one?", "Which paper do you mean?"),
        ("who wrote the second one?", "Kelp Cables"),
    ]:
        answer = agent.ask(question, history=turns)
        assert title in answer.answer.splitlines()[0], question
        turns.append(json.loads(json.dumps(answer.to_dict())) if history == "json" else answer)


def test_a_position_is_one_of_the_last_list_that_is_long_enough(agent: PaperAgent) -> None:
    turns = [agent.ask("list the papers from cs.CV"), agent.ask("What does Kelp Choirs do?")]
    assert agent.ask("who is the third one by?", history=turns).answer.startswith("“Moss Minds”")


def test_facts_in_texts_do_not_renumber_the_papers(agent: PaperAgent) -> None:
    turns = [("How do they differ?", "“Moss Minds” is dark, “Kelp Choirs” sings.")]
    turns.append(("who wrote the first one?", agent.ask("who wrote the first one?", history=turns).answer))
    assert turns[-1][1].startswith("“Moss Minds” was written by Ann Bree")
    assert agent.ask("who wrote the second one?", history=turns).answer.startswith("“Kelp Choirs”")


def test_the_number_of_authors(agent: PaperAgent, bare: PaperAgent) -> None:
    two = "“Kelp Choirs” has 2 authors: Mira Oduya, Jon Falk."
    for text in ("how many authors does the Kelp Choirs paper have?", "how many people wrote Kelp Choirs?"):
        assert agent.ask(text).answer == two
        assert bare.ask(text).answer == "The feed gives no authors of “Kelp Choirs”."
    listing = agent.ask("list the papers from cs.CV")
    assert agent.ask("how many authors does it have?", history=[listing]).answer == two
    assert agent.ask("how many authors are there?").answer.startswith("The papers here have 3 authors.")
