"""What people type first: the cases of ``eval/cases/utterances.jsonl``, each with its answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paths import ROOT

sys.path.append(str(ROOT / "eval"))
utterances = pytest.importorskip("utterances")


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with utterances.Libraries(tmp_path_factory.mktemp("libraries"), Path("no-shared-data")) as opened:
        yield opened


@pytest.mark.parametrize("split", ["dev", "held"])
def test_utterances_are_handled_rightly(libraries: object, split: str) -> None:
    """At least 95 in 100 are, and no real question is caught."""
    cases = [case for case in utterances.load() if case["split"] == split and case["library"] != "seeds"]
    faults = {case["utterance"]: libraries.fault(case) for case in cases}  # type: ignore[attr-defined]
    real = [case["utterance"] for case in cases if case["intent"] is None]
    assert not [text for text in real if faults[text]]
    wrong = {text: why for text, why in faults.items() if why}
    assert len(wrong) <= (1 - utterances.MIN_RIGHT) * (len(cases) - len(real)), wrong


def test_there_are_enough_cases() -> None:
    cases = utterances.load()
    assert sum(case["intent"] is not None for case in cases) >= 150
    assert sum(case["intent"] is None for case in cases) >= 100
