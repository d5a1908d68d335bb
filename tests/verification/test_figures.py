"""The figures that the checks must keep, measured on the shared data (see eval/checks.py)."""

from __future__ import annotations

import time

import checks as measure
import pytest

from paperagent.verification import check
from paths import SHARED

DATA = SHARED / "data"
needs_shared = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not beside the checkout")
MOST_ACCEPTED = {
    "number changed": 0.005,
    "numbers swapped": 0.01,
    "negation added": 0.02,
    "negation removed": 0.02,
    "antonym": 0.02,
    "hedge removed": 0.07,
    "words swapped": 0.06,
    "sides swapped": 0.06,
    "other paper": 0.001,
}


@needs_shared
def test_mutated_sentences_are_not_accepted() -> None:
    """Each kind of mutation is accepted rarely, and an untouched sentence always."""
    for kind, cases in measure.mutated(measure.scifact(DATA, 7), 200, 7):
        share, number = measure.accepted(cases, show=False, wrong=kind != "untouched")
        assert number > 100, kind
        if kind == "untouched":
            assert share >= 0.99
        else:
            assert share <= MOST_ACCEPTED[kind], kind


@needs_shared
def test_quotes_get_the_right_verdict() -> None:
    """At least 99 % of the mutated quotes are judged rightly."""
    share, number = measure.quotes(DATA / "citation_checks.jsonl", show=False)
    assert number > 400
    assert share >= 0.99


@needs_shared
def test_restatements_are_told_apart() -> None:
    """Wrong restatements are mostly not accepted, also on the half that was not looked at."""
    figures = measure.paraphrases(DATA / "support/paraphrases.jsonl", show=False)
    for name, (share, _) in figures.items():
        if name.startswith("wrong"):
            assert share <= 0.16, name
        else:
            assert share >= 0.60, name


def test_claims_are_checked_fast() -> None:
    """A hundred different claims a second at least, ten times slower than measured."""
    sentence = (
        "Across {n} datasets the proposed scheduler reduces the mean waiting time by {n}.5% compared "
        "with round-robin, but it does not improve throughput under bursty loads of more than {n} jobs."
    )
    claim = "Over {n} datasets the scheduler cuts mean waiting time by {n}.5% against round-robin."
    began = time.process_time()
    for n in range(2, 202):
        check(claim.format(n=n), [sentence.format(n=n)])
    assert 200 / (time.process_time() - began) > 100
