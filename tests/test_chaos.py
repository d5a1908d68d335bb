"""The short form of ``make chaos``: a few libraries, each disturbed a dozen times."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("fcntl", reason="needs fork and resource limits")

if sys.platform == "win32":
    pytest.skip("needs fork", allow_module_level=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_random_disturbances_lose_nothing(seed: int) -> None:
    """Kills, damage, full disks, two writers, wrong clocks: see ``chaos/__main__.py`` for what must hold."""
    from chaos.__main__ import main

    assert main(["--episodes", "1", "--seed", str(seed), "--minutes", "3"]) == 0
