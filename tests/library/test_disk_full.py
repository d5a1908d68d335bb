"""A full disk: one error line, nothing lost, and the same command goes on once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from library_helpers import TODAY, FakeEmbedder, filled_store, ingest, paper, papers, run_python
from paperagent.errors import StoreError
from paperagent.library import LocalStore
from paperagent.types import Paper

SIZE = 10


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 10 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def big(count: int) -> Iterator[Paper]:
    """Yield papers of 3 KB each."""
    for number in range(count):
        yield paper(number, abstract=" ".join(f"w{number}x{n}" for n in range(300)))


def test_ingest_keeps_the_acknowledged_batches_and_resumes(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that the disk is full; with room the same ingest completes."""
    from paperagent.library.local import store

    monkeypatch.setattr(store, "_BATCH", 100)
    done: list[int] = []
    with LocalStore(small / "home", create=True) as store:
        with pytest.raises(StoreError, match="disk is full") as raised:
            store.ingest(big(5_000), today=TODAY, progress=lambda _, n, __: done.append(n))
        assert raised.value.exit_code == 5
    roomy = Path(shutil.copytree(small / "home", tmp_path / "roomy"))
    with LocalStore(roomy) as store:
        assert store.count() >= done[-1] > 0
        report = ingest(store, big(store.count() + 200))
        assert report.new == 200
        assert store.doctor().ok


def test_the_full_disk_itself_stays_readable(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was acknowledged can be read where nothing more can be written."""
    from paperagent.library.local import store

    monkeypatch.setattr(store, "_BATCH", 100)
    with LocalStore(small / "home", create=True) as store:
        with pytest.raises(StoreError, match="disk is full"):
            ingest(store, big(5_000))
        assert len(list(store.papers())) == store.count() > 0
        with pytest.raises(StoreError, match="disk is full"):
            ingest(store, big(5_000))


def test_vectors_are_not_begun_where_they_would_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma's index does not survive a full disk, so room is asked for first; embeddings are kept."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil returns it
    embedder = FakeEmbedder()
    with filled_store(tmp_path, 30) as store:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1_000_000))
            with pytest.raises(StoreError, match="disk is full"):
                store.embed_pending(embedder)
        assert store.embed_pending(embedder) == (30, 0)
        assert len(embedder.texts) == 30
        assert store.doctor().ok


def test_a_limit_on_file_sizes_is_a_full_disk(tmp_path: Path) -> None:
    """A quota that no free space explains reads the same, without root."""
    code = """
    import resource, signal, sys; from pathlib import Path
    from library_helpers import *
    from paperagent.errors import StoreError
    store = LocalStore(Path(sys.argv[1]), create=True)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    try:
        ingest(store, papers(20_000))
    except StoreError as error:
        assert "full" in str(error), error
        raise SystemExit(5)
    """
    done = run_python(code, tmp_path / "home")
    assert done.returncode == 5, done.stderr
    with LocalStore(tmp_path / "home") as store:
        before = store.count()
        assert ingest(store, papers(before + 10)).new == 10
        assert store.doctor().ok
