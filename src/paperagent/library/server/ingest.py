"""Reading records into a library of a server: merge with what it holds, write, then forget what was replaced.

Written before anything is deleted, and every write may be repeated: a kill costs repeated work only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection as Sized
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex

from paperagent.library import identity, rows
from paperagent.library.merge import Desk, Draft
from paperagent.library.server import provenance
from paperagent.library.server.collection import Collection, Record
from paperagent.library.server.paper_collections import SPARSE, Shelf
from paperagent.library.server.records import paper_of, record_id, record_of
from paperagent.library.server.term_counts import Tally
from paperagent.types import Paper


@dataclass(frozen=True, slots=True)
class Taken:
    """What one batch did."""

    new: int
    changed: int


class _Numbered:
    """Gives the records of a batch the numbers that a `Desk` knows papers by."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._rows: dict[str, int] = {}
        self.papers: dict[int, Paper] = {}
        self.reads: dict[int, str] = {}
        self.known: set[str] = set()
        """The records that went into these papers."""

    def highest_row(self) -> int:
        """Return the highest number given."""
        return len(self._rows)

    def owners(self, aliases: Iterable[str]) -> dict[str, list[int]]:
        """Return the numbers of the papers that go by each alias."""
        found = self._shelf.owners(dict.fromkeys(aliases))
        return {alias: [self._number(r) for r in records] for alias, records in found.items()}

    def by_row(self, row_numbers: Iterable[int]) -> dict[int, Paper]:
        """Return the papers of numbers."""
        return {row: self.papers[row] for row in row_numbers}

    def _number(self, record: Record) -> int:
        row = self._rows.setdefault(record.id, len(self._rows) + 1)
        if row not in self.papers:
            self.papers[row] = paper_of(record)
            self.reads[row] = str(record.metadata.get(provenance.KEY, ""))
            self.known |= provenance.known(record)
        return row


class Intake:
    """Takes the batches of one ingest."""

    def __init__(self, shelf: Shelf, *, today: dt.date) -> None:
        self._shelf = shelf
        self._today = today
        self._tally = Tally()
        self._run = token_hex(4)

    def flush(self) -> None:
        """Write the word counts of what was taken."""
        tally, self._tally = self._tally, Tally()
        self._shelf.counts.write(tally)

    def take(self, batch: Sequence[Paper]) -> Taken:
        """Write a batch; what the library holds already costs the look-up only."""
        distinct = {identity.record_hash(paper): paper for paper in batch}
        library = _Numbered(self._shelf)
        desk = Desk(library, distinct.values(), today=self._today)
        new = 0
        placed: list[tuple[Draft, str]] = []
        for digest, paper in distinct.items():
            if provenance.named(digest) not in library.known:
                draft, before = desk.place(paper)
                placed.append((draft, provenance.entry(paper, digest, self._run)))
                new += before is None
        drafts: dict[int, Draft] = {}
        entries: dict[int, list[str]] = {}
        for draft, entry in placed:
            keeper = desk.keeper(draft)
            drafts[keeper.row] = keeper
            entries.setdefault(keeper.row, []).append(entry)
        for row, draft in drafts.items():
            draft.read = self._read_into(draft, library.reads, entries[row])
        self._name(drafts.values())
        self._write(list(drafts.values()))
        changed = sum(d.old is not None and identity.notable(d.old, d.paper) for d in drafts.values())
        return Taken(new, changed)

    def _read_into(self, draft: Draft, held: Mapping[int, str], entries: Sequence[str]) -> str:
        """Return what is kept of the records that went into a draft.

        Where its write leaves something to delete, the new ones are not: should this one be killed
        in between, the next reading goes on where it was.
        """
        moved = draft.absorbed or (draft.old and draft.old.paper_id != draft.paper.paper_id)
        former = [held.get(row, "") for row in (draft.row, *draft.absorbed)]
        return provenance.joined(former, () if moved else entries, self._shelf.quotas)

    def _write(self, drafts: Sequence[Draft]) -> None:
        absorbed = [paper for d in drafts for paper in d.absorbed.values()]
        olds = {d.row: d.old for d in drafts if d.old is not None}
        held = self._placed([*olds.values(), *absorbed, *(d.paper for d in drafts)])
        former = [old for d in drafts if d.retold and (old := d.old) is not None]
        self._shelf.keep_versions([*former, *absorbed])
        stay = [d for d in drafts if not d.retold and olds[d.row].paper_id in held]
        kept = {d.row for d in stay}
        waiting = self._wait([d for d in drafts if d.row not in kept], held)
        waiting |= self._redescribe(stay, held)
        for draft in drafts:
            self._count(draft)
        present = {d.paper.paper_id for d in drafts}
        gone = {p.paper_id for p in absorbed} | ({p.paper_id for p in olds.values()} - present)
        self._delete(self._shelf.waiting, gone - waiting)
        self._delete(self._shelf.held(), gone - present)

    def _placed(self, papers: Iterable[Paper]) -> set[str]:
        """Return the ids of those papers that have a record with a vector."""
        collection = self._shelf.held()
        ids = {record_id(p.paper_id, self._shelf.quotas): p.paper_id for p in papers}
        return {ids[i] for i in collection.held(ids)} if collection and ids else set()

    def _wait(self, drafts: Sequence[Draft], held: Sized[str]) -> set[str]:
        """Write papers whose text has no vector; return their ids."""
        self._shelf.waiting.put([self._record(d, again=d.paper.paper_id in held) for d in drafts])
        return {d.paper.paper_id for d in drafts}

    def _redescribe(self, drafts: Sequence[Draft], held: Sized[str]) -> set[str]:
        """Write what changed beside the text; the vector stays, and moves where the id changed.

        Returns the ids of those whose held text is not the present one, which are written to what waits.
        """
        collection = self._shelf.held()
        if collection is None or not drafts:
            return set()
        old_ids = {d.row: record_id(d.old.paper_id, self._shelf.quotas) for d in drafts if d.old}
        late = self._shelf.waiting.held(old_ids.values())
        moved = [d for d in drafts if old_ids[d.row] not in late]
        records = {d.row: self._record(d) for d in moved}
        stay = {r.id: r.metadata for row, r in records.items() if r.id == old_ids[row]}
        collection.describe(stay)
        self._move(collection, {old_ids[row]: r for row, r in records.items() if r.id != old_ids[row]})
        return self._wait([d for d in drafts if old_ids[d.row] in late], held)

    def _move(self, collection: Collection, records: Mapping[str, Record]) -> None:
        """Write records with the vectors that stand under the ids they are given by."""
        olds = collection.get(records, vectors=True)
        collection.put(
            [
                replace(r, vector=olds[old].vector, metadata={**_words(olds[old]), **r.metadata})
                for old, r in records.items()
                if old in olds
            ]
        )

    def _record(self, draft: Draft, *, again: bool = False) -> Record:
        terms = len(rows.stems_of(draft.paper))
        return record_of(draft.paper, self._shelf.quotas, terms=terms, again=again, read=draft.read)

    def _count(self, draft: Draft) -> None:
        if draft.retold:
            self._tally.add(rows.stems_of(draft.paper))
            if draft.old is not None:
                self._tally.add(rows.stems_of(draft.old), sign=-1)
        for paper in draft.absorbed.values():
            self._tally.add(rows.stems_of(paper), sign=-1)

    def _delete(self, collection: Collection | None, paper_ids: Iterable[str]) -> None:
        if collection is not None:
            collection.delete(record_id(i, self._shelf.quotas) for i in paper_ids)

    def _name(self, drafts: Iterable[Draft]) -> None:
        """Remember the names that a paper's own record does not show; before it, which says what was read."""
        names = {
            name: draft.paper.paper_id
            for draft in drafts
            for name in draft.names
            if name not in _shown(draft.paper)
        }
        self._shelf.note_owner(names)


def _shown(paper: Paper) -> set[str]:
    """Return the aliases by which a paper's record is found."""
    return {*identity.aliases(paper), f"id:{paper.paper_id}", f"arxiv:{paper.paper_id}"}


def _words(record: Record) -> dict[str, object]:
    """Return the sparse vector of a record, on servers that search by it."""
    return {SPARSE: record.metadata[SPARSE]} if SPARSE in record.metadata else {}
