"""A real terminal for a program under test: a pseudo-terminal that is typed into and read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|\r")
PATIENCE = 20.0


class Terminal:
    """Runs ``command`` with a terminal of its own as its controlling terminal."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], *, columns: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.seen = ""
        """Everything shown, as it came."""
        self._at = 0
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - one thread, and nothing else gives job control
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def type(self, text: str | bytes) -> None:
        """Type, as a person or a paste would."""
        raw = text.encode() if isinstance(text, str) else text
        while raw:
            raw = raw[os.write(self._ours, raw[:512]) :]
            self._read(0.01)

    def expect(self, text: str) -> str:
        """Wait until ``text`` comes after what was expected before; return all that was shown up to it."""
        end = time.monotonic() + PATIENCE
        while (found := self.text().find(text, self._at)) < 0:
            assert time.monotonic() < end, f"{text!r} never came: {self.seen!r}"
            assert self._read(0.2) or self.process.poll() is None, f"ended before {text!r}: {self.seen!r}"
        start, self._at = self._at, found + len(text)
        return self.text()[start : self._at]

    def text(self) -> str:
        """Return what was shown, without escapes and with lines joined."""
        return " ".join(ESCAPES.sub("", self.seen).split())

    def wait(self) -> int:
        """Wait for the end and return the exit code as a shell gives it."""
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still running: {self.seen!r}"
            self._read(0.1)
        while self._read(0.05):
            pass
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def restored(self) -> bool:
        """Tell whether the terminal's modes are as they were."""
        return termios.tcgetattr(self._theirs)[:4] == self.before[:4]

    def wait_until_restored(self) -> None:
        """Wait until the program has left the raw mode of a prompt."""
        end = time.monotonic() + PATIENCE
        while not self.restored():
            assert time.monotonic() < end, f"still in raw mode: {self.seen!r}"
            self._read(0.01)

    def resize(self, columns: int, rows: int = 40) -> None:
        """Give the window another size."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if hasattr(self, "process") and self.process.poll() is None:
            self.process.send_signal(signal.SIGWINCH)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return False
        with contextlib.suppress(OSError):
            self.seen += os.read(self._ours, 65536).decode("utf-8", "replace")
            return True
        return False


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
