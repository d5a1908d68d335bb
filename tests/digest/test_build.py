"""Building: stored once, in one transaction with its plan; one failed issue does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from issues import issue as sample_issue
from mail_helpers import WEEK, DeliveryHarness

from paperagent.digest.build import BuildReport, IssueBuilder
from paperagent.digest.issue import Issue, Item, QuestionAnswer, Reason, Selection, Theme
from paperagent.digest.preferences import Preferences
from paperagent.digest.write.writer import check_issue
from paperagent.errors import PaperAgentError
from paperagent.types import Usage

A, B, C = "a@test.example", "b@test.example", "c@test.example"


class FakeSelector:
    """Selects the papers of the sample issue for everybody."""

    def __init__(self) -> None:
        self.selected: list[Preferences] = []
        self.papers = sample_issue().papers

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        self.prepared = list(preferences)

    def eligible(self, preferences: Preferences) -> tuple[str, ...]:
        return preferences.categories

    def select(self, preferences: Preferences, answers: Sequence[QuestionAnswer]) -> Selection:
        assert [a.question for a in answers] == list(preferences.questions)
        self.selected.append(preferences)
        items = tuple(
            Item(p, Reason("central", ""), score=1.0, duplicates=(f"twin of {p.paper_id}",))
            for p in sample_issue().papers
        )
        return Selection(WEEK, preferences, (Theme("theme", items, "k"),), screened=40)


class FakeWriter:
    """Writes the sample issue for everybody; the calls in ``failing``, counted from 1, fail."""

    def __init__(
        self, failing: Iterable[int] = (), error: Exception | None = None, *, uses_llm: bool = False
    ) -> None:
        self.failing = set(failing)
        self.error = error or PaperAgentError("issue withheld: a claim that did not pass its check is shown")
        self.uses_llm = uses_llm
        self.translator = None
        self.drafted = self.written = 0
        self.usage = Usage(3, cost_usd=0.5)

    def draft(self, selections: Iterable[Selection]) -> None:
        self.drafted = len(list(selections))

    def write(self, selection: Selection) -> Issue:
        self.written += 1
        if self.written in self.failing:
            raise self.error
        return sample_issue()


class FakeQuestions:
    """Answers no question."""

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        self.prepared = list(preferences)

    def answers(self, questions: Iterable[str], eligible: object, *, quoted: bool) -> list[QuestionAnswer]:
        del eligible, quoted
        return [QuestionAnswer(question) for question in questions]


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with three confirmed subscribers."""
    found = DeliveryHarness(tmp_path / "digest.db")
    for email in (A, B, C):
        found.subscribers.add(email, confirmed=True)
    return found


def build(
    harness: DeliveryHarness, writer: FakeWriter | None = None, selector: FakeSelector | None = None
) -> BuildReport:
    builder = IssueBuilder(
        WEEK,
        selector or FakeSelector(),  # type: ignore[arg-type]
        writer or FakeWriter(),  # type: ignore[arg-type]
        FakeQuestions(),  # type: ignore[arg-type]
    )
    recipients = harness.subscribers.all(state="confirmed")
    return builder.build(
        recipients, harness.subscribers, harness.ledger, clock=harness.clock, general=Preferences()
    )


def test_each_subscriber_and_the_general_issue(harness: DeliveryHarness) -> None:
    """Four issues, three messages; a second build selects and writes nothing."""
    report = build(harness)
    assert (report.built, report.already, report.papers) == (4, 0, 8)
    assert harness.states() == {A: "planned", B: "planned", C: "planned"}
    again = FakeSelector()
    assert (build(harness, selector=again).built, again.selected) == (0, [])


def test_seen_papers_include_near_duplicates(harness: DeliveryHarness) -> None:
    """A paper that represents another one counts for both, in every later issue."""
    build(harness)
    subscriber = harness.subscribers.find(A)
    ids = {p.paper_id for p in sample_issue().papers}
    seen = harness.subscribers.preferences_with_feedback(subscriber).seen
    assert seen >= ids | {f"twin of {i}" for i in ids}
    rebuilt = harness.subscribers.preferences_with_feedback(subscriber, excluding=f"{WEEK.name}/1")
    assert rebuilt.seen == frozenset()


@pytest.mark.parametrize("error", [None, ZeroDivisionError("a fault\nof ours")])
def test_one_issue_that_fails_stops_no_other(harness: DeliveryHarness, error: Exception | None) -> None:
    """bad-347: an issue whose citations fail their check is not stored but reported; the others are built."""
    report = build(harness, FakeWriter({3}, error))
    assert report.built == 3
    ((who, why),) = report.failed
    assert who == B
    assert why.isprintable()
    assert harness.states() == {A: "planned", C: "planned"}
    assert build(harness).built == 1


def test_a_citation_that_does_not_hold_is_found() -> None:
    """bad-347: a quote that is not in the abstract withholds the issue."""
    made = sample_issue()
    papers = {p.paper_id: p for p in made.papers}
    check_issue(made, papers)
    wrong = replace(made.citations[0], quote="what nobody wrote")
    with pytest.raises(PaperAgentError, match="withheld"):
        check_issue(replace(made, citations=(wrong, *made.citations[1:])), papers)


def test_a_model_is_asked_before_the_first_issue_is_written(harness: DeliveryHarness) -> None:
    """Its calls are shared by all subscribers, and the cost is reported; no model, no drafts."""
    writer = FakeWriter(uses_llm=True)
    report = build(harness, writer)
    assert (writer.drafted, report.usage.cost_usd) == (4, 0.5)
    quotes = FakeWriter()
    build(DeliveryHarness(harness.path.with_name("other.db")), quotes)
    assert quotes.drafted == 0


def test_storing_is_all_or_nothing(harness: DeliveryHarness) -> None:
    """A draft that cannot be planned takes the others of its transaction with it."""
    good = harness.draft(A)
    clash = replace(harness.draft(B), message_id=good.message_id)
    with pytest.raises(PaperAgentError):
        harness.ledger.store_issues([good, clash], harness.clock())
    assert harness.states() == {}
    assert harness.ledger.period_summaries() == []


def test_a_stored_issue_does_not_change(harness: DeliveryHarness) -> None:
    """Storing again for the same period and subscriber keeps the first, its message and its state."""
    first = harness.draft(A)
    assert harness.ledger.store_issues([first], harness.clock()) == 1
    other = replace(first, html="<p>other</p>", message_id="<other@test.example>")
    assert harness.ledger.store_issues([other], harness.clock()) == 0
    frozen = harness.ledger.issue(first.issue_id)
    assert (frozen.html, frozen.papers) == (first.html, first.papers)
    assert [d.message_id for d in harness.ledger.deliveries()] == [first.message_id]
