"""Overviews of any papers: from a search, from a list, of one; quoted, and by a model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sample_library
from fake_agent import ABSTAINED, SINGLE, FakeAgent
from paperagent import InputError, PaperAgent, StoreError
from paperagent.agent import PaperNotFoundError
from paperagent.answering.citations import escape_markers, without_quotes
from paperagent.cli.main import main
from paperagent.digest.write.highlights import highlights
from paperagent.layout import UNVERIFIED, answer_blocks
from paperagent.testing import error_reply
from paperagent.ui.chat import Chat
from paperagent.ui.render import Screen
from sample_library import check_invariants, paper_titled, plain_agent
from scripted_agent import ScriptedAgent, passages, scripted_agent


@pytest.fixture
def agent() -> Iterator[PaperAgent]:
    """Give the sample library, by words alone."""
    with plain_agent() as found:
        yield found


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedAgent]:
    """Give the sample library with a scripted model."""
    with scripted_agent(monkeypatch, tmp_path / "library") as found:
        yield found


def one() -> str:
    """Return the id of a paper."""
    return paper_titled("Tindersift").paper_id


def test_a_topic_is_summarized_by_theme(agent: PaperAgent) -> None:
    """An overview, then a cited sentence a paper, under its theme."""
    answer = agent.summarize("retrieval for language models")
    check_invariants(answer, agent)
    assert answer.status == "answered"
    themes = [c.checks["theme"] for c in answer.claims]
    assert themes[:3] == ["", "", ""]
    assert all(themes[3:])
    assert themes == sorted(themes, key=list(dict.fromkeys(themes)).index)
    cited = {c.paper_id for c in answer.citations}
    assert cited == {h.paper_id for h in answer.hits}
    for theme in filter(None, themes):
        assert f"{theme}\n- " in answer.text


def test_one_paper_gives_its_summary(agent: PaperAgent) -> None:
    """Three sentences of its abstract: problem, what is new, result."""
    answer = agent.summarize(ids=[one()])
    check_invariants(answer, agent)
    found = highlights(paper_titled("Tindersift"))
    assert found is not None
    assert [c.text for c in answer.claims] == [s.text for s in found.summary]
    assert len(answer.claims) == 3
    assert answer.question == paper_titled("Tindersift").title


def test_papers_are_named_by_id_each_once(agent: PaperAgent) -> None:
    """A few papers have a sentence each, and no overview."""
    other = paper_titled("Corrivane").paper_id
    answer = agent.summarize(ids=[one(), other, one()])
    check_invariants(answer, agent)
    assert {h.paper_id for h in answer.hits} == {one(), other}
    assert len(answer.claims) == 2
    assert all(c.checks["theme"] for c in answer.claims)


def test_papers_without_a_theme_are_not_called_new(agent: PaperAgent) -> None:
    """A search finds papers of any day."""
    ids = [paper_titled(name).paper_id for name in ("Tindersift", "Cobaltine")]
    answer = agent.summarize(ids=ids)
    assert {c.checks["theme"] for c in answer.claims} == {"Papers"}


def test_a_withdrawn_paper_is_named(tmp_path: Path) -> None:
    """In the summary of it alone and of several, as in an answer."""
    gone = "This paper has been withdrawn by the authors. We prune models and save 20% of their weights."
    records = [
        {"title": "Pruning of Models", "abstract": gone, "id": "2601.00001"},
        {"title": "More Pruning", "abstract": "We prune larger models and save 30%.", "id": "2601.00002"},
    ]
    with plain_agent(tmp_path / "library") as agent:
        agent.ingest(sample_library.write_jsonl(tmp_path / "f.jsonl", records))
        for ids in (["2601.00001"], ["2601.00001", "2601.00002"]):
            answer = agent.summarize(ids=ids)
            check_invariants(answer, agent)
            (note,) = answer.notes
            assert note.startswith("withdrawn: [1]")
            assert note.endswith("“Pruning of Models” was withdrawn by its authors")


def test_what_is_off_topic_is_not_summarized(agent: PaperAgent) -> None:
    """A search always finds something; a summary says that there is nothing on the topic."""
    answer = agent.summarize("sourdough bread")
    assert (answer.status, answer.reason, answer.claims) == ("abstained", "no_evidence", ())


def test_filters_and_k_limit_the_papers(agent: PaperAgent) -> None:
    """They mean what they mean in a search."""
    assert len(agent.summarize("language models", k=4).hits) <= 4
    assert agent.summarize("language models", since="2026-07-02").status == "abstained"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"query": "x", "ids": ["y"]},
        {"ids": []},
        {"ids": [1]},
        {"ids": ["x"] * 101},
        {"query": " "},
        {"query": "x", "k": 0},
        {"query": "x", "max_cost": -1},
        {"query": "x", "mode": "magic"},
        {"query": "x", "since": "yesterday"},
    ],
)
def test_bad_arguments_are_named(agent: PaperAgent, given: dict[str, Any]) -> None:
    """Each is an InputError of one line."""
    with pytest.raises(InputError) as error:
        agent.summarize(**given)
    assert "\n" not in str(error.value)


def test_an_unknown_paper_is_said(agent: PaperAgent) -> None:
    """No summary of what the library does not have."""
    with pytest.raises(PaperNotFoundError, match="no paper with the id"):
        agent.summarize(ids=["2599.99999"])


def test_no_library_is_an_error(tmp_path: Path) -> None:
    """As for every command that reads."""
    with (
        PaperAgent(tmp_path / "none", embedder="none", mode="extractive") as agent,
        pytest.raises(StoreError),
    ):
        agent.summarize("retrieval")


# --- with a model ---


def says(*sentences: tuple[str, str]) -> dict[str, Any]:
    """Return a model's summary of one paper."""
    return {"sentences": [{"text": text, "evidence": [pointer]} for text, pointer in sentences]}


REMOVES = ("On the four domains, Tindersift removes 61% of the tokens in the prompt.", "1.3")
FILTERS = (
    "The authors present Tindersift, a filter of 22 million parameters that reads a question.",
    "1.2",
)
WRONG = ("Tindersift removes 16% of the tokens in the prompt.", "1.3")


def test_a_model_summarizes_one_paper(model: ScriptedAgent) -> None:
    """Its sentences are checked and cited; what fails is left out and said."""
    model.server.enqueue_answer(says(FILTERS, WRONG, REMOVES))
    answer = model.agent.summarize(ids=[one()], cache=False)
    check_invariants(answer, model.agent)
    assert [c.text for c in answer.claims] == [FILTERS[0], REMOVES[0]]
    assert (answer.mode, answer.usage.calls) == ("llm", 1)
    assert any("1 of the model's sentences" in n for n in answer.notes)


@pytest.mark.parametrize(
    "said", ["no", {"sentences": 3}, says(WRONG, WRONG, REMOVES), error_reply(400, "no"), says()]
)
def test_a_summary_is_quoted_where_the_model_fails(model: ScriptedAgent, said: Any) -> None:
    """Fewer than two good sentences are no summary."""
    model.server.responder = lambda _: said
    answer = model.agent.summarize(ids=[one()], cache=False)
    check_invariants(answer, model.agent)
    assert {c.support for c in answer.claims} == {"quoted"}
    assert answer.mode == "extractive"


LOOSE = ("Prompts become much shorter at hardly any cost.", "1.3")


def test_an_unverified_sentence_of_a_summary_stands_over_its_source(model: ScriptedAgent) -> None:
    """Of one paper: in the text and on the screen."""
    model.server.enqueue_answer(says(LOOSE, FILTERS))
    answer = model.agent.summarize(ids=[one()], cache=False)
    check_invariants(answer, model.agent)
    assert answer.claims[0].support == "unverified"
    under = f"{UNVERIFIED} “{answer.citations[0].quote}” [1]"
    assert answer.answer.startswith(f"{LOOSE[0]} [1]\n> {under}\n\n{FILTERS[0]} [2]")
    assert f"{LOOSE[0]} [1]\n    {under}\n" in str(answer)


def test_an_unverified_sentence_on_one_of_several_stands_over_its_source(model: ScriptedAgent) -> None:
    """Under its title in the list of its theme, and in the overview before the themes."""

    def vague(request: Any) -> Any:
        shown = passages(request.messages[-1]["content"])
        papers = [
            {"paper": int(n[:-2]), "text": "Things get somewhat nicer overall.", "evidence": [n]}
            for n in shown
            if n.endswith(".2")
        ]
        overview = [{"text": "Much of it is about nicer things.", "evidence": ["1.1"]}]
        return {"name": "", "overview": overview, "papers": papers}

    model.server.responder = vague
    answer = model.agent.summarize("retrieval for language models", cache=False)
    check_invariants(answer, model.agent)
    loose = [c for c in answer.claims if c.support == "unverified"]
    assert {bool(c.checks["theme"]) for c in loose} == {True, False}
    by_n = {c.n: c for c in answer.citations}
    for claim in loose:
        (cited,) = (by_n[n] for n in claim.citations)
        under = f"> {UNVERIFIED} “{escape_markers(cited.quote)}” [{cited.n}]"
        if claim.checks["theme"]:
            assert f"\n- {cited.title}: {claim.text} [{cited.n}]\n  {under}" in answer.answer
        else:
            assert f"{claim.text} [{cited.n}]\n{under}" in answer.answer
    assert without_quotes(answer.answer).count("\n- ") == sum(bool(c.checks["theme"]) for c in answer.claims)


def test_a_limit_of_nothing_asks_nothing(model: ScriptedAgent) -> None:
    """The summary is quoted, and says why."""
    model.set(price="0.1,0.5")
    answer = model.agent.summarize(ids=[one()], max_cost=0.0)
    assert (model.requests, answer.mode) == ([], "extractive")
    assert "quoted instead of written: the call could exceed the limit on cost" in answer.notes


def test_a_model_writes_an_overview_of_several(model: ScriptedAgent) -> None:
    """One call a theme, as in the digest."""

    def honest(request: Any) -> Any:
        shown = passages(request.messages[-1]["content"])
        second = {n: text for n, text in shown.items() if n.endswith(".2")}
        papers = [
            {"paper": int(n[:-2]), "text": text[:-1] + " here.", "evidence": [n]}
            for n, text in second.items()
        ]
        return {"name": "", "overview": [], "papers": papers}

    model.server.responder = honest
    answer = model.agent.summarize("retrieval for language models", cache=False)
    check_invariants(answer, model.agent)
    assert answer.mode == "llm"
    themes = {c.checks["theme"] for c in answer.claims} - {""}
    assert answer.usage.calls == len(model.requests) == len(themes)
    assert any(c.support == "supported" for c in answer.claims)


# --- on the command line and in chat ---


def run(*argv: str) -> int:
    """Run the command on the sample library."""
    return main(["summarize", "--home", str(sample_library.home()), "--mode", "extractive", *argv])


@pytest.fixture
def words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search without a model."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")


@pytest.mark.usefixtures("words_alone")
def test_the_command_prints_themes_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown with a heading a theme, each paper's title and sentence, and the sources."""
    assert run("retrieval", "for", "language", "models") == 0
    out = capsys.readouterr().out
    assert out.count("## ") >= 2
    assert "## Sources" in out
    assert "- **" in out


@pytest.mark.usefixtures("words_alone")
def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same document as an answer's."""
    assert run("--ids", f"{one()},", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "answered"
    assert len(found["claims"]) == 3


@pytest.mark.usefixtures("words_alone")
@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["--ids", "a", "retrieval"], 2, "cannot be combined"),
        (["--ids", "a", "--since", "2026-01-01"], 2, "cannot be combined"),
        (["--ids", " , "], 2, "none given"),
        (["--ids", "2599.99999"], 2, "no paper with the id"),
        (["-k", "0", "x"], 2, "1..100"),
        (["--max-cost", "-1", "x"], 2, ">= 0"),
    ],
)
def test_bad_options_are_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], code: int, said: str
) -> None:
    """What, why and the fix, without a traceback."""
    assert run(*argv) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_a_summary_has_its_themes_on_the_screen(agent: PaperAgent) -> None:
    """Each theme is a heading, each paper a title with its sentence."""
    answer = agent.summarize("retrieval for language models")
    blocks = list(answer_blocks(answer))
    headings = [b.text for b in blocks if b.kind == "heading"]
    themes = list(dict.fromkeys(c.checks["theme"] for c in answer.claims if c.checks["theme"]))
    assert headings == [*themes, "Sources"]
    titles = {b.text for b in blocks if b.kind == "item"}
    assert {h.title for h in answer.hits} <= titles


class Typist:
    """Gives these lines one after another, then the input ends."""

    interactive = True

    def __init__(self, *lines: str) -> None:
        self._lines = iter(lines)

    def read(self) -> str:
        """Return the next line."""
        try:
            return next(self._lines)
        except StopIteration:
            raise EOFError from None


def talk(agent: FakeAgent, *lines: str, **options: Any) -> tuple[str, Chat]:
    """Run a chat; return what it printed, and itself."""
    out = io.StringIO()
    chat = Chat(agent, Typist(*lines), Screen(out), **options)
    assert chat.run() == 0
    return out.getvalue(), chat


def test_chat_summarizes_a_topic() -> None:
    """With the session's filters and model, but not with what only a question has."""
    agent = FakeAgent()
    options = {"since": "2026-01-01", "k": 3, "effort": "fast", "model": "m"}
    said, chat = talk(agent, "/summarize tool use", options=options)
    assert agent.calls == [("summarize", ("tool use",), {"since": "2026-01-01", "model": "m"})]
    assert "Sources" in said
    assert chat.history.last is not None


def test_chat_summarizes_the_papers_of_the_last_answer() -> None:
    """Those that it cites, each once; its sources are the summary's afterwards."""
    agent = FakeAgent()
    talk(agent, "a?", "/summarize", "/sources")
    name, (ids,), options = agent.calls[1]
    assert name == "summarize"
    assert ids == list(dict.fromkeys(c.paper_id for c in SINGLE.citations))
    assert options == {}


def test_chat_says_what_a_summary_needs() -> None:
    """Without an answer, or with one without sources, there is nothing to summarise."""
    assert "no answer yet" in talk(FakeAgent(), "/summarize")[0]
    bare = replace(ABSTAINED, citations=(), claims=())
    assert "has no sources" in talk(FakeAgent(bare), "a?", "/summarize")[0]


def test_a_failed_summary_does_not_end_the_chat() -> None:
    """The error is one line, and the next question is answered."""
    agent = FakeAgent()
    agent.fails = StoreError("library: gone; ingest a feed")
    said, _ = talk(agent, "/summarize x", "/help")
    assert "error: library: gone" in said
    assert "/summarize" in said.rpartition("gone")[2]
