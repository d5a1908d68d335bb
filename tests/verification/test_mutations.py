"""One change of a sentence's meaning is never shown as supported; each kind by hand-written examples."""

from __future__ import annotations

import json

import pytest

from paperagent.verification import check
from paperagent.verification.verdict import CHECKS

ACCEPTED = ("quoted", "supported")
SENTENCE = (
    "On three benchmarks, TerraNet improves accuracy by 4.2% over BirchFormer while using 30% less memory, "
    "but it does not reduce latency and may require longer training."
)
TRIAL = (
    "Early mobilisation was associated with lower mortality (3.1% vs 7.4%, p<.01) than bed rest in 212 "
    "patients, although some patients reported more pain."
)


@pytest.mark.parametrize("sentence", [SENTENCE, TRIAL])
def test_a_whole_sentence_is_quoted(sentence: str) -> None:
    """A claim that is the sentence itself is quoted, with every check passed."""
    verdict = check(sentence, [sentence])
    assert verdict.support == "quoted"
    assert verdict.reasons == ()
    assert all(v is True for v in verdict.checks.values() if isinstance(v, bool))


@pytest.mark.parametrize(
    "claim",
    [
        "TerraNet improves accuracy by 4.2% over BirchFormer on three benchmarks.",
        "TerraNet beats BirchFormer by 4.2% in accuracy and needs 30% less memory.",
        "While using 30% less memory, TerraNet improves accuracy by 4.2% over BirchFormer on 3 benchmarks.",
        "TerraNet does not reduce latency and may need longer training.",
    ],
)
def test_an_honest_restatement_is_supported(claim: str) -> None:
    """Shortening, reordering, synonyms and other number forms keep a claim from being withheld."""
    verdict = check(claim, [SENTENCE])
    assert verdict.support != "unsupported", verdict
    assert all(verdict.checks[name] for name in CHECKS if name != "wording"), verdict


@pytest.mark.parametrize(
    ("failed", "old", "new"),
    [
        ("numbers", "4.2%", "4.7%"),
        ("numbers", "30%", "40%"),
        ("numbers", "three", "four"),
        ("numbers", "4.2%", "4.2 points"),
        ("numbers", "by 4.2%", "by up to 4.2%"),
        ("negation", "does not reduce", "does reduce"),
        ("negation", "improves", "does not improve"),
        ("direction", "improves", "degrades"),
        ("direction", "less memory", "more memory"),
        ("direction", "longer", "shorter"),
        ("hedges", "may require", "requires"),
        ("hedges", "may require", "must require"),
        ("names", "BirchFormer", "OakFormer"),
    ],
)
def test_one_changed_word_is_found_by_its_check(failed: str, old: str, new: str) -> None:
    """A changed number, negation, direction, hedge or name fails the check of that name."""
    assert old in SENTENCE
    verdict = check(SENTENCE.replace(old, new), [SENTENCE])
    assert verdict.support not in ACCEPTED
    assert verdict.checks[failed] is False, verdict
    assert verdict.reasons


@pytest.mark.parametrize(
    "claim",
    [
        SENTENCE.replace("4.2%", "30%%").replace(" 30% ", " 4.2% ").replace("30%%", "30%"),
        TRIAL.replace("3.1%", "X").replace("7.4%", "3.1%").replace("X", "7.4%"),
        "Early mobilisation was associated with lower mortality (7.4% vs 3.1%) than bed rest.",
    ],
)
def test_exchanged_numbers_are_refuted(claim: str) -> None:
    """Numbers that stand in each other's place fail the check of numbers."""
    verdict = check(claim, [SENTENCE, TRIAL])
    assert verdict.support not in ACCEPTED
    assert verdict.checks["numbers"] is False


@pytest.mark.parametrize(
    "claim",
    [
        "BirchFormer improves accuracy by 4.2% over TerraNet on three benchmarks.",
        SENTENCE.replace("TerraNet", "X").replace("BirchFormer", "TerraNet").replace("X", "BirchFormer"),
        SENTENCE.replace("benchmarks", "X").replace("accuracy", "benchmarks").replace("X", "accuracy"),
    ],
)
def test_exchanged_words_are_refuted(claim: str) -> None:
    """Sides of a comparison, or two words of a sentence, may not change places."""
    assert check(claim, [SENTENCE]).support not in ACCEPTED


@pytest.mark.parametrize(
    "claim",
    [
        "Early mobilisation reduces mortality (3.1% vs 7.4%) compared with bed rest in 212 patients.",
        "All patients reported more pain.",
        "Bed rest was associated with lower mortality than early mobilisation.",
        "Early mobilisation was associated with lower mortality than bed rest in 212 children.",
    ],
)
def test_an_overstated_trial_is_not_supported(claim: str) -> None:
    """Cause for association, all for some, sides exchanged and another population are not supported."""
    assert check(claim, [TRIAL]).support not in ACCEPTED


def test_another_paper_supports_nothing() -> None:
    """A sentence about other things refutes nothing, but one of the same abstract is the wrong one."""
    claim = "Sparse attention halves the cost of decoding long documents."
    assert check(claim, [TRIAL]).support == "unverified"
    verdict = check(claim, [TRIAL], abstracts=[f"{TRIAL} {claim}"])
    assert verdict.support == "unsupported"
    assert verdict.reasons == ("takes its words from a sentence other than the cited one",)


@pytest.mark.parametrize("claim", ["It is difficult to train.", "It is hard to train."])
def test_a_denied_opposite_is_the_same(claim: str) -> None:
    """Two changes of direction cancel: *not easy* is *difficult*, which is no contradiction."""
    assert check(claim, ["It is not easy to train."]).support != "unsupported"


def test_not_always_is_not_never() -> None:
    """A denial of only a part is not a denial of the whole."""
    sentence = "Larger encoders did not always transfer to unseen dialects."
    assert check("Larger encoders never transferred to unseen dialects.", [sentence]).support not in ACCEPTED
    assert (
        check("Larger encoders did not always transfer to dialects never seen.", [sentence]).support
        != "quoted"
    )


@pytest.mark.parametrize(
    ("claim", "evidence"), [("", ["A sentence."]), ("A claim.", []), ("A claim.", [" "])]
)
def test_nothing_cited_supports_nothing(claim: str, evidence: list[str]) -> None:
    """An empty claim, or a claim without evidence, is unsupported and says why."""
    verdict = check(claim, evidence)
    assert verdict.support == "unsupported"
    assert verdict.reasons == ("nothing is cited",)


def test_a_claim_may_rest_on_two_sentences() -> None:
    """Two cited sentences support a claim together, unless it is cut and pasted from them."""
    first = "Tindersift is a filter of 22 million parameters that reads the question with each passage."
    second = "On four domains, Tindersift removes 61% of the tokens in the prompt."
    claim = (
        "Tindersift, a filter of 22 million parameters, removes 61% of the prompt's tokens on four domains."
    )
    assert check(claim, [first, second]).support in ACCEPTED
    pasted = "Tindersift is a filter of 22 million tokens in the prompt."
    assert check(pasted, [first, second]).support not in ACCEPTED


def test_checks_are_json_ready_and_scored() -> None:
    """The checks hold the contract's keys and survive JSON; a refuted claim scores below a quoted one."""
    good, bad = check(SENTENCE, [SENTENCE]), check(SENTENCE.replace("4.2%", "9.9%"), [SENTENCE])
    for verdict in (good, bad):
        assert json.loads(json.dumps(dict(verdict.checks))) == verdict.checks
        assert {
            "numbers",
            "negation",
            "overlap",
            "direction",
            "hedges",
            "names",
            "score",
        } <= verdict.checks.keys()
        assert 0.0 <= verdict.checks["score"] <= 1.0
    assert bad.checks["score"] < good.checks["score"]
    assert bad.reasons[0] == "number 9.9% is not in the cited sentence"
