"""Retries, size limits and time limits for HTTP requests with httpx.

Everything in the package that sends HTTP requests uses this module: model endpoints, Chroma servers, live
feeds and webhooks. `time_limits` has the deadlines.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from paperagent.time_limits import TooSlowError, current_deadline, resolve, waiting, wrap_tls

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


def limit_connections(request: Any) -> None:
    """Apply the current thread's `Deadline` and `Cancellation` to a request. This is an httpx request hook.

    Threads reuse each other's connections, and httpcore reports a connection only when it is opened. So the
    methods of each new connection are wrapped to find out which thread is waiting for it.
    """
    request.extensions["trace"] = trace_connections


def trace_connections(event: str, info: dict[str, Any]) -> None:
    """Do what `limit_connections` does, for one request, as the value of its ``trace`` extension."""
    if event.endswith("connect_tcp.started"):
        _prepare_connection(info)
    elif event.endswith(("connect_tcp.complete", "start_tls.complete")):
        _wrap_stream(info["return_value"])


def _prepare_connection(arguments: dict[str, Any]) -> None:
    """Resolve the host before httpcore does, and divide the time among its addresses.

    httpcore's own lookup cannot be interrupted, and it allows the whole ``timeout`` for each address. The
    changed ``arguments`` are those with which it connects.
    """
    deadline = current_deadline()
    try:
        addresses = resolve(arguments["host"], arguments["port"])
    except TooSlowError:
        raise
    except (OSError, UnicodeError):
        return  # httpcore fails in the same way, and its error is reported
    deadline.check()
    if math.isfinite(deadline.at):
        seconds = max(deadline.seconds_left / len(addresses), 0.001)
        arguments["timeout"] = min(arguments["timeout"] or math.inf, seconds)


def _wrap_stream(stream: Any) -> None:
    read, write, start_tls = stream.read, stream.write, stream.start_tls

    def limited_read(*args: Any, **options: Any) -> bytes:
        with waiting(stream.get_extra_info("socket")):
            data = bytes(read(*args, **options))
        if data:
            current_deadline().has_reply = True
        return data

    def limited_write(*args: Any, **options: Any) -> None:
        with waiting(stream.get_extra_info("socket")):
            write(*args, **options)

    def limited_start_tls(*args: Any, **options: Any) -> Any:
        return wrap_tls(stream.get_extra_info("socket"), lambda: start_tls(*args, **options))

    stream.read, stream.write, stream.start_tls = limited_read, limited_write, limited_start_tls


class LimitedStream:
    """A response stream that fails at a size limit (`MAX_RESPONSE_BYTES`) and at the request's deadline."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._deadline = current_deadline()

    @classmethod
    def limit(cls, response: Any) -> None:
        """Limit the stream of ``response``. This is an httpx response hook.

        The new stream also inherits the base class of the original, because httpx and httpx2 (openai 2 and 3)
        each require their own.
        """
        base = type(response.stream).__mro__[-2]
        response.stream = type("LimitedHttpxStream", (cls, base), {})(response.stream)

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        blocks = iter(self._stream)
        while (block := self._next(blocks)) is not None:
            size += len(block)
            if size > MAX_RESPONSE_BYTES:
                raise TooLargeError
            yield block

    def _next(self, blocks: Iterator[bytes]) -> bytes | None:
        with self._deadline.active():  # the stream may be read after its request's block was left
            block = next(blocks, None)
        self._deadline.check()
        return block

    def close(self) -> None:
        """Close the underlying stream."""
        self._stream.close()
