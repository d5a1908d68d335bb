"""Building: frozen once, in one transaction with its plan; one reader's trouble is not another's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from issues import issue as sample_issue
from postroom import WEEK, Desk

from paperagent.digest.build import BuildReport, IssueBuilder
from paperagent.digest.issue import Issue, Profile, Selection
from paperagent.digest.render.renderer import Rendered
from paperagent.digest.write.writer import check_issue
from paperagent.errors import PaperAgentError
from paperagent.types import Usage

A, B, C = "a@test.example", "b@test.example", "c@test.example"


class Press:
    """Writes the same issue for everybody; the writing of some, counted from 1, fails."""

    def __init__(self, failing: Iterable[int] = (), error: Exception | None = None) -> None:
        self.failing = set(failing)
        self.error = error or PaperAgentError("issue withheld: a claim that did not pass its check is shown")
        self.selected: list[Profile] = []
        self.drafted = self.written = 0
        self.usage = Usage(3, cost_usd=0.5)
        self.issue = sample_issue()

    def prepare(self, profiles: Iterable[Profile]) -> None:
        self.prepared = list(profiles)

    def select(self, profile: Profile) -> Selection:
        from paperagent.digest.issue import Chosen, Group, Reason

        self.selected.append(profile)
        chosen = tuple(
            Chosen(p, 1.0, Reason("central", ""), merged=(f"twin of {p.paper_id}",))
            for p in self.issue.papers
        )
        return Selection(WEEK, profile, groups=(Group("k", "theme", chosen),), screened=40)

    def estimate(self, selections: Iterable[Selection]) -> Usage:
        return Usage(len(list(selections)))

    def draft(self, selections: Iterable[Selection]) -> None:
        self.drafted = len(list(selections))

    def write(self, selection: Selection) -> Issue:
        self.written += 1
        if self.written in self.failing:
            raise self.error
        return self.issue

    def render(self, issue: Issue, subscriber_id: int | None) -> Rendered:
        return Rendered(f"for {subscriber_id}", "…", "<p>x</p>", "x")

    def message_id(self, issue_id: str, email: str) -> str:
        return f"<{issue_id.replace('/', '.')}@test.example>"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a digest with three confirmed readers."""
    found = Desk(tmp_path / "digest.db")
    for email in (A, B, C):
        found.subscribers.add(email, confirmed=True)
    return found


def build(desk: Desk, press: Any, **options: Any) -> BuildReport:
    builder = IssueBuilder(WEEK, press, desk.ledger, desk.subscribers, clock=desk.clock, **options)
    return builder.build(desk.subscribers.all(state="confirmed"))


def test_each_reader_and_nobody_in_particular(desk: Desk) -> None:
    """Four issues, three messages; a second build selects and writes nothing."""
    report = build(desk, Press())
    assert (report.built, report.already, report.papers) == (4, 0, 40)
    assert desk.states() == {A: "planned", B: "planned", C: "planned"}
    again = Press()
    assert (build(desk, again).built, again.selected) == (0, [])


def test_what_was_shown_holds_the_near_duplicates(desk: Desk) -> None:
    """A paper that stood for another one counts for both, in every later issue."""
    press = Press()
    build(desk, press)
    shown = desk.subscribers.preferences_with_feedback(desk.subscribers.find(A)).shown
    ids = {p.paper_id for p in press.issue.papers}
    assert shown >= ids | {f"twin of {i}" for i in ids}
    besides = desk.subscribers.preferences_with_feedback(
        desk.subscribers.find(A), excluding=f"{WEEK.name}/1"
    ).shown
    assert besides == frozenset()


@pytest.mark.parametrize("error", [None, ZeroDivisionError("a fault\nof ours")])
def test_one_issue_that_fails_stops_no_other(desk: Desk, error: Exception | None) -> None:
    """bad-347: an issue whose citations fail their check is not frozen but reported; the others are built."""
    report = build(desk, Press({3}, error))
    assert report.built == 3
    ((who, why),) = report.failed
    assert who == B
    assert why.isprintable()
    assert desk.states() == {A: "planned", C: "planned"}
    assert build(desk, Press()).built == 1


def test_a_citation_that_does_not_hold_is_found() -> None:
    """bad-347: a quote that is not in the abstract withholds the issue."""
    made = sample_issue()
    papers = {p.paper_id: p for p in made.papers}
    check_issue(made, papers)
    wrong = replace(made.citations[0], quote="what nobody wrote")
    with pytest.raises(PaperAgentError, match="withheld"):
        check_issue(replace(made, citations=(wrong, *made.citations[1:])), papers)


def test_a_model_is_asked_before_the_first_issue_is_written(desk: Desk) -> None:
    """Its calls are shared by all readers, and what they cost is told; without a model nothing is asked."""
    press = Press()
    report = build(desk, press, model=True)
    assert (press.drafted, report.usage.cost_usd) == (4, 0.5)
    again = Desk(desk.path.with_name("other.db"))
    quiet = Press()
    build(again, quiet)
    assert quiet.drafted == 0


def test_freezing_is_all_or_nothing(desk: Desk) -> None:
    """A draft that cannot be planned takes the others of its transaction with it."""
    good = desk.draft(A)
    clash = replace(desk.draft(B), message_id=good.message_id)
    with pytest.raises(PaperAgentError):
        desk.ledger.store_issues([good, clash], desk.clock())
    assert desk.states() == {}
    assert desk.ledger.period_summaries() == []


def test_a_frozen_issue_does_not_change(desk: Desk) -> None:
    """Freezing again under the same period and reader keeps the first, its message and its state."""
    first = desk.draft(A)
    assert desk.ledger.store_issues([first], desk.clock()) == 1
    other = replace(first, html="<p>other</p>", message_id="<other@test.example>")
    assert desk.ledger.store_issues([other], desk.clock()) == 0
    frozen = desk.ledger.issue(first.issue_id)
    assert (frozen.html, frozen.papers) == (first.html, first.papers)
    assert [d.message_id for d in desk.ledger.deliveries()] == [first.message_id]
