"""A library on a Chroma server: a server of one's own, distributed Chroma, or Chroma Cloud.

`store.ServerStore` is the entry point. `client` speaks HTTP with the server, `records` converts papers to and
from its records, `collections` holds the three collections of a library. Any number of machines may read and
write one library.
"""

from paperagent.library.server.client import ServerAddress
from paperagent.library.server.store import ServerStore

__all__ = ["ServerAddress", "ServerStore"]
