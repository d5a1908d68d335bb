"""Errors: one root, one exit code a branch.

::

    PaperAgentError            1   unexpected failure
    ├── InputError             2   a wrong argument: also a ValueError
    ├── ConfigError            3   settings, .env, model files
    ├── FeedError              4   a feed that cannot be read
    ├── EvalError              4   cases, runs or thresholds that cannot be read
    ├── StoreError             5   library or index
    │   ├── NoLibraryError     5   nothing was read into it yet
    │   └── StoreLockedError  75   another process is writing
    ├── EndpointError          6   the model's server
    ├── MailError              8   the mail server
    └── GateError              9   an evaluation below its threshold

A message is written as ``WHAT: WHY; FIX`` and is safe to show: `visible` escapes control
characters, and secrets never go into one. Ids and positions are attributes as well.
"""

from __future__ import annotations

import unicodedata
from typing import Any, ClassVar


class PaperAgentError(Exception):
    """The root of every error that paperagent raises on purpose."""

    exit_code: ClassVar[int] = 1
    report: Any = None
    """What was done in spite of it (`types.IngestReport`), where one feed of an ingest failed."""

    def __str__(self) -> str:
        """Return the message, and the cause's where one is chained."""
        text = Exception.__str__(self)  # a KeyError beside us would put the message in quotes
        cause = self.__cause__
        if cause is None or isinstance(cause, PaperAgentError) or not str(cause):
            return text
        detail = visible(str(cause).splitlines()[0], limit=200)
        return text if detail in text else f"{text} ({type(cause).__name__}: {detail})"


class InputError(PaperAgentError, ValueError):
    """An argument or a question that cannot be used."""

    exit_code = 2


class ConfigError(PaperAgentError):
    """A setting, a .env file or a model file that cannot be used."""

    exit_code = 3


class FeedError(PaperAgentError):
    """A feed that cannot be read at all (single bad records are skipped instead)."""

    exit_code = 4


class EvalError(PaperAgentError):
    """Cases, a recorded run or a file of thresholds that cannot be used."""

    exit_code = 4


class StoreError(PaperAgentError):
    """The library or an index is missing, damaged or of another kind."""

    exit_code = 5


class NoLibraryError(StoreError):
    """There is no library yet."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"no library at {where}: {why}; run 'paperagent ingest' first")


class StoreLockedError(StoreError):
    """Another process is writing to the library."""

    exit_code = 75

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        """The process that holds the lock, where known."""


class EndpointError(PaperAgentError):
    """The model's server failed, refused or could not be reached."""

    exit_code = 6

    def __init__(self, message: str, *, kind: str = "failed", status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        """Such as ``auth``, ``quota``, ``unreachable``, ``deadline`` or ``invalid_reply``."""
        self.status = status
        """The HTTP status, where the server gave one."""
        self.hits: tuple[Any, ...] = ()
        """What had been retrieved for the question (`types.Hit`), where it was one."""


class MailError(PaperAgentError):
    """The mail server refused or could not be reached."""

    exit_code = 8


class GateError(PaperAgentError):
    """An evaluation fell below its threshold."""

    exit_code = 9


def visible(text: str, *, limit: int | None = None) -> str:
    r"""Return ``text`` on one line with every control and format character written as ``\xNN`` or ``\uNNNN``.

    With ``limit``, longer text is cut and ends in ``…``.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(_escape(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
