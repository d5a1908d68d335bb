"""What a run was made with: commit, versions, prompts. So that two runs can be told apart."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from paperagent import __version__
from paperagent.llm import prompts

PROMPTS = ("answer", "plan", "repair", "judge")
_LIBRARIES = ("chromadb", "tantivy", "onnxruntime", "numpy", "openai")


def prompts_hash(folder: Path | None) -> str:
    """Return a hash of the prompts that answers are written with.

    Raises:
        ConfigError: one cannot be used.
    """
    return _hash(prompts.load(name, folder).hash for name in PROMPTS)


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of what answers depend on."""
    found = {"paperagent": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_sha() -> str | None:
    """Return the commit of the checkout that this program runs from, else of the current folder.

    Ends in ``-dirty`` where files differ from it. None where there is no git, or no checkout.
    """
    checkout = Path(__file__).resolve().parents[3]
    place = checkout if (checkout / ".git").exists() else Path.cwd()
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(place), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
