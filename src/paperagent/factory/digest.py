"""Build the digest service, its issue builder and the summaries from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from paperagent.factory.library import (
    EmbeddingModels,
    load_embedding_models,
    open_store,
    require_same_embedder,
    secret_value,
)
from paperagent.factory.llm import LLMOptions, answer_config, cached_model, open_model, require_endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from paperagent.answering.answer_config import AnswerConfig
    from paperagent.answering.llm_pipeline import LLMAnswerer
    from paperagent.answering.pipeline import Pipeline
    from paperagent.config import Settings
    from paperagent.digest.build import IssueBuilder
    from paperagent.digest.delivery.inbox import Inbox
    from paperagent.digest.issue import Period
    from paperagent.digest.mailer import Mailer
    from paperagent.digest.overview import SummaryLLM
    from paperagent.digest.service import DigestService
    from paperagent.digest.write.writer import DigestLLM
    from paperagent.library import Store
    from paperagent.library.protocol import Check
    from paperagent.llm.protocol import TextModel
    from paperagent.types import Answer, Hit, Mode, Paper

DEFAULT_MAX_COST_USD = 1.0
"""The most that one run may cost if no limit is set and the model's price is known."""


@dataclass(frozen=True, slots=True)
class LLMContext:
    """A model with the configuration and cost limit of one digest or summary."""

    model: TextModel
    config: AnswerConfig
    max_cost: float | None
    """US dollars; None for no limit."""


def llm_context(
    settings: Settings,
    store: Store,
    model: TextModel,
    *,
    judge_model: TextModel | None = None,
    max_cost: float | None = None,
    cache: bool | None = None,
) -> LLMContext:
    """Return the model with cached replies, no second search, and a cost limit.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.types import Usage

    options = LLMOptions(effort="fast", cache=cache, judge_model=judge_model)
    config = answer_config(settings, store, model, options)
    limit = settings.max_cost_per_answer if max_cost is None else max_cost
    if limit is None and config.pricing.price(Usage(1, 1_000)) is not None:
        limit = DEFAULT_MAX_COST_USD
    return LLMContext(cached_model(settings, store, model, cache=cache), config, limit)


# --- the digest ---


def digest_service(settings: Settings) -> DigestService:
    """Open the digest of the library that the settings name.

    Raises:
        StoreError: there is no library, or the digest's file cannot be used.
    """
    from paperagent.digest.database import OUTBOX_FOLDER
    from paperagent.digest.service import DigestService
    from paperagent.library.home import check_home

    # Subscribers and issues are in this folder even if the papers are on a server.
    home = check_home(settings.home, create=settings.chroma_url is not None)
    mailer = _mailer(settings, home / OUTBOX_FOLDER)
    return DigestService(
        home,
        mailer,
        open_store=partial(open_store, settings),
        open_builder=partial(_open_builder, settings, mailer),
        inbox=_inbox(settings),
        default_mode=settings.answer_mode,
        include_empty=settings.digest_empty,
        zone=settings.zone,
    )


def check_folder(home: Path, *, repair: bool) -> tuple[Check, ...]:
    """Check ``digest.db``, its backups and the cached replies of models; see `PaperAgent.doctor`."""
    from paperagent.digest.health import check_digest
    from paperagent.library.home import ANSWERS
    from paperagent.library.protocol import Check
    from paperagent.llm import cache

    replies = Check("cached replies", True, "intact")
    if cache.is_damaged(home / ANSWERS):
        fix = "run 'paperagent doctor --repair' to delete it; models will be called again"
        replies = Check("cached replies", False, f"{ANSWERS} is damaged", fix)
        if repair:
            for end in ("", "-wal", "-shm", "-journal"):
                (home / f"{ANSWERS}{end}").unlink(missing_ok=True)
            replies = Check("cached replies", True, "deleted, because the file was damaged")
    return (*(Check(*check) for check in check_digest(home, repair=repair)), replies)


def count_non_weekly_subscribers(settings: Settings) -> int:
    """Return the number of confirmed subscribers to daily or monthly issues; creates no file.

    Raises:
        StoreError: the digest's file cannot be used.
    """
    from paperagent.digest.database import FILE_NAME

    if not (settings.home / FILE_NAME).exists():
        return 0
    with digest_service(settings) as service:
        return sum(s.frequency != "weekly" for s in service.subscribers.all(state="confirmed"))


def mail_problems(settings: Settings) -> list[str]:
    """Return what is wrong with the digest's emails, each with its fix."""
    from paperagent.digest.delivery.page_check import page_problem

    mailer = _mailer(settings, settings.home)
    problems = [page_problem(settings.public_url, mailer.tokens), *_signing_problems(mailer)]
    return [problem for problem in problems if problem]


def _signing_problems(mailer: Mailer) -> list[str]:
    from paperagent.errors import ConfigError

    try:
        signer = mailer.signer
    except ConfigError as error:
        return [str(error)]
    if signer is None:
        return []
    problems = list(signer.problems)
    if mailer.domain != signer.domain and not mailer.domain.endswith(f".{signer.domain}"):
        problems.append(
            f"PAPERAGENT_DKIM_DOMAIN: {signer.domain} cannot sign for {mailer.domain}, so DMARC ignores the "
            "signatures; use the domain of PAPERAGENT_MAIL_FROM"
        )
    return problems


def _inbox(settings: Settings) -> Inbox | None:
    from paperagent.digest.delivery.inbox import Inbox

    return None if settings.imap_url is None else Inbox(settings.imap_url.get_secret_value())


def _mailer(settings: Settings, outbox: Path) -> Mailer:
    from paperagent.digest.mailer import DkimKey, Mailer

    dkim = None
    if settings.dkim_key_file and settings.dkim_selector:
        dkim = DkimKey(settings.dkim_key_file, settings.dkim_selector, settings.dkim_domain)
    return Mailer(
        outbox,
        sender=settings.mail_from,
        smtp_url=secret_value(settings.smtp_url),
        public_url=settings.public_url,
        secret=secret_value(settings.secret),
        contact=settings.contact,
        theme_dir=settings.digest_theme,
        dkim=dkim,
    )


def _open_builder(
    settings: Settings,
    mailer: Mailer,
    period: Period,
    *,
    mode: Mode | None = None,
    model: str | None = None,
    max_cost: float | None = None,
) -> AbstractContextManager[IssueBuilder]:
    uses_llm = (mode or settings.answer_mode) == "llm"
    if uses_llm:
        require_endpoint(settings, "llm")

    @contextmanager
    def opened() -> Iterator[IssueBuilder]:
        with open_store(settings) as store:
            context = None
            if uses_llm:
                chat_model = open_model(settings, model)
                judge = open_model(settings, settings.judge_model) if settings.judge_model else None
                context = llm_context(settings, store, chat_model, judge_model=judge, max_cost=max_cost)
            models = load_embedding_models(settings)
            yield issue_builder(settings, store, models, period, llm=context, mailer=mailer)

    return opened()


def issue_builder(
    settings: Settings,
    store: Store,
    models: EmbeddingModels,
    period: Period,
    *,
    llm: LLMContext | None = None,
    mailer: Mailer | None = None,
) -> IssueBuilder:
    """Return what builds the issues of a period.

    Args:
        settings: The settings.
        store: The open library.
        models: The embedding models.
        period: The days that the issues cover.
        llm: The model that writes; None to quote sentences.
        mailer: The mailer, for links and Message-IDs; None for issues that are not sent.

    Raises:
        ConfigError: a prompt cannot be used.
        StoreError: the library's vectors are from another embedding model.
    """
    from paperagent.answering.abstention import Thresholds, setting_name
    from paperagent.digest.build import IssueBuilder
    from paperagent.digest.select.selector import PaperSelector
    from paperagent.digest.write.standing_questions import StandingQuestions
    from paperagent.digest.write.writer import IssueWriter

    papers = store.papers_between(period.since, period.until)
    if models.embedder is not None:
        require_same_embedder(store, models.embedder.embedder_id)
    # A library without vectors has nothing that an embedded interest could be compared with.
    embedder = models.embedder if store.embedder_id else None
    selector = PaperSelector(papers, period=period, store=store, embedder=embedder)
    digest_llm = _digest_llm(settings, llm) if llm else None
    writer = IssueWriter(digest_llm)
    encoder = models.encoder
    questions = StandingQuestions(
        selector.index,
        store,
        writer.highlights_of,
        encoder=encoder,
        embedder=None if models.embedder is encoder else models.embedder,
        llm=digest_llm,
        thresholds=Thresholds.from_dict(store.get_setting(setting_name(encoder=encoder is not None))),
    )
    if mailer is None:
        return IssueBuilder(period, selector, writer, questions, theme_dir=settings.digest_theme)
    return IssueBuilder(
        period,
        selector,
        writer,
        questions,
        links=mailer.links,
        domain=mailer.domain,
        theme_dir=settings.digest_theme,
    )


def _digest_llm(settings: Settings, context: LLMContext) -> DigestLLM:
    from paperagent.answering.call_budget import Budget
    from paperagent.answering.llm_pipeline import LLMAnswerer
    from paperagent.digest.write.llm_writer import MAX_CONCURRENT_CALLS, ThemeWriter, ThemeWriterConfig
    from paperagent.digest.write.translation import Translator
    from paperagent.digest.write.writer import DigestLLM
    from paperagent.llm import prompts

    config, budget = context.config, Budget(context.config.pricing, context.max_cost)
    theme_config = ThemeWriterConfig(
        prompts.load("theme", settings.prompts_dir),
        config.check,
        config.pricing,
        config.salt,
        config.context_tokens,
    )
    concurrent = 1 if settings.local_endpoint else MAX_CONCURRENT_CALLS
    theme_writer = ThemeWriter(context.model, theme_config, budget, max_concurrent=concurrent)

    def answerer(pipeline: Pipeline, max_cost: float | None) -> LLMAnswerer:
        return LLMAnswerer(pipeline, context.model, replace(config, max_cost=max_cost))

    translator = Translator(
        context.model,
        prompts.load("translate", settings.prompts_dir),
        budget,
        config.salt,
        config.context_tokens,
        concurrent,
    )
    return DigestLLM(theme_writer, budget, answerer, translator)


# --- summaries ---


def main_topics(store: Store, papers: Sequence[Paper] | None = None) -> tuple[list[tuple[str, int]], int]:
    """Return the main topics with their numbers of papers, and the number of papers that were analyzed.

    These are ``papers`` or else the whole library, or a sample if they are many.
    """
    from paperagent.digest.select import topics

    sample = store.sample(topics.SAMPLE) if papers is None else papers[: topics.SAMPLE]
    analyzed = store.get_with_features(p.paper_id for p in sample)
    return topics.main_topics(list(analyzed.values())), len(analyzed)


def write_summary(
    settings: Settings,
    store: Store,
    question: str,
    hits: Sequence[Hit],
    *,
    llm: LLMContext | None,
    from_search: bool,
) -> Answer:
    """Write a cited overview of papers.

    Args:
        settings: The settings.
        store: The open library.
        question: The search query, or a title for the overview.
        hits: The papers.
        llm: The model that writes; None to quote sentences.
        from_search: Whether the papers are from a search; then those off topic are left out.

    Raises:
        ConfigError: a prompt cannot be used.
    """
    from paperagent.digest import overview
    from paperagent.digest.write.writer import IssueWriter

    papers = overview.relevant_hits(hits) if from_search else list(hits)
    if not papers:
        return overview.no_papers_answer(question, empty=store.count() == 0)
    if len(papers) == 1:
        return overview.summarize_paper(question, papers[0], _summary_llm(settings, llm) if llm else None)
    stored = store.get_with_features([h.paper_id for h in papers])
    writer = IssueWriter(_digest_llm(settings, llm) if llm else None)
    vectors = {paper_id: paper.vector for paper_id, paper in stored.items()}
    return overview.summarize_papers(question, papers, writer, vectors)


def _summary_llm(settings: Settings, context: LLMContext) -> SummaryLLM:
    from paperagent.answering.call_budget import Budget
    from paperagent.digest.overview import SummaryLLM
    from paperagent.llm import prompts

    config = context.config
    prompt = prompts.load("summary", settings.prompts_dir)
    return SummaryLLM(
        context.model, prompt, config.check, config.salt, Budget(config.pricing, context.max_cost)
    )
