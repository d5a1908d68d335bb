"""Runs: what is written, gone on with, counted as an error; and what replays."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from example_answers import ABSTAINED, PAPERS, RIGHT, answer, case, hits

from paperagent.agent import PaperNotFoundError
from paperagent.errors import EndpointError, EvalError, StoreError, StoreLockedError
from paperagent.evals import results, runner
from paperagent.evals.cases import Case
from paperagent.evals.runner import RunConfig
from paperagent.types import Answer, Hit, Paper

WANTED = {"gold_ids": ["p1"], "evidence": ["removes 61%"], "must_include": ["61%"]}
CASES = [
    case(id="right", question="Filter?", **WANTED),
    case(id="other", question="Cache?", kind="list", gold_titles=[PAPERS["p2"].title]),
    case(id="none", question="Bread?", answerable=False),
]


class FakeAgent:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, **answers: Answer | BaseException) -> None:
        self.answers: dict[str, Answer | BaseException] = {
            "Filter?": answer(RIGHT, confidence=0.9),
            "Cache?": answer(RIGHT, confidence=0.5, hits=hits("p3")),
            "Bread?": ABSTAINED,
        }
        for question, given in self.answers.items():
            self.answers[question] = replace(given, timings_ms={"total": 3.0})  # type: ignore[type-var]
        self.answers.update({f"{name}?": given for name, given in answers.items()})
        self.asked: list[str] = []
        self.options: list[dict[str, Any]] = []
        self.during: Callable[[], object] = lambda: None

    def ask(self, question: str, **options: Any) -> Answer:
        self.asked.append(question)
        self.options.append(options)
        self.during()
        found = self.answers[question]
        if isinstance(found, BaseException):
            raise found
        return found

    def search(self, query: str, *, k: int) -> list[Hit]:
        self.asked.append(query)
        return list(hits("p2", "p1"))[:k]

    def get(self, paper_id: str) -> Paper:
        if paper_id not in PAPERS:
            raise PaperNotFoundError(f"paper: no paper with the id {paper_id}")
        return PAPERS[paper_id]

    def papers(self) -> Iterable[Paper]:
        return iter(PAPERS.values())

    def warm(self) -> None:
        pass


SETUP = RunConfig(name="cases.jsonl", mode="extractive", settings={"embedder": "none"})


def run(
    agent: FakeAgent, out: Path, setup: RunConfig = SETUP, cases: list[Case] | None = None, **more: Any
) -> Any:
    """Run the cases."""
    return runner.run_cases(agent, cases or CASES, setup, out, **more)


def test_a_run_records_everything(tmp_path: Path) -> None:
    """Each row has question, answer, what was found and scores; the run has hashes and figures."""
    finished, found = run(FakeAgent(), tmp_path / "r")
    assert results.load(tmp_path / "r") == (finished, found)
    assert [(r.id, r.state, r.failure) for r in found] == [
        ("right", "ok", None), ("other", "ok", "retrieval_miss"), ("none", "ok", None),
    ]  # fmt: skip
    assert found[0].answer == answer(RIGHT, confidence=0.9, timings_ms={"total": 3.0}).to_dict()
    assert [h.paper_id for h in found[0].retrieved] == ["p1", "p2", "p3"]
    assert found[0].scores["must_include"] == 1.0
    assert (finished.count, finished.errors, finished.id) == (3, 0, "r")
    assert finished.metrics["correct"].value == pytest.approx(2 / 3)
    assert finished.metrics["correct_abstention"].n == 1
    assert finished.metrics["correct_abstention"].null == 2
    assert len({finished.cases_hash, finished.library_hash}) == 2


def test_the_answer_reads_back_as_a_value(tmp_path: Path) -> None:
    """A row's answer is the Answer again, but for the abstracts, which the library keeps."""
    _, found = run(FakeAgent(), tmp_path / "r")
    back = results.answer_of(found[0], PAPERS)
    assert back is not None
    assert back.to_dict() == found[0].answer
    assert back.hits[0].paper == PAPERS["p1"]


def test_questions_are_asked_with_history_and_options(tmp_path: Path) -> None:
    """History, the number of papers and the options go with the question; no kept reply is used."""
    agent = FakeAgent()
    follow = case(id="f", question="Filter?", history=[["Q", "A"]], k=3)
    run(agent, tmp_path / "r", RunConfig("c", "extractive", options={"effort": "fast"}), [follow])
    assert agent.options == [
        {"history": [("Q", "A")], "k": 3, "mode": "extractive", "cache": False, "effort": "fast"}
    ]


def test_an_error_is_recorded_and_repeated(tmp_path: Path) -> None:
    """It has no score, is counted, and the next run into the folder asks only it again."""
    agent = FakeAgent(Filter=EndpointError("server: down; wait"), Cache=ZeroDivisionError("\x1b[31m"))
    finished, found = run(agent, tmp_path / "r")
    assert [(r.state, r.error, r.failure) for r in found[:2]] == [
        ("error", "server: down; wait", "error"),
        ("error", "unexpected ZeroDivisionError: \\x1b[31m", "error"),
    ]
    assert finished.errors == 2
    assert finished.metrics["correct"].n == 1
    again = FakeAgent()
    finished, found = run(again, tmp_path / "r")
    assert again.asked == ["Filter?", "Cache?"]
    assert finished.errors == 0
    assert [r.id for r in found] == ["right", "other", "none"]


def test_a_run_without_any_answer_fails(tmp_path: Path) -> None:
    """A run whose every case ended in an error does not pass for a run; its rows are kept.

    Where the endpoint is to blame each time, it is an endpoint's error, with that exit code.
    """
    down, odd = EndpointError("server: down; wait"), ValueError("odd")
    message = "none of 3 cases was answered; the first error: server: down"
    with pytest.raises(EndpointError, match=message):
        run(FakeAgent(Filter=down, Cache=down, Bread=down), tmp_path / "r")
    with pytest.raises(EvalError, match=message):
        run(FakeAgent(Filter=down, Cache=down, Bread=odd), tmp_path / "r")
    assert len(results.load(tmp_path / "r")[1]) == 3


def test_a_run_folder_is_locked(tmp_path: Path) -> None:
    """The second is told so and touches nothing; the first ends as if alone."""
    agent, refused = FakeAgent(), []

    def second() -> None:
        before = (tmp_path / "r" / results.RUN_FILE).read_bytes()
        with pytest.raises(StoreLockedError, match="another process is writing this run") as caught:
            run(FakeAgent(), tmp_path / "r")
        assert (tmp_path / "r" / results.RUN_FILE).read_bytes() == before
        refused.append(caught.value.exit_code)

    agent.during = second
    _, found = run(agent, tmp_path / "r")
    assert refused == [75, 75, 75]
    assert [r.id for r in results.load(tmp_path / "r")[1]] == [r.id for r in found]
    assert {p.name for p in (tmp_path / "r").iterdir()} == {results.RUN_FILE, results.ROWS_FILE}


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoreError("library: gone")])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_interrupted_run_keeps_its_answers(tmp_path: Path, stop: BaseException, concurrency: int) -> None:
    """Ctrl-C and a broken library end it; the next run goes on where this one was."""
    setup = RunConfig("c", "extractive", concurrency=concurrency)
    with pytest.raises(type(stop)):
        run(FakeAgent(Bread=stop), tmp_path / "r", setup)
    kept = {r.id for r in results.load_rows(tmp_path / "r" / results.ROWS_FILE)}
    again = FakeAgent()
    _, found = run(again, tmp_path / "r", setup)
    assert {f"{r.question}" for r in found if r.id not in kept} == set(again.asked)
    assert "Bread?" in again.asked
    assert [r.id for r in found] == ["right", "other", "none"]


def test_a_line_cut_off_by_a_crash_is_asked_again(tmp_path: Path) -> None:
    """Half a row at the end, be it cut within a character, is no row; one in the middle is damage."""
    run(FakeAgent(), tmp_path / "r")
    path = tmp_path / "r" / results.ROWS_FILE
    whole = path.read_text("utf-8")
    for cut in (whole[:-40].encode(), whole[:-40].encode() + "…".encode()[:1]):
        path.write_bytes(cut)
        again = FakeAgent()
        run(again, tmp_path / "r")
        assert again.asked == ["Bread?"]
    path.write_text(whole.replace('"state"', "", 1), "utf-8")
    with pytest.raises(EvalError, match="line 1: is damaged"):
        run(FakeAgent(), tmp_path / "r")


@pytest.mark.parametrize(
    ("setup", "cases", "other"),
    [
        (RunConfig("cases.jsonl", "retrieval", settings={"embedder": "none"}), CASES, "mode"),
        (RunConfig("cases.jsonl", "extractive", settings={"embedder": "minilm"}), CASES, "settings"),
        (RunConfig("cases.jsonl", "extractive", k=5, settings={"embedder": "none"}), CASES, "settings"),
        (SETUP, CASES[:2], "cases_hash"),
    ],
)
def test_another_run_is_never_resumed(
    tmp_path: Path, setup: RunConfig, cases: list[Case], other: str
) -> None:
    """A folder goes on with its own run only, and says what differs."""
    run(FakeAgent(), tmp_path / "r")
    with pytest.raises(EvalError, match=f"contains another run \\(another {other}"):
        run(FakeAgent(), tmp_path / "r", setup, cases)


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    """A folder that holds something else, and a file, are refused; a place without rights is said."""
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(EvalError, match="exists and is not a run"):
            run(FakeAgent(), place)
    with pytest.raises(EvalError, match="cannot be written"):
        run(FakeAgent(), tmp_path / "notes.txt" / "r")


def test_cases_are_asked_concurrently(tmp_path: Path) -> None:
    """Three at a time meet in the middle; the rows stand in the order of the cases."""
    agent = FakeAgent()
    meeting = threading.Barrier(3, timeout=10)
    agent.during = meeting.wait
    _, found = run(agent, tmp_path / "r", RunConfig("c", "extractive", concurrency=3))
    assert [r.id for r in found] == ["right", "other", "none"]


def test_progress_counts_what_was_done_before(tmp_path: Path) -> None:
    """A run that goes on begins where it was."""
    run(FakeAgent(Bread=EndpointError("server: down; wait")), tmp_path / "r")
    steps: list[tuple[str, int, int | None]] = []
    run(FakeAgent(), tmp_path / "r", progress=lambda *step: steps.append(step))
    assert steps == [("cases", 3, 3)]


def test_the_search_alone_is_scored_on_retrieval_alone(tmp_path: Path) -> None:
    """Nothing is asked of an answerer, and nothing counts as a failure."""
    finished, found = run(FakeAgent(), tmp_path / "r", RunConfig("c", "retrieval"))
    assert found[0].answer is None
    assert found[0].scores["mrr"] == 0.5
    assert {r.failure for r in found} == {None}
    assert not {"correct", "calls"} & finished.metrics.keys()


def test_problems_of_the_library_are_reported_and_recorded(tmp_path: Path) -> None:
    """A missing gold paper and evidence that no gold abstract holds are problems, not low scores alone."""
    cases = [
        case(id="a", question="Filter?", gold_ids=["p7"]),
        case(id="b", question="Filter?", gold_titles=["Not here"]),
        case(id="c", question="Filter?", gold_ids=["p1"], evidence=["removes 62%"]),
        CASES[0],
    ]
    told: list[str] = []
    finished, _ = run(FakeAgent(), tmp_path / "r", cases=cases, warn=told.append)
    assert told == list(finished.problems)
    assert [text.partition(":")[0] for text in told] == ["case a", "case b", "case c"]


def test_an_empty_library_is_refused(tmp_path: Path) -> None:
    """It would abstain from everything, which looks like a result."""
    agent = FakeAgent()
    agent.papers = lambda: iter(())  # type: ignore[method-assign]
    with pytest.raises(EvalError, match="it is empty"):
        run(agent, tmp_path / "r")


def test_recorded_answers_are_scored_again_without_asking(tmp_path: Path) -> None:
    """The same rows come out, but of cases that were not recorded, or ask something else now."""
    _, before = run(FakeAgent(), tmp_path / "r")
    setup = RunConfig("c", "extractive", recorded={r.id: r for r in before})
    agent = FakeAgent()
    _, after = run(agent, tmp_path / "again", setup)
    assert agent.asked == []
    assert after == before
    changed = [
        CASES[0],
        CASES[1].model_copy(update={"question": "Cash?"}),
        case(id="new", question="Filter?"),
    ]
    _, after = run(agent, tmp_path / "more", setup, changed)
    assert [(r.state, "not recorded" in (r.error or "")) for r in after] == [
        ("ok", False), ("error", True), ("error", True),
    ]  # fmt: skip


def test_a_changed_expectation_changes_the_score_of_a_recorded_answer(tmp_path: Path) -> None:
    """That is what replaying is for."""
    _, before = run(FakeAgent(), tmp_path / "r")
    stricter = [case(id="right", question="Filter?", must_include=["99%"]), *CASES[1:]]
    _, after = run(
        FakeAgent(), tmp_path / "s", RunConfig("c", "x", recorded={r.id: r for r in before}), stricter
    )
    assert (before[0].scores["correct"], after[0].scores["correct"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("run.json", "{}", "is damaged"),
        ("run.json", "\xff", "is damaged"),
        ("results.jsonl", "[]\n[]\n", "line 1: is damaged"),
        ("results.jsonl", None, "cannot be read"),
    ],
)
def test_damaged_runs_are_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    """Every fault of a run's files is one line with the file's name."""
    run(FakeAgent(), tmp_path / "r")
    path = tmp_path / "r" / name
    path.unlink()
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(EvalError, match=message):
        results.load(tmp_path / "r")


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    """Says so."""
    with pytest.raises(EvalError, match="not a run"):
        results.load(tmp_path)


def test_rows_are_one_json_line_each(tmp_path: Path) -> None:
    """So that other programs can read them; nothing in them is NaN."""
    run(FakeAgent(), tmp_path / "r")
    lines = (tmp_path / "r" / results.ROWS_FILE).read_text("utf-8").splitlines()
    assert [json.loads(line, parse_constant=pytest.fail)["id"] for line in lines] == [
        "right",
        "other",
        "none",
    ]
