"""The judgments that `eval/digest.py` measures by."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from paperagent.digest.preferences import Preferences

LABELS = Path(__file__).parents[2] / "eval/labels"
SUBSCRIBERS = json.loads((LABELS / "digest-subscribers.json").read_text("utf-8"))


def rows(name: str) -> list[list[str]]:
    with (LABELS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


def test_half_of_the_subscribers_are_held_out() -> None:
    """Their preferences are valid."""
    assert sum(s["held_out"] for s in SUBSCRIBERS.values()) == len(SUBSCRIBERS) / 2
    for subscriber in SUBSCRIBERS.values():
        assert Preferences.validated(**subscriber["preferences"]).interests


@pytest.mark.parametrize("name", ["digest-relevance.tsv", "digest-interests.tsv"])
def test_a_paper_is_judged_once(name: str) -> None:
    """Per subscriber or interest, and week."""
    keys = [tuple(row[:3]) for row in rows(name)]
    assert len(set(keys)) == len(keys)
    assert {row[3] for row in rows(name)} == {"want", "maybe", "no"}


def test_every_subscriber_has_judgments_of_both_weeks() -> None:
    """No single interest is one of a held-out subscriber."""
    judged = {(name, week) for name, week, *_ in rows("digest-relevance.tsv")}
    assert judged == {(name, week) for name in SUBSCRIBERS for week in ("2026-W16", "2026-W25")}
    held_out = {i for s in SUBSCRIBERS.values() if s["held_out"] for i in s["preferences"]["interests"]}
    assert not held_out & {interest for interest, *_ in rows("digest-interests.tsv")}
