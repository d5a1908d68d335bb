"""The steps of sending a message, what can go wrong in each, and the outbox: a folder instead of a server."""

from __future__ import annotations

import datetime as dt
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from paperagent.errors import MailError, visible
from paperagent.storage.private_files import make_private

Step = Literal["sender", "recipient", "data", "message"]
"""MAIL, RCPT, DATA, and the message itself."""
AcceptedState = Literal["sent", "written", "exported"]
"""The state of a message that a transport accepted: sent to a mail server; written to the outbox, until
there is a mail server; or written to a folder for an operator who sends it another way.
"""


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """A reply of the mail server, or of the server of a webhook."""

    code: int
    text: str
    temporary: bool | None = None
    """Whether trying again later may help; None to tell by the code as SMTP does."""
    retry_after: dt.timedelta = dt.timedelta()
    """How long the server wants us to wait."""
    is_gone: bool = False
    """Whether the recipient no longer exists."""

    @property
    def is_temporary(self) -> bool:
        """Whether trying again later may help (RFC 5321 section 4.2.1)."""
        return 400 <= self.code < 500 if self.temporary is None else self.temporary


class Rejected(Exception):  # noqa: N818 - a server's reply, handled by the caller; not shown as an error
    """The server rejected a step; nothing was delivered."""

    def __init__(self, step: Step, reply: SmtpReply) -> None:
        super().__init__(f"{step}: {reply.code}")
        self.step = step
        self.reply = reply


class ConnectionLost(Exception):  # noqa: N818 - likewise
    """The connection ended before a reply."""

    def __init__(self, why: str, *, may_have_arrived: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.may_have_arrived = may_have_arrived
        """Whether the server had received the whole message and may have accepted it."""


class Transport(Protocol):
    """A way to send messages. Call `reset` after `Rejected`, and `connect` after `ConnectionLost`."""

    @property
    def accepted_state(self) -> AcceptedState:
        """The state of a message that `data` has accepted."""
        ...

    def connect(self) -> None:
        """Connect, unless connected.

        Raises:
            MailError: the server cannot be reached or trusted, or rejects the login.
        """
        ...

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Send the next message's sender and recipient (MAIL and RCPT) and its size in bytes.

        Raises:
            Rejected, ConnectionLost: the message cannot be sent now.
        """
        ...

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        """Send the message and return the reply that accepts it.

        Raises:
            Rejected, ConnectionLost: the message was not accepted, or may not have been.
            MailError: nothing can be sent this way, and this message certainly was not.
        """
        ...

    def reset(self) -> None:
        """Discard the message in progress."""
        ...

    def close(self) -> None:
        """Close the connection; raises nothing, and a second call does nothing."""
        ...


class Outbox:
    """A folder of ``.eml`` files. A message that is written again replaces its file."""

    def __init__(
        self, folder: Path, accepted_state: AcceptedState = "written", *, suffix: str = ".eml"
    ) -> None:
        self.folder = folder
        self._suffix = suffix
        self.accepted_state = accepted_state

    def connect(self) -> None:
        """Create the folder, readable only by its owner."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._error() from error

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Do nothing: the message itself names sender and recipient."""

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:
        """Write the message, completely or not at all; it is on disk when this returns."""
        path = self.folder / f"{_file_stem(message_id)}{self._suffix}"
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                make_private(file.fileno())
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise self._error() from error
        return SmtpReply(250, f"written to {path}")

    def reset(self) -> None:
        """Do nothing: no message is ever incomplete."""

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _error(self) -> MailError:
        folder = visible(str(self.folder), limit=200)
        return MailError(f"outbox {folder}: cannot be written; check the disk and the folder's permissions")


def _file_stem(message_id: str) -> str:
    """Return the part of a Message-ID before the @, with safe characters only."""
    local = message_id.strip("<>").rpartition("@")[0] or message_id
    return re.sub(r"[^A-Za-z0-9._-]+", "_", local).strip(".")[:120]
