"""A store of either kind: a folder, and `chroma run` on this machine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import chroma_server
import pytest

from library_helpers import FolderPlace, Place, ServerPlace


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a Chroma server that lasts for all tests."""
    if chroma_server.program() is None:
        pytest.skip("the chroma command is not here; it comes with chromadb")
    with chroma_server.serving(tmp_path_factory.mktemp("chroma") / "data") as url:
        yield url


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Return where a library may be made: in a folder, and on a server."""
    if request.param == "folder":
        yield FolderPlace(tmp_path / "home")
    else:
        yield ServerPlace(request.getfixturevalue("chroma_url"), tmp_path, f"t{uuid.uuid4().hex[:12]}")
