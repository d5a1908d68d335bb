"""Build the parts of paperagent from the settings.

Only this package and `agent` see both the settings and the adapters that they configure; every other
module takes plain values. `library` opens the library and loads the embedding models; `llm` opens the
chat model and prepares answers that a model writes; `digest` prepares issues and overviews. The functions
of the first two are imported here, so callers write ``factory.open_store(settings)``.
"""

from paperagent.factory.library import (
    EmbeddingModels,
    batch_embedder,
    embed_pending,
    load_embedding_models,
    open_store,
    ray_embedder,
    require_same_embedder,
    secret_value,
)
from paperagent.factory.llm import (
    DEFAULT_MODEL,
    LLMOptions,
    answer_config,
    cached_model,
    configured_price,
    judge_model,
    llm_answerer,
    model_name,
    model_pricing,
    open_model,
    preload_llm,
    require_endpoint,
    select_answerer,
    shutdown_warning,
)

__all__ = [
    "DEFAULT_MODEL",
    "EmbeddingModels",
    "LLMOptions",
    "answer_config",
    "batch_embedder",
    "cached_model",
    "configured_price",
    "embed_pending",
    "judge_model",
    "llm_answerer",
    "load_embedding_models",
    "model_name",
    "model_pricing",
    "open_model",
    "open_store",
    "preload_llm",
    "ray_embedder",
    "require_endpoint",
    "require_same_embedder",
    "secret_value",
    "select_answerer",
    "shutdown_warning",
]
