"""A mail server that writes down what it accepts: ``python mail_sink.py FILE`` prints its port."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from email import message_from_bytes
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP


class Recorder:
    """Appends recipient and subject of each message to a file before it accepts the message."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        message = message_from_bytes(envelope.content)
        for recipient in envelope.rcpt_tos:
            row = {"to": recipient, "id": str(message["Message-ID"]), "subject": str(message["Subject"])}
            os.write(self._descriptor, (json.dumps(row) + "\n").encode())
        return "250 OK"


async def serve(path: Path) -> None:
    """Serve until the process is ended."""
    recorder = Recorder(path)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(recorder, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
