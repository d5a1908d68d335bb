"""How a message leaves: the steps that every way of sending has, and what may go wrong in each.

Write messages as ``.eml`` files instead of sending them: the way without a mail server.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from paperagent.errors import MailError, visible

Step = Literal["sender", "recipient", "data", "message"]
"""MAIL, RCPT, the word DATA, and the message itself."""


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """What the mail server said."""

    code: int
    text: str

    @property
    def temporary(self) -> bool:
        """Whether trying again later may help (RFC 5321 section 4.2.1)."""
        return 400 <= self.code < 500


class Rejected(Exception):  # noqa: N818 - a server's answer, handled by its caller; not shown as an error
    """The server said no; nothing was delivered."""

    def __init__(self, step: Step, reply: SmtpReply) -> None:
        super().__init__(f"{step}: {reply.code}")
        self.step = step
        self.reply = reply


class ConnectionLost(Exception):  # noqa: N818 - likewise
    """The connection ended before an answer."""

    def __init__(self, why: str, *, ambiguous: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.ambiguous = ambiguous
        """Whether the server had been given all of the message, and may have taken it."""


class Transport(Protocol):
    """One way of sending. After `Rejected` comes `reset`, after `ConnectionLost` a new `connect`."""

    def connect(self) -> None:
        """Be ready for a message; nothing happens where that is so.

        Raises:
            MailError: the server cannot be reached, trusted or logged in to.
        """
        ...

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Name the two ends of the next message (MAIL and RCPT) and its size in bytes."""
        ...

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        """Hand over the message and return the server's answer once it has taken it.

        Raises:
            MailError: nothing can be sent this way, and this message certainly was not.
        """
        ...

    def reset(self) -> None:
        """Forget the message that was begun."""
        ...

    def close(self) -> None:
        """End the connection; a second call does nothing, and nothing is raised."""
        ...


class Outbox:
    """A folder of messages; a message written again replaces itself. Implements `transport.Transport`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def connect(self) -> None:
        """Make the folder, which only its owner may read."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._failed() from error

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Do nothing: the message itself names its ends."""

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        """Write the message whole, or not at all; it is on the disk when this returns."""
        path = self.folder / f"{_file_stem(message_id)}.eml"
        fresh = path.with_suffix(".part")
        try:
            with fresh.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise self._failed() from error
        return SmtpReply(250, f"written to {path.name}")

    def reset(self) -> None:
        """Do nothing: no message is ever half written."""

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _failed(self) -> MailError:
        folder = visible(str(self.folder), limit=200)
        return MailError(f"outbox {folder}: cannot be written; check the disk and its permissions")


def _file_stem(message_id: str) -> str:
    """Return a file name: what stands before the @, of harmless characters."""
    local = message_id.strip("<>").rpartition("@")[0] or message_id
    return re.sub(r"[^A-Za-z0-9._-]+", "_", local).strip(".")[:120]
