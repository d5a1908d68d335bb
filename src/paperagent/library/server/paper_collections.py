"""The collections of one library on a server, and reading papers from them.

``…-waiting``  papers whose present text has no vector yet; they win over what is held
``…-papers-N`` papers with the vectors of one embedder, the one that the note ``active`` names
``…-notes``    former ids, former texts, word counts, settings
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection as Sized
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from paperagent.errors import NoLibraryError, visible
from paperagent.library import identity
from paperagent.library.identity import content_hash
from paperagent.library.local.vector_index import GRAPH
from paperagent.library.server.collection import FLAT, Collection, Record, parts
from paperagent.library.server.connection import Connection, RefusedError
from paperagent.library.server.records import digest, paper_of, record_id
from paperagent.library.server.term_counts import Counts
from paperagent.types import Paper

SPARSE = "words"
"""The metadata key of the sparse vector, on servers that search by it."""
_ACTIVE = "active"
_FRESH_SECONDS = 10.0
"""For so long a reader trusts that no other process has changed the embedder."""
_HOPS = 4
"""Times that a paper may have changed its id."""


class Shelf:
    """An open library of a server.

    Raises `StoreError` where there is none (unless ``create``).
    """

    def __init__(self, connection: Connection, prefix: str, *, create: bool) -> None:
        self.connection = connection
        self.quotas = connection.address.quotas
        self._prefix = prefix
        self._lock = threading.Lock()
        self._held: tuple[float, Collection] | None = None
        self.waiting = self._flat("waiting", create=create)
        self.notes = self._flat("notes", create=create)
        self.counts = Counts(self.notes)

    def _flat(self, name: str, *, create: bool) -> Collection:
        full = f"{self._prefix}-{name}"
        found = Collection.find(self.connection, full)
        if found is None and create:
            settings = {"metadata": {"dim": FLAT}, "configuration": {"hnsw": {"space": "cosine"}}}
            found = Collection.make(self.connection, full, **settings)
        if found is None:
            raise NoLibraryError(self.connection.address.name, f"it holds no {full}")
        return found

    # --- the collection with vectors ---

    def active(self) -> tuple[str, int] | None:
        """Return id and dimension of the embedder whose vectors are searched, or None."""
        note = self.notes.get([_ACTIVE]).get(_ACTIVE)
        return (note.document, int(note.metadata["dim"])) if note else None

    def activate(self, embedder_id: str, dim: int) -> None:
        """Make an embedder's vectors the searched ones."""
        self.collection_of(embedder_id, dim, create=True)
        self.notes.put([Record(_ACTIVE, embedder_id, {"kind": "active", "dim": dim})])

    def held(self) -> Collection | None:
        """Return the collection of the active embedder, or None before the first."""
        now = time.monotonic()
        with self._lock:
            if self._held is not None and now < self._held[0]:
                return self._held[1]
        active = self.active()
        if active is None:
            return None
        found = self.collection_of(*active, create=False)
        with self._lock:
            self._held = (now + _FRESH_SECONDS, found)
        return found

    def forget(self) -> None:
        """Look up the active embedder anew at the next question."""
        with self._lock:
            self._held = None

    def collection_of(self, embedder_id: str, dim: int, *, create: bool) -> Collection:
        """Return the collection with an embedder's vectors. Raises `StoreError` where it does not fit."""
        name = f"{self._prefix}-papers-{crc32(embedder_id.encode()):08x}"
        found = Collection.find(self.connection, name)
        if found is None and create:
            found = self._make(name, {"embedder": embedder_id, "dim": dim})
        if found is None:
            raise self.connection.error(
                f"the vectors of {visible(embedder_id)} are missing", "run 'paperagent reindex'"
            )
        made = (found.metadata.get("embedder"), found.metadata.get("dim"))
        if made != (embedder_id, dim):
            raise self.connection.error(
                f"{name} is made for {visible(str(made))}, not {visible(embedder_id)} with {dim} numbers",
                "delete that collection and run 'paperagent reindex'",
            )
        return found

    def _make(self, name: str, metadata: dict[str, Any]) -> Collection:
        """Make a collection that also searches by words, where the server can, else a plain one."""
        index = {"sparse_vector": {"sparse_vector_index": {"enabled": True, "config": {}}}}
        vectors = {"float_list": {"vector_index": {"enabled": True, "config": {"space": "cosine"}}}}
        schema = {"defaults": {}, "keys": {SPARSE: index, "#embedding": vectors}}
        try:
            hybrid = {**metadata, "hybrid": True}
            return Collection.make(self.connection, name, schema=schema, metadata=hybrid)
        except RefusedError as refusal:  # a single server: "Sparse vector indexing is not enabled in local"
            if "parse vector" not in refusal.said:
                raise
        graph = {"hnsw": GRAPH}
        return Collection.make(self.connection, name, metadata=metadata, configuration=graph)

    # --- papers ---

    def papers_of(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers found under their present ids."""
        ids = [record_id(paper_id, self.quotas) for paper_id in paper_ids]
        records = self.records(ids)
        return {paper.paper_id: paper for paper in map(paper_of, records.values())}

    def records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Return the present records of ids: what waits wins over what is held."""
        wanted = list(dict.fromkeys(ids))
        held = self.held()
        found = held.get(wanted) if held else {}
        found.update(self.waiting.get(wanted))
        return found

    def get_many(self, paper_ids: Iterable[str]) -> dict[str, Paper]:
        """Return the papers found, under the ids they were asked by, former ones included."""
        wanted = list(dict.fromkeys(paper_ids))
        found = self.papers_of(wanted)
        present = {name: name for name in wanted if name not in found}
        for _ in range(_HOPS):
            present = self._renamed(present)
            if not present:
                break
            papers = self.papers_of(set(present.values()))
            found.update({asked: papers[now] for asked, now in present.items() if now in papers})
            present = {asked: now for asked, now in present.items() if now not in papers}
        return found

    def _renamed(self, names: Mapping[str, str]) -> dict[str, str]:
        """Return what each name was changed to, for those that were."""
        keys = {was(alias): asked for asked, name in names.items() for alias in identity.lookup_names(name)}
        notes = self.notes.get(keys)
        return {keys[key]: note.metadata["owners"][0] for key, note in notes.items()}

    def owners(self, aliases: Sized[str]) -> dict[str, list[Record]]:
        """Return the records that go by each alias."""
        ids, found = _direct_ids(aliases), dict[str, list[Record]]()
        for record in self.records(record_id(i, self.quotas) for i in ids.values()).values():
            paper_id = paper_of(record).paper_id
            for alias in (alias for alias, i in ids.items() if i == paper_id):
                _add(found, alias, record)
        for key, values in _by_metadata(aliases).items():
            for record in self._where(key, values):
                _add(found, values[record.metadata[key]], record)
        for alias, record in self._noted(aliases):
            _add(found, alias, record)
        return found

    def _where(self, key: str, values: Mapping[str, str]) -> Iterator[Record]:
        held, wanted = self.held(), sorted(values)
        size = self.quotas.batch
        for start in range(0, len(wanted), size):
            where = {key: {"$in": wanted[start : start + size]}}
            waiting = {r.id: r for r in self.waiting.matching(where=where)}
            old = {r.id: r for r in held.matching(where=where)} if held else {}
            yield from waiting.values()
            # A text that changed may have changed its title too.
            changed = self.waiting.held(old.keys() - waiting.keys()) if old else set()
            yield from (r for i, r in old.items() if i not in waiting and i not in changed)

    def _noted(self, aliases: Iterable[str]) -> Iterator[tuple[str, Record]]:
        keys = {was(alias): alias for alias in aliases}
        notes = self.notes.get(keys)
        if not notes:
            return
        ids = {i: record_id(i, self.quotas) for note in notes.values() for i in note.metadata["owners"]}
        records = self.records(ids.values())
        for key, note in notes.items():
            for owner in note.metadata["owners"]:
                if ids[owner] in records:
                    yield keys[key], records[ids[owner]]

    def every(self) -> Iterator[Record]:
        """Yield the present record of every paper."""
        waiting = set[str]()
        for record in self.waiting.matching():
            waiting.add(record.id)
            yield record
        if held := self.held():
            yield from (record for record in held.matching() if record.id not in waiting)

    def count(self) -> int:
        """Return the number of papers."""
        held, waiting = self.held(), self.waiting.count()
        again = len(self.waiting.ids(where={"again": True})) if waiting and held else 0
        return waiting + (held.count() if held else 0) - again

    # --- notes ---

    def note_owner(self, names: Mapping[str, str]) -> None:
        """Remember aliases (name → present id) that the papers' records do not show."""
        held = self.notes.get(was(name) for name in names)
        records = []
        for name, owner in names.items():
            note = held.get(was(name))
            others = note.metadata["owners"] if note and name.startswith("title:") else []
            owners = list(dict.fromkeys([owner, *others]))
            metadata: dict[str, Any] = {"kind": "was", "owners": owners}
            if not name.startswith("title:"):
                metadata["owner"] = owner  # by which `former` finds the note
            records.append(Record(was(name), name, metadata))
        self.notes.put(records)

    def former(self, paper_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return the other ids that papers had, by present id."""
        found: dict[str, list[str]] = {}
        present = {paper_id: paper_id for paper_id in paper_ids}
        for _ in range(_HOPS):
            earlier: dict[str, str] = {}
            for part in parts(present, self.quotas.batch):
                for note in self.notes.matching(where={"owner": {"$in": part}}):
                    now = present[note.metadata["owner"]]
                    name = identity.plain_name(note.document)
                    if name != now and name not in found.setdefault(now, []):
                        found[now].append(name)
                        earlier[name] = now
            if not earlier:
                break
            present = earlier
        return found

    def keep_versions(self, papers: Iterable[Paper]) -> None:
        """Keep texts that are replaced: citations of them stay checkable."""
        records = []
        for paper in papers:
            metadata: dict[str, Any] = {"kind": "past", "size": len(paper.title), "owner": paper.paper_id}
            if paper.version is not None:
                metadata["version"] = paper.version
            document = f"{paper.title}\n{paper.abstract}"
            records.append(Record(f"past/{content_hash(paper)}", document, metadata))
        self.notes.put(records)

    def version(self, paper: Paper, text_hash: str) -> Paper | None:
        """Return ``paper`` with a former text of it, or None."""
        name = f"past/{text_hash}"
        note = self.notes.get([name]).get(name)
        if note is None or paper not in self.get_many([note.metadata["owner"]]).values():
            return None
        size, number = note.metadata["size"], note.metadata.get("version")
        return replace(paper, title=note.document[:size], abstract=note.document[size + 1 :], version=number)

    def get_setting(self, key: str, default: Any) -> Any:
        """Return a JSON value kept with the library."""
        name = f"setting/{digest(key)}"
        note = self.notes.get([name]).get(name)
        return json.loads(note.document) if note else default

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value with the library."""
        self.notes.put([Record(f"setting/{digest(key)}", json.dumps(value), {"kind": "setting"})])


def was(alias: str) -> str:
    """Return the id of the note that says who goes by ``alias``."""
    return f"was/{digest(alias)}"


def _direct_ids(aliases: Iterable[str]) -> dict[str, str]:
    """Return for each alias that is a real id the paper id that shows it."""
    found = {}
    for alias in aliases:
        kind, _, rest = alias.partition(":")
        if kind != "title":
            found[alias] = alias if kind == "doi" else rest
    return found


def _by_metadata(aliases: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return, by metadata key, what value of it stands for which alias."""
    found: dict[str, dict[str, str]] = {"doi": {}, "title_mark": {}}
    for alias in aliases:
        kind, _, rest = alias.partition(":")
        if kind == "doi":
            found["doi"][rest] = alias
        elif kind == "title":
            found["title_mark"][digest(rest)] = alias
    return found


def _add(found: dict[str, list[Record]], alias: str, record: Record) -> None:
    held = found.setdefault(alias, [])
    if all(record.id != other.id for other in held):
        held.append(record)
