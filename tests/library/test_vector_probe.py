"""The child process that opens a vector index before this process does."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from library_helpers import FakeEmbedder
from paperagent.errors import OutOfResourcesError, StoreError
from paperagent.library.local import vector_probe
from paperagent.library.local.vector_index import DATABASE, VectorEntry, VectorIndex

EMBEDDER = FakeEmbedder()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an index with three papers."""
    folder = tmp_path_factory.mktemp("probe") / "vectors"
    index = VectorIndex(folder, embedder_id="fake", dim=EMBEDDER.dim, create=True)
    index.put([VectorEntry(f"2601.0000{n}", EMBEDDER.one(f"text {n}"), {"title": "t"}) for n in range(3)])
    index.close()
    return folder


def probe(folder: Path, embedder_id: str = "fake") -> None:
    vector_probe.probe(folder, embedder_id=embedder_id, dim=EMBEDDER.dim)


def test_an_intact_index_passes(folder: Path) -> None:
    probe(folder)


def test_the_error_of_the_child_is_raised_here(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="made for embedder fake, not other; run 'paperagent reindex'"):
        probe(folder, "other")
    with pytest.raises(StoreError, match=f"{DATABASE} is missing; run 'paperagent doctor --repair'"):
        probe(tmp_path)
    sqlite3.connect(tmp_path / DATABASE).execute("CREATE TABLE other (n)").connection.close()
    with pytest.raises(StoreError, match="run 'paperagent doctor --repair'"):
        probe(tmp_path)


@pytest.mark.parametrize(
    ("code", "output", "error", "message"),
    [
        (-signal.SIGSEGV, b"", StoreError, "damaged: opening it crashes Chroma; run 'paperagent doctor"),
        (-signal.SIGABRT, b"memory allocation of 9 bytes failed", OutOfResourcesError, "not enough memory"),
        (-signal.SIGKILL, b"", OutOfResourcesError, "not enough memory"),
        (1, b"Traceback\nImportError: \x1b[31mno", OutOfResourcesError, r"failed: ImportError: \\x1b\[31mno"),
        (3, b"", OutOfResourcesError, "check failed: exit code 3; run the same command again"),
    ],
)
def test_how_the_child_ends(
    monkeypatch: pytest.MonkeyPatch, code: int, output: bytes, error: type[StoreError], message: str
) -> None:
    """Only a crash is damage; nothing is damaged if memory ran out or the child could not run."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, code, b"", output)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(StoreError, match=message) as raised:
        probe(Path("vectors"))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        (subprocess.TimeoutExpired("python", 300), StoreError, "takes over 300 seconds"),
        (OSError("no more processes"), OutOfResourcesError, "check failed: no more processes; close other"),
    ],
)
def test_a_child_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, error: type[StoreError], message: str
) -> None:
    def run(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(StoreError, match=message) as raised:
        probe(Path("vectors"))
    assert type(raised.value) is error
