"""The statements about Chroma's advisories (``docs/paperagent.openvex.json``) hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from library_helpers import run_python
from paperagent.library.local.vector_index import installed_version
from paths import ROOT

VEX = json.loads((ROOT / "docs" / "paperagent.openvex.json").read_text("utf-8"))
CODE = """
import json, os, sys
from contextlib import suppress
from pathlib import Path
from library_helpers import FakeEmbedder, candidate_ids, fill
from paperagent.library import LocalStore

listening = []
def watch(event, arguments):
    if event in ("socket.bind", "socket.listen"):
        listening.append(str(arguments))
sys.addaudithook(watch)
embedder = FakeEmbedder()
with LocalStore(Path(sys.argv[1]), create=True) as store:
    fill(store, 30, embedder=embedder)
    store.reindex(embedder=embedder)
    assert candidate_ids(store, vector=embedder.one("retrieval"))
    assert store.doctor().ok
if sys.platform == "linux":  # sockets of native code are not announced; those between its threads are not TCP
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6", "udp", "udp6")]
    network = {line.split()[9] for table in tables for line in table.splitlines()[1:]}
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the descriptor of the list itself
            target = os.readlink(f"/proc/self/fd/{number}")
            if target.removeprefix("socket:[").removesuffix("]") in network:
                listening.append(target)
servers = [m for m in sys.modules if m.startswith(("chromadb.server", "fastapi", "uvicorn", "transformers"))]
print(json.dumps({"sockets": listening, "modules": servers}))
"""


def test_the_embedded_chroma_starts_no_server(tmp_path: Path) -> None:
    """A library that is filled, rebuilt, searched and checked opens no socket and loads no server."""
    result = run_python(CODE, tmp_path / "home")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"sockets": [], "modules": []}


def test_each_advisory_has_a_complete_statement() -> None:
    """Those of the guide to servers, for the version of Chroma that is installed."""
    guide = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    names = {name for s in VEX["statements"] for name in _names(s["vulnerability"])}
    assert names == set(re.findall(r"CVE-\d+-\d+|GHSA(?:-\w{4}){3}", guide))
    for statement in VEX["statements"]:
        (product,) = statement["products"]
        assert product["@id"] == "pkg:pypi/paperagent"
        assert product["subcomponents"] == [{"@id": f"pkg:pypi/chromadb@{installed_version()}"}]
        assert statement["status"] == "not_affected"
        assert statement["justification"] == "vulnerable_code_not_in_execute_path"
        assert statement["impact_statement"]
    assert {"@context", "@id", "author", "timestamp", "version"} <= set(VEX)


def _names(vulnerability: dict[str, Any]) -> list[str]:
    return [vulnerability["name"], *vulnerability.get("aliases", [])]
