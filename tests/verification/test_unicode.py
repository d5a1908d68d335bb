"""Spelling is folded, meaning is not: dashes, spaces and LaTeX against minus, marks and look-alikes."""

from __future__ import annotations

import pytest

from paperagent.verification import check, find_quote
from paperagent.verification.normalize import mixed_script, normalize

ACCEPTED = ("quoted", "supported")


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("well‐known “name” – it’s", 'well-known "name" - it\'s'),
        ("non\u00a0breaking\u200b \u2066space\u2069", "non breaking space"),
        ("ｆｕｌｌｗｉｄｔｈ　５０％", "fullwidth 50%"),
        (r"$\leq 5\%$ and $\pm 0.3$", "≤ 5% and ± 0.3"),
        ("1,093 and 12,345,678", "1093 and 12345678"),
        (r"\textbf{bold} Fig.~2", "bold Fig. 2"),
        ("x ≈ −3", "x ~ -3"),
        ("10⁻³ and m²", "10^-3 and m^2"),
        ("gains of $4,600 and costs of $118,000 per year", "gains of $4600 and costs of $118000 per year"),
    ],
)
def test_spellings_become_one(written: str, plain: str) -> None:
    """Each way of writing a sign has one form, and no mark that counts is lost."""
    assert normalize(written) == plain


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("The mean change was 3.2 mm in the group.", "The mean change was −3.2 mm in the group."),
        ("Errors stay above 5% on the test set.", "Errors stay < 5% on the test set."),
        ("Runs took 10² steps on the small grid.", "Runs took 10³ steps on the small grid."),
        ("The dose was 5 mg in both arms.", "The dose was 5 kg in both arms."),
        ("The rate was 50 in the second year.", "The rate was 50% in the second year."),
    ],
)
def test_a_lost_mark_is_refuted(claim: str, sentence: str) -> None:
    """A minus, a comparison mark, an exponent, a unit or a per cent sign decides."""
    assert check(claim, [sentence]).support not in ACCEPTED


def test_invisible_characters_do_not_hide_a_negation() -> None:
    """A zero-width space inside *not* leaves it a negation."""
    sentence = "The adapter does n\u200bot help on short inputs."
    assert check("The adapter does help on short inputs.", [sentence]).support not in ACCEPTED


def test_look_alikes_are_flagged_not_folded() -> None:
    """A Cyrillic letter in a Latin word is reported; Greek letters in names are usual."""
    sentence = "The accuracy of the model rises on every split."
    disguised = sentence.replace("accuracy", "аccuracy")
    verdict = check(disguised, [sentence])
    assert verdict.support not in ACCEPTED
    assert any("scripts" in r for r in verdict.reasons)
    assert find_quote(disguised, sentence).mixed_script == ("аccuracy",)
    assert mixed_script("β-catenin and TNFα") == ()


def test_escaped_percent_equals_percent() -> None:
    """LaTeX in the abstract does not cost the support of a plainly written claim."""
    assert check("All systems score below 12%.", [r"All systems score below $12\%$."]).support in ACCEPTED
