"""Every scorer on answers whose score can be worked out by hand."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from example_answers import (
    ABSTAINED,
    CHANGED,
    EMPTY,
    FALLS,
    KEEPS,
    PAPERS,
    REMOVES,
    RIGHT,
    UNCITED,
    answer,
    case,
    claim,
    hits,
)

from paperagent.answering.citations import join_claims
from paperagent.evals import scorers
from paperagent.evals.results import ModelCall, Row
from paperagent.evals.scorers import METRICS, content
from paperagent.evals.scorers.abstention import auroc, ece
from paperagent.types import Answer, Usage

GOLD = case(gold_titles=["tindersift – a FILTER", "Duskerna: A Cache"])
NOT_THERE = case(answerable=False, kind="unanswerable")


def score(name: str, given: Answer, of: object = None) -> float | None:
    found = METRICS[name].score
    assert found is not None
    return found(of or case(), given, PAPERS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "order", "value"),
    [
        ("ndcg@10", ("p1", "p2", "p3"), 1.0),
        ("ndcg@10", ("p3", "p1"), (1 / math.log2(3)) / (1 + 1 / math.log2(3))),
        ("recall@1", ("p1", "p2"), 0.5),
        ("recall@3", ("p3", "p2", "p1"), 1.0),
        ("recall@1", ("p3", "p2", "p1"), 0.0),
        ("all_gold@5", ("p3", "p2", "p1"), 1.0),
        ("all_gold@5", ("p3", "p2"), 0.0),
        ("mrr", ("p3", "p2"), 0.5),
        ("mrr", ("p3",), 0.0),
    ],
)
def test_retrieval_by_hand(name: str, order: tuple[str, ...], value: float) -> None:
    """Places of the gold papers, found by their titles' letters."""
    assert score(name, answer(RIGHT, hits=hits(*order)), GOLD) == pytest.approx(value)


def test_ndcg_uses_grades() -> None:
    """NDCG takes the grade of a paper as its gain; the best order is by grade."""
    graded = case(gold_ids=["p1", "p2"], grades=[1, 3])
    worse, best = (
        score("ndcg@10", answer(RIGHT, hits=hits(*o)), graded) for o in (("p1", "p2"), ("p2", "p1"))
    )
    assert best == 1.0
    assert worse == pytest.approx((1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)))


def test_two_papers_of_one_title_are_one_gold_paper() -> None:
    """The first of them counts, and recall never passes 1."""
    again = replace(PAPERS["p1"], paper_id="p9")
    found = hits("p3", "p1")
    both = (*found, replace(found[1], paper=again, rank=3))
    assert score("recall@3", answer(RIGHT, hits=both), case(gold_titles=[PAPERS["p1"].title])) == 1.0
    assert score("mrr", answer(RIGHT, hits=both), case(gold_titles=[PAPERS["p1"].title])) == 0.5


@pytest.mark.parametrize(
    ("claims", "precision", "recall"),
    [
        ([RIGHT], 1.0, 1.0),
        ([CHANGED], 0.0, 0.0),
        ([RIGHT, CHANGED], 0.5, 0.5),
        ([UNCITED], None, 0.0),
        ([RIGHT, UNCITED], 1.0, 0.5),
        ([claim(RIGHT.text, 1, 3)], 0.5, 1.0),
        ([claim(RIGHT.text, 1, 9)], 0.5, 1.0),
        ([claim(RIGHT.text, 1, dangling=["9.9"])], 0.5, 1.0),
        ([claim(f"{REMOVES.quote} {FALLS.quote}", 1, 2)], 1.0, 1.0),
        ([claim(RIGHT.text, 3)], 0.0, 0.0),
        ([claim(RIGHT.text, 9)], 0.0, 0.0),
    ],
    ids=[
        "right", "changed", "half", "uncited", "no-inheritance", "irrelevant", "out-of-range", "dangling",
        "needs-both", "other-paper", "nowhere",
    ],
)  # fmt: skip
def test_citation_precision_and_recall_by_hand(
    claims: list[object], precision: float | None, recall: float
) -> None:
    """ALCE's definitions: irrelevant and dangling pointers cost precision, uncited claims recall."""
    given = answer(*claims)  # type: ignore[arg-type]
    assert score("citation_precision", given) == precision
    assert score("citation_recall", given) == recall


def test_pointer_and_quote_validity() -> None:
    """A pointer needs a citation of a retrieved paper; a quote must be what stands there."""
    assert score("pointer_validity", answer(RIGHT)) == 1.0
    assert score("pointer_validity", answer(RIGHT, claim("x", 9))) == 0.5
    assert score("pointer_validity", answer(RIGHT, hits=hits("p2"))) == 0.0
    shifted = replace(REMOVES, start=1, end=len(REMOVES.quote) + 1)
    assert score("quote_validity", answer(RIGHT, citations=(shifted, KEEPS))) == 0.5
    assert score("quote_validity", answer(RIGHT, citations=(replace(REMOVES, paper_id="gone"),))) == 0.0


def test_evidence_is_found_by_position() -> None:
    """Overlap counts, in a gold paper, by a citation that a claim uses."""
    wanted = case(gold_ids=["p1"], evidence=["removes 61% of", "falls  by 0.4"])
    assert score("evidence_recall", answer(RIGHT), wanted) == 0.5
    assert score("evidence_any", answer(RIGHT), wanted) == 1.0
    assert score("evidence_any", answer(claim(KEEPS.quote, 3)), wanted) == 0.0
    assert score("evidence_any", replace(ABSTAINED, citations=(REMOVES,)), wanted) == 0.0
    assert score("gold_cited", answer(RIGHT), GOLD) == 0.5


@pytest.mark.parametrize(
    ("text", "wanted", "held"),
    [
        ("It removes 61% of it.", "61%", True),
        ("It removes 61% of it.", "16|61", True),
        ("In 2061 things changed.", "61", False),
        ("It is 61.5 long.", "61", False),
        ("It is 1,610 long.", "610", False),
        ("It is 61.", "61", True),
        ("They were terminated.", "terminat", True),
        ("An end–of–sequence token", "end-of-sequence", True),
        ("STRASSE", "straße", True),
    ],
)
def test_contains(text: str, wanted: str, *, held: bool) -> None:
    """Alternatives, any case, one spelling; a number is not part of a longer one."""
    assert content.contains(content.normalized(text), wanted) is held


def test_must_include_and_must_not() -> None:
    """Markers are no part of the text; an abstention says nothing."""
    wanted = case(must_include=["61%", "tokens", "accuracy"], must_not=["16%"])
    assert score("coverage", answer(RIGHT), wanted) == pytest.approx(2 / 3)
    assert score("must_include", answer(RIGHT), wanted) == 0.0
    assert score("must_not", answer(RIGHT), wanted) == 1.0
    assert score("must_not", answer(CHANGED), wanted) == 0.0
    assert score("must_include", answer(RIGHT), case(must_include=["1"])) == 0.0

    told = replace(ABSTAINED, answer="The abstracts do not say. 61% of tokens, accuracy")
    assert score("coverage", told, wanted) == 0.0


def test_the_sentence_under_an_unverified_claim_is_not_the_answers_own_word() -> None:
    """What the reader must compare a claim with is neither counted as said nor held against it."""
    vague = claim("The filter shortens prompts.", 1, support="unverified")
    given = replace(answer(vague), answer=join_claims([vague], [REMOVES]))
    assert content.visible_text(given) == "the filter shortens prompts."
    assert score("must_include", given, case(must_include=["61%"])) == 0.0
    assert score("must_not", given, case(must_not=["61%"])) == 1.0


def test_number_support() -> None:
    """Each number of a claim needs one like it in the claim's own quotes."""
    assert score("number_support", answer(claim("It removes 61% or 16%.", 1))) == 0.5
    assert score("number_support", answer(claim("Accuracy falls by 0.4 points.", 1))) == 0.0
    assert score("number_support", answer(UNCITED)) == 0.0
    assert score("number_support", answer(claim("It runs.", 1))) is None


@pytest.mark.parametrize(
    ("given", "of", "accuracy", "abstention", "refusal", "correct"),
    [
        (answer(RIGHT), case(), 1.0, None, 0.0, 1.0),
        (ABSTAINED, case(), 0.0, None, 1.0, 0.0),
        (EMPTY, case(), 0.0, None, 0.0, 0.0),
        (answer(RIGHT), NOT_THERE, 0.0, 0.0, None, 0.0),
        (ABSTAINED, NOT_THERE, 1.0, 1.0, None, 1.0),
        (EMPTY, NOT_THERE, 0.0, 0.0, None, 0.0),
        (replace(ABSTAINED, reason=None), NOT_THERE, 0.0, 0.0, None, 0.0),
        (replace(ABSTAINED, status="refused", reason="over_budget"), case(), 0.0, None, 1.0, 0.0),
    ],
)
def test_answering_and_abstaining(
    *,
    given: Answer,
    of: object,
    accuracy: float,
    abstention: float | None,
    refusal: float | None,
    correct: float,
) -> None:
    """The two errors are apart; an empty answer is neither an answer nor an abstention."""
    assert score("answerable_accuracy", given, of) == accuracy
    assert score("correct_abstention", given, of) == abstention
    assert score("over_refusal", given, of) == refusal
    assert score("correct", given, of) == correct


def test_an_empty_answer_is_a_failure_and_has_no_precision() -> None:
    """0/0 is None; what must be said is not said."""
    for name in (
        "citation_precision",
        "citation_recall",
        "faithfulness",
        "number_support",
        "pointer_validity",
    ):
        assert score(name, EMPTY) is None
    assert score("coverage", EMPTY, case(must_include=["61%"])) == 0.0
    assert content.classify_failure(case(), EMPTY, PAPERS) == "should_have_answered"


def test_correct_needs_the_words_and_the_evidence() -> None:
    """An answer with the right number from a paper that is not gold is not right."""
    wanted = case(gold_ids=["p1"], evidence=["removes 61%"], must_include=["61%"])
    assert score("correct", answer(RIGHT), wanted) == 1.0
    assert score("correct", answer(claim("61% of it.", 3)), wanted) == 0.0
    assert score("correct", answer(RIGHT), case(gold_ids=["p2"])) == 0.0
    assert score("correct", answer(RIGHT), case(must_not=["61%"])) == 0.0


def test_faithfulness_is_the_answers_own_word() -> None:
    """It counts what was shown as supported, whether or not the scorers agree."""
    assert score("faithfulness", answer(CHANGED, UNCITED)) == 0.5


def test_judged_support_is_the_share_that_a_judge_finds_likely() -> None:
    """Claims whose probability is above one half; one that was not judged is left out."""
    judged = answer(*(claim("x", 1, judge=p) for p in (0.97, 0.51, 0.5, 0.03)), RIGHT)
    assert score("judged_support", judged) == 0.5


def test_the_labels_of_earlier_runs_still_count() -> None:
    """Labels stand for probabilities; other words leave the claim unscored."""
    labels = ("supported", "partly", "not_supported", "unjudged", "sure!")
    assert score(
        "judged_support", answer(*(claim("x", 1, judge=label) for label in labels))
    ) == pytest.approx(1 / 3)
    assert score("judged_support", answer(claim("x", 1, judge="unjudged"))) is None
    assert score("judged_support", answer(RIGHT)) is None


def test_effort_of_an_answer() -> None:
    """Counts come from the answer; a price that is not known is None, never 0."""
    notes = ("withheld: “x” (fails on numbers)", "withheld: “…” (points at no sentence; 3 claims)", "other")
    given = answer(RIGHT, usage=Usage(2, 100, 0, 7, None), timings_ms={"total": 12.5}, notes=notes)
    names = (
        "calls",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "latency_ms",
        "sentences",
        "claims_withheld",
    )
    assert [score(n, given) for n in names] == [2, 100, 7, None, 12.5, 1, 4]
    assert score("sentences", ABSTAINED) is None


def test_brier_score() -> None:
    """Brier by hand; without a confidence there is none."""
    assert score("brier", answer(RIGHT, confidence=0.8)) == pytest.approx(0.04)
    assert score("brier", answer(RIGHT, confidence=0.8), NOT_THERE) == pytest.approx(0.64)
    assert score("brier", answer(RIGHT)) is None


def rows(*pairs: tuple[float | None, bool]) -> list[Row]:
    """Return rows of confidence and truth."""
    return [Row(id=str(i), confidence=c, answerable=a) for i, (c, a) in enumerate(pairs)]


def test_auroc_and_ece_by_hand() -> None:
    """Ties count half; errors and missing confidences count nothing; one side alone is None."""
    given = rows((0.9, True), (0.4, True), (0.4, False), (0.1, False), (None, True))
    assert auroc(given) == pytest.approx(3.5 / 4)
    assert auroc([*given, Row(id="e", state="error", confidence=0.0)]) == pytest.approx(3.5 / 4)
    assert auroc(rows((0.9, True))) is None
    assert ece(given) == pytest.approx((0.1 + abs(0.8 - 1) + 0.1) / 4)
    assert ece(rows((1.0, True), (0.0, False))) == 0.0
    assert ece([]) is None


HEARD = ModelCall(
    schema_name="answer",
    text='{"verdict": "answer", "claims": [{"text": "The filter removes 61%.", "evidence": ["1.1"]}]}',
    shown={"1.1": REMOVES.quote},
)
LYING = HEARD.model_copy(update={"text": HEARD.text.replace("61%", "61% of 99")})
KEPT_BACK = replace(ABSTAINED, reason="withheld_unsupported", notes=("withheld: “…” (fails on wording)",))
WANTED = case(gold_ids=["p1"], evidence=["removes 61%"], must_include=["61%"])


@pytest.mark.parametrize(
    ("given", "of", "raw", "failure"),
    [
        (answer(RIGHT), WANTED, None, None),
        (answer(RIGHT), NOT_THERE, None, "should_have_abstained"),
        (answer(RIGHT, hits=hits("p2")), WANTED, None, None),
        (replace(ABSTAINED, hits=hits("p2")), WANTED, None, "retrieval_miss"),
        (ABSTAINED, WANTED, None, "should_have_answered"),
        (answer(claim(FALLS.quote, 2)), WANTED, None, "evidence_ignored"),
        (KEPT_BACK, WANTED, None, "check_too_strict"),
        (KEPT_BACK, WANTED, (HEARD,), "check_too_strict"),
        (KEPT_BACK, WANTED, (LYING,), "should_have_answered"),
        (KEPT_BACK, WANTED, (HEARD.model_copy(update={"shown": {}}),), "should_have_answered"),
        (KEPT_BACK, WANTED, (HEARD.model_copy(update={"text": "no JSON"}),), "should_have_answered"),
    ],
)
def test_failures_are_classified(
    *, given: Answer, of: object, raw: tuple[ModelCall, ...] | None, failure: str | None
) -> None:
    """What went wrong first is named; a check is too strict only where honest words were kept back."""
    assert content.classify_failure(of, given, PAPERS, raw) == failure  # type: ignore[arg-type]


def test_every_scorer_is_documented() -> None:
    for metric in METRICS.values():
        function = metric.score or metric.over
        assert getattr(function, "func", function).__doc__, metric.name  # type: ignore[union-attr]
        assert metric.group in scorers.GROUPS


def test_metrics_need_enough_retrieved_papers() -> None:
    """Recall at 20 says nothing where ten papers were retrieved."""
    names = scorers.score_case(case(), answer(RIGHT), PAPERS, k=5).keys()
    assert {"recall@5", "ndcg@5"} <= names
    assert not {"recall@10", "ndcg@10", "recall@20"} & names
    assert set(scorers.score_case(case(), EMPTY, PAPERS, k=100, groups=scorers.RETRIEVAL_GROUPS)) == {
        name for name, metric in METRICS.items() if metric.group == "retrieval"
    }


def test_scorers_are_fast() -> None:
    """At least 200 answers a second; 20 of three claims each take far less than the second allowed here."""
    claims = [claim(f"The filter removes 61% of the tokens in case {i}.", 1, 2) for i in range(60)]
    given = [answer(*claims[i : i + 3]) for i in range(0, 60, 3)]
    started = time.process_time()
    for one in given:
        scorers.score_case(GOLD, one, PAPERS, k=10)
    assert time.process_time() - started < 1
