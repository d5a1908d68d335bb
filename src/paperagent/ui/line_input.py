"""Where the chat's lines come from: a person at a terminal (prompt_toolkit), or a pipe."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from paperagent.errors import InputError, visible

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

PROMPT, ASCII_PROMPT = "› ", "> "
HISTORY_FILE = "chat_history"
MAX_LINE = 1024 * 1024
"""Bytes; a longer line of a pipe is read to its end and refused."""


class PipeReader:
    """Reads one question a line from a pipe or file, without prompts."""

    interactive = False

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def read(self) -> str:
        """Return the next line; raise EOFError at the end and InputError for bytes that are not UTF-8."""
        raw = self._source.readline(MAX_LINE)
        if not raw:
            raise EOFError
        if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = self._source.readline(MAX_LINE)
            raise InputError(f"question too long: over {MAX_LINE:,} bytes on one line; shorten it")
        return decode(raw)


class PlainTerminalReader:
    """Reads lines from a terminal that cannot edit (TERM=dumb): a bare prompt and the line as typed."""

    interactive = True

    def __init__(self, source: BinaryIO, out: TextIO) -> None:
        self._lines = PipeReader(source)
        self._out = out

    def read(self) -> str:
        """Print the prompt and return the line."""
        self._out.write(ASCII_PROMPT)
        self._out.flush()
        return self._lines.read()


class TerminalReader:
    """Reads with line editing: Enter sends, Alt-Enter begins a new line, a paste stays whole."""

    interactive = True

    def __init__(self, history: Path | None, *, private: Callable[[str], bool]) -> None:
        self.warning: str | None = None
        """What is wrong with the history file."""
        self._session = self._make_session(history, private)
        encoding = self._session.output.encoding().lower().replace("-", "")
        self._prompt = PROMPT if encoding.startswith("utf") else ASCII_PROMPT

    def read(self) -> str:
        """Return what was typed or pasted; raise as `Reader.read` says."""
        text: str = self._session.prompt(self._prompt)
        # In a locale without Unicode the bytes typed arrive as lone surrogates, and are UTF-8 all the same.
        return decode(text.encode("utf-8", "surrogateescape"))

    def _make_session(self, path: Path | None, private: Callable[[str], bool]) -> PromptSession[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory

        # A signal that ends the session while the history is being read is logged there with a traceback.
        logging.getLogger("prompt_toolkit").addHandler(logging.NullHandler())
        history: History = InMemoryHistory()
        if path is not None:
            self.warning = secure_history(path)
            if self.warning is None:
                history = _private_history(path, private)
        return PromptSession(
            multiline=True,
            key_bindings=_keys(),
            history=history,
            enable_suspend=True,
            prompt_continuation="  ",
        )


@contextmanager
def terminal_restored() -> Iterator[None]:
    """Leave the terminal as it was: a signal may end the session before the prompt has tidied up."""
    if not sys.stdin.isatty() or sys.platform == "win32":
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal is gone, as after a hangup
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def decode(raw: bytes) -> str:
    """Return ``raw`` as text; raise InputError naming the first byte that is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise InputError(f"input is not UTF-8 text ({where}); convert it") from None


def secure_history(path: Path) -> str | None:
    """Make ``path`` a history file that only its owner can read; return why it must not be used, if so."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        why = "is a symbolic link" if path.is_symlink() else error.strerror
        return f"history file {visible(str(path))}: {why}; typed lines are not kept"
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return f"history file {visible(str(path))}: is no regular file; typed lines are not kept"
        if info.st_mode & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    return None


def _private_history(path: Path, private: Callable[[str], bool]) -> History:
    from prompt_toolkit.history import FileHistory

    class PrivateHistory(FileHistory):
        """A history file that never receives what looks like a secret."""

        def append_string(self, string: str) -> None:
            if not private(string):
                super().append_string(string.encode(errors="replace").decode())

    return PrivateHistory(str(path))


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
