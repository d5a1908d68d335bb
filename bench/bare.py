"""The bare engines: the libraries below paperagent, called directly on the same files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import MissingError

if TYPE_CHECKING:
    from paperagent.types import Matrix, Vector


def model_folder() -> Path:
    """Return the folder of the embedding model that paperagent uses."""
    from paperagent import config
    from paperagent.embedding.minilm import find_model_folder

    settings = config.load()
    folder = find_model_folder(settings.model_dir, settings.cache_dir)
    if folder is None:
        raise MissingError("no embedding model; run `paperagent models pull`")
    return folder


def onnx_file() -> Path:
    """Return the ONNX file that paperagent uses."""
    names = ("int8.onnx", "fp32.onnx", "model.onnx")
    return next(path for name in names if (path := model_folder() / name).exists())


class BareModel:
    """The embedding model, called through onnxruntime and tokenizers."""

    def __init__(self) -> None:
        import onnxruntime

        path, provider = str(onnx_file()), ["CPUExecutionProvider"]
        single = onnxruntime.SessionOptions()
        single.intra_op_num_threads = 1
        self._single = onnxruntime.InferenceSession(path, single, providers=provider)
        self._threaded = onnxruntime.InferenceSession(path, providers=provider)
        self._plain, self._padding = _tokenizer(), _tokenizer()
        self._padding.enable_padding()

    def one(self, text: str, outputs: Sequence[str] = ("embedding",)) -> Vector:
        """Embed one text on one thread, which is the fastest way for a short text."""
        ids = self._plain.encode(text).ids
        vector: Vector = _run(self._single, [ids], [[1] * len(ids)], outputs)[0][0]
        return vector

    def each(
        self, texts: Sequence[str], threads: int, outputs: Sequence[str] = ("embedding",)
    ) -> list[Vector]:
        """Embed texts one by one on several threads, which is the fastest way for many: nothing is padded."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda text: self.one(text, outputs), texts))

    def batch(self, texts: Sequence[str], outputs: Sequence[str] = ("embedding",)) -> Matrix:
        """Embed texts in one padded batch, on as many threads as onnxruntime chooses."""
        encoded = self._padding.encode_batch(list(texts))
        masks = [e.attention_mask for e in encoded]
        return _run(self._threaded, [e.ids for e in encoded], masks, outputs)[0]


def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    return tokenizer


def _run(session: Any, ids: object, masks: object, outputs: Sequence[str]) -> list[Matrix]:
    import numpy as np

    feed = {"input_ids": np.array(ids, np.int64), "attention_mask": np.array(masks, np.int64)}
    arrays: list[Matrix] = session.run(list(outputs), feed)
    return arrays


class BareParts:
    """One query embedding, one tantivy search, one Chroma query."""

    def __init__(self, home: Path) -> None:
        import chromadb
        import tantivy

        self.model = BareModel()
        self._query = tantivy.Query
        self._should = tantivy.Occur.Should
        index = tantivy.Index.open(str(home / "lexical"))
        self._schema, self._searcher = index.schema, index.searcher()
        # With the agent's path and settings, Chroma shares one system and one graph in memory.
        client = chromadb.PersistentClient(
            str(home / "vectors"), chromadb.config.Settings(anonymized_telemetry=False)
        )
        self._collection: Any = client.get_collection("papers", embedding_function=None)

    def search(self, text: str, stems: Sequence[str], limit: int) -> None:
        """Embed the query, and ask each index for ``limit`` papers."""
        vector = self.model.one(text)
        terms = [self._query.term_query(self._schema, "terms", stem, index_option="freq") for stem in stems]
        either = self._query.boolean_query([(self._should, term) for term in terms])
        _ = self._searcher.search(either, limit=limit, count=False).hits
        self._collection.query(query_embeddings=[vector], n_results=limit, include=["distances"])

    def vectors(self) -> tuple[list[str], Matrix]:
        """Return the ids and the vectors of the collection, shape [papers, dim]."""
        import numpy as np

        ids: list[str] = []
        parts = []
        while len(ids) < self._collection.count():
            page = self._collection.get(limit=5000, offset=len(ids), include=["embeddings"])
            ids += page["ids"]
            parts.append(np.asarray(page["embeddings"], np.float32))
        return ids, np.concatenate(parts)
