"""The building blocks of live services: queries, HTTP responses, and pages with a resume state."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import parse_qsl

from paperagent.errors import FeedError, visible
from paperagent.feeds import strict_json
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.error_text import MAX_REASON_LENGTH, error_reason, json_reason
from paperagent.http_limits import TransientError, retry_after
from paperagent.text.sanitize import clean_text

if TYPE_CHECKING:
    from paperagent.feeds.services.http_client import FeedClient

MAX_ATTEMPTS = 4
MIN_WAIT_SECONDS = 1.0

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIXES = {401: "check its key", 403: "check its key", 404: "check the address"}
_HTML = re.compile(r"\s*+<(?:!doctype\s|html\b)", re.IGNORECASE)

ResumeState = dict[str, Any]
"""JSON values that a service needs to continue after a page. Empty before the first page."""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some records of a live feed, and the state to store once they are in the library."""

    entries: Sequence[FeedEntry]
    state: ResumeState
    total: int | None = None
    """Records in the whole feed, if the service says."""
    note: str = ""
    """A remark for the user."""


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """A parsed query: ``arxiv:cs.CL?from=2026-05-01`` requests ``cs.CL`` from that day on."""

    label: str
    """The whole source, safe to print."""
    text: str
    options: dict[str, str]

    @classmethod
    def parse(cls, source: str, text: str, *, allowed: Collection[str]) -> ServiceQuery:
        """Split the options off ``text``; raise FeedError for an option that the service does not have."""
        label = visible(source, limit=200)
        plain, _, option_text = text.partition("?")
        try:
            options = dict(parse_qsl(option_text, keep_blank_values=True, strict_parsing=bool(option_text)))
        except ValueError:
            raise FeedError(f"{label}: options that cannot be read; write ?name=value&name=value") from None
        unknown = options.keys() - set(allowed)
        if unknown:
            available = ", ".join(sorted(allowed)) or "none"
            raise FeedError(f"{label}: unknown option {visible(min(unknown), limit=40)}; it has {available}")
        for name in ("from", "until"):
            if name in options and not is_day(options[name]):
                raise FeedError(f"{label}: {name}: not a day; write YYYY-MM-DD")
        if not re.fullmatch(r"[1-9]\d{0,6}", options.get("max", "1")):
            raise FeedError(f"{label}: max: not a number from 1; write max=500")
        return cls(label, plain.strip(), options)

    def max_records(self, default: int) -> int:
        """Return the value of the option ``max``, or ``default``."""
        return int(self.options.get("max", default))


@dataclass(frozen=True, slots=True)
class Service:
    """A service that feeds are fetched from."""

    scheme: str
    options: frozenset[str]
    """Names of the options that a query may have."""
    check: Callable[[ServiceQuery], object]
    """Raises FeedError for a query that the service cannot answer; needs no network."""
    pages: Callable[[ServiceQuery, FeedClient, ResumeState], Iterator[FeedPage]]
    """Yields the pages of a query from a state on."""


class RetryableError(TransientError):
    """A failure of a service that may go away on another attempt.

    Args:
        reason: what went wrong, without the feed's name.
        wait: seconds that the service asks to wait, if it does.
    """

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        pause = wait if wait is None or math.isnan(wait) else max(wait, MIN_WAIT_SECONDS)
        super().__init__(FeedError(reason), wait=pause, tries=MAX_ATTEMPTS)
        self.reason = reason
        self.requested_wait = wait


class ServiceRefusedError(FeedError):
    """A service refused a request permanently."""

    def __init__(self, message: str, *, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        """Why, in the words of the service; "" if it does not say."""


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    label: str
    """The feed's name for messages."""

    def raise_for_status(self) -> None:
        """Raise RetryableError for a temporary error status, and ServiceRefusedError for any other."""
        if self.status < 400:
            return
        reason = error_reason(self.body)
        message = f": {reason}" if reason else ""
        if self.status in _TEMPORARY:
            raise RetryableError(f"HTTP status {self.status}{message}", wait=retry_after(self.headers))
        fix = _FIXES.get(self.status, "change the request")
        raise ServiceRefusedError(
            f"{self.label}: HTTP status {self.status}{message}; {fix}", status=self.status, reason=reason
        )

    def text(self) -> str:
        """Return the body as text; raise RetryableError if it is not UTF-8, or an HTML page."""
        try:
            text = self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RetryableError("the response is not UTF-8 text") from None
        if _HTML.match(text):  # services announce maintenance this way, with status 200
            raise RetryableError("the response is an HTML page")
        return text

    def json(self) -> Any:
        """Return the body's JSON value; raise RetryableError if it is not JSON, for example truncated."""
        text = self.text().strip()
        if not text.startswith(("{", "[")):
            raise RetryableError("the response is not JSON")
        try:
            values = strict_json.parse_document(text, self.label)
        except FeedError as error:
            raise self.retryable(error) from None
        return values if text.startswith("[") else values[0]

    def json_object(self, service: str) -> dict[str, Any]:
        """Return the body's JSON object; raise FeedError with the service's reason if it is an error."""
        value = self.json()
        if not isinstance(value, dict):
            raise RetryableError("the response is not an object")
        self._raise_json_error(value, service)
        return value

    def json_list(self, service: str) -> list[Any]:
        """Return the body's JSON list; raise FeedError with the service's reason if it is an error."""
        value = self.json()
        if isinstance(value, dict):
            self._raise_json_error(value, service)
        if not isinstance(value, list):
            raise RetryableError("the response is not a list")
        return value

    def _raise_json_error(self, value: dict[str, Any], service: str) -> None:
        error = {name: value[name] for name in ("error", "message", "detail") if name in value}
        if error and (reason := json_reason(error)):
            reason = visible(clean_text(reason), limit=MAX_REASON_LENGTH).rstrip(" .;")
            raise FeedError(f"{self.label}: {service} said: {reason}; change the request")

    def retryable(self, error: FeedError) -> RetryableError:
        """Convert a parsing error to a RetryableError."""
        return RetryableError(str(error).removeprefix(f"{self.label}: ").partition(";")[0])


def is_day(text: object) -> TypeGuard[str]:
    """Return whether ``text`` is a day as YYYY-MM-DD."""
    try:
        return isinstance(text, str) and bool(_DAY.fullmatch(text)) and bool(dt.date.fromisoformat(text))
    except ValueError:
        return False


def fingerprint(value: object) -> str:
    """Return a short hash of a JSON value, by which a repeated page is recognized."""
    from hashlib import blake2b

    return blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
