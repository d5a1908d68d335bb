"""Compose the digest's emails and choose how they leave: through a mail server, or into an outbox."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.digest.delivery import message
from paperagent.digest.delivery.transport import ConnectionLost, Outbox, Rejected, Transport
from paperagent.digest.links import LinkBuilder, SignedTokens
from paperagent.digest.render.renderer import (
    Rendered,
    render_already_subscribed,
    render_confirmation,
    render_sign_in,
    render_test,
    with_unsubscribe,
)
from paperagent.errors import ConfigError, MailError, visible

if TYPE_CHECKING:
    import datetime as dt

    from paperagent.digest.delivery.dkim_signature import DkimSigner
    from paperagent.digest.delivery.ledger import PendingDelivery
    from paperagent.digest.delivery.stored_issues import StoredIssue
    from paperagent.digest.subscribers import Subscriber

DEFAULT_SENDER = "Paper digest <digest@paperagent.example>"
"""The sender in the outbox if none is set; the address does not exist."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """The key file and names with which emails are signed."""

    file: Path
    selector: str
    domain: str | None = None
    """The domain that signs; the sender's if None."""


LACKS_UNSUBSCRIBE = (
    "messages contain no way to unsubscribe; set PAPERAGENT_MAIL_FROM, or PAPERAGENT_PUBLIC_URL and "
    "PAPERAGENT_SECRET"
)


class Mailer:
    """Composes and sends the emails of one digest. Settings are checked when they are first used."""

    def __init__(
        self,
        outbox: Path,
        *,
        sender: str | None = None,
        smtp_url: str | None = None,
        public_url: str | None = None,
        secret: str | None = None,
        contact: str | None = None,
        theme_dir: Path | None = None,
        dkim: DkimKey | None = None,
    ) -> None:
        """Create a mailer.

        Args:
            outbox: The folder for emails if there is no mail server.
            sender: The ``From`` address, with or without a name.
            smtp_url: The mail server, ``smtp[s]://[USER:PASSWORD@]HOST[:PORT]``.
            public_url: The address of the web pages that links lead to.
            secret: Signs the tokens in links.
            contact: The operator's mail or web address.
            theme_dir: A folder of templates that replace the packaged ones.
            dkim: The key that signs emails; None if the mail server signs.
        """
        self.outbox = outbox
        self._sender = sender
        self._smtp_url = smtp_url
        self._public_url = public_url
        self._secret = secret
        self._contact = contact
        self._theme_dir = theme_dir
        self._dkim = dkim

    @cached_property
    def tokens(self) -> SignedTokens | None:
        """The signed tokens; None without a secret."""
        return SignedTokens(self._secret) if self._secret else None

    @cached_property
    def signer(self) -> DkimSigner | None:
        """Signs emails with DKIM; None without a key.

        Raises:
            ConfigError: the key cannot be used.
        """
        if self._dkim is None:
            return None
        from paperagent.digest.delivery.dkim_signature import DkimSigner

        return DkimSigner(self._dkim.file, self._dkim.selector, self._dkim.domain or self.domain)

    @cached_property
    def links(self) -> LinkBuilder:
        """Builds the links of emails."""
        contact = (self._contact or "").removeprefix("mailto:")
        reply_to = self._sender or (contact if "@" in contact and "://" not in contact else None)
        return LinkBuilder(
            self._public_url, self.tokens, message.mailbox(reply_to).address if reply_to else None
        )

    @cached_property
    def domain(self) -> str:
        """The domain in Message-IDs."""
        return message.mailbox(self._sender or DEFAULT_SENDER).domain

    @cached_property
    def operator(self) -> str:
        """A sentence that names the sender and the contact, as far as they are set."""
        contact = (self._contact or "").removeprefix("mailto:")
        parts = (f"Sent by {self._sender}." if self._sender else "", f"Contact: {contact}" if contact else "")
        return " ".join(filter(None, parts))

    @property
    def has_server(self) -> bool:
        """Whether there is a mail server; otherwise, emails are written to the outbox."""
        return self._smtp_url is not None

    @property
    def lacks_one_click(self) -> list[str]:
        """Settings without which mails that are sent have no one-click unsubscribe link (RFC 8058)."""
        needed = {"PAPERAGENT_PUBLIC_URL": self._public_url, "PAPERAGENT_SECRET": self._secret}
        return [name for name, value in needed.items() if not value] if self.has_server else []

    @property
    def lacks_unsubscribe(self) -> bool:
        """Whether mails contain no way to unsubscribe, because neither a page nor an address is set."""
        links = self.links
        return links.reply_to is None and (links.public_url is None or links.tokens is None)

    def envelope_from(self, outbox: Path | None) -> str:
        """Return the sender's bare address.

        Args:
            outbox: The folder that the emails go to instead of the mail server, if any.

        Raises:
            ConfigError: a mail server is used and no sender is set, or the key that signs cannot be used.
        """
        _ = self.signer  # a key that cannot be used stops the run, rather than each message
        if self._sender is None and self._smtp_url is not None and outbox is None:
            raise ConfigError(
                "PAPERAGENT_MAIL_FROM: not set, but PAPERAGENT_SMTP_URL is; set the digest's sender, "
                "with PAPERAGENT_SECRET and PAPERAGENT_PUBLIC_URL for its links"
            )
        return message.mailbox(self._sender or DEFAULT_SENDER).address

    def transport(self, outbox: Path | None = None) -> Transport:
        """Return the mail server, or else an outbox."""
        if outbox is not None:
            return Outbox(outbox, "exported")
        if not self.has_server:
            return Outbox(self.outbox)
        assert self._smtp_url is not None
        from paperagent.digest.delivery.smtp import SmtpTransport

        return SmtpTransport(self._smtp_url, local_hostname=self.domain)

    def compose(self, issue: StoredIssue, delivery: PendingDelivery) -> bytes:
        """Return the email of a stored issue, with the Message-ID that the ledger assigned.

        Raises:
            InputError, MailError: the email cannot be built.
        """
        links = self.links.links_for(delivery.subscriber_id)
        rendered = Rendered(issue.subject, issue.preheader, issue.html, issue.text)
        raw = message.build_message(
            with_unsubscribe(rendered, links),
            sender=self._sender or DEFAULT_SENDER,
            recipient=delivery.email,
            issue_id=issue.issue_id,
            date=issue.stored_at,
            identity=delivery.message_id,
            unsubscribe_url=links.unsubscribe,
            mailto=links.mailto,
            smtputf8=True,  # a server without it rejects the address, and the ledger records that
        )
        return self._signed(raw, issue.stored_at)

    def _signed(self, raw: bytes, date: dt.datetime) -> bytes:
        return self.signer.sign(raw, date) if self.signer else raw

    def send_confirmation(
        self, email: str, at: dt.datetime, *, token: str, frequency: str, returning: bool = False
    ) -> str:
        """Send the email that asks a new subscriber to confirm, and return a message with the result.

        Args:
            email: The address.
            at: The date of the email.
            token: Identifies the subscriber, or the request of a visitor of the web page.
            frequency: ``weekly``, ``daily`` or ``monthly``.
            returning: Whether the subscriber had unsubscribed.

        Raises:
            MailError: the email could not be sent.
        """
        rendered = render_confirmation(
            token=token,
            link=self.links.confirm(token),
            frequency=frequency,
            returning=returning,
            operator=self.operator,
            theme_dir=self._theme_dir,
        )
        return self._send_notice(rendered, "confirm", email, at, name="confirmation email")

    def send_already_subscribed(self, subscriber: Subscriber, at: dt.datetime) -> str:
        """Send a notice that the address was entered again, and return a message with the result.

        Raises:
            MailError: the email could not be sent.
        """
        link = self.links.links_for(subscriber.id).preferences
        assert link is not None, "the web page needs a public URL and a secret for this"
        rendered = render_already_subscribed(link, operator=self.operator, theme_dir=self._theme_dir)
        return self._send_notice(rendered, "already", subscriber.email, at, name="email to a subscriber")

    def send_sign_in(self, email: str, at: dt.datetime, *, link: str) -> str:
        """Send the link by which somebody signs in to the web page, and return a message with the result.

        Raises:
            MailError: the email could not be sent.
        """
        rendered = render_sign_in(link, operator=self.operator, theme_dir=self._theme_dir)
        key = f"sign-in-{secrets.token_hex(4)}"
        return self._send_notice(rendered, key, email, at, name="sign-in email")

    def check_server(self) -> None:
        """Connect to the mail server, secure the connection and log in; send nothing.

        Raises:
            ConfigError: no mail server or no sender is set.
            MailError: the server cannot be reached or trusted, or rejects the login.
        """
        if not self.has_server:
            raise ConfigError("PAPERAGENT_SMTP_URL: not set; set it to smtp://USER:PASSWORD@HOST:587")
        self.envelope_from(None)
        transport = self.transport()
        try:
            transport.connect()
        finally:
            transport.close()

    def send_test(self, email: str, at: dt.datetime) -> str:
        """Send a test email, which is not an issue, and return a message with the result.

        Raises:
            InputError: the address is invalid.
            MailError: the email could not be sent.
        """
        email = message.parse_address(email).email
        rendered = render_test(operator=self.operator, theme_dir=self._theme_dir)
        return self._send_notice(rendered, f"test-{secrets.token_hex(4)}", email, at, name="test email")

    def _send_notice(self, rendered: Rendered, key: str, email: str, at: dt.datetime, *, name: str) -> str:
        """Send an email to one person that is not an issue; ``name`` says in errors which one."""
        envelope_from = self.envelope_from(None)
        issue_id = f"{key}-{at:%Y%m%d%H%M%S}"
        raw = message.build_message(
            rendered,
            sender=self._sender or DEFAULT_SENDER,
            recipient=email,
            issue_id=issue_id,
            date=at,
            smtputf8=True,
            is_list=False,
        )
        message_id = message.message_id(issue_id, message.mailbox(email).address, self.domain)
        return self._send(self._signed(raw, at), envelope_from, email, message_id, name=name)

    def _send(self, raw: bytes, sender: str, recipient: str, message_id: str, *, name: str) -> str:
        """Send one message that is not in the ledger."""
        transport = self.transport()
        try:
            transport.connect()
            transport.address(sender, message.parse_address(recipient).envelope, size=len(raw))
            reply = transport.data(raw, message_id=message_id)
        except Rejected as rejected:
            text = visible(rejected.reply.text, limit=200)
            raise MailError(f"{name}: not sent: rejected ({rejected.reply.code} {text})") from None
        except ConnectionLost as lost:
            raise MailError(f"{name}: not sent: {lost.why}") from None
        finally:
            transport.close()
        if self.has_server:
            return "sent"
        return f"{reply.text} (PAPERAGENT_SMTP_URL is not set)"
