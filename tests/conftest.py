"""No test reads the settings or the library of the person who runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

KEPT = {
    "PAPERAGENT_SHARED",
    "PAPERAGENT_CACHE_DIR",
    "PAPERAGENT_MODEL_DIR",
    "PAPERAGENT_TEST_LOCAL_MODEL",
}
OURS = ("PAPERAGENT_", "OPENAI_")
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run in an empty folder with no setting but a library's folder of its own."""
    for key in os.environ:
        if (key.startswith(OURS) and key not in KEPT) or key.upper() in PROXIES:
            monkeypatch.delenv(key)
    for key in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(key, raising=False)
    base = tmp_path_factory.mktemp("person")
    (base / "work").mkdir()
    monkeypatch.chdir(base / "work")
    monkeypatch.setenv("PAPERAGENT_HOME", str(base / "home"))


@pytest.fixture(autouse=True)
def _strangers() -> None:
    """Know nothing of any server: the port of one that an earlier test started may come again."""
    if dialect := sys.modules.get("paperagent.llm.dialect"):
        dialect.forget_dialects()


@pytest.fixture(scope="session")
def sample_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a process whose library holds the sample feed, words alone."""
    from paperagent.feeds.reader import sample_path

    base = tmp_path_factory.mktemp("sample")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(OURS) and k.upper() not in PROXIES}
    environ |= {
        "PAPERAGENT_HOME": str(base / "library"),
        "PAPERAGENT_EMBEDDER": "none",
        "TERM": "xterm-256color",
    }
    environ["PROMPT_TOOLKIT_NO_CPR"] = "1"  # nobody answers a terminal's questions in a test
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "paperagent", "ingest", "--quiet", str(sample_path())]
    subprocess.run(command, env=environ, check=True, timeout=120)
    return environ


@pytest.fixture(scope="session")
def llama_address() -> Iterator[str]:
    """Give the address of llama.cpp's server on a tiny random model."""
    import llama_server

    if reason := llama_server.missing():
        pytest.skip(reason)
    with llama_server.serving() as url:
        yield url
