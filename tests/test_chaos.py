"""The short form of ``make chaos``: one library, disturbed four times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked")
def test_random_disturbances_lose_nothing() -> None:
    """``chaos/__main__.py`` describes what must hold."""
    result = subprocess.run(
        [sys.executable, "-m", "chaos", "--episodes", "1", "--steps", "4", "--seed", "11"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 episodes, 0 violations" in result.stdout
