"""One request at a time to a service, and a pause between two: also between processes of this machine.

arXiv asks for one connection and three seconds, whoever of a person's programs asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: within one process the turns are taken all the same
    fcntl = None  # type: ignore[assignment]

LONGEST_WAIT = 300.0
"""Seconds that a run waits for a service; one that asks for more is left for a later run."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often a service may be asked."""

    name: str
    """Services of one name share their turns."""
    seconds: float
    """From the end of one request to the beginning of the next."""


class RateLimiter:
    """Lets one request at a time through; ``folder`` (None: this process alone) holds a file a service."""

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
        self._handle: int | None = None
        """The file of the turn that is held."""
        self._held = 0.0
        """Until when the service whose turn it is wants to be left alone."""

    @contextmanager
    def turn(self, pace: RateLimit) -> Iterator[None]:
        """Wait for the turn of ``pace`` and hold it for the block."""
        self._handle = self._lock(pace)
        last, self._held = (0.0, 0.0) if self._handle is None else _times(os.pread(self._handle, 64, 0))
        try:
            wait = self._ready(pace, last) - self._clock()
            if wait > 0:
                self._sleep(wait)
            yield
        finally:
            now = self._clock()
            self._not_before[pace.name] = max(now + pace.seconds, self._held)
            if self._handle is not None:
                self._note(self._handle, now)
                os.close(self._handle)
                self._handle = None

    def hold(self, seconds: float) -> None:
        """Let nothing through to the service whose turn it is for ``seconds``, because it asked for that."""
        self._held = self._clock() + min(seconds, LONGEST_WAIT)

    def _ready(self, pace: RateLimit, last: float) -> float:
        """Return when the service may be asked; a clock that was set back makes no turn wait for hours."""
        now = self._clock()
        after = min(last, now) + pace.seconds if last else 0.0
        return min(max(self._not_before.get(pace.name, 0.0), after, self._held), now + LONGEST_WAIT)

    def _lock(self, pace: RateLimit) -> int | None:
        """Open the service's file and wait for it; None where there can be none: this process alone then."""
        if self._folder is None or fcntl is None:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / f"{pace.name}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # no folder for a cache: it is a file, or read-only
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            os.close(handle)
            return None
        return handle

    def _note(self, handle: int, now: float) -> None:
        """Write for the other processes when the turn ended, and until when the service wants no other."""
        with suppress(OSError):  # a full disk: they may be quicker than they should
            os.pwrite(handle, f"{now:24.3f} {self._held:24.3f}\n".encode(), 0)


def _times(raw: bytes) -> tuple[float, float]:
    """Return what `RateLimiter._note` wrote; zeros where nobody wrote."""
    try:
        last, held = map(float, raw.split())
    except ValueError:
        return 0.0, 0.0
    return (last, held) if last > 0.0 <= held else (0.0, 0.0)
