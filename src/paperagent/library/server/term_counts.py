"""Count how often each stem occurs in the library, which BM25 needs and a server does not provide.

The counts are stored in append-only segments, one per part of an ingest, so that concurrent writers do not
conflict. A reader adds up the segments of the letters that a question needs. If a writer is killed, its last
papers are not counted; this does not change a ranking, and `doctor` repairs it.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paperagent.library.server.client import Collection, Record
from paperagent.text.spelling import within_edit_distance

_MAX_DOCUMENT_BYTES = 12_000
_CACHE_SECONDS = 5.0
"""How long a reader assumes that no other process has added a segment."""
_OTHER = "other"


class CountChanges:
    """The changes of the counts by one ingest, until they are written."""

    def __init__(self) -> None:
        self._stems = Counter[str]()
        self._papers = self._terms = 0

    def add(self, stems: Sequence[str], *, sign: int = 1) -> None:
        """Count a paper's stems; with ``sign`` -1 subtract them."""
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
                buckets.setdefault(_bucket(stem), []).append(f"{stem} {count}")
        for name, lines in buckets.items():
            for number, part in enumerate(_documents(lines)):
                metadata = {"kind": "count", "segment": segment, "bucket": name}
                yield Record(f"count/{segment}/{name}/{number}", part, metadata)


def _bucket(stem: str) -> str:
    """Return the bucket of a stem: its first letter or digit."""
    first = stem[:1]
    return first if first.isascii() and first.isalnum() else _OTHER


def _documents(lines: Iterable[str]) -> Iterator[str]:
    document, size = list[str](), 0
    for line in lines:
        length = len(line.encode()) + 1
        if document and size + length > _MAX_DOCUMENT_BYTES:
            yield "\n".join(document)
            document, size = [], 0
        document.append(line)
        size += length
    if document:
        yield "\n".join(document)


@dataclass(frozen=True, slots=True)
class _CachedCounts:
    notes: int
    """Number of notes when they were read; another number means that the counts may be outdated."""
    papers: int
    terms: int
    buckets: dict[str, Mapping[str, int]]


class TermCounts:
    """Reads and writes the segments in the collection of notes."""

    def __init__(self, notes: Collection) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._cache: _CachedCounts | None = None
        self._checked_at = 0.0

    def write(self, changes: CountChanges) -> None:
        """Add a segment."""
        if changes:
            self._notes.put(list(changes.records(uuid.uuid4().hex)))
            self.clear_cache()

    def replace(self, changes: CountChanges) -> None:
        """Write one segment that replaces all others."""
        old = self._notes.ids(where={"kind": {"$in": ["count", "total"]}})
        self.write(changes)
        self._notes.delete(old)
        self.clear_cache()

    def clear_cache(self) -> None:
        """Read the segments again at the next call."""
        with self._lock:
            self._cache = None

    def totals(self) -> tuple[int, int]:
        """Return the number of papers that were counted and the number of their terms."""
        cached = self._current()
        return cached.papers, cached.terms

    def paper_counts(self, stems: Iterable[str]) -> dict[str, int]:
        """Return for each stem the number of papers that contain it."""
        stems = list(stems)
        buckets = self._buckets({_bucket(stem) for stem in stems})
        return {stem: max(0, buckets[_bucket(stem)].get(stem, 0)) for stem in stems}

    def similar_stems(self, stem: str, distance: int) -> list[str]:
        """Return the stems within an edit distance that start with the same letter, most frequent first."""
        if not stem:
            return []
        name = _bucket(stem)
        near = [
            (-count, term)
            for term, count in self._buckets({name})[name].items()
            if count > 0
            and term[0] == stem[0]
            and abs(len(term) - len(stem)) <= distance
            and within_edit_distance(stem, term, distance)
        ]
        return [term for _, term in sorted(near)]

    def _buckets(self, names: set[str]) -> dict[str, Mapping[str, int]]:
        cached = self._current()
        if missing := names - cached.buckets.keys():
            counters: dict[str, Counter[str]] = {name: Counter() for name in missing}
            where = {"$and": [{"kind": "count"}, {"bucket": {"$in": sorted(missing)}}]}
            for record in self._notes.matching(where=where):
                counter = counters[record.metadata["bucket"]]
                for line in record.document.splitlines():
                    stem, _, count = line.rpartition(" ")
                    counter[stem] += int(count)
            cached.buckets.update(counters)
        return cached.buckets

    def _current(self) -> _CachedCounts:
        with self._lock:
            now = time.monotonic()
            if self._cache is None or now - self._checked_at > _CACHE_SECONDS:
                size = self._notes.count()
                if self._cache is None or size != self._cache.notes:
                    totals = [r.metadata for r in self._notes.matching(where={"kind": "total"})]
                    papers, terms = (sum(int(t[key]) for t in totals) for key in ("papers", "terms"))
                    self._cache = _CachedCounts(size, papers, terms, {})
                self._checked_at = now
            return self._cache
