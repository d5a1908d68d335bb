"""Send by SMTP, one step at a time, so that it is always known where it stopped.

TLS is required unless the server is on this machine, and no password is sent without it.

smtplib's commands, with replies that end.

`smtplib` waits without end for a server that says one byte a second, and keeps a reply of any
number of lines.
"""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from paperagent.digest.delivery.transport import ConnectionLost, Rejected, SmtpReply, Step
from paperagent.errors import ConfigError, MailError, visible

_SERVICE_CLOSING = 421
_CONNECTION_ERRORS = (smtplib.SMTPServerDisconnected, OSError)
STARTTLS_PORT, IMPLICIT_TLS_PORT = 587, 465


class SmtpTransport:
    """One connection to ``smtp[s]://[USER:PASSWORD@]HOST[:PORT]``. Implements `transport.Transport`.

    ``smtp`` asks for TLS with STARTTLS, ``smtps`` speaks it from the first byte. Only towards this
    machine TLS may be missing (``always_tls`` forbids that too).

    Raises:
        ConfigError: the address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        waits: Timeouts | None = None,
        context: ssl.SSLContext | None = None,
        always_tls: bool = False,
        name: str = "localhost.localdomain",
    ) -> None:
        parts = _parse_url(url)
        self._host = parts.hostname or ""
        self._at_once = parts.scheme == "smtps"
        self._port = parts.port or (IMPLICIT_TLS_PORT if self._at_once else STARTTLS_PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._waits = waits or Timeouts()
        self._context = context
        self._always_tls = always_tls
        self._name = name
        self._client: SmtpConnection | None = None

    @property
    def _where(self) -> str:
        return f"mail server {visible(self._host, limit=100)}:{self._port}"

    # --- connection ---

    def connect(self) -> None:
        """Connect, secure the connection and log in; nothing happens where that is so."""
        if self._client is not None:
            return
        sock = self._reach()
        client = SmtpConnection(sock, self._name, self._waits.connect)
        try:
            self._greet(client, private=_is_loopback(sock))
        except smtplib.SMTPServerDisconnected as error:
            raise MailError(f"{self._where}: {error}; {self._mixed_up()}") from error
        except smtplib.SMTPResponseException as error:
            raise MailError(
                f"{self._where}: {format_reply(error.smtp_code, error.smtp_error)}; try later"
            ) from error
        except OSError as error:
            raise MailError(f"{self._where}: the connection was lost; run it again") from error
        finally:
            if self._client is None:
                client.close()

    def _reach(self) -> socket.socket:
        try:
            sock = socket.create_connection((self._host, self._port), self._waits.connect)
        except socket.gaierror as error:
            raise MailError(
                f"{self._where}: cannot resolve {visible(self._host, limit=100)}; check PAPERAGENT_SMTP_URL"
            ) from error
        except TimeoutError as error:
            raise MailError(
                f"{self._where}: no answer within {self._waits.connect:g} s; check host and port"
            ) from error
        except (OSError, UnicodeError) as error:
            raise MailError(f"{self._where}: cannot be reached; check host and port") from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the final dot goes out at once
        return sock

    def _greet(self, client: SmtpConnection, *, private: bool) -> None:
        if self._at_once:
            self._secure(client)
        code, text = client.getreply()
        if code != 220:
            kind = "permanent; is this the right server?" if code >= 500 else "temporary; try later"
            raise MailError(f"{self._where}: it greets with {format_reply(code, text)}; {kind}")
        client.ehlo_or_helo_if_needed()
        secured = self._at_once or self._start_tls(client, private=private)
        if self._user:
            self._log_in(client, secured=secured or private)
        client.wait = self._waits.command
        self._client = client

    def _start_tls(self, client: SmtpConnection, *, private: bool) -> bool:
        """Secure the connection where that must be, and say whether it is."""
        needed = self._always_tls or not private
        # A server on this machine may take passwords only over TLS.
        if not needed and not (self._user and not client.has_extn("auth") and client.has_extn("starttls")):
            return False
        if not client.has_extn("starttls"):
            raise MailError(
                f"{self._where}: it offers no TLS, and mail is not sent in the clear; "
                f"use a port with STARTTLS ({STARTTLS_PORT}) or smtps:// ({IMPLICIT_TLS_PORT})"
            )
        code, text = client.docmd("STARTTLS")
        if code != 220:
            raise MailError(
                f"{self._where}: it refuses TLS ({format_reply(code, text)}); mail is not sent in the clear"
            )
        self._secure(client)
        client.ehlo_or_helo_if_needed()
        return True

    def _secure(self, client: SmtpConnection) -> None:
        try:
            client.secure(self._context or ssl.create_default_context(), self._host)
        except ssl.SSLCertVerificationError as error:
            reason = visible(error.verify_message or str(error), limit=160)
            raise MailError(
                f"{self._where}: its certificate is not valid: {reason}; correct the host in "
                "PAPERAGENT_SMTP_URL or the server's certificate"
            ) from None
        except (OSError, ValueError) as error:  # SSLError is an OSError
            reason = visible(str(getattr(error, "reason", None) or error), limit=120)
            raise MailError(f"{self._where}: no TLS could be agreed ({reason}); {self._mixed_up()}") from None

    def _mixed_up(self) -> str:
        """Return what may be wrong when the two kinds of TLS are taken for each other."""
        if self._at_once:
            return f"where TLS begins by STARTTLS (port {STARTTLS_PORT}), write smtp://"
        return f"where TLS begins at once (port {IMPLICIT_TLS_PORT}), write smtps://"

    def _log_in(self, client: SmtpConnection, *, secured: bool) -> None:
        if not secured:
            raise MailError(f"{self._where}: no TLS, so the password is not sent; use smtps:// or port 587")
        try:
            client.login(self._user, self._password)
        except smtplib.SMTPAuthenticationError as error:
            # Its text is left out: servers repeat what they were given.
            raise MailError(
                f"{self._where}: login rejected ({error.smtp_code}); check user and password in "
                "PAPERAGENT_SMTP_URL (some providers want a password made for programs)"
            ) from None
        except (smtplib.SMTPNotSupportedError, smtplib.SMTPException) as error:
            if isinstance(error, smtplib.SMTPServerDisconnected):
                raise
            raise MailError(
                f"{self._where}: it offers no login that fits; check the port, or leave user and password out"
            ) from None

    # --- one message ---

    def address(self, sender: str, recipient: str, *, size: int) -> None:
        """Say MAIL and RCPT; raise `Rejected` or `ConnectionLost`."""
        client = self._connected()
        options = [f"SIZE={size}"] if client.has_extn("size") else []
        if not (sender.isascii() and recipient.isascii()):
            if not client.has_extn("smtputf8"):
                raise Rejected(
                    "recipient", SmtpReply(553, "the mail server takes no letters beyond ASCII here")
                )
            options.append("SMTPUTF8")
        client.command_encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        self._expect(250, "sender", f"MAIL FROM:<{sender}> {' '.join(options)}".rstrip())
        self._expect(250, "recipient", f"RCPT TO:<{recipient}>")

    def data(self, message: bytes, *, message_id: str) -> SmtpReply:  # noqa: ARG002 - it stands in the message
        """Send the message and wait for the server to accept it; raise `Rejected` or `ConnectionLost`."""
        self._expect(354, "data", "DATA")
        client = self._connected()
        assert client.sock is not None
        try:
            client.sock.settimeout(self._waits.accept)
            client.sock.sendall(_dot_stuff(message))
        except OSError as error:  # without its last line the server must not take it (section 4.1.1.4)
            raise self._broken("the connection was lost in the middle of the message") from error
        try:
            client.sock.sendall(b".\r\n")
            client.wait = self._waits.accept
            code, text = client.getreply()
        except _CONNECTION_ERRORS as error:
            raise self._broken("the connection was lost after the message", ambiguous=True) from error
        client.wait = self._waits.command
        return self._answer(code, text, "message", good=250)

    def _expect(self, good: int, step: Step, command: str) -> SmtpReply:
        client = self._connected()
        try:
            code, text = client.docmd(command)
        except _CONNECTION_ERRORS as error:
            why = (
                str(error) if isinstance(error, smtplib.SMTPServerDisconnected) else "the connection was lost"
            )
            raise self._broken(why) from error
        return self._answer(code, text, step, good=good)

    def _answer(self, code: int, text: bytes, step: Step, *, good: int) -> SmtpReply:
        reply = SmtpReply(code, text.decode("utf-8", "replace").replace("\n", " "))
        if code == good or (good == 250 and 200 <= code < 300):
            return reply
        if code == _SERVICE_CLOSING:
            self._drop()
        if code < 400:
            why = f"it answered {code} where {good} was due"
            raise self._broken(why, ambiguous=step == "message")
        raise Rejected(step, reply)

    def reset(self) -> None:
        """Say RSET; a connection on which that fails is dropped."""
        if self._client is None:
            return
        try:
            code, _ = self._client.rset()
        except _CONNECTION_ERRORS:
            code = _SERVICE_CLOSING
        if code != 250:
            self._drop()

    def close(self) -> None:
        """Say QUIT and close; what the server makes of it no longer counts."""
        client, self._client = self._client, None
        if client is None:
            return
        client.wait = min(5.0, self._waits.command)
        try:
            client.docmd("QUIT")
        except _CONNECTION_ERRORS:
            return
        finally:
            client.close()

    def _connected(self) -> SmtpConnection:
        if self._client is None:
            raise ConnectionLost("the connection was lost")
        return self._client

    def _broken(self, why: str, *, ambiguous: bool = False) -> ConnectionLost:
        self._drop()
        return ConnectionLost(why, ambiguous=ambiguous)

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _parse_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"smtp", "smtps"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError("PAPERAGENT_SMTP_URL: no mail server; write smtp://USER:PASSWORD@HOST:587")
    return parts


def _is_loopback(sock: socket.socket) -> bool:
    """Tell by the address that was reached, not by the name that was written."""
    try:
        return ipaddress.ip_address(str(sock.getpeername()[0]).partition("%")[0]).is_loopback
    except (OSError, ValueError):
        return False


def _dot_stuff(message: bytes) -> bytes:
    """Return the message with every line ended by CR LF and no line that is a dot alone."""
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(b"." + line + b"\r\n" if line.startswith(b".") else line + b"\r\n" for line in lines)


_MAX_LINE = 8_192
_MAX_REPLY = 65_536
"""Bytes of one reply. RFC 5321 section 4.5.3.1.5 has 512 a line."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, each for a whole reply."""

    connect: float = 30.0
    command: float = 60.0
    accept: float = 600.0
    """From the end of the message to the server's word (RFC 5321 section 4.5.3.2.6: 10 minutes)."""


class SmtpConnection(smtplib.SMTP):
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
            if size > _MAX_REPLY:
                self._give_up("its reply is too long")
            if not line[:3].isdigit() or line[3:4] not in {b"", b" ", b"-", b"\r", b"\n"}:
                self._give_up("what it says is no SMTP")
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)

    def _line(self, end: float) -> bytes:
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if len(self._rest) > _MAX_LINE:
                self._give_up("its reply is too long")
            if left <= 0 or self.sock is None:
                self._give_up("it does not answer in time")
            try:
                self.sock.settimeout(left)
                read = self.sock.recv(_MAX_LINE)
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


def format_reply(code: int, text: bytes | str) -> str:
    """Return a reply on one line, safe to show."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {visible(' '.join(shown.split()), limit=200)}".strip()
