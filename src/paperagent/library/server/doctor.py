"""``paperagent doctor`` for a library on a server: is every paper intact, reachable and counted."""

from __future__ import annotations

import random
from collections.abc import Callable

from paperagent.errors import StoreError, visible
from paperagent.library.features import paper_stems
from paperagent.library.protocol import Check, Health
from paperagent.library.server.client import Collection, Record, chunks
from paperagent.library.server.ingest import finish_moves
from paperagent.library.server.papers import ServerCollections
from paperagent.library.server.records import is_intact, paper_from_record
from paperagent.library.server.term_counts import CountChanges

REPAIR = "run 'paperagent doctor --repair'"
_MAX_NAMES = 5
_MAX_RESULTS = 50_000
"""A single server is asked to reach this many papers in one query. Of more, and on Chroma Cloud, a sample is
checked."""
_SAMPLE = 60
_NEIGHBORS = 10
_REPAIR_ROUNDS = 3


def run_checks(collections: ServerCollections) -> Health:
    """Run all checks; one that raises `StoreError` has failed."""
    all_checks: dict[str, Callable[[ServerCollections], Check]] = {
        "server": _server,
        "papers": _papers,
        "vector index": _vectors,
        "word counts": _word_counts,
    }
    checks = tuple(_run(name, check, collections) for name, check in all_checks.items())
    return Health(all(check.ok for check in checks), checks)


def _run(name: str, check: Callable[[ServerCollections], Check], collections: ServerCollections) -> Check:
    try:
        return check(collections)
    except StoreError as error:
        return Check.failed(name, error)


def repair(health: Health, collections: ServerCollections) -> None:
    """Repair what failed, except damaged papers, which only their feeds can restore."""
    failed = health.failed()
    embedded = collections.embedded()
    if "vector index" in failed and embedded is not None:
        _reinsert_unreachable(embedded, collections.quotas.batch)
    if failed & {"word counts", "papers"}:
        finish_moves(collections)
        recount(collections)


def _reinsert_unreachable(collection: Collection, batch: int) -> None:
    """Write the records again that no search reaches, until a search reaches every one.

    Several writers at once can leave a node in Chroma's HNSW graph that no other node links to. A node that
    is inserted again can be left without a link too, so this takes up to `_REPAIR_ROUNDS` rounds.
    """
    for _ in range(_REPAIR_ROUNDS):
        unreachable = _unreachable(collection, sample=None)
        if not unreachable:
            return
        for ids in chunks(unreachable, batch):
            records = list(collection.get(ids, vectors=True).values())
            collection.delete(record.id for record in records)
            collection.put(records)


def recount(collections: ServerCollections) -> None:
    """Count the words of all papers again, in one segment."""
    changes = CountChanges()
    for record in collections.all_records():
        changes.add(paper_stems(paper_from_record(record)))
    collections.term_counts.replace(changes)


def _server(collections: ServerCollections) -> Check:
    version = str(collections.client.request("GET", "/api/v2/version"))
    embedded = collections.embedded()
    hybrid = embedded is not None and embedded.metadata.get("hybrid")
    method = "vectors and words" if hybrid else "vectors, rescored by words"
    name = collections.client.address.name
    return Check(
        "server", True, f"{name} answers, version {visible(version, limit=20)}; searches by {method}"
    )


def _papers(collections: ServerCollections) -> Check:
    total, damaged = 0, list[str]()
    for record in collections.all_records():
        total += 1
        if not is_intact(record):
            damaged.append(visible(record.id, limit=60))
    if damaged:
        names = ", ".join(damaged[:_MAX_NAMES]) + (" …" if len(damaged) > _MAX_NAMES else "")
        detail = f"{len(damaged)} differ from their checksum: {names}"
        return Check("papers", False, detail, "ingest their feeds again")
    return Check("papers", True, f"{total} match their checksums")


def _vectors(collections: ServerCollections) -> Check:
    embedded, waiting = collections.embedded(), collections.pending.count()
    pending = f"{waiting} papers have no vector yet"
    if embedded is None:
        return Check("vector index", True, f"none yet; {pending}")
    count = embedded.count()
    check_all = count <= _MAX_RESULTS and not collections.client.address.cloud
    unreachable = _unreachable(embedded, sample=None if check_all else _SAMPLE)
    if unreachable:
        return Check("vector index", False, f"{len(unreachable)} of {count} papers are not found", REPAIR)
    reached = f"all {count} papers" if check_all else f"a random sample of {min(_SAMPLE, count)} papers"
    return Check("vector index", True, f"{reached} reached; {pending}")


def _unreachable(collection: Collection, *, sample: int | None) -> list[str]:
    """Return the ids that no search finds, of all records or of a sample."""
    ids = collection.ids()
    if sample is None and not collection.client.address.cloud:
        dim = int(collection.metadata["dim"])
        return sorted(set(ids) - set(collection.nearest_ids([dim**-0.5] * dim, len(ids)))) if ids else []
    if sample is not None:
        ids = random.Random(0).sample(ids, min(sample, len(ids)))  # noqa: S311 - no secret
    return [r.id for r in collection.get(ids, vectors=True).values() if not _finds_itself(collection, r)]


def _finds_itself(collection: Collection, record: Record) -> bool:
    import numpy as np

    neighbors = collection.nearest(np.array(record.vector, np.float32), _NEIGHBORS)
    return record.id in {neighbor.id for neighbor in neighbors}


def _word_counts(collections: ServerCollections) -> Check:
    name = "word counts"
    counted, counted_terms = collections.term_counts.totals()
    lengths = [int(record.metadata["terms"]) for record in collections.all_records()]
    papers, terms = len(lengths), sum(lengths)
    if (counted, counted_terms) != (papers, terms):
        detail = f"of {counted} papers, {counted_terms} terms; the library has {papers}, {terms}"
        return Check(name, False, detail, REPAIR)
    if (total := collections.count()) != papers:
        detail = f"{total} records for {papers} papers: some were embedded and are still pending"
        return Check(name, False, detail, REPAIR)
    return Check(name, True, f"of {counted} papers")
