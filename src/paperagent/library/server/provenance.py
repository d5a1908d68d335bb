"""Which records went into a paper, kept with it, so that reading a feed again changes nothing.

Without it two feeds that word a paper differently would change it in turn, for ever. One text holds all:
a record has no room for more metadata. It stands in the same write as the paper, so it never says too much.
"""

from __future__ import annotations

from collections.abc import Iterable

from paperagent.library.server.address import Quotas
from paperagent.library.server.collection import Record
from paperagent.library.server.records import digest, whole
from paperagent.types import Paper

KEY = "read"
_FEED, _RUN, _ENTRY = 8, 16, 32
"""Digits of the feed, then of the run, then of the record's hash."""


def entry(paper: Paper, record_hash: bytes, run: str) -> str:
    """Return what is kept of a record that a run, of 8 digits, has read."""
    return digest("\n".join(paper.sources))[:_FEED] + run + named(record_hash)


def named(record_hash: bytes) -> str:
    """Return the digits that stand for a record's hash."""
    return record_hash.hex()[: _ENTRY - _RUN]


def known(record: Record) -> set[str]:
    """Return the digits of the records that went into a paper; none where a feed must mend it."""
    text = str(record.metadata.get(KEY, ""))
    return {found[_RUN:] for found in text.split()} if text and whole(record) else set()


def joined(held: Iterable[str], fresh: Iterable[str], quotas: Quotas) -> str:
    """Return texts of former entries with ``fresh`` entries, in place of what their feeds said in other runs.

    So a text that changes back is a change, and two renderings in one file are none.
    """
    added = list(dict.fromkeys(fresh))
    feeds, runs = {e[:_FEED] for e in added}, {e[:_RUN] for e in added}
    former = dict.fromkeys(e for text in held for e in text.split())
    kept = [e for e in former if e[:_FEED] not in feeds or (e[:_RUN] in runs and e not in added)]
    return " ".join([*kept, *added][-(quotas.value_bytes // (_ENTRY + 1)) :])
