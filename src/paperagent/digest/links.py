"""Signed tokens for the links of a mail: who may do what, without a password.

HMAC-SHA-256 by itsdangerous, one salt a purpose, so that a token for one thing does nothing
else. A token names the subscriber's number, never the address: links end up in logs.

Where a mail's links lead: the reader's own pages, each with a signed token.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import quote

from paperagent.digest.render.view import SubscriberLinks
from paperagent.errors import ConfigError, InputError

Purpose = Literal["confirm", "unsubscribe", "preferences", "feedback"]
MIN_SECRET_BYTES = 32
CONFIRM_SECONDS = 48 * 3600
_LONGEST = 1_024


class SignedTokens:
    """Makes and reads tokens under one secret.

    Raises:
        ConfigError: the secret is shorter than 32 bytes.
    """

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"PAPERAGENT_SECRET: is shorter than {MIN_SECRET_BYTES} bytes; make one: openssl rand -hex 32"
            )
        self._by_purpose = {purpose: _serializer(secret, purpose) for purpose in get_args(Purpose)}

    def make(self, purpose: Purpose, subscriber: int, *about: str) -> str:
        """Return a token; ``about`` says more, such as the paper and the kind of a feedback.

        All but ``confirm`` are the same at every call, so that a mail can be built twice alike.
        """
        made = self._by_purpose[purpose].dumps([subscriber, *about])
        return made if isinstance(made, str) else made.decode()

    def read(self, purpose: Purpose, token: str) -> tuple[int, tuple[str, ...]]:
        """Return the subscriber's number and what the token says more.

        Raises:
            InputError: it was not made here for this purpose, or it has expired.
        """
        from itsdangerous import BadData, SignatureExpired

        wrong = InputError("token: not one of ours, or altered; use the whole link of the mail")
        if len(token) > _LONGEST or not token.isascii():
            raise wrong
        limit = {"max_age": CONFIRM_SECONDS} if purpose == "confirm" else {}
        try:
            number, *about = self._by_purpose[purpose].loads(token, **limit)
        except SignatureExpired:
            raise InputError("token: older than 48 hours; ask for a new confirmation mail") from None
        except BadData:
            raise wrong from None
        return int(number), tuple(str(v) for v in about)


def _serializer(secret: str, purpose: Purpose) -> Any:
    from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

    kind = URLSafeTimedSerializer if purpose == "confirm" else URLSafeSerializer
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return kind(secret, salt=f"paperagent.{purpose}", signer_kwargs=signer)


@dataclass(frozen=True, slots=True)
class LinkBuilder:
    """Makes the links of every reader's mail.

    Without `public_url` there is no page to lead to, and without `tokens` nobody could tell whose
    link it is: then a mail to the sender is the one way to unsubscribe.
    """

    public_url: str | None = None
    tokens: SignedTokens | None = None
    reply_to: str | None = None
    """The address that unsubscribing mails go to."""

    def of(self, subscriber_id: int) -> SubscriberLinks:
        """Return a reader's links, the same at every call."""
        base, tokens = self.public_url, self.tokens
        if base is None or tokens is None:
            return SubscriberLinks(mailto=self._mailto(subscriber_id), archive=base and f"{base}/archive/")
        signed = tokens

        def feedback(paper_id: str, kind: str) -> str:
            return f"{base}/feedback/{signed.make('feedback', subscriber_id, paper_id, kind)}"

        return SubscriberLinks(
            unsubscribe=f"{base}/unsubscribe/{tokens.make('unsubscribe', subscriber_id)}",
            mailto=self._mailto(subscriber_id),
            preferences=f"{base}/preferences/{tokens.make('preferences', subscriber_id)}",
            archive=f"{base}/archive/",
            feedback=feedback,
        )

    def confirm(self, subscriber_id: int) -> str | None:
        """Return where a new reader agrees to be written to; the link works for 48 hours."""
        if self.public_url is None or self.tokens is None:
            return None
        return f"{self.public_url}/confirm/{self.tokens.make('confirm', subscriber_id)}"

    def _mailto(self, subscriber_id: int) -> str | None:
        if self.reply_to is None:
            return None
        words = ["unsubscribe"]
        if self.tokens is not None:
            words.append(self.tokens.make("unsubscribe", subscriber_id))
        return f"mailto:{quote(self.reply_to, safe='@')}?subject={quote(' '.join(words))}"
