"""Retries, size limits, deadlines and cancellation for HTTP requests.

Everything in the package that retries requests or limits their time uses this module: model endpoints,
Chroma servers and live feeds.
"""

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
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import tenacity

    from paperagent.errors import PaperAgentError

ATTEMPTS = 3
MAX_RESPONSE_BYTES = 128 << 20


class TransientError(Exception):
    """A failure after which another attempt may succeed.

    Args:
        error: The error to raise after the last attempt.
        wait: Seconds that the server asks to wait before the next attempt, if known.
        tries: Maximum number of attempts for this failure, including the first.
    """

    def __init__(self, error: PaperAgentError, *, wait: float | None = None, tries: int = ATTEMPTS) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        self.tries = tries


def retrying(
    *,
    sleep: Callable[[float], None],
    attempts: int = ATTEMPTS,
    timeout: float | None = None,
    first_pause: float = 1.0,
    max_wait: float | None = None,
) -> tenacity.Retrying:
    """Return an object that calls a function again while it raises `TransientError`.

    When no attempt is left, it raises the last `TransientError`.

    Args:
        sleep: Called with the seconds of each pause.
        attempts: Maximum number of attempts, even if a failure allows more.
        timeout: Seconds for all attempts and pauses. A pause that would exceed it is not started.
        first_pause: Minimum seconds before the second attempt, unless the server gives a wait. It doubles
            with each attempt, and a random time of up to the same length is added (equal jitter).
        max_wait: Give up at once if a pause would be longer.
    """
    import tenacity

    exceeds_timeout = tenacity.stop_never if timeout is None else tenacity.stop_before_delay(timeout)

    def stop(state: tenacity.RetryCallState) -> bool:
        if state.attempt_number >= min(_failure(state).tries, attempts):
            return True
        return (max_wait is not None and state.upcoming_sleep > max_wait) or exceeds_timeout(state)

    def pause(state: tenacity.RetryCallState) -> float:
        wait = _failure(state).wait
        if wait is not None and not math.isnan(wait):
            return wait
        base = first_pause * 2.0 ** (state.attempt_number - 1)
        return base + random.uniform(0, base)  # noqa: S311 - spreads retries, no secret

    return tenacity.Retrying(
        stop=stop,
        wait=pause,
        retry=tenacity.retry_if_exception_type(TransientError),
        sleep=sleep,
        reraise=True,
    )


def _failure(state: tenacity.RetryCallState) -> TransientError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, TransientError)
    return failure


def retry_after(headers: Any) -> float | None:
    """Return the seconds that the server asks to wait; None without a header, NaN if it is invalid.

    Reads ``retry-after-ms`` and both forms of ``Retry-After`` (RFC 9110, 10.2.3).
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
    """A response exceeds the size limit."""


class TooSlowError(OSError):
    """A response was not complete before its deadline."""


class Deadline:
    """Shuts a connection down at a point in time. A context manager.

    A read timeout alone lets a server drip bytes forever, and checking the clock between two reads
    waits one more read timeout for a silent server. A timer thread cuts the connection instead.

    Args:
        at: The deadline on the clock of `time.monotonic`; may be infinite.
    """

    def __init__(self, at: float) -> None:
        self._at = at
        self._connection: socket.socket | None = None
        self._timer: threading.Timer | None = None

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return a deadline ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def __enter__(self) -> Self:
        if math.isfinite(self._at) and self._timer is None:
            self._timer = threading.Timer(max(self._at - time.monotonic(), 0.0), self._on_deadline)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self._at

    def watch(self, connection: socket.socket | None) -> None:
        """Shut down ``connection`` at the deadline, or now if it has passed. Replaces an earlier one."""
        self._connection = connection
        if self.expired:
            self._on_deadline()

    def cancel(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_deadline(self) -> None:
        if self._connection is not None:
            _shut_down(self._connection)


class LimitedStream:
    """A response stream that ends at a size limit (`MAX_RESPONSE_BYTES`) and a deadline."""

    def __init__(self, stream: Any, deadline: float, connection: Any) -> None:
        self._stream = stream
        self._deadline = Deadline(deadline)
        if connection is not None:
            self._deadline.watch(connection)
            self._deadline.__enter__()

    @classmethod
    def wrap(cls, response: Any, *, deadline: float) -> Any:
        """Return the stream of ``response`` with limits; ``deadline`` is on the clock of `time.monotonic`.

        The returned object also has the base class of the original stream: httpx and httpx2
        (openai 2 and 3) each insist on their own.
        """
        stream, network = response.stream, response.extensions.get("network_stream")
        connection = network.get_extra_info("socket") if network is not None else None
        return type("LimitedHttpxStream", (cls, type(stream).__mro__[-2]), {})(stream, deadline, connection)

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        blocks = iter(self._stream)
        while (block := self._next(blocks)) is not None:
            size += len(block)
            if size > MAX_RESPONSE_BYTES:
                raise TooLargeError
            if self._deadline.expired:
                raise TooSlowError
            yield block

    def _next(self, blocks: Iterator[bytes]) -> bytes | None:
        try:
            block = next(blocks, None)
        except Exception:
            if self._deadline.expired:
                raise TooSlowError from None
            raise
        if block is None and self._deadline.expired:  # a body without a length looks complete when it is cut
            raise TooSlowError
        return block

    def close(self) -> None:
        """Close the underlying stream."""
        self._deadline.cancel()
        self._stream.close()


class Cancelled(BaseException):
    """Another thread canceled the work of this one. Not an `Exception`, so that no handler swallows it."""


class Cancellation:
    """Lets another thread interrupt a wait for a response or for the pause before another attempt.

    Work that runs inside `active` can be interrupted by `cancel`: its requests raise `Cancelled` and
    their connection is closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._connection: Any = None

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the cancellation of the current thread inside the block."""
        token = _CANCELLATION.set(self)
        try:
            yield
        finally:
            _CANCELLATION.reset(token)

    def cancel(self) -> None:
        """Cancel the work. May be called from any thread and more than once."""
        with self._lock:
            self._cancelled.set()
            if self._connection is not None:
                _shut_down(self._connection)

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    @contextlib.contextmanager
    def waiting(self, connection: Any) -> Iterator[None]:
        """Let `cancel` shut down ``connection`` inside the block.

        Raises:
            Cancelled: `cancel` was called before or during the block.
        """
        self._watch(connection)
        try:
            yield
        finally:
            self._watch(None)

    def pause(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Cancelled: As soon as `cancel` is called.
        """
        if self._cancelled.wait(seconds):
            raise Cancelled

    def _watch(self, connection: Any) -> None:
        with self._lock:
            self._connection = connection
            if self.cancelled:
                raise Cancelled


_CANCELLATION: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


def interruptible_sleep(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """Return the pause of the current thread's `Cancellation`, or ``sleep`` if it has none."""
    cancellation = _CANCELLATION.get()
    return sleep if cancellation is None else cancellation.pause


def make_cancellable(request: Any) -> None:
    """Let the current thread's `Cancellation` interrupt the wait for a response. An httpx request hook.

    Threads share connections, one after another, and httpcore announces a connection only when it is
    made. So the `read` of each new connection is wrapped to find out which thread waits on it.
    """
    request.extensions["trace"] = _trace_connections


def _trace_connections(event: str, info: dict[str, Any]) -> None:
    if not event.endswith(("connect_tcp.complete", "start_tls.complete")):
        return
    stream = info["return_value"]
    read = stream.read

    def cancellable_read(max_bytes: int, timeout: float | None = None) -> bytes:
        cancellation = _CANCELLATION.get()
        if cancellation is None:
            return bytes(read(max_bytes, timeout))
        with cancellation.waiting(stream.get_extra_info("socket")):
            return bytes(read(max_bytes, timeout))

    stream.read = cancellable_read


def _shut_down(connection: Any) -> None:
    """Shut a connection down, so that a thread waiting for it wakes up."""
    with contextlib.suppress(OSError):  # closed meanwhile
        # Not `SSLSocket.shutdown`: it would send close_notify from this thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
