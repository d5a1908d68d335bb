"""The page for people says the same as the tests' own list."""

from __future__ import annotations

import re
from pathlib import Path

from bad_inputs import NOT_YET


def test_the_page_lists_exactly_the_rows_that_do_not_apply_yet() -> None:
    """`docs/bad_inputs.md` names every row that has no test yet, and no other."""
    text = (Path(__file__).resolve().parents[1] / "docs" / "bad_inputs.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| bad-")]
    assert {row for line in table for row in re.findall(r"bad-\d{3}", line)} == set(NOT_YET)
    assert all(len(line.split("|")) == 5 and line.split("|")[3].strip() for line in table)
