"""The vector index, and what Chroma must not do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from library_helpers import FakeEmbedder, run_python
from paperagent.errors import InputError, StoreError
from paperagent.library.local import vector_index
from paperagent.library.local.vector_index import (
    DATABASE,
    VectorEntry,
    VectorIndex,
    check_version,
    installed_version,
)

DIM = 16
EMBEDDER = FakeEmbedder()


def item(number: int, text: str | None = None) -> VectorEntry:
    """Return a row whose vector is that of ``text``."""
    text = text or f"paper number {number}"
    return VectorEntry(
        f"id-{number}", EMBEDDER.one(text), {"title": text, "day": 20260101, "source": ["a", "b"]}
    )


@pytest.fixture
def index(tmp_path: Path) -> Iterator[VectorIndex]:
    """Return an empty index."""
    made = VectorIndex(tmp_path / "vectors", embedder_id="fake", dim=DIM, create=True)
    yield made
    made.close()


def test_the_nearest_comes_first_with_its_cosine(index: VectorIndex) -> None:
    """The paper of exactly the query's vector has cosine 1."""
    index.put([item(n) for n in range(30)])
    (first, cosine), *rest = index.query(EMBEDDER.one("paper number 7"), 5)
    assert first == "id-7"
    assert cosine == pytest.approx(1, abs=1e-4)
    assert [c for _, c in rest] == sorted((c for _, c in rest), reverse=True)
    assert len(index.query(EMBEDDER.one("x"), 500)) == 30
    assert index.query(EMBEDDER.one("x"), 0) == []


def test_metadata_is_in_the_collection_and_no_text(index: VectorIndex) -> None:
    """What Chroma holds is readable by itself; a list stays a list; the text is the library's alone."""
    index.put([item(1, "the title")])
    held = index._collection.get(ids=["id-1"])
    assert held["documents"] == [None]
    assert held["metadatas"][0]["title"] == "the title"
    assert held["metadatas"][0]["source"] == ["a", "b"]
    assert held["metadatas"][0]["day"] == 20260101


def test_putting_again_replaces(index: VectorIndex) -> None:
    """Chroma's own `add` would silently keep the old row."""
    index.put([item(1), item(2)])
    index.put([item(1, "something new"), item(3)])
    assert index.count() == 3
    assert index.query(EMBEDDER.one("something new"), 1)[0][0] == "id-1"
    assert index._collection.get(ids=["id-1"])["metadatas"][0]["title"] == "something new"


def test_batches_beyond_chromas_limit_are_split(index: VectorIndex) -> None:
    """6,000 rows in one call are more than Chroma takes."""
    index.put([item(n) for n in range(6_000)])
    assert index.count() == 6_000
    index.delete([f"id-{n}" for n in range(5_990)])
    assert index.ids() == index.reachable() == {f"id-{n}" for n in range(5_990, 6_000)}


def test_nothing_is_a_batch_too(index: VectorIndex) -> None:
    """Empty batches and unknown ids are no error."""
    index.put([])
    index.delete([])
    index.delete(["unknown"])
    assert index.count() == 0
    assert index.reachable() == set()


@pytest.mark.parametrize(
    "vector",
    [np.full(DIM, np.nan), np.full(DIM, np.inf), np.zeros(DIM), np.ones(DIM + 1), np.ones((1, DIM))],
    ids=["nan", "inf", "zero", "long", "matrix"],
)
def test_vectors_that_mean_nothing_are_refused(index: VectorIndex, vector: np.ndarray) -> None:
    """Chroma takes a zero vector, and NaN in a query, and answers nonsense."""
    index.put([item(1)])
    with pytest.raises(InputError):
        index.query(vector, 1)
    with pytest.raises(InputError):
        index.put([VectorEntry("id-2", vector, {"title": "t"})])
    assert index.count() == 1


def test_another_embedders_index_is_refused(tmp_path: Path, index: VectorIndex) -> None:
    """Name, dimension and distance must fit."""
    for wrong in ({"embedder_id": "other", "dim": DIM}, {"embedder_id": "fake", "dim": DIM + 1}):
        with pytest.raises(StoreError, match="run 'paperagent reindex'"):
            VectorIndex(tmp_path / "vectors", **wrong)  # type: ignore[arg-type]


def test_an_index_for_another_distance_is_refused(tmp_path: Path) -> None:
    """Chroma keeps the stored space whatever is asked for."""
    import chromadb

    folder = str(tmp_path / "vectors")
    with chromadb.PersistentClient(folder) as client:
        metadata = {"embedder": "fake", "dim": DIM}
        client.create_collection("papers", embedding_function=None, metadata=metadata)
    with pytest.raises(StoreError, match="made for l2 distance, not cosine"):
        VectorIndex(Path(folder), embedder_id="fake", dim=DIM)


@pytest.mark.parametrize("column", ["config_json_str", "schema_str"])
def test_a_collection_with_an_embedding_function_is_refused(
    tmp_path: Path, index: VectorIndex, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma would create the function that is named in its database, with the settings stored there."""
    from chromadb.utils.embedding_functions import known_embedding_functions

    created: list[object] = []

    class Recorder:
        @staticmethod
        def build_from_config(config: object) -> None:
            created.append(config)

    monkeypatch.setitem(known_embedding_functions, "recorder", Recorder)  # type: ignore[arg-type]
    index.close()
    function = '{"type": "known", "name": "recorder", "config": {}}'
    with sqlite3.connect(tmp_path / "vectors" / DATABASE) as connection:
        if column == "schema_str":
            query = 'UPDATE collections SET schema_str = replace(schema_str, \'{"type":"legacy"}\', ?)'
            connection.execute(query, (function,))
        else:
            configuration = f'{{"hnsw": {{"space": "cosine"}}, "embedding_function": {function}}}'
            query = "UPDATE collections SET schema_str = NULL, config_json_str = ?"
            connection.execute(query, (configuration,))
    connection.close()
    with pytest.raises(StoreError, match="names an embedding function; run 'paperagent doctor --repair'"):
        VectorIndex(tmp_path / "vectors", embedder_id="fake", dim=DIM)
    assert not created


def test_a_missing_collection_is_damage(tmp_path: Path) -> None:
    """A database without our collection names the repair."""
    import chromadb

    chromadb.PersistentClient(str(tmp_path)).close()
    with pytest.raises(StoreError, match="collection is missing; run 'paperagent doctor --repair'"):
        VectorIndex(tmp_path, embedder_id="fake", dim=DIM)


def test_two_open_indexes_of_one_folder_do_not_close_each_other(tmp_path: Path, index: VectorIndex) -> None:
    """Chroma shares one system a path; ours are apart, and one sees the other's rows after reopening."""
    index.put([item(1)])
    other = VectorIndex(tmp_path / "vectors", embedder_id="fake", dim=DIM)
    index.put([item(2)])
    other.close()
    other = VectorIndex(tmp_path / "vectors", embedder_id="fake", dim=DIM)
    assert len(other.query(EMBEDDER.one("x"), 5)) == 2
    other.close()
    other.close()
    assert len(index.query(EMBEDDER.one("x"), 5)) == 2


HOSTILE = {
    "values": b"CHROMA_SERVER_HTTP_PORT=abc\nIS_PERSISTENT=maybe\nMIGRATIONS=none\nALLOW_RESET=perhaps\n",
    "encoding": b"\xff\xfe\x00CHROMA=1\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_dotenv_in_the_working_folder_is_never_read(tmp_path: Path, content: bytes) -> None:
    """`import chromadb` would read it, and fail; ours neither fails nor obeys."""
    (tmp_path / ".env").write_bytes(content)
    code = """
    import sys; from pathlib import Path
    from paperagent.library.local.vector_index import VectorIndex
    index = VectorIndex(Path(sys.argv[1]) / "vectors", embedder_id="fake", dim=4, create=True)
    index.close()
    from pydantic_settings import BaseSettings
    class Mine(BaseSettings):
        home: str = ""
    assert Mine(_env_file=None).home  # other settings still read the environment
    """
    done = run_python(code, tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_hostile_variables_of_the_environment_are_not_chromas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unprefixed variables belong to other programs."""
    monkeypatch.setenv("CHROMA_SERVER_HTTP_PORT", "abc")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path / "elsewhere"))
    made = VectorIndex(tmp_path / "vectors", embedder_id="fake", dim=DIM, create=True)
    made.put([item(1)])
    made.close()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("made_by", "fine"), [("1.5.9", True), ("1.0.2", True), ("1.99.0", False), ("0.6.3", False)]
)
def test_an_index_of_another_chroma_names_both_versions(made_by: str, fine: bool) -> None:  # noqa: FBT001 - a table
    """Older versions of the same major are read; newer ones and other majors are not."""
    if fine:
        check_version(made_by, Path("vectors"))
    else:
        with pytest.raises(StoreError, match=f"made by Chroma {made_by}, this is {installed_version()}"):
            check_version(made_by, Path("vectors"))


def test_searches_look_more_widely_the_more_there_is(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The square root of twice their number, once that is a tenth more than before; what is set is kept."""
    monkeypatch.setattr(vector_index, "HNSW_SETTINGS", {**vector_index.HNSW_SETTINGS, "ef_search": 10})
    small = VectorIndex(index._folder.parent / "small", embedder_id="fake", dim=DIM, create=True)

    def width() -> int:
        return int(small._collection.configuration_json["hnsw"]["ef_search"])

    small.put([item(n) for n in range(60)])
    small.adjust_search_width()
    assert width() == 10
    small.put([item(n) for n in range(60, 200)])
    small.adjust_search_width()
    assert width() == 20
    small.close()
    small = VectorIndex(index._folder.parent / "small", embedder_id="fake", dim=DIM)
    assert width() == 20
    assert small.reachable() == {f"id-{n}" for n in range(200)}
    small.close()
