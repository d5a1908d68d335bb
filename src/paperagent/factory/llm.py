"""Open the chat model that the settings name, and build what answers questions with it."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from paperagent.errors import ConfigError, EndpointError, StoreError
from paperagent.factory.library import secret_value

if TYPE_CHECKING:
    from paperagent.answering.answer_config import AnswerConfig, Effort
    from paperagent.answering.claims import Policy
    from paperagent.answering.judge import JudgeWhen
    from paperagent.answering.llm_pipeline import LLMAnswerer
    from paperagent.answering.pipeline import Pipeline
    from paperagent.answering.select_mode import SentenceSelector
    from paperagent.config import Settings
    from paperagent.library import Store
    from paperagent.llm.chat import ChatModel
    from paperagent.llm.pricing import Price
    from paperagent.llm.protocol import Pricing, TextModel
    from paperagent.types import AskMode

DEFAULT_MODEL = "gpt-6-luna"
"""The model for OpenAI's own endpoint if the settings name none."""
CACHE_FILE = "answers.db"
"""The reply cache, in the library's folder."""
MAX_LISTED_MODELS = 10
"""The number of model names that an error message lists."""
_NO_MODEL = "PAPERAGENT_MODEL: not set, and the server at"


@dataclass(frozen=True, slots=True)
class LLMOptions:
    """The model options of one question; None means the value from the settings."""

    effort: Effort | None = None
    max_cost: float | None = None
    """US dollars."""
    unsupported: Policy | None = None
    judge: JudgeWhen | None = None
    cache: bool | None = None
    judge_model: TextModel | None = None
    """The model that judges claims; None for the model that writes them."""
    fallback: bool = True
    """Whether to quote sentences if the model gives no answer; otherwise its error is raised."""


def require_endpoint(settings: Settings, mode: AskMode) -> None:
    """Raise ConfigError if ``mode`` needs a model and the settings name no endpoint."""
    from paperagent.config import NEEDS_ENDPOINT

    if mode != "extractive" and not settings.has_endpoint:
        raise ConfigError(f"mode: {mode} {NEEDS_ENDPOINT}")


def model_name(settings: Settings) -> str | None:
    """Return the name of the model that writes answers, without a request to the server.

    Returns:
        None in extractive mode; an empty string if a server is set but no model, in which case
        `open_model` asks the server.
    """
    if settings.answer_mode == "extractive":
        return None
    from paperagent.llm.client import OPENAI_URL, EndpointAddress

    address = EndpointAddress(settings.openai_base_url or OPENAI_URL, key="")
    return settings.model or (DEFAULT_MODEL if address.is_openai else "")


def open_model(settings: Settings, model: str | None) -> ChatModel:
    """Return the chat model ``model``, or else the one that the settings name.

    If neither names a model, the server is asked which models it has, once per process.

    Raises:
        ConfigError: no model is named, and the server offers none, several, or no list.
        EndpointError: no model is named, and the server cannot be reached.
    """
    from paperagent.llm.chat import ChatModel

    key = secret_value(settings.openai_api_key)
    return ChatModel(
        model or settings.model or _only_model_of_server(key, settings.openai_base_url, settings.timeout),
        api_key=key,
        base_url=settings.openai_base_url,
        timeout=settings.timeout,
        reasoning_effort=settings.reasoning_effort,
    )


@cache
def _only_model_of_server(key: str | None, url: str | None, timeout: float) -> str:
    """Return the one chat model that a server lists."""
    from paperagent.llm.client import Endpoint, EndpointAddress

    address = EndpointAddress.parse(api_key=key, base_url=url)
    if address.is_openai:
        return DEFAULT_MODEL
    endpoint = Endpoint(address, timeout=timeout)
    try:
        # Some servers list an embedding model in addition to the chat model.
        names = [served.name for served in endpoint.models() if "embed" not in served.name.lower()]
    except EndpointError as error:
        if error.kind not in ("rejected", "server", "invalid_reply"):
            raise
        why = str(error).removeprefix(f"endpoint {address.display_url}: ").partition("; ")[0]
        fix = "set it to a model that the server offers, or check that OPENAI_BASE_URL ends in /v1"
        raise ConfigError(
            f"{_NO_MODEL} {address.display_url} does not list its models ({why}); {fix}"
        ) from None
    finally:
        endpoint.close()
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(f"{_NO_MODEL} {address.display_url} offers no model; load one there, or set a name")
    choices = ", ".join(address.redact(name) for name in names[:MAX_LISTED_MODELS])
    more = f" and {len(names) - MAX_LISTED_MODELS} more" if len(names) > MAX_LISTED_MODELS else ""
    raise ConfigError(
        f"{_NO_MODEL} {address.display_url} offers several models; set it to one of: {choices}{more}"
    )


def preload_llm(settings: Settings) -> None:
    """Import the modules that call a model and price its replies."""
    from paperagent.llm import client, pricing

    client.preload()
    pricing.estimate_tokens([""], model_name(settings) or "")


# --- prices ---


def configured_price(settings: Settings) -> Price | None:
    """Return the price in the settings, or zero for a server on this machine; otherwise None."""
    from paperagent.llm.pricing import FREE_PRICE, Price

    if settings.prices is not None:
        return Price(*settings.prices)
    return FREE_PRICE if settings.local_endpoint else None


def model_pricing(settings: Settings, model: TextModel) -> Pricing:
    """Return how the tokens of calls to ``model`` are counted and priced."""
    from paperagent.llm import pricing
    from paperagent.llm.protocol import Pricing

    name, price = model.model, configured_price(settings)
    return Pricing(
        tokens=lambda texts: pricing.estimate_tokens(texts, name),
        price=lambda usage: pricing.cost(usage, name, price=price),
        thinking=model.thinking_tokens,
    )


def shutdown_warning(settings: Settings, *, today: dt.date) -> str | None:
    """Return a warning if the provider has shut down the configured model or will do so soon."""
    from paperagent.llm import pricing

    model = model_name(settings) or ""
    return pricing.shutdown_warning(
        model, pricing.catalog().get(model).shutdown, today=today, default=DEFAULT_MODEL
    )


# --- answers ---


def llm_answerer(
    settings: Settings, store: Store, pipeline: Pipeline, model: TextModel, options: LLMOptions
) -> LLMAnswerer:
    """Return an answerer for mode ``llm``: the model writes the claims.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.answering.llm_pipeline import LLMAnswerer

    config = answer_config(settings, store, model, options)
    config = replace(config, library_description=_library_description(settings, store))
    return LLMAnswerer(pipeline, cached_model(settings, store, model, cache=options.cache), config)


def select_answerer(
    settings: Settings, store: Store, pipeline: Pipeline, model: TextModel, options: LLMOptions
) -> SentenceSelector:
    """Return an answerer for mode ``select``: the model chooses the sentences to quote.

    Raises:
        ConfigError: the prompt cannot be used.
    """
    from paperagent.answering.call_budget import Budget
    from paperagent.answering.select_mode import SentenceSelector
    from paperagent.llm import prompts

    prompt = prompts.load("select", settings.prompts_dir)
    budget = Budget(model_pricing(settings, model), _max_cost(settings, options))
    model = cached_model(settings, store, model, cache=options.cache)
    return SentenceSelector(pipeline, model, prompt, budget, fallback=options.fallback)


def answer_config(settings: Settings, store: Store, model: TextModel, options: LLMOptions) -> AnswerConfig:
    """Return the prompts, prices and policies for answers that ``model`` writes.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.answering.answer_config import COMPACT, AnswerConfig, select_profile
    from paperagent.answering.judge import LLMJudge
    from paperagent.llm import prompts
    from paperagent.verification import check

    folder, salt = settings.prompts_dir, _fence_salt(store)
    judge = judge_model(options.judge_model or model)
    judge = cached_model(settings, store, judge, cache=options.cache)
    # The price in the settings is that of the model that writes answers.
    judge_settings = settings if options.judge_model is None else settings.model_copy(update={"price": None})
    profile = select_profile(settings.profile, model=model.model, on_this_machine=settings.local_endpoint)
    judge_when = options.judge or settings.judge
    if judge_when == "auto" and profile is COMPACT and options.judge_model is None:
        judge_when = "never"  # a small model cannot judge its own claims, and is slow
    return AnswerConfig(
        answer_prompt=prompts.load(profile.prompt, folder),
        decompose_prompt=prompts.load("plan", folder),
        repair_prompt=prompts.load("repair", folder),
        check=check,
        pricing=model_pricing(settings, model),
        salt=salt,
        today=dt.datetime.now(dt.UTC).date().isoformat(),
        policy=options.unsupported or settings.unsupported,
        effort=options.effort,
        max_rounds=settings.max_rounds,
        context_tokens=settings.context_tokens,
        max_cost=_max_cost(settings, options),
        judge=LLMJudge(judge, prompts.load("judge", folder), model_pricing(judge_settings, judge), salt=salt),
        judge_when=judge_when,
        profile=profile,
        fallback=options.fallback,
    )


def _max_cost(settings: Settings, options: LLMOptions) -> float | None:
    return settings.max_cost_per_answer if options.max_cost is None else options.max_cost


def judge_model(model: TextModel) -> TextModel:
    """Return ``model`` wrapped so that it judges claims, by the Decisions API if its server offers it.

    A model without an endpoint, such as a recording, is returned as it is.
    """
    from paperagent.llm.chat import ChatModel
    from paperagent.llm.judge_model import JudgeModel

    return JudgeModel(model) if isinstance(model, ChatModel) else model


def cached_model(
    settings: Settings, store: Store, model: TextModel, *, cache: bool | None = None
) -> TextModel:
    """Return ``model`` with the reply cache of the library, unless ``cache`` or the settings forbid it."""
    from paperagent.llm.cache import CachedModel

    if not (settings.cache if cache is None else cache):
        return model
    return CachedModel(
        model,
        store.home / CACHE_FILE,
        endpoint=settings.openai_base_url,
        effort=settings.reasoning_effort,
    )


def _library_description(settings: Settings, store: Store) -> str:
    """Return one line on the topics of the library, for the prompt; cached until the paper count changes."""
    from paperagent.answering.answer_config import LIBRARY_SAMPLE_SIZE, describe_library

    cached, count = _LIBRARY_DESCRIPTIONS.get(store), store.count()
    if cached is None or cached[0] != count:
        spread = settings.chroma_url is None or count <= LIBRARY_SAMPLE_SIZE
        cached = _LIBRARY_DESCRIPTIONS[store] = (
            count,
            describe_library(count, store.sample(LIBRARY_SAMPLE_SIZE), spread=spread),
        )
    return cached[1]


_LIBRARY_DESCRIPTIONS: WeakKeyDictionary[Store, tuple[int, str]] = WeakKeyDictionary()


def _fence_salt(store: Store) -> str:
    """Return the library's secret for the fences around abstracts in a prompt; create it at first use."""
    stored = store.get_setting("fence_salt")
    if isinstance(stored, str) and stored:
        return stored
    salt = secrets.token_hex(16)
    try:
        store.set_setting("fence_salt", salt)
    except StoreError:  # read-only or locked: a salt for this process alone is just as safe
        return salt
    return salt
