"""A terminal line that says what the program waits for and how long; it is cleared when the wait ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

from paperagent.text.sanitize import safe_terminal
from paperagent.ui.render import columns

PATIENCE = 1.0
"""Seconds before the line appears, and between updates."""


class WaitingLine:
    """Counts the seconds of a wait on the last line of a terminal, in its own thread.

    `start` and `stop` may be called any number of times, from any thread. Call `stop` before printing
    to the same terminal.
    """

    def __init__(
        self,
        out: TextIO | None,
        what: str,
        *,
        hint: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a terminal (None shows nothing) and what to wait for, such as ``qwen2.5 at 127.0.0.1:8080``.

        ``hint`` says what a person can do in the meantime.
        """
        self._out = out
        self._what = safe_terminal(what)
        self._hint = hint
        self._clock = clock
        self._began = 0.0
        self._ended = threading.Event()
        self._ticking: threading.Thread | None = None
        self._width = 0
        """Of what stands on the line now."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start counting."""
        if self._out is not None and self._ticking is None:
            self._began, self._ended = self._clock(), threading.Event()
            counted = (self._out, self._ended)
            self._ticking = threading.Thread(target=self._tick, args=counted, name="waiting", daemon=True)
            self._ticking.start()

    def stop(self) -> None:
        """Stop counting and clear the line."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None and self._out is not None:
            self._ended.set()
            ticking.join()
            self._write(self._out, "")

    def _tick(self, out: TextIO, ended: threading.Event) -> None:
        while not ended.wait(PATIENCE):
            self._write(out, self.text(int(self._clock() - self._began), columns(out)))

    def text(self, seconds: int, width: int) -> str:
        """Return the fullest wording that fits a terminal of ``width`` columns."""
        model = self._what.partition(" at ")[0]
        forms = [f"waiting for {self._what} … {seconds} s", f"waiting for {model} … {seconds} s"]
        forms = [*([f"{forms[0]} ({self._hint})"] if self._hint else []), *forms, f"waiting … {seconds} s"]
        return next((form for form in forms if len(form) < width), f"{seconds} s"[: max(0, width - 1)])

    def _write(self, out: TextIO, text: str) -> None:
        """Put ``text`` on the line in place of what stands there."""
        if text or self._width:
            blank = " " * (self._width - len(text))
            out.write(f"\r{text}{blank}{'' if text else chr(13)}")
            out.flush()
        self._width = len(text)
