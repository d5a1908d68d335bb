"""The library: where papers are stored, merged, indexed and found.

Everything else uses a library through the `Store` protocol in `protocol`, so start reading there. Two classes
implement it: `LocalStore` (`local/`: SQLite, tantivy and Chroma in a folder) and `ServerStore` (`server/`:
the collections of a Chroma server). Both share the rules that decide when two records are the same paper
(`identity`, `merge`) and the features of a paper that are indexed (`features`).
"""

from paperagent.library.identity import content_hash
from paperagent.library.local.store import LocalStore
from paperagent.library.protocol import Candidate, Check, FeedSort, Health, ListSort, Shard, Store

__all__ = [
    "Candidate",
    "Check",
    "FeedSort",
    "Health",
    "ListSort",
    "LocalStore",
    "Shard",
    "Store",
    "content_hash",
]
