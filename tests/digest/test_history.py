"""What the operator can see about one subscriber."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from mail_helpers import WEEK, DeliveryHarness

from paperagent.digest.delivery.ledger import DeliveryOutcome, NewIssue
from paperagent.digest.history import ChosenPaper, History, read_history
from paperagent.digest.issue import Period
from paperagent.digest.preferences import Preferences

A = "ana@test.example"
LATER = Period("2026-W30", dt.date(2026, 7, 20), dt.date(2026, 7, 26))


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with no subscribers yet."""
    return DeliveryHarness(tmp_path / "digest.db")


def history(harness: DeliveryHarness, *, limit: int = 3) -> History:
    """Return what is known about the subscriber."""
    subscriber = harness.subscribers.find(A)
    return read_history(harness.database, subscriber, harness.feedback.ratings(subscriber.id), limit=limit)


def store(harness: DeliveryHarness, period: Period, *, to: int | None, papers: int = 0) -> None:
    """Store an issue, or a general one."""
    chosen = [{"paper_id": f"p{n}", "title": f"Paper {n}", "reason": "Your topic: x"} for n in range(papers)]
    issue = NewIssue(
        period, to, "Subject", "", "<p>", "text", message_id=f"<{period.name}.{to}@x>" if to else None,
        facts={"chosen": chosen},
    )  # fmt: skip
    harness.ledger.store_issues([issue], harness.clock())


def test_why_nothing_is_sent(harness: DeliveryHarness) -> None:
    """From signing up to leaving, there is always a reason."""
    subscriber = harness.subscribers.add(A, Preferences(("graphs",))).subscriber
    assert history(harness).why_nothing == "waiting for the confirmation: no message was sent yet"
    harness.subscribers.record_confirmation_sent(subscriber.id)
    assert "the message was sent on 2026-06-29" in history(harness).why_nothing
    harness.subscribers.confirm(subscriber.id)
    assert "no issue has been built" in history(harness).why_nothing
    store(harness, WEEK, to=None)
    assert history(harness).missed == (WEEK.name,)
    assert history(harness).why_nothing == "no new paper matched in the periods that were built"
    store(harness, LATER, to=subscriber.id, papers=1)
    assert "is planned: 'paperagent digest send' sends it" in history(harness).why_nothing
    (due,) = harness.ledger.due(harness.clock())
    for state, reply in (("deferred", "mailbox full"), ("sent", "ok")):
        harness.ledger.claim(due, harness.clock())
        harness.ledger.finish(due, DeliveryOutcome(state, 452, reply), harness.clock())  # type: ignore[arg-type]
        told = history(harness).why_nothing
        assert told == (
            "" if state == "sent" else f"the last message, of {LATER.name}, is deferred: 452 {reply}"
        )
        (due,) = harness.ledger.deliveries()
    harness.subscribers.unsubscribe(subscriber.id)
    assert history(harness).why_nothing == "unsubscribed on 2026-06-29; this address is not mailed"


def test_issues_and_ratings(harness: DeliveryHarness) -> None:
    """Newest first, with the reason for each paper; periods of another frequency are not missed."""
    subscriber = harness.subscribers.add(A, confirmed=True).subscriber
    day = Period("2026-07-01", dt.date(2026, 7, 1), dt.date(2026, 7, 1))
    for period in (WEEK, LATER):
        store(harness, period, to=subscriber.id, papers=2)
        store(harness, period, to=None)
    store(harness, day, to=None)
    harness.feedback.rate(subscriber.id, "p1", "less")
    found = history(harness)
    assert [issue.period for issue in found.issues] == [LATER.name, WEEK.name]
    assert found.issues[0].papers[1] == ChosenPaper("p1", "Paper 1", "Your topic: x")
    assert found.missed == ()
    assert len(history(harness, limit=1).issues) == 1
    told = found.to_dict()
    assert told["ratings"][0]["kind"] == "less"
    assert told["issues"][1]["papers"][0]["reason"] == "Your topic: x"


def test_issues_of_an_older_version_have_no_reasons(harness: DeliveryHarness) -> None:
    """They are listed without papers."""
    harness.plan(A)
    assert [issue.papers for issue in history(harness).issues] == [()]
