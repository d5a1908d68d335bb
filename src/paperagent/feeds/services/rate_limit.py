"""Rate limits of services, shared by all processes of this machine.

arXiv asks for one connection at a time and three seconds between requests, over all programs of a user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from paperagent.storage.locks import ProcessLock
from paperagent.storage.private_files import read_at, write_at

MAX_WAIT_SECONDS = 300.0
"""Longest wait for a service. A service that asks for more is left for a later run."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often a service may be asked."""

    name: str
    """Services with the same name share the limit."""
    seconds: float
    """From the end of one request to the beginning of the next."""


class RateLimiter:
    """Lets one request at a time through.

    Args:
        folder: holds one lock file per service, which processes share; None limits this process alone.
        sleep: waits for the given seconds.
        clock: returns the current time as a Unix time stamp.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._sleep = sleep
        self._clock = clock
        self._not_before: dict[str, float] = {}
        """Service → time before which this process sends it no request."""
        self._backoff_until = 0.0
        """Time until which the current service asks for no more requests."""

    @contextmanager
    def limit(self, rate_limit: RateLimit) -> Iterator[None]:
        """Wait until a request may be sent, and keep others waiting during the block."""
        with self._lock(rate_limit) as lock:
            last_request, self._backoff_until = _read_times(lock) if lock else (0.0, 0.0)
            if self._backoff_until > self._clock() + MAX_WAIT_SECONDS:  # written by a wrong clock
                self._backoff_until = 0.0
            try:
                wait = self._ready_at(rate_limit, last_request) - self._clock()
                if wait > 0:
                    self._sleep(wait)
                yield
            finally:
                now = self._clock()
                self._not_before[rate_limit.name] = max(now + rate_limit.seconds, self._backoff_until)
                if lock:
                    _write_times(lock, now, self._backoff_until)

    def back_off(self, seconds: float) -> None:
        """Send no request to the current service for ``seconds``, because it asked for that."""
        self._backoff_until = self._clock() + min(seconds, MAX_WAIT_SECONDS)

    def _ready_at(self, rate_limit: RateLimit, last_request: float) -> float:
        """Return when the next request may be sent; never hours ahead, even if the clock was set back."""
        now = self._clock()
        after_last = min(last_request, now) + rate_limit.seconds if last_request else 0.0
        ready = max(self._not_before.get(rate_limit.name, 0.0), after_last, self._backoff_until)
        return min(ready, now + MAX_WAIT_SECONDS)

    @contextmanager
    def _lock(self, rate_limit: RateLimit) -> Iterator[ProcessLock | None]:
        """Hold the service's lock for the block; None if the folder or its file system allows none."""
        lock = self._open_lock(rate_limit)
        if lock is None:
            yield None
            return
        with lock:
            try:
                is_locked = lock.acquire(wait=float("inf"))
            except OSError:  # the file system has no locks
                is_locked = False
            yield lock if is_locked else None

    def _open_lock(self, rate_limit: RateLimit) -> ProcessLock | None:
        if self._folder is None:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return ProcessLock(self._folder / f"{rate_limit.name}.turn")
        except OSError:  # the path of the cache is a file, or read-only
            return None


def _read_times(lock: ProcessLock) -> tuple[float, float]:
    """Return the end of the last request and the end of the back-off; zeros if none were written."""
    try:
        last_request, backoff_until = map(float, read_at(lock.descriptor, 64, 0).split())
    except ValueError:
        return 0.0, 0.0
    return (last_request, backoff_until) if last_request > 0.0 <= backoff_until else (0.0, 0.0)


def _write_times(lock: ProcessLock, now: float, backoff_until: float) -> None:
    with suppress(OSError):  # on a full disk, other processes may be faster than they should be
        write_at(lock.descriptor, f"{now:24.3f} {backoff_until:24.3f}\n".encode(), 0)
