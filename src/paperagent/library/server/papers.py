"""The collections of one library on a server, and reading papers from them.

``…-waiting``   papers whose present text has no vector yet; they replace those in ``…-papers-N``
``…-papers-N``  papers with the vectors of one embedder; the note ``active`` names the one in use
``…-notes``     former ids, former texts, word counts, settings
"""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Sized
from dataclasses import replace
from typing import Any
from zlib import crc32

from paperagent.errors import NoLibraryError, visible
from paperagent.library import identity
from paperagent.library.features import HNSW_SETTINGS, earliest_late_day, paper_stems
from paperagent.library.identity import content_hash, day_number
from paperagent.library.protocol import PaperWithFeatures
from paperagent.library.server.client import (
    PLACEHOLDER_DIM,
    ChromaClient,
    Collection,
    Record,
    RequestRejectedError,
    chunks,
)
from paperagent.library.server.records import digest, paper_from_record, record_id
from paperagent.library.server.term_counts import TermCounts
from paperagent.text.terms import term_ids
from paperagent.types import Paper

SPARSE = "words"
"""The metadata key of the sparse vector, on servers that can search by it."""
AUTHOR_TAGS = "author_tags"
"""The metadata key that is set if the records' tags contain the words of authors' names."""
_ACTIVE = "active"
_CACHE_SECONDS = 10.0
"""How long a reader assumes that no other process has changed the embedder."""
_MAX_RENAMES = 4
"""Maximum number of id changes that are followed."""


class ServerCollections:
    """An open library on a server.

    Raises:
        StoreError: There is none (unless ``create``).
    """

    def __init__(self, client: ChromaClient, prefix: str, *, create: bool) -> None:
        self.client = client
        self.quotas = client.address.quotas
        self._prefix = prefix
        self._lock = threading.Lock()
        self._embedded: tuple[float, Collection] | None = None
        """When to read it again, and the collection with vectors."""
        self.pending = self._without_vectors("waiting", create=create)
        self.notes = self._without_vectors("notes", create=create)
        self.term_counts = TermCounts(self.notes)

    def _without_vectors(self, name: str, *, create: bool) -> Collection:
        full_name = f"{self._prefix}-{name}"
        collection = Collection.find(self.client, full_name)
        if collection is None and create:
            metadata = {"dim": PLACEHOLDER_DIM, AUTHOR_TAGS: True}
            settings = {"metadata": metadata, "configuration": {"hnsw": {"space": "cosine"}}}
            collection = Collection.get_or_create(self.client, full_name, **settings)
        if collection is None:
            raise NoLibraryError(self.client.address.name, f"it has no collection {full_name}")
        return collection

    @property
    def has_author_tags(self) -> bool:
        """Whether the tags contain the words of authors' names; those of earlier versions do not."""
        return bool(self.pending.metadata.get(AUTHOR_TAGS))

    # --- the collection with vectors ---

    def active_embedder(self) -> tuple[str, int] | None:
        """Return id and dimension of the embedder whose vectors are searched, or None."""
        note = self.notes.get([_ACTIVE]).get(_ACTIVE)
        return (note.document, int(note.metadata["dim"])) if note else None

    def activate(self, embedder_id: str, dim: int) -> None:
        """Search the vectors of this embedder from now on."""
        self.collection_of(embedder_id, dim, create=True)
        self.notes.put([Record(_ACTIVE, embedder_id, {"kind": "active", "dim": dim})])

    def embedded(self) -> Collection | None:
        """Return the collection with the active embedder's vectors, or None before anything was embedded."""
        now = time.monotonic()
        with self._lock:
            if self._embedded is not None and now < self._embedded[0]:
                return self._embedded[1]
        active = self.active_embedder()
        if active is None:
            return None
        collection = self.collection_of(*active, create=False)
        with self._lock:
            self._embedded = (now + _CACHE_SECONDS, collection)
        return collection

    def clear_cache(self) -> None:
        """Read the active embedder again at the next call."""
        with self._lock:
            self._embedded = None

    def collection_of(self, embedder_id: str, dim: int, *, create: bool) -> Collection:
        """Return the collection with an embedder's vectors.

        Raises:
            StoreError: It is missing (unless ``create``), or was made for another embedder.
        """
        name = f"{self._prefix}-papers-{crc32(embedder_id.encode()):08x}"
        collection = Collection.find(self.client, name)
        if collection is None and create:
            collection = self._create(name, {"embedder": embedder_id, "dim": dim})
        if collection is None:
            raise self.client.error(
                f"the vectors of {visible(embedder_id)} are missing", "run 'paperagent reindex'"
            )
        made_for = (collection.metadata.get("embedder"), collection.metadata.get("dim"))
        if made_for != (embedder_id, dim):
            raise self.client.error(
                f"{name} is made for {visible(str(made_for))}, not {visible(embedder_id)} with {dim} numbers",
                "delete that collection and run 'paperagent reindex'",
            )
        return collection

    def _create(self, name: str, metadata: dict[str, Any]) -> Collection:
        """Create a collection that can be searched by words too, if the server supports that."""
        index = {"sparse_vector": {"sparse_vector_index": {"enabled": True, "config": {}}}}
        vectors = {"float_list": {"vector_index": {"enabled": True, "config": {"space": "cosine"}}}}
        schema = {"defaults": {}, "keys": {SPARSE: index, "#embedding": vectors}}
        try:
            hybrid = {**metadata, "hybrid": True}
            return Collection.get_or_create(self.client, name, schema=schema, metadata=hybrid)
        except (
            RequestRejectedError
        ) as error:  # a single server: "Sparse vector indexing is not enabled in local"
            if "parse vector" not in error.server_message:
                raise
        hnsw = {"hnsw": HNSW_SETTINGS}
        return Collection.get_or_create(self.client, name, metadata=metadata, configuration=hnsw)

    # --- papers ---

    def records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Return the present records by id; a pending one replaces the one with a vector."""
        unique = list(dict.fromkeys(ids))
        embedded = self.embedded()
        records = embedded.get(unique) if embedded else {}
        records.update(self.pending.get(unique))
        return records

    def all_records(self) -> Iterator[Record]:
        """Yield the present record of every paper, pending ones first."""
        pending = set[str]()
        for record in self.pending.matching():
            pending.add(record.id)
            yield record
        if embedded := self.embedded():
            yield from (record for record in embedded.matching() if record.id not in pending)

    def matching_records(self, where: Mapping[str, Any] | None) -> Iterator[Record]:
        """Yield the present records that match a filter on the metadata, pending ones first."""
        if where is None:
            yield from self.all_records()
            return
        yield from self.pending.matching(where=dict(where))
        if embedded := self.embedded():
            others = list(embedded.matching(where=dict(where)))
            pending = self.pending.existing(record.id for record in others)
            yield from (record for record in others if record.id not in pending)

    def count(self) -> int:
        """Return the number of papers."""
        embedded, pending = self.embedded(), self.pending.count()
        counted_twice = len(self.pending.ids(where={"again": True})) if pending and embedded else 0
        return pending + (embedded.count() if embedded else 0) - counted_twice

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers that exist, keyed by the ids that were given, which may be former ones."""
        ids = list(dict.fromkeys(paper_ids))
        papers = self._by_present_id(ids)
        names = {requested: requested for requested in ids if requested not in papers}
        for _ in range(_MAX_RENAMES):
            names = self._renamed(names)
            if not names:
                break
            renamed = self._by_present_id(set(names.values()))
            papers.update({requested: renamed[now] for requested, now in names.items() if now in renamed})
            names = {requested: now for requested, now in names.items() if now not in renamed}
        return papers

    def starting_with(self, prefixes: Sequence[str], *, limit: int) -> list[Paper]:
        """Return at most ``limit`` papers with a present or former id that begins with a prefix."""
        beginnings = tuple(prefixes)
        present = [*self.pending.ids(), *(embedded.ids() if (embedded := self.embedded()) else ())]
        names = [i for i in dict.fromkeys(present) if i.startswith(beginnings)]
        pattern = "|".join(re.escape(prefix) for prefix in beginnings)
        former = self.notes.matching(where={"kind": "was"}, text={"$regex": f"^(id:|arxiv:|)({pattern})"})
        names += [owner for note in former for owner in note.metadata["owners"]]
        papers = {paper.paper_id: paper for paper in self.get_many(sorted(set(names))).values()}
        return list(papers.values())[:limit]

    def _by_present_id(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        records = self.records([record_id(paper_id, self.quotas) for paper_id in paper_ids])
        return {paper.paper_id: paper for paper in map(paper_from_record, records.values())}

    def _renamed(self, names: Mapping[str, str]) -> dict[str, str]:
        """Return the new ids of papers whose ids were changed, keyed like ``names``."""
        keys = {
            _alias_note(alias): requested
            for requested, name in names.items()
            for alias in identity.lookup_names(name)
        }
        return {keys[key]: note.metadata["owners"][0] for key, note in self.notes.get(keys).items()}

    # --- papers by alias, for merging ---

    def records_by_alias(self, aliases: Sized[str]) -> dict[str, list[Record]]:
        """Return the records of the papers that have each alias."""
        records: dict[str, list[Record]] = {}

        def add(alias: str, record: Record) -> None:
            others = records.setdefault(alias, [])
            if all(record.id != other.id for other in others):
                others.append(record)

        ids = _paper_ids(aliases)
        for record in self.records(record_id(i, self.quotas) for i in ids.values()).values():
            paper_id = paper_from_record(record).paper_id
            for alias in (alias for alias, i in ids.items() if i == paper_id):
                add(alias, record)
        for key, values in _metadata_values(aliases).items():
            for record in self._with_metadata(key, values):
                add(values[record.metadata[key]], record)
        for alias, record in self._from_notes(aliases):
            add(alias, record)
        return records

    def _with_metadata(self, key: str, values: Mapping[str, str]) -> Iterator[Record]:
        embedded, ordered = self.embedded(), sorted(values)
        for part in chunks(ordered, self.quotas.batch):
            where = {key: {"$in": part}}
            pending = {r.id: r for r in self.pending.matching(where=where)}
            others = {r.id: r for r in embedded.matching(where=where)} if embedded else {}
            yield from pending.values()
            # The title of a pending text may differ from that of the former text.
            changed = self.pending.existing(others.keys() - pending.keys()) if others else set()
            yield from (r for i, r in others.items() if i not in pending and i not in changed)

    def _from_notes(self, aliases: Iterable[str]) -> Iterator[tuple[str, Record]]:
        keys = {_alias_note(alias): alias for alias in aliases}
        notes = self.notes.get(keys)
        if not notes:
            return
        ids = {i: record_id(i, self.quotas) for note in notes.values() for i in note.metadata["owners"]}
        records = self.records(ids.values())
        for key, note in notes.items():
            for owner in note.metadata["owners"]:
                if ids[owner] in records:
                    yield keys[key], records[ids[owner]]

    # --- papers with features ---

    def papers_between(self, since: dt.date, until: dt.date) -> list[PaperWithFeatures]:
        """Return the papers that appeared or were changed in a period, by id; see `Store.papers_between`."""
        first, last, early = (day_number(day) or 0 for day in (since, until, earliest_late_day(since)))

        def between(record: Record, key: str, low: int = first, high: int = last) -> bool:
            return low <= int(record.metadata[key]) <= high

        def is_new(record: Record) -> bool:
            late = between(record, "seen") and between(record, "came", early, first)
            return between(record, "came") or late

        days = [{"$gte": first}, {"$lte": last}]
        where = {"$or": [{"$and": [{key: day} for day in days]} for key in ("came", "seen", "updated")]}
        embedded = self.embedded()
        records = {r.id: r for r in embedded.matching(where=where)} if embedded else {}
        records.update(self.pending.get(records))  # their dates may have changed
        records.update((r.id, r) for r in self.pending.matching(where=where))
        inside = [r for r in records.values() if is_new(r) or between(r, "updated")]
        return self._with_features(inside, is_new=is_new)

    def get_with_features(self, paper_ids: Iterable[str]) -> dict[str, PaperWithFeatures]:
        """Return the papers that exist with terms and vectors, keyed by the ids that were given."""
        present = {requested: paper.paper_id for requested, paper in self.get_many(paper_ids).items()}
        records = self.records(record_id(i, self.quotas) for i in present.values())
        papers = self._with_features(records.values(), is_new=lambda _: False)
        by_id = {paper.paper_id: paper for paper in papers}
        return {requested: by_id[paper_id] for requested, paper_id in present.items() if paper_id in by_id}

    def _with_features(
        self, records: Iterable[Record], *, is_new: Callable[[Record], bool]
    ) -> list[PaperWithFeatures]:
        import numpy as np

        records = list(records)
        embedded = self.embedded()
        with_vectors = embedded.get((r.id for r in records), vectors=True) if embedded else {}
        former = self.former_ids(paper_from_record(record).paper_id for record in records)
        papers = []
        for record in records:
            paper, other = paper_from_record(record), with_vectors.get(record.id)
            same_text = other is not None and other.metadata.get("text") == record.metadata["text"]
            vector = np.array(other.vector, np.float32) if other and same_text else None
            # A DOI is a name too, so that a paper is not sent again under another name.
            further = {*former.get(paper.paper_id, ()), *([f"doi:{paper.doi}"] if paper.doi else [])}
            names = tuple(dict.fromkeys([paper.paper_id, *sorted(further)]))
            terms = term_ids(paper_stems(paper))
            papers.append(PaperWithFeatures(paper, terms, vector, names, is_new(record)))
        return sorted(papers, key=lambda paper: paper.paper_id)

    # --- notes ---

    def note_aliases(self, names: Mapping[str, str]) -> None:
        """Store aliases (alias → present id) that the papers' own records do not contain."""
        existing = self.notes.get(_alias_note(name) for name in names)
        records = []
        for name, owner in names.items():
            note = existing.get(_alias_note(name))
            others = note.metadata["owners"] if note and name.startswith("title:") else []
            metadata: dict[str, Any] = {"kind": "was", "owners": list(dict.fromkeys([owner, *others]))}
            if not name.startswith("title:"):
                metadata["owner"] = owner  # by which `former_ids` finds the note
            records.append(Record(_alias_note(name), name, metadata))
        self.notes.put(records)

    def former_ids(self, paper_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return the other ids that papers had, by present id."""
        former: dict[str, list[str]] = {}
        present = {paper_id: paper_id for paper_id in paper_ids}
        for _ in range(_MAX_RENAMES):
            earlier: dict[str, str] = {}
            for part in chunks(present, self.quotas.batch):
                for note in self.notes.matching(where={"owner": {"$in": part}}):
                    now = present[note.metadata["owner"]]
                    name = identity.plain_name(note.document)
                    if name != now and name not in former.setdefault(now, []):
                        former[now].append(name)
                        earlier[name] = now
            if not earlier:
                break
            present = earlier
        return former

    def keep_versions(self, papers: Iterable[Paper]) -> None:
        """Store texts that are replaced, so that citations of them can still be checked."""
        records = []
        for paper in papers:
            metadata: dict[str, Any] = {"kind": "past", "size": len(paper.title), "owner": paper.paper_id}
            if paper.version is not None:
                metadata["version"] = paper.version
            document = f"{paper.title}\n{paper.abstract}"
            records.append(Record(f"past/{content_hash(paper)}", document, metadata))
        self.notes.put(records)

    def version(self, paper: Paper, text_hash: str) -> Paper | None:
        """Return ``paper`` with a former text, or None if it never had it."""
        name = f"past/{text_hash}"
        note = self.notes.get([name]).get(name)
        if note is None or paper not in self.get_many([note.metadata["owner"]]).values():
            return None
        size, version = note.metadata["size"], note.metadata.get("version")
        title, abstract = note.document[:size], note.document[size + 1 :]
        return replace(paper, title=title, abstract=abstract, version=version)

    def get_setting(self, key: str, default: Any) -> Any:
        """Return a JSON value stored with the library."""
        name = f"setting/{digest(key)}"
        note = self.notes.get([name]).get(name)
        return json.loads(note.document) if note else default

    def set_setting(self, key: str, value: Any) -> None:
        """Store a JSON value with the library."""
        self.notes.put([Record(f"setting/{digest(key)}", json.dumps(value), {"kind": "setting"})])


def _alias_note(alias: str) -> str:
    """Return the id of the note that names the papers with an alias."""
    return f"was/{digest(alias)}"


def _paper_ids(aliases: Iterable[str]) -> dict[str, str]:
    """Return the paper id of each alias that is one."""
    ids = {}
    for alias in aliases:
        kind, _, name = alias.partition(":")
        if kind != "title":
            ids[alias] = alias if kind == "doi" else name
    return ids


def _metadata_values(aliases: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return, for each metadata key, the alias of each value."""
    values: dict[str, dict[str, str]] = {"doi": {}, "title_mark": {}}
    for alias in aliases:
        kind, _, name = alias.partition(":")
        if kind == "doi":
            values["doi"][name] = alias
        elif kind == "title":
            values["title_mark"][digest(name)] = alias
    return values
