"""Every row of the shared list that concerns mail is a test of this folder, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

from bad_inputs import check_covered, rows


def test_every_row_is_covered() -> None:
    """Each test names its rows in its docstring."""
    texts = [p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("test_*.py")]
    named = {row for text in texts for row in re.findall(r"bad-\d{3}", text)}
    check_covered("SMTP / digest", named & rows("SMTP / digest"))
