"""Reports as tables and JUnit."""

from __future__ import annotations

from typing import Any

import example_runs
import pytest
from defusedxml import ElementTree

from paperagent.evals.compare import compare
from paperagent.evals.report import tables
from paperagent.evals.report import tables as run_report
from paperagent.evals.report.tables import Table
from paperagent.evals.results import FAILURES, Figure

ROWS = [
    *example_runs.many([True] * 6 + [False] * 2),
    *(example_runs.row(f"k{i}", kind="compare", right=i < 2) for i in range(3)),
    example_runs.error("e1"),
]


def test_each_kind_has_a_line() -> None:
    """The first line is all cases; errors are counted among the cases, left out of the figures, and said."""
    found = run_report.by_kind(example_runs.run(ROWS), ROWS)
    assert [row[:2] for row in found.rows] == [("all", "12"), ("compare", "3"), ("fact", "9")]
    assert found.rows[0][2] == ".73 (.43–.90)"
    assert found.note.endswith("Errors, left out: 1.")


def test_one_kind_is_not_repeated() -> None:
    """Where all cases are of one kind there is one line."""
    rows = example_runs.many([True, False])
    assert [r[0] for r in run_report.by_kind(example_runs.run(rows), rows).rows] == ["all"]


def test_a_search_has_other_headlines() -> None:
    """A retrieval-only run shows what it has."""
    rows = [example_runs.row("a", scores={"ndcg@10": 0.5, "recall@10": 1.0, "mrr": 0.5}, answer=None)]
    found = example_runs.run(rows, mode="retrieval")
    assert run_report.headlines(found) == ["ndcg@10", "recall@10", "mrr"]


def test_failures_are_counted() -> None:
    """Most frequent first, each with its meaning; every failure that exists has one."""
    rows = [
        *(example_runs.row(f"a{i}", right=False, failure="retrieval_miss") for i in range(3)),
        example_runs.row("b", right=False, failure="should_have_answered"),
        example_runs.row("c"),
    ]
    assert [r[:3] for r in run_report.failures(rows).rows] == [
        ("retrieval_miss", "3", "60%"),
        ("should_have_answered", "1", "20%"),
    ]
    assert set(run_report.FAILURE_ABOUT) == set(FAILURES)
    assert [r[0] for r in run_report.wrong(rows).rows] == ["a0", "a1", "a2", "b"]


def test_the_comparison_names_flips_and_marks_what_is_judged() -> None:
    """Metrics that did not change are left out, but for the judged ones."""
    a, b = example_runs.many([True, True, False]), example_runs.many([True, False, True])
    first, lost, gained = run_report.comparison_tables(
        compare((example_runs.run(a), a), (example_runs.run(b), b))
    )
    assert [row[0] for row in first.rows] == ["* correct", "* citation_recall"]
    assert first.rows[0][4:6] == ("3", "1/1")
    assert lost.title == "Right in A, not in B: 1 (McNemar, exact: p = 1)"
    assert [row[0] for row in lost.rows] == ["c001"]
    assert [row[0] for row in gained.rows] == ["c002"]


def test_junit_has_one_test_per_case() -> None:
    """What came out wrong fails with its reason, an error is an error, and totals agree."""
    root = ElementTree.fromstring(run_report.junit(example_runs.run(ROWS), ROWS))
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("12", "3", "1")
    cases = list(suite)
    assert len(cases) == 12
    failed = next(c for c in cases if c.get("name") == "c006")
    assert (failed.get("classname"), failed.get("time")) == ("fact", "0.020")
    assert (failed[0].tag, failed[0].get("type")) == ("failure", "evidence_ignored")
    assert "question: What about c006?" in str(failed[0].text)
    assert (cases[-1][0].tag, cases[-1][0].get("message")) == ("error", "endpoint: gone")


def test_hostile_text_stays_text() -> None:
    """JUnit stays well-formed, a terminal gets no escape, Markdown no row or markup of a stranger's."""
    rows = example_runs.hostile()
    found = example_runs.run(rows, cases=example_runs.HOSTILE, model=example_runs.HOSTILE)
    root = ElementTree.fromstring(
        run_report.junit(found, rows + example_runs.many([False], question="\x00\ufffe\ud800"))
    )
    assert root.tag == "testsuites"
    made = run_report.run_tables(found, rows)
    text = tables.text(made)
    assert "\x1b" not in text
    assert "\u202e" not in text
    for table in (table for table in made if table.rows):
        lines = tables.markdown([table]).splitlines()
        assert not any("<img" in line.replace("\\<", "") for line in lines)
        bars = [line.replace("\\|", "").count("|") for line in lines[2 : 4 + len(table.rows)]]
        assert bars == [len(table.head) + 1] * (2 + len(table.rows))


def test_columns_line_up() -> None:
    """Wide characters and combining marks count as they are shown; words are cut to the terminal."""
    wide = Table("T", ("name", "n", "says"), (("読み", "1", "x" * 90), ("e\u0301a", "22", "y")), words=True)
    lines = tables.text([wide], width=40).splitlines()
    assert lines[0] == "T"
    assert lines[4] == "読み   1  " + "x" * 29 + "…"
    assert lines[5] == "e\u0301a    22  y"
    assert len(tables.text([wide], width=10).splitlines()[4]) == 10 + 12 - 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0"), (1.0, "1"), (0.5, ".500"), (0.12345, ".123"), (-0.25, "-.250"), (5.637, "5.64"),
     (302.7, "303"), (1234567.0, "1,234,567")],
)  # fmt: skip
def test_figures_are_short(value: float | None, shown: str) -> None:
    """A share has no leading zero, an amount no digits that say nothing."""
    assert tables.number(value) == shown


def test_intervals_follow_their_value() -> None:
    """Without an interval the value stands alone; without a value there is a dash."""
    assert tables.with_interval(Figure(value=0.7, low=0.58, high=0.794, n=70)) == ".700 (.58–.79)"
    assert tables.with_interval(Figure(value=0.7)) == ".700"
    assert tables.with_interval(None) == "–"
    assert [tables.change(v) for v in (0.1, -0.1, 0.0)] == ["+.100", "-.100", "±0"]


def test_empty_tables_are_left_out() -> None:
    """A table without rows is not shown in either form."""
    nothing: list[Any] = [Table("Nothing", ("a",), ())]
    assert tables.text(nothing).strip() == tables.markdown(nothing).strip() == ""
