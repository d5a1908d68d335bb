"""Records of a feed, in batches that a store takes at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from paperagent.library import identity
from paperagent.types import Paper, Skipped


def batches(
    records: Iterable[Paper | Skipped],
    skipped: Counter[str],
    *,
    size: int,
    unfit: Callable[[Paper], str | None] = identity.unfit,
) -> Iterator[list[Paper]]:
    """Yield the papers ``size`` at a time and count the rest; raise the records' own error last."""
    remaining = iter(records)
    failure: Exception | None = None
    while failure is None:
        batch: list[Paper] = []
        read = 0
        try:
            for record in islice(remaining, size):
                read += 1
                reason = record.reason if isinstance(record, Skipped) else unfit(record)
                if reason is None and isinstance(record, Paper):
                    batch.append(record)
                else:
                    skipped[str(reason)] += 1
        except Exception as error:  # noqa: BLE001  # a feed's, raised again below
            failure = error
        if batch:
            yield batch
        if not read and failure is None:
            return
    raise failure
