"""HTTP to a Chroma server: its v2 API by httpx, with a time limit, retries and one error line.

Not chromadb's own client: that has no time limit, reads ``./.env``, takes a second to import
and puts what a server says into its exceptions as it came.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paperagent.errors import StoreError
from paperagent.http_limits import ATTEMPTS, LimitedStream, TransientError, retry_after, retrying
from paperagent.library.server.address import Address

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
_LONGEST_WAIT = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotFoundError(StoreError):
    """The server has no such collection."""


class RefusedError(StoreError):
    """The server refused a request as such; asking again would not help."""

    def __init__(self, message: str, *, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said
        """What the server said, cleaned."""


class Connection:
    """Speaks JSON with one database of a server; threads may share it.

    Every request is idempotent (reads, upserts, deletes, get-or-create), so all are retried.
    """

    def __init__(
        self, address: Address, *, timeout: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._sleep = sleep
        self._made: httpx.Client | None = None
        self._making = threading.Lock()

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        with self._making:
            if self._made is not None:
                self._made.close()
            self._made = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON reply of ``path`` below the database; ``/api/…`` counts from the server's root.

        Raises:
            NotFoundError: there is no such thing.
            RefusedError: the request cannot be served as it is.
            StoreError: the server cannot be reached, failed for good or sent no JSON.
        """
        whole = path if path.startswith("/api/") else self.address.path + path
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        again = retrying(timeout=self._timeout, sleep=self._sleep)
        try:
            return again(self._once, method, whole, content)
        except TransientError as fault:
            raise fault.error from None

    def error(self, why: str, fix: str) -> StoreError:
        """Return the error in the form ``WHAT: WHY; FIX``."""
        return StoreError(f"Chroma server {self.address.name}: {why}; {fix}")

    def _once(self, method: str, path: str, content: bytes | None) -> Any:
        import httpx

        deadline = time.monotonic() + self._timeout
        try:
            request = self._client().build_request(method, self.address.base + path, content=content)
            response = self._client().send(request, stream=True)
            try:
                response.stream = LimitedStream.wrap(response, deadline=deadline)
                raw = response.read()
            finally:
                response.close()
        except httpx.TimeoutException:
            raise TransientError(
                self.error("no answer in time", "try again or raise PAPERAGENT_TIMEOUT"), tries=2
            ) from None
        except (httpx.HTTPError, OSError) as error:  # OSError: our own limits
            why = "cannot be reached" if isinstance(error, httpx.ConnectError) else "the connection broke"
            # The cause's text may hold the request; its class says enough.
            fix = "is it running, and is PAPERAGENT_CHROMA_URL right?"
            raise TransientError(self.error(f"{why} ({type(error).__name__})", fix)) from None
        if response.status_code >= 300:
            raise self._fault(response.status_code, raw, response.headers)
        return self._parsed(raw)

    def _parsed(self, raw: bytes) -> Any:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            fault = self.error("sent no valid JSON", "check that PAPERAGENT_CHROMA_URL is a Chroma server")
            raise TransientError(fault, tries=2) from None

    def _fault(self, status: int, raw: bytes, headers: Any) -> Exception:
        said = self.address.clean(_message(raw))
        if status in (401, 403):
            return self.error(f"{status}, it refused the key", "check PAPERAGENT_CHROMA_KEY")
        if status == 404:
            return NotFoundError(f"Chroma server {self.address.name}: not found: {said}; check its address")
        if status in _BUSY:
            fault = self.error(f"{status}: {said or 'no reason given'}", "try again later")
            wait = retry_after(headers)
            return TransientError(fault, wait=wait) if wait is None or 0 <= wait <= _LONGEST_WAIT else fault
        if status < 400:
            return self.error(f"{status}, it sends elsewhere", "give the address that it names itself by")
        message = f"Chroma server {self.address.name}: {status}: {said}; check its version and its quotas"
        return RefusedError(message, status=status, said=said)

    def _client(self) -> httpx.Client:
        import httpx

        with self._making:
            if self._made is None:
                patience = httpx.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout))
                headers = {
                    "Content-Type": "application/json",
                    "Accept-Encoding": "identity",  # a small reply may unpack to a huge one
                    **self.address.headers(),
                }
                # No proxy and no .netrc of the environment; and a redirect could carry the key elsewhere.
                self._made = httpx.Client(
                    timeout=patience, headers=headers, trust_env=False, follow_redirects=False
                )
            return self._made


def _message(raw: bytes) -> str:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:300].decode(errors="replace")
    return str(found.get("message") or found.get("error") or "") if isinstance(found, dict) else ""


__all__ = ["ATTEMPTS", "Connection", "NotFoundError", "RefusedError"]
