"""The mail server may be missing, wrong, slow or hostile: each time one line says so, and nothing leaks."""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import rude_server
from mail_helpers import DeliveryHarness, free_port
from rude_server import HELLO, Talk, certificate, drip, rude, server_tls, silence, trusting

from paperagent.digest.delivery.smtp import SmtpTransport, Timeouts
from paperagent.digest.delivery.transport import ConnectionLost, Rejected
from paperagent.errors import ConfigError, MailError

SOON = Timeouts(connect=0.8, command=0.8, accept=0.8)
WITH_TLS = b"250-rude\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"


def transport(port: int, scheme: str = "smtp", who: str = "", **options: Any) -> SmtpTransport:
    return SmtpTransport(f"{scheme}://{who}127.0.0.1:{port}", **{"timeouts": SOON, **options})


def connect(talk: Talk, scheme: str = "smtp", who: str = "", **options: Any) -> str:
    """Connect where that must fail, and return the error line."""
    with rude(talk) as port, pytest.raises(MailError) as error:
        transport(port, scheme, who, **options).connect()
    message = str(error.value)
    assert message.startswith("mail server 127.0.0.1:")
    assert "\n" not in message
    return message


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-305: the line names the host."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(MailError, match=r"cannot resolve mail\.example"):
        SmtpTransport("smtp://mail.example:587").connect()


def test_nobody_listens() -> None:
    """bad-306: a refused connection is one line."""
    with pytest.raises(MailError, match="cannot be reached; check host and port"):
        transport(free_port()).connect()


def test_a_server_that_says_nothing() -> None:
    """bad-306, bad-309: the wait ends; maybe TLS is spoken from the first byte there."""
    assert "no reply in time; if the server uses TLS from the start (port 465), write smtps://" in connect(
        Talk(greeting=silence)
    )


def test_default_time_limits() -> None:
    """bad-306: a minute for a connection, ten minutes for the reply to a message (RFC 5321)."""
    assert (Timeouts().connect, Timeouts().accept) == (60, 600)


def test_one_byte_a_second() -> None:
    """bad-321: the time is for the whole reply, however lively it drips."""
    begin = time.monotonic()
    assert "no reply in time" in connect(Talk(greeting=drip(b"220 " + b"hello " * 20 + b"\r\n", 0.2)))
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("greeting", [b"220 " + b"x" * 1_000_000 + b"\r\n", b"220-" + b"x\r\n220-" * 50_000])
def test_a_reply_without_end(greeting: bytes) -> None:
    """bad-322: a line of a megabyte, and lines that never stop, are given up."""
    assert "its reply is too long" in connect(Talk(greeting=greeting))


def test_what_is_no_mail_server() -> None:
    """Another protocol is told as such, its bytes made harmless."""
    assert "not an SMTP server (unexpected reply)" in connect(Talk(greeting=b"HTTP/1.1 400 \x1b[2J\r\n"))


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [(b"421 busy\r\n", "(421 busy); try later"), (b"554 go away \x1b[31m\r\n", "check the host")],
)
def test_a_greeting_that_refuses(greeting: bytes, kind: str) -> None:
    """bad-310: temporary or permanent, as the number says."""
    message = connect(Talk(greeting=greeting))
    assert kind in message
    assert message.isprintable()


def test_no_tls_where_it_must_be() -> None:
    """bad-307: where STARTTLS is not offered (any more), nothing is sent in the clear."""
    talk = Talk()
    assert "does not offer TLS, and mail is not sent unencrypted" in connect(talk, always_tls=True)
    assert not [line for line in talk.heard if line.startswith(("MAIL", "AUTH"))]


def test_tls_refused() -> None:
    """bad-307: a server that takes its offer back is left."""
    talk = Talk(says={"EHLO": WITH_TLS, "STARTTLS": b"454 not now\r\n"})
    assert "rejected STARTTLS (454 not now)" in connect(talk, always_tls=True)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_nobody_vouches_for(scheme: str) -> None:
    """bad-308: the reason is named, and checking is not switched off."""
    talk = Talk(
        says={"EHLO": WITH_TLS, "STARTTLS": b"220 go\r\n"},
        context=server_tls(certificate()),
        at_once=scheme == "smtps",
    )
    message = connect(talk, scheme, always_tls=True)
    assert "certificate is not valid: self" in message.lower()
    assert not [line for line in talk.heard if line.startswith("MAIL")]


def test_a_certificate_of_another_name() -> None:
    """bad-308: a trusted certificate for another host is none for this one."""
    folder = certificate("mail.example")
    talk = Talk(context=server_tls(folder), at_once=True)
    assert "IP address mismatch" in connect(talk, "smtps", context=trusting(folder))


def test_tls_with_a_trusted_certificate() -> None:
    """STARTTLS and TLS at once both lead to a login and an envelope; the password goes only inside TLS."""
    folder = certificate()
    for at_once in (False, True):
        talk = Talk(
            says={"EHLO": WITH_TLS, "STARTTLS": b"220 go\r\n"}, context=server_tls(folder), at_once=at_once
        )
        with rude(talk) as port:
            line = transport(
                port, "smtps" if at_once else "smtp", "me:pa%40ss@", context=trusting(folder), always_tls=True
            )
            line.connect()
            line.address("a@test.example", "b@test.example", size=10)
            line.close()
        words = [heard.split()[0] for heard in talk.heard]
        start = [] if at_once else ["EHLO", "STARTTLS"]
        assert words == [*start, "EHLO", "AUTH", "MAIL", "RCPT", "QUIT"]
        login = next(heard for heard in talk.heard if heard.startswith("AUTH"))
        assert base64.b64decode(login.split()[2]) == b"\0me\0pa@ss"


def test_words_slipped_in_before_tls_do_not_count() -> None:
    """CVE-2011-0411: what came in the clear after the answer to STARTTLS is thrown away."""
    folder = certificate()
    slipped = b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"
    talk = Talk(says={"EHLO": WITH_TLS, "STARTTLS": slipped}, context=server_tls(folder))
    with rude(talk) as port:
        line = transport(port, context=trusting(folder), always_tls=True)
        line.connect()
        assert line._connection is not None
        assert b"evil" not in (line._connection.ehlo_resp or b"")
        line.close()


def test_tls_towards_a_port_without() -> None:
    """bad-309: smtps:// where STARTTLS is spoken; the line says what to write."""
    assert "if the server uses STARTTLS (port 587), write smtp://" in connect(Talk(), "smtps")


def test_a_rejected_login(capfd: pytest.CaptureFixture[str]) -> None:
    """bad-311: rejected, and the password stands nowhere, though the server repeats it."""
    password = "hunter2-hunter2"  # noqa: S105 - made up
    echo = base64.b64encode(f"\0me\0{password}".encode())
    talk = Talk(
        says={
            "EHLO": b"250-rude\r\n250 AUTH PLAIN\r\n",
            "AUTH": b"535 wrong: " + password.encode() + b" " + echo + b"\r\n",
        }
    )
    message = connect(talk, who=f"me:{password}@")
    assert "login rejected (535)" in message
    assert password not in message
    assert echo.decode() not in message
    assert capfd.readouterr() == ("", "")


def test_no_login_offered() -> None:
    """bad-311: user and password in the address, and a server that takes none."""
    assert "no supported login method" in connect(Talk(), who="me:secret@")


def test_no_password_in_the_clear() -> None:
    """bad-186, bad-312: without TLS the password is not sent, whatever the server offers."""
    talk = Talk(says={"EHLO": b"250-rude\r\n250 AUTH PLAIN LOGIN\r\n"})
    connect(talk, who="me:secret@", always_tls=True)
    assert not [heard for heard in talk.heard if heard.startswith("AUTH")]


def test_a_server_elsewhere_must_speak_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """bad-312: which servers are this machine is told by the address reached, not by the name written."""
    monkeypatch.setattr("paperagent.digest.delivery.smtp._is_loopback", lambda _: False)
    assert "does not offer TLS" in connect(Talk())


@pytest.mark.parametrize("url", ["http://h", "smtp://", "smtp://h:0", "smtp://h:70000", "mail.example"])
def test_an_address_that_is_none(url: str) -> None:
    """A mail server's address has scheme and host, and a port that exists."""
    with pytest.raises(ConfigError, match="PAPERAGENT_SMTP_URL"):
        SmtpTransport(url)


def opened(port: int) -> SmtpTransport:
    line = transport(port)
    line.connect()
    line.address("a@test.example", "b@test.example", size=10)
    return line


def test_a_connection_lost_in_data_is_ambiguous_only_after_the_last_line() -> None:
    """bad-319: before the final dot nothing was sent; after it nobody knows."""
    for word, ambiguous in (("DATA", False), (".", True)):
        with rude(Talk(says={word: rude_server.hang_up})) as port:
            line = opened(port)
            with pytest.raises(ConnectionLost) as broken:
                line.data(b"Subject: x\r\n\r\nx\r\n", message_id="<x@y>")
            assert broken.value.may_have_arrived is ambiguous


def test_no_word_on_the_message_in_time_is_ambiguous() -> None:
    """bad-321: a server that never answers the final dot may have taken the message."""
    with rude(Talk(says={".": drip(b"250 thank you", 0.3)})) as port:
        with pytest.raises(ConnectionLost) as broken:
            opened(port).data(b"x\r\n", message_id="<x@y>")
        assert broken.value.may_have_arrived


@pytest.mark.parametrize("answer", [b"354 go on\r\n", b"199 hm\r\n"])
def test_an_answer_that_means_nothing_is_ambiguous(answer: bytes) -> None:
    """A server that says something else than yes or no may have taken the message."""
    with rude(Talk(says={".": answer})) as port:
        with pytest.raises(ConnectionLost) as broken:
            opened(port).data(b"x\r\n", message_id="<x@y>")
        assert broken.value.may_have_arrived


def test_after_a_refusal_the_connection_serves_on() -> None:
    """bad-314: RSET, then the next envelope."""
    talk = Talk(says={"RCPT": b"550 5.1.1 no\r\n"})
    with rude(talk) as port:
        line = transport(port)
        line.connect()
        with pytest.raises(Rejected) as refused:
            line.address("a@test.example", "b@test.example", size=10)
        assert (refused.value.step, refused.value.reply.code) == ("recipient", 550)
        line.reset()
        talk.says.clear()
        line.address("a@test.example", "b@test.example", size=10)
        assert line.data(b"x\r\n", message_id="<x@y>").code == 250
        line.close()
    assert [h.split()[0] for h in talk.heard].count("EHLO") == 1
    assert "RSET" in talk.heard


def test_a_quit_that_is_not_answered_does_no_harm() -> None:
    """bad-320: what was taken was taken; closing raises nothing."""
    talk = Talk(says={"QUIT": rude_server.hang_up})
    with rude(talk) as port:
        line = opened(port)
        assert line.data(b"x\r\n", message_id="<x@y>").code == 250
        line.close()
        line.close()


def test_the_size_is_announced_where_it_is_asked_for() -> None:
    """RFC 1870: a server with SIZE can refuse a large message before it is sent."""
    talk = Talk(says={"EHLO": HELLO})
    with rude(talk) as port:
        opened(port).close()
    assert "MAIL FROM:<a@test.example> SIZE=10" in talk.heard


def test_a_server_that_vanishes_leaves_the_rest_planned(tmp_path: Path) -> None:
    """A connection that cannot be made anew ends the run; what was not sent stays planned."""
    harness = DeliveryHarness(tmp_path / "digest.db")
    harness.plan("a@test.example", "b@test.example")
    with rude(Talk(greeting=b"421 full\r\n")) as port, pytest.raises(MailError, match="try later"):
        harness.send(transport(port))
    assert set(harness.states().values()) == {"planned"}
    assert {d.attempts for d in harness.ledger.deliveries()} == {0}
