"""Fixtures of the tests of the web page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from web_server import READERS, SECRET, client

from paperagent import PaperAgent
from paperagent.config import load
from paperagent.digest.preferences import Preferences
from paperagent.digest.service import DigestService
from paperagent.factory.digest import digest_service
from paperagent.feeds.reader import sample_path
from sample_library import write_jsonl


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


@pytest.fixture
def digest_home(sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the sample library, with the settings of a digest that has a web page."""
    copy = tmp_path / "library"
    shutil.copytree(sample_home, copy)
    settings = {"HOME": str(copy), "EMBEDDER": "none", "SECRET": SECRET}
    for name, value in {**settings, "PUBLIC_URL": "https://papers.example.org"}.items():
        monkeypatch.setenv(f"PAPERAGENT_{name}", value)
    return copy


@pytest.fixture
def categories(digest_home: Path, tmp_path: Path) -> tuple[str, ...]:
    """Add a paper with categories to that library, whose papers have none; return them."""
    names = ("cs.CL", "cs.IR")
    record = {
        "title": "Passages for Lighthouse Keepers",
        "abstract": "We retrieve passages about lamps. Keepers find 12% more of them.",
        "published": "2026-06-24",
        "categories": names,
    }
    with PaperAgent(digest_home, embedder="none") as agent:
        agent.ingest(write_jsonl(tmp_path / "categories.jsonl", [record]))
    return names


@pytest.fixture
def digest(digest_home: Path) -> Iterator[DigestService]:
    """Yield the digest of that library, with confirmed readers."""
    with digest_service(load()) as service:
        for email, interest in READERS.items():
            service.subscribers.add(email, Preferences.validated([interest]), confirmed=True)
        yield service
