"""Wiring of sending: from settings to the way messages leave, their links and their bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from paperagent.digest.delivery import message
from paperagent.digest.delivery import message as addresses
from paperagent.digest.delivery.ledger import PendingDelivery, StoredIssue
from paperagent.digest.delivery.transport import ConnectionLost, Outbox, Rejected, Transport
from paperagent.digest.links import LinkBuilder, SignedTokens
from paperagent.digest.render.renderer import Rendered
from paperagent.digest.subscribers import Subscriber
from paperagent.errors import ConfigError, MailError, visible

if TYPE_CHECKING:
    from paperagent.config import Settings

OUTBOX_FOLDER = "outbox"
"""The folder, within the library's, where messages go without a mail server."""
DEFAULT_SENDER = "Paper digest <digest@paperagent.example>"
"""The sender in the outbox where none is set; no such address exists."""


class Mailer:
    """Makes and sends the messages of one library's digest.

    Raises:
        ConfigError: a setting that does not fit.
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.home = home

    @property
    def tokens(self) -> SignedTokens | None:
        """What signs links; None without a secret."""
        secret = self.settings.secret
        return SignedTokens(secret.get_secret_value()) if secret else None

    @property
    def links(self) -> LinkBuilder:
        """What makes the links of mails."""
        reply_to = message.mailbox(self.settings.mail_from).address if self.settings.mail_from else None
        return LinkBuilder(self.settings.public_url, self.tokens, reply_to)

    @property
    def domain(self) -> str:
        """The domain under which messages are named."""
        return message.mailbox(self.settings.mail_from or DEFAULT_SENDER).domain

    @property
    def lacks_one_click(self) -> bool:
        """Whether mails go to a server without the link that RFC 8058 asks for."""
        settings = self.settings
        return settings.smtp_url is not None and not (settings.public_url and settings.secret)

    def mail_from(self, outbox: Path | None) -> str:
        """Return the sender, which a mail server needs to be told and an outbox does not."""
        if self.settings.mail_from is None and self.settings.smtp_url is not None and outbox is None:
            raise ConfigError(
                "PAPERAGENT_MAIL_FROM: not set, and PAPERAGENT_SMTP_URL is; set the digest's sender, "
                "with PAPERAGENT_SECRET and PAPERAGENT_PUBLIC_URL for its links"
            )
        return self.settings.mail_from or DEFAULT_SENDER

    def envelope_from(self, outbox: Path | None) -> str:
        """Return the sender's bare address."""
        return message.mailbox(self.mail_from(outbox)).address

    def transport(self, outbox: Path | None = None) -> Transport:
        """Return the way on which messages leave."""
        url = self.settings.smtp_url
        if outbox is not None or url is None:
            return Outbox(outbox or self.home / OUTBOX_FOLDER)
        from paperagent.digest.delivery.smtp import SmtpTransport

        name = self.domain
        return SmtpTransport(url.get_secret_value(), name=name)

    def compose(self, frozen: StoredIssue, due: PendingDelivery) -> bytes:
        """Build the message of a frozen issue, under the id that the ledger gave it."""
        links = self.links.of(due.subscriber_id)
        raw = message.build_message(
            Rendered(frozen.subject, frozen.preheader, frozen.html, frozen.text),
            sender=self.settings.mail_from or DEFAULT_SENDER,
            recipient=due.email,
            issue_id=frozen.issue_id,
            date=frozen.stored_at,
            domain=due.message_id.strip("<>").rpartition("@")[2],
            unsubscribe_url=links.unsubscribe,
            mailto=links.mailto,
            smtputf8=True,  # a server without it refuses the address, and the ledger says so
        )
        if f"\r\nMessage-ID: {due.message_id}\r\n".encode() not in raw:
            raise MailError("mail: withheld: it would leave under another id than the ledger's")
        return raw

    def post(self, raw: bytes, subscriber: Subscriber, name: str) -> str:
        """Send one message outside the ledger."""
        transport = self.transport()
        try:
            transport.connect()
            envelope = addresses.parse_address(subscriber.email).envelope
            transport.address(self.envelope_from(None), envelope, size=len(raw))
            reply = transport.data(raw, message_id=f"<{name}@{self.domain}>")
        except Rejected as refused:
            text = visible(refused.reply.text, limit=200)
            raise MailError(
                f"confirmation mail: refused ({refused.reply.code} {text}); the reader stays pending"
            ) from None
        except ConnectionLost as broken:
            raise MailError(f"confirmation mail: {broken.why}; the reader stays pending") from None
        finally:
            transport.close()
        return "sent" if self.settings.smtp_url else reply.text
