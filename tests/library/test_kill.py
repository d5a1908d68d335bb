"""kill -9 at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from library_helpers import ENVIRONMENT, FakeEmbedder, candidate_ids, ingest, papers
from paperagent.library import LocalStore

COUNT = 1_500
INGEST = """
import sys; from pathlib import Path
from library_helpers import *
from paperagent.library import local
local._BATCH = 50
store = LocalStore(Path(sys.argv[1]), create=True)
def report(stage, done, total):
    print(stage, done, flush=True)
store.ingest(papers(1_500), today=TODAY, progress=report)
"""
VECTORS = """
import sys; from pathlib import Path
from library_helpers import *
store = LocalStore(Path(sys.argv[1]))
def report(stage, done, total):
    if done % 100 == 0:
        print(stage, store.status()["vectors"]["indexed"], flush=True)
store.embed_pending(FakeEmbedder(), progress=report, batch=100)
"""


def killed(code: str, home: Path, *, lines: int, delay: float) -> int:
    """Run ``code``, kill it ``delay`` seconds after some lines; return the last number it acknowledged."""
    last = "0"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout
        for _, line in zip(range(lines), process.stdout, strict=False):
            last = line.split()[1]
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            last = line.split()[1] if line.endswith("\n") and len(line.split()) > 1 else last
    return int(last)


@pytest.mark.parametrize(("lines", "delay"), [(1, 0.0), (5, 0.004), (12, 0.013), (20, 0.021)])
def test_ingest(tmp_path: Path, lines: int, delay: float) -> None:
    """After a kill every acknowledged paper is there and found, doctor is content, and ingest goes on."""
    home = tmp_path / "home"
    acknowledged = killed(INGEST, home, lines=lines, delay=delay)
    with LocalStore(home) as store:
        assert store.count() >= acknowledged > 0
        assert len(candidate_ids(store, stems=["studi"], limit=COUNT)) == store.count()
        assert store.doctor().ok
        assert set(store.get_many(p.paper_id for p in papers(acknowledged))) == {
            p.paper_id for p in papers(acknowledged)
        }
        assert ingest(store, papers(COUNT)).papers == COUNT
        assert store.doctor().ok


@pytest.mark.parametrize(("lines", "delay"), [(1, 0.0), (4, 0.02), (7, 0.05), (11, 0.002)])
def test_vectors(tmp_path: Path, lines: int, delay: float) -> None:
    """After a kill the vectors go on where they were, and all papers are found by vector in the end."""
    home = tmp_path / "home"
    with LocalStore(home, create=True) as store:
        ingest(store, papers(COUNT))
    acknowledged = killed(VECTORS, home, lines=lines, delay=delay)
    embedder = FakeEmbedder()
    with LocalStore(home) as store:
        assert store.status()["vectors"]["indexed"] >= acknowledged
        assert store.doctor().ok
        added, pending = store.embed_pending(embedder)
        assert (added <= COUNT - acknowledged, pending) == (True, 0)
        assert len(embedder.texts) <= COUNT - acknowledged
        assert len(candidate_ids(store, vector=embedder.one("we study"), limit=COUNT)) == COUNT
        assert store.doctor().ok


def test_ctrl_c_keeps_the_vectors_that_were_computed(tmp_path: Path) -> None:
    """What was embedded before the interrupt is not embedded again."""

    class Interrupted(FakeEmbedder):
        def embed(self, texts: object) -> object:  # type: ignore[override]
            for number, vector in enumerate(super().embed(texts)):  # type: ignore[arg-type]
                if number == 70:
                    raise KeyboardInterrupt
                yield vector

    with LocalStore(tmp_path, create=True) as store:
        ingest(store, papers(100))
        with pytest.raises(KeyboardInterrupt):
            store.embed_pending(Interrupted())
        embedder = FakeEmbedder()
        assert store.embed_pending(embedder) == (100, 0)
        assert len(embedder.texts) == 30
        assert store.doctor().ok
