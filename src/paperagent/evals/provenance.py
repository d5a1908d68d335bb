"""Record what produced a run (commit, versions, prompts), so that runs can be distinguished."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from paperagent import __version__
from paperagent.llm import prompts

PROMPTS = ("answer", "plan", "repair", "judge")
_DEPENDENCIES = ("chromadb", "tantivy", "onnxruntime", "numpy", "openai")


def prompts_hash(folder: Path | None) -> str:
    """Return a hash of the prompts that answers are written with.

    Raises:
        ConfigError: A prompt is missing or invalid.
    """
    hashes = (prompts.load(name, folder).hash for name in PROMPTS)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of paperagent, Python and the libraries that shape answers."""
    installed = {"paperagent": __version__, "python": platform.python_version()}
    for name in _DEPENDENCIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def git_sha() -> str | None:
    """Return the commit of the checkout that this program runs from, or of the current folder.

    It ends in ``-dirty`` if files were changed. None without git or outside a checkout.
    """
    source = Path(__file__).resolve().parents[3]
    folder = source if (source / ".git").exists() else Path.cwd()
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None
