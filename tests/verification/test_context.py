"""What a claim may take from its context, and what may not be put around a finding."""

from __future__ import annotations

import pytest

from paperagent.evals.mutations import framed
from paperagent.verification import check
from paperagent.verification.context import is_english, statement

TITLE = "Tindersift: Filtering Retrieved Passages Before They Reach the Model"
OFFER = "We present Tindersift, a filter of 22 million parameters that reads the question with each passage."
RESULT = "On four domains, our method removes 61% of the tokens while accuracy falls by only 0.4 points."
ABSTRACT = f"{OFFER} {RESULT} We compare it with Orlanthe."
ACCEPTED = ("quoted", "supported")


def in_context(claim: str, *evidence: str) -> str:
    return check(claim, evidence or [RESULT], titles=[TITLE], abstracts=[ABSTRACT]).support


@pytest.mark.parametrize(
    "claim",
    [
        "On four domains, Tindersift removes 61% of the tokens while accuracy falls by only 0.4 points.",
        "Yes: on four domains, the method removes 61% of the tokens while accuracy falls by 0.4 points.",
        "The authors report that on four domains, their method removes 61% of the tokens.",
        f"On four domains, “{TITLE}” removes 61% of the tokens while accuracy falls by only 0.4 points.",
    ],
)
def test_what_refers_to_the_paper_or_answers_the_question_is_no_claim(claim: str) -> None:
    """The paper's name for its "we", yes or no, a report by the authors and a quoted title are set aside."""
    assert in_context(claim) in ACCEPTED


def test_a_name_that_stands_nowhere_refutes() -> None:
    """A method that neither the sentence nor its abstract names makes the claim unsupported."""
    claim = "On four domains, Zanzibrix removes 61% of the tokens while accuracy falls by only 0.4 points."
    assert in_context(claim) == "unsupported"


def test_a_number_that_stands_nowhere_refutes() -> None:
    """A number of the paper in another place is unverified; a small count of the model's own is let pass."""
    assert in_context("The method, with 22 million parameters, removes 61% of tokens.") != "unsupported"
    assert in_context("The method removes 63% of the tokens on four domains.") == "unsupported"
    assert (
        in_context("Two figures stand out: 61% fewer tokens and 0.4 points less accuracy.") != "unsupported"
    )


@pytest.mark.parametrize(
    "claim",
    [
        "Tindersift entfernt auf den vier Domänen 61 % der Tokens und ist schneller.",
        "该方法删除了 61% 的词元。",
        "La méthode retire 61 % des jetons.",
    ],
)
def test_another_language_is_unverified(claim: str) -> None:
    """A claim in another language than its sentence is neither supported nor withheld."""
    assert not is_english(claim)
    assert in_context(claim) == "unverified"


@pytest.mark.parametrize(
    "claim",
    [
        "It is a myth that the method removes 61% of the tokens on four domains.",
        "Critics doubt that the method removes 61% of the tokens on four domains.",
        "On four domains, our method removes 61% of the tokens, which was later retracted.",
        "On four domains, our method removes 61% of the tokens in texts for children.",
        "Because accuracy falls by 0.4 points, our method removes 61% of the tokens on four domains.",
    ],
)
def test_a_frame_around_a_finding_is_not_supported(claim: str) -> None:
    """A denial, a retraction, an added population or a made-up cause keeps a claim from being supported."""
    assert in_context(claim) not in ACCEPTED


def test_an_aim_is_no_finding() -> None:
    """What a sentence only asks is not supported by it, but that it is asked is."""
    asked = "We investigate whether larger encoders transfer to unseen dialects."
    assert check("Larger encoders transfer to unseen dialects.", [asked]).support not in ACCEPTED
    assert check(
        "Larger encoders transfer to unseen dialects.", ["Do larger encoders transfer?"]
    ).support == ("unsupported")


def test_frames_of_the_evaluation_are_not_supported() -> None:
    """Of every kind of frame around two sentences none is called supported."""
    for kind, cases in framed([OFFER, RESULT]):
        passed = [claim for claim, cited in cases if check(claim, cited).support in ACCEPTED]
        assert passed == [], kind


@pytest.mark.parametrize("claim", [TITLE, "Yes.", "...", "None"])
def test_a_claim_that_says_nothing_is_unsupported(claim: str) -> None:
    """A title or a bare yes is no claim."""
    assert in_context(claim) == "unsupported"


def test_a_number_beyond_every_range_equals_nothing() -> None:
    """What overflows is no proof of anything."""
    assert check("The model has 1e999 layers.", ["The model has 61 layers."]).support == "unsupported"


def test_a_statement_is_what_is_left_of_a_claim() -> None:
    """Polarity, attribution and titles go; the rest stays."""
    assert statement("No, the authors show that it shrinks.", ()) == "it shrinks."
    assert statement("According to the paper, it shrinks.", ()) == "it shrinks."
    assert statement(f"“{TITLE}” shrinks it.", (TITLE,)) == "this paper shrinks it."
