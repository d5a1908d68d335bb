"""Two runs compared case by case."""

from __future__ import annotations

import example_runs
import pytest

from paperagent.errors import EvalError
from paperagent.evals.compare import compare, p_text
from paperagent.evals.results import Row


def of(a: list[Row], b: list[Row], **options: object):
    return compare((example_runs.run(a, name="A"), a), (example_runs.run(b, name="B"), b), **options)


def test_many_flips_in_one_direction_are_significant() -> None:
    """Ten cases lost and one gained is worse; the other way round it is better."""
    good = example_runs.many([True] * 30 + [False])
    bad = example_runs.many([False] * 10 + [True] * 21)
    assert of(good, bad).verdict == "worse"
    found = of(bad, good)
    assert found.verdict == "better"
    assert found.sentence.startswith("better: correct 0.677 → 0.968 (+0.290")
    assert (len(found.lost), len(found.gained)) == (1, 10)


def test_flips_both_ways_are_no_difference() -> None:
    """Five cases lost and five gained cancel out; both lists name them."""
    a = example_runs.many([True] * 5 + [False] * 5 + [True] * 20)
    b = example_runs.many([False] * 5 + [True] * 5 + [True] * 20)
    found = of(a, b)
    assert found.verdict == "no difference"
    assert [f.id for f in found.lost] == [f"c{i:03}" for i in range(5)]
    assert [(f.before, f.after) for f in found.gained] == [("evidence ignored", "right")] * 5
    correct = next(c for c in found.changes if c.name == "correct")
    assert (correct.lost, correct.gained, correct.mcnemar) == (5, 5, 1.0)


def test_few_flips_are_not_significant() -> None:
    """Four cases lost of forty may be chance, although the interval leans."""
    found = of(example_runs.many([True] * 40), example_runs.many([False] * 4 + [True] * 36))
    assert found.verdict == "no difference"
    correct = next(c for c in found.changes if c.name == "correct")
    assert correct.leaning == "worse"
    assert correct.mcnemar == 0.125


def test_only_shared_cases_count() -> None:
    """Cases of one run alone, and cases that ask something else, are left out and said."""
    a, b = example_runs.many([True] * 12), example_runs.many([True] * 11)
    b[3] = b[3].model_copy(update={"question": "Something else?"})
    found = of(a, b)
    assert found.shared == 10
    assert found.notes == (
        "cases left out (only in A): 1",
        "cases left out (another question in B): 1",
    )


def test_runs_without_shared_cases_are_refused() -> None:
    """Runs of other cases cannot be compared."""
    with pytest.raises(EvalError, match=r"A and B share no case; run the same cases"):
        of([example_runs.row("x")], [example_runs.row("y")])


def test_an_error_is_not_right() -> None:
    """A case that ended in an error counts as lost, and has no other score."""
    a = example_runs.many([True] * 20)
    b = [example_runs.error(r.id) for r in a[:10]] + a[10:]
    found = of(a, b)
    assert found.verdict == "worse"
    assert {f.after for f in found.lost} == {"error"}
    assert next(c for c in found.changes if c.name == "citation_recall").difference.n == 10
    assert "10 cases of B ended in an error and count as not right" in found.notes


def test_lower_can_be_better() -> None:
    """A fall in latency is an improvement; the number of sentences is neither."""
    a = [example_runs.row(f"c{i}", scores={"latency_ms": 100.0 + i, "sentences": 5.0}) for i in range(20)]
    b = [example_runs.row(f"c{i}", scores={"latency_ms": 50.0 + i, "sentences": 3.0}) for i in range(20)]
    changes = {c.name: c for c in of(a, b).changes}
    assert changes["latency_ms"].leaning == "better"
    assert changes["sentences"].leaning == "no difference"
    assert of(a, b, judged=["latency_ms"]).verdict == "better"
    assert of(b, a, judged=["latency_ms"]).verdict == "worse"


def test_a_metric_that_is_not_shared_cannot_be_judged() -> None:
    """The error names it and those that can."""
    runs = example_runs.many([True] * 3)
    with pytest.raises(
        EvalError, match=r"not every case has nonsense; choose among correct, citation_recall"
    ):
        of(runs, runs, judged=["nonsense"])
    with pytest.raises(EvalError, match=r"not every case has auroc"):
        of(runs, runs, judged=["auroc"])


def test_search_only_runs_are_compared_by_ndcg() -> None:
    """Without answers the verdict rests on nDCG@10."""
    a, b = (
        [
            Row(id=f"c{i}", question="?", scores={"ndcg@10": value + i / 1000, "recall@10": 1.0})
            for i in range(20)
        ]
        for value in (0.5, 0.7)
    )
    found = of(a, b)
    assert [c.name for c in found.changes if c.judged] == ["ndcg@10"]
    assert found.verdict == "better"
    assert found.gained == ()


def test_changed_cases_and_libraries_are_noted() -> None:
    """Figures of another library or of other gold are comparable only with care."""
    rows = example_runs.many([True] * 3)
    found = compare(
        (example_runs.run(rows), rows), (example_runs.run(rows, cases_hash="d", library_hash="m"), rows)
    )
    assert found.notes == (
        "the cases differ: what they expect may have changed too",
        "the libraries differ",
    )


def test_a_figure_of_all_cases_has_an_interval_but_no_flips() -> None:
    """AUROC is compared by bootstrap."""

    def rows(good: float) -> list[Row]:
        return [
            example_runs.row(
                f"c{i}", answerable=i % 2 == 0, confidence=(good if i % 2 == 0 else 0.5) + i / 1000
            )
            for i in range(30)
        ]

    change = next(c for c in of(rows(0.4), rows(0.9)).changes if c.name == "auroc")
    assert (change.before, change.after, change.leaning) == (0.0, 1.0, "better")
    assert change.difference.p is None


def test_p_values_read_well() -> None:
    """Small ones are bounds, 1 is 1, none is a dash."""
    assert [p_text(p) for p in (0.0001, 0.031, 1.0, None)] == ["< .001", "= .031", "= 1", "–"]


def test_the_comparison_is_json_ready() -> None:
    """Everything shown is in the document."""
    found = of(example_runs.many([True] * 3), example_runs.many([True, True, False])).to_dict()
    assert (found["verdict"], found["shared"], [f["id"] for f in found["lost"]]) == (
        "no difference",
        3,
        ["c002"],
    )
    assert found["metrics"]["correct"]["difference"] == pytest.approx(-1 / 3)
