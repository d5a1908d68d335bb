"""The commands on finished runs, through the entry point."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import example_runs
import pytest

from paperagent.cli.main import main
from paperagent.evals.results import Row, write_rows, write_run
from paperagent.feeds.reader import sample_path


def kept(folder: Path, name: str, rows: Sequence[Row]) -> str:
    place = folder / name
    place.mkdir()
    write_run(place, example_runs.run(rows, name=name))
    write_rows(place, rows)
    return str(place)


@pytest.fixture
def good(tmp_path: Path) -> str:
    return kept(tmp_path, "good", example_runs.many([True] * 30))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return kept(tmp_path, "bad", example_runs.many([False] * 10 + [True] * 20))


def test_a_report_is_markdown_without_a_terminal(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On no terminal the tables are Markdown; with --json the run's document is printed."""
    assert main(["eval", "report", good]) == 0
    assert capsys.readouterr().out.startswith("## cases.jsonl, extractive, k = 10\n\n| kind | cases |")
    assert main(["eval", "report", good, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["correct"]["value"] == 1.0


def test_a_report_is_written_to_files(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each form goes to its file, and nothing else is printed; a place that cannot be written is said."""
    page, text, junit = (tmp_path / name for name in ("r.html", "r.md", "r.xml"))
    assert main(["eval", "report", bad, f"--html={page}", f"--markdown={text}", f"--junit={junit}"]) == 0
    assert capsys.readouterr().out == ""
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert text.read_text("utf-8").startswith("## cases.jsonl")
    assert 'failures="10"' in junit.read_text("utf-8")
    assert main(["eval", "report", bad, f"--html={tmp_path / 'none' / 'r.html'}"]) == 4
    assert "cannot be written: No such file or directory; choose another place" in capsys.readouterr().err


def test_the_page_shows_what_a_case_expects(good: str, tmp_path: Path) -> None:
    """With the cases at hand, each case shows its gold."""
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"id": "c000", "question": "What about it?", "gold_titles": ["Terranet"]}\n', "utf-8")
    page = tmp_path / "r.html"
    assert main(["eval", "report", good, f"--html={page}", f"--cases={cases}"]) == 0
    assert page.read_text("utf-8").count("<h3>Expected</h3>") == 1


def test_a_missed_gate_exits_with_9(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is shown, then one line names what fell short; one that is kept says so with 0."""
    limits = tmp_path / "gate.toml"
    limits.write_text("[metrics]\ncorrect = 0.9\n", "utf-8")
    assert main(["eval", "report", bad, f"--gate={limits}"]) == 9
    shown = capsys.readouterr()
    assert "| all | 30 |" in shown.out
    wanted = "not met: correct 0.667 < 0.9; `paperagent eval report` shows the cases"
    assert shown.err == f"paperagent: error: gate {limits}: {wanted}\n"
    limits.write_text("[metrics]\ncorrect = 0.5\n", "utf-8")
    assert main(["eval", "report", bad, f"--gate={limits}"]) == 0
    assert "passed" in capsys.readouterr().out


def test_an_interrupted_run_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it has is measured, its cases to come are named, and no gate lets it through."""
    place = tmp_path / "cut"
    place.mkdir()
    asked = example_runs.many([True] * 8)
    write_run(place, example_runs.run(asked, count=12, metrics={}))
    write_rows(place, asked)
    limits, page = tmp_path / "gate.toml", tmp_path / "r.html"
    limits.write_text("[metrics]\ncorrect = 0.5\n", "utf-8")
    assert main(["eval", "report", str(place), f"--gate={limits}"]) == 9
    shown = capsys.readouterr()
    assert "| all | 8 | 1 (" in shown.out
    assert "The run is unfinished: 8 of 12 cases." in shown.out
    assert "only 8 of 12 cases were asked" in shown.err
    assert main(["eval", "report", str(place), f"--html={page}"]) == 0
    assert "unfinished: 8 of 12 cases" in page.read_text("utf-8")
    assert main(["eval", "compare", str(place), str(place), f"--gate={limits}"]) == 9


def test_a_bad_gate_is_refused_before_anything_is_shown(
    good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of thresholds with a mistake is exit 4."""
    limits = tmp_path / "gate.toml"
    limits.write_text("[metrics]\ncorect = 0.9\n", "utf-8")
    assert main(["eval", "report", good, f"--gate={limits}"]) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "did you mean correct?" in shown.err


def test_the_verdict_is_the_exit_code(good: str, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Worse is 9; better and no difference are 0; the last line says which."""
    assert main(["eval", "compare", good, bad]) == 9
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].startswith("Verdict: worse: correct 1.000 → 0.667 (-0.333")
    assert "B is worse than A on correct;" in shown.err
    assert main(["eval", "compare", bad, good]) == 0
    assert "Verdict: better:" in capsys.readouterr().out
    assert main(["eval", "compare", good, good]) == 0
    assert "Verdict: no difference:" in capsys.readouterr().out
    assert main(["eval", "compare", good, bad, "--json"]) == 9
    assert json.loads(capsys.readouterr().out)["verdict"] == "worse"


def test_a_comparison_can_hold_a_gate(bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The thresholds are for B, whether or not it is worse than A."""
    limits = tmp_path / "gate.toml"
    limits.write_text("[metrics]\ncorrect = 0.9\n", "utf-8")
    assert main(["eval", "compare", bad, bad, f"--gate={limits}"]) == 9
    assert "correct 0.667 < 0.9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["report", "nowhere"], 4, "not a run (No such file or directory); name the folder of a run"),
        (["compare", "nowhere", "nowhere"], 4, "not a run"),
        (["compare", "one"], 2, "missing B"),
        (["calibrate"], 2, "CASES or --reset: give one of them"),
        (["calibrate", "cases.jsonl", "--sure", "2"], 2, "--sure: must be at most 1, got '2'"),
        (["calibrate", "--max-refused", "x"], 2, "--max-refused: must be a number >= 0, got 'x'"),
        (["selftest", "--limit", "0"], 2, "--limit: must be 1..10000, got 0"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code and reason, nothing on standard output."""
    assert main(["eval", *arguments]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1


def test_a_damaged_run_is_said(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that cannot be read is named by line."""
    with (Path(good) / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": 3}\n{"id": "x"}\n')
    assert main(["eval", "report", good]) == 4
    assert "results.jsonl line 31: is damaged" in capsys.readouterr().err


def test_the_selftest_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a kind; a floor that is not reached exits 9; misses are shown on demand."""
    assert main(["eval", "selftest", "--limit", "15", "--missed"]) == 0
    shown = capsys.readouterr().out
    assert "| wrong pointer | 15 | 15 | 1 (" in shown
    assert "| (untouched) | 15 | 0 |" in shown
    assert main(["eval", "selftest", "--limit", "200", "--floor", "1"]) == 9
    shown = capsys.readouterr()
    assert "negation dropped 42 of 43" in shown.err
    assert main(["eval", "selftest", "--limit", "5", "--json"]) == 0
    assert {row["kind"] for row in json.loads(capsys.readouterr().out)} > {"untouched", "antonym"}


def test_the_selftest_takes_the_persons_library(capsys: pytest.CaptureFixture[str]) -> None:
    """With --library its papers are used; without one there the store says so."""
    assert main(["eval", "selftest", "--library"]) == 5
    capsys.readouterr()
    assert main(["ingest", "--quiet", "--no-vectors", str(sample_path())]) == 0
    assert main(["eval", "selftest", "--library", "--limit", "3"]) == 0


def questions(path: Path) -> Path:
    """Write cases over the sample feed: what it holds, and what it does not."""
    known = "Tindersift Corrivane Halvorine Nettlegraph Quorvex Orlanthe Wickerlane Cobaltine Ferrowin"
    lines = [
        {"id": n, "question": f"What does {n} do and how well?"} for n in [*known.split(), "Glasswarden"]
    ]
    foreign = "sourdough tango glaciers chess vaccines opera volcanoes knitting football taxes"
    lines += [
        {"id": n, "question": f"Who first wrote about {n} in Portugal?", "answerable": False}
        for n in foreign.split()
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def test_calibration_is_kept_with_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run leaves the library alone, a real one changes what it answers, --reset takes it back."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    main(["ingest", "--quiet", str(sample_path())])
    cases, page = questions(tmp_path / "cases.jsonl"), tmp_path / "curve.html"
    assert main(["eval", "calibrate", str(cases), "--dry-run", "--json"]) == 0
    dry = json.loads(capsys.readouterr().out)
    assert (dry["kept"], dry["answerable"], dry["unanswerable"]) == (False, 10, 10)
    assert dry["held_out"]["caught"] > 0.5
    assert main(["eval", "calibrate", str(cases), f"--html={page}"]) == 0
    assert "Stored in the library: abstain below" in capsys.readouterr().out
    assert "abstain below" in page.read_text("utf-8")
    assert main(["eval", "calibrate", str(cases), "--dry-run", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["before"] == dry["thresholds"] != dry["before"]
    assert main(["eval", "calibrate", "--reset"]) == 0
    assert main(["eval", "calibrate", str(cases), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("restored.\n")[-1])["before"] == dry["before"]


def test_calibration_on_cases_of_another_library_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gold papers that the library lacks are named: what is chosen would not be this library's."""
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    main(["ingest", "--quiet", str(sample_path())])
    cases = questions(tmp_path / "cases.jsonl")
    line = {"id": "other", "question": "What does Elsewhere do?", "gold_titles": ["Elsewhere"]}
    cases.write_text(cases.read_text("utf-8") + json.dumps(line), "utf-8")
    capsys.readouterr()
    assert main(["eval", "calibrate", str(cases), "--dry-run"]) == 0
    assert "warning: case other: the library has no paper titled Elsewhere" in capsys.readouterr().err
