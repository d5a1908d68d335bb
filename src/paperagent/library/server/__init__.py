"""The library on a Chroma server: exports only."""

from paperagent.library.server.address import Address
from paperagent.library.server.store import ServerStore

__all__ = ["Address", "ServerStore"]
