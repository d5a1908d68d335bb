"""Retries, limits and cancellation of a request: what is tried again, for how long, how much is read."""

from __future__ import annotations

import contextlib
import math
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
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


def retrying(
    *, timeout: float, sleep: Callable[[float], None], attempts: int = ATTEMPTS
) -> tenacity.Retrying:
    """Return the one retry layer: a function runs again while it raises `TransientError` and time is left."""
    import tenacity

    in_time = tenacity.stop_before_delay(timeout)
    return tenacity.Retrying(
        stop=lambda state: state.attempt_number >= min(_fault(state).tries, attempts) or in_time(state),
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
        _cut(self._connection)

    def close(self) -> None:
        """Close the stream below."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._stream.close()


class Cancelled(BaseException):
    """Another thread cancelled what this one does; no handler of errors may catch it."""


class Cancellation:
    """Lets another thread end what this one waits for: a reply, or the pause before another attempt.

    A thread that runs inside `active` may be ended by `cancel`: its requests raise `Cancelled`
    and their connection is closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._connection: Any = None

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the cancellation of the thread that runs the block."""
        token = _CANCELLATION.set(self)
        try:
            yield
        finally:
            _CANCELLATION.reset(token)

    def cancel(self) -> None:
        """Cancel the work; may be called from any thread, and again."""
        with self._lock:
            self._cancelled.set()
            if self._connection is not None:
                _cut(self._connection)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    @contextlib.contextmanager
    def waiting(self, connection: Any) -> Iterator[None]:
        """Wait for ``connection`` inside the block; or raise `Cancelled` as soon as `cancel` is called."""
        self._hold(connection)
        try:
            yield
        finally:
            self._hold(None)

    def pause(self, seconds: float) -> None:
        """Sleep, or raise `Cancelled` as soon as `cancel` is called."""
        if self._cancelled.wait(seconds):
            raise Cancelled

    def _hold(self, connection: Any) -> None:
        with self._lock:
            self._connection = connection
            if self.cancelled:
                raise Cancelled


_CANCELLATION: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def pausing(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """Return ``sleep``, or what the cancellation of this thread can end."""
    cancellation = _CANCELLATION.get()
    return sleep if cancellation is None else cancellation.pause


def cancellable(request: Any) -> None:
    """Let the thread's `Cancellation` end the wait for the reply to ``request``: an event hook of httpx.

    A connection is shared by the requests of many threads, one after another, and httpcore tells of it
    only when it is made: from then on each read says on which connection its thread waits.
    """
    request.extensions["trace"] = _watch


def _watch(event: str, info: dict[str, Any]) -> None:
    if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
        return
    stream = info["return_value"]
    read = stream.read

    def watched(max_bytes: int, timeout: float | None = None) -> bytes:
        cancellation = _CANCELLATION.get()
        if cancellation is None:
            return bytes(read(max_bytes, timeout))
        with cancellation.waiting(stream.get_extra_info("socket")):
            return bytes(read(max_bytes, timeout))

    stream.read = watched


def _cut(connection: Any) -> None:
    """Shut a connection down, so that a thread that waits for it wakes up."""
    with contextlib.suppress(OSError):  # closed in the meantime
        # The plain socket's method: an encrypted one would first say goodbye, from this thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
