"""A frame around a finding keeps it from being supported, for forms that no check lists."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from paperagent.feeds.reader import open_feed
from paperagent.text.sentences import split_sentences
from paperagent.types import Paper
from paperagent.verification import check

sys.path.append(str(Path(__file__).parent))
import frame_grammar

LIMIT = 0.03
"""Maximum share of framed findings that may be supported."""
SUPPORTED = ("quoted", "supported")
FINDING = "On three benchmarks, TerraNet improves accuracy by 4.2% over BirchFormer."
EVIDENCE = ["On three benchmarks, TerraNet improves accuracy by 4.2% over BirchFormer with less memory."]


def _findings() -> list[tuple[str, str, str]]:
    """Return (sentence, title, abstract) for sentences of the invented papers."""
    with open_feed("sample") as feed:
        papers = [paper for paper in feed.records if isinstance(paper, Paper)]
    return [
        (s.text, p.title, p.abstract)
        for p in papers
        for s in split_sentences(p.abstract)
        if 8 <= len(s.text.split()) <= 40
    ]


@pytest.mark.parametrize("half", ["seen", "held"])
def test_framed_findings_are_not_supported(half: frame_grammar.Half) -> None:
    """Of several hundred frames around sentences of invented papers, almost none is supported."""
    findings = _findings()
    passed = []
    cases = list(frame_grammar.framed([text for text, _, _ in findings], half, rounds=3))
    assert len(cases) > 200
    for index, framed in cases:
        sentence, title, abstract = findings[index]
        if check(framed.claim, [sentence], titles=[title], abstracts=[abstract]).support in SUPPORTED:
            passed.append(framed)
    assert len(passed) <= LIMIT * len(cases), passed


def test_the_halves_share_no_template_and_no_word() -> None:
    """What was read during development occurs in no form that was held back."""
    seen, held = (frame_grammar.templates(half) for half in ("seen", "held"))
    for kind in seen:
        assert seen[kind]
        assert held[kind]
        assert not set(seen[kind]) & set(held[kind])


@pytest.mark.parametrize(
    "claim",
    [
        FINDING,
        f"The authors show that {FINDING}",
        f"According to the abstract, {FINDING}",
        f"In this work, {FINDING}",
        f"However, {FINDING}",
        "TerraNet improves accuracy by 4.2% over BirchFormer, the authors report.",
        "The experiments demonstrate that TerraNet improves accuracy by 4.2% over BirchFormer.",
        "It improves accuracy by 4.2% over BirchFormer on three benchmarks.",
    ],
)
def test_a_neutral_report_is_no_frame(claim: str) -> None:
    """A claim may say that the paper reports its finding, and connect it with other claims."""
    assert check(claim, EVIDENCE).checks["framing"], check(claim, EVIDENCE).reasons


@pytest.mark.parametrize(
    "claim",
    [
        f"As if {FINDING}",
        f"Had the scores been checked, {FINDING}",
        f"If the scores are right, {FINDING}",
        f"{FINDING.rstrip('.')}?",
        f"{FINDING.rstrip('.')}!",
        f"It would be that {FINDING}",
    ],
)
def test_a_frame_of_function_words_is_recognized(claim: str) -> None:
    """Conditions, questions and pretenses need no word of their own."""
    assert check(claim, EVIDENCE).support not in SUPPORTED


def test_an_opening_answer_needs_a_question() -> None:
    """An opening "not always" answers a question; without one, it denies what follows."""
    claim = f"Not always: {FINDING}"
    assert not check(claim, EVIDENCE).checks["framing"]
    assert check(claim, EVIDENCE, question="Does BirchFormer beat TerraNet?").checks["framing"]
