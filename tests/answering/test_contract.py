"""The contract that every interface relies on: keys, types and invariants, over a whole library."""

from __future__ import annotations

import asyncio
import json
import threading
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sample_library
from paperagent import Answer, Hit, InputError, Paper, PaperAgent, StoreError, ask
from paperagent.answering.answers import caveat_of
from sample_library import QUESTIONS, check_invariants

TEXT, MAYBE = str, (str, type(None))
ANSWER: dict[str, Any] = {
    "question": TEXT,
    "status": TEXT,
    "kind": TEXT,
    "reason": MAYBE,
    "answer": TEXT,
    "claims": list,
    "citations": list,
    "papers": list,
    "mode": TEXT,
    "model": MAYBE,
    "prompt_hash": MAYBE,
    "usage": dict,
    "timings_ms": dict,
}
EXTRAS: dict[str, Any] = {"confidence": (float, type(None)), "notes": list, "fallback": MAYBE}
CLAIM = {"text": TEXT, "citations": list, "support": TEXT, "checks": dict}
CITATION = {"n": int, "paper_id": TEXT, "title": TEXT, "url": MAYBE, "quote": TEXT, "start": int, "end": int}
PAPER = {"paper_id": TEXT, "title": TEXT, "score": float, "rank": int}
COUNTS = ("calls", "input_tokens", "cached_tokens", "output_tokens")
USAGE = {**dict.fromkeys(COUNTS, int), "cost_usd": (float, type(None)), "estimated": bool}
TIMINGS = dict.fromkeys(("retrieve", "generate", "verify", "total"), float)
HIT = {**PAPER, "published": MAYBE, "url": MAYBE, "snippet": TEXT, "withdrawn": bool}
STATUSES = {"answered", "doubtful", "abstained", "incomplete", "refused"}
REASONS = {None, "empty_library", "low_confidence", "no_evidence", "not_in_abstracts", "withheld_unsupported"}
SUPPORTS = {"quoted", "supported", "unverified", "unsupported", "uncited"}
COMPARE = "How do Orlanthe and Wickerlane differ?"
LIST = "Which papers are about agents?"
FACT = "How much of the prompt does Tindersift remove?"


def check_shape(value: dict[str, Any], shape: dict[str, Any], extras: dict[str, Any] | None = None) -> None:
    """Assert that a JSON object has exactly these keys, in this order, with these types."""
    wanted = {**shape, **(extras or {})}
    assert list(value) == list(wanted)
    for key, kind in wanted.items():
        assert isinstance(value[key], kind), key
        assert not (isinstance(value[key], bool) and kind is int), key


def check_document(answer: Answer, *, reasons: Collection[str] = ()) -> dict[str, Any]:
    """Assert that an answer's JSON is as the contract has it, and return it; ``reasons`` are further ones."""
    found: dict[str, Any] = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    check_shape(found, ANSWER, EXTRAS)
    for claim in found["claims"]:
        check_shape(claim, CLAIM)
        assert claim["support"] in SUPPORTS
    for citation in found["citations"]:
        check_shape(citation, CITATION)
    for paper in found["papers"]:
        check_shape(paper, PAPER)
    check_shape(found["usage"], USAGE)
    check_shape(found["timings_ms"], TIMINGS)
    assert found["status"] in STATUSES
    assert found["reason"] in {*REASONS, *reasons}
    assert found["kind"] in {"papers", "library", "chat"}
    assert found["mode"] in {"extractive", "llm"}
    return found


def without_times(answer: Answer) -> Answer:
    return replace(answer, timings_ms={})


@pytest.fixture(params=["words", "model"])
def agent(request: pytest.FixtureRequest) -> Iterator[PaperAgent]:
    """Give the sample library, searched by words alone and with the embedding model where it is."""
    if request.param == "model":
        yield sample_library.model_agent()
        return
    with sample_library.plain_agent() as opened:
        yield opened


# --- answers ---


@pytest.mark.parametrize("question", QUESTIONS, ids=range(len(QUESTIONS)))
def test_every_answer_keeps_the_contract(agent: PaperAgent, question: str) -> None:
    """Keys, types and invariants hold for every kind of question, answered or not."""
    answer = agent.ask(question)
    check_document(answer)
    check_invariants(answer, agent)
    assert isinstance(answer, Answer)
    assert len(answer.hits) <= agent.settings.top_k
    assert answer.hits or answer.reason == "no_evidence"
    assert answer.confidence is not None
    assert 0 <= answer.confidence <= 1


def test_known_facts_are_answered_with_their_sentence(agent: PaperAgent) -> None:
    """Questions with an answer in the sample are answered, and the sentence with the fact is quoted."""
    for question, quoted in {
        FACT: "removes 61% of the tokens",
        "How much latency does Quorvex add to each call?": "adds 60 milliseconds",
        "What share of fine-tuning's energy do the accelerators' own counters miss?": "22% too low",
    }.items():
        answer = agent.ask(question)
        assert answer.status == "answered", question
        assert any(quoted in c.quote for c in answer.citations), question


def test_a_comparison_cites_both_papers(agent: PaperAgent) -> None:
    """Both named papers are quoted, each under its title, and their sentences stand together."""
    answer = agent.ask(COMPARE)
    titles = [c.title.split(":")[0] for c in answer.citations]
    assert set(titles) == {"Orlanthe", "Wickerlane"}
    assert len([i for i in range(1, len(titles)) if titles[i] != titles[i - 1]]) == 1
    assert all(c.title in answer.answer for c in answer.citations)


@pytest.mark.parametrize("question", [LIST, "Which papers are on fine-tuning?"])
def test_a_list_cites_several_papers(agent: PaperAgent, question: str) -> None:
    """A request for papers names at least two, grouped."""
    answer = agent.ask(question)
    papers = [c.paper_id for c in answer.citations]
    assert len(set(papers)) >= 2
    assert papers == sorted(papers, key=papers.index)


def test_a_follow_up_is_about_the_same_paper(agent: PaperAgent) -> None:
    """With the turn before, "it" is the paper that was spoken of; the history may have any shape."""
    first = agent.ask("What is Quorvex?")
    quorvex = sample_library.paper_titled("Quorvex").paper_id
    assert first.citations[0].paper_id == quorvex
    for history in (
        [("What is Quorvex?", first.answer)],
        [{"question": "What is Quorvex?", "answer": first.answer}],
        [{"role": "user", "content": "What is Quorvex?"}, {"role": "assistant", "content": first.answer}],
    ):
        answer = agent.ask("How much time does it add to each call?", history=history)
        check_invariants(answer, agent)
        assert answer.citations[0].paper_id == quorvex
        assert any("60 milliseconds" in c.quote for c in answer.citations)


def test_the_answer_is_the_claims_with_markers(agent: PaperAgent) -> None:
    """Apart from titles and markers nothing but the claims stands in the answer."""
    for question in (FACT, COMPARE, LIST):
        answer = agent.ask(question)
        text = answer.answer.removeprefix(caveat_of(answer))
        for claim in answer.claims:
            marks = "".join(f"[{n}]" for n in claim.citations)
            assert f"{claim.text} {marks}" in text
            text = text.replace(f"{claim.text} {marks}", "", 1)
        for title in {c.title for c in answer.citations}:
            text = text.replace(title, "", 1)
        assert not text.strip()


def test_an_answer_reads_as_text_and_in_a_notebook(agent: PaperAgent) -> None:
    """`str`, Markdown and HTML hold every claim with its marker and every source."""
    for question in (FACT, COMPARE, "Who discovered the structure of DNA?"):
        answer = agent.ask(question)
        text = str(answer)
        for claim in answer.claims:
            assert f"{claim.text} [{claim.citations[0]}]" in text
        assert all(c.title in text and c.paper_id in text for c in answer.citations)
        assert text.startswith("No answer: The abstracts do not say") == (answer.status == "abstained")
        assert text.startswith("May not answer: ") == (answer.status == "doubtful")
        assert answer._repr_markdown_().count("\n## ") == answer._repr_html_().count("<h4>") - (
            answer._repr_markdown_().startswith("## ")
        )


def test_extractive_answers_cost_nothing(agent: PaperAgent) -> None:
    """No model call, no token, no money, and said so."""
    document = check_document(agent.ask(FACT))
    assert document["usage"] == {**dict.fromkeys(COUNTS, 0), "cost_usd": 0.0, "estimated": False}
    assert (document["mode"], document["model"], document["prompt_hash"]) == ("extractive", None, None)


def test_the_same_question_gives_the_same_answer(agent: PaperAgent) -> None:
    """Twice, and after other questions: only the timings differ."""
    first = [without_times(agent.ask(q)) for q in (FACT, COMPARE, LIST)]
    agent.ask("Does chain-of-thought prompting help with irony?")
    assert [without_times(agent.ask(q)) for q in (FACT, COMPARE, LIST)] == first


def test_two_libraries_of_the_same_papers_answer_alike(tmp_path: Path) -> None:
    """The order in which papers arrived does not matter."""
    records = [
        {"paper_id": p.paper_id, "title": p.title, "abstract": p.abstract}
        for p in reversed(sample_library.papers())
    ]
    feed = sample_library.write_jsonl(tmp_path / "feed.jsonl", records)
    with sample_library.plain_agent() as one, sample_library.plain_agent(tmp_path / "other") as other:
        other.ingest(feed)
        for question in QUESTIONS:
            first, second = one.ask(question), other.ask(question)
            assert first.citations == second.citations
            assert [h.paper_id for h in first.hits] == [h.paper_id for h in second.hits]


def test_a_streamed_answer_is_the_answer(agent: PaperAgent) -> None:
    """`ask_stream` gives what `ask` gives, step by step."""
    *steps, last = agent.ask_stream(COMPARE)
    whole = agent.ask(COMPARE)
    assert last.kind == "done"
    assert last.answer is not None
    assert without_times(last.answer) == without_times(whole)
    assert [s.kind for s in steps] == ["retrieved", *["claim"] * len(whole.claims)]
    assert tuple(s.claim for s in steps[1:]) == whole.claims


def test_a_stream_may_be_left_early(agent: PaperAgent) -> None:
    """Who has seen enough stops; the agent goes on."""
    steps = agent.ask_stream(LIST)
    assert next(steps).kind == "retrieved"
    steps.close()  # type: ignore[attr-defined]
    assert agent.ask(FACT).status == "answered"


def test_inside_a_running_loop_and_from_threads(agent: PaperAgent) -> None:
    """`ask` and `search` work under Jupyter's loop, and four threads at once get their own answers."""
    expected = {q: without_times(agent.ask(q)) for q in QUESTIONS[:8]}

    async def cell() -> Answer:
        return agent.ask(FACT)

    assert without_times(asyncio.run(cell())) == without_times(agent.ask(FACT))
    wrong: list[Any] = []

    def work(start: int) -> None:
        try:
            for question in (QUESTIONS[:8] * 2)[start::2]:
                answer = without_times(agent.ask(question))
                wrong.extend([question] if answer != expected[question] else [])
        except Exception as error:  # noqa: BLE001 - told to the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=st.text(max_size=200))
def test_any_text_is_answered_or_refused(question: str) -> None:
    """Whatever is asked, there is an answer that keeps the contract, or an InputError."""
    with sample_library.plain_agent() as agent:
        try:
            answer = agent.ask(question)
        except InputError:
            return
        check_document(answer)
        check_invariants(answer, agent)
        assert not any(unicodedata.category(c) in {"Cc", "Cf"} for c in answer.question)


# --- filters and numbers ---


@pytest.mark.parametrize("k", [1, 3, 29, 100])
def test_k_bounds_what_is_retrieved(agent: PaperAgent, k: int) -> None:
    """At most ``k`` papers are retrieved, and only those are cited."""
    answer = agent.ask(LIST, k=k)
    check_invariants(answer, agent)
    assert len(answer.hits) <= k
    assert len(agent.search("language models", k=k)) <= k


def test_filters_bound_everything(agent: PaperAgent) -> None:
    """What a filter leaves out is neither retrieved nor cited; a filter that leaves nothing abstains."""
    inside = agent.ask(FACT, since="2026-07-01", until="2026-07-01", source="daily-papers")
    assert inside.citations == agent.ask(FACT).citations
    for nothing in (
        {"until": "2026-06-30"},
        {"since": "2026-07-02"},
        {"category": "cs.CL"},
        {"source": "hf"},
    ):
        answer = agent.ask(FACT, **nothing)
        assert (answer.status, answer.reason, answer.hits) == ("abstained", "no_evidence", ())
        assert agent.search(FACT, **nothing) == []  # type: ignore[arg-type]


# --- search, papers, status ---


def test_search_keeps_the_contract(agent: PaperAgent) -> None:
    """A list of hits, ranked from 1 by falling score, each with a snippet of its abstract."""
    hits = agent.search("hidden instructions in retrieved text", k=5)
    assert all(isinstance(h, Hit) for h in hits)
    assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert hits[0].title.startswith("Thistlebank")
    for hit in hits:
        check_shape(json.loads(json.dumps(hit.to_dict())), HIT)
        assert hit.snippet.removesuffix("…") in agent.get(hit.paper_id).abstract


def test_get_returns_the_whole_paper(agent: PaperAgent) -> None:
    """A paper by its id; an unknown id is an InputError and a KeyError with a plain message."""
    paper = agent.get(agent.search("Quorvex")[0].paper_id)
    assert isinstance(paper, Paper)
    assert paper in list(agent.papers())
    with pytest.raises(InputError, match=r"^paper: no paper with the id nope;") as caught:
        agent.get("nope")
    assert isinstance(caught.value, KeyError)
    with pytest.raises(InputError, match="must be str, got int"):
        agent.get(7)  # type: ignore[arg-type]


def test_status_keeps_the_contract(agent: PaperAgent) -> None:
    """Where the library is, how many papers, and how far each index is."""
    status = json.loads(json.dumps(agent.status()))
    assert {"home", "papers", "lexical", "vectors", "generation"} <= status.keys()
    assert status["home"] == str(agent.home)
    assert status["papers"] == len(sample_library.papers()) == status["lexical"]["indexed"]
    assert list(status["vectors"]) == ["indexed", "pending", "embedder"]
    assert status["vectors"]["indexed"] + status["vectors"]["pending"] == status["papers"]
    assert isinstance(status["generation"], int)


def test_doctor_finds_the_library_well(agent: PaperAgent) -> None:
    """Every paper is reachable in both indexes."""
    health = agent.doctor()
    assert health.ok, health.checks


# --- no library ---


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.ask(FACT),
        lambda a: a.ask_stream(FACT),
        lambda a: a.search(FACT),
        lambda a: a.get("x"),
        lambda a: list(a.papers()),
        lambda a: a.status(),
        lambda a: a.doctor(),
        lambda a: a.doctor(repair=True),
        lambda a: a.reindex(),
    ],
)
def test_reading_creates_no_library(call: Any, tmp_path: Path) -> None:
    """Without a library every reading call is a StoreError that names the next step, and makes nothing."""
    home = tmp_path / "nowhere"
    with sample_library.plain_agent(home) as agent, pytest.raises(StoreError, match="paperagent ingest"):
        call(agent)
    assert not home.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_function_uses_the_default_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`ask()` answers from PAPERAGENT_HOME, notices when it changes, and keeps what it opened."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    with pytest.raises(StoreError):
        ask(FACT)
    monkeypatch.setenv("PAPERAGENT_HOME", str(sample_library.home()))
    first = ask(FACT)
    assert first.status == "answered"
    assert without_times(ask(FACT, mode="extractive")) == without_times(first)
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "other"))
    with pytest.raises(StoreError):
        ask(FACT)
