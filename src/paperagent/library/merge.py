"""Merge the records of a feed into papers of the library or into new ones."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from paperagent.library import identity
from paperagent.library.features import index_fields
from paperagent.library.protocol import FeedRecord
from paperagent.types import Paper, Skipped, Withdrawal

_UNKNOWN_WITHDRAWAL = "withdrawn, and not in the library"


def apply_withdrawals(
    records: Iterable[FeedRecord], get: Callable[[str], Paper | None]
) -> Iterator[Paper | Skipped]:
    """Yield the records, each `Withdrawal` replaced by the paper that it names, marked as withdrawn.

    Args:
        records: What a feed yields.
        get: Returns a paper of the library. If it has none, the withdrawal becomes a `Skipped` record.
    """
    for record in records:
        if not isinstance(record, Withdrawal):
            yield record
        elif (paper := get(record.paper_id)) is None:
            yield Skipped(record.paper_id, _UNKNOWN_WITHDRAWAL)
        else:
            yield replace(paper, withdrawn=True, sources=(record.source,))


def in_batches(
    records: Iterable[Paper | Skipped],
    skipped: Counter[str],
    *,
    size: int,
    unfit: Callable[[Paper], str | None] = identity.unfit,
) -> Iterator[list[Paper]]:
    """Yield the papers in batches, made from ``size`` records each.

    An error that ``records`` raises is raised again after the batch of the records before it.

    Args:
        records: Papers and skipped records.
        skipped: Counts the other records by reason.
        size: The number of records read for a batch.
        unfit: Returns why a paper cannot be stored, or None.
    """
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
        except Exception as error:  # noqa: BLE001  # an error of the feed, raised again below
            failure = error
        if batch:
            yield batch
        if not read and failure is None:
            return
    raise failure


def add_further_ids(
    papers: Iterable[Paper],
    names: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
    *,
    size: int,
) -> Iterator[Paper]:
    """Yield the papers with ``Paper.ids``, which ``names`` looks up for ``size`` papers at a time."""
    remaining = iter(papers)
    while page := list(islice(remaining, size)):
        ids = names([paper.paper_id for paper in page])
        yield from (replace(p, ids=identity.further_ids(p, ids.get(p.paper_id, ()))) for p in page)


class PaperLookup(Protocol):
    """The part of a library that merging uses. Papers are identified by row numbers."""

    def highest_row(self) -> int:
        """Return the highest row number in use."""
        ...

    def rows_by_alias(self, aliases: Iterable[str]) -> Mapping[str, list[int]]:
        """Return the rows of the papers that have each alias."""
        ...

    def papers_by_row(self, rows: Iterable[int]) -> Mapping[int, Paper]:
        """Return the papers of rows."""
        ...


@dataclass(slots=True)
class PendingPaper:
    """A paper while its batch is merged: as stored in the library, and as it will be written."""

    row: int
    old: Paper | None
    """None if the library does not have it."""
    paper: Paper
    names: dict[str, None] = field(default_factory=dict)
    """The aliases to add, as an ordered set."""
    absorbed: dict[int, Paper] = field(default_factory=dict)
    """By row, the papers of the library that turned out to be this one."""
    stems: list[str] = field(default_factory=list)
    provenance: str = ""
    """On a server: the records that it was merged from."""

    @property
    def text_changed(self) -> bool:
        """Whether its title or abstract is new to the library."""
        old, new = self.old, self.paper
        return old is None or (old.title, old.abstract) != (new.title, new.abstract)

    @property
    def index_changed(self) -> bool:
        """Whether anything that an index holds is new."""
        old, new = self.old, self.paper
        return old is None or (old.paper_id, index_fields(old)) != (new.paper_id, index_fields(new))


class RecordMerger:
    """Assigns the records of one batch to papers of the library or to new ones."""

    def __init__(self, library: PaperLookup, records: Collection[Paper], *, today: dt.date) -> None:
        self._today = today
        self._rows = dict(
            library.rows_by_alias(
                name
                for paper in records
                for name in (*identity.aliases(paper), *(f"id:{slug}" for slug in _slugs(paper)))
            )
        )
        self._next_row = library.highest_row() + 1
        papers = library.papers_by_row({row for rows in self._rows.values() for row in rows})
        self._pending = {row: PendingPaper(row, paper, paper) for row, paper in papers.items()}
        self._absorbed_by: dict[int, int] = {}

    def assign(self, record: Paper) -> tuple[PendingPaper, Paper | None]:
        """Merge a record into its paper.

        Returns:
            The paper, and what it was before this record; None if the record made a new paper.
        """
        original = replace(record, first_seen=self._today)
        paper = replace(identity.with_best_id(original), ids=())  # further ids are stored as aliases
        matches = self._matches(original)
        if not matches:
            paper = self._with_free_slug(paper)
            pending = PendingPaper(self._next_row, None, paper)
            self._pending[pending.row] = pending
            self._next_row += 1
            self._add_names(pending, original)
            self._add_names(pending, paper)
            return pending, None
        pending, *others = matches
        before = pending.paper
        for other in others:
            if _is_same(pending.paper, other.paper):
                if pending.old is None and other.old is not None:  # keep the row that the indexes know
                    pending, other = other, pending  # noqa: PLW2901  # the two change places
                self._absorb(pending, other)
        paper = self._without_foreign_doi(paper, pending)
        pending.paper = identity.merge(pending.paper, paper)
        self._add_names(pending, original)
        self._add_names(pending, paper)
        self._add_names(pending, pending.paper)
        if pending.paper.paper_id != before.paper_id:
            self._add_name(pending, f"id:{before.paper_id}")
        return pending, before

    def canonical(self, pending: PendingPaper) -> PendingPaper:
        """Return the paper that finally absorbed ``pending``, or ``pending`` itself."""
        row = pending.row
        while row in self._absorbed_by:
            row = self._absorbed_by[row]
        return self._pending[row]

    def changed(self) -> list[PendingPaper]:
        """Return the papers that differ from the library, by row."""
        papers = (self._pending[row] for row in sorted(self._pending))
        return [p for p in papers if p.old is None or p.absorbed or p.names or p.old != p.paper]

    def _matches(self, record: Paper) -> list[PendingPaper]:
        """Return the papers that ``record`` may be: first by id, then by title and abstract."""
        matches: dict[int, PendingPaper] = {}
        for name in identity.aliases(record):
            for row in self._rows.get(name, ()):
                pending = self._pending[row]
                if not name.startswith("title:") or _is_same(pending.paper, record):
                    matches.setdefault(row, pending)
        return list(matches.values())

    def _absorb(self, pending: PendingPaper, other: PendingPaper) -> None:
        pending.paper = identity.merge(pending.paper, other.paper)
        pending.absorbed.update(other.absorbed)
        if other.old is not None:
            pending.absorbed[other.row] = other.old
        del self._pending[other.row]
        self._absorbed_by[other.row] = pending.row
        for rows in self._rows.values():
            if other.row in rows:
                rows[:] = dict.fromkeys(pending.row if row == other.row else row for row in rows)
        for name in (*other.names, f"id:{other.paper.paper_id}"):
            self._add_name(pending, name)

    def _with_free_slug(self, paper: Paper) -> Paper:
        """Return a new paper with a readable id instead of the hash of its text."""
        free = next((slug for slug in _slugs(paper) if not self._rows.get(f"id:{slug}")), None)
        return replace(paper, paper_id=free) if free else paper

    def _without_foreign_doi(self, record: Paper, pending: PendingPaper) -> Paper:
        """Return ``record`` without a DOI that another paper has, so that it cannot join two papers."""
        rows = self._rows.get(f"doi:{record.doi}", ())
        return replace(record, doi=None) if any(row != pending.row for row in rows) else record

    def _add_names(self, pending: PendingPaper, paper: Paper) -> None:
        for name in identity.aliases(paper):
            self._add_name(pending, name)

    def _add_name(self, pending: PendingPaper, name: str) -> None:
        rows = self._rows.setdefault(name, [])
        if pending.row not in rows and (name.startswith("title:") or not rows):
            rows.append(pending.row)
            pending.names[name] = None


def _slugs(paper: Paper) -> tuple[str, ...]:
    from paperagent.feeds.ids import slugs  # only an ingest needs it

    return slugs(paper.title, identity.with_best_id(paper).paper_id)


def _is_same(one: Paper, other: Paper) -> bool:
    return not identity.contradict(one, other) and identity.same_text(one, other)
