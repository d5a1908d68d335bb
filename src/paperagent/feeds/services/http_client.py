"""The HTTP client of the live feeds: rate-limited, bounded in size and time, closed to private networks."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlencode

from paperagent.errors import FeedError, visible
from paperagent.feeds.services import ssrf_guard
from paperagent.feeds.services.page import MAX_ATTEMPTS, RetryableError, ServiceResponse
from paperagent.feeds.services.rate_limit import MAX_WAIT_SECONDS, RateLimit, RateLimiter
from paperagent.feeds.source import FeedSource
from paperagent.http_limits import limit_connections, retrying
from paperagent.text.redaction import Redactor
from paperagent.time_limits import Deadline, TooSlowError, interruptible_sleep, resolve

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

MAX_PAGE_BYTES = 50_000_000
"""Limit on the bytes of one page, both as received and decompressed."""
PAGE_SECONDS = 120.0
"""Time limit for one page, from the DNS lookup to the last byte, including redirects."""
CONNECT_SECONDS = 8.0
"""Time to connect to one address of a host. Then the next address is tried."""
READ_SECONDS = 30.0
MAX_ADDRESSES = 3
MAX_REDIRECTS = 5
FIRST_PAUSE_SECONDS = 2.0

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class FeedClientConfig:
    """How live feeds are fetched."""

    contact: str | None = None
    """A mail or web address for the services, sent in the User-Agent."""
    base_urls: Mapping[str, str] = field(default_factory=dict)
    """Service → base address that replaces the real one."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Service → API key."""
    allow_private: bool = False
    """Whether addresses of this machine and its network may be fetched."""
    lock_folder: Path | None = None
    """Where the processes of this machine share the rate limits."""


class FeedClient:
    """Fetches pages. Close it, or use it in a ``with`` block."""

    def __init__(
        self,
        config: FeedClientConfig,
        *,
        version: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        resolver: ssrf_guard.Resolver = resolve,
    ) -> None:
        self.config = config
        self._user_agent = f"paperagent/{version}" + (f" ({config.contact})" if config.contact else "")
        self._rate_limiter = RateLimiter(config.lock_folder, sleep=sleep, clock=clock)
        self._sleep = sleep
        self._resolver = resolver
        self._redactor = Redactor(config.keys.values())
        self._http_client: httpx.Client | None = None
        self._origin: ssrf_guard.Origin | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._http_client is not None:
            self._http_client.close()
        self._http_client = None

    def fetch(
        self,
        url: str,
        parse: Callable[[ServiceResponse], T],
        *,
        label: str,
        rate_limit: RateLimit,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Fetch a page and return what ``parse`` makes of it.

        Temporary failures are retried: status 429 and 5xx (after the pause that the service asks for), a
        broken connection or an incomplete body, and every `RetryableError` of ``parse``. A page that is too
        slow is not retried.

        Raises:
            ServiceRefusedError: the service refused the request.
            FeedError: the address is not allowed, a page exceeds a limit, or four attempts failed.
        """
        full_url = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        _check_headers(headers or {}, label)

        def attempt() -> T:
            with self._rate_limiter.limit(rate_limit):
                response = self._fetch_in_time(full_url, label, headers or {})
                self._honor_backoff(response)
            response.raise_for_status()
            return parse(response)

        retry = retrying(
            sleep=interruptible_sleep(self._sleep),
            attempts=MAX_ATTEMPTS,
            first_pause=FIRST_PAUSE_SECONDS,
            max_wait=MAX_WAIT_SECONDS,
        )
        try:
            return retry(attempt)
        except RetryableError as failure:
            raise self._redacted(_final_error(failure, label)) from None
        except FeedError as error:
            self._redacted(error)
            raise

    def _redacted(self, error: FeedError) -> FeedError:
        """Remove the keys from an error, and return it."""
        error.args = tuple(self._redactor.redact_message(str(part)) for part in error.args)
        return error

    def _honor_backoff(self, response: ServiceResponse) -> None:
        """Respect a pause that a service requests on success (Zotero's ``Backoff``)."""
        with suppress(ValueError):
            seconds = float(response.headers.get("backoff", "nan"))
            if seconds > 0:
                self._rate_limiter.back_off(seconds)

    def _fetch_in_time(self, url: str, label: str, headers: Mapping[str, str]) -> ServiceResponse:
        try:
            with Deadline.after(PAGE_SECONDS).active():
                return self._follow_redirects(url, label, headers)
        except TooSlowError:
            failure = RetryableError(f"the response took longer than {PAGE_SECONDS:.0f} seconds")
            raise _final_error(failure, label) from None

    def _follow_redirects(self, url: str, label: str, headers: Mapping[str, str]) -> ServiceResponse:
        first: ssrf_guard.ResolvedUrl | None = None
        for _ in range(MAX_REDIRECTS + 1):
            target = ssrf_guard.check_url(
                url, label=label, resolver=self._resolver, allow_private=self.config.allow_private
            )
            first = first or target
            # A key is only for the host that it was configured for, not for one it redirects to.
            own_headers = headers if target.origin == first.origin else {}
            response = self._request(target, label, own_headers)
            if response.status not in _REDIRECTS or "location" not in response.headers:
                return self._redacted_response(response)
            url = ssrf_guard.redirect_url(target, response.headers["location"], label=label)
        raise FeedError(f"{label}: too many redirects (more than {MAX_REDIRECTS}); check the address")

    def _redacted_response(self, response: ServiceResponse) -> ServiceResponse:
        headers = {name: self._redactor.redact_text(value) for name, value in response.headers.items()}
        return replace(response, headers=headers, body=self._redactor.redact_bytes(response.body))

    def _request(
        self, target: ssrf_guard.ResolvedUrl, label: str, headers: Mapping[str, str]
    ) -> ServiceResponse:
        import httpx

        all_headers = {
            "Host": target.netloc,
            "User-Agent": self._user_agent,
            "Accept-Encoding": "gzip",
            "Accept": "*/*",
            **headers,
        }
        reason = "the host cannot be reached"
        for address in target.addresses[:MAX_ADDRESSES]:
            try:
                response = self._send(target, address, all_headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = f"the host cannot be reached: {_short_message(error)}"
                continue
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise RetryableError(_short_message(error)) from None
            try:
                return _read_body(response, label)
            finally:
                response.close()
        raise RetryableError(reason)

    def _send(
        self, target: ssrf_guard.ResolvedUrl, address: str, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send the request over the open connection, or a new one; return when the headers have arrived."""
        client = self._client_for(target)
        request = client.build_request(
            "GET",
            target.with_address(address),
            headers=headers,
            extensions={
                "sni_hostname": target.host,
                "timeout": {
                    "connect": CONNECT_SECONDS,
                    **dict.fromkeys(("read", "write", "pool"), READ_SECONDS),
                },
            },
        )
        return client.send(request, stream=True)

    def _client_for(self, target: ssrf_guard.ResolvedUrl) -> httpx.Client:
        """Return an httpx client that keeps a connection to the target's host only.

        httpx pools connections by address, but a certificate is checked for one name only: another name with
        the same address would reuse the first connection, unchecked.
        """
        if self._origin != target.origin:
            self.close()
        if self._http_client is None:
            import httpx

            # trust_env=False: a proxy from the environment would resolve the name again, unchecked.
            self._http_client = httpx.Client(
                trust_env=False,
                verify=httpx.create_ssl_context(trust_env=True),  # honors SSL_CERT_FILE
                follow_redirects=False,
                event_hooks={"request": [limit_connections]},
                limits=httpx.Limits(max_connections=1),
            )
            self._origin = target.origin
        return self._http_client


def _check_headers(headers: Mapping[str, str], label: str) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise FeedError(f"{label}: {name}: not a valid header value (not shown); check the key")


def _read_body(response: httpx.Response, label: str) -> ServiceResponse:
    """Read a body to its end within the limits; decompress it with our own bounded reader."""
    import httpx

    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in {"gzip", "x-gzip", "identity", ""}:
        raise FeedError(
            f"{label}: compressed as {visible(encoding, limit=20)}, which was not asked for; refused"
        )
    try:
        source = FeedSource(_BodyStream(response, label), label)  # type: ignore[arg-type]  # it only calls read
        source.limit = MAX_PAGE_BYTES
        body = source.read()
    except httpx.TransportError as error:
        raise RetryableError(f"the response broke off: {_short_message(error)}") from None
    except FeedError as error:
        if isinstance(error.__cause__, EOFError | zlib.error):
            raise RetryableError("the response broke off within its compressed data") from None
        if isinstance(error.__cause__, TooSlowError):
            raise error.__cause__ from None
        raise
    headers = {name.lower(): value for name, value in response.headers.items()}
    return ServiceResponse(response.status_code, headers, body, label)


class _BodyStream:
    """The raw bytes of a response, limited in size."""

    def __init__(self, response: httpx.Response, label: str) -> None:
        self._label = label
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._bytes_left = MAX_PAGE_BYTES

    def read(self, _count: int = -1) -> bytes:
        """Return the next bytes; none at the end."""
        chunk = next(self._chunks, b"")
        self._bytes_left -= len(chunk)
        if self._bytes_left < 0:
            limit = f"{MAX_PAGE_BYTES / 1e6:.0f} MB"
            raise FeedError(f"{self._label}: the page is larger than the limit of {limit}; ask for less")
        return chunk


def _final_error(failure: RetryableError, label: str) -> FeedError:
    """Return the error that is reported when no attempt is left."""
    request, wait = "", failure.requested_wait
    if wait is not None and wait > 0:
        duration = f"{wait:.0f} seconds" if wait <= _DAY_SECONDS else "more than a day"
        request = f" and asks to wait {duration}"
    return FeedError(
        f"{label}: {visible(failure.reason, limit=200)}{request}; "
        "run it again later to resume where it stopped"
    )


def _short_message(error: Exception) -> str:
    return visible(str(error) or type(error).__name__, limit=100)
