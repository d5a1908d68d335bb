"""`doctor` for a library on a server: is every paper whole, reachable and counted."""

from __future__ import annotations

import random
from collections.abc import Callable

from paperagent.errors import StoreError, visible
from paperagent.library import rows
from paperagent.library.protocol import Check, Health
from paperagent.library.server.collection import Collection, Record, parts
from paperagent.library.server.embed import settle
from paperagent.library.server.paper_collections import Shelf
from paperagent.library.server.records import paper_of, whole
from paperagent.library.server.term_counts import Tally

REPAIR = "run 'paperagent doctor --repair'"
_SHOWN = 5
_ALL_AT_ONCE = 50_000
"""Papers of a server of one's own that one query is asked to reach; of more, and of Cloud, a sample is."""
_SAMPLE = 60
_NEAR = 10
_REPAIR_ROUNDS = 3


def examine(shelf: Shelf) -> Health:
    """Examine everything; a check that cannot be made has failed."""
    examinations: dict[str, Callable[[Shelf], Check]] = {
        "server": _server,
        "papers": _papers,
        "vector index": _vectors,
        "word counts": _counts,
    }
    checks = tuple(_attempt(name, check, shelf) for name, check in examinations.items())
    return Health(all(check.ok for check in checks), checks)


def _attempt(name: str, examination: Callable[[Shelf], Check], shelf: Shelf) -> Check:
    try:
        return examination(shelf)
    except StoreError as error:
        what, _, fix = str(error).rpartition("; ")
        return Check(name, False, what or str(error), fix)


def mend(found: Health, shelf: Shelf) -> None:
    """Repair what failed and can be: what is damaged in the server itself only a feed brings back."""
    failed = found.failed()
    held = shelf.held()
    if "vector index" in failed and held is not None:
        _reinsert_unreachable(held, shelf.quotas.batch)
    if failed & {"word counts", "papers"}:
        settle(shelf)
        recount(shelf)


def _reinsert_unreachable(collection: Collection, batch: int) -> None:
    """Write the records again that no search finds, until a search finds every one.

    Several writers at once can leave a node in Chroma's HNSW graph that no other node links to.
    A node that is inserted again can be left without a link too, so this takes up to `_REPAIR_ROUNDS` rounds.
    """
    for _ in range(_REPAIR_ROUNDS):
        unreachable = _unreachable(collection, sample=None)
        if not unreachable:
            return
        for ids in parts(unreachable, batch):
            records = list(collection.get(ids, vectors=True).values())
            collection.delete(record.id for record in records)
            collection.put(records)


def recount(shelf: Shelf) -> None:
    """Count the words of all papers anew, in one segment."""
    tally = Tally()
    for record in shelf.every():
        tally.add(rows.stems_of(paper_of(record)))
    shelf.counts.replace(tally)


def _server(shelf: Shelf) -> Check:
    version = str(shelf.connection.ask("GET", "/api/v2/version"))
    held = shelf.held()
    way = "vectors and words" if held and held.metadata.get("hybrid") else "vectors, rescored by words"
    where = shelf.connection.address.name
    return Check("server", True, f"{where} answers, version {visible(version, limit=20)}; searches by {way}")


def _papers(shelf: Shelf) -> Check:
    total, damaged = 0, list[str]()
    for record in shelf.every():
        total += 1
        if not whole(record):
            damaged.append(visible(record.id, limit=60))
    if damaged:
        some = ", ".join(damaged[:_SHOWN]) + (" …" if len(damaged) > _SHOWN else "")
        fix = "ingest their feeds again"
        return Check("papers", False, f"{len(damaged)} differ from their checksum: {some}", fix)
    return Check("papers", True, f"{total} fit their checksums")


def _vectors(shelf: Shelf) -> Check:
    held, waiting = shelf.held(), shelf.waiting.count()
    pending = f"{waiting} papers wait for their vector"
    if held is None:
        return Check("vector index", True, f"none yet; {pending}")
    count = held.count()
    whole = count <= _ALL_AT_ONCE and not shelf.connection.address.cloud
    lost = _unreachable(held, sample=None if whole else _SAMPLE)
    if lost:
        return Check("vector index", False, f"{len(lost)} of {count} papers are not found", REPAIR)
    reached = f"all {count} papers" if whole else f"each of {min(_SAMPLE, count)} papers taken by chance"
    return Check("vector index", True, f"{reached} reached; {pending}")


def _unreachable(held: Collection, *, sample: int | None) -> list[str]:
    """Return the ids that no search finds, of all or of a sample."""
    ids = held.ids()
    if sample is None and not held.connection.address.cloud:
        dim = int(held.metadata["dim"])
        return sorted(set(ids) - set(held.nearest_ids([dim**-0.5] * dim, len(ids)))) if ids else []
    chosen = ids if sample is None else random.Random(0).sample(ids, min(sample, len(ids)))  # noqa: S311 - no secret
    return [r.id for r in held.get(chosen, vectors=True).values() if not _finds_itself(held, r)]


def _finds_itself(held: Collection, record: Record) -> bool:
    import numpy as np

    return record.id in {near.id for near in held.nearest(np.array(record.vector, np.float32), _NEAR)}


def _counts(shelf: Shelf) -> Check:
    counted, terms = shelf.counts.totals()
    lengths = [int(record.metadata["terms"]) for record in shelf.every()]
    papers, held = len(lengths), sum(lengths)
    if (counted, terms) != (papers, held):
        there = f"of {counted} papers, {terms} terms; there are {papers}, {held}"
        return Check("word counts", False, there, REPAIR)
    if (told := shelf.count()) != papers:
        return Check(
            "word counts", False, f"{told} papers are told of {papers}: some wait, and are held", REPAIR
        )
    return Check("word counts", True, f"of {counted} papers")
