"""The generated API reference."""

from __future__ import annotations

import subprocess
import sys

from paths import ROOT


def test_the_api_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate_api.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
