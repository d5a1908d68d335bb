"""OpenAI's Batch API, played by a server on this machine: sent, waited for, collected, resumed."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paperagent import ConfigError, PaperAgent
from paperagent.cli.main import main
from paperagent.embedding import openai as module
from paperagent.embedding.openai import BATCH_SETTING, text_hash
from paperagent.errors import EndpointError
from paperagent.feeds.formats.jsonl import dump
from paperagent.testing import Reply, Request, ScriptedServer, error_reply, fake_vector

sys.path.append(str(Path(__file__).parent / "store"))

from library_helpers import TODAY, papers

DIM = 8
EMBEDDER = "openai:test-model"


class BatchServer(ScriptedServer):
    """Holds files and batches; a batch is done when the test says so."""

    def __init__(self) -> None:
        super().__init__(dim=DIM)
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.lose_reply = False

    def respond(self, request: Request, authorization: str | None = None) -> Reply:
        """Answer as OpenAI does; embeddings are the scripted server's."""
        path = request.path.partition("?")[0].removeprefix("/v1")
        if not path.startswith(("/files", "/batches")):
            return super().respond(request, authorization)
        self.history.append(request)
        if path == "/files":
            name = f"file-{len(self.files)}"
            self.files[name] = _uploaded(request.body)
            return Reply({"id": name, "object": "file", "purpose": "batch"})
        if path.startswith("/files/"):
            return Reply(self.files[path.split("/")[2]].decode(), headers={"Content-Type": "text/plain"})
        if request.method == "POST":
            return self._create(request.json())
        if path == "/batches":
            return Reply({"object": "list", "data": list(reversed(self.batches.values())), "has_more": False})
        return Reply(self.batches[path.split("/")[2]])

    def _create(self, body: dict[str, Any]) -> Reply:
        name = f"batch-{len(self.batches)}"
        made = {"id": name, "status": "validating", "metadata": body["metadata"]}
        self.batches[name] = {**made, "input_file_id": body["input_file_id"], "endpoint": body["endpoint"]}
        if self.lose_reply:
            self.lose_reply = False
            return error_reply(400, "lost on the way")
        return Reply(self.batches[name])

    def inputs(self, name: str) -> list[dict[str, Any]]:
        """Return the requests of a batch."""
        return [json.loads(x) for x in self.files[self.batches[name]["input_file_id"]].splitlines()]

    def finish(self, name: str, *, status: str = "completed", failing: int = 0, skip: int = 0) -> None:
        """Complete a batch, its first ``failing`` requests in the file of errors, ``skip`` in none."""
        lines, faults = [], []
        for place, row in enumerate(self.inputs(name)):
            if place < failing:
                faults.append({"custom_id": row["custom_id"], "error": {"code": "batch_expired"}})
            elif place >= failing + skip:
                raw = np.array(fake_vector(row["body"]["input"], DIM), "<f4").tobytes()
                body = {"data": [{"embedding": base64.b64encode(raw).decode()}]}
                lines.append({"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}})
        lines.reverse()  # the order of results is not that of the requests
        self.files[f"{name}-out"] = "".join(json.dumps(x) + "\n" for x in lines).encode()
        self.files[f"{name}-err"] = "".join(json.dumps(x) + "\n" for x in faults).encode()
        batch = self.batches[name]
        batch |= {"status": status, "output_file_id": f"{name}-out"}
        if faults:
            batch["error_file_id"] = f"{name}-err"


def _uploaded(body: bytes | str) -> bytes:
    """Return the file of a multipart form."""
    raw = body if isinstance(body, bytes) else body.encode()
    match = re.search(rb'name="file".*?\r\n\r\n(.*?)\r\n--', raw, re.DOTALL)
    assert match
    return match[1]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    """Give a running server."""
    with BatchServer() as made:
        yield made


@pytest.fixture
def agent(server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperAgent]:
    """Return an agent with 40 papers and no vectors."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-tests")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    with PaperAgent(tmp_path / "home", embedder=EMBEDDER, mode="extractive") as made:
        made._open_store(create=True).ingest(papers(40), today=TODAY)
        yield made


def check(agent: PaperAgent, count: int) -> None:
    """Assert that so many papers have the vector of exactly their text."""
    found = agent._open_store().get_with_features([p.paper_id for p in agent.papers()]).values()
    held = [a for a in found if a.vector is not None]
    assert len(held) == count
    for a in held:
        wanted = np.array(fake_vector(f"{a.paper.title}\n{a.paper.abstract}", DIM))
        assert a.vector is not None
        assert float(a.vector @ (wanted / np.linalg.norm(wanted))) == pytest.approx(1, abs=2e-3)


def test_a_backlog_is_sent_waited_for_and_collected(agent: PaperAgent, server: BatchServer) -> None:
    """Three calls: sent, not ready yet, collected; each paper gets its own vector, nothing is paid twice."""
    first = agent.embed(by="batch")
    assert (first.embedded, first.pending) == (0, 40)
    assert "pending batches: 1, the first batch-0" in first.notes[-1]
    rows = server.inputs("batch-0")
    assert len(rows) == 40
    assert rows[0]["custom_id"] == text_hash(rows[0]["body"]["input"])
    assert {(r["method"], r["url"], r["body"]["model"]) for r in rows} == {
        ("POST", "/v1/embeddings", "test-model")
    }
    assert agent.embed(by="batch").pending == 40
    assert len(server.batches) == 1
    server.finish("batch-0")
    last = agent.embed(by="batch")
    assert (last.embedded, last.pending) == (40, 0)
    check(agent, 40)
    assert agent.embed(by="batch").embedded == 0
    assert len(server.batches) == 1


def test_an_ingest_sends_and_collects_them_too(
    agent: PaperAgent,
    server: BatchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`ingest --batch` reads, sends what waits, and collects what is back, as `embed --batch` does."""
    monkeypatch.setenv("PAPERAGENT_HOME", str(agent.settings.home))
    monkeypatch.setenv("PAPERAGENT_EMBEDDER", EMBEDDER)
    monkeypatch.setenv("CI", "true")
    more = agent.settings.home.parent / "more.jsonl"
    more.write_text("".join(f"{dump(p)}\n" for p in papers(50)))
    assert main(["ingest", str(more), "--batch", "--json"]) == 0
    sent = json.loads(capsys.readouterr().out)
    assert (sent["new"], sent["vectors"]) == (10, {"added": 0, "pending": 50})
    assert "pending batches: 1" in sent["notes"][-1]
    server.finish("batch-0")
    assert main(["ingest", str(more), "--batch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vectors"] == {"added": 50, "pending": 0}
    check(agent, 50)
    assert main(["ingest", str(more), "--batch", "--no-vectors"]) == 2


def test_a_big_backlog_is_cut_into_batches(
    agent: PaperAgent, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may finish one by one, and are taken up in the order in which they were sent."""
    monkeypatch.setattr(module, "MAX_BATCH_INPUTS", 15)
    agent.embed(by="batch")
    assert [len(server.inputs(name)) for name in server.batches] == [15, 15, 10]
    server.finish("batch-0")
    assert agent.embed(by="batch").pending == 25
    server.finish("batch-2")
    server.finish("batch-1")
    assert agent.embed(by="batch").pending == 0
    check(agent, 40)


def test_what_failed_in_a_batch_is_embedded_directly(agent: PaperAgent, server: BatchServer) -> None:
    """An expired batch gives what it has; the rest costs one request each."""
    agent.embed(by="batch")
    server.finish("batch-0", status="expired", failing=3, skip=2)
    done = agent.embed(by="batch")
    assert done.pending == 0
    assert any("expired" in note for note in done.notes)
    direct = [r for r in server.history if r.path.endswith("/v1/embeddings")]
    assert len(direct) == 5 + 1  # and one to learn the number of dimensions
    check(agent, 40)


def test_a_text_that_changed_meanwhile_gets_its_own_vector(agent: PaperAgent, server: BatchServer) -> None:
    """The batch's vector of the former text is not taken for it; new papers wait for the next batch."""
    agent.embed(by="batch")
    changed = papers(1)[0]
    store = agent._open_store()
    store.ingest([*papers(3, 40)], today=TODAY)
    from dataclasses import replace

    store.ingest([replace(changed, abstract="Another text stands here now.")], today=TODAY)
    server.finish("batch-0")
    done = agent.embed(by="batch")
    assert done.pending == 4
    check(agent, 39)
    server.finish("batch-1")
    assert agent.embed(by="batch").pending == 0
    check(agent, 43)


def test_a_batch_whose_id_was_lost_is_found_again(agent: PaperAgent, server: BatchServer) -> None:
    """A kill between the server's yes and our note costs nothing: the batch carries the library's mark."""
    server.lose_reply = True
    with pytest.raises(EndpointError, match="lost on the way"):
        agent.embed(by="batch")
    assert agent._open_store().get_setting(BATCH_SETTING)["open"] == []
    assert "pending batches: 1" in agent.embed(by="batch").notes[-1]
    assert len(server.batches) == 1
    server.finish("batch-0")
    assert agent.embed(by="batch").pending == 0


def test_a_batch_of_another_library_is_left_alone(
    agent: PaperAgent, server: BatchServer, tmp_path: Path
) -> None:
    """Two libraries with one key do not take each other's batches."""
    agent.embed(by="batch")
    with PaperAgent(tmp_path / "other", embedder=EMBEDDER, mode="extractive") as other:
        other._open_store(create=True).ingest(papers(5), today=TODAY)
        other.embed(by="batch")
        assert len(server.inputs("batch-1")) == 5
        assert agent._open_store().get_setting(BATCH_SETTING)["open"] == ["batch-0"]


def test_a_batch_that_the_server_refuses_is_told_and_not_sent_again_at_once(
    agent: PaperAgent, server: BatchServer
) -> None:
    """Its reason is shown; the next call sends anew."""
    agent.embed(by="batch")
    server.batches["batch-0"] |= {"status": "failed", "errors": {"data": [{"message": "no quota\x1b[2J"}]}}
    told = agent.embed(by="batch")
    assert told.notes == (r"batch batch-0 failed: no quota\x1b[2J",)
    assert len(server.batches) == 1
    agent.embed(by="batch")
    assert len(server.batches) == 2


def test_a_result_of_another_size_or_none_is_refused(agent: PaperAgent, server: BatchServer) -> None:
    """Vectors of another model never get in; a line that is no result counts as failed."""
    agent.embed(by="batch")
    server.finish("batch-0")
    raw = base64.b64encode(np.ones(4, "<f4").tobytes()).decode()
    row = {"custom_id": server.inputs("batch-0")[0]["custom_id"]}
    body = {"data": [{"embedding": raw}]}
    server.files["batch-0-out"] = b"not json\n" + json.dumps({**row, "response": {"body": body}}).encode()
    with pytest.raises(EndpointError, match="vectors of 4 numbers instead of 8"):
        agent.embed(by="batch")


def test_a_local_model_has_no_batch_api(tmp_path: Path) -> None:
    """The message names the setting."""
    from paperagent import config, factory

    with pytest.raises(ConfigError, match="PAPERAGENT_EMBEDDER: none has no Batch API"):
        factory.batch_embedder(config.load(home=tmp_path, embedder="none"), None)
