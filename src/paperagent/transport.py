"""Retries and limits of a request: what may be tried again, for how long, and how much is read."""

from __future__ import annotations

import contextlib
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tenacity

    from paperagent.errors import PaperAgentError

ATTEMPTS = 3
MAX_REPLY_BYTES = 128 << 20


class TransientError(Exception):
    """A fault that another attempt may cure."""

    def __init__(self, error: PaperAgentError, *, wait: float | None = None, tries: int = ATTEMPTS) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        """Seconds that the server asks for."""
        self.tries = tries
        """Attempts that this fault is worth, the first included."""


def retrying(*, timeout: float, sleep: Callable[[float], None]) -> tenacity.Retrying:
    """Return the one retry layer: a function runs again while it raises `TransientError` and time is left."""
    import tenacity

    in_time = tenacity.stop_before_delay(timeout)
    return tenacity.Retrying(
        stop=lambda state: state.attempt_number >= _fault(state).tries or in_time(state),
        wait=_pause,
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=sleep,
        reraise=True,
    )


def _fault(state: tenacity.RetryCallState) -> TransientError:
    fault = state.outcome.exception() if state.outcome else None
    assert isinstance(fault, TransientError)
    return fault


def _pause(state: tenacity.RetryCallState) -> float:
    """Return the wait that the server asked for, else 1 to 2, then 2 to 4 seconds (equal jitter)."""
    wait = _fault(state).wait
    base = float(2 ** (state.attempt_number - 1))
    return base + random.uniform(0, base) if wait is None else wait  # noqa: S311 - spreads retries, no secret


def retry_after(headers: Any) -> float | None:
    """Return the seconds that a server asks to wait; None where it does not say, NaN for nonsense.

    Reads ``retry-after-ms`` and ``Retry-After`` in both forms (RFC 9110, 10.2.3).
    """
    if (milliseconds := headers.get("retry-after-ms")) is not None:
        return _number(milliseconds) / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if math.isnan(seconds):
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return math.nan
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


class TooLargeError(OSError):
    """A reply beyond our limit of size."""


class TooSlowError(OSError):
    """A reply that was not complete in time."""


class Bounded:
    """A response stream that stops at a size and a time.

    A read timeout alone lets a slow drip go on, and looking at the clock between two blocks
    lets a silent server hold the call for one more read timeout: an alarm cuts the connection.
    """

    def __init__(self, stream: Any, deadline: float, connection: Any) -> None:
        self._stream = stream
        self._deadline = deadline
        self._connection = connection
        self._cut = False
        self._alarm: threading.Timer | None = None
        if math.isfinite(deadline) and connection is not None:
            self._alarm = threading.Timer(max(deadline - time.monotonic(), 0.0), self._ring)
            self._alarm.daemon = True
            self._alarm.start()

    @classmethod
    def around(cls, response: Any, *, deadline: float) -> Any:
        """Wrap the stream of ``response``; ``deadline`` is a `time.monotonic`.

        The class made here also has the stream's own root: httpx and httpx2 (openai 2 and 3)
        each insist on theirs.
        """
        stream, network = response.stream, response.extensions.get("network_stream")
        connection = network.get_extra_info("socket") if network is not None else None
        return type("BoundedStream", (cls, type(stream).__mro__[-2]), {})(stream, deadline, connection)

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        blocks = iter(self._stream)
        while (block := self._next(blocks)) is not None:
            size += len(block)
            if size > MAX_REPLY_BYTES:
                raise TooLargeError
            if time.monotonic() > self._deadline:
                raise TooSlowError
            yield block

    def _next(self, blocks: Iterator[bytes]) -> bytes | None:
        try:
            block = next(blocks, None)
        except Exception:
            if self._cut:
                raise TooSlowError from None
            raise
        if block is None and self._cut:
            raise TooSlowError
        return block

    def _ring(self) -> None:
        self._cut = True
        with contextlib.suppress(OSError):  # closed in the meantime
            # The plain socket's method: an encrypted one would first say goodbye, from this thread.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the stream below."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._stream.close()
