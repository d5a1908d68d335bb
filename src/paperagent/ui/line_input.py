"""Read the lines of the chat: from a terminal, with prompt_toolkit, or from a pipe."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

from paperagent.errors import InputError, visible
from paperagent.storage.private_files import make_private, open_private

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

PROMPT, ASCII_PROMPT = "› ", "> "
HISTORY_FILE = "chat_history"
MAX_LINE = 1024 * 1024
"""Bytes; a longer piped line is skipped with an error."""


class LineReader(Protocol):
    """A source of lines."""

    interactive: bool
    """Whether a user is typing; hints are printed only then."""

    def read(self) -> str:
        """Return the next line.

        Raises:
            EOFError: The input has ended.
            KeyboardInterrupt: The user pressed Ctrl-C.
            InputError: The line is not UTF-8 text, or too long.
        """
        ...


class PipeReader:
    """Reads lines from a pipe or file, without prompts."""

    interactive = False

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def read(self) -> str:
        """Return the next line."""
        raw = self._source.readline(MAX_LINE)
        if not raw:
            raise EOFError
        if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = self._source.readline(MAX_LINE)
            raise InputError(f"question too long: over {MAX_LINE:,} bytes on one line; shorten it")
        return decode(raw)


class PlainTerminalReader:
    """Reads lines from a terminal without line editing (TERM=dumb)."""

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
    """Reads lines with editing and history: Enter sends, Alt-Enter inserts a line break."""

    interactive = True

    def __init__(self, history: Path | None, *, is_private: Callable[[str], bool]) -> None:
        """Create a prompt.

        Args:
            history: History file; None stores nothing.
            is_private: Returns whether a line must not be stored.
        """
        self.warning: str | None = None
        """Why the history file is not used."""
        self.complete: Callable[[str], list[str]] = lambda _line: []
        """Returns the completions of the last word of a line, when Tab is pressed."""
        self._session = self._make_session(history, is_private)
        encoding = self._session.output.encoding().lower().replace("-", "")
        self._prompt = PROMPT if encoding.startswith("utf") else ASCII_PROMPT

    def read(self) -> str:
        """Return the text that was typed or pasted."""
        text: str = self._session.prompt(self._prompt)
        # In a non-UTF-8 locale the bytes arrive as lone surrogates; they are UTF-8 nevertheless.
        return decode(text.encode("utf-8", "surrogateescape"))

    def _make_session(self, path: Path | None, is_private: Callable[[str], bool]) -> PromptSession[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.shortcuts import CompleteStyle

        # prompt_toolkit logs a traceback if a signal ends the session while it loads the history.
        logging.getLogger("prompt_toolkit").addHandler(logging.NullHandler())
        history: History = InMemoryHistory()
        if path is not None:
            self.warning = secure_history(path)
            if self.warning is None:
                history = _private_history(path, is_private)
        return PromptSession(
            multiline=True,
            completer=_tab_completer(self),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            key_bindings=_keys(),
            history=history,
            enable_suspend=True,
            prompt_continuation="  ",
        )


@contextmanager
def terminal_restored() -> Iterator[None]:
    """Restore the terminal settings on exit, even if a signal ends the session within the prompt."""
    if not sys.stdin.isatty():
        yield
        return
    try:
        import termios
    except ImportError:  # Windows has no such settings
        yield
        return
    attributes = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal is gone, as after a hangup
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)


def decode(raw: bytes) -> str:
    """Decode UTF-8.

    Raises:
        InputError: The bytes are not UTF-8; the message has the position of the first bad byte.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        position = f"byte 0x{raw[error.start]:02x} at offset {error.start}"
        raise InputError(f"input is not UTF-8 text ({position}); convert it") from None


def secure_history(path: Path) -> str | None:
    """Create the history file and make it private; return the reason if it cannot be used."""
    try:
        handle = open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        reason = "is a symbolic link" if path.is_symlink() else error.strerror
        return f"history file {visible(str(path))}: {reason}; the history is not saved"
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return f"history file {visible(str(path))}: is not a regular file; the history is not saved"
        if info.st_mode & 0o077:
            make_private(handle)
    finally:
        os.close(handle)
    return None


def _private_history(path: Path, is_private: Callable[[str], bool]) -> History:
    from prompt_toolkit.history import FileHistory

    class PrivateHistory(FileHistory):
        """A history file that leaves out private lines."""

        def append_string(self, string: str) -> None:
            if not is_private(string):
                super().append_string(string.encode(errors="replace").decode())

    return PrivateHistory(str(path))


def _tab_completer(reader: TerminalReader) -> Completer:
    from prompt_toolkit.completion import Completer, Completion

    class TabCompleter(Completer):
        """Completes the last word before the cursor with what ``reader.complete`` returns."""

        def get_completions(self, document: Document, _event: object) -> Iterator[Completion]:
            line = document.text_before_cursor
            word = line.rpartition(" ")[2]
            yield from (Completion(text, start_position=-len(word)) for text in reader.complete(line))

    return TabCompleter()


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
