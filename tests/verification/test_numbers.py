"""Numbers agree in value, unit, mark and role, in whatever form they are written."""

from __future__ import annotations

import pytest

from paperagent.verification import check
from paperagent.verification.numbers import Number, compare
from paperagent.verification.tokens import analyze

ACCEPTED = ("quoted", "supported")


@pytest.mark.parametrize(
    ("text", "value", "unit", "mark"),
    [
        ("4K tokens", 4000, "", ""),
        ("1.6 million rows", 1_600_000, "", ""),
        ("more than 50 labs", 50, "", ">"),
        ("at least five percent", 5, "%", "≥"),
        ("p<.001", 0.001, "", "<"),
        ("a 3-fold gain", 3, "times", ""),
        ("twice the cost", 2, "times", ""),
        ("3.0 (0.3 to 5.7) dBA", 3, "dBA", ""),
        ("twenty five nodes", 25, "", ""),
        ("10^-3 error", 0.001, "", ""),
        ("about 12 ms", 12, "ms", "~"),
    ],
)
def test_a_number_is_read_with_its_surroundings(text: str, value: float, unit: str, mark: str) -> None:
    """Scale, unit and mark are part of the number."""
    number = next(t.number for t in analyze(text).tokens if t.number)
    assert (number.value, number.unit, number.mark) == (pytest.approx(value), unit, mark)


def test_a_list_shares_its_unit() -> None:
    """In ``5 and 7%`` and ``2-3x`` both numbers have the unit."""
    for text, unit in (("5 and 7%", "%"), ("a 2-3x gain", "times")):
        assert [t.number.unit for t in analyze(text).tokens if t.number] == [unit, unit]


@pytest.mark.parametrize(
    ("claim", "source", "difference"),
    [
        (Number(5, "%"), Number(5, "%"), None),
        (Number(0.5), Number(50, "%"), None),
        (Number(5), Number(6), "value"),
        (Number(5, sign="-"), Number(5), "sign"),
        (Number(5, "ms"), Number(5, "s"), "unit"),
        (Number(5, mark="<"), Number(5, mark=">"), "mark"),
        (Number(5), Number(5, mark="~"), "mark"),
        (Number(5, mark="~"), Number(5), None),
        (Number(84, "%", "~"), Number(83.76, "%", decimals=2), None),
        (Number(83, "%", "over"), Number(83.4, "%", decimals=1), None),
        (Number(84, "%", "over"), Number(83.76, "%", decimals=2), "value"),
        (Number(84, "%", ">"), Number(83.76, "%", decimals=2), "value"),
    ],
)
def test_a_claim_may_be_vaguer_not_firmer(claim: Number, source: Number, difference: str | None) -> None:
    """Values, signs, units and marks are compared; an approximation of an exact number is honest."""
    assert compare(claim, source) == difference


@pytest.mark.parametrize(
    ("claim", "good"),
    [
        ("Recall rises from 61% to 74%.", True),
        ("Recall rises from 74% to 61%.", False),
        ("Recall rises by 74%.", False),
        ("With 2,000 labels, recall rises to 74%.", True),
        ("Recall rises to 74% with 2,000 images.", False),
    ],
)
def test_a_number_keeps_its_role(claim: str, good: bool) -> None:  # noqa: FBT001 - a table's column
    """From, to and by, and the noun that is counted, belong to the number."""
    sentence = "With only 2K labels, recall rises from 61% to 74% on the held-out hospital."
    assert (check(claim, [sentence]).support in ACCEPTED) is good
