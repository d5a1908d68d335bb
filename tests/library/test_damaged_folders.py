"""Store folders in every bad state that the shared list names: an error line, or a clean recovery."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import bad_inputs
from library_helpers import (
    FakeEmbedder,
    candidate_ids,
    filled_store,
    ingest,
    paper,
    papers,
    without_privileges,
)
from paperagent.errors import InputError, StoreError
from paperagent.library import Health, LocalStore
from paperagent.library.home import check_home
from paperagent.library.local import doctor
from paperagent.library.local.bm25_index import IndexEntry
from paperagent.library.local.vector_index import DATABASE, VectorEntry, VectorIndex

COUNT = 60
EMBEDDER = FakeEmbedder()
QUERY = EMBEDDER.one("we study vision")

Row = tuple[str, ...]
COVERED: set[str] = set()

NOT_APPLICABLE = {
    "bad-233": "the collection's name is a constant, never a setting",
    "bad-240": "metadata is built from a Paper's fields; none is nested",
    "bad-256": "there is no restore command; a library is copied while nothing writes",
    "bad-211": "tested in test_disk_full.py",
    "bad-212": "tested in test_disk_full.py: the same errors of the file system",
    "bad-249": "tested in test_lock.py",
    "bad-250": "tested in test_library.py",
    "bad-251": "tested in test_kill.py",
    "bad-252": "tested in test_library.py",
    "bad-253": "tested in test_lock.py",
    "bad-254": "tested in test_lock.py",
    "bad-246": "tested in test_vector_index.py",
    "bad-247": "tested in test_vector_index.py",
    "bad-244": "tested in test_library.py",
    "bad-238": "a key without a value is left out; tested in test_vector_index.py by papers without a day",
}
"""Row → why it is not in this file's tables."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library with vectors, to be copied."""
    folder = tmp_path_factory.mktemp("sound") / "home"
    filled_store(folder, COUNT, embedder=EMBEDDER).close()
    return folder


@pytest.fixture
def home(sound: Path, tmp_path: Path) -> Path:
    """Return a copy to damage."""
    return Path(shutil.copytree(sound, tmp_path / "home"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that another person can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)
        for path in (Path(made), *Path(made).rglob("*")):
            if path.is_dir():
                path.chmod(0o755)


def as_file(home: Path) -> None:
    home.write_text("a file", encoding="utf-8")


def as_dangling_link(home: Path) -> None:
    home.symlink_to(home.parent / "nowhere")


def as_foreign_chroma(home: Path) -> None:
    home.mkdir()
    (home / DATABASE).write_bytes(b"SQLite format 3\0")


def as_foreign_sqlite(home: Path) -> None:
    home.mkdir()
    with sqlite3.connect(home / "library.db") as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()


def as_newer(home: Path) -> None:
    filled_store(home, 1).close()
    with sqlite3.connect(home / "library.db") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()


def as_garbage(home: Path) -> None:
    home.mkdir()
    (home / "library.db").write_bytes(b"garbage" * 1000)


FOLDERS: dict[str, tuple[Row, Callable[[Path], object], str]] = {
    "missing": (("bad-204",), lambda home: None, "no library at .*; run 'paperagent ingest' first"),
    "empty": (("bad-205",), Path.mkdir, "no library at .*; run 'paperagent ingest' first"),
    "a file": (("bad-206",), as_file, "a file, not a folder"),
    "a dangling link": (("bad-207",), as_dangling_link, ": a dangling link"),
    "another app's Chroma": (("bad-230",), as_foreign_chroma, "not a paperagent library"),
    "another app's SQLite": (("bad-230",), as_foreign_sqlite, "not a paperagent library"),
    "newer": (("bad-231",), as_newer, "written by a newer paperagent"),
    "garbage": (("bad-218",), as_garbage, "damaged"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_holds_no_library_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    """A read command says why in one line and creates nothing."""
    _, make, said = FOLDERS[name]
    home = tmp_path / "home"
    make(home)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=said) as raised:
        LocalStore(home)
    assert raised.value.exit_code == 5
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", [n for n in FOLDERS if n not in {"missing", "empty"}])
def test_ingest_refuses_them_too(tmp_path: Path, name: str) -> None:
    """Creating a library never writes into what belongs to something else."""
    home = tmp_path / "home"
    FOLDERS[name][1](home)
    with pytest.raises(StoreError, match=FOLDERS[name][2]):
        LocalStore(home, create=True)


@pytest.mark.parametrize(
    "path", [Path("a\0b"), Path("x" * 5_000), Path("/".join(["long"] * 2_000))], ids=["NUL", "name", "path"]
)
@pytest.mark.parametrize("create", [False, True])
def test_paths_that_no_system_takes(path: Path, create: bool) -> None:  # noqa: FBT001 - a table
    """NUL and too long a path are store errors, not tracebacks."""
    with pytest.raises(StoreError, match=r"cannot be used|no library"):
        LocalStore(path, create=create)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o600], ids=["nothing", "read only", "no execute"])
def test_a_folder_without_permission(open_folder: Path, mode: int) -> None:
    """A store error, for reading and for writing; no execute bit on the parent is the same."""
    home = open_folder / "parent" / "home"
    filled_store(home, 2).close()
    for folder in (home, home.parent):
        folder.chmod(mode)
        with without_privileges():
            for create in (False, True):
                with pytest.raises(StoreError):
                    LocalStore(home, create=create)
        folder.chmod(0o755)


@pytest.mark.parametrize("clean", [True, False], ids=["closed", "with a write-ahead file"])
def test_a_read_only_library_can_be_searched(open_folder: Path, clean: bool) -> None:  # noqa: FBT001 - a table
    """Reading works, by vectors too though Chroma opens nothing there; ingest is one clear line."""
    home = open_folder / "home"
    store = filled_store(home, 30, embedder=EMBEDDER)
    if clean:
        store.close()
    for path in (home, *home.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with without_privileges(), LocalStore(home) as reader:
        assert reader.status()["read_only"]
        assert len(candidate_ids(reader, stems=["studi"])) == 30
        assert len(candidate_ids(reader, vector=QUERY, limit=10)) == 10
        assert reader.doctor().ok
        with pytest.raises(StoreError, match="cannot be written"):
            ingest(reader, papers(1, 99))
        with pytest.raises(StoreError, match="cannot be written"):
            reader.embed_pending(EMBEDDER)
    store.close()


def vectors_of(home: Path) -> Path:
    return home / "vectors"


def segment(home: Path) -> Path:
    return next(path for path in vectors_of(home).iterdir() if path.is_dir())


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


def flip(path: Path, seed: int) -> None:
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(4096, len(data), 400):
        data[place] ^= 0xFF
    path.write_bytes(data)


def remake_collection(home: Path, **changes: object) -> None:
    import chromadb

    with chromadb.PersistentClient(str(vectors_of(home))) as client:
        held = client.get_collection("papers", embedding_function=None)
        rows = held.get(include=["embeddings", "metadatas"])
        client.delete_collection("papers")
        if changes.get("drop"):
            return
        metadata = {"embedder": "fake", "dim": 16} | {k: v for k, v in changes.items() if k != "space"}
        space = {"hnsw": {"space": changes.get("space", "cosine")}}
        made = client.create_collection(
            "papers", embedding_function=None, metadata=metadata, configuration=space
        )
        made.add(**{k: rows[k] for k in ("ids", "embeddings", "metadatas")})


def newer_chroma(home: Path, version: str = "99.1.0") -> None:
    with LocalStore(home) as store:
        store.table.set_note("chroma", version)


def other_app_in_vectors(home: Path) -> None:
    import chromadb

    shutil.rmtree(vectors_of(home))
    with chromadb.PersistentClient(str(vectors_of(home))) as client:
        client.create_collection("documents", embedding_function=None)


DAMAGES: dict[str, tuple[Row, Callable[[Path], object], str]] = {
    "database missing": (("bad-215",), lambda h: (vectors_of(h) / DATABASE).unlink(), "is missing"),
    "database empty": (("bad-216",), lambda h: truncate(vectors_of(h) / DATABASE, 0), "is empty"),
    "database garbage": (
        ("bad-218",),
        lambda h: (vectors_of(h) / DATABASE).write_bytes(b"x" * 9_000),
        "differs from its checksum",
    ),
    "folder missing": (("bad-215",), lambda h: shutil.rmtree(vectors_of(h)), "is missing"),
    "half a database": (
        ("bad-217",),
        lambda h: truncate(vectors_of(h) / DATABASE, (vectors_of(h) / DATABASE).stat().st_size // 2),
        "damaged",
    ),
    "collection missing": (
        ("bad-232",),
        lambda h: remake_collection(h, drop=True),
        "differs from its checksum",
    ),
    "another app's collection": (("bad-230",), other_app_in_vectors, "differs from its checksum"),
    "another dimension": (("bad-234",), lambda h: remake_collection(h, dim=8), "differs from its checksum"),
    "another distance": (
        ("bad-235",),
        lambda h: remake_collection(h, space="l2"),
        "differs from its checksum",
    ),
    "another embedder": (
        ("bad-236",),
        lambda h: remake_collection(h, embedder="other"),
        "differs from its checksum",
    ),
    "newer Chroma": (("bad-228",), newer_chroma, "made by Chroma 99.1.0"),
    "older Chroma": (("bad-229",), lambda h: newer_chroma(h, "0.6.3"), "made by Chroma 0.6.3"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_vector_index_is_an_error_that_doctor_mends(home: Path, name: str) -> None:
    """A search says what is wrong and what to do; the repair embeds nothing again."""
    _, damage, said = DAMAGES[name]
    damage(home)
    with LocalStore(home) as store:
        with pytest.raises(StoreError, match=said):
            candidate_ids(store, vector=QUERY)
        assert len(candidate_ids(store, stems=["studi"], limit=COUNT)) == COUNT
        sick = store.doctor()
        assert sick.failed() & {"vector index", "vector files"}
        assert sick.failed() <= {"vector index", "vector files"}
        assert all(check.fix for check in sick.checks if not check.ok)
        assert store.doctor(repair=True).ok
        assert len(candidate_ids(store, vector=QUERY, limit=COUNT)) == COUNT


SEGMENTS: dict[str, tuple[Row, Callable[[Path], object]]] = {
    "graph folder deleted": (("bad-222",), lambda h: shutil.rmtree(segment(h))),
    "graph truncated": (("bad-223",), lambda h: truncate(segment(h) / "data_level0.bin", 500)),
    "header garbage": (("bad-224",), lambda h: (segment(h) / "header.bin").write_bytes(b"\xff" * 100)),
    "links huge": (("bad-225",), lambda h: truncate(segment(h) / "link_lists.bin", 2**40)),
}


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library large enough for Chroma to have written its graph files."""
    folder = tmp_path_factory.mktemp("synced") / "home"
    filled_store(folder, 1_200, embedder=EMBEDDER).close()
    return folder


def searched(store: LocalStore) -> set[str]:
    """Return what a search finds; one that fails names the repair."""
    try:
        return candidate_ids(store, vector=QUERY, limit=1_200)
    except StoreError as error:
        if "doctor --repair" not in str(error):
            raise
        return set()


@pytest.mark.parametrize("name", SEGMENTS)
def test_damage_in_the_graph_is_found_and_mended(synced: Path, tmp_path: Path, name: str) -> None:
    """A search fails with a store error or finds less; doctor sees it and rebuilds."""
    home = Path(shutil.copytree(synced, tmp_path / "home"))
    SEGMENTS[name][1](home)
    with LocalStore(home) as store:
        assert len(searched(store)) <= 1_200
        sick = store.doctor()
        assert sick.failed() & {"vector index", "vector files"}
        assert store.doctor(repair=True).ok
        assert len(candidate_ids(store, vector=QUERY, limit=1_200)) == 1_200


def test_a_lost_graph_is_reported_with_numbers(synced: Path, tmp_path: Path) -> None:
    """Without checksums, as in an older library, doctor counts the papers that can be found."""
    home = Path(shutil.copytree(synced, tmp_path / "home"))
    shutil.rmtree(segment(home))
    with LocalStore(home) as store:
        store.table.set_note("vectors_files", json.dumps({"files": None, "open": False}))
        (check,) = [c for c in store.doctor().checks if c.name == "vector index"]
    assert "of 1200 papers can be found" in check.detail or "Chroma cannot use it" in check.detail


def test_a_malicious_pickle_is_never_run(synced: Path, tmp_path: Path) -> None:
    """Whatever reads `index_metadata.pickle`, no code in it runs."""
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.system, (f"touch {tmp_path}/owned",))

    home = Path(shutil.copytree(synced, tmp_path / "home"))
    for folder in (segment(home), vectors_of(home)):
        (folder / "index_metadata.pickle").write_bytes(pickle.dumps(Evil()))
    with LocalStore(home) as store:
        searched(store)
        store.doctor()
    assert not (tmp_path / "owned").exists()


def checked(home: Path) -> Health:
    with LocalStore(home) as store:
        return store.doctor()


def test_flipped_bytes_in_papers_are_found_by_their_checksums(home: Path) -> None:
    """SQLite's own check does not see a changed letter; ours does, and a new ingest heals it."""
    with sqlite3.connect(home / "library.db") as connection:
        connection.execute("UPDATE papers SET abstract = 'W3' || substr(abstract, 3) WHERE row = 7")
    connection.close()
    with LocalStore(home) as store:
        sick = store.doctor()
        assert "papers" in sick.failed()
        assert "2601.00006" in " ".join(c.detail for c in sick.checks)
        store.doctor(repair=True)
        store.embed_pending(EMBEDDER)
        assert ingest(store, papers(COUNT)).changed == 1
        store.embed_pending(EMBEDDER)
        assert store.doctor().ok
        healed = store.get("2601.00006")
        assert healed is not None
        assert healed.abstract == paper(6).abstract


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("which", ["library.db", f"vectors/{DATABASE}"])
def test_flipped_bytes_in_databases_never_pass_unseen(home: Path, which: str, seed: int) -> None:
    """Doctor reports it, or the file cannot be opened at all; both are store errors."""
    flip(home / which, seed)
    try:
        well = checked(home).ok
    except StoreError:
        well = False
    assert not well


def test_files_left_by_a_crash_are_taken_up(home: Path) -> None:
    """A write-ahead file is read on opening, and nothing of it is lost."""
    with LocalStore(home) as writer:
        ingest(writer, papers(5, 500))
        copy = Path(shutil.copytree(home, home.parent / "crashed"))
        assert (copy / "library.db-wal").stat().st_size
    with LocalStore(copy) as store:
        assert store.count() == COUNT + 5
        assert store.doctor().ok


def test_a_hot_journal_of_chroma_is_rolled_back(home: Path) -> None:
    """An unfinished transaction of Chroma's database is undone on opening."""
    database = vectors_of(home) / DATABASE
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("PRAGMA cache_spill = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM embedding_metadata")
    connection.execute("DELETE FROM embeddings")
    journal = Path(f"{database}-journal")
    assert journal.exists()
    copy = Path(shutil.copytree(home, home.parent / "crashed"))
    connection.execute("ROLLBACK")
    connection.close()
    with LocalStore(copy) as store:
        assert len(candidate_ids(store, vector=QUERY, limit=COUNT)) == COUNT
        assert store.doctor().ok


def test_foreign_files_are_left_alone_and_listed(home: Path) -> None:
    """Doctor names them and stays well."""
    (home / "notes \x1b[31m.txt").write_text("mine", encoding="utf-8")
    found_health = checked(home)
    assert found_health.ok
    assert "notes \\x1b[31m.txt" in " ".join(c.detail for c in found_health.checks)
    assert (home / "notes \x1b[31m.txt").exists()


def test_rows_without_text_or_title_in_chroma_are_counted(home: Path) -> None:
    """A row that is no paper of the library is found by doctor and goes with the repair."""
    with LocalStore(home) as store:
        with store.indexes.exclusive_vectors(writing=True) as index:
            assert index is not None
            index._collection.add(ids=["stray"], embeddings=[QUERY.tolist()])
        assert "stray" not in candidate_ids(store, vector=QUERY, limit=COUNT)
        (check,) = [c for c in store.doctor().checks if c.name == "vector index"]
        assert not check.ok
        assert "1 do not belong: stray" in check.detail
        assert store.doctor(repair=True).ok


def test_text_that_chroma_cannot_take_never_reaches_it(tmp_path: Path) -> None:
    """Lone surrogates, NUL, huge texts and numbers are skipped with their reason."""
    bad = [paper(1, abstract="\ud800"), paper(2, abstract="a\0b"), paper(3, abstract="x" * 5_000_000)]
    with LocalStore(tmp_path, create=True) as store:
        report = ingest(store, [*bad, paper(4, upvotes=2**70), paper(5, published=None)])
        assert sum(report.skipped.values()) == 4
        assert store.embed_pending(EMBEDDER) == (1, 0)


def test_an_id_that_is_there_is_replaced_and_a_bad_vector_refused(home: Path) -> None:
    """Chroma's `add` would keep the old row, and takes zero vectors."""
    index = VectorIndex(vectors_of(home), embedder_id="fake", dim=16)
    index.put([VectorEntry("2601.00001", QUERY, {"title": "new"})])
    assert index._collection.get(ids=["2601.00001"])["metadatas"][0]["title"] == "new"
    assert index.count() == COUNT
    for vector in (np.zeros(16), np.full(16, np.nan)):
        with pytest.raises(InputError):
            index.put([VectorEntry("x", vector, {"title": "t"})])
    index.close()


def test_a_copy_taken_while_writing_is_found_out(home: Path) -> None:
    """A database without its write-ahead file is older than the indexes copied with it."""
    with LocalStore(home) as writer:
        ingest(writer, [*papers(5, 500), paper(1, abstract="Another text.")])
        writer.embed_pending(EMBEDDER)
        copy = home.parent / "copy"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    assert not checked(copy).ok
    with LocalStore(copy) as store:
        assert store.doctor(repair=True).ok
        assert store.count() == COUNT


def test_a_library_from_the_future_is_a_warning(home: Path) -> None:
    """A wrong clock damages nothing."""
    os.utime(home / "library.db", (4e9, 4e9))
    found_health = checked(home)
    assert found_health.ok
    assert "warning: the library was written in the future" in " ".join(c.detail for c in found_health.checks)


def test_a_network_file_system_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS and SMB lock badly; doctor says so and stays well."""
    monkeypatch.setattr(doctor, "network_filesystem", lambda _: "nfs4")
    found_health = checked(home)
    assert found_health.ok
    assert "network file system (nfs4)" in " ".join(c.detail for c in found_health.checks)


def test_a_system_error_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system says of the path is one line about it."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        check_home(tmp_path, create=False)


ELSEWHERE = {
    "bad-208": test_a_folder_without_permission,
    "bad-209": test_a_read_only_library_can_be_searched,
    "bad-210": test_a_folder_without_permission,
    "bad-213": test_paths_that_no_system_takes,
    "bad-214": test_a_network_file_system_is_a_warning,
    "bad-219": test_flipped_bytes_in_papers_are_found_by_their_checksums,
    "bad-220": test_files_left_by_a_crash_are_taken_up,
    "bad-221": test_a_hot_journal_of_chroma_is_rolled_back,
    "bad-226": test_a_malicious_pickle_is_never_run,
    "bad-227": test_foreign_files_are_left_alone_and_listed,
    "bad-237": test_rows_without_text_or_title_in_chroma_are_counted,
    "bad-239": test_text_that_chroma_cannot_take_never_reaches_it,
    "bad-241": test_text_that_chroma_cannot_take_never_reaches_it,
    "bad-242": test_text_that_chroma_cannot_take_never_reaches_it,
    "bad-243": test_text_that_chroma_cannot_take_never_reaches_it,
    "bad-245": test_an_id_that_is_there_is_replaced_and_a_bad_vector_refused,
    "bad-248": test_an_id_that_is_there_is_replaced_and_a_bad_vector_refused,
    "bad-255": test_a_copy_taken_while_writing_is_found_out,
    "bad-257": test_a_library_from_the_future_is_a_warning,
}


def test_every_row_of_the_shared_list_is_covered() -> None:
    """Each row is in a table or a test here, or in `NOT_APPLICABLE` with its reason; none is in both."""
    tables = [*FOLDERS.values(), *DAMAGES.values(), *SEGMENTS.values()]
    covered = {row for entry in tables for row in entry[0]} | ELSEWHERE.keys()
    assert covered | NOT_APPLICABLE.keys() == bad_inputs.rows("Store directory")
    assert not covered & NOT_APPLICABLE.keys()
    assert all(NOT_APPLICABLE.values())


def test_doctor_reports_a_foreign_entry_of_the_lexical_index(tmp_path: Path) -> None:
    """No paper is missing, so none is named."""
    with LocalStore(tmp_path, create=True) as store:
        ingest(store, [paper(1)])
        with store.indexes.lexical().writing() as writer:
            writer.put(IndexEntry(999, "2601.00999", ["moth"], None, []), replace=False)
            writer.commit()
        (check,) = [check for check in store.doctor().checks if check.name == "lexical index"]
        assert (check.ok, check.detail) == (
            False,
            "0 of 1 papers are missing, 1 do not belong, 0 are pending",
        )
