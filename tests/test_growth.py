"""The benchmark of growth: its corpus, and what its report makes of figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from paths import ROOT

sys.path.append(str(ROOT / "bench"))

import growth_report
from corpus import Corpus
from growth_steps import STEPS

from library import PAPERS

SHARED = ROOT.parent / "shared"


def row(*, p95: float = 20.0, recall: float = 0.99) -> dict[str, Any]:
    """Return the figures of one size, all made up."""
    times = {"p50": 10.0, "p95": p95, "first_ms": 12.0}
    names = ("newest 2%", "newest 10%", "newest 30%", "newest 50%", "newest 90%", "cs.CL")
    found = {"recall@10": recall, "recall@100": 0.97}
    amount = {"papers": 100, "seconds": 2.0, "peak_mb": 300.0, "tantivy": 1.0, "chroma": 1.0}
    made = {step: dict(amount) for step in STEPS}
    made["queries"] = {
        "search_ms": times, "bare_ms": times, "ratio": 1.4, "filtered": dict.fromkeys(names, times),
        "ask_ms": times, "memory_mb": 900.0, "own_memory_mb": 500.0, "memory_after_mb": 950.0,
    }  # fmt: skip
    made["recall"] = dict.fromkeys(("everything", *names), found)
    made["cold"] = {"ask": 1.0, "search": 1.0, "search by words": 0.2, "status": 0.2}
    made["add"] = {"words_s": 0.4, "vectors_s": 1.0}
    made["disk"] = {"library": 1.0, "lexical": 2.0, "vectors": 3.0}
    return made


@pytest.mark.parametrize(
    ("last", "code"), [(row(), 0), (row(p95=81.0), 1), (row(recall=0.97), 1)], ids=["met", "slow", "lossy"]
)
def test_the_report_says_whether_the_limits_are_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], last: dict[str, Any], code: int
) -> None:
    """Exit code, table and plots, of the sizes that are measured wholly."""
    kept = {"100": row(), "1000000": last, "2000000": {"read": {}}}
    source = tmp_path / "growth.json"
    source.write_text(json.dumps(kept))
    assert growth_report.main([str(source)]) == code
    assert ("FAIL" in capsys.readouterr().out) is bool(code)
    text = (tmp_path / "growth.md").read_text("utf-8")
    assert "| papers | 100 | 1,000,000 |" in text
    drawn = ET.fromstring((tmp_path / "growth.svg").read_text("utf-8"))  # noqa: S314 - our own
    assert len(drawn.findall(".//{*}polyline")) > 20


@pytest.mark.skipif(not (SHARED / "data/arxiv").is_dir(), reason="the shared test data is not here")
def test_the_corpus_is_real_papers_and_then_mixtures_of_them() -> None:
    """The same in every run, each under an id of its own by which its number is found again."""
    corpus, again = Corpus(SHARED), Corpus(SHARED)
    again.__dict__["real"] = corpus.real
    assert corpus.record(7) == corpus.real[7]
    for number in (PAPERS + 7, 10 * PAPERS + 7, 1_000_999):
        made, original = corpus.record(number), corpus.real[number % PAPERS]
        assert made == again.record(number)
        assert corpus.number(made["id"], 15) == number
        words, before = made["abstract"].split(), original["abstract"].split()
        kept = sum(a == b for a, b in zip(words, before, strict=True)) / len(before)
        assert 0.45 < kept < 0.95
        assert made["date"] < original["date"]
    ids = [corpus.record(number)["id"] for number in range(PAPERS, 15 * PAPERS, 997)]
    assert len(set(ids)) == len(ids)
