"""The library on a Chroma server: exports only."""

from paperagent.store.server.address import Address
from paperagent.store.server.store import ServerStore

__all__ = ["Address", "ServerStore"]
