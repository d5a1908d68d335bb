"""Runs the web application with uvicorn: the socket, limits on connections, and the log.

uvicorn has no limit on the time that a client takes to send a request; `LimitedProtocol` adds it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from paperagent.errors import ConfigError, visible
from paperagent.web.app import create_app
from paperagent.web.guard import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from types import FrameType

    from paperagent.web.site import Site

GRACEFUL_SECONDS = 10
"""How long open responses may take to end after a signal."""
KEEP_ALIVE_SECONDS = 5
MAX_CONNECTIONS = 100
"""Open connections; requests on further ones get 503."""
REQUEST_SECONDS = 10.0
"""How long a client may take to send the headers of a request, and again for its body."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address, so that its port is known before the server starts.

    Args:
        host: An IP address, or a name.
        port: The TCP port; 0 for any free one.

    Raises:
        ConfigError: the address does not exist on this machine, or the port is in use or not allowed.
    """
    name = visible(host, limit=80)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"PAPERAGENT_WEB_HOST: {name} is not an address; use 127.0.0.1") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MAX_CONNECTIONS)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"PAPERAGENT_WEB_PORT: cannot listen on {name} port {port}; choose another port with --port, "
            "or stop the program that uses it"
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the URL of a socket, with a slash at its end."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run(site: Site, listening: socket.socket) -> None:
    """Serve a site until SIGINT or SIGTERM, which is raised again when open responses have ended.

    Args:
        site: The site.
        listening: The socket from `listen`; it is closed at the end.
    """
    _log_to_stderr()
    create_server(site).run([listening])


def create_server(site: Site) -> uvicorn.Server:
    """Return the server of a site."""
    config = uvicorn.Config(
        create_app(site),
        http=LimitedProtocol,
        ws="none",
        access_log=False,  # its lines would contain tokens and questions
        server_header=False,
        proxy_headers=False,  # `access` reads them
        log_config=None,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    return _Server(config, site)


class _Server(uvicorn.Server):
    """Stops the running answers when a signal arrives, so that their responses end and the server can."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal. A thread stops the answers, because the interrupted code may hold their locks."""
        threading.Thread(target=self._site.stop_turns, name="stop").start()
        super().handle_exit(sig, frame)


def _log_to_stderr() -> None:
    """Print our own messages, but only errors from uvicorn, which warns about every bad request."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    for name, level in (("paperagent", logging.INFO), ("uvicorn", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with 408 for requests that arrive too slowly and 431 for headers too long."""

    _timer: asyncio.TimerHandle | None = None
    _awaited: str | None = None
    """What the timer waits for: ``headers`` or ``body``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the first request."""
        super().connection_made(transport)
        self._wait_for("headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time."""
        self._wait_for(None)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has arrived, and start or stop the time for the rest of the request."""
        super().handle_events()
        if self.transport.is_closing():
            self._wait_for(None)
        elif self.conn.their_state is h11.SEND_BODY:
            self._wait_for("body")
        elif self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._wait_for("headers")
        else:
            self._wait_for(None)

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is not HTTP, or whose headers are too long."""
        status = getattr(sys.exception(), "error_status_hint", 400)
        self._refuse(status, msg)

    def _wait_for(self, part: str | None) -> None:
        if part == self._awaited:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._awaited = part
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._on_timeout) if part else None

    def _on_timeout(self) -> None:
        self._timer = self._awaited = None
        if not self.transport.is_closing():
            self._refuse(408, "The request took too long.")

    def _refuse(self, status: int, message: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = message.encode()
            headers: list[tuple[str, Any]] = [
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            response = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
