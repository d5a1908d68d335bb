"""Our own evaluation: its cases are what they say, and its runs are as good as the committed ones."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from paperagent.evals import cases, gate, results
from paperagent.feeds.reader import open_feed, sample_path
from paperagent.types import Paper
from paths import ROOT, SHARED

EVAL = ROOT / "eval"
CASES = cases.load(EVAL / "cases" / "sample.jsonl")


def script() -> ModuleType:
    """Return `eval/run.py`, which `make eval` runs."""
    spec = importlib.util.spec_from_file_location("eval_run", EVAL / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_evidence_is_word_for_word_in_its_paper() -> None:
    """Each piece stands in an abstract whose title is the case's."""
    with open_feed(sample_path()) as feed:
        papers = {p.title: p for p in feed.records if isinstance(p, Paper)}
    for case in CASES:
        gold = [papers[title] for title in case.gold_titles]
        assert all(any(text in p.abstract for p in gold) for text in case.evidence), case.id
        assert bool(gold) == case.answerable, case.id


def test_must_include_is_in_the_evidence() -> None:
    """A case can be answered from its evidence and titles: nothing else is wanted of an answer."""
    from paperagent.evals.scorers import content

    for case in CASES:
        text = content.normalized(" ".join((*case.evidence, *case.gold_titles)))
        assert all(content.contains_each(text, case.must_include)), case.id


def test_there_are_enough_cases_of_every_kind() -> None:
    """At least 60, of facts, numbers, yes and no, comparisons, lists, follow-ups and what is not there."""
    kinds = [case.kind for case in CASES]
    assert len(kinds) >= 60
    wanted = {"fact", "number", "yesno", "compare", "list", "followup", "unanswerable"}
    assert {kind for kind in wanted if kinds.count(kind) < 6} == set()
    tags = {tag for case in CASES for tag in case.tags}
    assert tags >= {
        "typo",
        "terse",
        "paraphrase",
        "false-premise",
        "absent_fact",
        "absent_paper",
        "off_topic",
    }


@pytest.mark.parametrize("way", ["words", "extractive", "recorded"])
def test_the_baselines_are_of_these_cases(way: str) -> None:
    """A case that is changed without a new baseline fails here, not in silence."""
    run, found = results.load(EVAL / "baseline" / way)
    assert run.cases_hash == cases.cases_hash(CASES)
    assert [row.id for row in found] == [case.id for case in CASES]
    assert run.errors == 0
    assert not run.problems


def test_our_runs_match_the_baseline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make eval` passes without any model, for the ways that need none."""
    module = script()
    monkeypatch.setattr(module.retrieval, "load_model", lambda: None)
    assert module.main(["--only", "ours"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("against the baseline") == 2


def test_a_regression_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Abstaining from everything is worse by more than chance: exit 9, and the cases are named."""
    from paperagent.answering import abstention

    module = script()
    monkeypatch.setattr(module, "runnable_configurations", lambda: ["words"])
    monkeypatch.setattr(abstention, "confidence", lambda *_, **__: 0.0)
    assert module.main(["--only", "ours"]) == 9
    assert "worse: correct" in capsys.readouterr().out


README_ROWS = {
    "all_gold@5": "all gold papers among the top 5",
    "evidence_any": "answer cites a gold evidence sentence",
    "must_include": "answer states all required facts",
    "answerable_accuracy": "answered or abstained correctly",
    "auroc": "AUROC of the confidence",
    "quote_validity": "quotations that equal the abstract",
}


@pytest.mark.parametrize("metric", README_ROWS)
def test_the_gate_holds_the_figures_of_the_readme(metric: str) -> None:
    """A threshold lies at most .03 below the figure that README.md quotes."""
    readme = (ROOT / "README.md").read_text("utf-8")
    row = re.search(rf"\| {README_ROWS[metric]}[^|]*\| ([\d.]+)", readme)
    assert row is not None
    (threshold,) = [t for t in gate.load(EVAL / "gate-dev.toml").thresholds if t.metric == metric]
    assert threshold.low is not None
    assert 0 <= float(row[1]) - threshold.low <= 0.03


@pytest.mark.skipif(not (SHARED / "data/questions/dev.jsonl").exists(), reason="no shared data")
def test_the_gate_fails_if_sentences_are_not_matched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make eval` then exits with 9, with keyword search alone too."""
    from paperagent.retrieval import sentence_selection

    module = script()
    weights = {**sentence_selection._WEIGHTS, "match": 0.0}
    monkeypatch.setattr(sentence_selection, "_WEIGHTS", weights)
    monkeypatch.setattr(module.retrieval, "load_model", lambda: None)
    assert module.main(["--only", "answers", "--shared", str(SHARED)]) == 9
    assert "gate-dev-words.toml: not met" in capsys.readouterr().err
