"""Answers from the database: greetings, papers that are not here, and no call of a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sample_library
from paperagent import PaperAgent, StoreError
from paperagent.errors import InputError


@pytest.fixture
def agent() -> Iterator[PaperAgent]:
    with sample_library.plain_agent() as opened:
        yield opened


@pytest.mark.parametrize("text", ["hi", "?", "thanks!", "quit"])
def test_small_talk_needs_no_library(tmp_path: Path, text: str) -> None:
    with PaperAgent(tmp_path / "nowhere", embedder="none", mode="extractive") as agent:
        answer = agent.ask(text)
        with pytest.raises(StoreError):
            agent.ask("how many papers are there?")
    assert (answer.kind, answer.status, answer.claims, answer.hits) == ("chat", "answered", (), ())
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_library_says_so(tmp_path: Path) -> None:
    feed = tmp_path / "empty.jsonl"
    feed.write_text("")
    with PaperAgent(tmp_path / "library", embedder="none", mode="extractive") as agent:
        with pytest.raises(InputError):
            agent.ask("?" * 10)
        agent.follow(str(feed))  # creates the library
        answer = agent.ask("what's in here?")
    assert answer.kind == "library"
    assert "empty" in answer.answer
    assert "paperagent ingest" in answer.answer


def test_a_fact_has_its_papers_and_cites_nothing(agent: PaperAgent) -> None:
    answer = agent.ask("how many papers mention retrieval?")
    found = answer.to_dict()
    assert list(found)[:4] == ["question", "status", "kind", "reason"]
    assert (found["kind"], found["claims"], found["citations"]) == ("library", [], [])
    assert answer.answer.startswith("6 of 32 papers mention “retrieval” in title or abstract")
    assert [h.rank for h in answer.hits] == [1, 2, 3, 4, 5, 6]
    assert answer.hits[0].title in str(answer)


def test_a_count_says_which_forms_it_counts(agent: PaperAgent) -> None:
    plural, singular = (
        agent.ask(f"how many papers mention {phrase}?") for phrase in ("language models", "language model")
    )
    assert plural.answer.startswith(
        "13 of 32 papers mention “language models” in title or abstract: 6 exactly, "
    )
    assert "7 only as “language model”" in plural.answer
    assert singular.answer.startswith("13 of 32 papers mention “language model”")
    assert "only as “language models”" in singular.answer


@pytest.mark.parametrize("question", ["what's in this library?", "which authors have the most papers?"])
def test_a_summary_is_kept_until_the_library_changes(tmp_path: Path, question: str) -> None:
    feed = tmp_path / "feed.jsonl"
    with PaperAgent(tmp_path / "library", embedder="none", mode="extractive") as agent:
        answers = []
        for n, name in enumerate(("Ada Quill", "Bo Tallis"), start=1):
            text = f"We fold {n} lanterns that light a corridor for nine hours."
            record = {"id": f"2606.0000{n}", "title": f"Lanterns {n}", "abstract": text, "authors": [name]}
            feed.write_text(json.dumps(record) + "\n")
            agent.ingest(feed)
            answers += [agent.ask(question), agent.ask(question.upper())]
    assert answers[0].answer == answers[1].answer
    assert answers[2].answer == answers[3].answer != answers[0].answer
    assert answers[1].question == question.upper()


def test_a_long_list_says_how_to_see_the_others(agent: PaperAgent) -> None:
    answer = agent.ask("list the titles")
    assert len(answer.hits) == 10
    assert answer.answer.endswith("… and 22 more; 'paperagent list' lists them")


def test_options_limit_what_is_counted(agent: PaperAgent) -> None:
    assert agent.ask("how many papers?", until="2026-06-30").answer.startswith("0 of 32 papers are until")
    assert agent.ask("how many papers?", since="2026-07-01").answer.startswith("32 of 32 papers")


def test_no_model_is_called(agent: PaperAgent) -> None:
    """Mode ``llm`` without an endpoint fails for an ordinary question, but not for one about the library."""
    answer = agent.ask("how many papers are there?", mode="llm")
    assert (answer.kind, answer.mode, answer.usage.calls) == ("library", "extractive", 0)


def test_it_is_the_paper_of_the_last_answer(agent: PaperAgent) -> None:
    first = agent.ask("How much of the prompt does Tindersift remove?")
    as_answer = agent.ask("who wrote it?", history=[first])
    as_text = agent.ask("who wrote it?", history=[("What is Tindersift?", f"See “{first.hits[0].title}”.")])
    for answer in (as_answer, as_text):
        assert answer.answer.startswith("The feed gives no authors of “Tindersift")
    assert "Which paper" in agent.ask("who wrote it?").answer


def test_a_summary_of_a_topic_cites_papers(agent: PaperAgent) -> None:
    answer = agent.ask("summarize the papers on retrieval")
    assert (answer.kind, answer.question) == ("papers", "summarize the papers on retrieval")
    assert answer.citations
    events = [event.kind for event in agent.ask_stream("summarize the papers on retrieval")]
    assert events == ["retrieved", "done"]


def test_a_title_that_is_a_question_is_one(agent: PaperAgent) -> None:
    assert agent.ask("Quantisation Hurts Rare Languages First").kind == "library"
    assert agent.ask("When Should a Retriever Stay Silent?").kind == "papers"


def test_a_paper_is_here_or_not(agent: PaperAgent) -> None:
    answer = agent.ask("do you have the Tindersift paper?")
    assert answer.answer.startswith("Yes, the library has this paper:")
    assert answer.hits[0].title.startswith("Tindersift")
    absent = agent.ask("is the Zorbulator paper in here?")
    assert absent.answer == "No paper titled “Zorbulator” is here, and no title or abstract mentions it."
    assert agent.ask("is 1706.03762 in there?").answer == "No paper here has the id “1706.03762”."
    nearest = agent.ask("Quantised Retrievers Forget Rare Languages")
    assert nearest.answer.startswith("No paper titled “Quantised Retrievers Forget Rare Languages” is here")
    assert len(nearest.hits) == 3


def test_papers_that_mention_a_name_do_not_have_it_as_title(agent: PaperAgent) -> None:
    answer = agent.ask("do you have the Retrieval paper?")
    assert "6 papers mention it" in answer.answer
    assert len(answer.hits) == 6


def test_a_paper_is_found_by_the_name_that_its_abstract_introduces(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    texts = [
        ("Lanterns That Bid", "We introduce LumoBid, an auction of lanterns. " * 3),
        ("Bids Without Lanterns", "Unlike LumoBid, bids are made in the dark. " * 3),
    ]
    feed.write_text(
        "\n".join(json.dumps({"title": t, "abstract": a, "authors": ["A. Moth"]}) for t, a in texts)
    )
    with PaperAgent(tmp_path / "library", embedder="none", mode="extractive") as agent:
        agent.ingest(str(feed))
        assert agent.ask("who wrote the LumoBid paper?").answer.startswith(
            "“Lanterns That Bid” was written by"
        )
        assert agent.ask("how many papers have lanterns in the title?").answer.startswith("2 of 2 papers")
        assert agent.ask("how many papers have auction in the title?").answer.startswith(
            "None of the 2 papers"
        )
        assert "A. Moth (2)" in agent.ask("which author has the most papers?").answer
        overview = agent.ask("summarize the papers by Moth", exclude=["auction"])
    assert {hit.title for hit in overview.hits} == {"Bids Without Lanterns"}


def test_feeds_without_authors_say_so(agent: PaperAgent) -> None:
    for text in ("list all the authors", "what has Ada Quillfeather written?"):
        assert agent.ask(text).answer.endswith("The feeds of these papers give no authors.")


@pytest.mark.parametrize(
    "text", ["help", "list the titles", "the abstract of Corrivane", "who wrote Corrivane?"]
)
def test_no_text_looks_like_a_citation(tmp_path: Path, text: str) -> None:
    """Brackets in titles, in abstracts and in the program's own text are no citations."""
    record = {"title": "Corrivane: Ice [3] and Lakes", "abstract": "As shown in [1], lakes freeze."}
    with PaperAgent(tmp_path / "library", embedder="none", mode="extractive") as agent:
        agent.ingest(sample_library.write_jsonl(tmp_path / "feed.jsonl", [record]))
        answer = agent.ask(text)
    assert answer.kind in ("library", "chat")
    assert not re.search(r"\[\d+\]", answer.answer)
