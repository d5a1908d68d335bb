"""The whole program over a library on a Chroma server of this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sample_library
from fake_encoder import FakeEncoder
from paperagent import PaperAgent
from paperagent.cli.main import main
from paperagent.feeds.reader import sample_path
from paperagent.library.server.client import Collection

sys.path.append(str(Path(__file__).parent / "store"))

import chroma_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an empty Chroma server."""
    if chroma_server.program() is None:
        pytest.skip("the chroma command is not here; it comes with chromadb")
    with chroma_server.serving(tmp_path_factory.mktemp("chroma") / "data") as url:
        yield url


@pytest.fixture
def home(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a person whose library is on the server."""
    place = tmp_path / "person"
    monkeypatch.setenv("PAPERAGENT_CHROMA_URL", server)
    monkeypatch.setenv("PAPERAGENT_HOME", str(place))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", "none")
    monkeypatch.setenv("PAPERAGENT_MODE", "extractive")
    return place


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """Run a command and return its JSON."""
    assert main([*arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_reading_before_any_ingest_creates_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither on the server nor here; the message names the server and the fix."""
    assert main(["status"]) == 5
    assert "it has no collection paperagent-waiting; run 'paperagent ingest' first" in capsys.readouterr().err
    assert not home.exists()


def test_shares_make_the_library_that_answers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two shares hold each paper once; answers keep every invariant and equal those from a folder."""
    feed = str(sample_path())
    counts = [
        said(capsys, "ingest", feed, "--shard", f"{n}/2", "--date", "2026-07-01")["read"] for n in (1, 2)
    ]
    assert min(counts) > 0  # type: ignore[type-var]
    assert said(capsys, "status")["papers"] == len(sample_library.papers()) == sum(counts)  # type: ignore[arg-type]
    assert main(["doctor"]) == 0
    with PaperAgent() as agent, sample_library.plain_agent() as folder:
        for question in sample_library.QUESTIONS[:8]:
            answer = agent.ask(question)
            sample_library.check_invariants(answer, agent)
            assert answer.status == folder.ask(question).status, question
        best = [h.paper_id for h in agent.search("retrieval of passages", k=3)]
        assert best == [h.paper_id for h in folder.search("retrieval of passages", k=3)]
    assert home.is_dir()


def test_a_digest_reads_the_server_and_keeps_its_readers_here(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The issue's papers come from the server; the ledger is in the person's folder."""
    assert main(["ingest", str(sample_path()), "--date", "2026-07-01", "--quiet"]) == 0
    out = home.parent / "pages"
    days = ["--since", "2026-07-01", "--until", "2026-07-01"]
    assert main(["digest", "preview", *days, "--out", str(out)]) == 0
    capsys.readouterr()
    pages = "".join(p.read_text(encoding="utf-8") for p in out.rglob("*.txt"))
    assert "Tindersift" in pages


def test_a_share_that_is_none_is_a_wrong_argument(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, before anything is read."""
    assert main(["ingest", str(sample_path()), "--shard", "3/2"]) == 2
    assert "invalid shard 3/2" in capsys.readouterr().err


def test_an_ingest_after_a_kill_reports_the_papers_that_there_are(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was killed between the two writes of embedding is moved again before it is counted."""

    def killed(*_: object, where: object = None) -> None:
        if where is not None:  # as the catch-up deletes what it has moved
            raise KeyboardInterrupt

    assert not home.exists()
    with PaperAgent() as agent:
        agent._embedding_models = sample_library.models(FakeEncoder())
        agent.ingest(sample_path(), date="2026-07-01", vectors=False)
        with monkeypatch.context() as patched:
            patched.setattr(Collection, "delete", killed)
            with pytest.raises(KeyboardInterrupt):
                agent.ingest(sample_path(), date="2026-07-01")
        report = agent.ingest(sample_path(), date="2026-07-01")
        assert (report.papers, report.pending) == (len(sample_library.papers()), 0)
        assert agent.doctor().ok
