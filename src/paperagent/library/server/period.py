"""What a period brought, from a server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from paperagent.library import rows
from paperagent.library.identity import day_number
from paperagent.library.period import late_from
from paperagent.library.protocol import PaperWithFeatures
from paperagent.library.server.collection import Record
from paperagent.library.server.paper_collections import Shelf
from paperagent.library.server.records import paper_of, record_id
from paperagent.text.terms import term_ids


def within(shelf: Shelf, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
    """Return what came or was changed from ``since`` to ``until``, by id.

    What was first read in the period, up to ten days after its own day, came in it too.
    """
    first, last, early = (day_number(day) or 0 for day in (since, until, late_from(since)))

    def inside(record: Record, key: str, low: int = first, high: int = last) -> bool:
        return low <= int(record.metadata[key]) <= high

    def came(record: Record) -> bool:
        return inside(record, "came") or (inside(record, "seen") and inside(record, "came", early, first))

    days = [{"$gte": first}, {"$lte": last}]
    where = {"$or": [{"$and": [{key: day} for day in days]} for key in ("came", "seen", "updated")]}
    held = shelf.held()
    found = {r.id: r for r in held.matching(where=where)} if held else {}
    found.update(shelf.waiting.get(found))  # whose present days may be others
    found.update((r.id, r) for r in shelf.waiting.matching(where=where))
    fitting = [r for r in found.values() if came(r) or inside(r, "updated")]
    return _arrivals(shelf, fitting, new=came)


def by_id(shelf: Shelf, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
    """Return the papers found, under the ids that they were asked by."""
    present = {asked: paper.paper_id for asked, paper in shelf.get_many(paper_ids).items()}
    records = shelf.records(record_id(i, shelf.quotas) for i in present.values())
    found = {a.paper_id: a for a in _arrivals(shelf, records.values(), new=lambda _: False)}
    return {asked: found[paper_id] for asked, paper_id in present.items() if paper_id in found}


def _arrivals(
    shelf: Shelf, records: Iterable[Record], *, new: Callable[[Record], bool]
) -> list[PaperWithFeatures]:
    import numpy as np

    listed = list(records)
    held = shelf.held()
    vectors = held.get((r.id for r in listed), vectors=True) if held else {}
    former = shelf.former(paper_of(record).paper_id for record in listed)
    found = []
    for record in listed:
        paper, embedded = paper_of(record), vectors.get(record.id)
        same = embedded is not None and embedded.metadata.get("text") == record.metadata["text"]
        vector = np.array(embedded.vector, np.float32) if embedded and same else None
        # A DOI is a name too: what was sent under any name is not sent again.
        also = {*former.get(paper.paper_id, ()), *([f"doi:{paper.doi}"] if paper.doi else [])}
        terms = term_ids(rows.stems_of(paper))
        found.append(
            PaperWithFeatures(
                paper, terms, vector, tuple(dict.fromkeys([paper.paper_id, *sorted(also)])), new(record)
            )
        )
    return sorted(found, key=lambda arrival: arrival.paper_id)
