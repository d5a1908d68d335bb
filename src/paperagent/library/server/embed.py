"""Giving papers on a server their vectors: those that wait, or all of them anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from paperagent.errors import StoreError, visible
from paperagent.library import rows
from paperagent.library.protocol import NoVectorYetError, Shard
from paperagent.library.server.collection import Collection, Record, parts
from paperagent.library.server.paper_collections import SPARSE, Shelf
from paperagent.library.server.records import paper_of
from paperagent.library.server.search import Where, sparse_of
from paperagent.library.stored_vectors import sound
from paperagent.types import Embedder, Progress


def texts(shelf: Shelf, shard: Shard | None) -> Iterator[str]:
    """Yield the texts that wait for a vector."""
    return (record.document for record in shelf.waiting.matching(where=_where(shard)))


def catch_up(
    shelf: Shelf, embedder: Embedder, *, size: int, shard: Shard | None, progress: Progress | None
) -> int:
    """Embed what waits, ``size`` at a time; return how many."""
    held = _collection_for(shelf, embedder)
    added, total = 0, len(shelf.waiting.ids(where=_where(shard)))
    while records := list(shelf.waiting.matching(where=_where(shard), limit=size)):
        try:
            added += _embed(shelf, held, records, embedder)
        except NoVectorYetError:
            return max(0, total - len(shelf.waiting.ids(where=_where(shard))))
        if progress:
            progress("embed", added, max(total, added))
    return added


def _collection_for(shelf: Shelf, embedder: Embedder) -> Collection:
    active = shelf.active()
    if active is None:
        shelf.activate(embedder.embedder_id, embedder.dim)
    elif active != (embedder.embedder_id, embedder.dim):
        raise StoreError(
            f"vector index: it holds vectors of {visible(active[0])}, not of "
            f"{visible(embedder.embedder_id)}; run 'paperagent reindex'"
        )
    return shelf.collection_of(embedder.embedder_id, embedder.dim, create=False)


def _embed(shelf: Shelf, held: Collection, records: Sequence[Record], embedder: Embedder) -> int:
    """Give ``records`` their vectors and move them; what is computed is kept, also at Ctrl-C."""
    done = list[Record]()
    try:
        vectors = embedder.embed([record.document for record in records])
        for record, vector in zip(records, vectors, strict=False):
            checked = sound(vector, embedder.dim, f"paper {visible(record.id)}")
            done.append(_held(record, checked.tolist(), hybrid=bool(held.metadata.get("hybrid"))))
        if len(done) != len(records):
            raise StoreError(f"embedder: {len(done)} vectors for {len(records)} texts; check the embedder")
    finally:
        held.put(done)
        # Only what still says the same: another writer may have changed it in the meantime.
        for part in parts(done, shelf.quotas.batch):
            marks = [record.metadata["mark"] for record in part]
            shelf.waiting.delete((r.id for r in part), where={"mark": {"$in": marks}})
    return len(done)


def settle(shelf: Shelf) -> None:
    """Drop what waits although it was moved, as a kill between the two writes leaves it.

    What waits with another text or metadata than the held record's is marked as a change of that.
    """
    held = shelf.held()
    if held is None:
        return
    for part in parts(shelf.waiting.ids(where={"again": False}), shelf.quotas.batch):
        there = held.get(part)
        waiting = shelf.waiting.get(there)
        marks = {i: record.metadata["mark"] for i, record in there.items()}
        moved = [i for i, record in waiting.items() if record.metadata["mark"] == marks[i]]
        shelf.waiting.delete(moved, where={"mark": {"$in": [marks[i] for i in moved]}})
        shelf.waiting.describe({i: {"again": True} for i in waiting.keys() - set(moved)})


def re_embed(shelf: Shelf, active: tuple[str, int], embedder: Embedder, progress: Progress | None) -> None:
    """Fill another embedder's collection, then search that one; begun again it goes on where it was."""
    old = shelf.collection_of(*active, create=False)
    new = shelf.collection_of(embedder.embedder_id, embedder.dim, create=True)
    done, total = 0, old.count()
    waiting = list[Record]()
    for record in old.matching():
        waiting.append(record)
        if len(waiting) == shelf.quotas.batch:
            _embed_missing(new, waiting, embedder)
            done, waiting = done + len(waiting), []
            if progress:
                progress("embed", done, total)
    _embed_missing(new, waiting, embedder)
    shelf.activate(embedder.embedder_id, embedder.dim)
    shelf.forget()
    old.drop()


def _embed_missing(new: Collection, records: Sequence[Record], embedder: Embedder) -> None:
    there = new.get(r.id for r in records)
    missing = [r for r in records if r.id not in there or there[r.id].metadata != r.metadata]
    if not missing:
        return
    hybrid = bool(new.metadata.get("hybrid"))
    vectors = embedder.embed([r.document for r in missing])
    new.put([_held(r, v.tolist(), hybrid=hybrid) for r, v in zip(missing, vectors, strict=True)])


def _held(record: Record, vector: list[float], *, hybrid: bool) -> Record:
    """Return a paper's record as it is kept with its vector."""
    metadata = {**record.metadata, "again": False}
    if hybrid:
        metadata[SPARSE] = sparse_of(rows.stems_of(paper_of(record)))
    return replace(record, vector=vector, metadata=metadata)


def _where(shard: Shard | None) -> Where | None:
    if shard is None:
        return None
    first, end = shard.slots()
    return {"$and": [{"shard": {"$gte": first}}, {"shard": {"$lt": end}}]}
