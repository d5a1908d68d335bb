"""While an index is built again, readers use the old one; a kill leaves one of the two.

``REBUILD_KILLS=30`` kills more often.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from library_helpers import ENVIRONMENT, FakeEmbedder, candidate_ids, filled_store, ingest, paper, papers
from paperagent.errors import OutOfResourcesError, StoreError
from paperagent.library import LocalStore
from paperagent.library.local import index_folder
from paperagent.library.local.index_folder import IndexFolder

COUNT = 2_000
KILLS = int(os.environ.get("REBUILD_KILLS", "4"))
EMBEDDER = FakeEmbedder()
QUERY = EMBEDDER.one("we study vision")
REBUILD = """
import sys; from pathlib import Path
from library_helpers import *
store = LocalStore(Path(sys.argv[1]))
def report(stage, done, total):
    print(stage, done, flush=True)
"""
REBUILDS = {
    "reindex": "store.reindex(progress=report)",
    "repair": "store.doctor(repair=True)",
    "another embedder": "store.reindex(embedder=FakeEmbedder('other', 32), progress=report)",
}


def start(home: Path, rebuild: str) -> subprocess.Popen[str]:
    """Start a process that builds the indexes again."""
    return subprocess.Popen(
        [sys.executable, "-c", REBUILD + REBUILDS[rebuild], str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def responses(store: LocalStore) -> dict[str, object]:
    """Return what a reader sees: the results of every kind of search."""
    return {
        "words": [c.paper_id for c in store.candidates(stems=["vision"], vector=None, limit=20)],
        "vector": sorted(candidate_ids(store, vector=QUERY, limit=10)),
        "matching": store.matching(words=[["vision"]], limit=3).total,
        "statistics": store.corpus_stats(["vision", "speech"]),
        "list": [p.paper_id for p in store.list_papers(limit=5)],
    }


def read_during(home: Path, rebuild: str) -> tuple[Counter[str], str]:
    """Search again and again while a process rebuilds; return the outcomes and what the process printed."""
    outcomes = Counter[str]()
    with LocalStore(home) as store:
        expected = responses(store)
        with start(home, rebuild) as process:
            printed: list[str] = []
            reader = threading.Thread(target=lambda: printed.extend(process.stdout or ()))
            reader.start()
            while process.poll() is None:
                outcomes[_outcome(store, expected)] += 1
                with LocalStore(home) as fresh:  # as a command does
                    outcomes[_outcome(fresh, expected)] += 1
            reader.join()
            errors = process.stderr.read() if process.stderr else ""
        assert process.returncode == 0, errors
        outcomes[_outcome(store, expected)] += 1
    return outcomes, "".join(printed)


def _outcome(store: LocalStore, expected: dict[str, object]) -> str:
    try:
        return "right" if responses(store) == expected else "wrong"
    except StoreError as error:
        return str(error)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library with vectors, to be copied."""
    folder = tmp_path_factory.mktemp("sound") / "home"
    filled_store(folder, COUNT, embedder=EMBEDDER).close()
    return folder


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    """Return a copy."""
    return Path(shutil.copytree(sound, tmp_path / "home"))


def indexes_of(home: Path) -> list[str]:
    return sorted(p.name for p in home.iterdir() if p.is_dir())


def test_readers_during_reindex(home: Path) -> None:
    """Each response is the same as before, and the old folders are gone afterwards."""
    outcomes, printed = read_during(home, "reindex")
    assert set(outcomes) == {"right"}
    assert outcomes.total() > 10
    assert f"index {COUNT}" in printed
    assert indexes_of(home) == ["lexical-2", "vectors-2"]
    with LocalStore(home) as store:
        assert store.doctor().ok


def test_readers_during_a_repair(home: Path) -> None:
    """A response is right or an error that names the repair; none is wrong."""
    victim = next((home / "lexical").glob("*.term"))
    victim.write_bytes(victim.read_bytes()[:-100] + bytes(100))
    with LocalStore(home) as store, pytest.raises(StoreError, match=r"damaged: .*doctor --repair"):
        responses(store)
    with start(home, "repair") as process:
        outcomes = Counter[str]()
        while process.poll() is None:
            try:
                with LocalStore(home) as store:
                    outcomes["right" if len(responses(store)["words"]) == 20 else "wrong"] += 1  # type: ignore[arg-type]
            except StoreError as error:
                outcomes["repair" if "doctor --repair" in str(error) else str(error)] += 1
    assert process.returncode == 0
    assert set(outcomes) <= {"right", "repair"}
    with LocalStore(home) as store:
        assert store.doctor().ok
        assert len(responses(store)["words"]) == 20  # type: ignore[arg-type]


def test_readers_keep_the_vectors_of_the_old_embedder(home: Path) -> None:
    """Until the other embedder's vectors are complete; then a query with an old vector is an error."""
    outcomes, _ = read_during(home, "another embedder")
    right = outcomes.pop("right")
    assert right > 10
    assert "wrong" not in outcomes
    expected = ("embedder changed", "its vectors have")
    assert all(any(text in error for text in expected) for error in outcomes), outcomes
    with LocalStore(home) as store:
        assert store.embedder_id == "other"
        found = candidate_ids(store, vector=FakeEmbedder("other", 32).one("we study vision"), limit=COUNT)
        assert len(found) == COUNT


@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_leaves_a_usable_index(home: Path, number: int) -> None:
    """After a kill at any moment searches are right, doctor is content, and the next write cleans up."""
    draw = random.Random(number)  # noqa: S311 - a seeded test
    rebuild = draw.choice(["reindex", "another embedder"])
    with LocalStore(home) as store:
        expected = responses(store)
    process = start(home, rebuild)
    assert process.stdout
    process.stdout.readline()
    time.sleep(draw.random() * 2.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with LocalStore(home) as store:
        if store.embedder_id == "other":
            assert candidate_ids(store, stems=["vision"], limit=COUNT)
        else:
            assert responses(store) == expected
        assert store.doctor().ok
        ingest(store, [paper(COUNT)])
        assert len(indexes_of(home)) == 2
        embedder = FakeEmbedder("other", 32) if store.embedder_id == "other" else FakeEmbedder()
        store.embed_pending(embedder)
        assert len(candidate_ids(store, vector=embedder.one("x"), limit=COUNT + 1)) == COUNT + 1
        assert store.doctor().ok


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every new index fail when it is put into use."""

    def fail(*_: object) -> None:
        raise StoreError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(IndexFolder, "use", fail)
        yield


@pytest.mark.parametrize("embedder", [None, FakeEmbedder("other", 32)], ids=["same", "other"])
def test_a_failed_rebuild_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, embedder: FakeEmbedder | None
) -> None:
    """The old index stays in use, and the new folder is deleted."""
    with LocalStore(home) as store:
        expected = responses(store)
        for rebuild in (store.indexes.rebuild_lexical, lambda: store.indexes.rebuild_vectors(embedder)):
            with failing(monkeypatch), pytest.raises(StoreError, match="no luck"), store.indexes.writing():
                rebuild()
        assert responses(store) == expected
        assert store.doctor().ok
    assert indexes_of(home) == ["lexical", "vectors"]


def test_a_disk_too_small_for_two_indexes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how much space is needed, and nothing is changed."""
    usage = shutil.disk_usage(home)._replace(free=2**20)
    monkeypatch.setattr(index_folder.shutil, "disk_usage", lambda _: usage)
    with LocalStore(home) as store:
        expected = responses(store)
        with pytest.raises(OutOfResourcesError, match=r"beside it needs \d+ MB, and the disk is full"):
            store.reindex()
        assert responses(store) == expected


def test_threads_of_the_process_that_rebuilds(home: Path) -> None:
    """They search as if nothing happened, and do not wait for the end."""
    with LocalStore(home) as store:
        expected = responses(store)
        outcomes, seconds, done = Counter[str](), list[float](), threading.Event()

        def read() -> None:
            while not done.is_set():
                start = time.monotonic()
                outcomes[_outcome(store, expected)] += 1
                seconds.append(time.monotonic() - start)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            store.reindex()
        finally:
            done.set()
            thread.join()
        assert set(outcomes) == {"right"}
        assert responses(store) == expected


def test_many_small_ingests_are_never_taken_for_damage(tmp_path: Path) -> None:
    """Merges and deletions of old files end before the checksums are stored."""
    home = tmp_path / "home"
    for number in range(60):
        with LocalStore(home, create=True) as store:
            ingest(store, papers(1, start=number))
    with LocalStore(home) as store:
        assert store.count() == 60
        assert store.doctor().ok
