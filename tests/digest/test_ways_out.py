"""Every mail says in its body how to unsubscribe, whatever the settings were when it was built."""

from __future__ import annotations

import html
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from mail_helpers import WEEK, DeliveryHarness
from test_incoming_mail import A, reader

from paperagent.digest.delivery.stored_issues import NewIssue
from paperagent.digest.links import SubscriberLinks
from paperagent.digest.mailer import Mailer
from paperagent.digest.render.renderer import Rendered, with_unsubscribe

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - made up
SENDER = "Papers <digest@test.example>"
PAGE = {"public_url": "https://papers.example.org", "secret": SECRET}


def composed(harness: DeliveryHarness, folder: Path, **settings: Any) -> EmailMessage:
    """Return the mail of an issue that was built without any link."""
    subscriber = harness.subscribers.add(A, confirmed=True).subscriber
    issue = NewIssue(
        WEEK, subscriber.id, "Papers", "…", "<html><body><p>Hello</p></body></html>", "Hello\n",
        message_id="<2026-W26.1@test.example>",
    )  # fmt: skip
    harness.ledger.store_issues([issue], harness.clock())
    (delivery,) = harness.ledger.due(harness.clock())
    mailer = Mailer(folder, **settings)
    raw = mailer.compose(harness.ledger.issue(delivery.issue_id), delivery)
    assert raw == mailer.compose(harness.ledger.issue(delivery.issue_id), delivery)
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize(
    ("settings", "way"),
    [
        ({"sender": SENDER}, r"mailto:digest@test\.example\?subject=unsubscribe"),
        (
            {"sender": SENDER, "secret": SECRET},
            r"mailto:digest@test\.example\?subject=unsubscribe%20[\w.%-]+",
        ),
        ({"contact": "desk@test.example"}, r"mailto:desk@test\.example\?subject=unsubscribe"),
        (PAGE, r"https://papers\.example\.org/unsubscribe/[\w.-]+"),
        ({**PAGE, "sender": SENDER}, r"https://papers\.example\.org/unsubscribe/[\w.-]+"),
    ],
)
def test_the_body_and_the_header_name_it(tmp_path: Path, settings: dict[str, Any], way: str) -> None:
    """In the text, in the HTML as a link, and in List-Unsubscribe."""
    message = composed(DeliveryHarness(tmp_path / "digest.db"), tmp_path, **settings)
    text, body = (str(part.get_content()) for part in message.iter_parts())
    (link,) = re.findall(rf"^Unsubscribe: ({way})$", text.replace("\r\n", "\n"), re.MULTILINE)
    assert f'<a href="{html.escape(link)}">Unsubscribe</a>' in body
    assert body.rstrip().endswith("</body></html>")
    assert f"<{link}>" in message["List-Unsubscribe"]
    assert not Mailer(tmp_path, **settings).lacks_unsubscribe


def test_the_mailto_of_a_mail_is_understood(tmp_path: Path) -> None:
    """What its link writes unsubscribes, with and without a secret."""
    from email import message_from_string
    from urllib.parse import unquote

    for number, secret in enumerate((None, SECRET)):
        harness = DeliveryHarness(tmp_path / f"{number}.db")
        message = composed(harness, tmp_path, sender=SENDER, secret=secret)
        subject = unquote(message["List-Unsubscribe"].rpartition("subject=")[2].rstrip(">"))
        reply = message_from_string(f"From: {A}\nSubject: Re: {subject}\n\n")
        tokens = Mailer(tmp_path, secret=secret).tokens
        assert reader(harness, tokens).read(reply) == ("unsubscribed", A)


@pytest.mark.parametrize("settings", [{}, {"contact": "https://example.org/us"}, {"secret": SECRET}])
def test_settings_without_a_way(tmp_path: Path, settings: dict[str, Any]) -> None:
    """No address and no page: the commands warn, because there is nothing to name."""
    assert Mailer(tmp_path, **settings).lacks_unsubscribe


def test_a_mail_that_names_it_stays() -> None:
    """Nothing is added twice, and HTML without a body gets it at the end."""
    links = SubscriberLinks(unsubscribe="https://x.example/u?a=1&b=2", mailto="mailto:d@x.example")
    for way in ("https://x.example/u?a=1&b=2", "mailto:d@x.example"):
        rendered = Rendered("s", "p", f'<a href="{html.escape(way)}">u</a>', f"u: {way}\n")
        assert with_unsubscribe(rendered, links) == rendered
    added = with_unsubscribe(Rendered("s", "p", "<p>x</p>", "x\n"), links)
    assert added.html == '<p>x</p><p><a href="https://x.example/u?a=1&amp;b=2">Unsubscribe</a></p>\n'
    assert added.text == "x\n\nUnsubscribe: https://x.example/u?a=1&b=2\n"
