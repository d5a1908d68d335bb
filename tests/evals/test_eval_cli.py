"""`paperagent eval` from end to end: run, resume, replay, retrieval, cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paperagent.cli.main import main
from paperagent.evals import cases, results
from paperagent.evals.feedback import save_feedback
from paperagent.testing import ScriptedServer
from sample_library import home, plain_agent
from scripted_agent import GOOD, QUESTION, opinions, reply

CASES = """\
{"id": "tokens", "question": "How much does Tindersift shorten the prompt?", "must_include": ["61%"],
 "gold_titles": ["Tindersift: Filtering Retrieved Passages Before They Reach the Model"]}
{"id": "bread", "question": "What is a good recipe for sourdough bread?", "answerable": false}
""".replace(",\n", ",")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setenv("PAPERAGENT_HOME", str(home()))
    monkeypatch.setenv("PAPERAGENT_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "cases.jsonl"
    path.write_text(CASES, "utf-8")
    return path


def test_run_writes_a_folder_and_prints_the_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures on stdout, everything else in the folder; a second time asks nothing."""
    out = file.parent / "out"
    assert main(["eval", "run", str(file), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "correct" in printed.out
    assert printed.err == ""
    before = (out / "results.jsonl").read_bytes()
    run, found = results.load(out)
    assert [r.failure for r in found] == [None, None]
    assert (run.mode, run.count, run.settings["embedder"], run.cases) == (
        "extractive",
        2,
        "none",
        "cases.jsonl",
    )
    assert run.versions["paperagent"]
    assert main(["eval", "run", str(file), "--out", str(out), "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert (out / "results.jsonl").read_bytes() == before


def test_the_default_folder_is_in_eval_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the current folder, under a name that says when and what; --json prints the run."""
    assert main(["eval", "run", str(file), "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert results.load(Path("eval-runs") / run["id"])[0].id == run["id"]
    assert run["id"].endswith("-cases-extractive")


def test_a_limit_draws_cases_by_the_seed(file: Path) -> None:
    """The same seed draws the same."""
    for name in ("a", "b"):
        assert main(["eval", "run", str(file), "--limit", "1", "--seed", "3", "--out", name, "-q"]) == 0
    assert results.load(Path("a"))[1][0].id == results.load(Path("b"))[1][0].id
    assert len(results.load(Path("a"))[1]) == 1


def test_a_missed_gate_exits_with_9(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run is kept and the threshold named."""
    gate = file.parent / "gate.toml"
    gate.write_text("[metrics]\nsentences = {max = 0}\n", "utf-8")
    assert main(["eval", "run", str(file), "--out", "o", "--gate", str(gate)]) == 9
    assert "sentences" in capsys.readouterr().err
    assert results.load(Path("o"))


def test_a_feed_makes_a_library_of_its_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's own library is neither needed nor touched, and the new one is kept for the next run."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(file.parent / "none"))
    assert main(["eval", "run", str(file), "--feed", "sample", "--out", "a", "-q"]) == 0
    assert not (file.parent / "none").exists()
    (library,) = (file.parent / "cache" / "evals").iterdir()
    assert (library / "library.db").exists()
    assert main(["eval", "run", str(file), "--out", "b"]) == 5


def test_without_a_feed_the_given_library_is_asked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--library is no home of feeds alone; where there is none, nothing is asked or made."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(file.parent / "none"))
    assert main(["eval", "run", str(file), "--library", str(home()), "--out", "a", "-q"]) == 0
    assert main(["eval", "run", str(file), "--library", "nowhere", "--out", "b", "-q"]) == 5
    assert not Path("nowhere").exists()


def test_a_model_is_recorded_and_replayed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said is in the rows; with --replay the same comes out, and no server is needed."""
    with ScriptedServer() as server:
        server.responder = lambda request: (
            reply(GOOD) if QUESTION in request.messages[-1]["content"] else reply(verdict="abstain")
        )
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["eval", "run", str(file), "--model", "test-model", "--out", "a", "-q"]) == 0
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert main(["eval", "run", str(file), "--replay", "a", "--out", "b", "-q"]) == 0
    (first, before), (second, after) = results.load(Path("a")), results.load(Path("b"))
    assert (first.model, first.mode, second.model, second.mode) == ("test-model", "llm", "test-model", "llm")
    assert (second.settings["replay"], first.prompts_hash) == ("a", second.prompts_hash)
    assert [r.raw for r in before] == [r.raw for r in after]
    assert [r.failure for r in after] == [None, None]


@pytest.mark.parametrize("decides", [False, True])
def test_a_judge_is_recorded_and_replayed(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, decides: bool
) -> None:
    """Its opinions are in the rows, from either API and another model, and a replay asks as its run did."""
    with ScriptedServer() as server:
        server.responder = lambda request: (
            {"1": "supported", "2": "supported"}
            if "second reader" in request.messages[0]["content"]
            else reply(GOOD)
            if QUESTION in request.messages[-1]["content"]
            else reply(verdict="abstain")
        )
        if decides:
            server.decider = opinions(0.97, 0.97)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("PAPERAGENT_JUDGE_MODEL", "another")
        assert main(["eval", "run", str(file), "--model", "m", "--judge", "--out", "a", "-q"]) == 0
        assert {r.json()["model"] for r in server.history if r.method == "POST"} == {"m", "another"}
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert main(["eval", "run", str(file), "--replay", "a", "--out", "b", "-q"]) == 0
    (first, before), (second, after) = results.load(Path("a")), results.load(Path("b"))
    assert (first.settings["judge"], second.settings["judge"]) == ("always", "always")
    assert [r.answer["claims"] for r in before if r.answer] == [r.answer["claims"] for r in after if r.answer]
    (told,) = [c["checks"]["judge"] for r in after if r.answer for c in r.answer["claims"]]
    assert told == (0.97 if decides else 0.9)
    assert before[0].scores["judged_support"] == after[0].scores["judged_support"] == 1.0
    assert before[0].raw is not None
    assert [c.schema_name for c in before[0].raw] == ["answer", "judge"]


def test_a_replay_of_a_run_without_a_judge_asks_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a run from before there were three ways to ask one."""
    with ScriptedServer() as server:
        server.responder = lambda request: reply(
            ("Tindersift trims the prompt by 61% and accuracy stays nearly the same.", "1.3")
        )
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["eval", "run", str(file), "--model", "m", "--no-judge", "--out", "a", "-q"]) == 0
    monkeypatch.delenv("OPENAI_BASE_URL")
    for written in ("never", False):
        run = json.loads(Path("a/run.json").read_text("utf-8"))
        run["settings"]["judge"] = written
        Path("a/run.json").write_text(json.dumps(run), "utf-8")
        out = f"b-{written}"
        assert main(["eval", "run", str(file), "--replay", "a", "--out", out, "-q"]) == 0
        notes = [n for r in results.load(Path(out))[1] if r.answer for n in r.answer["notes"]]
        assert not [n for n in notes if "judge" in n]


def test_unused_model_options_are_reported(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an endpoint a run is quoted, and must not pass for one of the model that was named."""
    assert main(["eval", "run", str(file), "--model", "m", "--judge", "--out", "a", "-q"]) == 0
    assert "warning: --model, --judge: no effect" in capsys.readouterr().err


def test_select_mode_is_recorded_and_replayed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In mode select too, the same comes out without a server, and the run says which mode it was."""
    with ScriptedServer() as server:
        server.responder = lambda _: {"sentences": [3]}
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("PAPERAGENT_MODEL", "test-model")
        assert main(["eval", "run", str(file), "--mode", "select", "--out", "a", "-q"]) == 0
        monkeypatch.delenv("OPENAI_BASE_URL")
    assert main(["eval", "run", str(file), "--replay", "a", "--out", "b", "-q"]) == 0
    (first, before), (second, after) = results.load(Path("a")), results.load(Path("b"))
    assert (first.mode, second.mode) == ("select", "select")
    assert [r.answer["claims"] for r in before if r.answer] == [r.answer["claims"] for r in after if r.answer]
    assert any(r.answer and r.answer["model"] for r in before)


def test_a_quoted_run_is_replayed_by_its_answers(file: Path) -> None:
    """The answers are scored anew: an expectation that was changed is seen, and nothing is asked."""
    assert main(["eval", "run", str(file), "--out", "a", "-q"]) == 0
    file.write_text(CASES.replace("61%", "99%"), "utf-8")
    assert main(["eval", "run", str(file), "--replay", "a", "--out", "b", "-q"]) == 0
    before, after = results.load(Path("a"))[1], results.load(Path("b"))[1]
    assert before[0].answer == after[0].answer
    assert (before[0].scores["must_include"], after[0].scores["must_include"]) == (1.0, 0.0)


def test_a_beir_folder_is_searched(tmp_path: Path, file: Path) -> None:
    """Its papers make a library, and only retrieval is scored."""
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    papers = [("d1", "Lanterns find papers"), ("d2", "Nets catch fish"), ("d3", "Boats need oars")]
    lines = [json.dumps({"_id": i, "title": t, "text": f"{t} at night."}) + "\n" for i, t in papers]
    (folder / "corpus.jsonl").write_text("".join(lines), "utf-8")
    queries = '{"_id": "q1", "text": "fish at night"}\n{"_id": "q2", "text": "oars"}\n'
    (folder / "queries.jsonl").write_text(queries, "utf-8")
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t1\n", "utf-8")
    assert main(["eval", "run", str(folder), "--out", "o", "-k", "3", "-q"]) == 0
    run, found = results.load(Path("o"))
    assert (run.mode, run.metrics["recall@1"].value, run.settings["k"]) == ("retrieval", 1.0, 3)
    assert [r.retrieved[0].paper_id for r in found] == ["d2", "d3"]
    del file


def test_queries_with_judgements_ask_the_own_library(file: Path) -> None:
    """A pair of files, judged by the library's own ids."""
    with plain_agent() as agent:
        paper = agent.search("Tindersift", k=1)[0].paper
    Path("q.jsonl").write_text('{"_id": "q", "text": "Tindersift"}\n', "utf-8")
    Path("r.tsv").write_text(f"q\t{paper.paper_id}\t1\n", "utf-8")
    assert main(["eval", "run", "q.jsonl", "--qrels", "r.tsv", "--out", "o", "-q"]) == 0
    assert results.load(Path("o"))[0].metrics["mrr"].value == 1.0
    del file


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.jsonl"], 4, "cannot be read"),
        (["."], 4, "not a retrieval set"),
        (["{file}", "--out", "{file}"], 4, "exists and is not a run"),
        (["{file}", "--replay", "none"], 4, "not a run"),
        (["{file}", "--gate", "none.toml"], 4, "none.toml"),
        (["{file}", "--concurrency", "0"], 2, "1..64"),
        (["{file}", "--mode", "magic"], 2, "magic"),
        (["{file}", "--mode", "llm"], 3, "needs an endpoint"),
        (["{file}", "--home", "/nonexistent/library"], 5, "library"),
        (["{file}", "--split", "dev"], 2, "--split: only a BEIR folder has splits"),
        ([".", "--feed", "sample"], 2, "--feed: a BEIR folder contains its own papers"),
        (["{file}", "--replay", "a", "--mode", "extractive"], 2, "--mode: --replay uses the mode of its run"),
        ([], 2, "CASES"),
    ],
)
def test_invalid_runs_are_refused(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """One line says what, and the exit code is the contract's; nothing is left behind."""
    assert main(["eval", "run", *(a.format(file=file) for a in arguments)]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("eval-runs").exists()


def test_missing_gold_papers_are_reported(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run says what the library lacks, a few of many; `cases check` lists all and exits 4."""
    lines = [f'{{"id": "c{i}", "question": "Why {i}?", "gold_titles": ["None {i}"]}}' for i in range(7)]
    file.write_text("\n".join(lines), "utf-8")
    assert main(["eval", "run", str(file), "--out", "o", "-q"]) == 0
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 6
    assert "2 more" in warned[-1]
    assert main(["eval", "cases", "check", str(file)]) == 4
    assert capsys.readouterr().out.count("no paper titled") == 7


def test_init_writes_an_example_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be run over the sample feed as it is, and never replaces a file."""
    assert main(["eval", "init", "mine.jsonl"]) == 0
    assert main(["eval", "cases", "check", "mine.jsonl", "--feed", "sample"]) == 0
    assert "4 cases, 0 problems" in capsys.readouterr().out
    assert main(["eval", "init", "mine.jsonl"]) == 2
    assert main(["eval", "init", str(file.parent / "no" / "mine.jsonl")]) == 2


def test_chat_feedback_becomes_cases_that_run(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good answer passes as a case, a bad one fails until it is better; adding again adds nothing."""
    with plain_agent() as agent:
        good, bad = agent.ask(QUESTION), agent.ask("How many parameters does Quorvex have?")
        library = agent.home
    monkeypatch.setenv("PAPERAGENT_HOME", str(file.parent))
    for answer, verdict in ((good, True), (bad, False)):
        save_feedback(file.parent / "feedback.jsonl", answer, [], good=verdict)
    assert main(["eval", "cases", "add", "new.jsonl"]) == 0
    printed = capsys.readouterr().out
    assert "2 cases added" in printed
    assert f": {QUESTION}" in printed
    assert "add the expected answer by hand" in printed
    assert main(["eval", "cases", "add", "new.jsonl"]) == 0
    assert "0 cases added" in capsys.readouterr().out
    assert len(cases.load(Path("new.jsonl"))) == 2
    assert main(["eval", "run", "new.jsonl", "--home", str(library), "--out", "o", "-q"]) == 0
    assert [r.failure for r in results.load(Path("o"))[1]] == [None, "evidence_ignored"]


def test_a_saved_answer_becomes_a_case(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --good or --bad, and --unanswerable for what should have been an abstention."""
    with plain_agent() as agent:
        Path("a.json").write_text(json.dumps(agent.ask(QUESTION).to_dict()), "utf-8")
    assert main(["eval", "cases", "add", "n.jsonl", "--answer", "a.json"]) == 2
    assert main(["eval", "cases", "add", "n.jsonl", "--answer", "a.json", "--bad", "--unanswerable"]) == 0
    assert not cases.load(Path("n.jsonl"))[0].answerable
    Path("b.json").write_text("{}", "utf-8")
    capsys.readouterr()
    assert main(["eval", "cases", "add", "n.jsonl", "--answer", "b.json", "--bad"]) == 4
    assert "not an answer (answer.question: Field required); name the output" in capsys.readouterr().err
    assert main(["eval", "cases", "add", "n.jsonl"]) == 4
    assert "/good" in capsys.readouterr().err
    del file
