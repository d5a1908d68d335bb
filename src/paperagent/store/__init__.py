"""Where papers are kept and found: exports only."""

from paperagent.store.health import Check, Health
from paperagent.store.identity import content_hash
from paperagent.store.local import Candidate, LocalStore

__all__ = ["Candidate", "Check", "Health", "LocalStore", "content_hash"]
