"""Open the library and load the embedding models that the settings name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperagent.errors import ConfigError, StoreError, visible

if TYPE_CHECKING:
    from pydantic import SecretStr

    from paperagent.config import Settings
    from paperagent.embedding.minilm import MiniLM, Precision
    from paperagent.embedding.openai import BatchClient, OpenAIEmbedder
    from paperagent.embedding.ray_job import RayEmbedder
    from paperagent.library import Shard, Store
    from paperagent.types import Progress

_OPENAI = "openai:"
_NO_MODEL = "no embedding model found: searching by keywords only; run `paperagent models pull`"


@dataclass(frozen=True, slots=True)
class EmbeddingModels:
    """The models that turn text into vectors."""

    encoder: MiniLM | None
    """Scores sentences against a question; always a local model."""
    embedder: MiniLM | OpenAIEmbedder | None
    """Makes the vectors of the library's index; often the encoder itself."""
    notes: tuple[str, ...] = ()
    """Messages for the user, such as that no model was found."""


def secret_value(secret: SecretStr | None) -> str | None:
    """Return the text of a secret setting, or None if it is not set."""
    return secret.get_secret_value() if secret else None


def load_embedding_models(settings: Settings) -> EmbeddingModels:
    """Load the models that the settings name. Without model files, search uses keywords only.

    Raises:
        ConfigError: ``PAPERAGENT_MODEL_DIR`` lacks a file, or a model file is damaged.
    """
    name = settings.embedder
    if name == "none":
        return EmbeddingModels(None, None)
    encoder = _load_minilm(settings)
    if not name.startswith(_OPENAI):
        return EmbeddingModels(encoder, encoder, () if encoder else (_NO_MODEL,))
    from paperagent.embedding.openai import OpenAIEmbedder

    embedder = OpenAIEmbedder(
        name.removeprefix(_OPENAI),
        api_key=secret_value(settings.openai_api_key),
        base_url=settings.openai_base_url,
        timeout=settings.timeout,
    )
    return EmbeddingModels(encoder, embedder)


def _load_minilm(settings: Settings) -> MiniLM | None:
    from paperagent.embedding.minilm import MiniLM, find_model_folder

    folder = find_model_folder(settings.model_dir, settings.cache_dir)
    return None if folder is None else MiniLM.load(folder, precision=_precision(settings))


def _precision(settings: Settings) -> Precision:
    return "fp32" if settings.embedder == "minilm-fp32" else "int8"


def open_store(settings: Settings, *, create: bool = False) -> Store:
    """Open the library that the settings name: a local folder or a Chroma server.

    Raises:
        StoreError: there is no library and ``create`` is False, or it cannot be used.
    """
    from paperagent.library import LocalStore

    if settings.chroma_url is None:
        return LocalStore(settings.home, create=create)
    from paperagent.library.server import ServerAddress, ServerStore

    address = ServerAddress.parse(settings.chroma_url, key=secret_value(settings.chroma_key))
    store = ServerStore(address, home=settings.home, create=create, timeout=settings.timeout)
    settings.home.mkdir(parents=True, mode=0o700, exist_ok=True)  # for the reply cache and the chat history
    return store


def require_same_embedder(store: Store, embedder_id: str) -> None:
    """Raise StoreError if the library's vectors were made by another model than ``embedder_id``."""
    stored_id = store.embedder_id
    if stored_id is not None and stored_id != embedder_id:
        raise StoreError(
            f"library: its vectors were made by {visible(stored_id)}, but the settings name "
            f"{visible(embedder_id)}; run `paperagent reindex` or set PAPERAGENT_EMBEDDER back"
        )


def embed_pending(
    settings: Settings,
    store: Store,
    embedder: MiniLM | OpenAIEmbedder,
    *,
    by: str,
    shard: Shard | None,
    workers: int,
    address: str | None,
    progress: Progress | None,
) -> tuple[int, tuple[str, ...]]:
    """Embed the papers that have no vector.

    Args:
        settings: The settings that ``embedder`` was made from.
        store: The library.
        embedder: The model of the library's index.
        by: ``here`` (in this process), ``ray`` or ``batch``, as in `PaperAgent.embed`.
        shard: The share of the papers to embed; None for all.
        workers: The number of Ray actors.
        address: The address of the Ray cluster; None starts one on this machine.
        progress: Called after each batch.

    Returns:
        The number of vectors added, and messages for the user.
    """
    if by == "batch":
        from paperagent.embedding.openai import collect_and_submit

        return collect_and_submit(store, embedder, batch_embedder(settings, embedder), progress=progress)
    if by != "ray":
        return store.embed_pending(embedder, progress=progress, shard=shard)[0], ()
    from paperagent.embedding.ray_job import PAGE

    pool = ray_embedder(settings, embedder, workers=workers, address=address)
    try:
        added, _ = store.embed_pending(pool, progress=progress, batch=PAGE, shard=shard)
    finally:
        pool.close()
    return added, ()


def batch_embedder(settings: Settings, embedder: MiniLM | OpenAIEmbedder | None) -> BatchClient:
    """Return a client of the Batch API for the server and the embedding model in the settings.

    Raises:
        ConfigError: the embedder is not one of an OpenAI-compatible server.
    """
    from paperagent.embedding.openai import BatchClient
    from paperagent.llm.client import Endpoint, EndpointAddress

    name = settings.embedder
    if embedder is None or not name.startswith(_OPENAI):
        raise ConfigError(f"PAPERAGENT_EMBEDDER: {visible(name)} has no Batch API; set it to openai:MODEL")
    address = EndpointAddress.parse(
        api_key=secret_value(settings.openai_api_key), base_url=settings.openai_base_url
    )
    endpoint = Endpoint(address, timeout=settings.timeout)
    return BatchClient(endpoint, name.removeprefix(_OPENAI), dim=embedder.dim)


def ray_embedder(
    settings: Settings, embedder: MiniLM | OpenAIEmbedder | None, *, workers: int, address: str | None
) -> RayEmbedder:
    """Return a pool of Ray actors, each of which loads the local embedding model.

    Raises:
        ConfigError: the local model is missing or not in use, or Ray is not installed.
    """
    from functools import partial

    from paperagent.embedding.minilm import MiniLM, find_model_folder
    from paperagent.embedding.ray_job import RayEmbedder

    folder = find_model_folder(settings.model_dir, settings.cache_dir)
    if folder is None or not isinstance(embedder, MiniLM):
        raise ConfigError(
            "ray: needs the local embedding model; set PAPERAGENT_EMBEDDER=minilm and run "
            "`paperagent models pull`"
        )
    load = partial(MiniLM.load, folder, precision=_precision(settings), threads=1)
    return RayEmbedder(
        load, embedder_id=embedder.embedder_id, dim=embedder.dim, workers=workers, address=address
    )
