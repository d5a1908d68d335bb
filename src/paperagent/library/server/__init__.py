"""A library on a Chroma server: your own server, distributed Chroma, or Chroma Cloud.

`store.ServerStore` is the entry point. `client` sends the HTTP requests, `records` converts papers to and
from records, and `papers` manages the three collections of a library. Any number of machines may read and
write one library.
"""

from paperagent.library.server.client import ServerAddress
from paperagent.library.server.store import ServerStore

__all__ = ["ServerAddress", "ServerStore"]
