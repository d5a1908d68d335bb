"""Subscribers that get their issues by HTTP: webhooks of chat services and of programs."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from paperagent.digest.database import DigestDatabase, format_timestamp
from paperagent.digest.delivery.message import WEBHOOK_PREFIX, webhook_label
from paperagent.digest.delivery.transport import Rejected, SmtpReply
from paperagent.digest.delivery.webhook_transport import Endpoint
from paperagent.digest.render.webhook_payload import WEBHOOK_KINDS, WebhookKind, webhook_payload
from paperagent.errors import ConfigError, InputError, MailError
from paperagent.text.sanitize import has_unsafe_characters

if TYPE_CHECKING:
    import sqlite3

    from paperagent.digest.delivery.ledger import PendingDelivery
    from paperagent.digest.delivery.stored_issues import StoredIssue
    from paperagent.digest.links import SignedTokens
    from paperagent.digest.preferences import Frequency, Preferences
    from paperagent.digest.subscribers import AddResult, Subscribers

_MAX_URL = 2_000
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post, and in which form."""

    url: str
    kind: WebhookKind


class Webhooks:
    """The webhooks in the digest's database. The URL of a webhook is a secret; a label stands for it."""

    def __init__(
        self, database: DigestDatabase, subscribers: Subscribers, tokens: SignedTokens | None
    ) -> None:
        self._db = database
        self._subscribers = subscribers
        self._tokens = tokens

    def add(
        self,
        url: str,
        kind: WebhookKind,
        preferences: Preferences | None = None,
        *,
        frequency: Frequency | None = None,
    ) -> AddResult:
        """Add a webhook as a confirmed subscriber, or change an existing one.

        Args:
            url: Where to post: https, or http to this machine.
            kind: The form of the messages.
            preferences: What it should get.
            frequency: How often.

        Raises:
            InputError: not such a URL or kind.
            ConfigError: a signed webhook, but no secret to sign with.
        """
        check_url(url)
        if kind not in WEBHOOK_KINDS:
            raise InputError(f"webhook: the kind must be one of {', '.join(WEBHOOK_KINDS)}")
        if kind == "json" and self._tokens is None:
            raise ConfigError(
                "PAPERAGENT_SECRET: not set, so requests cannot be signed; openssl rand -hex 32"
            )
        return self._subscribers.add(
            webhook_label(url),
            preferences,
            frequency=frequency,
            confirmed=True,
            resubscribe=True,
            webhook=Webhook(url, kind),
        )

    def signing_secret(self, label: str) -> str:
        """Return the key that verifies the requests to a webhook, as Standard Webhooks writes keys."""
        assert self._tokens is not None, "checked when the webhook is added"
        return "whsec_" + base64.b64encode(self._tokens.webhook_secrets(label)[0]).decode()

    def find(self, label: str) -> Endpoint | None:
        """Return where to post for a label, with the keys if requests are signed.

        Raises:
            Rejected: requests must be signed, but there is no secret; it may be set later.
        """
        with self._db.reading() as db:
            row = db.execute(
                "SELECT w.kind, w.url FROM webhook w JOIN subscriber s ON s.id = w.subscriber_id "
                "WHERE s.key = ?",
                (label,),
            ).fetchone()
        if row is None:
            return None
        if row[0] != "json":
            return Endpoint(str(row[1]))
        if self._tokens is None:
            reason = "PAPERAGENT_SECRET is not set, so the request cannot be signed"
            raise Rejected("recipient", SmtpReply(0, reason, temporary=True))
        return Endpoint(str(row[1]), self._tokens.webhook_secrets(label))

    def compose(self, issue: StoredIssue, delivery: PendingDelivery) -> bytes:
        """Return the body of the request for a stored issue, always the same.

        Raises:
            MailError: the webhook was removed, or its issue was built for mail.
        """
        with self._db.reading() as db:
            row = db.execute(
                "SELECT kind FROM webhook WHERE subscriber_id = ?", (delivery.subscriber_id,)
            ).fetchone()
        if row is None or "webhook" not in issue.facts:
            raise MailError("webhook: removed since; nothing was posted")
        kind = cast("WebhookKind", row[0])
        return webhook_payload(kind, issue.facts["webhook"], sent_at=format_timestamp(issue.stored_at))


def store_webhook(db: sqlite3.Connection, subscriber_id: int, key: str, webhook: Webhook | None) -> None:
    """Store the webhook of a subscriber, in the transaction that adds or changes the subscriber.

    Raises:
        InputError: the subscriber is a webhook, but none is given or stored.
    """
    if webhook is not None:
        values = (subscriber_id, webhook.kind, webhook.url)
        db.execute("INSERT OR REPLACE INTO webhook VALUES (?, ?, ?)", values)
        return
    row = db.execute("SELECT 1 FROM webhook WHERE subscriber_id = ?", (subscriber_id,)).fetchone()
    if row is None and key.startswith(WEBHOOK_PREFIX):
        raise InputError(
            "webhook: not added yet; use 'paperagent subscribers add-webhook KIND URL', for example "
            "add-webhook slack https://…"
        )


def check_url(url: str) -> None:
    """Check the URL of a webhook.

    Raises:
        InputError: not https, or with credentials; http is allowed to this machine only.
    """
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0 and parts.username is None and not parts.fragment
    except ValueError:
        valid = False
    if not valid or len(url) > _MAX_URL or not url.isascii() or has_unsafe_characters(url) or " " in url:
        raise InputError("webhook: not a valid URL (value hidden); copy it again")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise InputError("webhook: must be https, or http to this machine; use https://…")
