"""smtplib's commands, with replies that end.

`smtplib` waits without end for a server that says one byte a second, and keeps a reply of any
number of lines.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import NoReturn

from paperagent.errors import visible

_LINE = 8_192
_MOST = 65_536
"""Bytes of one reply. RFC 5321 section 4.5.3.1.5 has 512 a line."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds, each for a whole reply."""

    connect: float = 30.0
    command: float = 60.0
    accept: float = 600.0
    """From the end of the message to the server's word (RFC 5321 section 4.5.3.2.6: 10 minutes)."""


class Client(smtplib.SMTP):
    """smtplib's commands over a socket of ours, with replies that end."""

    def __init__(self, sock: socket.socket, name: str, wait: float) -> None:
        super().__init__(local_hostname=name, timeout=wait)
        self.sock = sock
        self.wait = wait
        self._rest = b""

    def getreply(self) -> tuple[int, bytes]:
        """Return code and text of one reply, all lines of it, within `wait` seconds."""
        end, lines, size = time.monotonic() + self.wait, [], 0
        while True:
            line = self._line(end)
            size += len(line)
            lines.append(line[4:].strip())
            if size > _MOST:
                self._give_up("its reply is too long")
            if not line[:3].isdigit() or line[3:4] not in {b"", b" ", b"-", b"\r", b"\n"}:
                self._give_up("what it says is no SMTP")
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)

    def _line(self, end: float) -> bytes:
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if len(self._rest) > _LINE:
                self._give_up("its reply is too long")
            if left <= 0 or self.sock is None:
                self._give_up("it does not answer in time")
            try:
                self.sock.settimeout(left)
                read = self.sock.recv(_LINE)
            except TimeoutError:
                self._give_up("it does not answer in time")
            except OSError as error:
                self._give_up(f"the connection was lost ({error.strerror or type(error).__name__})")
            if not read:
                self._give_up("it closed the connection")
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _give_up(self, why: str) -> NoReturn:
        self.close()
        raise smtplib.SMTPServerDisconnected(why)

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Go on in TLS; what the server said before counts no more (RFC 3207 section 4.2)."""
        assert self.sock is not None
        self._rest = b""  # or words sent in the clear would be taken for the server's (CVE-2011-0411)
        self.sock.settimeout(self.wait)
        self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.ehlo_resp, self.helo_resp, self.esmtp_features, self.does_esmtp = None, None, {}, False


def said(code: int, text: bytes | str) -> str:
    """Return a reply on one line, safe to show."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {visible(' '.join(shown.split()), limit=200)}".strip()
