"""The library of 74,728 abstracts that the benchmarks search; built once and kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from bare import model_folder
from figures import MissingError, say

CACHE = Path(__file__).resolve().parent / ".cache"
PAPERS = 74_728


def abstracts(shared: Path) -> Path:
    """Return the file of abstracts."""
    path = shared / "data/arxiv/abstracts.jsonl.xz"
    if not path.exists():
        raise MissingError(f"no test data at {path}; name its folder with --shared")
    return path


def large_library(shared: Path) -> Path:
    """Return the folder of the large library; fill it first if necessary, which takes half an hour.

    ``PAPERAGENT_BENCH_HOME`` replaces the default folder ``bench/.cache/library-75k``.
    """
    from paperagent import PaperAgent

    home = Path(os.environ.get("PAPERAGENT_BENCH_HOME") or CACHE / "library-75k")
    home.parent.mkdir(parents=True, exist_ok=True)
    model_folder()
    with PaperAgent(home) as agent:
        if not (home / "library.db").exists() or agent.status()["papers"] < PAPERS:
            agent.ingest(abstracts(shared), vectors=False)
        if agent.status()["vectors"]["pending"]:
            say(f"embedding the papers of {home}: half an hour on two cores; resumes after an interruption")
            agent.ingest(abstracts(shared), progress=_progress)
    return home


def _progress(stage: str, done: int, total: int | None) -> None:
    if stage == "embed" and done % 1000 == 0:
        say(f"  {done:,} of {total or 0:,} embedded")
