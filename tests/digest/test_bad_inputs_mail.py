"""Every row of the shared list that concerns mail is a test of this folder, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

from bad_inputs import check_covered, rows


def test_every_row_is_covered() -> None:
    """Each test names its rows in its docstring."""
    tests = Path(__file__).parents[1]
    paths = [path for folder in ("digest", "web") for path in (tests / folder).glob("test_*.py")]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    named = {row for text in texts for row in re.findall(r"bad-\d{3}", text)}
    check_covered("SMTP / digest", named & rows("SMTP / digest"))
