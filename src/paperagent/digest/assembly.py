"""From settings and library to what chooses and writes for the digest and for summaries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent import arguments, factory
from paperagent.errors import InputError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from paperagent.answering.answer_config import AnswerConfig
    from paperagent.answering.pipeline import Pipeline
    from paperagent.config import Settings
    from paperagent.digest.issue import Issue, Period, Profile
    from paperagent.digest.overview import SummaryLLM
    from paperagent.digest.write.writer import Answerer, DigestLLM, IssueWriter
    from paperagent.library import Store
    from paperagent.llm.protocol import TextModel
    from paperagent.retrieval.scoring import RankablePaper
    from paperagent.types import Answer, Hit

DEFAULT_MAX_COST_USD = 1.0
"""US dollars that one run may cost where nobody said a limit, if the model's price is known."""


@dataclass(frozen=True, slots=True)
class LLMContext:
    """A model with what it writes by."""

    model: TextModel
    plan: AnswerConfig
    limit: float | None


def llm_context(
    settings: Settings,
    store: Store,
    model: TextModel,
    *,
    reader: TextModel | None = None,
    max_cost: float | None = None,
    cache: bool | None = None,
) -> LLMContext:
    """Return the model as a digest or a summary uses it: replies kept, no second search, a ceiling."""
    from paperagent.types import Usage

    options = factory.LLMOptions(effort="fast", cache=cache, judge_model=reader)
    plan = factory.answer_config(settings, store, model, options)
    limit = settings.max_cost_per_answer if max_cost is None else max_cost
    if limit is None and plan.pricing.price(Usage(1, 1_000)) is not None:
        limit = DEFAULT_MAX_COST_USD
    return LLMContext(factory.cached_model(settings, store, model, cache=cache), plan, limit)


def digest_model(settings: Settings, given: LLMContext) -> DigestLLM:
    """Return what a model does for issues.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.answering.call_budget import Budget
    from paperagent.answering.llm_pipeline import LLMAnswerer as AnswerWriter
    from paperagent.digest.write.llm_writer import MAX_CONCURRENT_CALLS, ThemeWriter, ThemeWriterConfig
    from paperagent.digest.write.writer import DigestLLM
    from paperagent.llm import prompts

    plan = given.plan
    theme = ThemeWriterConfig(
        prompts.load("theme", settings.prompts_dir), plan.check, plan.pricing, plan.salt, plan.context_tokens
    )
    budget = Budget(plan.pricing, given.limit)

    def answerer(pipeline: Pipeline, left: float | None) -> Answerer:
        return AnswerWriter(pipeline, given.model, replace(plan, max_cost=left))

    drafter = ThemeWriter(
        given.model, theme, budget, at_once=1 if settings.local_endpoint else MAX_CONCURRENT_CALLS
    )
    return DigestLLM(drafter, budget, answerer)


def summary_model(settings: Settings, given: LLMContext) -> SummaryLLM:
    """Return what a model does for the summary of one paper.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.answering.call_budget import Budget
    from paperagent.digest.overview import SummaryLLM
    from paperagent.llm import prompts

    budget = Budget(given.plan.pricing, given.limit)
    prompt = prompts.load("summary", settings.prompts_dir)
    return SummaryLLM(given.model, prompt, given.plan.check, given.plan.salt, budget)


def issue_writer(
    store: Store,
    models: factory.EmbeddingModels,
    held: Iterable[RankablePaper],
    *,
    model: DigestLLM | None = None,
) -> IssueWriter:
    """Return what writes issues about ``held``: papers with their terms and vectors."""
    from paperagent.answering.abstention import Thresholds, setting_name
    from paperagent.digest.write.writer import IssueWriter

    encoder, embedder = models.encoder, models.embedder
    if embedder is not None:
        factory.require_same_embedder(store, embedder.embedder_id)
    return IssueWriter(
        store,
        held,
        encoder=encoder,
        embedder=None if embedder is encoder else embedder,
        model=model,
        thresholds=Thresholds.from_dict(store.get_setting(setting_name(encoder=encoder is not None))),
    )


def period(week: str | None, since: dt.date | None, until: dt.date | None) -> Period:
    """Return the days of an issue: a week, a span, or else the last whole week.

    Raises:
        InputError: no such week, half a span, or both.
    """
    from paperagent.digest import schedule as periods

    if week is not None and (since or until):
        raise InputError("digest: give a week or since and until, one of them")
    if week is not None:
        return periods.parse_week(week)
    if since is None and until is None:
        return periods.last_full_week(arguments.today())
    if since is None or until is None:
        raise InputError("digest: give both since and until, or a week")
    return periods.days_between(since, until)


def profile(
    interests: Iterable[str], questions: Iterable[str], categories: Iterable[str], *, max_items: int
) -> Profile:
    """Return a reader's wishes.

    Raises:
        InputError: too many, too long, or empty.
    """
    from paperagent.digest.preferences import wishes

    listed = ([given] if isinstance(given, str) else given for given in (interests, questions, categories))
    return wishes(*listed, max_items=max_items).profile()


def issue(
    settings: Settings,
    store: Store,
    models: factory.EmbeddingModels,
    period: Period,
    profile: Profile,
    *,
    hand: LLMContext | None = None,
) -> Issue:
    """Choose and write one issue.

    Raises:
        PaperAgentError: it does not pass its check.
    """
    from paperagent.digest.select.selector import PaperSelector

    papers = store.papers_between(period.since, period.until)
    model = digest_model(settings, hand) if hand else None
    writer = issue_writer(store, models, papers, model=model)
    embedder = models.embedder if store.embedder_id else None  # else there is nothing to compare with
    selector = PaperSelector(papers, period=period, library=store, embedder=embedder)
    selection = selector.select(profile)
    writer.draft([selection])
    return writer.write(selection)


def summary(
    settings: Settings,
    store: Store,
    models: factory.EmbeddingModels,
    question: str,
    hits: Sequence[Hit],
    *,
    hand: LLMContext | None,
    searched: bool,
) -> Answer:
    """Write a cited overview of ``hits``; what a search found is held against its query first."""
    from paperagent.digest import overview as summaries

    found = summaries.relevant_hits(hits) if searched else list(hits)
    if not found:
        return summaries.no_papers_answer(question, empty=store.count() == 0)
    if len(found) == 1:
        return summaries.summarize_paper(question, found[0], summary_model(settings, hand) if hand else None)
    held = store.get_with_features([h.paper_id for h in found])
    model = digest_model(settings, hand) if hand else None
    writer = issue_writer(store, models, held.values(), model=model)
    return summaries.summarize_papers(question, found, writer, {i: a.vector for i, a in held.items()})
