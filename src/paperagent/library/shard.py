"""A share of a big ingest: which of N workers reads which papers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self
from zlib import crc32

from paperagent.errors import InputError, visible
from paperagent.library.identity import title_key
from paperagent.library.withdrawals import Entry
from paperagent.types import Paper

PLACES = 2**16
_TEXT = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Share ``number`` (from 1) of ``of``.

    A paper's title decides, its case and signs aside: the records that may be one paper stay with one
    worker, whichever feed they are from. Raises `InputError` for a share that does not exist.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= PLACES:
            raise InputError(
                f"shard: {self.number}/{self.of} is no share; write 1/N to N/N, N up to {PLACES}"
            )

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Return the share that ``I/N`` names."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            shown = visible(text, limit=40)
            raise InputError(f"shard: {shown} is no share; write I/N, such as 1/4, N up to {PLACES}")
        return cls(int(match[1]), int(match[2]))

    def range(self, places: int) -> tuple[int, int]:
        """Return the first of ``places`` places that are this share's, and the first that is not."""
        return -(-(self.number - 1) * places // self.of), -(-self.number * places // self.of)

    def holds(self, paper: Paper) -> bool:
        """Tell whether ``paper`` is this share's."""
        first, end = self.range(PLACES)
        return first <= place_of(paper) < end

    def of_records(self, records: Iterable[Entry]) -> Iterator[Entry]:
        """Yield this share's papers; what is no paper is the first share's, so that it counts once."""
        for record in records:
            if self.holds(record) if isinstance(record, Paper) else self.number == 1:
                yield record


def place_of(paper: Paper) -> int:
    """Return a number below `PLACES` that all records of one title have in common, whatever their ids."""
    return crc32(title_key(paper.title).encode()) % PLACES
