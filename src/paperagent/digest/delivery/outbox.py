"""Write messages as ``.eml`` files instead of sending them: the way without a mail server."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from paperagent.digest.delivery.transport import Reply
from paperagent.errors import MailError, visible


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

    def data(self, message: bytes, *, message_id: str) -> Reply:
        """Write the message whole, or not at all; it is on the disk when this returns."""
        path = self.folder / f"{_name(message_id)}.eml"
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
        return Reply(250, f"written to {path.name}")

    def reset(self) -> None:
        """Do nothing: no message is ever half written."""

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _failed(self) -> MailError:
        folder = visible(str(self.folder), limit=200)
        return MailError(f"outbox {folder}: cannot be written; check the disk and its permissions")


def _name(message_id: str) -> str:
    """Return a file name: what stands before the @, of harmless characters."""
    local = message_id.strip("<>").rpartition("@")[0] or message_id
    return re.sub(r"[^A-Za-z0-9._-]+", "_", local).strip(".")[:120]
