"""One request at a time to a service, and a pause between two: also between processes of this machine.

arXiv asks for one connection and three seconds, whoever of a person's programs asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: within one process the turns are taken all the same
    fcntl = None  # type: ignore[assignment]

_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a service may be asked."""

    name: str
    """Services of one name share their turns."""
    seconds: float
    """From the end of one request to the beginning of the next."""


class Turnstile:
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

    @contextmanager
    def turn(self, pace: Pace) -> Iterator[None]:
        """Wait for the turn of ``pace`` and hold it for the block."""
        handle = self._lock(pace)
        try:
            ready = max(self._not_before.get(pace.name, 0.0), self._last(handle) + pace.seconds)
            wait = min(ready - self._clock(), max(_LONGEST_PAUSE, pace.seconds))
            if wait > 0:
                self._sleep(wait)
            yield
        finally:
            self._not_before[pace.name] = max(
                self._not_before.get(pace.name, 0.0), self._clock() + pace.seconds
            )
            if handle is not None:
                os.utime(handle, (self._clock(), self._clock()))
                os.close(handle)

    def hold(self, pace: Pace, seconds: float) -> None:
        """Let nothing through to a service for ``seconds``, because it asked for that."""
        self._not_before[pace.name] = max(self._not_before.get(pace.name, 0.0), self._clock() + seconds)

    def _lock(self, pace: Pace) -> int | None:
        if self._folder is None or fcntl is None:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{pace.name}.turn"
        fresh = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if fresh:
            os.utime(handle, (0, 0))
        return handle

    def _last(self, handle: int | None) -> float:
        return 0.0 if handle is None else min(os.fstat(handle).st_mtime, self._clock())
