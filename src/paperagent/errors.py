"""The exceptions of paperagent, each with the exit code of the command line.

::

    PaperAgentError            1   unexpected failure
    ├── InputError             2   invalid argument (also a ValueError)
    ├── ConfigError            3   settings, .env, model files
    ├── FeedError              4   a feed cannot be read
    ├── EvalError              4   cases, runs or thresholds cannot be read
    ├── StoreError             5   library or index
    │   ├── NoLibraryError     5   there is no library yet
    │   ├── OutOfResourcesError    memory, disk space or file descriptors ran out
    │   └── StoreLockedError  75   another process is writing
    ├── EndpointError          6   the model's server
    ├── MailError              8   the mail server
    └── GateError              9   an evaluation is below its threshold

Messages have the form ``WHAT: WHY; FIX``. They are safe to display: `visible` escapes control characters,
and no message contains a secret.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path


class PaperAgentError(Exception):
    """The base class of all errors that paperagent raises deliberately."""

    exit_code: ClassVar[int] = 1
    report: Any = None
    """The `IngestReport` of the feeds that were read, if other feeds of an ingest failed; else None."""

    def __str__(self) -> str:
        """Return the message, followed by that of a chained cause."""
        text = Exception.__str__(self)  # a subclass of KeyError would put the message in quotes
        cause = self.__cause__
        if cause is None or isinstance(cause, PaperAgentError) or not str(cause):
            return text
        detail = visible(str(cause).splitlines()[0], limit=200)
        return text if detail in text else f"{text} ({type(cause).__name__}: {detail})"


class InputError(PaperAgentError, ValueError):
    """An argument or a question is invalid."""

    exit_code = 2


class ConfigError(PaperAgentError):
    """A setting, a .env file or a model file cannot be used."""

    exit_code = 3


class FeedError(PaperAgentError):
    """A feed cannot be read. Single invalid records are skipped without an error."""

    exit_code = 4


class EvalError(PaperAgentError):
    """Cases, a recorded run or a file of thresholds cannot be used."""

    exit_code = 4


class StoreError(PaperAgentError):
    """The library or an index is missing, damaged or of the wrong kind."""

    exit_code = 5


class NoLibraryError(StoreError):
    """There is no library yet."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"no library at {where}: {why}; run 'paperagent ingest' first")


class OutOfResourcesError(StoreError):
    """Memory, disk space or file descriptors ran out. The library is not damaged."""


class StoreLockedError(StoreError):
    """Another process is writing to the library."""

    exit_code = 75

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        """The id of the process that holds the lock, if known."""


class EndpointError(PaperAgentError):
    """The model's server failed, refused the request or could not be reached."""

    exit_code = 6

    def __init__(self, message: str, *, kind: str = "failed", status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        """The failure, such as ``auth``, ``quota``, ``unreachable``, ``deadline`` or ``invalid_reply``."""
        self.status = status
        """The HTTP status, if there is one."""
        self.hits: tuple[Any, ...] = ()
        """The papers already retrieved (`types.Hit`), if the error ended a question."""


class MailError(PaperAgentError):
    """The mail server refused a message or could not be reached."""

    exit_code = 8


class GateError(PaperAgentError):
    """The result of an evaluation is below its threshold."""

    exit_code = 9


def visible(text: str, *, limit: int | None = None) -> str:
    r"""Return ``text`` with control, format and line-breaking characters escaped as ``\xNN`` or ``\uNNNN``.

    Text longer than ``limit`` characters is truncated and ends in ``…``.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(_escape(c) if unicodedata.category(c) in UNSAFE_CATEGORIES else c for c in text)


def display_path(path: Path) -> str:
    """Return ``path`` escaped for printing; a long path is truncated with ``…``."""
    return visible(str(path), limit=200)


UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of characters that a terminal could obey, or that hide or reorder text."""


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
