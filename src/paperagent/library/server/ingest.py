"""Write to a library on a server: merge records into papers, and move papers that were embedded.

Everything is written before anything is deleted, and every write can be repeated, so that a kill costs
repeated work only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection as Sized
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from secrets import token_hex

from paperagent.errors import StoreError, visible
from paperagent.library import identity
from paperagent.library.features import check_vector, paper_stems
from paperagent.library.merge import PendingPaper, RecordMerger
from paperagent.library.protocol import NoVectorYetError, Shard
from paperagent.library.server import records as provenance
from paperagent.library.server.client import Collection, Record, chunks
from paperagent.library.server.papers import SPARSE, ServerCollections
from paperagent.library.server.records import paper_from_record, record_from_paper, record_id
from paperagent.library.server.search import Where, sparse_vector
from paperagent.library.server.term_counts import CountChanges
from paperagent.types import Embedder, Paper, Progress


@dataclass(frozen=True, slots=True)
class ServerBatchResult:
    """Numbers of papers that one batch added and changed."""

    new: int
    changed: int


class _NumberedPapers:
    """Assigns row numbers, which `RecordMerger` requires, to the records that a batch touches."""

    def __init__(self, collections: ServerCollections) -> None:
        self._collections = collections
        self._rows: dict[str, int] = {}
        self.papers: dict[int, Paper] = {}
        self.provenance: dict[int, str] = {}
        self.seen_records: set[str] = set()
        """Short hashes of the records that went into these papers."""

    def highest_row(self) -> int:
        return len(self._rows)

    def rows_by_alias(self, aliases: Iterable[str]) -> dict[str, list[int]]:
        by_alias = self._collections.records_by_alias(dict.fromkeys(aliases))
        return {alias: [self._row(r) for r in records] for alias, records in by_alias.items()}

    def papers_by_row(self, rows: Iterable[int]) -> dict[int, Paper]:
        return {row: self.papers[row] for row in rows}

    def _row(self, record: Record) -> int:
        row = self._rows.setdefault(record.id, len(self._rows) + 1)
        if row not in self.papers:
            self.papers[row] = paper_from_record(record)
            self.provenance[row] = str(record.metadata.get(provenance.PROVENANCE, ""))
            self.seen_records |= provenance.seen_records(record)
        return row


class ServerBatchWriter:
    """Merges and writes the batches of one ingest."""

    def __init__(self, collections: ServerCollections, *, today: dt.date) -> None:
        self._collections = collections
        self._today = today
        self._count_changes = CountChanges()
        self._run = token_hex(4)

    def flush(self) -> None:
        """Write the word counts of the batches so far."""
        changes, self._count_changes = self._count_changes, CountChanges()
        self._collections.term_counts.write(changes)

    def write(self, batch: Sequence[Paper]) -> ServerBatchResult:
        """Write a batch. Records that were read before cost one lookup."""
        by_hash = {identity.record_hash(paper): paper for paper in batch}
        library = _NumberedPapers(self._collections)
        merger = RecordMerger(library, by_hash.values(), today=self._today)
        new = 0
        assigned: list[tuple[PendingPaper, str]] = []
        for digest, record in by_hash.items():
            if provenance.short_hash(digest) not in library.seen_records:
                pending, before = merger.assign(record)
                assigned.append((pending, provenance.provenance_entry(record, digest, self._run)))
                new += before is None
        papers: dict[int, PendingPaper] = {}
        entries: dict[int, list[str]] = {}
        for pending, entry in assigned:
            canonical = merger.canonical(pending)
            papers[canonical.row] = canonical
            entries.setdefault(canonical.row, []).append(entry)
        for row, pending in papers.items():
            pending.provenance = self._join_provenance(pending, library.provenance, entries[row])
        self._note_aliases(papers.values())
        self._write(list(papers.values()))
        changed = sum(
            p.old is not None and identity.is_notable_change(p.old, p.paper) for p in papers.values()
        )
        return ServerBatchResult(new, changed)

    def _join_provenance(
        self, pending: PendingPaper, former: Mapping[int, str], entries: Sequence[str]
    ) -> str:
        """Return the provenance to store with a paper.

        If writing the paper leaves a record to delete, the new entries are left out: after a kill in between,
        the records are read again.
        """
        moved = pending.absorbed or (pending.old and pending.old.paper_id != pending.paper.paper_id)
        texts = [former.get(row, "") for row in (pending.row, *pending.absorbed)]
        return provenance.join_provenance(texts, () if moved else entries, self._collections.quotas)

    def _write(self, papers: Sequence[PendingPaper]) -> None:
        absorbed = [paper for p in papers for paper in p.absorbed.values()]
        olds = {p.row: p.old for p in papers if p.old is not None}
        embedded = self._embedded_ids([*olds.values(), *absorbed, *(p.paper for p in papers)])
        former = [old for p in papers if p.text_changed and (old := p.old) is not None]
        self._collections.keep_versions([*former, *absorbed])
        same_text = [p for p in papers if not p.text_changed and olds[p.row].paper_id in embedded]
        same_text_rows = {p.row for p in same_text}
        pending_ids = self._put_pending([p for p in papers if p.row not in same_text_rows], embedded)
        pending_ids |= self._update_embedded(same_text, embedded)
        for pending in papers:
            self._count_terms(pending)
        present = {p.paper.paper_id for p in papers}
        removed = {p.paper_id for p in absorbed} | ({p.paper_id for p in olds.values()} - present)
        self._delete(self._collections.pending, removed - pending_ids)
        self._delete(self._collections.embedded(), removed - present)

    def _embedded_ids(self, papers: Iterable[Paper]) -> set[str]:
        """Return the ids of the papers that have a record with a vector."""
        collection = self._collections.embedded()
        ids = {record_id(p.paper_id, self._collections.quotas): p.paper_id for p in papers}
        return {ids[i] for i in collection.existing(ids)} if collection and ids else set()

    def _put_pending(self, papers: Sequence[PendingPaper], embedded: Sized[str]) -> set[str]:
        """Write papers whose text has no vector; return their ids."""
        records = [self._record(p, again=p.paper.paper_id in embedded) for p in papers]
        self._collections.pending.put(records)
        return {p.paper.paper_id for p in papers}

    def _update_embedded(self, papers: Sequence[PendingPaper], embedded: Sized[str]) -> set[str]:
        """Write changes of other fields than the text; the vector stays.

        Returns:
            The ids of the papers whose vector is not that of their present text; they are written as pending.
        """
        collection = self._collections.embedded()
        if collection is None or not papers:
            return set()
        old_ids = {p.row: record_id(p.old.paper_id, self._collections.quotas) for p in papers if p.old}
        pending_ids = self._collections.pending.existing(old_ids.values())
        records = {p.row: self._record(p) for p in papers if old_ids[p.row] not in pending_ids}
        collection.update_metadata({r.id: r.metadata for row, r in records.items() if r.id == old_ids[row]})
        self._move(collection, {old_ids[row]: r for row, r in records.items() if r.id != old_ids[row]})
        return self._put_pending([p for p in papers if old_ids[p.row] in pending_ids], embedded)

    def _move(self, collection: Collection, records: Mapping[str, Record]) -> None:
        """Write records, keyed by their old ids, with the vectors that are stored under these."""
        olds = collection.get(records, vectors=True)
        moved = []
        for old_id, record in records.items():
            if old_id in olds:
                old = olds[old_id]
                words = {SPARSE: old.metadata[SPARSE]} if SPARSE in old.metadata else {}
                moved.append(replace(record, vector=old.vector, metadata={**words, **record.metadata}))
        collection.put(moved)

    def _record(self, pending: PendingPaper, *, again: bool = False) -> Record:
        return record_from_paper(
            pending.paper,
            self._collections.quotas,
            terms=len(paper_stems(pending.paper)),
            again=again,
            provenance=pending.provenance,
        )

    def _count_terms(self, pending: PendingPaper) -> None:
        if pending.text_changed:
            self._count_changes.add(paper_stems(pending.paper))
            if pending.old is not None:
                self._count_changes.add(paper_stems(pending.old), sign=-1)
        for paper in pending.absorbed.values():
            self._count_changes.add(paper_stems(paper), sign=-1)

    def _delete(self, collection: Collection | None, paper_ids: Iterable[str]) -> None:
        if collection is not None:
            collection.delete(record_id(i, self._collections.quotas) for i in paper_ids)

    def _note_aliases(self, papers: Iterable[PendingPaper]) -> None:
        """Store the aliases that a paper's own record does not show, before the record and its provenance."""
        names: dict[str, str] = {}
        for pending in papers:
            paper = pending.paper
            recorded = {*identity.aliases(paper), f"id:{paper.paper_id}", f"arxiv:{paper.paper_id}"}
            names.update((name, paper.paper_id) for name in pending.names if name not in recorded)
        self._collections.note_aliases(names)


def remove_papers(collections: ServerCollections, paper_ids: Iterable[str]) -> None:
    """Delete papers by their present ids, with their notes and word counts."""
    ids = list(paper_ids)
    records = collections.records(record_id(i, collections.quotas) for i in ids)
    counts = CountChanges()
    for record in records.values():
        counts.add(paper_stems(paper_from_record(record)), sign=-1)
    for part in chunks(ids, collections.quotas.batch):
        notes = collections.notes.matching(where={"owner": {"$in": part}})
        collections.notes.delete([note.id for note in notes])
    collections.pending.delete(records)
    if embedded := collections.embedded():
        embedded.delete(records)
    collections.term_counts.write(counts)


# --- embedding ---


def pending_texts(collections: ServerCollections, shard: Shard | None) -> Iterator[str]:
    """Yield the texts that have no vector yet."""
    return (record.document for record in collections.pending.matching(where=_where(shard)))


def embed_pending(
    collections: ServerCollections,
    embedder: Embedder,
    *,
    batch: int,
    shard: Shard | None,
    progress: Progress | None,
) -> int:
    """Embed the texts that have no vector yet, ``batch`` at a time; return their number."""
    collection = _collection_for(collections, embedder)
    pending, where = collections.pending, _where(shard)
    added, total = 0, len(pending.ids(where=where))
    while records := list(pending.matching(where=where, limit=batch)):
        try:
            added += _embed(collections, collection, records, embedder)
        except NoVectorYetError:
            return max(0, total - len(pending.ids(where=where)))
        if progress:
            progress("embed", added, max(total, added))
    return added


def _collection_for(collections: ServerCollections, embedder: Embedder) -> Collection:
    active = collections.active_embedder()
    if active is None:
        collections.activate(embedder.embedder_id, embedder.dim)
    elif active != (embedder.embedder_id, embedder.dim):
        raise StoreError(
            f"vector index: it holds vectors of {visible(active[0])}, not of "
            f"{visible(embedder.embedder_id)}; run 'paperagent reindex'"
        )
    return collections.collection_of(embedder.embedder_id, embedder.dim, create=False)


def _embed(
    collections: ServerCollections, collection: Collection, records: Sequence[Record], embedder: Embedder
) -> int:
    """Embed pending records and move them. What is computed is kept, also after Ctrl-C."""
    embedded = list[Record]()
    hybrid = bool(collection.metadata.get("hybrid"))
    try:
        vectors = embedder.embed([record.document for record in records])
        for record, vector in zip(records, vectors, strict=False):
            checked = check_vector(vector, embedder.dim, f"paper {visible(record.id)}")
            embedded.append(_embedded_record(record, checked.tolist(), hybrid=hybrid))
        if len(embedded) != len(records):
            raise StoreError(
                f"embedder: {len(embedded)} vectors for {len(records)} texts; check the embedder"
            )
    finally:
        collection.put(embedded)
        # Delete only what is unchanged: another writer may have written a new text in the meantime.
        for part in chunks(embedded, collections.quotas.batch):
            checksums = [record.metadata["mark"] for record in part]
            collections.pending.delete((r.id for r in part), where={"mark": {"$in": checksums}})
    return len(embedded)


def finish_moves(collections: ServerCollections) -> None:
    """Delete pending records that were embedded already, which a kill between the two writes leaves behind.

    A pending record with another text or metadata than the embedded one is marked as a change of it.
    """
    collection = collections.embedded()
    if collection is None:
        return
    for part in chunks(collections.pending.ids(where={"again": False}), collections.quotas.batch):
        embedded = collection.get(part)
        pending = collections.pending.get(embedded)
        checksums = {i: record.metadata["mark"] for i, record in embedded.items()}
        moved = [i for i, record in pending.items() if record.metadata["mark"] == checksums[i]]
        collections.pending.delete(moved, where={"mark": {"$in": [checksums[i] for i in moved]}})
        collections.pending.update_metadata({i: {"again": True} for i in pending.keys() - set(moved)})


def replace_embedder(
    collections: ServerCollections, active: tuple[str, int], embedder: Embedder, progress: Progress | None
) -> None:
    """Embed all papers with another embedder, then search its vectors; can be repeated."""
    old = collections.collection_of(*active, create=False)
    new = collections.collection_of(embedder.embedder_id, embedder.dim, create=True)
    done, total = 0, old.count()
    batch = list[Record]()
    for record in old.matching():
        batch.append(record)
        if len(batch) == collections.quotas.batch:
            _embed_missing(new, batch, embedder)
            done, batch = done + len(batch), []
            if progress:
                progress("embed", done, total)
    _embed_missing(new, batch, embedder)
    collections.activate(embedder.embedder_id, embedder.dim)
    collections.clear_cache()
    old.drop()


def _embed_missing(new: Collection, records: Sequence[Record], embedder: Embedder) -> None:
    existing = new.get(r.id for r in records)
    missing = [r for r in records if r.id not in existing or existing[r.id].metadata != r.metadata]
    if not missing:
        return
    hybrid = bool(new.metadata.get("hybrid"))
    vectors = embedder.embed([r.document for r in missing])
    new.put([_embedded_record(r, v.tolist(), hybrid=hybrid) for r, v in zip(missing, vectors, strict=True)])


def _embedded_record(record: Record, vector: list[float], *, hybrid: bool) -> Record:
    """Return a paper's record with its vector, and with its words if the server can search by them."""
    metadata = {**record.metadata, "again": False}
    if hybrid:
        metadata[SPARSE] = sparse_vector(paper_stems(paper_from_record(record)))
    return replace(record, vector=vector, metadata=metadata)


def _where(shard: Shard | None) -> Where | None:
    if shard is None:
        return None
    first, end = shard.slots()
    return {"$and": [{"shard": {"$gte": first}}, {"shard": {"$lt": end}}]}
