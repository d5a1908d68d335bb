"""Each message leaves once; what the server says is written down; what it does not say is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from mail_helpers import DeliveryHarness, Script, hang_up, serving, transport

from paperagent.digest.delivery.sender import MAX_CONSECUTIVE_ERRORS, RETRY_DELAYS
from paperagent.digest.delivery.transport import Outbox
from paperagent.errors import MailError

A, B, C = "a@test.example", "b@test.example", "c@test.example"


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with no subscribers yet."""
    return DeliveryHarness(tmp_path / "digest.db")


def test_each_subscriber_gets_one_message(harness: DeliveryHarness) -> None:
    """Three are planned, three arrive, and a second run sends nothing."""
    harness.plan(A, B, C)
    script = Script()
    with serving(script) as url:
        first = harness.send(transport(url))
        second = harness.send(transport(url))
    assert first.counts == {"sent": 3}
    assert second.counts == {}
    assert script.recipients() == [A, B, C]
    assert len(set(script.ids())) == 3


def test_bodies_arrive_as_they_were(harness: DeliveryHarness) -> None:
    """bad-335, bad-336: a line that is a dot does not end the message; every line ends in CR LF."""
    harness.plan(A)
    script = Script()
    with serving(script) as url:
        harness.send(transport(url))
    ((_, raw),) = script.taken
    assert b"\r\n.\r\nthe dot above is a line\r\n" in raw
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_without_anything_due_nothing_is_connected(harness: DeliveryHarness) -> None:
    """A run with nothing to send needs no server."""
    assert harness.send(transport("smtp://127.0.0.1:1")).counts == {}


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("451 4.3.0 try later", "deferred"),
        ("450 greylisted", "deferred"),
        ("550 5.1.1 no such user", "failed"),
        ("553 5.7.1 not wanted", "failed"),
    ],
)
def test_a_refused_recipient_does_not_stop_the_others(
    harness: DeliveryHarness, code: str, state: str
) -> None:
    """bad-314, bad-315: 4xx is tried later, 5xx is not; the others get theirs, the report says who not."""
    harness.plan(A, B, C)
    script = Script(rcpt={B: code})
    with serving(script) as url:
        report = harness.send(transport(url))
    assert harness.states() == {A: "sent", B: state, C: "sent"}
    assert [(who, what) for who, what, _ in report.problems] == [(B, state)]
    assert code.split(" ", 1)[0] in report.problems[0][2]


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("452 4.2.2 over quota", "deferred"),
        ("552 5.3.4 too large", "failed"),
        ("554 5.7.1 spam", "failed"),
    ],
)
def test_a_refused_message(harness: DeliveryHarness, code: str, state: str) -> None:
    """bad-316, bad-317, bad-318: what is said after the message counts for it alone."""
    harness.plan(A, B)
    script = Script(data={A: code})
    with serving(script) as url:
        report = harness.send(transport(url))
    assert harness.states() == {A: state, B: "sent"}
    assert ("lower --max-items" in report.problems[0][2]) == (code[:3] == "552")


def test_a_refused_message_is_sent_later_under_the_same_id(harness: DeliveryHarness) -> None:
    """bad-316: after the wait the same message goes out, not before."""
    harness.plan(A)
    script = Script(data={A: "452 4.2.2 over quota"})
    with serving(script) as url:
        harness.send(transport(url))
        script.data.clear()
        harness.clock.wait(minutes=4)
        assert harness.send(transport(url)).counts == {}
        harness.clock.wait(minutes=1)
        assert harness.send(transport(url)).counts == {"sent": 1}
    assert script.ids() == ["<2026-W26.1@paperagent.example>"]


def test_waits_grow_and_end(harness: DeliveryHarness) -> None:
    """5 minutes, 30, 2 hours, 12; then the message has failed, and its papers may come again."""
    harness.plan(A)
    subscriber = harness.subscribers.find(A)
    with serving(Script(rcpt={A: "451 4.3.0 later"})) as url:
        for wait in RETRY_DELAYS:
            assert harness.send(transport(url)).counts == {"deferred": 1}
            assert harness.subscribers.preferences_with_feedback(subscriber).seen
            harness.clock.time += wait
        assert harness.send(transport(url)).counts == {"failed": 1}
    assert sum(w.total_seconds() for w in RETRY_DELAYS) == 60 * (5 + 30 + 120 + 720)
    assert "given up after 5 attempts" in str(harness.ledger.deliveries()[0].reply)
    assert not harness.subscribers.preferences_with_feedback(subscriber).seen


def test_a_connection_lost_after_the_message_is_unknown(harness: DeliveryHarness) -> None:
    """bad-319: it may have arrived, so it is not sent again until a person says so; then with the same id."""
    harness.plan(A, B)
    script = Script(data={A: hang_up})
    with serving(script) as url:
        report = harness.send(transport(url))
        assert harness.states() == {A: "unknown", B: "sent"}
        assert "may have arrived" in report.problems[0][2]
        harness.clock.wait(hours=2)
        assert harness.send(transport(url)).counts == {}
        script.data.clear()
        assert harness.send(transport(url), resend_unknown=True).counts == {"sent": 1}
    assert script.recipients() == [B, A]
    assert script.ids()[1] == "<2026-W26.1@paperagent.example>"


def test_a_server_that_closes_between_messages_is_called_again(harness: DeliveryHarness) -> None:
    """bad-320: what was taken counts as sent, though no QUIT was answered; the next gets a new connection."""
    harness.plan(A, B)
    script = Script()
    with serving(script) as url:
        line = transport(url)
        taking = script.handle_DATA

        async def take_and_close(server: object, session: object, envelope: object) -> str:
            answer = await taking(server, session, envelope)
            server.loop.call_later(0.05, server.transport.close)  # type: ignore[attr-defined]
            return answer

        script.handle_DATA = take_and_close  # type: ignore[method-assign]
        assert harness.send(line).counts == {"sent": 2}
    assert script.recipients() == [A, B]


def test_421_ends_the_run(harness: DeliveryHarness) -> None:
    """bad-316: the server is closing; the others stay planned and go out with the next run."""
    harness.plan(A, B, C)
    script = Script(rcpt={B: "421 4.3.2 shutting down"})
    with serving(script) as url:
        report = harness.send(transport(url))
        assert harness.states() == {A: "sent", B: "deferred", C: "planned"}
        assert "421" in report.stopped
        script.rcpt.clear()
        harness.clock.wait(minutes=5)
        assert harness.send(transport(url)).counts == {"sent": 2}
    assert sorted(script.recipients()) == [A, B, C]


def test_five_errors_in_a_row_end_the_run(harness: DeliveryHarness) -> None:
    """By then it is the server; after a success the count begins anew."""
    emails = [f"r{n:02}@test.example" for n in range(12)]
    harness.plan(*emails)
    script = Script(rcpt=dict.fromkeys([*emails[:4], *emails[5:]], "451 4.3.0 later"))
    with serving(script) as url:
        report = harness.send(transport(url))
    assert report.counts == {"deferred": 4 + MAX_CONSECUTIVE_ERRORS, "sent": 1}
    assert "5 errors in a row" in report.stopped


def test_a_refused_sender_stops_everything(harness: DeliveryHarness) -> None:
    """bad-313: the sender is the same for all; nothing is marked, nothing is lost."""
    harness.plan(A, B)
    script = Script(mail="553 5.7.1 sender rejected")
    with serving(script) as url:
        with pytest.raises(MailError, match=r"permanently rejects the sender .*PAPERAGENT_MAIL_FROM"):
            harness.send(transport(url))
        assert harness.states() == {A: "planned", B: "planned"}
        script.mail = None
        assert harness.send(transport(url)).counts == {"sent": 2}


def test_who_unsubscribed_after_the_plan_gets_nothing(harness: DeliveryHarness) -> None:
    """bad-329: the suppression list is looked at last of all; a removed subscriber's message is deleted."""
    harness.plan(A, B, C)
    harness.subscribers.unsubscribe(harness.subscribers.find(B).id)
    harness.subscribers.remove(C)
    script = Script()
    with serving(script) as url:
        assert harness.send(transport(url)).counts == {"sent": 1, "skipped": 1}
    assert script.recipients() == [A]


def test_a_mailbox_that_does_not_exist_is_not_written_to_again(harness: DeliveryHarness) -> None:
    """5.1.1 at RCPT marks the subscriber as bounced."""
    harness.plan(A)
    with serving(Script(rcpt={A: "550 5.1.1 no such user"})) as url:
        harness.send(transport(url))
    assert harness.subscribers.find(A).state == "bounced"


def test_old_issues_stay_unless_forced(harness: DeliveryHarness) -> None:
    """Three days after it was stored an issue is no news; `force` sends it all the same."""
    harness.plan(A)
    harness.clock.wait(days=3, seconds=1)
    script = Script()
    with serving(script) as url:
        report = harness.send(transport(url))
        assert (report.counts, report.too_old) == ({}, 1)
        assert harness.send(transport(url), force=True).counts == {"sent": 1}


def test_only_one_subscriber(harness: DeliveryHarness) -> None:
    """`only` takes any spelling of an address."""
    harness.plan(A, B)
    script = Script()
    with serving(script) as url:
        assert harness.send(transport(url), only="B+news@TEST.example").counts == {"sent": 1}
    assert script.recipients() == [B]


def test_a_local_part_beyond_ascii(harness: DeliveryHarness) -> None:
    """bad-326: with SMTPUTF8 it is sent; without, it fails and says why; a domain is sent in ASCII."""
    harness.plan("grüße@test.example", "x@müller.example")
    script = Script()
    with serving(script, enable_SMTPUTF8=False) as url:
        harness.send(transport(url))
    assert harness.states() == {"grüße@test.example": "failed", "x@müller.example": "sent"}
    assert script.recipients() == ["x@xn--mller-kva.example"]
    assert "non-ASCII addresses" in str(harness.ledger.deliveries()[0].reply)


def test_a_local_part_beyond_ascii_with_smtputf8(harness: DeliveryHarness) -> None:
    """bad-326: a server that offers SMTPUTF8 is given the address as it is."""
    harness.plan("grüße@test.example")
    script = Script()
    with serving(script, enable_SMTPUTF8=True) as url:
        assert harness.send(transport(url)).counts == {"sent": 1}
    assert script.recipients() == ["grüße@test.example"]


def test_one_message_that_cannot_be_built_stops_no_other(
    harness: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails with its reason; nothing was said to the server about it."""
    harness.plan(A, B)
    import mail_helpers

    plain = mail_helpers.compose

    def compose(frozen: object, due: object) -> bytes:
        if due.email == A:  # type: ignore[attr-defined]
            raise MailError("mail: withheld")
        return plain(frozen, due)  # type: ignore[arg-type]

    monkeypatch.setattr(mail_helpers, "compose", compose)
    script = Script()
    with serving(script) as url:
        harness.send(transport(url))
    assert harness.states() == {A: "failed", B: "sent"}
    assert "withheld" in str(harness.ledger.deliveries()[0].reply)


def test_the_outbox(harness: DeliveryHarness, tmp_path: Path) -> None:
    """Without a server each message is a file, which only its owner can read."""
    harness.plan(A, B)
    folder = tmp_path / "outbox"
    assert harness.send(Outbox(folder)).counts == {"written": 2}
    files = sorted(folder.iterdir())
    assert [f.name for f in files] == ["2026-W26.1.eml", "2026-W26.2.eml"]
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    assert b"Message-ID: <2026-W26.1@" in files[0].read_bytes()


def test_written_messages_are_sent_once_there_is_a_server(harness: DeliveryHarness, tmp_path: Path) -> None:
    """Once, under the same id; meanwhile no run writes them again, and each says that they wait."""
    harness.plan(A, B)
    outbox, script = Outbox(tmp_path / "outbox"), Script()
    assert harness.send(outbox).counts == {"written": 2}
    assert harness.states() == {A: "written", B: "written"}
    again = harness.send(outbox)
    assert (again.counts, again.waiting) == ({}, 2)
    with serving(script) as url:
        assert harness.send(transport(url)).counts == {"sent": 2}
        assert harness.send(transport(url)).counts == {}
    assert script.ids() == ["<2026-W26.1@paperagent.example>", "<2026-W26.2@paperagent.example>"]
    assert harness.send(outbox).waiting == 0


def test_written_messages_grow_old(harness: DeliveryHarness, tmp_path: Path) -> None:
    """After three days they are old news like any other; who unsubscribed meanwhile gets nothing."""
    harness.plan(A, B)
    harness.send(Outbox(tmp_path / "outbox"))
    harness.clock.wait(days=3, seconds=1)
    assert harness.send(Outbox(tmp_path / "outbox")).waiting == 0
    harness.subscribers.unsubscribe(harness.subscribers.find(B).id)
    script = Script()
    with serving(script) as url:
        assert harness.send(transport(url)).too_old == 2
        assert harness.send(transport(url), force=True).counts == {"sent": 1, "skipped": 1}
    assert script.recipients() == [A]


def test_a_server_that_is_down_leaves_messages_written(harness: DeliveryHarness, tmp_path: Path) -> None:
    """What was claimed for sending returns to its state."""
    harness.plan(A)
    harness.send(Outbox(tmp_path / "outbox"))
    with pytest.raises(MailError, match="cannot be reached"):
        harness.send(transport("smtp://127.0.0.1:1"))
    assert harness.states() == {A: "written"}


def test_exported_messages_are_never_sent(harness: DeliveryHarness, tmp_path: Path) -> None:
    """A folder that somebody names is theirs to send: a second copy from here would be one too many."""
    harness.plan(A)
    harness.send(Outbox(tmp_path / "outbox"))
    assert harness.send(Outbox(tmp_path / "mine", "exported")).counts == {"exported": 1}
    assert harness.send(Outbox(tmp_path / "mine", "exported")).counts == {}
    script = Script()
    with serving(script) as url:
        assert harness.send(transport(url), force=True).counts == {}
    assert harness.states() == {A: "exported"}


def test_an_outbox_that_cannot_be_written(harness: DeliveryHarness, tmp_path: Path) -> None:
    """One line; the message stays planned, since it certainly did not leave."""
    harness.plan(A)
    (tmp_path / "outbox").write_text("a file")
    with pytest.raises(MailError, match=r"outbox .* cannot be written"):
        harness.send(Outbox(tmp_path / "outbox"))
    assert harness.states() == {A: "planned"}
