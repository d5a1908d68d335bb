"""A quote stands in the abstract word for word, or it is no quote."""

from __future__ import annotations

import pytest

from paperagent.verification import find_quote

ABSTRACT = (
    "We study tide-driven turbines. Output rose by 9.5% (p<0.05) when blades were re-angled every hour; "
    "costs did not change. A well-known limit, β<0.59, holds in −2 °C water."
)


@pytest.mark.parametrize(
    ("quote", "status"),
    [
        ("Output rose by 9.5% (p<0.05) when blades were re-angled", "exact"),
        ("Output  rose\nby 9.5% (p<0.05) when blades", "exact"),
        ("output rose by 9.5% (P<0.05) when blades", "normalised"),
        ("when blades were re‐angled every hour", "normalised"),
        ("Output rose by 9.5% …", "normalised"),
        ("We study tide-driven turbines ... costs did not change", "partial"),
        ("costs did not change [...] We study tide-driven turbines", "not_found"),
        ("turbines rose by 9.5%", "not_found"),
        ("Output rose by 9.6% (p<0.05)", "not_found"),
        ("costs did change every hour", "not_found"),
        ("Output rose by 9", "not_found"),
        ("when blades were re", "not_found"),
        ("driven turbines. Output rose", "not_found"),
        ("holds in 2 °C water", "not_found"),
        ("of the", "too_short"),
        ("We study tide-driven turbines ... hour", "too_short"),
        ("", "not_found"),
        (" … ", "not_found"),
    ],
)
def test_a_quote_is_found_or_not(quote: str, status: str) -> None:
    """White space is free; case and dashes are noted; order, marks and word ends must agree."""
    assert find_quote(quote, ABSTRACT).status == status


def test_found_means_every_part_was_found() -> None:
    """Exact, normalised and partial quotes are found, others are not."""
    assert find_quote("costs did not change", ABSTRACT).is_quote
    assert not find_quote("costs did not rise at all", ABSTRACT).is_quote
