"""A clock that jumped a year and back: no message, mail or pause waits for the wrong time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from mail_helpers import DeliveryHarness, Script, serving, transport

from paperagent.digest.delivery.message import parse_address
from paperagent.digest.health import check_digest
from paperagent.errors import InputError
from paperagent.feeds.services.rate_limit import MAX_WAIT_SECONDS, RateLimit, RateLimiter

YEAR = dt.timedelta(days=365)


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forward", "back"])
def test_a_deferred_message_is_sent_after_the_clock_is_right_again(
    tmp_path: Path, jump: dt.timedelta
) -> None:
    """The next attempt was set by a clock that was a year off."""
    harness, script = (
        DeliveryHarness(tmp_path / "digest.db"),
        Script(rcpt={"a@test.example": "451 4.7.1 later"}),
    )
    harness.plan("a@test.example")
    with serving(script) as url:
        harness.clock.time += jump
        harness.send(transport(url), force=True)
        assert harness.states() == {"a@test.example": "deferred"}
        harness.clock.time -= jump
        harness.clock.wait(minutes=6)
        script.rcpt.clear()
        harness.send(transport(url))
    assert harness.states() == {"a@test.example": "sent"}
    harness.database.close()
    assert all(check.ok for check in check_digest(tmp_path))


def test_a_deferred_message_still_waits_for_its_next_attempt(tmp_path: Path) -> None:
    """With a clock that is right, nothing is sent too early."""
    harness, script = (
        DeliveryHarness(tmp_path / "digest.db"),
        Script(rcpt={"a@test.example": "451 4.7.1 later"}),
    )
    harness.plan("a@test.example")
    with serving(script) as url:
        harness.send(transport(url))
        script.rcpt.clear()
        harness.clock.wait(minutes=4)
        harness.send(transport(url))
        assert harness.states() == {"a@test.example": "deferred"}
        harness.clock.wait(minutes=1)
        harness.send(transport(url))
    assert harness.states() == {"a@test.example": "sent"}


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forward", "back"])
def test_a_confirmation_can_be_sent_again(tmp_path: Path, jump: dt.timedelta) -> None:
    """The last one was sent by a clock that was a year off."""
    harness = DeliveryHarness(tmp_path / "digest.db")
    subscriber = harness.subscribers.add("a@test.example").subscriber
    harness.clock.time += jump
    harness.subscribers.record_confirmation_sent(subscriber.id)
    assert not harness.subscribers.may_send_confirmation(harness.subscribers.get(subscriber.id))
    harness.clock.time -= jump
    assert harness.subscribers.may_send_confirmation(harness.subscribers.get(subscriber.id))


def test_a_service_is_asked_again_after_its_pause(tmp_path: Path) -> None:
    """A pause that a clock of next year stored delays nothing."""
    now, pauses = [1_800_000_000.0 + YEAR.total_seconds()], list[float]()
    limit = RateLimit("service", 1.0)
    ahead = RateLimiter(tmp_path, sleep=pauses.append, clock=lambda: now[0])
    with ahead.limit(limit):
        ahead.back_off(MAX_WAIT_SECONDS)
    now[0] -= YEAR.total_seconds()
    with RateLimiter(tmp_path, sleep=pauses.append, clock=lambda: now[0]).limit(limit):
        pass
    assert sum(pauses) <= limit.seconds


def test_five_greylisted_recipients_do_not_stop_a_run(tmp_path: Path) -> None:
    """The others get their message, and the five get theirs by the next run."""
    grey = [f"grey{n}@test.example" for n in range(6)]
    harness = DeliveryHarness(tmp_path / "digest.db")
    harness.plan(*grey, "last@test.example")
    replies = (
        "450 4.2.0 greylisted",
        "451 4.7.1 try later",
        "450 later",
        "452 4.2.2 full",
        "451 later",
        "450 -",
    )
    script = Script(rcpt=dict(zip(grey, replies, strict=True)))
    with serving(script) as url:
        report = harness.send(transport(url))
        assert not report.stopped
        assert (report.counts["deferred"], report.counts["sent"]) == (6, 1)
        script.rcpt.clear()
        harness.clock.wait(minutes=6)
        assert harness.send(transport(url)).counts["sent"] == 6


@pytest.mark.parametrize(
    "reply", ["451 4.3.0 out of disk", "450 4.4.1 no route", "550 5.7.1 blocked", "550 no"]
)
def test_five_replies_about_the_server_still_stop_a_run(tmp_path: Path, reply: str) -> None:
    """Every other recipient would be rejected in the same way."""
    emails = [f"r{n}@test.example" for n in range(7)]
    harness = DeliveryHarness(tmp_path / "digest.db")
    harness.plan(*emails)
    with serving(Script(rcpt=dict.fromkeys(emails, reply))) as url:
        report = harness.send(transport(url))
    assert "5 errors in a row" in report.stopped
    assert list(harness.states().values()).count("planned") == 2


@pytest.mark.parametrize(
    "text",
    [
        "=?utf-8?q?a?=@test.example",
        "Name <=?UTF-8?B?YQ==?=@test.example>",
        "=?utf-8?q?a=40test.example?=",
        "=?utf-8?q?a@test.example",
    ],
)
def test_an_encoded_word_is_no_address(tmp_path: Path, text: str) -> None:
    """Some programs would decode it to another address."""
    with pytest.raises(InputError, match="encoded word"):
        parse_address(text)
    with pytest.raises(InputError, match="encoded word"):
        DeliveryHarness(tmp_path / "digest.db").subscribers.add(text)
