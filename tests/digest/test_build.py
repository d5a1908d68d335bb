"""Building: stored once, in one transaction with its plan; one failed issue does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from issues import issue as sample_issue
from postroom import WEEK, Desk

from paperagent.digest.build import BuildReport, IssueBuilder
from paperagent.digest.issue import Issue, Item, Reason, Selection, Theme
from paperagent.digest.preferences import Preferences
from paperagent.digest.write.writer import check_issue
from paperagent.errors import PaperAgentError
from paperagent.types import Usage

A, B, C = "a@test.example", "b@test.example", "c@test.example"


class FakeSelector:
    """Selects the papers of the sample issue for everybody."""

    def __init__(self) -> None:
        self.selected: list[Preferences] = []

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        self.prepared = list(preferences)

    def select(self, preferences: Preferences) -> Selection:
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
        self.drafted = self.written = 0
        self.usage = Usage(3, cost_usd=0.5)

    def prepare(self, preferences: Iterable[Preferences]) -> None:
        self.prepared = list(preferences)

    def draft(self, selections: Iterable[Selection]) -> None:
        self.drafted = len(list(selections))

    def write(self, selection: Selection) -> Issue:
        self.written += 1
        if self.written in self.failing:
            raise self.error
        return sample_issue()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a digest with three confirmed subscribers."""
    found = Desk(tmp_path / "digest.db")
    for email in (A, B, C):
        found.subscribers.add(email, confirmed=True)
    return found


def build(desk: Desk, writer: FakeWriter | None = None, selector: FakeSelector | None = None) -> BuildReport:
    builder = IssueBuilder(WEEK, selector or FakeSelector(), writer or FakeWriter())  # type: ignore[arg-type]
    recipients = desk.subscribers.all(state="confirmed")
    return builder.build(recipients, desk.subscribers, desk.ledger, clock=desk.clock, general=Preferences())


def test_each_subscriber_and_the_general_issue(desk: Desk) -> None:
    """Four issues, three messages; a second build selects and writes nothing."""
    report = build(desk)
    assert (report.built, report.already, report.papers) == (4, 0, 40)
    assert desk.states() == {A: "planned", B: "planned", C: "planned"}
    again = FakeSelector()
    assert (build(desk, selector=again).built, again.selected) == (0, [])


def test_seen_papers_include_near_duplicates(desk: Desk) -> None:
    """A paper that represents another one counts for both, in every later issue."""
    build(desk)
    subscriber = desk.subscribers.find(A)
    ids = {p.paper_id for p in sample_issue().papers}
    seen = desk.subscribers.preferences_with_feedback(subscriber).seen
    assert seen >= ids | {f"twin of {i}" for i in ids}
    rebuilt = desk.subscribers.preferences_with_feedback(subscriber, excluding=f"{WEEK.name}/1")
    assert rebuilt.seen == frozenset()


@pytest.mark.parametrize("error", [None, ZeroDivisionError("a fault\nof ours")])
def test_one_issue_that_fails_stops_no_other(desk: Desk, error: Exception | None) -> None:
    """bad-347: an issue whose citations fail their check is not stored but reported; the others are built."""
    report = build(desk, FakeWriter({3}, error))
    assert report.built == 3
    ((who, why),) = report.failed
    assert who == B
    assert why.isprintable()
    assert desk.states() == {A: "planned", C: "planned"}
    assert build(desk).built == 1


def test_a_citation_that_does_not_hold_is_found() -> None:
    """bad-347: a quote that is not in the abstract withholds the issue."""
    made = sample_issue()
    papers = {p.paper_id: p for p in made.papers}
    check_issue(made, papers)
    wrong = replace(made.citations[0], quote="what nobody wrote")
    with pytest.raises(PaperAgentError, match="withheld"):
        check_issue(replace(made, citations=(wrong, *made.citations[1:])), papers)


def test_a_model_is_asked_before_the_first_issue_is_written(desk: Desk) -> None:
    """Its calls are shared by all subscribers, and the cost is reported; no model, no drafts."""
    writer = FakeWriter(uses_llm=True)
    report = build(desk, writer)
    assert (writer.drafted, report.usage.cost_usd) == (4, 0.5)
    quotes = FakeWriter()
    build(Desk(desk.path.with_name("other.db")), quotes)
    assert quotes.drafted == 0


def test_storing_is_all_or_nothing(desk: Desk) -> None:
    """A draft that cannot be planned takes the others of its transaction with it."""
    good = desk.draft(A)
    clash = replace(desk.draft(B), message_id=good.message_id)
    with pytest.raises(PaperAgentError):
        desk.ledger.store_issues([good, clash], desk.clock())
    assert desk.states() == {}
    assert desk.ledger.period_summaries() == []


def test_a_stored_issue_does_not_change(desk: Desk) -> None:
    """Storing again for the same period and subscriber keeps the first, its message and its state."""
    first = desk.draft(A)
    assert desk.ledger.store_issues([first], desk.clock()) == 1
    other = replace(first, html="<p>other</p>", message_id="<other@test.example>")
    assert desk.ledger.store_issues([other], desk.clock()) == 0
    frozen = desk.ledger.issue(first.issue_id)
    assert (frozen.html, frozen.papers) == (first.html, first.papers)
    assert [d.message_id for d in desk.ledger.deliveries()] == [first.message_id]
