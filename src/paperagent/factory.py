"""From settings to adapters: which store and embedder to open, and what an answer by a model is made with."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from paperagent import factory_model
from paperagent.errors import ConfigError, StoreError, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperagent.answering.claims import Policy
    from paperagent.answering.judge import When
    from paperagent.answering.llm_pipeline import Writer
    from paperagent.answering.pipeline import Pipeline
    from paperagent.answering.plan import Effort, Plan
    from paperagent.answering.select_mode import Selector
    from paperagent.config import Settings
    from paperagent.embedding.minilm import MiniLM, Precision
    from paperagent.embedding.openai_batch import Batches
    from paperagent.embedding.openai_embedder import OpenAIEmbedder
    from paperagent.embedding.ray_job import RayEmbedder
    from paperagent.library import Shard, Store
    from paperagent.llm.protocol import Pricing, TextModel

CACHE_FILE = "answers.db"
_NO_MODEL = "no embedding model found, so searching by words alone; run `paperagent models pull`"


@dataclass(frozen=True, slots=True)
class Models:
    """What reads sentences, and what makes the library's vectors."""

    encoder: MiniLM | None
    embedder: MiniLM | OpenAIEmbedder | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How one question wants to be answered by a model; None leaves it to the settings."""

    effort: Effort | None = None
    max_cost: float | None = None
    unsupported: Policy | None = None
    judge: When | None = None
    cache: bool | None = None
    reader: TextModel | None = None
    """The second reader's model, where it is not the one that writes."""
    fallback: bool = True


def load_models(settings: Settings) -> Models:
    """Load what the settings name; without model files, words alone.

    Raises:
        ConfigError: ``PAPERAGENT_MODEL_DIR`` lacks a file, or a model file is damaged.
    """
    name = settings.embedder
    if name == "none":
        return Models(None, None)
    encoder = _minilm(settings)
    if not name.startswith("openai:"):
        return Models(encoder, encoder, () if encoder else (_NO_MODEL,))
    from paperagent.embedding.openai_embedder import OpenAIEmbedder

    key = settings.openai_api_key
    return Models(
        encoder,
        OpenAIEmbedder(
            name.removeprefix("openai:"),
            api_key=key.get_secret_value() if key else None,
            base_url=settings.openai_base_url,
            timeout=settings.timeout,
        ),
    )


def _minilm(settings: Settings) -> MiniLM | None:
    from paperagent.embedding.minilm import MiniLM, find_model

    folder = find_model(settings.model_dir, settings.cache_dir)
    if folder is None:
        return None
    return MiniLM.load(folder, precision="fp32" if settings.embedder == "minilm-fp32" else "int8")


def open_store(settings: Settings, *, create: bool = False) -> Store:
    """Open the library that the settings name: a folder, or a Chroma server.

    Raises:
        StoreError: there is none (unless ``create``), or it cannot be used.
    """
    from paperagent.library import LocalStore

    if settings.chroma_url is None:
        return LocalStore(settings.home, create=create)
    from paperagent.library.server import Address, ServerStore

    key = settings.chroma_key
    address = Address.parsed(settings.chroma_url, key=key.get_secret_value() if key else None)
    store = ServerStore(address, home=settings.home, create=create, timeout=settings.timeout)
    settings.home.mkdir(parents=True, mode=0o700, exist_ok=True)  # for kept replies and the chat's lines
    return store


def embed(
    settings: Settings,
    store: Store,
    embedder: MiniLM | OpenAIEmbedder,
    *,
    by: str,
    shard: Shard | None,
    workers: int,
    address: str | None,
    progress: Callable[[str, int, int | None], None] | None,
) -> tuple[int, tuple[str, ...]]:
    """Embed what has no vector, here or elsewhere; return vectors added, and what there is to say."""
    if by == "batch":
        from paperagent.embedding import backlog

        return backlog.advance(store, embedder, batches(settings, embedder), progress=progress)
    if by != "ray":
        return store.catch_up_vectors(embedder, progress=progress, shard=shard)[0], ()
    from paperagent.embedding.ray_job import PAGE

    pool = ray_embedder(settings, embedder, workers=workers, address=address)
    try:
        added, _ = store.catch_up_vectors(pool, progress=progress, batch=PAGE, shard=shard)
    finally:
        pool.close()
    return added, ()


def batches(settings: Settings, embedder: MiniLM | OpenAIEmbedder | None) -> Batches:
    """Return what embeds in bulk at the server of the settings.

    Raises:
        ConfigError: the embedder is no server's.
    """
    from paperagent.embedding.openai_batch import Batches
    from paperagent.llm.client import Endpoint
    from paperagent.llm.endpoint import EndpointAddress

    name = settings.embedder
    if embedder is None or not name.startswith("openai:"):
        raise ConfigError(f"PAPERAGENT_EMBEDDER: {visible(name)} has no Batch API; set it to openai:MODEL")
    key = settings.openai_api_key
    address = EndpointAddress.checked(
        api_key=key.get_secret_value() if key else None, base_url=settings.openai_base_url
    )
    endpoint = Endpoint(address, timeout=settings.timeout)
    return Batches(endpoint, name.removeprefix("openai:"), dim=embedder.dim)


def ray_embedder(
    settings: Settings, embedder: MiniLM | OpenAIEmbedder | None, *, workers: int, address: str | None
) -> RayEmbedder:
    """Return what embeds by a pool of Ray actors, each with the settings' model.

    Raises:
        ConfigError: there is no model here, or Ray is not installed.
    """
    from functools import partial

    from paperagent.embedding.minilm import MiniLM, find_model
    from paperagent.embedding.ray_job import RayEmbedder

    folder = find_model(settings.model_dir, settings.cache_dir)
    if folder is None or not isinstance(embedder, MiniLM):
        raise ConfigError("ray: needs the local embedding model; set PAPERAGENT_EMBEDDER=minilm and pull it")
    precision: Precision = "fp32" if settings.embedder == "minilm-fp32" else "int8"
    load = partial(MiniLM.load, folder, precision=precision, threads=1)
    return RayEmbedder(
        load, embedder_id=embedder.embedder_id, dim=embedder.dim, workers=workers, address=address
    )


def require_same_space(store: Store, embedder_id: str) -> None:
    """Refuse to search with the vectors of one model among those of another."""
    held = store.embedder_id
    if held is not None and held != embedder_id:
        raise StoreError(
            f"library: its vectors are of {visible(held)}, the settings say {visible(embedder_id)}; "
            "run `paperagent reindex` or set PAPERAGENT_EMBEDDER back"
        )


def writer(
    settings: Settings, store: Store, pipeline: Pipeline, model: TextModel, options: PlanOptions
) -> Writer:
    """Return what answers questions with a model.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.answering.llm_pipeline import Writer

    plan = answer_plan(settings, store, model, options)
    plan = replace(plan, library=library_line(settings, store))
    return Writer(pipeline, remembering(settings, store, model, cache=options.cache), plan)


def selector(
    settings: Settings, store: Store, pipeline: Pipeline, model: TextModel, options: PlanOptions
) -> Selector:
    """Return what answers questions with sentences that a model chooses.

    Raises:
        ConfigError: the prompt cannot be used.
    """
    from paperagent.answering.call_budget import Budget
    from paperagent.answering.select_mode import Selector
    from paperagent.llm import prompts

    limit = settings.max_cost_per_answer if options.max_cost is None else options.max_cost
    prompt, budget = prompts.load("select", settings.prompts_dir), Budget(_pricing(settings, model), limit)
    cached = remembering(settings, store, model, cache=options.cache)
    return Selector(pipeline, cached, prompt, budget, fallback=options.fallback)


def answer_plan(settings: Settings, store: Store, model: TextModel, options: PlanOptions) -> Plan:
    """Return what answers by a model are made with.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.answering import model_profiles
    from paperagent.answering.judge import ModelJudge
    from paperagent.answering.plan import Plan
    from paperagent.llm import prompts
    from paperagent.verification import check

    folder, secret = settings.prompts_dir, salt(store)
    reader = remembering(settings, store, judge_model(options.reader or model), cache=options.cache)
    # The price that the settings may name is that of the model that writes.
    priced = settings if options.reader is None else settings.model_copy(update={"price": None})
    profile = model_profiles.profile(
        settings.profile, model=model.model, on_this_machine=settings.local_endpoint
    )
    when = options.judge or settings.judge
    if when == "auto" and profile is model_profiles.COMPACT and options.reader is None:
        when = "never"  # a small model is no second reader of what it wrote, and takes its time
    return Plan(
        answer=prompts.load(profile.prompt, folder),
        plan=prompts.load("plan", folder),
        repair=prompts.load("repair", folder),
        check=check,
        pricing=_pricing(settings, model),
        salt=secret,
        today=dt.datetime.now(dt.UTC).date().isoformat(),
        policy=options.unsupported or settings.unsupported,
        effort=options.effort,
        max_rounds=settings.max_rounds,
        context_tokens=settings.context_tokens,
        max_cost=settings.max_cost_per_answer if options.max_cost is None else options.max_cost,
        judge=ModelJudge(reader, prompts.load("judge", folder), _pricing(priced, reader), salt=secret),
        judge_when=when,
        profile=profile,
        fallback=options.fallback,
    )


def _pricing(settings: Settings, model: TextModel) -> Pricing:
    return replace(factory_model.model_pricing(settings, model.model), thinking=model.thinking_tokens)


def judge_model(model: TextModel) -> TextModel:
    """Return what a second reader asks ``model`` through: the Decisions API where its endpoint has it.

    A model that is no endpoint's, such as a recording, is asked itself.
    """
    from paperagent.llm.chat import ChatModel
    from paperagent.llm.judge_model import JudgeModel

    return JudgeModel(model) if isinstance(model, ChatModel) else model


def remembering(
    settings: Settings, store: Store, model: TextModel, *, cache: bool | None = None
) -> TextModel:
    """Return the model, its replies kept with the library unless the settings say otherwise."""
    from paperagent.llm.cache import CachedModel

    if not (settings.cache if cache is None else cache):
        return model
    return CachedModel(
        model,
        store.home / CACHE_FILE,
        endpoint=settings.openai_base_url,
        effort=settings.reasoning_effort,
    )


def library_line(settings: Settings, store: Store) -> str:
    """Return one line on what the library holds, made again only when papers came or went."""
    from paperagent.answering.outline import SAMPLE, outline

    known, count = _LINES.get(store), store.count()
    if known is None or known[0] != count:
        spread = settings.chroma_url is None or count <= SAMPLE
        known = _LINES[store] = count, outline(count, store.sample(SAMPLE), spread=spread)
    return known[1]


_LINES: WeakKeyDictionary[Store, tuple[int, str]] = WeakKeyDictionary()


def salt(store: Store) -> str:
    """Return the library's secret for the fences, made at the first use."""
    known = store.setting("fence_salt")
    if isinstance(known, str) and known:
        return known
    fresh = secrets.token_hex(16)
    try:
        store.set_setting("fence_salt", fresh)
    except StoreError:  # read-only or being written: this process's own secret serves as well
        return fresh
    return fresh
