"""The bytes of a mail: the headers that are meant and no other, bodies that come back as they were."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import re
from dataclasses import replace
from email.message import EmailMessage
from html import unescape
from typing import Any

import issues
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attack_strings
from paperagent.digest.delivery.message import build_message, header_text, mailbox, message_id
from paperagent.digest.render.renderer import Rendered, render_confirmation, render_issue
from paperagent.errors import InputError, MailError
from paperagent.layout import UNVERIFIED

NAMES = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post", "Feedback-ID", "MIME-Version", "Content-Type",
]  # fmt: skip
URL = f"{issues.BASE}/unsubscribe/{issues.TOKEN}{'x' * 200}"
MAILTO = "mailto:papers@test.example?subject=unsubscribe"


def mail(rendered: Rendered | None = None, **changes: Any) -> bytes:
    """Build a mail of the usual issue with the usual ends."""
    given_: dict[str, Any] = {
        "sender": "Papers <papers@test.example>",
        "recipient": "reader@test.example",
        "issue_id": "2026-W26/7",
        "date": dt.datetime(2026, 6, 29, 7, 0, tzinfo=dt.UTC),
        "unsubscribe_url": URL,
        "mailto": MAILTO,
    }
    return build_message(rendered or Rendered("A subject", "p", "<p>x</p>", "x"), **(given_ | changes))


def read(raw: bytes) -> EmailMessage:
    """Parse as a mail program does."""
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


def names(raw: bytes) -> list[str]:
    """Return the header names from the raw lines, by no parser's leave."""
    block = raw[: raw.index(b"\r\n\r\n")].decode("utf-8")
    return [line.partition(":")[0] for line in block.split("\r\n") if line[0] not in " \t"]


def test_the_headers_are_those_of_a_digest_and_no_more() -> None:
    """A list's headers for one-click unsubscribing; no Precedence, Bcc or X-Mailer."""
    raw = mail()
    assert names(raw) == NAMES
    message = read(raw)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == dt.datetime(2026, 6, 29, 7, 0, tzinfo=dt.UTC)
    assert message["List-Id"] == "Paper digest <digest.test.example>"


def test_both_parts_of_a_mail_show_the_sentence_under_an_unverified_claim() -> None:
    """As a mail program decodes them."""
    message = read(mail(render_issue(issues.written())))
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        body = " ".join(unescape(re.sub(r"<[^>]+>", " ", part.get_content())).split())
        start = f"finding 2 holds up. [2] {UNVERIFIED} “Our index takes 3.2 ms on 10⁹ vectors, "
        assert start in body
        assert body.partition(start)[2].startswith("4.7× faster than a graph of the same recall.” [2]")


def test_the_list_headers_stand_verbatim_in_the_bytes() -> None:
    """However long the address: no encoded word and no folding, where RFC 2047 forbids one."""
    raw = mail()
    assert len(URL) > 300
    assert f"\r\nList-Unsubscribe: <{URL}>, <{MAILTO}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw


def test_without_a_web_page_unsubscribing_goes_by_mail() -> None:
    """The mailto stands alone, by default to the sender; one-click needs https."""
    raw = mail(unsubscribe_url=None, mailto=None)
    assert b"\r\nList-Unsubscribe: <mailto:papers@test.example?subject=unsubscribe>\r\n" in raw
    assert "List-Unsubscribe-Post" not in names(raw)
    assert "List-Unsubscribe-Post" not in names(mail(unsubscribe_url="http://127.0.0.1:8000/u/x"))


def test_both_bodies_come_back_as_they_were() -> None:
    """Text first, then HTML, both quoted-printable in lines of at most 76 bytes, UTF-8."""
    rendered = render_issue(issues.issue(), links=issues.LINKS)
    raw = mail(rendered)
    message = read(raw)
    parts = list(message.iter_parts())
    assert [p.get_content_type() for p in parts] == ["text/plain", "text/html"]
    assert {p["Content-Transfer-Encoding"] for p in parts} == {"quoted-printable"}
    text, html = (p.get_content() for p in parts)
    assert text.replace("\r\n", "\n").strip() == rendered.text.strip()
    assert html.replace("\r\n", "\n").strip() == rendered.html.strip()
    body = raw[raw.index(b"\r\n\r\n") :]
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert not message.defects


def test_the_same_arguments_give_the_same_bytes() -> None:
    """A message sent again after a crash is the same message."""
    assert mail() == mail()
    assert mail() != mail(recipient="other@test.example")


def test_a_message_id_is_short_and_of_its_issue_and_subscriber() -> None:
    """Under 78 characters whatever the names are; case of the address does not count."""
    one = message_id("2026-W26/7", "Reader@test.example", "test.example")
    assert one == message_id("2026-W26/7", "reader@test.example", "test.example")
    assert one != message_id("2026-W27/7", "reader@test.example", "test.example")
    assert re.fullmatch(r"<2026-W26-7\.[0-9a-f]{16}@test\.example>", one)
    for issue in ("2026-06-01..2026-06-20/12345", "x" * 500, "", "a b\r\nc<>@"):
        for domain in ("a.example", "sub." * 50 + "example"):
            made = message_id(issue, "reader@test.example", domain)
            assert len(made) < 78
            assert re.fullmatch(r"<[A-Za-z0-9.-]+@[a-z.]+>", made)


SUBJECTS = {
    "bad-330": "3 papers\r\nBcc: victim@x.example",
    "bad-331": "=?UTF-8?Q?x=0ABcc:_e@e?=",
    "bad-332": "a title\n",
    "bad-332b": "a title\n\nbody",
    "bad-333": "word " * 1000,
    "folded": "a\r\n b",
    "nested": "=?=??utf-8?q?x=0D=0ABcc:_e@e?=?=",
    "split": "x" * 60 + " =?utf-8?b?Cg==?= =?utf-8?b?QmNjOiBhQGI=?=",
    "separators": "a\u2028Bcc: x@y\u2029b\x85c\x0bd\x0ce",
    "surrogate": "a\ud800b",
    "nul": "a\x00b",
    "invisible": "=\u200b?utf-8?q?=0ABcc:_x?=",
    "combining": "=\ufe0f?utf-8?q?=0ABcc:_x?=",
    "only controls": "\r\n\r\n",
    "long word": "é" * 5000,
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_a_hostile_subject_adds_no_header(subject: str) -> None:
    """bad-330 to bad-333: cleaned first, and the bytes are read back; at most 120 characters remain."""
    raw = mail(Rendered(subject, "", "<p>x</p>", "x"))
    assert names(raw) == NAMES
    message = read(raw)
    assert list(message.keys()) == NAMES
    assert message["Subject"] == header_text(subject)
    assert len(message["Subject"]) <= 120
    assert message["Bcc"] is None


def test_no_attack_changes_the_headers() -> None:
    """Every attack string as subject, and as the sender's name, leaves the header set as it is."""
    for text in attack_strings.texts():
        raw = mail(Rendered(text, "", text, text))
        assert names(raw) == NAMES
        parts = list(read(raw).iter_parts())
        assert [p.get_content_type() for p in parts] == ["text/plain", "text/html"]


@given(st.text(max_size=200), st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_text_makes_a_message_that_reads_back(subject: str, body: str) -> None:
    """Header set and subject are as meant, and the body has no line over 76 bytes and no bare line end."""
    raw = mail(Rendered(subject, "", body, body))
    assert list(read(raw).keys()) == NAMES
    assert read(raw)["Subject"] == header_text(subject)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", raw)
    assert max(map(len, raw[raw.index(b"\r\n\r\n") :].split(b"\r\n"))) <= 76


@pytest.mark.parametrize(
    "sender",
    [
        "=?utf-8?q?a=0ABcc:_x=40y.example?= <papers@test.example>",
        '"Papers, the \\"best\\"" <papers@test.example>',
        "Papers für alle <papers@test.example>",
        "x" * 300 + " <papers@test.example>",
    ],
)
def test_a_display_name_is_guarded_as_the_subject(sender: str) -> None:
    """bad-334: no header comes of a name, and the address stays the address."""
    raw = mail(sender=sender)
    assert names(raw) == NAMES
    assert read(raw)["From"].addresses[0].addr_spec == "papers@test.example"


@pytest.mark.parametrize(
    "address",
    [
        "reader@test.example\r\nBcc: v@x.example", "a@b>\r\nRCPT TO:<c@d", "a@b@c.example", "reader",
        "@x.example",
        "a@x.example\x00", "a@b.example, c@d.example", "a@b..example", "<a@b.example> <c@d.example>", "",
        "a" * 400 + "@x.example",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    """bad-323, bad-324, bad-327: one line that says why; no message is made."""
    with pytest.raises(InputError, match="email ") as caught:
        mail(recipient=address)
    assert str(caught.value).isprintable()


def test_a_name_beside_the_recipient_s_address_is_dropped() -> None:
    """bad-325: only the address is written to, and stands in To."""
    assert b"\r\nTo: reader@test.example\r\n" in mail(recipient="Name <reader@test.example>")


def test_an_international_domain_is_written_in_ascii() -> None:
    """IDN: the domain's ASCII form stands in the header; no SMTPUTF8 is needed."""
    assert b"\r\nTo: reader@xn--bcher-kva.example\r\n" in mail(recipient="reader@bücher.example")
    assert not mailbox("reader@bücher.example").needs_smtputf8


def test_an_international_name_needs_a_server_that_takes_it() -> None:
    """bad-326: without SMTPUTF8 it is refused with the reason; with it the header is UTF-8."""
    with pytest.raises(MailError, match="not ASCII, and the server does not support SMTPUTF8"):
        mail(recipient="bücher@test.example")
    raw = mail(recipient="bücher@test.example", smtputf8=True)
    assert "\r\nTo: bücher@test.example\r\n".encode() in raw
    assert names(raw) == NAMES


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a b",
        "https://x.example/>,<mailto:v@x",
        "javascript:x",
        "https://é.example/",
        "x\r\ny",
    ],
)
def test_a_link_that_would_break_the_header_is_refused(url: str) -> None:
    """A bracket, comma, space or letter beyond ASCII would end or hide the address."""
    with pytest.raises(InputError, match="unsubscribe: "):
        mail(unsubscribe_url=url)
    with pytest.raises(MailError, match="List-Unsubscribe cannot be written"):
        mail(unsubscribe_url="https://x.example/" + "x" * 1000)


@pytest.mark.parametrize(
    "body",
    [
        ".\n..\n.x",
        "a\rb\r\nc\nd",
        "x" * 5000,
        "From here\n>From",
        "=3D = =\n",
        "tab\t\ntrail  \n",
        "é" * 3000,
    ],
)
def test_any_body_survives(body: str) -> None:
    """bad-335 to bad-337: dots, bare line ends and lines of any length come back with CRLF line ends."""
    message = read(mail(Rendered("s", "", body, body)))
    wanted = re.sub(r"\r\n|\r|\n", "\n", body)
    for part in message.iter_parts():
        assert part.get_content().replace("\r\n", "\n") == wanted


def test_a_body_with_what_no_mail_holds_is_cleaned() -> None:
    """bad-338: a lone surrogate becomes a question mark, NUL goes."""
    message = read(mail(Rendered("s", "", "a\ud800b\x00c", "a\ud800b\x00c")))
    assert [p.get_content().strip() for p in message.iter_parts()] == ["a?bc", "a?bc"]


def test_a_confirmation_is_no_list_mail() -> None:
    """What asks for consent cannot be unsubscribed from."""
    raw = mail(render_confirmation(token=issues.TOKEN), is_list=False)
    assert not [n for n in names(raw) if n.startswith(("List-", "Feedback"))]
    assert "Auto-Submitted" in names(raw)


def test_a_title_cannot_close_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should cleaning ever fail, the bytes are read back and the mail is withheld."""
    monkeypatch.setattr("paperagent.digest.delivery.message.header_text", lambda text, limit=120: text)
    with pytest.raises(MailError, match=r"withheld|cannot be written"):
        mail(replace(render_issue(issues.issue()), subject="=?UTF-8?Q?x=0ABcc:_e@e?="))
