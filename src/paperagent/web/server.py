"""Run the web application with uvicorn."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import uvicorn

from paperagent.web.app import create_app

if TYPE_CHECKING:
    from types import FrameType

    from paperagent.web.site import Site

GRACEFUL_SECONDS = 10
MAX_CONNECTIONS = 100
MAX_HEADER_BYTES = 16_384


def run(site: Site, *, host: str, port: int) -> None:
    """Serve a site until a signal ends it.

    Args:
        site: The site.
        host: The address to listen on.
        port: The TCP port.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        create_app(site),
        host=host,
        port=port,
        http="h11",
        access_log=False,  # its lines would contain tokens and questions
        server_header=False,
        date_header=True,
        proxy_headers=False,
        log_config=None,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    _Server(config, site).run()


class _Server(uvicorn.Server):
    """Stops the running answers when a signal arrives, so that their responses end and the server can."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal; the locks that stopping takes may be taken by the interrupted code."""
        threading.Thread(target=self._site.stop_turns, name="stop").start()
        super().handle_exit(sig, frame)
