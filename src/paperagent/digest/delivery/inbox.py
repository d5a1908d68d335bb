"""The mailbox of the sender's address, read over IMAP (RFC 3501).

Nothing is deleted, moved or marked as read: messages are fetched with BODY.PEEK, and those that were handled
get a keyword of our own. `imaplib` rather than imap_tools, whose ``flag`` also expunges what the user has
marked as deleted.
"""

from __future__ import annotations

import datetime as dt
import imaplib
import ipaddress
import math
import socket
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from email import message_from_bytes
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from paperagent.errors import MailError, visible
from paperagent.time_limits import Deadline, current_deadline, open_connection, waiting, wrap_tls

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HANDLED = "$PaperagentHandled"
"""The keyword of messages that were handled."""
MAX_AGE = dt.timedelta(days=30)
"""Older messages are not read."""
MAX_MESSAGES = 5_000
"""Messages of one run; the newest come first."""
_MAX_BYTES = 1_000_000
"""Of one message; what follows in a larger one is not fetched."""
TIMEOUT_SECONDS = 60.0
_RUN_SECONDS = 1_800.0
"""Time limit for the whole mailbox. A later run reads the remaining messages."""
_LOGOUT_SECONDS = 5.0
_TLS_PORT, _PLAIN_PORT = 993, 143


class Inbox:
    """A mailbox ``imap[s]://USER:PASSWORD@HOST[:PORT][/FOLDER]``.

    ``imaps`` uses TLS from the first byte; ``imap`` upgrades with STARTTLS, except for a server on this
    machine.
    """

    def __init__(
        self, url: str, *, context: ssl.SSLContext | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Create a reader of a mailbox. It does not connect yet.

        Args:
            url: The mailbox.
            context: Verifies the server's certificate.
            timeout: Seconds for connecting, including login and search, and for each message.
        """
        self._timeout = timeout
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._implicit_tls = parts.scheme == "imaps"
        self._port = parts.port or (_TLS_PORT if self._implicit_tls else _PLAIN_PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._folder = unquote(parts.path.strip("/")) or "INBOX"
        self._context = context or ssl.create_default_context()

    @property
    def description(self) -> str:
        """The mailbox without the password, for messages."""
        return f"mailbox {visible(self._folder, limit=80)} at {visible(self._host, limit=100)}:{self._port}"

    def messages(self, *, today: dt.date, read_only: bool = False) -> Iterator[Message]:
        """Yield the messages that were not handled before; each is marked when the next one is asked for.

        A server that stores no keywords gives all messages of the last 30 days each time.

        Args:
            today: The current day.
            read_only: Whether to mark nothing.

        Raises:
            MailError: the server cannot be reached or trusted, or rejects the login or the folder.
        """
        client = None
        end = Deadline.after(_RUN_SECONDS)
        try:
            with self._limit(end):
                client = self._connect()
                self._log_in(client)
                marks = self._select(client, read_only=read_only) and not read_only
                since = (today - MAX_AGE).strftime("%d-%b-%Y")
                _, answer = client.uid("SEARCH", "UNKEYWORD", HANDLED, "SINCE", since)
            uids = (answer[0] or b"").split()[::-1][:MAX_MESSAGES]
            for uid in map(bytes.decode, uids):
                with self._limit(end):
                    raw = _fetch(client, uid)
                if raw is None:  # deleted meanwhile
                    continue
                yield message_from_bytes(raw)
                if marks:
                    with self._limit(end):
                        client.uid("STORE", uid, "+FLAGS.SILENT", f"({HANDLED})")
        except (imaplib.IMAP4.error, OSError) as error:
            raise self._error(error) from None
        finally:
            if client is not None:
                with suppress(imaplib.IMAP4.error, OSError), Deadline.after(_LOGOUT_SECONDS).active():
                    client.logout()
                with suppress(OSError):  # after a failed logout the connection is still open
                    client.shutdown()

    def _limit(self, end: Deadline) -> AbstractContextManager[Deadline]:
        """Limit the time of one step and of all steps together."""
        return Deadline(min(Deadline.after(self._timeout).at, end.at)).active()

    def _connect(self) -> imaplib.IMAP4:
        client = _Connection(self._host, self._port, self._context if self._implicit_tls else None)
        if not self._implicit_tls:
            sock = client.socket()
            if not ipaddress.ip_address(sock.getpeername()[0].partition("%")[0]).is_loopback:
                client.starttls(self._context)
        return client

    def _log_in(self, client: imaplib.IMAP4) -> None:
        try:
            if (self._user + self._password).isascii():
                client.login(self._user, self._password)
            else:
                secret = f"\0{self._user}\0{self._password}".encode()
                client.authenticate("PLAIN", lambda _: secret)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:  # its text is left out, because servers repeat the password
            raise MailError(
                f"{self.description}: login rejected; check user and password in PAPERAGENT_IMAP_URL (some "
                "providers require an app password)"
            ) from None

    def _select(self, client: imaplib.IMAP4, *, read_only: bool) -> bool:
        """Open the folder and return whether its messages can be marked."""
        quoted = self._folder.replace("\\", "\\\\").replace('"', '\\"')
        try:
            status, _ = client.select(f'"{quoted}"', readonly=read_only)
        except imaplib.IMAP4.readonly:
            return False
        if status != "OK":
            raise MailError(f"{self.description}: no such folder; check the end of PAPERAGENT_IMAP_URL")
        flags = b" ".join(part for part in client.response("PERMANENTFLAGS")[1] or [] if part)
        return b"\\*" in flags or HANDLED.lower().encode() in flags.lower()

    def _error(self, error: Exception) -> MailError:
        if isinstance(error, ssl.SSLCertVerificationError):
            reason, fix = f"its certificate is not valid: {error.verify_message}", "correct the host"
        elif isinstance(error, ssl.SSLError):
            reason, fix = "TLS failed", f"write imaps:// (port {_TLS_PORT}), or imap:// for STARTTLS"
        elif isinstance(error, socket.gaierror):
            reason, fix = "the host cannot be resolved", "correct the host"
        elif isinstance(error, TimeoutError):
            reason, fix = "no reply in time", "run it again later"
        elif isinstance(error, OSError):
            reason, fix = "the connection failed or was lost", "check host and port, or run it again later"
        else:
            reason, fix = f"unexpected reply: {visible(str(error), limit=120)}", "run it again later"
        return MailError(f"{self.description}: {reason}; {fix} (PAPERAGENT_IMAP_URL)")


class _Connection(imaplib.IMAP4):
    """An IMAP connection within the current deadline, with TLS from the first byte if there is a context."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(host, port, timeout=current_deadline().seconds_left)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        """Connect; `imaplib` calls this method, which `IMAP4_SSL` overrides as well."""
        sock, context = open_connection(self.host, self.port, timeout=timeout or math.inf), self._context
        if context is None:
            return sock
        return wrap_tls(sock, lambda: context.wrap_socket(sock, server_hostname=self.host))

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes."""
        with waiting(self.sock):
            return super().read(size)

    def readline(self) -> bytes:
        """Return a line."""
        with waiting(self.sock):
            return super().readline()

    def send(self, data: ReadableBuffer) -> None:
        """Send bytes."""
        with waiting(self.sock):
            super().send(data)


def _fetch(client: imaplib.IMAP4, uid: str) -> bytes | None:
    """Return the beginning of a message without marking it as read."""
    _, data = client.uid("FETCH", uid, f"(BODY.PEEK[]<0.{_MAX_BYTES}>)")
    return next((bytes(part[1]) for part in data if isinstance(part, tuple)), None)
