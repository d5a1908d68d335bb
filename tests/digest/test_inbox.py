"""The mailbox on a server: read with care, marked, and nothing else changed."""

from __future__ import annotations

import datetime as dt
import imaplib
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import dovecot_server
import pytest
from mail_helpers import DeliveryHarness, free_port
from test_incoming_mail import A, report, send_weeks

from paperagent.config import values
from paperagent.digest.delivery.inbox import HANDLED, Inbox
from paperagent.digest.incoming_mail import MailReader, read_inbox
from paperagent.errors import MailError

TODAY = dt.datetime.now(tz=dt.UTC).date()
USER = "digest@test.example"


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with no subscribers yet."""
    return DeliveryHarness(tmp_path / "digest.db")


# --- a real server ---


@pytest.fixture(scope="module")
def dovecot() -> Iterator[tuple[int, int, Path]]:
    """Run Dovecot; its sockets need a path shorter than pytest's."""
    if reason := dovecot_server.missing():
        pytest.skip(reason)
    short = tempfile.TemporaryDirectory(prefix="dc", dir="/tmp")
    with short as folder, dovecot_server.serving(Path(folder)) as (port, tls_port):
        yield port, tls_port, Path(folder)


@pytest.fixture
def box(dovecot: tuple[int, int, Path]) -> Iterator[imaplib.IMAP4]:
    """Log in as the user and give an empty mailbox."""
    port, _, folder = dovecot
    shutil.rmtree(folder / "mail" / "digest", ignore_errors=True)
    client = imaplib.IMAP4("127.0.0.1", port)
    client.authenticate("PLAIN", lambda _: f"\0{USER}\0{dovecot_server.PASSWORD}".encode())
    client.select()
    yield client
    client.logout()


def url(port: int, scheme: str = "imap", host: str = "127.0.0.1") -> str:
    address = (
        f"{scheme}://{quote(USER, safe='')}:{quote(dovecot_server.PASSWORD, safe='')}@{host}:{port}/INBOX"
    )
    assert values.imap_url(address) == address
    return address


def letter(subject: str, sender: str = A) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = sender, subject
    mail.set_content("…")
    return mail.as_bytes()


def flags(box: imaplib.IMAP4) -> list[set[str]]:
    """Return the flags of each message, without the one that a new session takes away."""
    box.noop()
    box.response("FETCH")  # what the other session has changed
    _, answers = box.fetch("1:*", "(FLAGS)")
    return [{f.decode() for f in imaplib.ParseFlags(a)} - {"\\Recent"} for a in answers]


def test_a_mailbox_of_everything(
    harness: DeliveryHarness, dovecot: tuple[int, int, Path], box: imaplib.IMAP4
) -> None:
    """A request, two bounces, an absence notice and a letter: each is read once and only marked."""
    first, second = send_weeks(harness, 26, 27)
    send_weeks(harness, 26, email="b@test.example")
    away = b"Auto-Submitted: auto-replied\r\n" + letter("Re: 8 papers")
    bounces = [report(message_id).as_string().encode() for message_id in (first, second)]
    mails = [
        letter("AW: unsubscribe", "b@test.example"), bounces[0], bounces[1], away,
        letter("a question"),
    ]  # fmt: skip
    for mail in mails:
        box.append("INBOX", "", None, mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))  # type: ignore[arg-type]
    box.select()
    box.store("5", "+FLAGS", "(\\Deleted)")  # the user's own flags stay, and nothing is expunged
    inbox = Inbox(url(dovecot[0]))
    reader = MailReader(harness.subscribers, harness.ledger, None, clock=harness.clock)
    dry = read_inbox(inbox, reader, harness.clock(), dry_run=True)
    assert dry.counts == {"unsubscribed": 1, "bounced": 2, "ignored": 1, "other": 1}
    assert flags(box) == [set(), set(), set(), set(), {"\\Deleted"}]
    assert {s.state for s in harness.subscribers.all()} == {"confirmed"}
    done = read_inbox(inbox, reader, harness.clock())
    assert done.counts == {"unsubscribed": 1, "bounced": 1, "suspended": 1, "ignored": 1, "other": 1}
    assert [s.state for s in harness.subscribers.all()] == ["bounced", "unsubscribed"]
    assert flags(box) == [{HANDLED}, {HANDLED}, {HANDLED}, {HANDLED}, {HANDLED, "\\Deleted"}]
    assert read_inbox(inbox, reader, harness.clock()).counts == {}


def test_tls_is_verified(dovecot: tuple[int, int, Path], box: imaplib.IMAP4) -> None:
    """With the server's certificate it works; without, there is one line and no login."""
    box.append("INBOX", "", None, letter("hello"))  # type: ignore[arg-type]
    _, tls_port, folder = dovecot
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    trusting = Inbox(url(tls_port, "imaps", "localhost"), context=context)
    assert [mail["Subject"] for mail in trusting.messages(today=TODAY, read_only=True)] == ["hello"]
    with pytest.raises(MailError, match="certificate is not valid"):
        list(Inbox(url(tls_port, "imaps", "localhost")).messages(today=TODAY))


def test_a_large_message_is_read_in_part(dovecot: tuple[int, int, Path], box: imaplib.IMAP4) -> None:
    box.append("INBOX", "", None, letter("long") + b"x" * 76 * 40_000)  # type: ignore[arg-type]
    (mail,) = Inbox(url(dovecot[0])).messages(today=TODAY)
    assert mail["Subject"] == "long"
    assert 900_000 < len(mail.as_bytes()) <= 1_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("hunter2", "wrong"), "login rejected; check user and password in PAPERAGENT_IMAP_URL"),
        (("INBOX", "Nowhere"), "no such folder"),
    ],
)
def test_a_wrong_address(
    dovecot: tuple[int, int, Path], box: imaplib.IMAP4, change: tuple[str, str], message: str
) -> None:
    wrong = Inbox(url(dovecot[0]).replace(*change))
    with pytest.raises(MailError, match=message) as caught:
        list(wrong.messages(today=TODAY))
    assert "hunter2" not in str(caught.value)
    assert "wrong" not in str(caught.value).partition(";")[0]


# --- a server of our own ---


@contextmanager
def scripted(
    answer: Callable[[str], str | None], greeting: str = "* OK ready"
) -> Iterator[tuple[int, list[str]]]:
    """Run an IMAP server: ``answer`` gives the untagged lines for a command, None hangs up."""
    commands: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(f"{greeting}\r\n".encode())
            stream.flush()
            for line in stream:
                tag, _, command = line.decode().strip().partition(" ")
                commands.append(command)
                untagged = answer(command)
                if untagged is None:
                    return
                status = "NO" if untagged.startswith("NO ") else "OK"
                stream.write(
                    f"{'' if status == 'NO' else untagged}{tag} {status} done {command}\r\n".encode()
                )
                stream.flush()

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], commands
    finally:
        listener.close()
        thread.join(timeout=10)


BODY = "From: a@test.example\r\nSubject: unsubscribe\r\n\r\n"


def server(*, keywords: bool, at: str = "") -> Callable[[str], str | None]:
    """Return the answers of a mailbox with one message; None for the commands that begin with ``at``."""

    def answer(command: str) -> str | None:
        if at and command.startswith(at):
            return None
        if command.startswith("CAPABILITY"):
            return "* CAPABILITY IMAP4rev1\r\n"
        if command.startswith("SELECT"):
            flag = " \\*" if keywords else ""
            return f"* 1 EXISTS\r\n* OK [PERMANENTFLAGS (\\Seen{flag})] ok\r\n"
        if command.startswith("UID SEARCH"):
            return "* SEARCH 7\r\n"
        if command.startswith("UID FETCH"):
            return f"* 1 FETCH (UID 7 BODY[]<0> {{{len(BODY)}}}\r\n{BODY})\r\n"
        return ""

    return answer


@pytest.mark.parametrize("keywords", [True, False])
def test_only_these_commands_are_sent(harness: DeliveryHarness, *, keywords: bool) -> None:
    """A server without keywords is asked for the same messages again, and nothing else is written to it."""
    harness.plan(A)
    reader = MailReader(harness.subscribers, harness.ledger, None, clock=harness.clock)
    with scripted(server(keywords=keywords)) as (port, commands):
        inbox = Inbox(f"imap://me:hunter2@127.0.0.1:{port}")
        assert read_inbox(inbox, reader, harness.clock()).counts == {"unsubscribed": 1}
    mark = [f"UID STORE 7 +FLAGS.SILENT ({HANDLED})"] if keywords else []
    assert commands == [
        "CAPABILITY", 'LOGIN me "hunter2"', 'SELECT "INBOX"',
        f"UID SEARCH UNKEYWORD {HANDLED} SINCE 30-May-2026",
        "UID FETCH 7 (BODY.PEEK[]<0.1000000>)", *mark, "LOGOUT",
    ]  # fmt: skip


@pytest.mark.parametrize("at", ["CAPABILITY", "LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE"])
def test_a_lost_connection(harness: DeliveryHarness, at: str) -> None:
    """One line; what was handled before stays handled, so the next run may read it again."""
    harness.plan(A)
    reader = MailReader(harness.subscribers, harness.ledger, None, clock=harness.clock)
    error = pytest.raises(MailError, match=r"mailbox INBOX at 127\.0\.0\.1:\d+: .*; .*PAPERAGENT_IMAP_URL")
    with scripted(server(keywords=True, at=at)) as (port, _), error:
        read_inbox(Inbox(f"imap://me:hunter2@127.0.0.1:{port}"), reader, harness.clock())
    assert (harness.subscribers.find(A).state == "unsubscribed") == (at == "UID STORE")


def test_a_server_that_repeats_the_password() -> None:
    def answer(command: str) -> str | None:
        return "NO " if command.startswith("LOGIN") else server(keywords=True)(command)

    with scripted(answer) as (port, _), pytest.raises(MailError, match="login rejected") as caught:
        list(Inbox(f"imap://me:hunter2@127.0.0.1:{port}").messages(today=TODAY))
    assert "hunter2" not in str(caught.value)


def test_no_server() -> None:
    with pytest.raises(MailError, match="the connection failed"):
        list(Inbox(f"imap://me:pw@127.0.0.1:{free_port()}").messages(today=TODAY))


@pytest.mark.parametrize(
    "address",
    [
        "smtp://me:pw@host",
        "imaps://host/INBOX",
        "imaps://me@host",
        "imaps://me:pw@",
        "imaps://me:pw@h/%C3%A4",
    ],
)
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"write imaps://|UTF-7|not a valid"):
        values.imap_url(address)
