"""Each message leaves once; what the server says is written down; what it does not say is not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom import Desk, Script, hang_up, serving, transport

from paperagent.digest.delivery.sender import MAX_CONSECUTIVE_ERRORS, RETRY_DELAYS
from paperagent.digest.delivery.transport import Outbox
from paperagent.errors import MailError

A, B, C = "a@test.example", "b@test.example", "c@test.example"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a digest with no subscribers yet."""
    return Desk(tmp_path / "digest.db")


def test_each_subscriber_gets_one_message(desk: Desk) -> None:
    """Three are planned, three arrive, and a second run sends nothing."""
    desk.plan(A, B, C)
    script = Script()
    with serving(script) as url:
        first = desk.send(transport(url))
        second = desk.send(transport(url))
    assert first.counts == {"sent": 3}
    assert second.counts == {}
    assert script.recipients() == [A, B, C]
    assert len(set(script.ids())) == 3


def test_bodies_arrive_as_they_were(desk: Desk) -> None:
    """bad-335, bad-336: a line that is a dot does not end the message; every line ends in CR LF."""
    desk.plan(A)
    script = Script()
    with serving(script) as url:
        desk.send(transport(url))
    ((_, raw),) = script.taken
    assert b"\r\n.\r\nthe dot above is a line\r\n" in raw
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_without_anything_due_nothing_is_connected(desk: Desk) -> None:
    """A run with nothing to send needs no server."""
    assert desk.send(transport("smtp://127.0.0.1:1")).counts == {}


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("451 4.3.0 try later", "deferred"),
        ("450 greylisted", "deferred"),
        ("550 5.1.1 no such user", "failed"),
        ("553 5.7.1 not wanted", "failed"),
    ],
)
def test_a_refused_recipient_does_not_stop_the_others(desk: Desk, code: str, state: str) -> None:
    """bad-314, bad-315: 4xx is tried later, 5xx is not; the others get theirs, the report says who not."""
    desk.plan(A, B, C)
    script = Script(rcpt={B: code})
    with serving(script) as url:
        report = desk.send(transport(url))
    assert desk.states() == {A: "sent", B: state, C: "sent"}
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
def test_a_refused_message(desk: Desk, code: str, state: str) -> None:
    """bad-316, bad-317, bad-318: what is said after the message counts for it alone."""
    desk.plan(A, B)
    script = Script(data={A: code})
    with serving(script) as url:
        report = desk.send(transport(url))
    assert desk.states() == {A: state, B: "sent"}
    assert ("lower --max-items" in report.problems[0][2]) == (code[:3] == "552")


def test_a_refused_message_is_sent_later_under_the_same_id(desk: Desk) -> None:
    """bad-316: after the wait the same message goes out, not before."""
    desk.plan(A)
    script = Script(data={A: "452 4.2.2 over quota"})
    with serving(script) as url:
        desk.send(transport(url))
        script.data.clear()
        desk.clock.wait(minutes=4)
        assert desk.send(transport(url)).counts == {}
        desk.clock.wait(minutes=1)
        assert desk.send(transport(url)).counts == {"sent": 1}
    assert script.ids() == ["<2026-W26.1@paperagent.example>"]


def test_waits_grow_and_end(desk: Desk) -> None:
    """5 minutes, 30, 2 hours, 12; then the message has failed, and its papers may come again."""
    desk.plan(A)
    subscriber = desk.subscribers.find(A)
    with serving(Script(rcpt={A: "451 4.3.0 later"})) as url:
        for wait in RETRY_DELAYS:
            assert desk.send(transport(url)).counts == {"deferred": 1}
            assert desk.subscribers.preferences_with_feedback(subscriber).seen
            desk.clock.time += wait
        assert desk.send(transport(url)).counts == {"failed": 1}
    assert sum(w.total_seconds() for w in RETRY_DELAYS) == 60 * (5 + 30 + 120 + 720)
    assert "given up after 5 attempts" in str(desk.ledger.deliveries()[0].reply)
    assert not desk.subscribers.preferences_with_feedback(subscriber).seen


def test_a_connection_lost_after_the_message_is_unknown(desk: Desk) -> None:
    """bad-319: it may have arrived, so it is not sent again until a person says so; then with the same id."""
    desk.plan(A, B)
    script = Script(data={A: hang_up})
    with serving(script) as url:
        report = desk.send(transport(url))
        assert desk.states() == {A: "unknown", B: "sent"}
        assert "may have arrived" in report.problems[0][2]
        desk.clock.wait(hours=2)
        assert desk.send(transport(url)).counts == {}
        script.data.clear()
        assert desk.send(transport(url), resend_unknown=True).counts == {"sent": 1}
    assert script.recipients() == [B, A]
    assert script.ids()[1] == "<2026-W26.1@paperagent.example>"


def test_a_server_that_closes_between_messages_is_called_again(desk: Desk) -> None:
    """bad-320: what was taken counts as sent, though no QUIT was answered; the next gets a new connection."""
    desk.plan(A, B)
    script = Script()
    with serving(script) as url:
        line = transport(url)
        taking = script.handle_DATA

        async def take_and_close(server: object, session: object, envelope: object) -> str:
            answer = await taking(server, session, envelope)
            server.loop.call_later(0.05, server.transport.close)  # type: ignore[attr-defined]
            return answer

        script.handle_DATA = take_and_close  # type: ignore[method-assign]
        assert desk.send(line).counts == {"sent": 2}
    assert script.recipients() == [A, B]


def test_421_ends_the_run(desk: Desk) -> None:
    """bad-316: the server is closing; the others stay planned and go out with the next run."""
    desk.plan(A, B, C)
    script = Script(rcpt={B: "421 4.3.2 shutting down"})
    with serving(script) as url:
        report = desk.send(transport(url))
        assert desk.states() == {A: "sent", B: "deferred", C: "planned"}
        assert "421" in report.stopped
        script.rcpt.clear()
        desk.clock.wait(minutes=5)
        assert desk.send(transport(url)).counts == {"sent": 2}
    assert sorted(script.recipients()) == [A, B, C]


def test_five_errors_in_a_row_end_the_run(desk: Desk) -> None:
    """By then it is the server; after a success the count begins anew."""
    emails = [f"r{n:02}@test.example" for n in range(12)]
    desk.plan(*emails)
    script = Script(rcpt=dict.fromkeys([*emails[:4], *emails[5:]], "451 later"))
    with serving(script) as url:
        report = desk.send(transport(url))
    assert report.counts == {"deferred": 4 + MAX_CONSECUTIVE_ERRORS, "sent": 1}
    assert "5 errors in a row" in report.stopped


def test_a_refused_sender_stops_everything(desk: Desk) -> None:
    """bad-313: the sender is the same for all; nothing is marked, nothing is lost."""
    desk.plan(A, B)
    script = Script(mail="553 5.7.1 sender rejected")
    with serving(script) as url:
        with pytest.raises(MailError, match=r"permanently rejects the sender .*PAPERAGENT_MAIL_FROM"):
            desk.send(transport(url))
        assert desk.states() == {A: "planned", B: "planned"}
        script.mail = None
        assert desk.send(transport(url)).counts == {"sent": 2}


def test_who_unsubscribed_after_the_plan_gets_nothing(desk: Desk) -> None:
    """bad-329: the suppression list is looked at last of all; the message is skipped and counted."""
    desk.plan(A, B, C)
    desk.subscribers.unsubscribe(desk.subscribers.find(B).id)
    desk.subscribers.remove(C)
    script = Script()
    with serving(script) as url:
        assert desk.send(transport(url)).counts == {"sent": 1, "skipped": 2}
    assert script.recipients() == [A]


def test_a_mailbox_that_does_not_exist_is_not_written_to_again(desk: Desk) -> None:
    """5.1.1 at RCPT marks the subscriber as bounced."""
    desk.plan(A)
    with serving(Script(rcpt={A: "550 5.1.1 no such user"})) as url:
        desk.send(transport(url))
    assert desk.subscribers.find(A).state == "bounced"


def test_old_issues_stay_unless_forced(desk: Desk) -> None:
    """Three days after it was stored an issue is no news; `force` sends it all the same."""
    desk.plan(A)
    desk.clock.wait(days=3, seconds=1)
    script = Script()
    with serving(script) as url:
        report = desk.send(transport(url))
        assert (report.counts, report.too_old) == ({}, 1)
        assert desk.send(transport(url), force=True).counts == {"sent": 1}


def test_only_one_subscriber(desk: Desk) -> None:
    """`only` takes any spelling of an address."""
    desk.plan(A, B)
    script = Script()
    with serving(script) as url:
        assert desk.send(transport(url), only="B+news@TEST.example").counts == {"sent": 1}
    assert script.recipients() == [B]


def test_a_local_part_beyond_ascii(desk: Desk) -> None:
    """bad-326: with SMTPUTF8 it is sent; without, it fails and says why; a domain is sent in ASCII."""
    desk.plan("grüße@test.example", "x@müller.example")
    script = Script()
    with serving(script, enable_SMTPUTF8=False) as url:
        desk.send(transport(url))
    assert desk.states() == {"grüße@test.example": "failed", "x@müller.example": "sent"}
    assert script.recipients() == ["x@xn--mller-kva.example"]
    assert "non-ASCII addresses" in str(desk.ledger.deliveries()[0].reply)


def test_a_local_part_beyond_ascii_with_smtputf8(desk: Desk) -> None:
    """bad-326: a server that offers SMTPUTF8 is given the address as it is."""
    desk.plan("grüße@test.example")
    script = Script()
    with serving(script, enable_SMTPUTF8=True) as url:
        assert desk.send(transport(url)).counts == {"sent": 1}
    assert script.recipients() == ["grüße@test.example"]


def test_one_message_that_cannot_be_built_stops_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails with its reason; nothing was said to the server about it."""
    desk.plan(A, B)
    import postroom

    plain = postroom.compose

    def compose(frozen: object, due: object) -> bytes:
        if due.email == A:  # type: ignore[attr-defined]
            raise MailError("mail: withheld")
        return plain(frozen, due)  # type: ignore[arg-type]

    monkeypatch.setattr(postroom, "compose", compose)
    script = Script()
    with serving(script) as url:
        desk.send(transport(url))
    assert desk.states() == {A: "failed", B: "sent"}
    assert "withheld" in str(desk.ledger.deliveries()[0].reply)


def test_the_outbox(desk: Desk, tmp_path: Path) -> None:
    """Without a server each message is a file, which only its owner can read."""
    desk.plan(A, B)
    folder = tmp_path / "outbox"
    assert desk.send(Outbox(folder)).counts == {"sent": 2}
    files = sorted(folder.iterdir())
    assert [f.name for f in files] == ["2026-W26.1.eml", "2026-W26.2.eml"]
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    assert b"Message-ID: <2026-W26.1@" in files[0].read_bytes()


def test_an_outbox_that_cannot_be_written(desk: Desk, tmp_path: Path) -> None:
    """One line; the message stays planned, since it certainly did not leave."""
    desk.plan(A)
    (tmp_path / "outbox").write_text("a file")
    with pytest.raises(MailError, match=r"outbox .* cannot be written"):
        desk.send(Outbox(tmp_path / "outbox"))
    assert desk.states() == {A: "planned"}
