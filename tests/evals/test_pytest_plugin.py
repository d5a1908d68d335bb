"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sample_library import home

CASES = """\
# two of the sample feed
{"id": "tokens", "question": "How much of the prompt does Tindersift remove?", "must_include": ["61%"]}
{"id": "wrong", "question": "How much of the prompt does Tindersift remove?", "must_include": ["99%"]}
"""


def run(folder: Path, *arguments: str, test: str, ini: str = "") -> subprocess.CompletedProcess[str]:
    """Run a suite that holds one test over the cases."""
    (folder / "cases.jsonl").write_text(CASES, "utf-8")
    (folder / "test_answers.py").write_text(test, "utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", "utf-8")
    environ = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PAPERAGENT_EMBEDDER": "none",
        "PAPERAGENT_HOME": str(home()),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "paperagent.evals.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run(
        [*command, "-v", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


ANSWER = "def test_answer(paperagent_row):\n    assert paperagent_row.failure is None\n"


def test_a_test_runs_once_a_case_under_its_id(tmp_path: Path) -> None:
    """The case that comes out right passes, the other fails with its reason."""
    done = run(tmp_path, test=ANSWER, ini="paperagent_cases = cases.jsonl\npaperagent_mode = extractive\n")
    assert "test_answer[tokens] PASSED" in done.stdout
    assert "test_answer[wrong] FAILED" in done.stdout
    assert "evidence_ignored" in done.stdout
    assert done.returncode == 1


def test_one_case_can_be_chosen(tmp_path: Path) -> None:
    """Pytest's own selection works by the case's id."""
    done = run(tmp_path, "-k", "tokens", test=ANSWER, ini="paperagent_cases = cases.jsonl\n")
    assert (done.returncode, "1 passed, 1 deselected" in done.stdout) == (0, True)


def test_the_marker_names_other_files(tmp_path: Path) -> None:
    """A file beside the test; the case itself can be taken alone."""
    test = (
        "import pytest\n"
        "@pytest.mark.paperagent_cases('cases.jsonl')\n"
        "def test_asks(paperagent_case):\n    assert paperagent_case.question.endswith('?')\n"
    )
    done = run(tmp_path, "--strict-markers", test=test)
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("ini", "message"),
    [("", "no files of cases"), ("paperagent_cases = none.jsonl\n", "cannot be read")],
)
def test_cases_that_cannot_be_read_are_said(tmp_path: Path, ini: str, message: str) -> None:
    """Collecting fails with one line that says what to do."""
    done = run(tmp_path, test=ANSWER, ini=ini)
    assert message in done.stdout + done.stderr
    assert done.returncode


def test_it_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    """A suite without cases loads nothing of paperagent but the plugin's own module."""
    test = (
        "import sys\n"
        "def test_other():\n"
        "    late = {'pydantic', 'numpy', 'paperagent.agent', 'paperagent.evals.cases'}\n"
        "    assert not late & sys.modules.keys()\n"
    )
    done = run(tmp_path, test=test)
    assert "1 passed" in done.stdout, done.stdout
