"""Hostile text costs little and raises nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperagent.verification import check, find_quote

ODD = st.text(alphabet="0129.,%$-+<>~^(){}\\ aAxB½²٣\u200b'\n", max_size=60)


@given(claim=ODD, evidence=ODD)
def test_any_text_is_judged(claim: str, evidence: str) -> None:
    """Digits, marks and LaTeX in any order give a verdict, not an error."""
    assert check(claim, [evidence]).support in ("quoted", "supported", "unverified", "unsupported")
    assert find_quote(claim, evidence).status in ("exact", "normalised", "partial", "too_short", "not_found")


@pytest.mark.parametrize(
    "piece", ["word ", "1 ", "not ", "(", "$", "a-", "A", "outperforms ", "10^999 ", "may "]
)
def test_repetition_is_bounded(piece: str) -> None:
    """A text that repeats one piece for ever is judged within seconds, as claim and as evidence."""
    began = time.process_time()
    check((piece * 4000)[: 199 * len(piece)], [piece * 20_000 + " x"])
    assert time.process_time() - began < 5


def test_a_claim_of_pages_is_not_supported() -> None:
    """A claim longer than a claim can be is weak, and says why."""
    verdict = check("The sky is blue today. " * 400, ["The sky is blue today and so on."])
    assert verdict.support == "unverified"
    assert "too long" in verdict.reasons[0]
