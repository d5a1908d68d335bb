"""A feed's word that a paper is withdrawn, as the change of a paper that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from paperagent.library.protocol import FeedRecord
from paperagent.types import Paper, Skipped, Withdrawal

_UNKNOWN = "withdrawn, and not in the library"


def applied(records: Iterable[FeedRecord], get: Callable[[str], Paper | None]) -> Iterator[Paper | Skipped]:
    """Yield the records; a withdrawal as the paper that the library holds, marked, else as skipped."""
    for record in records:
        if not isinstance(record, Withdrawal):
            yield record
        elif (held := get(record.paper_id)) is None:
            yield Skipped(record.paper_id, _UNKNOWN)
        else:
            yield replace(held, withdrawn=True, sources=(record.source,))
