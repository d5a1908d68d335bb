"""How often the library's stems occur: what BM25 needs, on a server that counts no words.

Kept as segments that are only ever added, one set for each part of an ingest, so that writers
do not disturb each other; a reader adds up those of the letters that a question needs.
A killed writer leaves its last papers uncounted, which moves no ranking and `doctor` repairs.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paperagent.library.local.bm25_index import within
from paperagent.library.server.collection import Collection, Record

_PART_BYTES = 12_000
_FRESH_SECONDS = 5.0
"""For so long a reader trusts that no other process has added a segment."""
_OTHER = "other"


class Tally:
    """Counts what one ingest adds and takes away, until it is written."""

    def __init__(self) -> None:
        self._stems = Counter[str]()
        self._papers = self._terms = 0

    def add(self, stems: Sequence[str], *, sign: int = 1) -> None:
        """Count a paper's stems; with ``sign`` -1 take them back."""
        self._papers += sign
        self._terms += sign * len(stems)
        for stem in set(stems):
            self._stems[stem] += sign

    def __bool__(self) -> bool:
        return bool(self._papers or self._terms or any(self._stems.values()))

    def records(self, segment: str) -> Iterator[Record]:
        """Yield the records of one segment."""
        totals = {"kind": "total", "segment": segment, "papers": self._papers, "terms": self._terms}
        yield Record(f"total/{segment}", "", totals)
        buckets: dict[str, list[str]] = {}
        for stem, count in sorted(self._stems.items()):
            if count:
                buckets.setdefault(bucket(stem), []).append(f"{stem} {count}")
        for name, lines in buckets.items():
            for number, part in enumerate(_parts(lines)):
                metadata = {"kind": "count", "segment": segment, "bucket": name}
                yield Record(f"count/{segment}/{name}/{number}", part, metadata)


def bucket(stem: str) -> str:
    """Return the bucket of a stem: its first letter or digit."""
    first = stem[:1]
    return first if first.isascii() and first.isalnum() else _OTHER


def _parts(lines: Iterable[str]) -> Iterator[str]:
    held, size = list[str](), 0
    for line in lines:
        length = len(line.encode()) + 1
        if held and size + length > _PART_BYTES:
            yield "\n".join(held)
            held, size = [], 0
        held.append(line)
        size += length
    if held:
        yield "\n".join(held)


@dataclass(frozen=True, slots=True)
class _Known:
    segments: int
    """Records of all kinds when it was read: another number means that it may be old."""
    papers: int
    terms: int
    buckets: dict[str, Mapping[str, int]]


class Counts:
    """Reads and writes the segments in the collection of notes."""

    def __init__(self, notes: Collection) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._checked = 0.0

    def write(self, tally: Tally) -> None:
        """Add a segment."""
        if tally:
            self._notes.put(list(tally.records(uuid.uuid4().hex)))
            self.forget()

    def replace(self, tally: Tally) -> None:
        """Write one segment in place of those that are there now."""
        old = self._notes.ids(where={"kind": {"$in": ["count", "total"]}})
        self.write(tally)
        self._notes.delete(old)
        self.forget()

    def forget(self) -> None:
        """Read again at the next question."""
        with self._lock:
            self._known = None

    def totals(self) -> tuple[int, int]:
        """Return how many papers were counted, and their terms."""
        known = self._fresh()
        return known.papers, known.terms

    def of(self, stems: Iterable[str]) -> dict[str, int]:
        """Return how many papers hold each stem."""
        wanted = list(stems)
        buckets = self._buckets({bucket(stem) for stem in wanted})
        return {stem: max(0, buckets[bucket(stem)].get(stem, 0)) for stem in wanted}

    def similar(self, stem: str, distance: int) -> list[str]:
        """Return the stems within an edit distance that begin alike, most frequent first."""
        if not stem:
            return []
        name = bucket(stem)
        known = self._buckets({name})[name]
        near = [
            (-count, term)
            for term, count in known.items()
            if count > 0
            and term[0] == stem[0]
            and abs(len(term) - len(stem)) <= distance
            and within(stem, term, distance)
        ]
        return [term for _, term in sorted(near)]

    def _buckets(self, names: set[str]) -> dict[str, Mapping[str, int]]:
        known = self._fresh()
        if missing := names - known.buckets.keys():
            found: dict[str, Counter[str]] = {name: Counter() for name in missing}
            where = {"$and": [{"kind": "count"}, {"bucket": {"$in": sorted(missing)}}]}
            for record in self._notes.matching(where=where):
                counter = found[record.metadata["bucket"]]
                for line in record.document.splitlines():
                    stem, _, count = line.rpartition(" ")
                    counter[stem] += int(count)
            known.buckets.update(found)
        return known.buckets

    def _fresh(self) -> _Known:
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._checked > _FRESH_SECONDS:
                size = self._notes.count()
                if self._known is None or size != self._known.segments:
                    totals = [r.metadata for r in self._notes.matching(where={"kind": "total"})]
                    papers, terms = (sum(int(t[key]) for t in totals) for key in ("papers", "terms"))
                    self._known = _Known(size, papers, terms, {})
                self._checked = now
            return self._known
