"""Where papers are kept and found: exports only."""

from paperagent.library.candidate import Candidate
from paperagent.library.health import Check, Health
from paperagent.library.identity import content_hash
from paperagent.library.local.store import LocalStore
from paperagent.library.protocol import Store
from paperagent.library.shard import Shard

__all__ = ["Candidate", "Check", "Health", "LocalStore", "Shard", "Store", "content_hash"]
