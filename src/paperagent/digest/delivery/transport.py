"""How a message leaves: the steps that every way of sending has, and what may go wrong in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Step = Literal["sender", "recipient", "data", "message"]
"""MAIL, RCPT, the word DATA, and the message itself."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the mail server said."""

    code: int
    text: str

    @property
    def temporary(self) -> bool:
        """Whether trying again later may help (RFC 5321 section 4.2.1)."""
        return 400 <= self.code < 500


class Refused(Exception):  # noqa: N818 - a server's answer, handled by its caller; not shown as an error
    """The server said no; nothing was delivered."""

    def __init__(self, step: Step, reply: Reply) -> None:
        super().__init__(f"{step}: {reply.code}")
        self.step = step
        self.reply = reply


class Broken(Exception):  # noqa: N818 - likewise
    """The connection ended before an answer."""

    def __init__(self, why: str, *, ambiguous: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.ambiguous = ambiguous
        """Whether the server had been given all of the message, and may have taken it."""


class Transport(Protocol):
    """One way of sending. After `Refused` comes `reset`, after `Broken` a new `connect`."""

    def connect(self) -> None:
        """Be ready for a message; nothing happens where that is so.

        Raises:
            MailError: the server cannot be reached, trusted or logged in to.
        """
        ...

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Name the two ends of the next message (MAIL and RCPT) and its size in bytes."""
        ...

    def data(self, message: bytes, *, message_id: str) -> Reply:
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
