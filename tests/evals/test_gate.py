"""Thresholds that a run must keep."""

from __future__ import annotations

from pathlib import Path

import example_runs
import pytest

from paperagent.errors import EvalError, GateError
from paperagent.evals import gate

ROWS = [
    *example_runs.many([True] * 8 + [False] * 2),
    *(
        example_runs.row(f"k{i}", kind="compare", right=i == 0, scores={"over_refusal": 0.0})
        for i in range(4)
    ),
]


def written(folder: Path, text: str) -> Path:
    path = folder / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def broken(folder: Path, text: str) -> list[str]:
    return gate.breaches(gate.load(written(folder, text)), ROWS)


def test_a_threshold_follows_the_direction_of_its_metric(tmp_path: Path) -> None:
    """A number is a least where higher is better, and a most where lower is."""
    assert broken(tmp_path, "[metrics]\ncorrect = 0.6\nover_refusal = 0.1\nlatency_ms = 25") == []
    assert broken(tmp_path, "[metrics]\ncorrect = 0.7\nlatency_ms = 10") == [
        "correct 0.643 < 0.7",
        "latency_ms 20.000 > 10",
    ]


def test_a_threshold_can_have_both_ends(tmp_path: Path) -> None:
    """A table holds a least, a most or both."""
    assert broken(tmp_path, "[metrics]\ncorrect = {min = 0.6, max = 0.64}") == ["correct 0.643 > 0.64"]


def test_a_sure_threshold_uses_the_interval(tmp_path: Path) -> None:
    """The low end of 95 % is compared, not the value."""
    assert broken(tmp_path, "[metrics]\ncorrect = {min = 0.6, sure = true}") == [
        "correct 0.388 (low end of 95 %) < 0.6"
    ]


def test_kinds_have_thresholds_of_their_own(tmp_path: Path) -> None:
    """Only cases of the kind count."""
    assert broken(tmp_path, "[kinds.compare]\ncorrect = 0.5\n[kinds.fact]\ncorrect = 0.8") == [
        "correct of compare 0.250 < 0.5"
    ]


def test_an_unmeasured_metric_misses_its_threshold(tmp_path: Path) -> None:
    """A metric or a kind that the run lacks never passes silently."""
    assert broken(tmp_path, "[metrics]\nmrr = 0.1\n[kinds.list]\ncorrect = 0.1") == [
        "mrr was not measured",
        "correct of list was not measured",
    ]


def test_errors_are_not_allowed_by_default(tmp_path: Path) -> None:
    """A run with an error does not pass by leaving the case out."""
    rows = [*ROWS, example_runs.error("e")]
    strict = gate.load(written(tmp_path, "[metrics]\ncorrect = 0.5"))
    assert gate.breaches(strict, rows) == ["1 errors > 0"]
    lenient = gate.load(written(tmp_path, "errors = 1\n[metrics]\ncorrect = 0.5"))
    assert gate.breaches(lenient, rows) == []


def test_the_error_names_every_missed_threshold(tmp_path: Path) -> None:
    """The error has exit code 9 and one line."""
    kept = gate.load(written(tmp_path, "[metrics]\ncorrect = 0.9\nover_refusal = 0.5"))
    with pytest.raises(GateError, match=r"not met: correct 0\.643 < 0\.9; .*report") as caught:
        gate.enforce(kept, ROWS)
    assert caught.value.exit_code == 9
    assert "\n" not in str(caught.value)
    gate.enforce(gate.load(written(tmp_path, "[metrics]\ncorrect = 0.1")), ROWS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no threshold"),
        ("[metrics]", "has no threshold"),
        ("correct = 0.5", "unknown key correct; use errors"),
        ("[metrics]\ncorect = 0.5", "corect: no such metric; did you mean correct"),
        ("[metrics]\nxyzzy = 0.5", "xyzzy: no such metric; metrics: correct,"),
        ("[metrics]\ncorrect = 'high'", "correct: must be a number"),
        ("[metrics]\ncorrect = true", "correct: must be a number"),
        ("[metrics]\ncorrect = nan", "correct: must be a number"),
        ("[metrics]\ncorrect = {least = 1}", "correct: only min, max and sure"),
        ("[metrics]\ncorrect = {min = 0.5, sure = 1}", "sure: must be true or false"),
        ("[metrics]\nsentences = 4", "sentences: neither higher nor lower is better"),
        ("metrics = 3", "metrics: must be a table"),
        ("kinds = 3", "kinds: must be a table"),
        ("errors = -1\n[metrics]\ncorrect = 0.5", "errors: must be an integer"),
        ("[metrics\ncorrect", "not TOML"),
        ("\x00", "not TOML"),
        pytest.param(f"[metrics]\ncorrect = {'9' * 5000}", "not TOML", id="long number"),
        pytest.param(f"[metrics]\ncorrect = {'9' * 400}", "correct: must be a number", id="no float"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """Each fault is one line that names the file and the entry."""
    with pytest.raises(EvalError) as caught:
        gate.load(written(tmp_path, text))
    assert message in str(caught.value)
    assert "gate.toml" in str(caught.value)
    assert str(caught.value).isprintable()


def test_unreadable_files_are_errors(tmp_path: Path) -> None:
    """So is one that is no text."""
    with pytest.raises(EvalError, match="cannot be read: No such file"):
        gate.load(tmp_path / "none.toml")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvalError, match="not TOML"):
        gate.load(tmp_path / "raw.toml")
