"""Send emails by SMTP one step at a time, so that it is always known where a failure happened.

TLS is required unless the server is on this machine, and no password is sent without TLS.
"""

from __future__ import annotations

import ipaddress
import math
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from paperagent.digest.delivery.transport import AcceptedState, ConnectionLost, Rejected, SmtpReply, Step
from paperagent.errors import ConfigError, MailError, visible
from paperagent.time_limits import Deadline, current_deadline, open_connection, waiting, wrap_tls

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STARTTLS_PORT, IMPLICIT_TLS_PORT = 587, 465
_SERVICE_CLOSING = 421
_CONNECTION_ERRORS = (smtplib.SMTPServerDisconnected, OSError)
_LOST = "the connection was lost"
_QUIT_SECONDS = 5.0
_MAX_LINE = 8_192
_MAX_REPLY = 65_536
"""Bytes of one reply. RFC 5321 section 4.5.3.1.5 allows 512 per line."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits in seconds. Each covers all commands and replies of a step."""

    connect: float = 60.0
    """From the DNS lookup to the login."""
    command: float = 60.0
    """For the sender and the recipient, and for the reply to DATA."""
    accept: float = 600.0
    """For the message and the server's reply (RFC 5321 section 4.5.3.2.6: 10 minutes)."""


class SmtpTransport:
    """A connection to ``smtp[s]://[USER:PASSWORD@]HOST[:PORT]``.

    ``smtp`` upgrades with STARTTLS, ``smtps`` uses TLS from the first byte. TLS is optional only for a server
    on this machine.

    Raises:
        ConfigError: the address is invalid.
    """

    accepted_state: AcceptedState = "sent"

    def __init__(
        self,
        url: str,
        *,
        timeouts: Timeouts | None = None,
        context: ssl.SSLContext | None = None,
        always_tls: bool = False,
        local_hostname: str = "localhost.localdomain",
    ) -> None:
        """Create a transport. It does not connect yet.

        Args:
            url: The server, with optional user and password.
            timeouts: Limits for connecting, for the envelope and for the message.
            context: Verifies the server's certificate.
            always_tls: Whether to require TLS even for a server on this machine.
            local_hostname: The name for EHLO.
        """
        parts = _parse_url(url)
        self._host = parts.hostname or ""
        self._implicit_tls = parts.scheme == "smtps"
        self._port = parts.port or (IMPLICIT_TLS_PORT if self._implicit_tls else STARTTLS_PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._timeouts = timeouts or Timeouts()
        self._context = context
        self._always_tls = always_tls
        self._local_hostname = local_hostname
        self._connection: SmtpConnection | None = None

    @property
    def _server(self) -> str:
        return f"mail server {visible(self._host, limit=100)}:{self._port}"

    # --- connection ---

    def connect(self) -> None:
        """Connect, secure the connection and log in, unless connected."""
        if self._connection is not None:
            return
        with Deadline.after(self._timeouts.connect).active():
            self._open_connection()

    def _open_connection(self) -> None:
        sock = self._open_socket()
        connection = SmtpConnection(sock, self._local_hostname)
        try:
            self._greet(connection, is_local=_is_loopback(sock))
        except smtplib.SMTPServerDisconnected as error:
            raise MailError(f"{self._server}: {error}; {self._tls_hint()}") from error
        except smtplib.SMTPResponseException as error:
            reply = format_reply(error.smtp_code, error.smtp_error)
            raise MailError(f"{self._server}: {reply}; try later") from error
        except OSError as error:
            raise MailError(f"{self._server}: {_LOST}; run it again") from error
        finally:
            if self._connection is None:
                connection.close()

    def _open_socket(self) -> socket.socket:
        try:
            sock = open_connection(self._host, self._port, timeout=self._timeouts.connect)
        except socket.gaierror as error:
            raise MailError(
                f"{self._server}: cannot resolve {visible(self._host, limit=100)}; check PAPERAGENT_SMTP_URL"
            ) from error
        except TimeoutError as error:
            raise MailError(
                f"{self._server}: no answer within {self._timeouts.connect:g} s; check host and port"
            ) from error
        except (OSError, UnicodeError) as error:
            raise MailError(f"{self._server}: cannot be reached; check host and port") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the final dot goes out at once
        return sock

    def _greet(self, connection: SmtpConnection, *, is_local: bool) -> None:
        if self._implicit_tls:
            self._secure(connection)
        code, text = connection.getreply()
        if code != 220:
            advice = "check the host" if code >= 500 else "try later"
            raise MailError(f"{self._server}: rejected the connection ({format_reply(code, text)}); {advice}")
        connection.ehlo_or_helo_if_needed()
        secured = self._implicit_tls or self._start_tls(connection, is_local=is_local)
        if self._user:
            self._log_in(connection, secured=secured or is_local)
        self._connection = connection

    def _start_tls(self, connection: SmtpConnection, *, is_local: bool) -> bool:
        """Upgrade the connection to TLS if required; return whether it is secured."""
        required = self._always_tls or not is_local
        # A server on this machine may accept passwords only over TLS.
        needs_tls_for_login = (
            self._user and not connection.has_extn("auth") and connection.has_extn("starttls")
        )
        if not required and not needs_tls_for_login:
            return False
        if not connection.has_extn("starttls"):
            raise MailError(
                f"{self._server}: does not offer TLS, and mail is not sent unencrypted; "
                f"use a port with STARTTLS ({STARTTLS_PORT}) or smtps:// ({IMPLICIT_TLS_PORT})"
            )
        code, text = connection.docmd("STARTTLS")
        if code != 220:
            raise MailError(
                f"{self._server}: rejected STARTTLS ({format_reply(code, text)}), and mail is not sent "
                "unencrypted; try another port"
            )
        self._secure(connection)
        connection.ehlo_or_helo_if_needed()
        return True

    def _secure(self, connection: SmtpConnection) -> None:
        try:
            connection.secure(self._context or ssl.create_default_context(), self._host)
        except ssl.SSLCertVerificationError as error:
            reason = visible(error.verify_message or str(error), limit=160)
            raise MailError(
                f"{self._server}: its certificate is not valid: {reason}; correct the host in "
                "PAPERAGENT_SMTP_URL or the server's certificate"
            ) from None
        except (OSError, ValueError) as error:  # SSLError is an OSError
            reason = visible(str(getattr(error, "reason", None) or error), limit=120)
            raise MailError(f"{self._server}: TLS handshake failed ({reason}); {self._tls_hint()}") from None

    def _tls_hint(self) -> str:
        """Return advice for users who confused the two kinds of TLS."""
        if self._implicit_tls:
            return f"if the server uses STARTTLS (port {STARTTLS_PORT}), write smtp://"
        return f"if the server uses TLS from the start (port {IMPLICIT_TLS_PORT}), write smtps://"

    def _log_in(self, connection: SmtpConnection, *, secured: bool) -> None:
        if not secured:
            raise MailError(f"{self._server}: no TLS, so the password is not sent; use smtps:// or port 587")
        try:
            connection.login(self._user, self._password)
        except smtplib.SMTPAuthenticationError as error:
            # The server's text is left out, because servers repeat the password.
            raise MailError(
                f"{self._server}: login rejected ({error.smtp_code}); check user and password in "
                "PAPERAGENT_SMTP_URL (some providers require an app password)"
            ) from None
        except (smtplib.SMTPNotSupportedError, smtplib.SMTPException) as error:
            if isinstance(error, smtplib.SMTPServerDisconnected):
                raise
            raise MailError(
                f"{self._server}: no supported login method; check the port, or remove user and password"
            ) from None

    # --- one message ---

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Send MAIL and RCPT; raise `Rejected` or `ConnectionLost`."""
        with Deadline.after(self._timeouts.command).active():
            self._open_envelope(sender, recipient, size)

    def _open_envelope(self, sender: str, recipient: str, size: int) -> None:
        connection = self._connected()
        options = [f"SIZE={size}"] if connection.has_extn("size") else []
        if not (sender.isascii() and recipient.isascii()):
            if not connection.has_extn("smtputf8"):
                text = "the server does not support non-ASCII addresses (SMTPUTF8)"
                raise Rejected("recipient", SmtpReply(553, text))
            options.append("SMTPUTF8")
        connection.command_encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        self._command(f"MAIL FROM:<{sender}> {' '.join(options)}".rstrip(), "sender", success=250)
        self._command(f"RCPT TO:<{recipient}>", "recipient", success=250)

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:  # noqa: ARG002 - it is in the message
        """Send the message and wait for its acceptance; raise `Rejected` or `ConnectionLost`."""
        with Deadline.after(self._timeouts.command).active():
            self._command("DATA", "data", success=354)
        connection = self._connected()
        with Deadline.after(self._timeouts.accept).active():
            try:
                connection.send(_dot_stuff(message))
            except _CONNECTION_ERRORS as error:
                # Without the final dot, the server must not accept the message (section 4.1.1.4).
                raise self._connection_lost(f"{_LOST} in the middle of the message") from error
            try:
                connection.send(b".\r\n")
                code, text = connection.getreply()
            except _CONNECTION_ERRORS as error:
                raise self._connection_lost(f"{_LOST} after the message", may_have_arrived=True) from error
        return self._check_reply(code, text, "message", success=250)

    def _command(self, command: str, step: Step, *, success: int) -> SmtpReply:
        connection = self._connected()
        try:
            code, text = connection.docmd(command)
        except _CONNECTION_ERRORS as error:
            why = str(error) if isinstance(error, smtplib.SMTPServerDisconnected) else _LOST
            raise self._connection_lost(why) from error
        return self._check_reply(code, text, step, success=success)

    def _check_reply(self, code: int, text: bytes, step: Step, *, success: int) -> SmtpReply:
        reply = SmtpReply(code, text.decode("utf-8", "replace").replace("\n", " "))
        if code == success or (success == 250 and 200 <= code < 300):
            return reply
        if code == _SERVICE_CLOSING:
            self._drop()
        if code < 400:
            why = f"unexpected reply {code} instead of {success}"
            raise self._connection_lost(why, may_have_arrived=step == "message")
        raise Rejected(step, reply)

    def reset(self) -> None:
        """Send RSET; drop the connection if that fails."""
        if self._connection is None:
            return
        try:
            with Deadline.after(self._timeouts.command).active():
                code, _ = self._connection.rset()
        except _CONNECTION_ERRORS:
            code = _SERVICE_CLOSING
        if code != 250:
            self._drop()

    def close(self) -> None:
        """Send QUIT and close, whatever the server replies."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            with Deadline.after(min(_QUIT_SECONDS, self._timeouts.command)).active():
                connection.docmd("QUIT")
        except _CONNECTION_ERRORS:
            return
        finally:
            connection.close()

    def _connected(self) -> SmtpConnection:
        if self._connection is None:
            raise ConnectionLost(_LOST)
        return self._connection

    def _connection_lost(self, why: str, *, may_have_arrived: bool = False) -> ConnectionLost:
        self._drop()
        return ConnectionLost(why, may_have_arrived=may_have_arrived)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class SmtpConnection(smtplib.SMTP):
    """An SMTP connection over an open socket, with the current deadline and a size limit for replies.

    `smtplib` alone would wait forever for a server that sends one byte a second, and accept endless replies.
    """

    def __init__(self, sock: socket.socket, local_hostname: str) -> None:
        super().__init__(local_hostname=local_hostname)
        self.sock: socket.socket | None = sock
        self._buffer = b""

    def send(self, s: ReadableBuffer | str) -> None:
        """Send bytes, or text in the encoding of commands."""
        with self._limited():
            super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Return the code and text of one reply, with all its lines."""
        lines, size = [], 0
        while True:
            line = self._read_line()
            size += len(line)
            lines.append(line[4:].strip())
            if size > _MAX_REPLY:
                self._disconnect("its reply is too long")
            if not line[:3].isdigit() or line[3:4] not in {b"", b" ", b"-", b"\r", b"\n"}:
                self._disconnect("not an SMTP server (unexpected reply)")
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)

    def _read_line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _MAX_LINE:
                self._disconnect("its reply is too long")
            try:
                with self._limited() as sock:
                    received = sock.recv(_MAX_LINE)
            except TimeoutError:
                self._disconnect("no reply in time")
            except OSError as error:
                self._disconnect(f"{_LOST} ({error.strerror or type(error).__name__})")
            if not received:
                self._disconnect("the server closed the connection")
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _timed_socket(self) -> socket.socket:
        """Return the socket after setting its timeout to the remaining time."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected(_LOST)
        seconds_left = current_deadline().seconds_left
        self.sock.settimeout(max(seconds_left, 0.001) if math.isfinite(seconds_left) else None)
        return self.sock

    @contextmanager
    def _limited(self) -> Iterator[socket.socket]:
        sock = self._timed_socket()
        with waiting(sock):
            yield sock

    def _disconnect(self, why: str) -> NoReturn:
        self.close()
        raise smtplib.SMTPServerDisconnected(why)

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Switch to TLS and discard everything that the server sent before (RFC 3207 section 4.2)."""
        self._buffer = b""  # or unencrypted input would be taken for the server's replies (CVE-2011-0411)
        sock = self._timed_socket()
        self.sock = wrap_tls(sock, lambda: context.wrap_socket(sock, server_hostname=host))
        self.ehlo_resp, self.helo_resp, self.esmtp_features, self.does_esmtp = None, None, {}, False


def format_reply(code: int, text: bytes | str) -> str:
    """Return a reply on one line, safe to print."""
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {visible(' '.join(decoded.split()), limit=200)}".strip()


def _parse_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError("PAPERAGENT_SMTP_URL: not a mail server; write smtp://USER:PASSWORD@HOST:587")
    return parts


def _is_loopback(sock: socket.socket) -> bool:
    """Return whether the socket is connected to this machine, by its address and not by the host's name."""
    try:
        return ipaddress.ip_address(str(sock.getpeername()[0]).partition("%")[0]).is_loopback
    except (OSError, ValueError):
        return False


def _dot_stuff(message: bytes) -> bytes:
    """Return the message with CR LF line ends and a second dot before lines that begin with one."""
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(b"." + line + b"\r\n" if line.startswith(b".") else line + b"\r\n" for line in lines)
