"""The shared list of bad inputs: which rows are tested, and which do not apply yet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from paths import ROOT

NOT_YET = {
    "bad-016": "there is no --temperature; the unknown option is refused with exit 2",
    "bad-177": "there is no such setting",
    "bad-178": "there is no such setting",
    "bad-198": "there is no TOML file: settings are in the environment and .env",
    "bad-199": "there is no TOML file: settings are in the environment and .env",
    "bad-200": "settings carry no version",
    "bad-191": "cron or systemd runs the schedule",
    "bad-267": "there is no /load",
    "bad-287": "the wait is limited and Ctrl-C ends it, but no message says that it waits",
}
"""Row → why it does not apply yet; `docs/bad_inputs.md` has the same reasons."""


def rows(surface: str) -> set[str]:
    """Return the ids of the rows of one surface; skip the test if the shared list is missing."""
    default = ROOT.parent / "shared"
    path = Path(os.environ.get("PAPERAGENT_SHARED", default)) / "data" / "bad_inputs.jsonl"
    if not path.exists():
        pytest.skip("the shared list of bad inputs is not beside the checkout")
    bad_inputs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["id"] for row in bad_inputs if row["surface"] == surface}


def check_covered(surface: str, covered: set[str]) -> None:
    """Assert that every row of ``surface`` is either tested or in `NOT_YET`."""
    expected = rows(surface)
    assert expected - covered - NOT_YET.keys() == set()
    assert covered & NOT_YET.keys() == set()
    assert covered - expected == set()
