"""Wiring: Settings → adapters → `PaperAgent`; the only place that sees both sides."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from paperagent import arguments, factory
from paperagent.answering import conversation, fallback
from paperagent.arguments import AskOptions, Day
from paperagent.errors import ConfigError, EndpointError, FeedError, InputError, PaperAgentError, visible
from paperagent.types import Answer, AskMode, Event, Filters, Hit, IngestReport, Mode, Paper, Progress

if TYPE_CHECKING:
    from paperagent.answering.abstention import Thresholds
    from paperagent.answering.llm_pipeline import Writer
    from paperagent.answering.pipeline import Pipeline, Request
    from paperagent.answering.select_mode import Selector
    from paperagent.config import Settings
    from paperagent.digest.issue import Issue
    from paperagent.embedding.minilm import MiniLM
    from paperagent.factory.digest import LLMContext
    from paperagent.embedding.openai_embedder import OpenAIEmbedder
    from paperagent.library import Health, Shard, Store
    from paperagent.llm.protocol import TextModel

EmbedBy = Literal["here", "ray", "batch"]


class PaperNotFoundError(InputError, KeyError):
    """No paper of the library has this id."""


class PaperAgent:
    """One library of papers: reads feeds, searches, answers with citations.

    Every argument is optional; what is not given comes from the environment or ``.env``. The
    library is opened at the first use and is created only by `ingest`. An agent may be shared
    between threads, but not between processes.

    Raises:
        ConfigError: a setting cannot be used.
    """

    def __init__(
        self,
        home: str | Path | None = None,
        *,
        model: str | None = None,
        mode: AskMode | None = None,
        embedder: str | None = None,
        settings: Settings | None = None,
        endpoint: TextModel | None = None,
    ) -> None:
        """Take settings whole or one by one; ``endpoint`` answers in place of the one that they name."""
        if settings is None:
            from paperagent import config

            settings = config.load(
                home=arguments.home(home), model=model, mode=arguments.answer_mode(mode), embedder=embedder
            )
        self.settings = settings
        self.home = Path(settings.home)
        """The library's folder."""
        self.notes: tuple[str, ...] = ()
        """What the person should know about this set-up, such as a missing embedding model."""
        self._unsaid: tuple[str, ...] = ()
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None
        """Which file the store has open, to notice that the library was replaced."""
        self._tools: factory.EmbeddingModels | None = None
        self._endpoints: dict[str, TextModel] = {}
        self._given = endpoint
        self._pipeline: Pipeline | None = None

    # --- papers in ---

    def ingest(
        self,
        sources: str | Path | Iterable[str | Path],
        *,
        date: Day = None,
        progress: Progress | None = None,
        vectors: bool = True,
        shard: str | None = None,
        anew: bool = False,
    ) -> IngestReport:
        """Read feeds into the library and return what changed.

        A feed is a path, ``-``, an address, or a service such as ``arxiv:cs.CL``. A service is read on
        from where the last ingest of it ended or was cut off; ``anew`` reads it from its beginning.

        Papers are searchable by their words as soon as they are read; vectors follow, and may
        be interrupted and taken up again by any later ingest. ``date`` is the day on which a
        feed without dates listed its papers. ``shard`` ``"2/8"`` reads, and embeds, the second of
        eight shares, so that eight processes fill one library on a server.

        Raises:
            InputError: no source, or one that is no path; a share that is none.
            FeedError: a feed cannot be read, or not to its end; all others were read, and ``report`` of
                the error says what came of each.
            StoreError, StoreLockedError: the library cannot be written.
        """
        from paperagent import ingest as gather

        share = arguments.shard(shard)
        reading = gather.Reading(
            arguments.today(), arguments.day(date, "date"), share, anew=anew, progress=progress
        )
        wanted = list(arguments.sources(sources))
        gatherer = gather.Gatherer(
            lambda create: self._open(create=create), lambda: gather.feed_client(self.settings), reading
        )
        try:
            report = gatherer.read(wanted)
        except (FeedError, InputError) as error:
            if error.report is not None and error.report.papers:
                error.report = self._vectors_of(error.report, progress, share, vectors=vectors)
            raise
        return self._vectors_of(report, progress, share, vectors=vectors)

    def _vectors_of(
        self, report: IngestReport, progress: Progress | None, share: Shard | None, *, vectors: bool
    ) -> IngestReport:
        """Give vectors to what was read."""
        store = self._open()
        embedder = self._embedder() if vectors else None
        added = pending = 0
        if embedder is not None:
            # A folder has one writer, which embeds whatever waits.
            own = share if self.settings.chroma_url else None
            added, pending = store.catch_up_vectors(embedder, progress=progress, shard=own)
        return _with_vectors(report, store, added, pending, notes=self.notes if vectors else ())

    def embed(
        self,
        *,
        by: EmbedBy = "here",
        shard: str | None = None,
        workers: int = 2,
        address: str | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """Give vectors to the papers that have none.

        ``by`` ``here`` embeds in this process; ``ray`` by ``workers`` actors of a Ray cluster at
        ``address``, or on this machine; ``batch`` sends them to OpenAI's Batch API and returns at once:
        call it again, hours later, to collect them. ``shard`` is for a library on a server.

        Raises:
            InputError: a share that is none, of a folder, or together with ``batch``.
            ConfigError: the settings name no model, or one that cannot be used in this way.
            StoreError, EndpointError: the library or the server failed; what was embedded is kept.
        """
        share = arguments.shard(shard)
        if share is not None and by == "batch":
            raise InputError("embed: a batch takes all that waits; give a shard or batch, not both")
        store, embedder = self._open(), self._embedder()
        if embedder is None:
            raise ConfigError("embedding: there is no model; run `paperagent models pull`")
        added, notes = factory.embed_pending(
            self.settings,
            store,
            embedder,
            by=by,
            shard=share,
            workers=workers,
            address=address,
            progress=progress,
        )
        pending = int(store.status()["vectors"]["pending"])
        return IngestReport(papers=store.count(), embedded=added, pending=pending, notes=notes)

    def follow(self, source: str) -> bool:
        """Keep a feed with the library, for `ingest_followed`; False where it is kept already.

        Raises:
            FeedError, InputError: it is no file and no service, or asks for something that is none.
        """
        from paperagent.library import followed_feeds

        return followed_feeds.follow(self._open(create=True), source, today=arguments.today())

    def unfollow(self, source: str) -> bool:
        """Forget a feed that is kept; False where it is not. Its papers stay."""
        from paperagent.library import followed_feeds

        return followed_feeds.unfollow(self._open(), source)

    def followed(self) -> list[dict[str, Any]]:
        """Return the feeds kept: ``source``, ``added``, and of the last run ``read``, ``new``, ``error``."""
        from paperagent.library import followed_feeds

        return followed_feeds.load_followed(self._open())

    def ingest_followed(
        self,
        config: str | Path | None = None,
        *,
        progress: Progress | None = None,
        vectors: bool = True,
        anew: bool = False,
    ) -> IngestReport:
        """Read the feeds kept with the library, or those that the file ``config`` lists, one a line.

        Raises:
            InputError: no feed is kept.
            FeedError, StoreError: as `ingest`.
        """
        from paperagent.library import followed_feeds

        sources = (
            followed_feeds.read_feed_list(Path(config))
            if config
            else [feed["source"] for feed in self.followed()]
        )
        if not sources:
            raise InputError("feeds: none is kept; add one: paperagent feeds add arxiv:cs.CL")
        try:
            report = self.ingest(sources, progress=progress, vectors=vectors, anew=anew)
        except (FeedError, InputError) as error:
            if error.report is not None and not config:
                followed_feeds.record_run(self._open(), error.report, today=arguments.today())
            raise
        if not config:
            followed_feeds.record_run(self._open(), report, today=arguments.today())
        return report

    # --- questions ---

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Return the ``k`` best papers for a query, best first.

        Raises:
            InputError: an argument is out of range.
            StoreError: there is no library, or it is damaged.
        """
        text = conversation.clean_question(query)
        filters = arguments.filters(since, until, category, source)
        return self._answerer().search(text, k=arguments.top_k(k), filters=filters)

    @arguments.shows_options
    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question from the library; takes the options of `ask_stream`."""
        *_, last = self.ask_stream(question, **options)
        assert last.answer is not None
        return last.answer

    @arguments.shows_options
    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question like `ask`, without blocking the event loop; cancelling the task stops it."""
        async with aclosing(self.aask_stream(question, **options)) as events:
            async for event in events:
                last = event
        assert last.answer is not None
        return last.answer

    @arguments.shows_options
    def aask_stream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """Answer a question step by step, like `ask_stream`, for an asyncio event loop.

        The work runs in a thread; several questions may run at once. Work starts, and option values are
        checked, at the first event. Closing the generator closes the connection to the model's server.
        """
        from paperagent.asynchronous import iterate

        arguments.check_names(options)
        return iterate(lambda: self.ask_stream(question, **options))

    @arguments.shows_options
    def ask_stream(self, question: str, **options: Unpack[AskOptions]) -> Iterator[Event]:
        """Answer a question step by step: ``retrieved``, each ``claim``, then ``done`` with the Answer.

        ``history`` holds the earlier turns as ``(question, answer)`` pairs, oldest first; ``k``
        is the number of papers retrieved, 1 to 100. The arguments are checked at the call, not
        at the first event.

        With a model: ``effort`` ``fast`` forbids a second search and ``deep`` cuts the question
        into searches first; ``max_cost`` (US dollars) refuses a call that could cost more;
        ``unsupported`` says what happens to claims that fail their check (``withhold``, ``mark``
        or ``repair``); ``judge`` says when a second reader judges the claims (``auto``: if wording
        leaves one unverified; ``always`` or ``never``); ``cache`` reuses earlier replies. Where the model
        gives no answer, sentences are quoted, and ``Answer.fallback`` and a note say why. With
        ``fallback=False`` its error is raised, or its refusal or abstention is returned.
        In mode ``select`` the model chooses the sentences to quote, in one short call; of these
        options only ``max_cost``, ``cache`` and ``fallback`` apply.

        Raises:
            InputError: a question or option that cannot be used.
            ConfigError: a mode, model or prompt that the settings do not allow.
            EndpointError: the model's server failed, with ``fallback=False`` (while iterating); ``hits``
                holds what was found.
            StoreError: there is no library, or it is damaged.
        """
        arguments.check_names(options)
        plan = factory.LLMOptions(
            options.get("effort"),
            options.get("max_cost"),
            options.get("unsupported"),
            arguments.judge(options.get("judge")),
            options.get("cache"),
            fallback=options.get("fallback", True),
        )
        arguments.check_llm_options(options.get("model"), plan.effort, plan.max_cost, plan.unsupported)
        how = self._mode(arguments.answer_mode(options.get("mode")))
        filters = arguments.filters(
            options.get("since"), options.get("until"), options.get("category"), options.get("source")
        )
        request = self._request(question, options.get("history"), options.get("k"), filters)
        pipeline = self._answerer()
        request = replace(request, notes=(*request.notes, *self._say_once()))
        if how == "extractive":
            return pipeline.stream(request)
        by_model = self._selector if how == "select" else self._writer
        try:
            answering = by_model(options.get("model"), plan)
        except EndpointError as error:  # no model is named, and the server cannot say which it has
            if not plan.fallback:
                raise
            return fallback.events_instead(pipeline.stream(request), error.kind, str(error))
        return answering.stream(request)

    # --- overviews ---

    def summarize(
        self,
        query: str | None = None,
        *,
        ids: Iterable[str] | None = None,
        k: int = 20,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
        cache: bool | None = None,
    ) -> Answer:
        """Return a cited overview of the papers on a topic, or of those named, grouped by theme.

        Of one paper: its problem, what is new and its result in three cited sentences. With a
        model, what it writes is checked, and quoted instead where it fails; ``max_cost`` (US
        dollars) is for the whole summary.

        Raises:
            InputError: neither query nor ids, both, or an option that cannot be used.
            PaperNotFoundError: an id that the library does not have.
            ConfigError, StoreError: as `ask` does.
        """
        arguments.check_llm_options(model, None, max_cost, None)
        with_model = self._mode(arguments.answer_mode(mode)) == "llm"
        if (query is None) == (ids is None):
            raise InputError("summarize: give a query or ids, one of them")
        if ids is not None:
            hits = [Hit(self.get(i), 0.0, n) for n, i in enumerate(arguments.ids(ids), start=1)]
            question = f"Summary of {len(hits)} papers" if len(hits) > 1 else hits[0].title
        else:
            question = conversation.clean_question(query)
            filters = arguments.filters(since, until, category, source)
            hits = self._answerer().search(question, k=arguments.top_k(k), filters=filters)
        from paperagent.factory.digest import write_summary

        llm = self._llm_context(model, max_cost, cache=cache) if with_model else None
        return write_summary(
            self.settings, self._open(), self._models(), question, hits, llm=llm, from_search=ids is None
        )

    def digest(
        self,
        week: str | None = None,
        *,
        since: Day = None,
        until: Day = None,
        interests: Iterable[str] = (),
        questions: Iterable[str] = (),
        categories: Iterable[str] = (),
        max_items: int = 12,
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
        cache: bool | None = None,
    ) -> Issue:
        """Return the digest of a week (such as ``2026-W26``; the last whole one) or of any days.

        ``questions`` are answered from the issue's papers only. Nothing is kept or sent. ``max_cost``
        (US dollars) is for the whole issue.

        Raises:
            InputError: a week, day or wish that cannot be used.
            ConfigError, StoreError: as `ask` does.
        """
        arguments.check_llm_options(model, None, max_cost, None)
        with_model = self._mode(arguments.answer_mode(mode)) == "llm"
        from paperagent.digest.preferences import Preferences
        from paperagent.digest.schedule import choose_period
        from paperagent.factory.digest import issue_builder

        first, last = arguments.day(since, "since"), arguments.day(until, "until")
        period = choose_period(week, first, last, today=arguments.today())
        lists = ([texts] if isinstance(texts, str) else texts for texts in (interests, questions, categories))
        preferences = Preferences.validated(*lists, max_items=max_items)
        llm = self._llm_context(model, max_cost, cache=cache) if with_model else None
        builder = issue_builder(self.settings, self._open(), self._models(), period, llm=llm)
        return builder.issue(preferences)

    def _llm_context(self, model: str | None, max_cost: float | None, *, cache: bool | None) -> LLMContext:
        from paperagent.factory.digest import llm_context

        return llm_context(
            self.settings,
            self._open(),
            self._endpoint(model),
            judge_model=self._reader(),
            max_cost=max_cost,
            cache=cache,
        )

    def _say_once(self) -> tuple[str, ...]:
        """Return the notes on this set-up for the first answer, and nothing for later ones."""
        with self._lock:
            fresh, self._unsaid = self._unsaid, ()
            return fresh

    def _request(
        self, question: str, history: Iterable[Any] | None, k: int | None, filters: Filters
    ) -> Request:
        from paperagent.answering.pipeline import Request

        turns, notes = conversation.clean_history(history)
        return Request(
            question=conversation.clean_question(question),
            history=turns,
            k=arguments.top_k(self.settings.top_k if k is None else k),
            filters=filters,
            notes=notes,
        )

    def _mode(self, mode: AskMode | None) -> AskMode:
        """Return the mode in force for a question; asking for a model needs an endpoint."""
        how = mode or self.settings.answer_mode
        if self._given is None:
            factory.require_endpoint(self.settings, how)
        return how

    def warm(self) -> None:
        """Load the libraries and models that the first question needs; no question is asked.

        If no model is named, your own server is asked for its models, once.

        Worth it in a thread of its own where a person may press Ctrl-C: an import that is cut
        off half way leaves a library unusable for the rest of the process.

        Raises:
            StoreError, ConfigError: as the first question would.
        """
        answerer = self._answerer()
        if self._mode(None) != "extractive":
            self._writer(None, factory.LLMOptions())
            factory.preload_llm(self.settings)
        if not self.settings.embedder.startswith("openai:"):  # which would be asked for a vector
            answerer.search("warm", k=1, filters=Filters())

    def get(self, paper_id: str) -> Paper:
        """Return one paper by its id or an alias of it; an arXiv, DOI or ACL id in any writing.

        Raises:
            PaperNotFoundError: the library has no such paper.
        """
        names = arguments.paper_ids(paper_id)
        held = self._open().get_many(names)
        paper = next((held[name] for name in names if name in held), None)
        if paper is None:
            raise PaperNotFoundError(
                f"paper: no paper with the id {visible(paper_id, limit=80)}; `paperagent search` shows ids"
            )
        return next(self._open().named([paper]))

    def papers(self) -> Iterator[Paper]:
        """Yield every paper of the library."""
        store = self._open()
        return store.named(store.papers())

    # --- upkeep ---

    def status(self) -> dict[str, Any]:
        """Return what the library holds and how far its indexes are."""
        return self._open().status()

    def doctor(self, *, repair: bool = False) -> Health:
        """Prove that every paper is reachable in both indexes; with ``repair``, rebuild what is not."""
        return self._open().doctor(repair=repair)

    def reindex(self, *, vectors: bool = True, progress: Progress | None = None) -> None:
        """Rebuild the indexes from the library; vectors are embedded anew only where the model changed."""
        store = self._open()
        embedder = self._embedder() if vectors else None
        store.reindex(embedder=embedder, progress=progress)

    def thresholds(self) -> Thresholds:
        """Return the confidence that an extractive answer from this library needs."""
        from paperagent.answering import abstention

        usual = abstention.Thresholds.usual(self._open().count(), encoder=self._models().encoder is not None)
        return self._own_thresholds() or usual

    def _own_thresholds(self) -> Thresholds | None:
        from paperagent.answering import abstention

        return abstention.Thresholds.of(self._open().setting(self._thresholds_kept_as()))

    def set_thresholds(self, thresholds: Thresholds | None) -> None:
        """Keep the thresholds with the library, for this and later agents; None: the defaults again.

        They are kept apart for answers with and without an encoder, whose confidences differ.

        Raises:
            StoreError, StoreLockedError: the library cannot be written.
        """
        with self._lock:
            kept = thresholds.to_dict() if thresholds else None
            self._open().set_setting(self._thresholds_kept_as(), kept)
            self._pipeline = None

    def _thresholds_kept_as(self) -> str:
        from paperagent.answering import abstention

        return abstention.kept_as(encoder=self._models().encoder is not None)

    def close(self) -> None:
        """Close the library; the agent opens it again when it is used again."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = self._pipeline = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PaperAgent(home={str(self.home)!r})"

    def __getstate__(self) -> object:
        """Refuse to be pickled: an agent holds secrets and open files."""
        raise TypeError("PaperAgent cannot be pickled: it holds secrets and open files")

    # --- adapters ---

    def _open(self, *, create: bool = False) -> Store:
        with self._lock:
            if self._store is not None and self._file != self._place():
                self.close()  # another library stands in this place now, or none
            if self._store is None:
                self._store = factory.open_store(self.settings, create=create)
                self._file = self._place()
            return self._store

    def _place(self) -> tuple[int, int] | None:
        """Return what tells the library's file from another in its place; None where a server keeps it."""
        return None if self.settings.chroma_url else _file_identity(self.home)

    def _answerer(self) -> Pipeline:
        from paperagent.answering.pipeline import Pipeline

        with self._lock:
            store = self._open()
            if self._pipeline is None:
                encoder, embedder = self._models().encoder, self._models().embedder
                if embedder is not None:
                    factory.require_same_embedder(store, embedder.embedder_id)
                self._pipeline = Pipeline(
                    store,
                    encoder=encoder,
                    embedder=None if embedder is encoder else embedder,
                    thresholds=self._own_thresholds(),
                )
            return self._pipeline

    def _embedder(self) -> MiniLM | OpenAIEmbedder | None:
        return self._models().embedder

    def _models(self) -> factory.EmbeddingModels:
        """Return what reads sentences and what makes the library's vectors: often the same."""
        with self._lock:
            if self._tools is None:
                self._tools = factory.load_embedding_models(self.settings)
                self.notes = self._unsaid = self._tools.notes
            return self._tools

    def _writer(self, model: str | None, plan: factory.LLMOptions) -> Writer:
        """Return what answers with a model; endpoints are kept, so that connections are."""
        pipeline = self._answerer()
        endpoint = self._given or self._endpoint(model)
        plan = replace(plan, judge_model=self._reader())
        return factory.llm_answerer(self.settings, self._open(), pipeline, endpoint, plan)

    def _reader(self) -> TextModel | None:
        """Return the second reader's model; None where it is the one that writes."""
        name = self.settings.judge_model
        return None if self._given or name is None else self._endpoint(name)

    def _selector(self, model: str | None, plan: factory.LLMOptions) -> Selector:
        """Return the selector, which answers with sentences that a model chooses."""
        pipeline = self._answerer()
        endpoint = self._given or self._endpoint(model)
        return factory.select_answerer(self.settings, self._open(), pipeline, endpoint, plan)

    def _endpoint(self, model: str | None) -> TextModel:
        with self._lock:
            name = model or self.settings.model or ""
            if name not in self._endpoints:
                self._endpoints[name] = factory.open_model(self.settings, model)
            return self._endpoints[name]


@arguments.shows_options
def ask(question: str, **options: Unpack[AskOptions]) -> Answer:
    """Answer a question from the default library (``PAPERAGENT_HOME``), with settings from the environment.

    Takes the options of `PaperAgent.ask_stream`, which explains them. Synchronous; safe in threads and
    inside a running event loop. The library is opened once and kept for later calls.
    """
    return _default_agent().ask(question, **options)


_default: dict[tuple[Path, int], PaperAgent] = {}
_default_lock = threading.Lock()


def _default_agent() -> PaperAgent:
    """Return the agent of the settings in force, kept while they and the process stay the same."""
    import os

    fresh = PaperAgent()
    with _default_lock:
        known = _default.get((fresh.home, os.getpid()))
        if known is None or known.settings != fresh.settings:
            if known is not None:
                known.close()
            known = _default[fresh.home, os.getpid()] = fresh
        return known


def _file_identity(home: Path) -> tuple[int, int] | None:
    """Return device and inode of the library's file, or None where there is none."""
    from paperagent.library.home import DATABASE

    try:
        found = (home / DATABASE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _with_vectors(
    report: IngestReport, store: Store, added: int, pending: int, *, notes: tuple[str, ...]
) -> IngestReport:
    now = store.status()
    missing = pending or now["vectors"]["pending"]
    notes = (*report.notes, *notes)
    return replace(report, papers=now["papers"], embedded=added, pending=missing, notes=notes)


__all__ = ["PaperAgent", "PaperAgentError", "PaperNotFoundError", "ask"]
