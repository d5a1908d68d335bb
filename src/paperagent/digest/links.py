"""The links in a subscriber's mail, with signed tokens that authorize one action without a password.

Tokens are signed with HMAC-SHA-256 (itsdangerous). Each purpose has its own salt, so a token for one
purpose is useless for another. A token contains an id, never the address, because links end up in logs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import quote

from paperagent.errors import ConfigError, InputError

Purpose = Literal["confirm", "signup", "unsubscribe", "preferences", "feedback", "saved", "form"]
"""``confirm`` is for a subscriber whom the operator added, ``signup`` for a request from the web page;
``saved`` shows a reading list and nothing else; ``form`` holds the time at which a form was shown.
"""
MIN_SECRET_BYTES = 32
CONFIRM_SECONDS = 48 * 3600
"""Tokens that confirm expire after this time; the others never do."""
_EXPIRING = frozenset({"confirm", "signup"})
_MAX_TOKEN_LENGTH = 1_024


class ExpiredTokenError(InputError):
    """The token was valid once."""


class SignedTokens:
    """Creates and reads tokens.

    Args:
        secret: One secret, or several separated by commas: the first signs, all are accepted. So a secret
            can be replaced while links signed with the old one still work.

    Raises:
        ConfigError: a secret is shorter than 32 bytes.
    """

    def __init__(self, secret: str) -> None:
        secrets = split_secrets(secret)
        if min(len(part.encode()) for part in secrets) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"PAPERAGENT_SECRET: is shorter than {MIN_SECRET_BYTES} bytes; "
                "generate one: openssl rand -hex 32"
            )
        self._secrets = secrets
        self.message_key = hmac.digest(secrets[0].encode(), b"paperagent.message-id", "sha256")
        """Makes Message-IDs unguessable."""
        self._serializers = {purpose: _serializer(secrets, purpose) for purpose in get_args(Purpose)}

    def webhook_secrets(self, label: str) -> list[bytes]:
        """Return the keys that sign the requests to a webhook, the current one first."""
        data = f"paperagent.webhook\0{label}".encode()
        return [hmac.digest(secret.encode(), data, "sha256") for secret in self._secrets]

    def create(self, purpose: Purpose, number: int, *values: str) -> str:
        """Return a token.

        Tokens that do not expire are the same at every call, so that an email can be rebuilt.

        Args:
            purpose: What the token is good for.
            number: The subscriber's id; for ``signup`` the request's id, for ``form`` a time.
            values: Further values, such as the paper and the kind of a feedback.
        """
        token = self._serializers[purpose].dumps([number, *values])
        return token if isinstance(token, str) else token.decode()

    def read(self, purpose: Purpose, token: str) -> tuple[int, tuple[str, ...]]:
        """Return the number and the other values of a token; signatures are compared in constant time.

        Raises:
            ExpiredTokenError: the token has expired.
            InputError: the token was not created with one of the secrets for this purpose.
        """
        from itsdangerous import BadData, SignatureExpired

        invalid = InputError("token: invalid or altered; use the whole link of the email")
        if len(token) > _MAX_TOKEN_LENGTH or not token.isascii():
            raise invalid
        options = {"max_age": CONFIRM_SECONDS} if purpose in _EXPIRING else {}
        try:
            number, *values = self._serializers[purpose].loads(token, **options)
        except SignatureExpired:
            raise ExpiredTokenError("token: older than 48 hours; ask for a new confirmation email") from None
        except BadData:
            raise invalid from None
        return int(number), tuple(str(v) for v in values)


def split_secrets(text: str) -> list[str]:
    """Return the secrets in a setting that may hold several."""
    return [part.strip() for part in text.split(",")]


def _serializer(secrets: list[str], purpose: Purpose) -> Any:
    from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

    serializer = URLSafeTimedSerializer if purpose in _EXPIRING else URLSafeSerializer
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return serializer(secrets[::-1], salt=f"paperagent.{purpose}", signer_kwargs=signer)


def paper_path(paper_id: str) -> str:
    """Return the path of a paper's page on our web page."""
    # A browser would resolve the segments "." and ".."; a proxy may refuse "%2F".
    is_plain = all(segment.strip(".") for segment in paper_id.split("/"))
    return "/paper/" + quote(paper_id, safe="/:" if is_plain else ":")


@dataclass(frozen=True, slots=True)
class SubscriberLinks:
    """The links in one issue; None where there is no page. The general issue has only `paper`."""

    unsubscribe: str | None = None
    mailto: str | None = None
    """``mailto:…``: unsubscribes by mail, without a web page."""
    preferences: str | None = None
    archive: str | None = None
    feedback: Callable[[str, str], str] | None = None
    """Returns the address for a paper's id and ``more``, ``less`` or ``save``."""
    paper: Callable[[str], str] | None = None
    """Returns the address of our page of a paper, for papers without a link of their own."""

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """The label and address of each link in the footer."""
        links = (
            ("Archive", self.archive),
            ("Preferences", self.preferences),
            ("Unsubscribe", self.unsubscribe),
            ("Unsubscribe by email", self.mailto),
        )
        return tuple((label, address) for label, address in links if address)


@dataclass(frozen=True, slots=True)
class LinkBuilder:
    """Builds the links of issues.

    Without `public_url` there is no page to link to, and without `tokens` no link can identify its
    subscriber. Then the only way to unsubscribe is an email to the sender.
    """

    public_url: str | None = None
    tokens: SignedTokens | None = None
    reply_to: str | None = None
    """The address for unsubscribe emails."""

    @property
    def message_key(self) -> bytes:
        """The key of Message-IDs; empty without a secret."""
        return self.tokens.message_key if self.tokens else b""

    def links_for(self, subscriber_id: int | None) -> SubscriberLinks:
        """Return the links of a subscriber, or with None those of the general issue; always the same."""
        base, tokens = self.public_url, self.tokens
        paper = None if base is None else (lambda paper_id: f"{base}{paper_path(paper_id)}")
        if subscriber_id is None:
            return SubscriberLinks(paper=paper)
        if base is None or tokens is None:
            mailto = self._mailto(subscriber_id)
            return SubscriberLinks(mailto=mailto, archive=base and f"{base}/archive/", paper=paper)
        signed = tokens

        def feedback(paper_id: str, kind: str) -> str:
            return f"{base}/feedback/{signed.create('feedback', subscriber_id, paper_id, kind)}"

        return SubscriberLinks(
            unsubscribe=f"{base}/unsubscribe/{tokens.create('unsubscribe', subscriber_id)}",
            mailto=self._mailto(subscriber_id),
            preferences=f"{base}/preferences/{tokens.create('preferences', subscriber_id)}",
            archive=f"{base}/archive/",
            feedback=feedback,
            paper=paper,
        )

    def confirm(self, token: str) -> str | None:
        """Return the link by which a new subscriber confirms; None without a web page."""
        return f"{self.public_url}/confirm/{token}" if self.public_url else None

    def _mailto(self, subscriber_id: int) -> str | None:
        if self.reply_to is None:
            return None
        words = ["unsubscribe"]
        if self.tokens is not None:
            words.append(self.tokens.create("unsubscribe", subscriber_id))
        return f"mailto:{quote(self.reply_to, safe='@')}?subject={quote(' '.join(words))}"
