"""A pseudo-terminal for tests of interactive programs."""

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
TIMEOUT = 20.0


class Terminal:
    """Runs ``command`` with a new pseudo-terminal as its controlling terminal."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], *, columns: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.seen = ""
        """All output so far, with escape sequences."""
        self._at = 0
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - single-threaded, and required for job control
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
        """Type or paste text."""
        raw = text.encode() if isinstance(text, str) else text
        while raw:
            raw = raw[os.write(self._ours, raw[:512]) :]
            self._read(0.01)

    def expect(self, text: str) -> str:
        """Wait until ``text`` appears after the text expected before; return the output up to its end."""
        end = time.monotonic() + TIMEOUT
        while (position := self.text().find(text, self._at)) < 0:
            assert time.monotonic() < end, f"{text!r} never came: {self.seen!r}"
            assert self._read(0.2) or self.process.poll() is None, f"ended before {text!r}: {self.seen!r}"
        start, self._at = self._at, position + len(text)
        return self.text()[start : self._at]

    def text(self) -> str:
        """Return the output without escape sequences, as a single line."""
        return " ".join(ESCAPES.sub("", self.seen).split())

    def wait(self) -> int:
        """Wait until the program ends, and return its exit code as a shell would."""
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still running: {self.seen!r}"
            self._read(0.1)
        while self._read(0.05):
            pass
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def restored(self) -> bool:
        """Return whether the terminal's modes are the same as at the start."""
        return termios.tcgetattr(self._theirs)[:4] == self.before[:4]

    def wait_until_restored(self) -> None:
        """Wait until the program has left the raw mode of a prompt."""
        end = time.monotonic() + TIMEOUT
        while not self.restored():
            assert time.monotonic() < end, f"still in raw mode: {self.seen!r}"
            self._read(0.01)

    def resize(self, columns: int, rows: int = 40) -> None:
        """Change the size of the window."""
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
