"""The one HTTP client of the feeds: polite, bounded, and closed to private networks."""

from __future__ import annotations

import math
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlencode

from paperagent.errors import FeedError, visible
from paperagent.feeds.clean import clean
from paperagent.feeds.live import guard
from paperagent.feeds.live.turnstile import Pace, Turnstile
from paperagent.feeds.source import Source
from paperagent.transport import retry_after

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

PAGE_LIMIT = 50_000_000
"""Bytes of one page, as they come and unpacked."""
PAGE_SECONDS = 120.0
"""For one page, from the request to its last byte."""
SILENCE_SECONDS = 30.0
ATTEMPTS = 4
LONGEST_WAIT = 300.0
"""Seconds that a run waits for a service; one that asks for more is left for a later run."""
REDIRECTS = 5

_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECT = frozenset({301, 302, 303, 307, 308})


class AgainError(Exception):
    """A fault that another attempt may cure; ``wait`` is how long the service asks to wait."""

    def __init__(self, why: str, *, wait: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait


class RefusedError(FeedError):
    """A service said no."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """One page as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    label: str
    """The feed's name for messages."""

    def text(self) -> str:
        """Return the body as text; raise AgainError where it is no UTF-8."""
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise AgainError("the answer is not UTF-8 text") from None


@dataclass(frozen=True, slots=True)
class Access:
    """What the fetching of feeds may use."""

    contact: str | None = None
    """A mail or web address that services may write to; goes into the User-Agent."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Service → base address, in place of the real one."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Service → key."""
    allow_private: bool = False
    """Whether addresses of this machine and its network may be fetched."""
    folder: Path | None = None
    """Where the turns of this machine's processes are kept."""


class Client:
    """Fetches pages. Close it, or use it in a ``with`` block."""

    def __init__(
        self,
        access: Access,
        *,
        version: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        lookup: guard.Resolve = guard.resolve,
    ) -> None:
        self.access = access
        self._agent = f"paperagent/{version}" + (f" ({access.contact})" if access.contact else "")
        self._turnstile = Turnstile(access.folder, sleep=sleep, clock=clock)
        self._sleep = sleep
        self._lookup = lookup
        self._opened: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def get(
        self,
        url: str,
        read: Callable[[Reply], T],
        *,
        label: str,
        pace: Pace,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Fetch a page and return what ``read`` makes of it.

        Faults that may pass are tried again: 429 and 5xx (as long as the service asks to wait), a
        connection or body that was cut, and whatever ``read`` raises `AgainError` for.

        Raises:
            RefusedError: the service said no, for good.
            FeedError: an address that is not allowed, a page over the limits, or no luck in four attempts.
        """
        whole = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._turnstile.turn(pace):
                    reply = self._fetch(whole, label, headers or {})
                self._obey(reply, pace)
                return read(reply)
            except AgainError as fault:
                wait = _pause(fault, attempt)
                if attempt == ATTEMPTS or wait > LONGEST_WAIT:
                    raise _given_up(fault, label) from None
                self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _obey(self, reply: Reply, pace: Pace) -> None:
        """Keep the pause that a service asks for on a good answer too (Zotero's ``Backoff``)."""
        with suppress(ValueError):
            seconds = float(reply.headers.get("backoff", "nan"))
            if seconds > 0:
                self._turnstile.hold(pace, min(seconds, LONGEST_WAIT))

    def _fetch(self, url: str, label: str, headers: Mapping[str, str]) -> Reply:
        first: guard.Target | None = None
        for _ in range(REDIRECTS + 1):
            target = guard.check(
                url, label=label, lookup=self._lookup, allow_private=self.access.allow_private
            )
            first = first or target
            # A key is for the machine that it was meant for, and for no other that this one names.
            same = (target.host, target.port, target.scheme) == (first.host, first.port, first.scheme)
            reply = self._ask(target, label, headers if same else {})
            if reply.status not in _REDIRECT or "location" not in reply.headers:
                return _good(reply)
            url = guard.follow(target, reply.headers["location"], label=label)
        raise FeedError(f"{label}: too many redirects (more than {REDIRECTS}); check the address")

    def _ask(self, target: guard.Target, label: str, headers: Mapping[str, str]) -> Reply:
        import httpx

        sent = {
            "Host": target.netloc,
            "User-Agent": self._agent,
            "Accept-Encoding": "gzip",
            "Accept": "*/*",
            **headers,
        }
        fault = "it cannot be reached"
        for address in target.addresses[:3]:
            request = self._http().build_request(
                "GET",
                target.pinned(address),
                headers=sent,
                extensions={
                    "sni_hostname": target.host,
                    "timeout": dict.fromkeys(("connect", "read", "write", "pool"), SILENCE_SECONDS),
                },
            )
            try:
                response = self._http().send(request, stream=True)
            except httpx.ConnectError as error:
                fault = f"it cannot be reached: {_short(error)}"
                continue
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise AgainError(_short(error)) from None
            try:
                return _whole(response, label)
            finally:
                response.close()
        raise AgainError(fault)

    def _http(self) -> httpx.Client:
        if self._opened is None:
            import httpx

            # trust_env: a proxy of the environment would look the name up again, unchecked.
            self._opened = httpx.Client(
                trust_env=False,
                verify=httpx.create_ssl_context(trust_env=True),  # SSL_CERT_FILE may name one's own authority
                follow_redirects=False,
                limits=httpx.Limits(max_connections=1),
            )
        return self._opened


def _good(reply: Reply) -> Reply:
    if reply.status < 400:
        return reply
    said = _said(reply)
    if reply.status in _TEMPORARY:
        raise AgainError(f"it said {reply.status}{said}", wait=retry_after(reply.headers))
    fix = {
        401: "check its key",
        403: "check its key",
        404: "check the address",
    }.get(reply.status, "change the request")
    raise RefusedError(f"{reply.label}: it said {reply.status}{said}; {fix}", status=reply.status)


def _said(reply: Reply) -> str:
    """Return the first words of an error's body, made safe; nothing of an HTML page."""
    text = clean(reply.body[:2_000].decode("utf-8", "replace"))
    return "" if not text or text.startswith("<") else f": {visible(text, limit=120)}"


def _whole(response: httpx.Response, label: str) -> Reply:
    """Read a body to its end, within the limits of size and time, unpacked by our own bounded reader."""
    import httpx

    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in {"gzip", "x-gzip", "identity", ""}:
        raise FeedError(f"{label}: packed as {visible(encoding, limit=20)}, which was not asked for; refused")
    try:
        stream = _Body(response, label)
        source = Source(stream, label)  # type: ignore[arg-type]  # read is all that it needs
        source.limit = PAGE_LIMIT
        body = source.read()
    except httpx.TransportError as error:
        raise AgainError(f"the answer broke off: {_short(error)}") from None
    except FeedError as error:
        if isinstance(error.__cause__, EOFError | zlib.error):
            raise AgainError("the answer broke off within its packing") from None
        raise
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, body, label)


class _Body:
    """The raw bytes of a response, bounded in size and time."""

    def __init__(self, response: Any, label: str) -> None:
        self._label = label
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._end = time.monotonic() + PAGE_SECONDS
        self._left = PAGE_LIMIT

    def read(self, _count: int = -1) -> bytes:
        """Return the next bytes; none at the end."""
        chunk = next(self._chunks, b"")
        self._left -= len(chunk)
        if self._left < 0:
            limit = f"{PAGE_LIMIT / 1e6:.0f} MB"
            raise FeedError(f"{self._label}: the page is larger than the limit of {limit}; ask for less")
        if time.monotonic() > self._end:
            raise AgainError(f"the answer took longer than {PAGE_SECONDS:.0f} seconds")
        return chunk


def _pause(fault: AgainError, attempt: int) -> float:
    """Return how long to wait: as asked, at least a second, else 2 to 4, 4 to 8, 8 to 16 seconds."""
    if fault.wait is not None and math.isfinite(fault.wait):
        return max(fault.wait, 1.0)
    base = float(2**attempt)
    return base + random.uniform(0, base)  # noqa: S311 - spreads retries, no secret


def _given_up(fault: AgainError, label: str) -> FeedError:
    asked = f" and asks to wait {fault.wait:.0f} seconds" if fault.wait and math.isfinite(fault.wait) else ""
    return FeedError(
        f"{label}: {visible(fault.why, limit=200)}{asked}; run it again later, it goes on where it stopped"
    )


def _short(error: Exception) -> str:
    return visible(str(error) or type(error).__name__, limit=100)
