"""Test a vector index in a child process, because Chroma may crash on a damaged one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from paperagent.errors import OutOfResourcesError, PaperAgentError, StoreError, display_path, visible
from paperagent.library.local.database import REPAIR
from paperagent.library.local.vector_index import VectorIndex
from paperagent.storage.sqlite import NO_MEMORY

_SECONDS = 300
"""Time limit. A library of a million papers takes 20 seconds."""
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})
_NO_MEMORY_SIGNS = ("memory allocation", "cannot allocate memory", "memoryerror", "bad_alloc")


def probe(folder: Path, *, embedder_id: str, dim: int) -> None:
    """Open the vector index in ``folder`` and search it, in a child process.

    Raises:
        StoreError: It is damaged.
        OutOfResourcesError: It could not be checked.
    """
    what = f"vector index {display_path(folder)}"
    command = [sys.executable, "-P", "-m", __name__, str(folder), embedder_id, str(dim)]
    try:
        result = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - this program
    except subprocess.TimeoutExpired:
        raise StoreError(f"{what}: damaged: opening it takes over {_SECONDS} seconds; {REPAIR}") from None
    except OSError as error:
        raise OutOfResourcesError(
            f"{what}: check failed: {visible(str(error))}; close other programs and run it again"
        ) from error
    errors = result.stderr.decode(errors="replace").strip()
    if any(message in errors.lower() for message in _NO_MEMORY_SIGNS) or -result.returncode == signal.SIGKILL:
        raise OutOfResourcesError(f"{what}: {NO_MEMORY}")
    if -result.returncode in _CRASHES:
        raise StoreError(f"{what}: damaged: opening it crashes Chroma; {REPAIR}")
    if result.returncode:
        last = visible(errors.splitlines()[-1] if errors else f"exit code {result.returncode}", limit=200)
        raise OutOfResourcesError(f"{what}: check failed: {last}; run the same command again")
    report = json.loads(result.stdout)
    if report:
        raise (OutOfResourcesError if report["resources"] else StoreError)(report["error"])


def _main(folder: str, embedder_id: str, dim: str) -> None:
    """Print the error as JSON; an empty object if there is none."""
    report: dict[str, object] = {}
    try:
        index = VectorIndex(Path(folder), embedder_id=embedder_id, dim=int(dim))
        index.ids()
        index.reachable()
        index.close()
    except PaperAgentError as error:
        report = {"error": str(error), "resources": isinstance(error, OutOfResourcesError)}
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
