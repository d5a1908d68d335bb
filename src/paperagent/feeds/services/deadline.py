"""The time of one page: a connection that drips is cut, whether it drips its headers or its body."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self


class Alarm:
    """Shuts the connection it watches after ``seconds``; for a ``with`` block.

    A read timeout alone lets a steady drip go on, and between two blocks a silent server holds the call.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._wire: socket.socket | None = None
        self._timer = threading.Timer(max(seconds, 0.0), self._ring)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    def watch(self, wire: socket.socket | None) -> None:
        """Cut this connection when the time is up: at once where it is."""
        self._wire = wire
        if self.over:
            self._ring()

    def _ring(self) -> None:
        if self._wire is not None:
            with suppress(OSError):  # closed in the meantime
                # The plain socket's method: an encrypted one would first say goodbye, from this thread.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)
