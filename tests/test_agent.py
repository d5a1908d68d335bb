"""`PaperAgent` and `ask()`: what goes in, what is kept, what is refused."""

from __future__ import annotations

import copy
import datetime as dt
import inspect
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sample_library
from fake_encoder import FakeEncoder
from paperagent import (
    ConfigError,
    FeedError,
    InputError,
    PaperAgent,
    PaperNotFoundError,
    StoreError,
    StoreLockedError,
    ask,
)
from paperagent import agent as app
from paperagent.feeds.reader import sample_path
from paperagent.library.home import writer_lock

FACT = "How much of the prompt does Tindersift remove?"
PAPERS = len(sample_library.feed_papers())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a place for a library."""
    return tmp_path / "library"


@pytest.fixture
def agent(home: Path) -> Iterator[PaperAgent]:
    """Give an agent by words alone whose library is not there yet."""
    with sample_library.plain_agent(home) as opened:
        yield opened


def feed(folder: Path, name: str = "feed.jsonl", **changes: Any) -> Path:
    """Write a feed of one paper."""
    record = {
        "arxiv_id": "2601.00001",
        "title": "A Lamp for Owls",
        "abstract": "Owls accept lamps. They sleep.",
    }
    return sample_library.write_jsonl(folder / name, [{**record, **changes}])


# --- ingest ---


def test_ingest_creates_and_reports(agent: PaperAgent, home: Path) -> None:
    """The first ingest makes the library; the report counts what was read."""
    assert not home.exists()
    report = agent.ingest(sample_path())
    assert (report.read, report.new, report.changed, report.unchanged) == (PAPERS, PAPERS, 0, 0)
    assert (report.papers, report.embedded, report.pending, report.skipped) == (PAPERS, 0, PAPERS, {})
    assert agent.status()["papers"] == PAPERS


def test_a_second_ingest_changes_nothing(agent: PaperAgent) -> None:
    """The same feed again is all unchanged, and the library's generation says so."""
    agent.ingest(sample_path())
    before = agent.status()
    report = agent.ingest(str(sample_path()))
    assert (report.new, report.changed, report.unchanged) == (0, 0, PAPERS)
    assert agent.status() == before


def test_several_feeds_are_one_report(agent: PaperAgent, tmp_path: Path) -> None:
    """Counts add up over the sources; reasons of skipped records are kept."""
    other = sample_library.write_jsonl(
        tmp_path / "other.jsonl",
        [{"title": "Owls", "abstract": "Owls sleep all day long."}, {"title": "None", "abstract": ""}],
    )
    report = agent.ingest([sample_path(), str(other)])
    assert (report.new, report.papers) == (PAPERS + 1, PAPERS + 1)
    assert sum(report.skipped.values()) == 1
    assert json.loads(json.dumps(report.to_dict()))["skipped"] == dict(report.skipped)


def test_a_changed_abstract_is_asked_in_its_new_form(agent: PaperAgent, tmp_path: Path) -> None:
    """After a change the answer quotes the new text."""
    agent.ingest(feed(tmp_path))
    assert agent.ask("Do owls accept lamps?").citations[0].quote == "Owls accept lamps."
    report = agent.ingest(feed(tmp_path, abstract="Owls accept lamps only at dusk. They sleep."))
    assert (report.new, report.changed) == (0, 1)
    assert agent.ask("Do owls accept lamps?").citations[0].quote == "Owls accept lamps only at dusk."


def test_the_date_of_a_feed_is_its_papers_day(agent: PaperAgent) -> None:
    """A feed without dates is listed on the day that is given: a date or a text."""
    agent.ingest(sample_path(), date=dt.date(2026, 3, 5))
    assert {p.listed for p in agent.papers()} == {dt.date(2026, 3, 5)}
    with pytest.raises(InputError, match=r"^date: 2026-3-5 is not a date"):
        agent.ingest(sample_path(), date="2026-3-5")


@pytest.mark.parametrize("sources", [[], (), iter(())])
def test_no_source_is_refused(agent: PaperAgent, home: Path, sources: Any) -> None:
    """Nothing to read is an InputError that says what to name."""
    with pytest.raises(InputError, match="no source"):
        agent.ingest(sources)
    assert not home.exists()


@pytest.mark.parametrize("sources", [None, 7, b"feed.txt", [b"feed.txt"], [None], ["ok", 3]])
def test_sources_of_another_type_are_refused(agent: PaperAgent, home: Path, sources: Any) -> None:
    """What is no path is an InputError, not a TypeError from within."""
    with pytest.raises(InputError, match=r"^ingest: "):
        agent.ingest(sources)
    assert not home.exists()


def test_a_feed_that_cannot_be_read_creates_no_library(agent: PaperAgent, home: Path, tmp_path: Path) -> None:
    """A missing file is a FeedError and leaves nothing behind."""
    with pytest.raises(FeedError, match="no such file"):
        agent.ingest(tmp_path / "missing.txt")
    assert not home.exists()


def test_feeds_before_a_bad_one_are_kept(agent: PaperAgent, tmp_path: Path) -> None:
    """The error comes, and what was read before it is in the library."""
    with pytest.raises(FeedError):
        agent.ingest([feed(tmp_path), tmp_path / "missing.txt"])
    assert agent.get("2601.00001").title == "A Lamp for Owls"


@pytest.mark.parametrize(
    "written",
    [
        "2601.00001",
        "arXiv:2601.00001v3",
        "https://arxiv.org/abs/2601.00001",
        "10.5555/OWL",
        "https://doi.org/10.5555/owl",
    ],
)
def test_a_paper_is_got_by_its_id_in_any_writing(agent: PaperAgent, tmp_path: Path, written: str) -> None:
    """As people copy ids: with a prefix, a version, or as an address."""
    paper = {
        "id": "2601.00001",
        "doi": "10.5555/owl",
        "title": "A Lamp for Owls",
        "abstract": "Owls like lamps.",
    }
    agent.ingest(sample_library.write_jsonl(tmp_path / "one.jsonl", [paper]))
    assert agent.get(written).title == "A Lamp for Owls"


@pytest.mark.parametrize(
    "written",
    [
        "acl:2024.acl-long.1",
        "ACL:2024.ACL-long.1",
        "2024.acl-long.1",
        " https://aclanthology.org/2024.acl-long.1/",
        "https://www.aclanthology.org/2024.acl-long.1.pdf",
    ],
)
@pytest.mark.parametrize("known", [{"ids": ["acl:2024.acl-long.1"]}, {"doi": "10.18653/v1/2024.acl-long.1"}])
def test_a_paper_of_the_anthology_is_got_in_any_writing(
    agent: PaperAgent, tmp_path: Path, written: str, known: dict[str, str]
) -> None:
    """Whether the Anthology's own feed brought it, or one that knows its DOI."""
    paper = {**known, "title": "A Lamp for Owls", "abstract": "Owls like lamps."}
    agent.ingest(sample_library.write_jsonl(tmp_path / "one.jsonl", [paper]))
    assert agent.get(written).title == "A Lamp for Owls"


def test_an_old_id_of_the_anthology(agent: PaperAgent, tmp_path: Path) -> None:
    """Before 2020 they began with a letter; small or large is the same."""
    paper = {"ids": ["acl:P19-1001"], "title": "A Lamp for Owls", "abstract": "Owls like lamps."}
    agent.ingest(sample_library.write_jsonl(tmp_path / "one.jsonl", [paper]))
    assert agent.get("https://aclanthology.org/p19-1001").title == "A Lamp for Owls"


def test_progress_is_told(home: Path) -> None:
    """Stages are named, and what is done never falls."""
    told: list[tuple[str, int, int | None]] = []
    with PaperAgent(home, mode="extractive") as agent:
        agent._embedding_models = sample_library.models(FakeEncoder())
        report = agent.ingest(sample_path(), progress=lambda *step: told.append(step))
    assert {stage for stage, _, _ in told} <= {"read", "index", "embed"}
    assert {"index", "embed"} <= {stage for stage, _, _ in told}
    for stage in ("index", "embed"):
        done = [n for s, n, _ in told if s == stage]
        assert done == sorted(done)
        assert done[-1] == PAPERS
    assert (report.embedded, report.pending) == (PAPERS, 0)


def test_vectors_may_follow_later(home: Path) -> None:
    """Without vectors papers are found by words; a later ingest of anything embeds what is pending."""
    with PaperAgent(home, mode="extractive") as agent:
        agent._embedding_models = sample_library.models(FakeEncoder())
        assert agent.ingest(sample_path(), vectors=False).pending == PAPERS
        assert agent.ask(FACT).citations[0].title.startswith("Tindersift")
        report = agent.ingest(sample_path())
        assert (report.unchanged, report.embedded, report.pending) == (PAPERS, PAPERS, 0)
        assert agent.status()["vectors"]["embedder"] == "fake-32"
        assert agent.search(FACT)[0].vector is not None


def test_shares_are_for_a_server(home: Path) -> None:
    """A folder has one writer: a share of a feed is read and embedded, a share of what waits is refused."""
    with PaperAgent(home, mode="extractive") as agent:
        agent._embedding_models = sample_library.models(FakeEncoder())
        reports = [agent.ingest(sample_path(), shard=f"{n}/2") for n in (1, 2)]
        assert sum(report.new for report in reports) == PAPERS
        assert [report.pending for report in reports] == [0, 0]
        agent.ingest(feed(home.parent), vectors=False)
        with pytest.raises(InputError, match="one process writes a folder"):
            agent.embed(shard="1/2")
        with pytest.raises(InputError, match="give shard or batch, not both"):
            agent.embed(by="batch", shard="1/2")
        with pytest.raises(InputError, match=r"use I/N, such as 1/4, with N ≤ 65536"):
            agent.embed(shard="1/99999999")
        assert agent.embed().embedded == 1


def test_reindex_changes_no_answer(home: Path) -> None:
    """Rebuilt indexes find the same papers with the same scores."""
    with PaperAgent(home, mode="extractive") as agent:
        agent._embedding_models = sample_library.models(FakeEncoder())
        agent.ingest(sample_path())
        before = agent.search(FACT)
        agent.reindex()
        assert agent.search(FACT) == before
        agent.reindex(vectors=False)
        assert agent.search(FACT) == before
        assert agent.doctor().ok


def test_a_locked_library_is_read_but_not_written(agent: PaperAgent, home: Path) -> None:
    """While another writes, ingest is a StoreLockedError (exit 75) and questions are answered."""
    agent.ingest(sample_path())
    with writer_lock(home), PaperAgent(home, embedder="none", mode="extractive") as other:
        assert other.ask(FACT).status == "answered"
        with pytest.raises(StoreLockedError) as caught:
            other.ingest(sample_path())
    assert caught.value.exit_code == 75
    assert caught.value.pid == os.getpid()


# --- one agent, its life ---


def test_an_agent_is_used_again_after_close(agent: PaperAgent) -> None:
    """Closing twice does no harm, and the next call opens the library again."""
    agent.ingest(sample_path())
    agent.close()
    agent.close()
    assert agent.ask(FACT).status == "answered"


def test_what_another_agent_adds_is_seen(agent: PaperAgent, home: Path, tmp_path: Path) -> None:
    """An open agent finds papers that came after it was opened."""
    agent.ingest(sample_path())
    assert not [h for h in agent.search("owls lamp") if "Owls" in h.title]
    with sample_library.plain_agent(home) as other:
        other.ingest(feed(tmp_path))
    assert agent.search("owls lamp")[0].title == "A Lamp for Owls"
    assert agent.ask("Do owls accept lamps?").citations[0].quote == "Owls accept lamps."


def test_a_replaced_library_is_noticed(agent: PaperAgent, home: Path, tmp_path: Path) -> None:
    """When another library is put in its place, the agent answers from the new one."""
    agent.ingest(sample_path())
    assert agent.ask(FACT).status == "answered"
    with sample_library.plain_agent(tmp_path / "new") as other:
        other.ingest(feed(tmp_path))
    home.rename(tmp_path / "old")
    (tmp_path / "new").rename(home)
    assert agent.status()["papers"] == 1
    assert agent.ask("Do owls accept lamps?").citations[0].title == "A Lamp for Owls"


def test_first_use_from_many_threads(home: Path) -> None:
    """The library is opened once even when eight threads ask first."""
    with sample_library.plain_agent(home) as maker:
        maker.ingest(sample_path())
    found: list[str] = []
    with sample_library.plain_agent(home) as agent:
        start = threading.Barrier(8)

        def work() -> None:
            start.wait()
            found.append(agent.ask(FACT).citations[0].quote)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_an_agent_shows_its_library_only(agent: PaperAgent, home: Path) -> None:
    """Repr names the folder; copying is refused like pickling."""
    assert repr(agent) == f"PaperAgent(home={str(home)!r})"
    with pytest.raises(TypeError, match="cannot be pickled"):
        copy.deepcopy(agent)


# --- arguments ---


@pytest.mark.parametrize(
    ("home", "message"),
    [
        ("", "path is empty"),
        ("  ", "path is empty"),
        ("a\0b", "path contains NUL"),
        (b"papers", "must be str or Path, got bytes"),
        (5, "must be str or Path, got int"),
    ],
)
def test_a_home_that_cannot_be(home: Any, message: str) -> None:
    """An empty path is not the working folder by accident."""
    with pytest.raises(InputError, match=message):
        PaperAgent(home)


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library stays where it was meant when the working folder changes; ~ is the person's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PaperAgent("papers").home == tmp_path / "papers"
    assert PaperAgent(Path("~/papers")).home == tmp_path / "papers"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "magic"}, "mode: must be extractive, select or llm"),
        ({"mode": ""}, "mode: must be extractive, select or llm"),
        ({"model": " "}, "model: is empty"),
        ({"effort": "heroic"}, "effort: must be fast or deep"),
        ({"judge": "sometimes"}, "judge: must be auto, always or never, got sometimes"),
        ({"judge": 1}, "judge: must be auto, always or never, got 1"),
        ({"max_cost": -1}, "max_cost: must be a number"),
        ({"max_cost": float("nan")}, "max_cost: must be a number"),
        ({"max_cost": float("inf")}, "max_cost: must be a number"),
        ({"max_cost": "1"}, "max_cost: must be a number"),
        ({"mode": "\x1b[2J"}, r"mode: must be extractive, select or llm, got \\x1b\[2J"),
    ],
)
def test_options_of_an_answer_are_checked(options: dict[str, Any], message: str) -> None:
    """Options for a model are checked in either mode, at the call."""
    with sample_library.plain_agent() as agent, pytest.raises(InputError, match=message):
        agent.ask_stream(FACT, **options)


@pytest.mark.parametrize("options", [{"mode": "magic"}, {"embedder": "word2vec"}])
def test_options_of_an_agent_are_checked(options: Any) -> None:
    """An agent with a setting that does not exist is not made."""
    with pytest.raises((InputError, ConfigError)):
        PaperAgent(**options)


def test_the_function_takes_what_the_method_takes() -> None:
    """`ask()` and `PaperAgent.ask` pass every option on to `ask_stream`, and all three show them."""
    options = inspect.signature(PaperAgent.ask_stream).parameters
    assert inspect.signature(PaperAgent.ask).parameters == options
    assert list(inspect.signature(ask).parameters) == list(options)[1:]
    promised = {"history", "k", "since", "until", "category", "source", "mode", "model", "effort", "max_cost"}
    assert promised <= options.keys()
    assert all(options[name].kind is inspect.Parameter.KEYWORD_ONLY for name in promised)


def test_search_takes_what_is_promised() -> None:
    """Query first, the rest by name."""
    options = inspect.signature(PaperAgent.search).parameters
    assert list(options) == [
        *("self", "query", "k", "since", "until", "category", "source", "author", "exclude")
    ]


@pytest.mark.parametrize("query", ["", None, 5, "\0", "?!"])
def test_a_query_is_checked_like_a_question(query: Any) -> None:
    """Search refuses what `ask` refuses."""
    with sample_library.plain_agent() as agent, pytest.raises(InputError):
        agent.search(query)


def test_a_paper_that_is_not_there() -> None:
    """The error names the id, safely, and says where ids are found."""
    with sample_library.plain_agent() as agent, pytest.raises(PaperNotFoundError) as caught:
        agent.get("\x1b[2J" + "x" * 500)
    assert str(caught.value).startswith("paper: no paper with the id \\x1b[2Jxxx")
    assert len(str(caught.value)) < 200


# --- the default agent ---


@pytest.fixture
def default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use the sample library as the default one, and forget the agents afterwards."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setenv("PAPERAGENT_HOME", str(sample_library.home()))
    yield
    for known in app._default_agents.values():
        known.close()
    app._default_agents.clear()


@pytest.mark.usefixtures("default")
def test_the_default_agent_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """One agent serves all calls until a setting changes."""
    ask(FACT)
    first = app._default_agent()
    ask(FACT)
    assert app._default_agent() is first
    monkeypatch.setenv("PAPERAGENT_TOP_K", "3")
    assert app._default_agent() is not first
    assert len(ask(FACT).hits) == 3


@pytest.mark.usefixtures("default")
def test_a_setting_that_is_wrong_is_told_by_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ask()` raises ConfigError for a broken environment, and works again once it is mended."""
    monkeypatch.setenv("PAPERAGENT_TOP_K", "many")
    with pytest.raises(ConfigError, match="PAPERAGENT_TOP_K"):
        ask(FACT)
    monkeypatch.setenv("PAPERAGENT_TOP_K", "5")
    assert len(ask(FACT).hits) == 5


@pytest.mark.usefixtures("default")
def test_the_function_without_a_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No default library is a StoreError with the next step, and none is made."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="paperagent ingest"):
        ask(FACT)
    assert not (tmp_path / "none").exists()


def test_a_question_about_one_paper_is_answered_from_it() -> None:
    """Also one that another paper answers better, one about the library, and one that asks for relatives."""
    with sample_library.plain_agent() as agent:
        first, second = (hit.paper_id for hit in agent.search("retrieval", k=2))
        about = [("this paper", "this [1]", [second])]
        for question in ("What is retrieval?", "How many tokens does it remove?"):
            answer = agent.ask(question, ids=second, history=about)
            assert {hit.paper_id for hit in answer.hits} <= {second}, question
        assert agent.ask("How many papers are there?", ids=[first, second]).answer.startswith(
            "2 of 32 papers"
        )
        assert len(agent.ask("Which papers are similar to it?", ids=second, history=about).hits) > 1
        with pytest.raises(PaperNotFoundError):
            agent.ask("What is it?", ids="no-such-paper")
