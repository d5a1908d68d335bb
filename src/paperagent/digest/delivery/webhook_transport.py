"""Post messages to webhooks, so that it is always known whether one may have arrived.

Signed as Standard Webhooks (https://www.standardwebhooks.com). Redirects are not followed.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from paperagent.digest.delivery.transport import AcceptedState, ConnectionLost, Rejected, SmtpReply
from paperagent.errors import visible
from paperagent.http_limits import trace_connections
from paperagent.time_limits import Deadline, current_deadline

TIMEOUT_S = 30.0
"""For a whole request."""
MAX_RETRY_AFTER = dt.timedelta(days=1)
_MAX_REPLY_BYTES = 2_000
_TEMPORARY = frozenset({408, 425, 429, 500, 503})
_AMBIGUOUS = frozenset({502, 504})
"""A proxy answers for a server that may have received the message."""
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post."""

    url: str
    secrets: Sequence[bytes] = ()
    """The keys that sign requests, the current one first; none for a service that checks no signature."""


class WebhookTransport:
    """Posts each message to the webhook with the label that `address` is given."""

    accepted_state: AcceptedState = "sent"

    def __init__(
        self,
        find: Callable[[str], Endpoint | None],
        *,
        timeout: float = TIMEOUT_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Create a transport.

        Args:
            find: Returns the webhook with a label.
            timeout: Seconds for a whole request.
            now: Returns the time of a signature.
        """
        self._find = find
        self._timeout = timeout
        self._now = now
        self._webhook: Endpoint | None = None

    def connect(self) -> None:
        """Do nothing: each request has its own connection."""

    def address(self, sender: str, recipient: str, *, size: int) -> None:  # noqa: ARG002 - for mail
        """Choose the webhook."""
        self._webhook = self._find(recipient)
        if self._webhook is None:
            raise Rejected("recipient", SmtpReply(404, "the webhook was removed", temporary=False))

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        """Post the message; raise `Rejected` or `ConnectionLost`."""
        assert self._webhook is not None, "address comes first"
        exchange = _Exchange()
        headers = {"Content-Type": "application/json", "User-Agent": "paperagent"}
        headers |= signature_headers(self._webhook.secrets, message_id, int(self._now()), message)
        try:
            with Deadline.after(self._timeout).active():
                exchange.post(self._webhook.url, message, headers)
        except exchange.errors as error:
            if not exchange.status:  # else the server has decided, and only its text is lost
                # The error's text may contain the URL, which is a secret.
                name = visible(type(error).__name__, limit=60)
                timed_out = isinstance(error, exchange.timeouts)
                why = "no reply in time" if timed_out else f"the connection failed ({name})"
                raise ConnectionLost(why, may_have_arrived=exchange.started) from None
        return _check_reply(exchange)

    def reset(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""


class _Exchange:
    """A request and its reply."""

    def __init__(self) -> None:
        import httpx

        self.errors = (httpx.HTTPError, httpx.InvalidURL, OSError)
        self.timeouts = (httpx.TimeoutException, TimeoutError)
        self.started = False
        """Whether the server may have received a part of the request."""
        self.status = 0
        self.headers: Any = {}
        self.text = ""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Send the request and read the reply, within the current deadline."""
        import httpx

        def trace(event: str, info: dict[str, Any]) -> None:
            self.started = self.started or event.endswith("send_request_headers.started")
            trace_connections(event, info)

        with (
            httpx.Client(follow_redirects=False, timeout=current_deadline().seconds_left) as client,
            client.stream(
                "POST", url, content=body, headers=headers, extensions={"trace": trace}
            ) as response,
        ):
            self.status, self.headers = response.status_code, response.headers
            start = b""
            for chunk in response.iter_bytes(_MAX_REPLY_BYTES):
                start += chunk
                if len(start) >= _MAX_REPLY_BYTES:
                    break
            self.text = visible(" ".join(start.decode("utf-8", "replace").split()), limit=200)


def _check_reply(exchange: _Exchange) -> SmtpReply:
    code = exchange.status
    reply = SmtpReply(code, exchange.text, temporary=code in _TEMPORARY, is_gone=code in _GONE)
    if 200 <= code < 300:
        return reply
    if code in _AMBIGUOUS:
        raise ConnectionLost(f"a proxy lost the connection ({code})", may_have_arrived=True)
    if 300 <= code < 400:
        text = "redirects, which is not followed; add the webhook with its new URL"
        raise Rejected("message", SmtpReply(code, text, temporary=False))
    if reply.is_temporary:
        wait = _retry_after(exchange.headers.get("Retry-After", ""))
        raise Rejected("message", SmtpReply(code, reply.text, temporary=True, retry_after=wait))
    raise Rejected("recipient" if reply.is_gone else "message", reply)


def _retry_after(value: str) -> dt.timedelta:
    """Return how long to wait: seconds, or the time until a date (RFC 9110 section 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return min(dt.timedelta(seconds=int(value)), MAX_RETRY_AFTER)
    try:
        wait = parsedate_to_datetime(value) - dt.datetime.now(dt.UTC)
    except (ValueError, TypeError):  # a date without a zone, or nonsense
        return dt.timedelta()
    return min(max(wait, dt.timedelta()), MAX_RETRY_AFTER)


def signature_headers(secrets: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a request, with a signature per key.

    Args:
        secrets: The keys.
        message_id: The same for a message that is posted again.
        at: The time in seconds since 1970.
        body: The bytes that are posted.
    """
    name = message_id.strip("<>")
    headers = {"webhook-id": name, "webhook-timestamp": str(at)}
    signed = f"{name}.{at}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in secrets]
    return headers | ({"webhook-signature": " ".join(f"v1,{s}" for s in signatures)} if signatures else {})
