"""The one HTTP client of the feeds: polite, bounded, and closed to private networks."""

from __future__ import annotations

import math
import random
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlencode

from paperagent.errors import FeedError, visible
from paperagent.feeds.services import ssrf_guard
from paperagent.feeds.services.deadline import Alarm
from paperagent.feeds.services.rate_limit import LONGEST_WAIT, RateLimit, RateLimiter
from paperagent.feeds.services.redact import Redactor
from paperagent.feeds.services.response import RetryableError, ServiceResponse, raise_for_status
from paperagent.feeds.source import FeedSource

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

PAGE_LIMIT = 50_000_000
"""Bytes of one page, as they come and unpacked."""
PAGE_SECONDS = 120.0
"""For one page, from the first request to its last byte, redirects included."""
CONNECT_SECONDS = 8.0
"""For one address of a machine; then the next is tried."""
SILENCE_SECONDS = 30.0
ATTEMPTS = 4
REDIRECTS = 5

_REDIRECT = frozenset({301, 302, 303, 307, 308})
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
"""What httpcore calls the moments in which there is a new connection."""
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class FeedClientConfig:
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


class FeedClient:
    """Fetches pages. Close it, or use it in a ``with`` block."""

    def __init__(
        self,
        access: FeedClientConfig,
        *,
        version: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        lookup: ssrf_guard.Resolver = ssrf_guard.resolve_host,
    ) -> None:
        self.access = access
        self._agent = f"paperagent/{version}" + (f" ({access.contact})" if access.contact else "")
        self._turnstile = RateLimiter(access.folder, sleep=sleep, clock=clock)
        self._sleep = sleep
        self._lookup = lookup
        self._mask = Redactor(access.keys.values())
        self._opened: httpx.Client | None = None
        self._origin: ssrf_guard.Origin | None = None
        self._wire: socket.socket | None = None
        """The connection that is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._opened is not None:
            self._opened.close()
        self._opened = self._wire = None

    def get(
        self,
        url: str,
        read: Callable[[ServiceResponse], T],
        *,
        label: str,
        pace: RateLimit,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Fetch a page and return what ``read`` makes of it.

        Faults that may pass are tried again: 429 and 5xx (as long as the service asks to wait), a
        connection or body that was cut, and whatever ``read`` raises `RetryableError` for.

        Raises:
            RefusedError: the service said no, for good.
            FeedError: an address that is not allowed, a page over the limits, or no luck in four attempts.
        """
        whole = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        _check_headers(headers or {}, label)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._turnstile.turn(pace):
                    reply = self._fetch(whole, label, headers or {})
                    self._obey(reply)
                return read(raise_for_status(reply))
            except RetryableError as fault:
                wait = _pause(fault, attempt)
                if attempt == ATTEMPTS or wait > LONGEST_WAIT:
                    raise self._masked(_given_up(fault, label)) from None
                self._sleep(wait)
            except FeedError as error:
                self._masked(error)
                raise
        raise AssertionError("the last attempt returns or raises")

    def _masked(self, error: FeedError) -> FeedError:
        """Take the keys out of an error, and return it."""
        error.args = tuple(self._mask.text(str(part)) for part in error.args)
        return error

    def _obey(self, reply: ServiceResponse) -> None:
        """Keep the pause that a service asks for on a good answer too (Zotero's ``Backoff``)."""
        with suppress(ValueError):
            seconds = float(reply.headers.get("backoff", "nan"))
            if seconds > 0:
                self._turnstile.hold(seconds)

    def _fetch(self, url: str, label: str, headers: Mapping[str, str]) -> ServiceResponse:
        with Alarm(PAGE_SECONDS) as alarm:
            try:
                reply = self._followed(url, label, headers, alarm)
            except RetryableError:
                if not alarm.over:
                    raise
            else:
                if not alarm.over:  # a body without a length ends where it is cut, and looks whole
                    return reply
        raise RetryableError(f"the answer took longer than {PAGE_SECONDS:.0f} seconds")

    def _followed(self, url: str, label: str, headers: Mapping[str, str], alarm: Alarm) -> ServiceResponse:
        first: ssrf_guard.ResolvedUrl | None = None
        for _ in range(REDIRECTS + 1):
            target = ssrf_guard.check_url(
                url, label=label, lookup=self._lookup, allow_private=self.access.allow_private
            )
            first = first or target
            # A key is for the machine that it was meant for, and for no other that this one names.
            reply = self._ask(target, label, headers if target.origin == first.origin else {}, alarm)
            if reply.status not in _REDIRECT or "location" not in reply.headers:
                return self._without_keys(reply)
            url = ssrf_guard.redirect_url(target, reply.headers["location"], label=label)
        raise FeedError(f"{label}: too many redirects (more than {REDIRECTS}); check the address")

    def _without_keys(self, reply: ServiceResponse) -> ServiceResponse:
        headers = {name: self._mask.text(value) for name, value in reply.headers.items()}
        return replace(reply, headers=headers, body=self._mask.data(reply.body))

    def _ask(
        self, target: ssrf_guard.ResolvedUrl, label: str, headers: Mapping[str, str], alarm: Alarm
    ) -> ServiceResponse:
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
            try:
                response = self._send(target, address, sent, alarm)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                fault = f"it cannot be reached: {_short(error)}"
                continue
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise RetryableError(_short(error)) from None
            try:
                return _whole(response, label, alarm)
            finally:
                response.close()
        raise RetryableError(fault)

    def _send(
        self, target: ssrf_guard.ResolvedUrl, address: str, sent: Mapping[str, str], alarm: Alarm
    ) -> httpx.Response:
        """Send the request over the open connection, or a new one, and return what comes up to the body."""

        def connected(event: str, told: Mapping[str, Any]) -> None:
            if event in _CONNECTED:
                self._wire = told["return_value"].get_extra_info("socket")
                alarm.watch(self._wire)

        http = self._http(target)
        alarm.watch(self._wire)
        silence = dict.fromkeys(("read", "write", "pool"), SILENCE_SECONDS)
        request = http.build_request(
            "GET",
            target.pinned(address),
            headers=sent,
            extensions={
                "sni_hostname": target.host,
                "timeout": {"connect": CONNECT_SECONDS, **silence},
                "trace": connected,
            },
        )
        return http.send(request, stream=True)

    def _http(self, target: ssrf_guard.ResolvedUrl) -> httpx.Client:
        """Return what keeps a connection to the target's host, and to no other.

        Connections are kept by address, and a certificate is checked for one name only: a second name of
        the same address would get the first one's connection, unchecked.
        """
        if self._origin != target.origin:
            self.close()
        if self._opened is None:
            import httpx

            # trust_env: a proxy of the environment would look the name up again, unchecked.
            self._opened = httpx.Client(
                trust_env=False,
                verify=httpx.create_ssl_context(trust_env=True),  # SSL_CERT_FILE may name one's own authority
                follow_redirects=False,
                limits=httpx.Limits(max_connections=1),
            )
            self._origin = target.origin
        return self._opened


def _check_headers(headers: Mapping[str, str], label: str) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise FeedError(f"{label}: {name}: holds what no header takes (not shown); check the key")


def _whole(response: httpx.Response, label: str, alarm: Alarm) -> ServiceResponse:
    """Read a body to its end, within the limits of size and time, unpacked by our own bounded reader."""
    import httpx

    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in {"gzip", "x-gzip", "identity", ""}:
        raise FeedError(f"{label}: packed as {visible(encoding, limit=20)}, which was not asked for; refused")
    try:
        stream = _Body(response, label, alarm)
        source = FeedSource(stream, label)  # type: ignore[arg-type]  # read is all that it needs
        source.limit = PAGE_LIMIT
        body = source.read()
    except httpx.TransportError as error:
        raise RetryableError(f"the answer broke off: {_short(error)}") from None
    except FeedError as error:
        if isinstance(error.__cause__, EOFError | zlib.error):
            raise RetryableError("the answer broke off within its packing") from None
        raise
    headers = {name.lower(): value for name, value in response.headers.items()}
    return ServiceResponse(response.status_code, headers, body, label)


class _Body:
    """The raw bytes of a response, bounded in size and time."""

    def __init__(self, response: Any, label: str, alarm: Alarm) -> None:
        self._label = label
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._alarm = alarm
        self._left = PAGE_LIMIT

    def read(self, _count: int = -1) -> bytes:
        """Return the next bytes; none at the end."""
        chunk = next(self._chunks, b"")
        self._left -= len(chunk)
        if self._left < 0:
            limit = f"{PAGE_LIMIT / 1e6:.0f} MB"
            raise FeedError(f"{self._label}: the page is larger than the limit of {limit}; ask for less")
        if self._alarm.over:
            raise RetryableError("too slow")  # `FeedClient._fetch` says it in its words
        return chunk


def _pause(fault: RetryableError, attempt: int) -> float:
    """Return how long to wait: as asked, at least a second, else 2 to 4, 4 to 8, 8 to 16 seconds."""
    if fault.wait is not None and not math.isnan(fault.wait):
        return max(fault.wait, 1.0)
    base = float(2**attempt)
    return base + random.uniform(0, base)  # noqa: S311 - spreads retries, no secret


def _given_up(fault: RetryableError, label: str) -> FeedError:
    asked = ""
    if fault.wait is not None and fault.wait > 0:
        span = f"{fault.wait:.0f} seconds" if fault.wait <= _DAY else "more than a day"
        asked = f" and asks to wait {span}"
    return FeedError(
        f"{label}: {visible(fault.why, limit=200)}{asked}; run it again later, it goes on where it stopped"
    )


def _short(error: Exception) -> str:
    return visible(str(error) or type(error).__name__, limit=100)
