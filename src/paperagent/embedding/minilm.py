"""Local embeddings: all-MiniLM-L6-v2 in onnxruntime, no PyTorch.

Texts are never batched. Each goes through the network alone, on one of a few threads that
share one single-threaded session. Measured on two cores with 192 abstracts: 107 texts a
second against 97 for batches of 4 on two threads, because nothing is spent on padding. And
the scales of dynamic int8 belong to a batch: alone, a text's vector never depends on its
neighbours, so it is the same in every run.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from paperagent.errors import ConfigError, visible
from paperagent.text.sanitize import replace_surrogates
from paperagent.types import Encoded

if TYPE_CHECKING:
    from paperagent.types import Matrix, Vector

Precision = Literal["int8", "fp32"]

DIM = 384
MAX_TOKENS = 256
"""Longer texts are cut, as the model was trained; special tokens count."""
FOLDER = "all-MiniLM-L6-v2"
"""Name of the model's folder inside the cache."""
TOKENIZER, MANIFEST = "tokenizer.json", "manifest.json"
FILES: Mapping[Precision, str] = {"int8": "int8.onnx", "fp32": "fp32.onnx"}
FOREIGN = "model.onnx"
"""An exported network without pooling, as Chroma keeps it."""

_PULL = "run `paperagent models pull`"
_MAX_CHARS = 20_000
"""Far more than 256 tokens of prose: bounds the tokenizer's work on hostile text."""
_AHEAD = 4
"""Texts in flight for each thread."""

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class MiniLM:
    """The encoder. Implements `types.Embedder` and `types.TokenEncoder`; safe to share between threads."""

    dim = DIM

    def __init__(self, network: _Network, tokenizer: Any, *, embedder_id: str, threads: int) -> None:
        self.embedder_id = embedder_id
        self._network = network
        self._tokenizer = tokenizer
        self._threads = threads

    @classmethod
    def load(cls, folder: Path, *, precision: Precision = "int8", threads: int | None = None) -> MiniLM:
        """Load the model that lies in ``folder``.

        A folder without an int8 file (such as Chroma's cache) is used at full precision, and
        ``embedder_id`` says so. ``threads`` defaults to the cores this process may use.

        Raises:
            ConfigError: a file is missing, damaged or of another model.
        """
        name = _choose(folder, precision)
        _check_sizes(folder, (name, TOKENIZER))
        found: Precision = "int8" if name == FILES["int8"] else "fp32"
        return cls(
            _Network(folder / name),
            _load_tokenizer(folder / TOKENIZER),
            embedder_id=f"minilm-l6-v2-{found}",
            threads=threads or available_cores(),
        )

    def embed(self, texts: Iterable[str]) -> Iterator[Vector]:
        """Yield one unit vector [384] a text, in order; reads ``texts`` only a little ahead.

        Raises:
            ConfigError: the network gives values that are not finite.
        """
        return _in_order(self._vector, texts, threads=self._threads)

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return vector, token states and code-point spans of each text, special tokens left out.

        Raises:
            ConfigError: the network gives values that are not finite.
        """
        return list(_in_order(self._encoded, texts, threads=self._threads))

    def _vector(self, text: str) -> Vector:
        return self._network.pooled(self._tokenizer.encode(_clean(text)).ids)

    def _encoded(self, text: str) -> Encoded:
        tokens = self._tokenizer.encode(_clean(text))
        vector, states = self._network.pooled_and_states(tokens.ids)
        kept = [i for i, special in enumerate(tokens.special_tokens_mask) if not special]
        return Encoded(vector=vector, states=states[kept], spans=tuple(tokens.offsets[i] for i in kept))


def find_model(model_dir: Path | None, cache_dir: Path) -> Path | None:
    """Return the folder of a usable model: ``model_dir``, our cache or Chroma's; None where there is none.

    Raises:
        ConfigError: ``model_dir`` is given but lacks a file.
    """
    if model_dir is not None:
        _choose(model_dir, "int8")
        return model_dir
    for folder in (cache_dir / FOLDER, chroma_cache()):
        if _network_file(folder, "int8") and (folder / TOKENIZER).is_file():
            return folder
    return None


def chroma_cache() -> Path:
    """Return the folder in which chromadb keeps its default model, which need not exist."""
    return Path("~/.cache/chroma/onnx_models").expanduser() / FOLDER / "onnx"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Network:
    """One ONNX session, ours (``embedding`` and ``tokens``) or an export without pooling."""

    def __init__(self, path: Path) -> None:
        self._session = _open_session(path)
        inputs = {i.name for i in self._session.get_inputs()}
        outputs = [o.name for o in self._session.get_outputs()]
        self._ours = {"embedding", "tokens"} <= set(outputs)
        self._states = "tokens" if self._ours else outputs[0]
        self._wants_types = "token_type_ids" in inputs
        if not {"input_ids", "attention_mask"} <= inputs:
            raise ConfigError(f"model {_shown(path)}: not a sentence encoder; {_PULL}")

    def pooled(self, ids: Sequence[int]) -> Vector:
        if not self._ours:
            return self.pooled_and_states(ids)[0]
        return _finite(self._run(["embedding"], ids)[0][0])

    def pooled_and_states(self, ids: Sequence[int]) -> tuple[Vector, Matrix]:
        if self._ours:
            vectors, states = self._run(["embedding", self._states], ids)
            return _finite(vectors[0]), _unit(states[0])
        states = self._run([self._states], ids)[0]
        return _finite(_unit(states[0].mean(axis=0))), _unit(states[0])

    def _run(self, outputs: list[str], ids: Sequence[int]) -> list[Any]:
        import numpy as np

        row = np.array([ids], np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row)}
        if self._wants_types:
            feed["token_type_ids"] = np.zeros_like(row)
        results: list[Any] = self._session.run(outputs, feed)
        return results


def _open_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Every text has its own length. A memory plan kept for each length grows for no gain;
    # the arena alone stays flat and is as fast (600 lengths: 129 MB against 140 MB).
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no root but Exception
        raise ConfigError(f"model {_shown(path)}: cannot be loaded; {_PULL}") from error


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigError(f"model {_shown(path)}: cannot be loaded; {_PULL}") from error
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    # A "[SEP]" or "[MASK]" written in an abstract is text, not a signal to the network.
    tokenizer.encode_special_tokens = True
    return tokenizer


def _choose(folder: Path, precision: Precision) -> str:
    """Return the name of the network file to use.

    Raises:
        ConfigError: naming the file that is missing.
    """
    if not folder.is_dir():
        raise ConfigError(f"model folder {_shown(folder)}: does not exist; {_PULL}, or correct the path")
    name = _network_file(folder, precision)
    for wanted, there in ((name or FILES[precision], name), (TOKENIZER, (folder / TOKENIZER).is_file())):
        if not there:
            raise ConfigError(f"model folder {_shown(folder)}: {wanted} is missing; {_PULL}")
    assert name is not None
    return name


def _network_file(folder: Path, precision: Precision) -> str | None:
    names = (FILES["fp32"], FOREIGN) if precision == "fp32" else (FILES["int8"], FILES["fp32"], FOREIGN)
    return next((name for name in names if (folder / name).is_file()), None)


def _check_sizes(folder: Path, names: Iterable[str]) -> None:
    """Compare sizes with the manifest, where there is one: a cut file is found without reading it."""
    expected = read_manifest(folder).get("files", {})
    for name in names:
        size = (folder / name).stat().st_size
        wanted = expected.get(name, {}).get("size", size)
        if size != wanted:
            raise ConfigError(f"model {_shown(folder / name)}: {size} bytes instead of {wanted}; {_PULL}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what `models.pull` wrote about ``folder``, or ``{}``: ``{"files": {name: {"sha256", "size"}}}``.

    Raises:
        ConfigError: the manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_bytes())
        if all(isinstance(entry, dict) for entry in manifest["files"].values()):
            return dict(manifest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"model {_shown(path)}: cannot be read; {_PULL}") from error
    raise ConfigError(f"model {_shown(path)}: is not a manifest; {_PULL}")


def _in_order(function: Callable[[_In], _Out], items: Iterable[_In], *, threads: int) -> Iterator[_Out]:
    """Yield ``function(item)`` in order, computed on ``threads`` threads, a few items ahead."""
    source = iter(items)
    head = list(itertools.islice(source, 2))
    if len(head) < 2:  # one question: starting threads would cost a third of its time
        yield from map(function, head)
        return
    waiting: deque[Future[_Out]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="minilm")
    try:
        for item in itertools.chain(head, source):
            waiting.append(pool.submit(function, item))
            if len(waiting) >= threads * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _clean(text: str) -> str:
    return replace_surrogates(text[:_MAX_CHARS])


def _unit(rows: Matrix) -> Matrix:
    import numpy as np

    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: Matrix = rows / np.maximum(length, np.float32(1e-12))
    return unit


def _finite(vector: Vector) -> Vector:
    """Return ``vector``, checked: one NaN in an index makes its searches return junk without an error."""
    import numpy as np

    if vector.shape != (DIM,) or not np.isfinite(vector).all():
        raise ConfigError(f"model: gives {vector.shape} values that cannot be a vector of {DIM}; {_PULL}")
    return vector


def _shown(path: Path) -> str:
    return visible(str(path), limit=200)
