"""Local embeddings: all-MiniLM-L6-v2 in onnxruntime, no PyTorch.

Texts are never batched. Each goes through the network alone, on one of a few threads that share one
single-threaded session. Measured on two cores with 192 abstracts: 107 texts per second, against 97 for
batches of 4 on two threads, because no time is spent on padding. Dynamic int8 computes its scales per
batch, so a text embedded alone also has the same vector in every run.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from paperagent.errors import ConfigError, display_path, visible
from paperagent.text.sanitize import replace_surrogates
from paperagent.types import Encoded

if TYPE_CHECKING:
    from paperagent.types import Matrix, Vector

Precision = Literal["int8", "fp32"]

DIM = 384
MAX_TOKENS = 256
"""Longer texts are truncated, as in the model's training. Special tokens count."""
FOLDER = "all-MiniLM-L6-v2"
"""Name of the model's folder inside the cache."""
TOKENIZER, MANIFEST = "tokenizer.json", "manifest.json"
FILES: Mapping[Precision, str] = {"int8": "int8.onnx", "fp32": "fp32.onnx"}
EXPORTED_MODEL = "model.onnx"
"""An exported network without pooling, as in Chroma's cache."""

_PULL_FIX = "run `paperagent models pull`"
_MAX_CHARS = 20_000
"""Far more than 256 tokens of prose: limits the tokenizer's work on hostile text."""
_TEXTS_PER_THREAD = 4
"""Texts queued for each thread."""

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class MiniLM:
    """The encoder. Implements `types.Embedder` and the pipeline's sentence encoder. Thread-safe."""

    dim = DIM

    def __init__(self, network: _Network, tokenizer: Any, *, embedder_id: str, threads: int) -> None:
        self.embedder_id = embedder_id
        self._network = network
        self._tokenizer = tokenizer
        self._threads = threads

    @classmethod
    def load(cls, folder: Path, *, precision: Precision = "int8", threads: int | None = None) -> MiniLM:
        """Load the model in ``folder``.

        Args:
            folder: Holds the network and the tokenizer.
            precision: A folder without an int8 file, such as Chroma's cache, is used at full precision,
                and ``embedder_id`` reflects that.
            threads: Defaults to the cores this process may use.

        Raises:
            ConfigError: A file is missing, damaged or belongs to another model.
        """
        name = _choose_network(folder, precision)
        _check_sizes(folder, (name, TOKENIZER))
        actual_precision: Precision = "int8" if name == FILES["int8"] else "fp32"
        return cls(
            _Network(folder / name),
            _load_tokenizer(folder / TOKENIZER),
            embedder_id=f"minilm-l6-v2-{actual_precision}",
            threads=threads or available_cores(),
        )

    def embed(self, texts: Iterable[str]) -> Iterator[Vector]:
        """Yield one unit vector [384] per text, in order; reads ``texts`` only a little ahead.

        Raises:
            ConfigError: The network returns values that are not finite.
        """
        return _in_order(self._vector, texts, threads=self._threads)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return vector, token states and code-point spans of each text, without special tokens.

        Raises:
            ConfigError: The network returns values that are not finite.
        """
        return list(_in_order(self._encoded, texts, threads=self._threads))

    def _vector(self, text: str) -> Vector:
        return self._network.pooled(self._tokenizer.encode(_truncate(text)).ids)

    def _encoded(self, text: str) -> Encoded:
        tokens = self._tokenizer.encode(_truncate(text))
        vector, states = self._network.pooled_and_states(tokens.ids)
        indices = [i for i, special in enumerate(tokens.special_tokens_mask) if not special]
        spans = tuple(tokens.offsets[i] for i in indices)
        return Encoded(vector=vector, states=states[indices], spans=spans)


def find_model_folder(model_dir: Path | None, cache_dir: Path) -> Path | None:
    """Return the folder of a usable model: ``model_dir``, else our cache or Chroma's; None if there is none.

    Raises:
        ConfigError: ``model_dir`` is given but lacks a file.
    """
    if model_dir is not None:
        _choose_network(model_dir, "int8")
        return model_dir
    for folder in (cache_dir / FOLDER, chroma_cache()):
        if _find_network(folder, "int8") and (folder / TOKENIZER).is_file():
            return folder
    return None


def chroma_cache() -> Path:
    """Return the folder of chromadb's default model, which may not exist."""
    return Path("~/.cache/chroma/onnx_models").expanduser() / FOLDER / "onnx"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Network:
    """An ONNX session: of our own graph (``embedding`` and ``tokens``) or of an export without pooling."""

    def __init__(self, path: Path) -> None:
        self._session = _open_session(path)
        inputs = {i.name for i in self._session.get_inputs()}
        outputs = [o.name for o in self._session.get_outputs()]
        self._has_pooling = {"embedding", "tokens"} <= set(outputs)
        self._states_output = "tokens" if self._has_pooling else outputs[0]
        self._needs_token_types = "token_type_ids" in inputs
        if not {"input_ids", "attention_mask"} <= inputs:
            raise ConfigError(f"model {display_path(path)}: not a sentence encoder; {_PULL_FIX}")

    def pooled(self, ids: Sequence[int]) -> Vector:
        if not self._has_pooling:
            return self.pooled_and_states(ids)[0]
        return _finite(self._run(["embedding"], ids)[0][0])

    def pooled_and_states(self, ids: Sequence[int]) -> tuple[Vector, Matrix]:
        if self._has_pooling:
            vectors, states = self._run(["embedding", self._states_output], ids)
            return _finite(vectors[0]), _unit(states[0])
        states = self._run([self._states_output], ids)[0]
        return _finite(_unit(states[0].mean(axis=0))), _unit(states[0])

    def _run(self, outputs: list[str], ids: Sequence[int]) -> list[Any]:
        import numpy as np

        row = np.array([ids], np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row)}
        if self._needs_token_types:
            feed["token_type_ids"] = np.zeros_like(row)
        results: list[Any] = self._session.run(outputs, feed)
        return results


def _open_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Texts differ in length, and a memory plan for each length only grows. The arena alone stays
    # flat and is as fast (600 lengths: 129 MB against 140 MB).
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise ConfigError(f"model {display_path(path)}: cannot be loaded; {_PULL_FIX}") from error


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigError(f"model {display_path(path)}: cannot be loaded; {_PULL_FIX}") from error
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    # "[SEP]" or "[MASK]" in an abstract is text, not a control token.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _choose_network(folder: Path, precision: Precision) -> str:
    """Return the name of the network file to use.

    Raises:
        ConfigError: The folder or a file is missing.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"model folder {display_path(folder)}: does not exist; {_PULL_FIX}, or correct the path"
        )
    name = _find_network(folder, precision)
    missing = None if name else FILES[precision]
    if name and not (folder / TOKENIZER).is_file():
        missing = TOKENIZER
    if name is None or missing:
        raise ConfigError(f"model folder {display_path(folder)}: {missing} is missing; {_PULL_FIX}")
    return name


def _find_network(folder: Path, precision: Precision) -> str | None:
    names = (
        (FILES["fp32"], EXPORTED_MODEL)
        if precision == "fp32"
        else (FILES["int8"], FILES["fp32"], EXPORTED_MODEL)
    )
    return next((name for name in names if (folder / name).is_file()), None)


def _check_sizes(folder: Path, names: Iterable[str]) -> None:
    """Compare sizes with the manifest, if there is one, to detect a truncated file without reading it."""
    entries = read_manifest(folder).get("files", {})
    for name in names:
        size = (folder / name).stat().st_size
        expected = entries.get(name, {}).get("size", size)
        if size != expected:
            raise ConfigError(
                f"model {display_path(folder / name)}: {size} bytes instead of {expected}; {_PULL_FIX}"
            )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of ``folder`` (``{"files": {name: {"sha256", "size"}}}``), or ``{}``.

    Raises:
        ConfigError: The manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_bytes())
        if all(isinstance(entry, dict) for entry in manifest["files"].values()):
            return dict(manifest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"model {display_path(path)}: cannot be read; {_PULL_FIX}") from error
    raise ConfigError(f"model {display_path(path)}: not a manifest; {_PULL_FIX}")


def verify(folder: Path) -> list[str]:
    """Check every byte of the model in ``folder`` against its manifest and return the problems."""
    try:
        files: Mapping[str, Any] = read_manifest(folder).get("files", {})
    except ConfigError as error:
        return [str(error)]
    if not files:
        return [f"{MANIFEST} is missing"]
    return [problem for name, entry in files.items() if (problem := _file_problem(folder / name, entry))]


def _file_problem(path: Path, entry: Mapping[str, Any]) -> str | None:
    if not path.is_file():
        return f"{visible(path.name)} is missing"
    if path.stat().st_size != entry.get("size"):
        return f"{visible(path.name)} has {path.stat().st_size} bytes instead of {entry.get('size')}"
    return None if sha256(path) == entry.get("sha256") else f"{visible(path.name)} has a different sha256"


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _in_order(function: Callable[[_In], _Out], items: Iterable[_In], *, threads: int) -> Iterator[_Out]:
    """Yield ``function(item)`` in order, computed on a pool of threads a few items ahead."""
    source = iter(items)
    head = list(itertools.islice(source, 2))
    if len(head) < 2:  # a single question: starting threads would take a third of its time
        yield from map(function, head)
        return
    pending: deque[Future[_Out]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="minilm")
    try:
        for item in itertools.chain(head, source):
            pending.append(pool.submit(function, item))
            if len(pending) >= threads * _TEXTS_PER_THREAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _truncate(text: str) -> str:
    return replace_surrogates(text[:_MAX_CHARS])


def _unit(rows: Matrix) -> Matrix:
    import numpy as np

    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Matrix = rows / np.maximum(length, np.float32(1e-12))
    return unit


def _finite(vector: Vector) -> Vector:
    """Return ``vector`` after a check: one NaN in an index silently corrupts its searches."""
    import numpy as np

    if vector.shape != (DIM,) or not np.isfinite(vector).all():
        raise ConfigError(
            f"model: returned values of shape {vector.shape}, not {DIM} finite numbers; {_PULL_FIX}"
        )
    return vector
