"""Where papers are kept and found: exports only."""

from paperagent.library.identity import content_hash
from paperagent.library.local.store import LocalStore
from paperagent.library.protocol import Candidate, Check, Health, Shard, Store

__all__ = ["Candidate", "Check", "Health", "LocalStore", "Shard", "Store", "content_hash"]
