"""What a type checker says of calls that are right, and of calls that are wrong."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from paths import ROOT

PAGE = ROOT / "tests" / "typechecks" / "asking.py"


@pytest.mark.slow
def test_mypy_knows_the_options_of_a_question() -> None:
    """A misspelt option, a wrong type and a forgotten ``await`` are errors; what is right is none."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", str(PAGE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.stderr == ""
    found = {int(line) for line in re.findall(r"asking\.py:(\d+): error", done.stdout)}
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    wrong = {n for n, line in enumerate(lines, start=1) if line.endswith("# wrong")}
    assert found == wrong, done.stdout
