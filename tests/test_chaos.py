"""The short form of ``make chaos``: a few libraries, each disturbed a dozen times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked")
@pytest.mark.parametrize("seed", [11, 12])
def test_random_disturbances_lose_nothing(seed: int) -> None:
    """Kills, damage, full disks, two writers, wrong clocks: see ``chaos/__main__.py`` for what must hold."""
    result = subprocess.run(
        [sys.executable, "-m", "chaos", "--episodes", "1", "--seed", str(seed)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 episodes, 0 violations" in result.stdout
