"""Who may unsubscribe whom by mail, which bounce counts, and everything else that lies in a mailbox."""

from __future__ import annotations

import mailbox
from email import message_from_bytes, message_from_string
from email.message import EmailMessage, Message
from pathlib import Path
from urllib.parse import unquote

import pytest
from mail_helpers import DeliveryHarness, Script, serving, transport

from paperagent.digest.delivery.transport import Outbox
from paperagent.digest.incoming_mail import MailReader, parse_bounce, read_unsubscribes
from paperagent.digest.issue import Period
from paperagent.digest.links import LinkBuilder, SignedTokens
from paperagent.errors import FeedError

A = "a@test.example"
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up


@pytest.fixture
def harness(tmp_path: Path) -> DeliveryHarness:
    """Return a digest with no subscribers yet."""
    return DeliveryHarness(tmp_path / "digest.db")


def reader(harness: DeliveryHarness, tokens: SignedTokens | None = None) -> MailReader:
    return MailReader(harness.subscribers, harness.ledger, tokens, clock=harness.clock)


# --- unsubscribing by mail ---


def box(path: Path, *mails: tuple[str, str]) -> Path:
    """Write a mailbox of subjects and senders."""
    made = mailbox.mbox(path)
    for subject, sender in mails:
        mail = EmailMessage()
        mail["Subject"], mail["From"] = subject, sender
        mail.set_content("…")
        made.add(mail)
    made.close()
    return path


def test_unsubscribing_by_mail_needs_the_token(harness: DeliveryHarness, tmp_path: Path) -> None:
    """Anybody can write a sender's address: with a secret only the token counts, and the rest is told."""
    harness.plan(A, "b@test.example", "c@test.example")
    signed = SignedTokens(SECRET)
    path = box(
        tmp_path / "box",
        (f"unsubscribe {signed.create('unsubscribe', 1)}", "someone@else.example"),
        (f"Re: UNSUBSCRIBE {signed.create('unsubscribe', 1)}", A),
        ("unsubscribe", "b@test.example"),
        ("unsubscribe forged.token", "c@test.example"),
        ("holiday pictures", "c@test.example"),
    )
    done = read_unsubscribes(path, reader(harness, signed))
    assert done.counts["unsubscribed"] == 1
    assert [where for where, _ in done.problems] == ["mail 3", "mail 4", "mail 5"]
    assert "subscribers remove b@test.example" in done.problems[0][1]
    assert [s.state for s in harness.subscribers.all()] == ["unsubscribed", "confirmed", "confirmed"]


def test_without_a_secret_the_sender_must_do(harness: DeliveryHarness, tmp_path: Path) -> None:
    """There are no tokens then; unknown senders are told."""
    harness.plan(A)
    path = box(tmp_path / "box", ("unsubscribe", f"Ana <{A}>"), ("unsubscribe", "who@else.example"))
    done = read_unsubscribes(path, reader(harness))
    assert (done.counts["unsubscribed"], len(done.problems)) == (1, 1)
    with pytest.raises(FeedError, match="no such mailbox"):
        read_unsubscribes(tmp_path / "none", reader(harness))


PREFIXES = [
    "", "Re: ", "RE: ", "AW: ", "WG: ", "Fwd: ", "FW: ", "SV: ", "VS: ", "Antw: ", "R: ", "TR: ", "RV: ",
    "回复：", "Re[2]: ", "Re (3): ", "RE: [EXTERNAL] ", "[EXT] ", "[EXTERN] AW: ", "[EXTERNAL]", "External: ",
    "AW: Re: Fwd: ", "(External) ", "*EXTERN* ", "Re : ",
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_subject_of_the_link_unsubscribes_under_any_prefix(harness: DeliveryHarness, prefix: str) -> None:
    """What our own mailto link writes, as mail programs and gateways change it."""
    harness.plan(A)
    tokens = SignedTokens(SECRET)
    link = str(LinkBuilder(None, tokens, "digest@test.example").links_for(1).mailto)
    subject = unquote(link.partition("?subject=")[2])
    written = EmailMessage()
    written["From"], written["Subject"] = "Somebody <else@where.example>", prefix + subject
    mail = message_from_bytes(written.as_bytes())
    assert reader(harness, tokens).read(mail, dry_run=True) == ("unsubscribed", A)
    assert harness.subscribers.find(A).is_confirmed
    assert reader(harness, tokens).read(mail) == ("unsubscribed", A)
    assert reader(harness, tokens).read(mail)[0] == "ignored"  # a second time changes nothing
    assert harness.subscribers.find(A).state == "unsubscribed"


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?q?AW=3A_unsubscribe?=",
        "=?utf-8?B?UmU6IHVuc3Vic2NyaWJl?=",
        "=?iso-8859-1?Q?Re:_UNSUBSCRIBE?=",
        "Unsubscribe [EXTERNAL]",
    ],
)
def test_encoded_subjects(harness: DeliveryHarness, subject: str) -> None:
    """Without a secret, the sender's address identifies the subscriber."""
    harness.plan(A)
    mail = message_from_string(f"From: {A}\nSubject: {subject}\n\nplease\n")
    assert reader(harness).read(mail) == ("unsubscribed", A)


@pytest.mark.parametrize("word", ["=?utf-8?b?a?=", "=?utf\udcc3-8?q?a?=", "=?none?q?a?=", "=?idna?q?a..b?="])
def test_headers_that_cannot_be_decoded(harness: DeliveryHarness, tmp_path: Path, word: str) -> None:
    """Anybody can write one; the mails after it are read all the same."""
    harness.plan(A)
    bad = f"From x\nFrom: {word} <x@y.example>\nSubject: {word}\nDate: {word}\n\nhi\n\n"
    path = tmp_path / "box"
    path.write_text(f"{bad}From x\nFrom: {A}\nSubject: unsubscribe\n\nhi\n", errors="surrogateescape")
    report = read_unsubscribes(path, reader(harness))
    assert report.changes == [("unsubscribed", A)]
    assert [where for where, _ in report.problems] == ["mail 1"]


@pytest.mark.parametrize(
    "subject",
    ["Re: 8 papers: Retrieval — 2026-W26", "how to unsubscribe", "unsubscribe me, please", "Re:" * 200, ""],
)
def test_a_letter_is_left_alone(harness: DeliveryHarness, subject: str) -> None:
    """A person reads it."""
    harness.plan(A)
    mail = Message()
    mail["From"], mail["Subject"] = A, subject
    assert reader(harness).read(mail)[0] == "other"
    assert harness.subscribers.find(A).is_confirmed


@pytest.mark.parametrize(
    "header",
    ["Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated (vacation)", "Precedence: auto_reply",
     "X-Autoreply: yes"],
)  # fmt: skip
def test_automatic_replies_are_ignored(harness: DeliveryHarness, header: str) -> None:
    """An absence notice is neither a request nor a letter; only a token outweighs that."""
    harness.plan(A)
    for subject in ("Re: 8 papers", "unsubscribe"):
        mail = message_from_string(f"From: {A}\nSubject: {subject}\n{header}\n\nI am away\n")
        assert reader(harness).read(mail)[0] == "ignored"
    tokens = SignedTokens(SECRET)
    subject = f"unsubscribe {tokens.create('unsubscribe', 1)}"
    mail = message_from_string(f"From: x@y.example\nSubject: {subject}\n{header}\n\n")
    assert reader(harness, tokens).read(mail) == ("unsubscribed", A)


# --- bounces ---

REPORT = """\
From: MAILER-DAEMON@mail.example (Mail Delivery System)
To: digest@paperagent.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

I'm sorry to have to inform you …

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example
X-Queue-ID: 4B1

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user

--B
Content-Type: {returned}

From: digest@paperagent.example
Message-ID: {message_id}
Subject: unsubscribe

the mail
--B--
"""


def report(message_id: str, **changes: str) -> Message:
    """Return a delivery report as Postfix writes it."""
    fields = {"recipient": A, "action": "failed", "status": "5.1.1", "returned": "message/rfc822"}
    return message_from_string(REPORT.format(**(fields | {"message_id": message_id} | changes)))


def send_weeks(harness: DeliveryHarness, *weeks: int, email: str = A) -> list[str]:
    """Send issues of several weeks and return their Message-IDs."""
    ids = []
    for week in weeks:
        name = f"2026-W{week}"
        harness.plan(email, period=Period(name, harness.clock().date(), harness.clock().date()))
        script = Script()
        with serving(script) as url:
            harness.send(transport(url))
        ids += script.ids()
        harness.clock.wait(days=7)
    return ids


def test_two_bounces_in_a_row_suspend(harness: DeliveryHarness) -> None:
    """The first is recorded, and its papers may come again; the second of another issue ends the mails."""
    first, second = send_weeks(harness, 26, 27)
    read = reader(harness).read
    assert read(report(first), dry_run=True) == ("bounced", f"{A} (5.1.1)")
    assert harness.states() == {A: "sent"}
    assert read(report(first)) == ("bounced", f"{A} (5.1.1)")
    assert read(report(first))[0] == "ignored"  # the same report twice is one bounce
    subscriber = harness.subscribers.find(A)
    assert subscriber.state == "confirmed"
    assert harness.subscribers.preferences_with_feedback(subscriber).seen == {"paper-2026-W27-1"}
    assert read(report(second, returned="text/rfc822-headers")) == ("suspended", f"{A} (5.1.1)")
    assert harness.subscribers.find(A).state == "bounced"
    assert [d.state for d in harness.ledger.deliveries()] == ["bounced", "bounced"]


def test_an_issue_that_arrives_in_between_starts_anew(harness: DeliveryHarness) -> None:
    first, _, third = send_weeks(harness, 26, 27, 28)
    assert reader(harness).read(report(first))[0] == "bounced"
    assert reader(harness).read(report(third))[0] == "bounced"
    assert harness.subscribers.find(A).is_confirmed


def test_who_confirms_again_starts_anew(harness: DeliveryHarness) -> None:
    """Bounces before the confirmation do not count."""
    ids = send_weeks(harness, 26, 27)
    for message_id in ids:
        reader(harness).read(report(message_id))
    harness.subscribers.add(A, confirmed=True)
    assert harness.subscribers.find(A).is_confirmed
    (third,) = send_weeks(harness, 28)
    assert reader(harness).read(report(third))[0] == "bounced"
    assert harness.subscribers.find(A).is_confirmed


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"action": "delayed", "status": "4.4.1"}, "ignored"),
        ({"status": "4.2.2"}, "ignored"),
        ({"action": "delivered", "status": "2.0.0"}, "ignored"),
        ({"action": "relayed", "status": "5.0.0"}, "ignored"),
        ({"message_id": "<forged.1@paperagent.example>"}, "unclear"),
        ({"recipient": "b@test.example"}, "unclear"),
        ({"recipient": "not an address"}, "unclear"),
        ({"returned": "text/plain"}, "unclear"),
    ],
)
def test_what_is_no_bounce_of_ours(harness: DeliveryHarness, changes: dict[str, str], kind: str) -> None:
    """Delays count nothing; a report without our Message-ID, or for another address, proves nothing."""
    for message_id in send_weeks(harness, 26, 27):
        assert reader(harness).read(report(**{"message_id": message_id, **changes}))[0] == kind
    assert harness.subscribers.find(A).is_confirmed
    assert {d.state for d in harness.ledger.deliveries()} == {"sent"}


def test_nothing_bounces_that_was_not_sent(harness: DeliveryHarness, tmp_path: Path) -> None:
    """A report about a planned or merely written issue is forged."""
    harness.plan(A)
    message_id = harness.ledger.deliveries()[0].message_id
    assert reader(harness).read(report(message_id))[0] == "unclear"
    harness.send(Outbox(tmp_path / "outbox"))
    assert reader(harness).read(report(message_id))[0] == "unclear"
    assert harness.states() == {A: "written"}


def test_message_ids_cannot_be_guessed() -> None:
    """With a secret, who knows an address still cannot forge the proof of a bounce."""
    from paperagent.digest.delivery.message import message_id

    key = LinkBuilder(tokens=SignedTokens(SECRET)).message_key
    assert message_id("2026-W26/1", A, "test.example", key=key) != message_id("2026-W26/1", A, "test.example")
    assert key != LinkBuilder(tokens=SignedTokens(SECRET[::-1])).message_key
    assert LinkBuilder().message_key == b""


@pytest.mark.parametrize(
    "raw",
    [
        "Content-Type: multipart/report\n\n",
        "Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n\n",
        "Content-Type: message/delivery-status\n\nAction: failed\n",
        "Content-Type: multipart/report; boundary=x\n\n" + "--x\nContent-Type: message/rfc822\n\n\n" * 200,
    ],
)
def test_broken_reports(harness: DeliveryHarness, raw: str) -> None:
    mail = message_from_string(raw)
    assert parse_bounce(mail) is None
    assert reader(harness).read(mail)[0] in {"ignored", "other"}
