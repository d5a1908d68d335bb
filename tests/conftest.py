"""Fixtures that isolate the tests from the settings and the library of the user who runs them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# On a machine whose cores are all busy, the threads of a matrix product spend ten times its time in waiting.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Tests must not fail because the machine is busy.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

PRESERVED = {
    "PAPERAGENT_SHARED",
    "PAPERAGENT_CACHE_DIR",
    "PAPERAGENT_MODEL_DIR",
    "PAPERAGENT_TEST_LOCAL_MODEL",
}
PREFIXES = ("PAPERAGENT_", "OPENAI_")
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without collecting garbage, and spare later garbage collections to visit them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run each test in an empty folder, with no settings except the folder of its own library."""
    for key in os.environ:
        if (key.startswith(PREFIXES) and key not in PRESERVED) or key.upper() in PROXIES:
            monkeypatch.delenv(key)
    for key in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(key, raising=False)
    base = tmp_path_factory.mktemp("person")
    (base / "work").mkdir()
    monkeypatch.chdir(base / "work")
    monkeypatch.setenv("PAPERAGENT_HOME", str(base / "home"))


@pytest.fixture(autouse=True)
def _forget_servers() -> None:
    """Forget what was learned about servers, because a later test may get the same port."""
    if dialect := sys.modules.get("paperagent.llm.dialect"):
        dialect.forget_dialects()


@pytest.fixture(scope="session")
def sample_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a process whose library holds the sample feed, without vectors."""
    from paperagent.feeds.reader import sample_path

    base = tmp_path_factory.mktemp("sample")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(PREFIXES) and k.upper() not in PROXIES}
    environ |= {
        "PAPERAGENT_HOME": str(base / "library"),
        "PAPERAGENT_EMBEDDER": "none",
        "TERM": "xterm-256color",
    }
    environ["PROMPT_TOOLKIT_NO_CPR"] = "1"  # no terminal replies to queries in a test
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "paperagent", "ingest", "--quiet", str(sample_path())]
    subprocess.run(command, env=environ, check=True, timeout=120)
    return environ


@pytest.fixture(scope="session")
def llama_address() -> Iterator[str]:
    """Yield the URL of a llama.cpp server with a tiny random model."""
    import llama_server

    if reason := llama_server.missing():
        pytest.skip(reason)
    with llama_server.serving() as url:
        yield url
