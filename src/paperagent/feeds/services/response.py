"""What a service answered, and in which ways that can be no answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from paperagent.errors import FeedError, visible
from paperagent.http_limits import retry_after
from paperagent.text.sanitize import clean_text

_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_HTML = re.compile(r"\s*+<(?:!doctype\s|html\b)", re.IGNORECASE)


class RetryableError(Exception):
    """A fault that another attempt may cure; ``wait`` is how long the service asks to wait."""

    def __init__(self, why: str, *, wait: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait


class ServiceRefusedError(FeedError):
    """A service said no."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """One page as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    label: str
    """The feed's name for messages."""

    def text(self) -> str:
        """Return the body as text; raise AgainError where it is no UTF-8, or a page for a person's eyes."""
        try:
            text = self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RetryableError("the answer is not UTF-8 text") from None
        if _HTML.match(text):  # how services announce that they are being repaired, with status 200
            raise RetryableError("the answer is an HTML page")
        return text


def raise_for_status(reply: ServiceResponse) -> ServiceResponse:
    """Return a reply that is none of an error. Raises AgainError where it may pass, else RefusedError."""
    if reply.status < 400:
        return reply
    said = _said(reply)
    if reply.status in _TEMPORARY:
        raise RetryableError(f"it said {reply.status}{said}", wait=retry_after(reply.headers))
    fix = {
        401: "check its key",
        403: "check its key",
        404: "check the address",
    }.get(reply.status, "change the request")
    raise ServiceRefusedError(f"{reply.label}: it said {reply.status}{said}; {fix}", status=reply.status)


def _said(reply: ServiceResponse) -> str:
    """Return the first words of an error's body, made safe; nothing of an HTML page."""
    text = clean_text(reply.body[:2_000].decode("utf-8", "replace"))
    return "" if not text or text.startswith("<") else f": {visible(text, limit=120)}"
