"""Where papers are kept and found: exports only."""

from paperagent.store.candidate import Candidate
from paperagent.store.health import Check, Health
from paperagent.store.identity import content_hash
from paperagent.store.local import LocalStore
from paperagent.store.port import Store
from paperagent.store.shard import Shard

__all__ = ["Candidate", "Check", "Health", "LocalStore", "Shard", "Store", "content_hash"]
