"""Fixtures of the tests of the web page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import client

from paperagent import PaperAgent
from paperagent.feeds.reader import sample_path


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a library with the sample papers, searched by words. Tests must not change it."""
    home = tmp_path_factory.mktemp("web") / "library"
    with PaperAgent(home, embedder="none", mode="extractive") as agent:
        agent.ingest(sample_path())
    return home


@pytest.fixture
def web(sample_home: Path) -> Iterator[TestClient]:
    """Yield a client of the sample library's site."""
    with PaperAgent(sample_home, embedder="none", mode="extractive") as agent, client(agent) as http:
        yield http
