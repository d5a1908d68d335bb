"""The shared list of bad inputs: what covers each row, and which rows do not apply yet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from paths import ROOT

NO_WEB = "the web page comes later"

NOT_YET = {
    "bad-016": "there is no --temperature; the unknown option is refused with exit 2",
    "bad-177": "there is no such setting",
    "bad-178": "there is no such setting",
    "bad-194": NO_WEB,
    "bad-195": NO_WEB,
    "bad-198": "there is no TOML file: settings are in the environment and .env",
    "bad-199": "there is no TOML file: settings are in the environment and .env",
    "bad-200": "settings carry no version",
    "bad-191": "the schedule is left to cron or systemd",
    "bad-267": "there is no /load",
    "bad-352": NO_WEB,
    "bad-353": NO_WEB,
    "bad-287": "the wait is bounded and Ctrl-C ends it, but nothing says that it waits",
}
"""Row → why it does not apply yet; `docs/bad_inputs.md` says the same to people."""


def rows(surface: str) -> set[str]:
    """Return the ids of one surface; skip the test where the shared list is not at hand."""
    default = ROOT.parent / "shared"
    path = Path(os.environ.get("PAPERAGENT_SHARED", default)) / "data" / "bad_inputs.jsonl"
    if not path.exists():
        pytest.skip("the shared list of bad inputs is not beside the checkout")
    listed = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["id"] for row in listed if row["surface"] == surface}


def check_covered(surface: str, covered: set[str]) -> None:
    """Assert that every row of ``surface`` is tested or named in `NOT_YET`, and none in both."""
    wanted = rows(surface)
    assert wanted - covered - NOT_YET.keys() == set()
    assert covered & NOT_YET.keys() == set()
    assert covered - wanted == set()
