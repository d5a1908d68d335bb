"""Embedding by Ray: a real local cluster, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from paperagent.embedding.ray_job import RayEmbedder
from paperagent.errors import ConfigError, InputError

sys.path.append(str(Path(__file__).parent / "store"))

from library_helpers import FakeEmbedder

NEEDED = ("ray", "pandas", "pyarrow")
here = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="the extra 'ray' is not installed",
)

JOB = """
import json, sys
from functools import partial
from pathlib import Path
from library_helpers import TODAY, FakeEmbedder, papers
from paperagent.embedding.ray_job import RayEmbedder
from paperagent.library import LocalStore

plain = FakeEmbedder()
with LocalStore(Path(sys.argv[1]), create=True) as store:
    store.ingest(papers(300), today=TODAY)
    pool = RayEmbedder(partial(FakeEmbedder), embedder_id="fake", dim=16, workers=2)
    try:
        done = store.embed_pending(pool, batch=200)
        again = store.embed_pending(pool, batch=200)
    finally:
        pool.close()
    arrivals = store.get_with_features([p.paper_id for p in papers(300)])
    right = sum(
        abs(float(a.vector @ plain.one(f"{a.paper.title}\\n{a.paper.abstract}")) - 1) < 1e-3
        for a in arrivals.values()
    )
    print(json.dumps([done, again, right, store.doctor().ok]))
"""


@here
def test_a_backlog_is_embedded_by_a_pool_of_actors(tmp_path: Path) -> None:
    """Every paper gets its own vector, whatever order the actors finish in; a second run does nothing."""
    folder = str(Path(__file__).parent / "store")
    environ = {**os.environ, "PYTHONPATH": folder, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(JOB), str(tmp_path / "home")],
        env=environ,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # One line of Ray's core stays, which writes past every level of Python's.
    assert not re.search("deprecated|Dataset|Progress bars", done.stderr)
    assert done.stdout.strip().splitlines()[-1] == "[[300, 0], [0, 0], 300, true]"


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel is large, so it is no dependency."""
    monkeypatch.setitem(sys.modules, "ray", None)
    pool = RayEmbedder(partial(FakeEmbedder), embedder_id="fake", dim=16, workers=1)
    with pytest.raises(ConfigError, match=r"pip install 'paperagent\[ray\]'"):
        list(pool.embed(["x"]))


def test_a_pool_without_workers_is_refused() -> None:
    """It would wait for ever."""
    with pytest.raises(InputError, match="workers"):
        RayEmbedder(partial(FakeEmbedder), embedder_id="fake", dim=16, workers=0)
