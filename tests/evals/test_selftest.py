"""The harness sees faults that were put in on purpose, and leaves right answers alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from paperagent.errors import GateError, InputError
from paperagent.evals import mutations, selftest
from paperagent.evals.report import tables
from paperagent.evals.report.tables import markdown
from paperagent.evals.scorers import METRICS
from paperagent.feeds.reader import open_feed, sample_path
from paperagent.types import Paper
from paths import ROOT

FLOORS = {
    "wrong pointer": 1.0, "other paper": 1.0, "number changed": 1.0, "numbers swapped": 1.0,
    "negation dropped": 0.97, "negation added": 0.97, "antonym": 1.0, "hedge removed": 0.96,
    "words swapped": 0.96, "sides swapped": 0.95, "claim added": 1.0, "quote cut": 1.0,
    "quote shortened": 0.98, "invented citation": 1.0, "citation left out": 1.0,
    "answer to unanswerable": 1.0, "answerable refused": 1.0, "empty answer": 1.0,
}  # fmt: skip
"""Kind → least share that must be flagged on the sample feed."""
REWORDED_CEILING = 0.06


@pytest.fixture(scope="module")
def papers() -> list[Paper]:
    with open_feed(sample_path()) as feed:
        return [r for r in feed.records if isinstance(r, Paper)]


@pytest.fixture(scope="module")
def figures(papers: list[Paper]) -> dict[str, selftest.FaultResult]:
    return {c.kind: c for c in selftest.run_selftest(papers)}


def test_every_kind_of_fault_is_flagged(figures: dict[str, selftest.FaultResult]) -> None:
    """Of each kind at least its floor is flagged, of at least 20 answers."""
    assert {k for k, c in figures.items() if c.faulty} == FLOORS.keys()
    short = {
        k: (figures[k].share, figures[k].n) for k, floor in FLOORS.items() if (figures[k].share or 0) < floor
    }
    assert short == {}
    assert min(figures[k].n for k in FLOORS) >= 20


def test_the_readme_holds_the_table(figures: dict[str, selftest.FaultResult]) -> None:
    """The table that is printed is the one of today."""
    readme = ROOT / "eval" / "README.md"
    rows = [
        line
        for line in markdown([tables.selftest_table(list(figures.values()))]).splitlines()
        if line[:1] == "|"
    ]
    assert len(rows) == 2 + len(figures)
    assert "\n".join(rows) in readme.read_text("utf-8")


def test_right_answers_are_not_flagged(figures: dict[str, selftest.FaultResult]) -> None:
    """No untouched answer is flagged, and few that say the same in other words."""
    assert figures["untouched"].flagged == 0
    assert figures["untouched"].n == selftest.MAX_ANSWERS
    assert figures["honestly reworded"].n > 100
    assert (figures["honestly reworded"].share or 0) <= REWORDED_CEILING


def test_each_watched_metric_flags_something(figures: dict[str, selftest.FaultResult]) -> None:
    """None of the watched metrics is idle: each alone flags some kind that it is there for."""
    seen = {name for c in figures.values() for name in c.by}
    assert seen == set(selftest.METRICS_WATCHED)
    assert figures["quote cut"].by["quote_validity"] == figures["quote cut"].n
    assert figures["answer to unanswerable"].by == {"answerable_accuracy": selftest.MAX_ANSWERS}


def test_a_scorer_that_flags_nothing_fails_the_selftest(
    papers: list[Paper], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every scorer is content, the selftest fails and names what went unseen."""
    for name in selftest.METRICS_WATCHED:
        blind = replace(METRICS[name], score=lambda *_: 1.0)
        monkeypatch.setitem(METRICS, name, blind)  # type: ignore[arg-type]  # a dict behind a Mapping
    found = selftest.run_selftest(papers, max_answers=5)
    with pytest.raises(GateError, match=r"wrong pointer 0 of 5, other paper 0 of 5.*--missed"):
        selftest.require(found)
    assert all(len(c.wrong) == c.n for c in found if c.faulty)


def test_a_scorer_that_flags_everything_fails_the_selftest(
    papers: list[Paper], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seeing every fault is worth nothing where right answers are flagged too."""
    suspicious = replace(METRICS["citation_recall"], score=lambda *_: 0.0)
    monkeypatch.setitem(METRICS, "citation_recall", suspicious)  # type: ignore[arg-type]  # likewise
    with pytest.raises(GateError, match=r"untouched 5 of 5"):
        selftest.require(selftest.run_selftest(papers, max_answers=5))


def test_the_same_seed_gives_the_same_figures(papers: list[Paper]) -> None:
    """The table of the README can be made again."""
    first, second = (selftest.run_selftest(papers, max_answers=20, seed=3) for _ in range(2))
    assert [c.to_dict() for c in first] == [c.to_dict() for c in second]


def test_too_little_text_is_an_error(papers: list[Paper]) -> None:
    """Papers without sentences make no answers; a single paper still makes most kinds."""
    with pytest.raises(InputError, match="no abstract has two sentences"):
        selftest.run_selftest([replace(papers[0], abstract="Short.")])
    alone = {c.kind: c for c in selftest.run_selftest(papers[:1], max_answers=5)}
    assert alone["other paper"].share is None
    assert alone["wrong pointer"].share == 1.0


def test_faults_change_only_their_target(papers: list[Paper]) -> None:
    """A right answer breaks no rule; each fault leaves question and second claim as they were."""
    answers = selftest.right_answers(papers[:3])
    chance = random.Random(1)  # noqa: S311 - a seeded test
    for kind, fault in selftest.FAULTS.items():
        for example in answers[:6]:
            changed = fault(example, chance)
            if changed is None:
                continue
            assert changed != example, kind
            assert changed.answer.question == example.answer.question
            if changed.answer.claims:
                assert changed.answer.claims[1] == example.answer.claims[1], kind


@pytest.mark.parametrize(
    ("mutate", "sentence", "changed"),
    [
        (mutations.swap_numbers, "It rose from 3.1 to 7.4 points.", "It rose from 7.4 to 3.1 points."),
        (mutations.remove_negation, "It does not help at all.", "It does help at all."),
        (mutations.put_antonym, "It is faster than before that.", None),
        (mutations.drop_hedge, "It may help some of them.", None),
        (mutations.reword, "We keep two of them.", None),
    ],
)
def test_a_mutation_changes_one_thing(mutate: mutations.Mutation, sentence: str, changed: str | None) -> None:
    """A sentence comes back changed; where only one change is possible, it is this one."""
    found = mutate(sentence, random.Random(2))  # noqa: S311 - likewise
    assert found is not None
    assert found != sentence
    assert changed in (None, found)


@pytest.mark.parametrize("mutate", [*mutations.MUTATIONS.values(), mutations.reword])
def test_an_inapplicable_mutation_gives_none(mutate: mutations.Mutation) -> None:
    """What cannot be changed gives None instead of itself."""
    assert mutate("Hm.", random.Random(1)) in (None, "It is not true that hm.")  # noqa: S311 - likewise
