"""What every live service gives: pages of records, each with the place to go on from."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

from paperagent.errors import FeedError, visible
from paperagent.feeds import strict_json
from paperagent.feeds.record import FeedEntry
from paperagent.feeds.services.response import RetryableError, ServiceResponse

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

ResumeState = dict[str, Any]
"""JSON values: what a service needs to go on. Empty before the first page."""


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some records, and the state to keep once they are in the library."""

    entries: Sequence[FeedEntry]
    state: ResumeState
    total: int | None = None
    """Records of the whole feed, where the service says."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """What stands after the scheme: ``arxiv:cs.CL?from=2026-05-01`` asks for ``cs.CL`` from that day."""

    label: str
    """The whole source, safe to show."""
    text: str
    options: dict[str, str]

    @classmethod
    def parsed(cls, source: str, text: str, *, allowed: Collection[str]) -> ServiceQuery:
        """Cut the options off ``text``. Raises FeedError for one that the service does not have."""
        label = visible(source, limit=200)
        plain, _, rest = text.partition("?")
        try:
            options = dict(parse_qsl(rest, keep_blank_values=True, strict_parsing=bool(rest)))
        except ValueError:
            raise FeedError(f"{label}: options that cannot be read; write ?name=value&name=value") from None
        unknown = options.keys() - set(allowed)
        if unknown:
            known = ", ".join(sorted(allowed)) or "none"
            raise FeedError(f"{label}: unknown option {visible(min(unknown), limit=40)}; it has {known}")
        for name in ("from", "until"):
            if name in options and not is_day(options[name]):
                raise FeedError(f"{label}: {name}: not a day; write YYYY-MM-DD")
        if not re.fullmatch(r"[1-9]\d{0,6}", options.get("max", "1")):
            raise FeedError(f"{label}: max: not a number from 1; write max=500")
        return cls(label, plain.strip(), options)

    def most(self, default: int) -> int:
        """Return how many records are wanted."""
        return int(self.options.get("max", default))


def is_day(text: object) -> TypeGuard[str]:
    """Tell whether ``text`` is a day as YYYY-MM-DD."""
    import datetime as dt

    try:
        return isinstance(text, str) and bool(_DAY.fullmatch(text)) and bool(dt.date.fromisoformat(text))
    except ValueError:
        return False


def json_of(reply: ServiceResponse) -> Any:
    """Return the JSON value of a reply; raise AgainError where it is none, such as a body that was cut."""
    text = reply.text().strip()
    if not text.startswith(("{", "[")):
        raise RetryableError("the answer is not JSON")
    try:
        values = strict_json.parse_document(text, reply.label)
    except FeedError as error:
        raise RetryableError(str(error).removeprefix(f"{reply.label}: ").partition(";")[0]) from None
    return values if text.startswith("[") else values[0]


def fingerprint(value: object) -> str:
    """Return a short hash of a JSON value, by which a page that comes again is known."""
    from hashlib import blake2b

    return blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
