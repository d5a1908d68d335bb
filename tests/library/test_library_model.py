"""The library against a dictionary, under ingest, change, withdrawal, vectors, reopening and repair.

Once in a folder, once on a Chroma server.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from library_helpers import TODAY, FakeEmbedder, FolderPlace, Place, ServerPlace, candidate_ids, ingest, paper
from paperagent.library import content_hash
from paperagent.types import Paper

NUMBERS = st.integers(0, 9)
TEXTS = st.sampled_from(
    ["zebras in grass", "quarks and gluons of the proton", "loops over lists", "zebras again"]
)
STEMS = {"zebra": "zebras", "quark": "quarks", "loop": "loops"}


class Library(RuleBasedStateMachine):
    """Every paper has its own title and ids, so the model needs no merging: the last word stands."""

    server: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="paperagent-test-"))
        self.embedder = FakeEmbedder()
        self.model: dict[str, Paper] = {}
        self.history: set[tuple[str, str, str]] = set()
        self.embedded: dict[str, str] = {}

    @initialize()
    def create(self) -> None:
        home = self.folder / "home"
        name = f"m{uuid.uuid4().hex[:12]}"
        self.place: Place = ServerPlace(self.server, home, name) if self.server else FolderPlace(home)
        self.store = self.place.open(create=True)

    @rule(numbers=st.lists(NUMBERS, max_size=6), text=TEXTS, withdrawn=st.booleans())
    def ingest(self, numbers: list[int], text: str, withdrawn: bool) -> None:  # noqa: FBT001 - drawn
        records = [paper(n, abstract=f"{text} {n}", withdrawn=withdrawn) for n in numbers]
        distinct = {r.paper_id: replace(r, first_seen=TODAY) for r in records}
        new = sum(i not in self.model for i in distinct)
        changed = sum(i in self.model and self.model[i] != r for i, r in distinct.items())
        report = ingest(self.store, records)
        assert (report.read, report.new, report.changed) == (len(records), new, changed)
        self.model.update(distinct)
        self.history |= {(i, content_hash(r), r.abstract) for i, r in distinct.items()}

    @rule()
    def embed(self) -> None:
        added, pending = self.store.embed_pending(self.embedder)
        assert pending == 0
        assert added >= sum(self.embedded.get(i) != p.abstract for i, p in self.model.items())
        self.embedded = {i: p.abstract for i, p in self.model.items()}

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.place.open()

    @rule()
    def reindex(self) -> None:
        before = len(self.embedder.texts)
        self.store.reindex()
        assert len(self.embedder.texts) == before

    @precondition(lambda self: not self.server)
    @rule(lost=st.sampled_from(["lexical", "vectors"]))
    def lose_an_index(self, lost: str) -> None:
        self.store.close()
        shutil.rmtree(self.folder / "home" / lost, ignore_errors=True)
        self.store = self.place.open()
        assert self.store.doctor(repair=True).ok

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert {p.paper_id: p for p in self.store.papers()} == self.model
        assert self.store.count() == len(self.model)
        for paper_id, digest, abstract in self.history:
            version = self.store.get_version(paper_id, digest)
            assert version is not None
            assert version.abstract == abstract

    @invariant()
    def finds_what_the_model_holds(self) -> None:
        for stem, word in STEMS.items():
            wanted = {i for i, p in self.model.items() if word in p.abstract}
            assert candidate_ids(self.store, stems=[stem]) == wanted
        if self.embedded:
            vector = self.embedder.one("zebras")
            candidates = {c.paper_id: c for c in self.store.candidates(stems=["studi"], vector=vector)}
            for paper_id, candidate in candidates.items():
                current = self.embedded.get(paper_id) == self.model[paper_id].abstract
                assert (candidate.vector is not None) >= current

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder, ignore_errors=True)


HOW = settings(max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))


class OnServer(Library):
    """The same on a server."""

    @rule()
    def examine(self) -> None:
        assert self.store.doctor().ok


def test_the_library_in_a_folder_is_what_a_dictionary_would_be() -> None:
    """It holds and finds exactly what a dictionary would, whatever happens to it."""
    run_state_machine_as_test(Library, settings=HOW)


def test_the_library_on_a_server_is_what_a_dictionary_would_be(
    chroma_url: str,
) -> None:
    """The same, beyond one machine."""
    OnServer.server = chroma_url
    run_state_machine_as_test(OnServer, settings=HOW)
