"""The public class `PaperAgent` and the function `ask`.

A `PaperAgent` checks its arguments (`arguments`), builds what it needs from the settings (`factory`) when
it first needs it, and delegates the work: feeds to `ingest`, questions to `answering`, digests to `digest`.
"""

from __future__ import annotations

import builtins
import datetime as dt
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from paperagent import arguments, factory, lookup
from paperagent.arguments import AskOptions, Day
from paperagent.errors import ConfigError, EndpointError, FeedError, InputError, PaperAgentError
from paperagent.lookup import PaperNotFoundError
from paperagent.types import Answer, AskMode, Event, Filters, Hit, Hits, IngestReport, Mode, Paper, Progress

if TYPE_CHECKING:
    from paperagent.answering.abstention import Thresholds
    from paperagent.answering.library_questions.answers import OverviewRequest
    from paperagent.answering.llm_pipeline import LLMAnswerer
    from paperagent.answering.pipeline import AnswerRequest, Pipeline
    from paperagent.answering.select_mode import SentenceSelector
    from paperagent.config import Settings
    from paperagent.digest.issue import Issue
    from paperagent.factory.digest import LLMContext
    from paperagent.library import FeedSort, Health, ListSort, Shard, Store
    from paperagent.library.facets import Facets
    from paperagent.llm.protocol import TextModel
    from paperagent.retrieval.conversation import Turn

EmbedBy = Literal["here", "ray", "batch"]
"""Where embeddings are computed: in this process, on a Ray cluster, or by OpenAI's Batch API."""


class PaperAgent:
    """A library of papers: reads feeds, searches, and answers questions with citations.

    The library is opened when it is first used; only `ingest` and `follow` create it. An agent may be
    shared between threads, but not between processes. Use it as a context manager, or call `close`.

    Args:
        home: The library's folder.
        model: The model that writes answers.
        mode: ``extractive``, ``select`` or ``llm``, as in `AskOptions`.
        embedder: ``minilm``, ``minilm-fp32``, ``openai:MODEL`` or ``none``.
        settings: All settings at once, instead of the four arguments above. By default settings come
            from the environment and from ``.env``.
        endpoint: A model to use instead of the one that the settings name.

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
        if settings is None:
            from paperagent import config

            settings = config.load(
                home=arguments.home(home), model=model, mode=arguments.answer_mode(mode), embedder=embedder
            )
        self.settings = settings
        self.home = Path(settings.home)
        """The library's folder."""
        self.notes: tuple[str, ...] = ()
        """Messages about the configuration, such as that no embedding model is installed."""
        self._pending_notes: tuple[str, ...] = ()
        """Notes that have not been attached to an answer yet."""
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._store_identity: tuple[int, int] | None = None
        """Identifies the file that the store has open, to notice that the library was replaced."""
        self._embedding_models: factory.EmbeddingModels | None = None
        self._llm = endpoint
        self._llms: dict[str, TextModel] = {}
        """The open chat models, by the name that was requested."""
        self._pipeline: Pipeline | None = None
        self._summaries: tuple[str, dict[Any, Answer]] = ("", {})
        """The state of the library, and answers about its contents and authors in that state."""

    # --- reading papers ---

    @arguments.renamed(anew="restart")
    def ingest(
        self,
        sources: str | Path | Iterable[str | Path],
        *,
        date: Day = None,
        format: str | None = None,  # noqa: A002 - the name that callers expect
        fetch: bool = False,
        progress: Progress | None = None,
        vectors: bool = True,
        shard: str | None = None,
        restart: bool = False,
    ) -> IngestReport:
        """Read feeds into the library, and compute the embeddings of new papers.

        Papers can be found by keywords as soon as they are read. Embedding follows; if it is interrupted,
        the next ingest resumes it. A live feed resumes where its last ingest ended.

        Args:
            sources: One feed or several. A feed is a path, ``-`` for standard input, a URL, or a live feed
                such as ``arxiv:cs.CL``.
            date: The day on which the papers were listed, for feeds without dates.
            format: The format of files, such as ``csv``; by default it is detected.
            fetch: Whether to fetch the papers of a file that is a list of links to arXiv.
            progress: Called as ``progress(stage, done, total)`` with ``read``, ``index`` or ``embed``.
            vectors: Whether to compute embeddings.
            shard: ``"2/8"`` reads and embeds the second of eight shares, so that eight processes can fill
                one library on a server.
            restart: Read live feeds from their beginning instead of resuming.

        Returns:
            What changed, in total and for each feed.

        Raises:
            InputError: there is no source, or ``shard`` is invalid.
            FeedError: a feed could not be read to its end, or all records were skipped. All other feeds were
                read, and the error's ``report`` covers every feed.
            StoreError, StoreLockedError: the library cannot be written.
        """
        from paperagent.ingest import IngestOptions, IngestRunner, make_feed_client

        share = arguments.shard(shard)
        options = IngestOptions(
            self._today(),
            arguments.day(date, "date"),
            share,
            format=format,
            fetch=fetch,
            restart=restart,
            progress=progress,
        )
        feeds = list(arguments.sources(sources))
        runner = IngestRunner(
            lambda create: self._open_store(create=create), lambda: make_feed_client(self.settings), options
        )
        try:
            report = runner.run(feeds)
        except (FeedError, InputError) as error:
            if error.report is not None and error.report.papers:
                self._record_ingest(error.report)
                error.report = self._embed_new(error.report, progress, share, vectors=vectors)
            raise
        self._record_ingest(report)
        return self._embed_new(report, progress, share, vectors=vectors)

    def _record_ingest(self, report: IngestReport) -> None:
        from paperagent.ingest import LOCK_TIMEOUT_SECONDS
        from paperagent.library.facets import ingest_summary
        from paperagent.storage.locks import retry_while_locked

        store, summary = self._open_store(), ingest_summary(report, time=dt.datetime.now(dt.UTC))
        retry_while_locked(lambda: store.record_ingest(summary), seconds=LOCK_TIMEOUT_SECONDS)

    def _embed_new(
        self, report: IngestReport, progress: Progress | None, share: Shard | None, *, vectors: bool
    ) -> IngestReport:
        """Embed the papers without a vector, and add the result to ``report``."""
        store = self._open_store()
        embedder = self._load_models().embedder if vectors else None
        added = pending = 0
        if embedder is not None:
            # A local library has one writer, which embeds every paper that has no vector.
            own_share = share if self.settings.chroma_url else None
            added, pending = store.embed_pending(embedder, progress=progress, shard=own_share)
        status = store.status()
        return replace(
            report,
            papers=status["papers"],
            embedded=added,
            pending=pending or status["vectors"]["pending"],
            notes=(*report.notes, *(self.notes if vectors else ())),
        )

    def embed(
        self,
        *,
        by: EmbedBy = "here",
        shard: str | None = None,
        workers: int = 2,
        address: str | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """Compute the embeddings of papers that have none.

        Args:
            by: ``here`` embeds in this process, ``ray`` on a Ray cluster. ``batch`` submits the papers to
                OpenAI's Batch API and returns at once; call it again, hours later, to collect the results.
            shard: The share of papers to embed, such as ``"2/8"``, in a library on a server.
            workers: The number of Ray actors.
            address: The address of the Ray cluster; by default one is started on this machine.
            progress: Called as ``progress(stage, done, total)``.

        Returns:
            The number of vectors added and of papers still without one.

        Raises:
            InputError: ``shard`` is invalid, or combined with a local library or with ``batch``.
            ConfigError: the settings name no embedding model, or one that does not fit ``by``.
            StoreError, EndpointError: the library or the server failed. Vectors already stored are kept.
        """
        share = arguments.shard(shard)
        if share is not None and by == "batch":
            raise InputError("embed: a batch contains all pending papers; give shard or batch, not both")
        store, embedder = self._open_store(), self._load_models().embedder
        if embedder is None:
            raise ConfigError("embedding: no model is installed; run `paperagent models pull`")
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

    def _today(self) -> dt.date:
        return arguments.today(self.settings.zone)

    def follow(self, source: str) -> bool:
        """Add a feed to the list that `ingest_followed` reads.

        Returns:
            False if the feed is already on the list.

        Raises:
            FeedError, InputError: it is neither a file nor a live feed, or its query is invalid.
        """
        from paperagent.library import followed_feeds

        return followed_feeds.follow(self._open_store(create=True), source, today=self._today())

    def unfollow(self, source: str) -> bool:
        """Remove a feed from the list of followed feeds; its papers stay in the library.

        Returns:
            False if the feed is not on the list.
        """
        from paperagent.library import followed_feeds

        return followed_feeds.unfollow(self._open_store(), source)

    def followed(self) -> builtins.list[dict[str, Any]]:
        """Return the followed feeds.

        Returns:
            For each feed ``source``, ``added``, and the ``read``, ``new`` and ``error`` of its last ingest.
        """
        from paperagent.library import followed_feeds

        return followed_feeds.load_followed(self._open_store())

    @arguments.renamed(anew="restart")
    def ingest_followed(
        self,
        config: str | Path | None = None,
        *,
        progress: Progress | None = None,
        vectors: bool = True,
        restart: bool = False,
    ) -> IngestReport:
        """Read the followed feeds into the library.

        Args:
            config: A file that lists the feeds to read, one per line, instead of the followed ones.
            progress: As for `ingest`.
            vectors: As for `ingest`.
            restart: As for `ingest`.

        Raises:
            InputError: no feed is followed.
            FeedError, StoreError: as for `ingest`.
        """
        from paperagent.library import followed_feeds

        sources = (
            followed_feeds.read_feed_list(Path(config))
            if config
            else [feed["source"] for feed in self.followed()]
        )
        if not sources:
            raise InputError("feeds: no feed is followed; add one: paperagent feeds add arxiv:cs.CL")
        try:
            report = self.ingest(sources, progress=progress, vectors=vectors, restart=restart)
        except (FeedError, InputError) as error:
            if error.report is not None and not config:
                followed_feeds.record_run(self._open_store(), error.report, today=self._today())
            raise
        if not config:
            followed_feeds.record_run(self._open_store(), report, today=self._today())
        return report

    # --- searching and asking ---

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        author: str | None = None,
        exclude: str | Iterable[str] = (),
    ) -> Hits:
        """Return the papers that match a query best.

        Args:
            query: A question, a topic, or keywords. ``-word`` and ``-"two words"`` exclude papers. If the
                query is the id of a paper or the name of one author, these papers come first.
            k: The maximum number of papers, 1 to 100.
            since: The first day of publication, inclusive.
            until: The last day of publication, inclusive.
            category: A category such as ``cs.CL``, or an archive such as ``cs``.
            source: The feed that the papers come from, such as ``daily-papers``.
            author: An author, such as ``Henderson`` or ``P. Henderson``.
            exclude: Words or phrases that title and abstract must not contain.

        Returns:
            At most ``k`` hits, best first.

        Raises:
            InputError: an argument is out of range.
            StoreError: there is no library, or it is damaged.
        """
        from paperagent.retrieval.question import clean_question

        filters = arguments.filters(since, until, category, source, author=author, exclude=exclude)
        text, filters = arguments.split_exclusions(clean_question(query), filters)
        size, pipeline, store = arguments.top_k(k), self._open_pipeline(), self._open_store()
        named = lookup.named_papers(store, text, filters, limit=size)
        hits = pipeline.search(text, k=size, filters=filters)
        return Hits(lookup.put_first(named, hits, k=size) if named else hits)

    @arguments.shows_options
    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question from the library.

        Args:
            question: The question.
            options: See `AskOptions`.

        Returns:
            The answer, or an abstention with its reason.

        Raises:
            PaperAgentError: as for `ask_stream`.
        """
        *_, last = self.ask_stream(question, **options)
        assert last.answer is not None
        return last.answer

    @arguments.shows_options
    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer a question like `ask`, without blocking the event loop; canceling the task stops it."""
        async with aclosing(self.aask_stream(question, **options)) as events:
            async for event in events:
                last = event
        assert last.answer is not None
        return last.answer

    @arguments.shows_options
    def aask_stream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event, None]:
        """Answer a question step by step, like `ask_stream`, in an asyncio event loop.

        The work runs in its own thread, so several questions can run at once. It starts when the first
        event is requested, and option values are checked then. Closing the generator closes the
        connection to the model's server.
        """
        from paperagent.async_stream import iterate

        arguments.check_names(options)
        return iterate(lambda: self.ask_stream(question, **options))

    @arguments.shows_options
    def ask_stream(self, question: str, **options: Unpack[AskOptions]) -> Iterator[Event]:
        """Answer a question step by step.

        If a model is asked but gives no answer, sentences are quoted instead, and ``Answer.fallback`` and a
        note say why. With ``fallback=False``, the model's error is raised, or its refusal or abstention
        returned. In mode ``select``, the only model options that apply are ``max_cost``, ``cache`` and
        ``fallback``.

        Args:
            question: The question.
            options: See `AskOptions`. They are checked at the call, not at the first event.

        Returns:
            An iterator over the events: ``retrieved``, then each ``claim``, then ``done`` with the answer.

        Raises:
            InputError: the question or an option cannot be used.
            PaperNotFoundError: the library has no paper with one of the ``ids``.
            ConfigError: the settings do not allow the mode, the model or a prompt.
            EndpointError: the model's server failed and ``fallback`` is False. Raised while iterating; its
                ``hits`` are the papers retrieved so far.
            StoreError: there is no library, or it is damaged.
        """
        from paperagent.retrieval.conversation import clean_history

        arguments.check_names(options)
        llm_options = factory.LLMOptions(
            options.get("effort"),
            options.get("max_cost"),
            options.get("unsupported"),
            arguments.judge(options.get("judge")),
            options.get("cache"),
            fallback=options.get("fallback", True),
        )
        arguments.check_llm_options(
            options.get("model"), llm_options.effort, llm_options.max_cost, llm_options.unsupported
        )
        filters = arguments.filters(
            options.get("since"),
            options.get("until"),
            options.get("category"),
            options.get("source"),
            author=options.get("author"),
            exclude=options.get("exclude"),
        )
        if (ids := options.get("ids")) is not None:
            filters = replace(filters, ids=tuple(self.get(i).paper_id for i in arguments.ids(ids)))
        mode = arguments.answer_mode(options.get("mode"))
        history, notes = clean_history(options.get("history"))
        if (answered := self._answer_from_library(question, history, options, filters)) is not None:
            return answered
        mode = self._effective_mode(mode)
        request = self._request(question, history, options.get("k"), filters)
        pipeline = self._open_pipeline()
        request = replace(request, notes=(*notes, *self._take_notes()))
        if mode == "extractive":
            return pipeline.stream(request)
        make_answerer = self._select_answerer if mode == "select" else self._llm_answerer
        try:
            answerer = make_answerer(options.get("model"), llm_options)
        except EndpointError as error:  # no model is named, and the server does not list its models
            if not llm_options.fallback:
                raise
            from paperagent.answering.answers import fallback_events

            return fallback_events(pipeline.stream(request), error.kind, str(error))
        return answerer.stream(request)

    def _answer_from_library(
        self, question: str, history: tuple[Turn, ...], options: AskOptions, filters: Filters
    ) -> Iterator[Event] | None:
        """Answer small talk and questions about the library itself; return None for all other questions."""
        from paperagent.answering.library_questions import answers
        from paperagent.answering.library_questions.classify import classify
        from paperagent.factory.digest import main_topics
        from paperagent.library.facets import count_papers
        from paperagent.retrieval.question import clean_question

        if not isinstance(question, str):
            return None
        intent = classify(question, has_history=bool(history), today=self._today())
        if intent is None:
            return None
        has_words = any(map(str.isalnum, question))
        text = clean_question(question) if has_words else question.strip()  # "?" is a request for help
        if intent.is_small_talk:
            return iter([Event("done", answer=answers.small_talk_answer(text, intent))])
        store = self._open_store()
        if self._summaries[0] != (state := store.state()):
            self._summaries = state, {}
        answerer = answers.LibraryAnswerer(
            store,
            get=self._get_or_none,
            related=self._related_within,
            topics=partial(main_topics, store),
            count=count_papers,
            summaries=self._summaries[1],
        )
        answer = answerer.answer(text, intent, history=history, filters=filters)
        if isinstance(answer, Answer):
            return iter([Event("done", answer=answer)])
        return None if answer is None else self._write_overview(text, answer, options)

    def _related_within(self, paper_id: str, filters: Filters) -> Hits:
        limits = asdict(filters)
        del limits["ids"]
        return self.related(paper_id, **limits)

    def _get_or_none(self, paper_id: str) -> Paper | None:
        try:
            return self.get(paper_id)
        except InputError:
            return None

    def _write_overview(
        self, question: str, request: OverviewRequest, options: AskOptions
    ) -> Iterator[Event]:
        mode = self._effective_mode(arguments.answer_mode(options.get("mode")))
        filters, ids = request.filters, request.paper_ids or request.filters.ids
        answer = self.summarize(
            None if ids else request.topic,
            ids=ids or None,
            since=filters.since,
            until=filters.until,
            category=filters.category,
            source=filters.source,
            author=filters.author,
            exclude=filters.exclude,
            mode="llm" if mode == "llm" else "extractive",
            model=options.get("model"),
            max_cost=options.get("max_cost"),
            cache=options.get("cache"),
        )
        yield Event("retrieved", hits=answer.hits)
        yield Event("done", answer=replace(answer, question=question))

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
        author: str | None = None,
        exclude: str | Iterable[str] = (),
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
        cache: bool | None = None,
    ) -> Answer:
        """Write a cited overview of the papers on a topic, or of given papers, grouped by theme.

        The overview of a single paper has three cited sentences: the problem, what is new, and the result.
        Sentences written by a model are verified; one that fails is replaced by a quotation.

        Args:
            query: The topic.
            ids: The papers, instead of ``query``.
            k: The maximum number of papers on the topic, 1 to 100.
            since: As for `search`.
            until: As for `search`.
            category: As for `search`.
            source: As for `search`.
            author: As for `search`.
            exclude: As for `search`.
            mode: ``extractive`` or ``llm``.
            model: The model that writes.
            max_cost: The maximum cost of the whole overview, in US dollars.
            cache: Whether replies of the model may come from the cache.

        Raises:
            InputError: neither or both of ``query`` and ``ids`` are given, or an option cannot be used.
            PaperNotFoundError: the library has no paper with one of the ids.
            ConfigError, StoreError: as for `ask_stream`.
        """
        from paperagent.factory.digest import write_summary

        arguments.check_llm_options(model, None, max_cost, None)
        with_model = self._effective_mode(arguments.answer_mode(mode)) == "llm"
        if (query is None) == (ids is None):
            raise InputError("summarize: give either a query or ids")
        if ids is not None:
            papers = {p.paper_id: p for p in map(self.get, arguments.ids(ids))}
            hits = [Hit(paper, 0.0, n) for n, paper in enumerate(papers.values(), start=1)]
            question = f"Summary of {len(hits)} papers" if len(hits) > 1 else hits[0].title
        else:
            from paperagent.retrieval.question import clean_question

            filters = arguments.filters(since, until, category, source, author=author, exclude=exclude)
            question, filters = arguments.split_exclusions(clean_question(query), filters)
            hits = self._open_pipeline().search(question, k=arguments.top_k(k), filters=filters)
        llm = self._llm_context(model, max_cost, cache=cache) if with_model else None
        return write_summary(
            self.settings, self._open_store(), question, hits, llm=llm, from_search=ids is None
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
        exclude: Iterable[str] = (),
        authors: Iterable[str] = (),
        like: Iterable[str] = (),
        language: str = "",
        max_items: int = 12,
        mode: Mode | None = None,
        model: str | None = None,
        max_cost: float | None = None,
        cache: bool | None = None,
    ) -> Issue:
        """Write a digest of the papers of a week, a month or other days. Nothing is stored or sent.

        Args:
            week: An ISO week or a month, such as ``2026-W26`` or ``2026-06``; by default the last full week.
            since: The first day of the period, instead of ``week``.
            until: The last day of the period, inclusive.
            interests: Topics by which papers are chosen.
            questions: Questions that are answered from the papers of the period.
            categories: Categories by which papers are chosen, such as ``cs.CL``.
            exclude: Phrases and primary categories of papers that are left out.
            authors: Authors whose papers are always chosen, unless they are excluded.
            like: Papers by which similar ones are chosen: ids, or files such as ``refs.bib``.
            language: The language into which a model translates each sentence, such as ``de``.
            max_items: The maximum number of papers.
            mode: ``extractive`` or ``llm``.
            model: The model that writes.
            max_cost: The maximum cost of the whole issue, in US dollars.
            cache: Whether replies of the model may come from the cache.

        Raises:
            InputError: the period, an interest or an option cannot be used.
            ConfigError, StoreError: as for `ask_stream`.
        """
        from paperagent.digest.preferences import Preferences
        from paperagent.digest.schedule import choose_period
        from paperagent.factory.digest import issue_builder

        arguments.check_llm_options(model, None, max_cost, None)
        with_model = self._effective_mode(arguments.answer_mode(mode)) == "llm"
        first, last = arguments.day(since, "since"), arguments.day(until, "until")
        period = choose_period(week, first, last, today=self._today())
        lists: dict[str, Iterable[str]] = {
            "interests": interests,
            "questions": questions,
            "categories": categories,
            "exclude": exclude,
            "authors": authors,
        }
        preferences = Preferences.validated(
            **{name: [texts] if isinstance(texts, str) else texts for name, texts in lists.items()},
            max_items=max_items,
            language=language,
        )
        if like:
            sources = [like] if isinstance(like, str) else like
            preferences = preferences.with_examples(lookup.read_examples(self.settings, sources))
        store = self._open_store()
        llm = self._llm_context(model, max_cost, cache=cache) if with_model else None
        builder = issue_builder(self.settings, store, self._load_models(), period, llm=llm)
        return builder.issue(preferences)

    def _llm_context(self, model: str | None, max_cost: float | None, *, cache: bool | None) -> LLMContext:
        from paperagent.factory.digest import llm_context

        return llm_context(
            self.settings,
            self._open_store(),
            self._open_llm(model),
            judge_model=self._judge_model(),
            max_cost=max_cost,
            cache=cache,
        )

    # --- looking at papers ---

    def get(self, paper_id: str) -> Paper:
        """Return one paper.

        Args:
            paper_id: An id of the library, or an arXiv id, DOI or ACL id in any common notation. The first
                characters of an id are enough, at least four, if no other id begins with them.

        Raises:
            PaperNotFoundError: the library has no such paper.
            InputError: several ids begin with ``paper_id``; the message lists them.
        """
        store = self._open_store()
        return next(store.with_further_ids([lookup.find_paper(store, paper_id)]))

    def papers(self) -> Iterator[Paper]:
        """Yield every paper of the library."""
        store = self._open_store()
        return store.with_further_ids(store.papers())

    def list(
        self,
        *,
        sort: ListSort = "newest",
        limit: int | None = None,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        author: str | None = None,
        exclude: str | Iterable[str] = (),
    ) -> builtins.list[Paper]:
        """Return the papers that match the filters.

        Args:
            sort: ``newest``, ``oldest``, ``title`` or ``upvotes`` (most first). Papers of one day stay in the
                order in which they were read.
            limit: The maximum number of papers; None for all.
            since: As for `search`.
            until: As for `search`.
            category: As for `search`.
            source: As for `search`.
            author: As for `search`.
            exclude: As for `search`.

        Raises:
            InputError: an argument is out of range.
        """
        filters = arguments.filters(since, until, category, source, author=author, exclude=exclude)
        size = None if limit is None else arguments.at_least_one(limit, "limit")
        return self._open_store().list_papers(filters, sort=arguments.list_sort(sort), limit=size)

    def count(
        self,
        *,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        author: str | None = None,
        exclude: str | Iterable[str] = (),
    ) -> int:
        """Return the number of papers that match the filters, which are those of `search`."""
        filters = arguments.filters(since, until, category, source, author=author, exclude=exclude)
        return self._open_store().count_matching(filters)

    def list_by_day(
        self,
        *,
        sort: FeedSort = "newest",
        limit: int | None = None,
        offset: int = 0,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        author: str | None = None,
    ) -> builtins.list[Paper]:
        """Return papers by the day on which they appeared, as in a digest (see `Paper.appeared`).

        Args:
            sort: ``newest`` (latest day first) or ``upvotes`` (most first).
            limit: The maximum number of papers; None for all.
            offset: The number of papers to leave out first.
            since: The first day of appearance, inclusive.
            until: The last day of appearance, inclusive.
            category: As for `search`.
            source: As for `search`.
            author: As for `search`.

        Raises:
            InputError: an argument is out of range.
        """
        filters = arguments.day_filters(since, until, category, source, author)
        return self._open_store().list_by_day(filters, sort=sort, limit=limit, offset=offset)

    def count_by_day(
        self,
        *,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        author: str | None = None,
    ) -> dict[dt.date, int]:
        """Return the number of papers by the day on which they appeared, latest day first.

        The filters are those of `list_by_day`.
        """
        filters = arguments.day_filters(since, until, category, source, author)
        return self._open_store().count_by_day(filters)

    def library_state(self) -> str:
        """Return a value that changes whenever papers are added, changed or removed, also by others."""
        return self._open_store().state()

    def related(
        self,
        paper_id: str,
        *,
        k: int = 10,
        since: Day = None,
        until: Day = None,
        category: str | None = None,
        source: str | None = None,
        author: str | None = None,
        exclude: str | Iterable[str] = (),
    ) -> Hits:
        """Return the papers most similar to a paper, best first, without the paper itself.

        Compares stored vectors, so no embedding model is needed. A paper without a vector is compared by the
        words of its title and abstract.

        Args:
            paper_id: As for `get`.
            k: The maximum number of papers, 1 to 100.
            since: As for `search`.
            until: As for `search`.
            category: As for `search`.
            source: As for `search`.
            author: As for `search`.
            exclude: As for `search`.

        Raises:
            PaperNotFoundError, InputError: as for `get`.
        """
        size = arguments.top_k(k)
        filters = arguments.filters(since, until, category, source, author=author, exclude=exclude)
        store = self._open_store()
        paper = lookup.find_paper(store, paper_id)
        hits = lookup.related_hits(store, paper, k=size, filters=filters)
        if hits is None:
            from paperagent.retrieval.question import MAX_QUESTION, clean_question

            text = clean_question(f"{paper.title}. {paper.abstract}"[:MAX_QUESTION])
            similar = self._open_pipeline().search(text, k=size + 1, filters=filters)
            hits = [hit for hit in similar if hit.paper_id != paper.paper_id][:size]
        return Hits(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1))

    def remove(self, paper_ids: str | Iterable[str]) -> builtins.list[Paper]:
        """Remove papers from the library and its indexes. Digest issues that were already built keep them.

        Reading a feed that contains a removed paper adds it again.

        Args:
            paper_ids: One id or several, as for `get`.

        Returns:
            The removed papers.

        Raises:
            PaperNotFoundError, InputError: as for `get`; nothing is removed.
            StoreError, StoreLockedError: the library cannot be written.
        """
        store = self._open_store()
        papers = {
            paper.paper_id: paper
            for paper in (lookup.find_paper(store, i) for i in arguments.ids(paper_ids, limit=None))
        }
        store.remove(papers)
        return builtins.list(papers.values())

    def facets(self) -> Facets:
        """Return the range of dates of the papers, and the number of papers per feed and category."""
        return self._open_store().facets()

    # --- maintenance ---

    def status(self, *, details: bool = False) -> dict[str, Any]:
        """Return the number of papers and the state of the indexes.

        Args:
            details: Whether to add the range of dates, the feeds, the categories, the size on disk and the
                last ingest, as ``paperagent status --json`` does.
        """
        store = self._open_store()
        if not details:
            return store.status()
        from paperagent.library import facets

        return {**store.status(), **facets.status_details(store, on_server=bool(self.settings.chroma_url))}

    def doctor(self, *, repair: bool = False) -> Health:
        """Check that both indexes find every paper, and that the other files of the library are intact.

        Args:
            repair: Whether to rebuild an index that misses papers, and to restore a damaged ``digest.db``
                from its backups.

        Returns:
            The problems that were found, and the repairs.
        """
        from paperagent.factory.digest import check_folder
        from paperagent.library.protocol import Health

        store = self._open_store()
        others = check_folder(store.home, repair=repair)  # first, because it does not depend on the papers
        health = store.doctor(repair=repair)
        return Health(health.ok and all(check.ok for check in others), (*health.checks, *others))

    def reindex(self, *, vectors: bool = True, progress: Progress | None = None) -> None:
        """Rebuild the indexes from the library.

        Args:
            vectors: Whether to rebuild the vector index too. Papers are embedded again only if the
                embedding model has changed.
            progress: Called as ``progress(stage, done, total)``.
        """
        store = self._open_store()
        embedder = self._load_models().embedder if vectors else None
        store.reindex(embedder=embedder, progress=progress)

    def thresholds(self) -> Thresholds:
        """Return the confidence below which extractive answers of this library abstain or express doubt."""
        from paperagent.answering import abstention

        encoder = self._load_models().encoder is not None
        default = abstention.Thresholds.default(self._open_store().count(), encoder=encoder)
        return self._stored_thresholds() or default

    def _stored_thresholds(self) -> Thresholds | None:
        from paperagent.answering import abstention

        return abstention.Thresholds.from_dict(self._open_store().get_setting(self._thresholds_key()))

    def set_thresholds(self, thresholds: Thresholds | None) -> None:
        """Store thresholds in the library, for this agent and later ones.

        Confidence has a different scale with and without an embedding model, so each case has its own
        thresholds. This method sets those for the current configuration.

        Args:
            thresholds: The thresholds; None restores the defaults.

        Raises:
            StoreError, StoreLockedError: the library cannot be written.
        """
        with self._lock:
            value = thresholds.to_dict() if thresholds else None
            self._open_store().set_setting(self._thresholds_key(), value)
            self._pipeline = None

    def _thresholds_key(self) -> str:
        from paperagent.answering import abstention

        return abstention.setting_name(encoder=self._load_models().encoder is not None)

    def warm(self) -> None:
        """Load the libraries and models that the first question needs, without asking one.

        If your own server is set but no model is named, the server is asked for its models. Call this in a
        separate thread if the user may press Ctrl-C: an interrupted import leaves a library unusable for
        the rest of the process.

        Raises:
            StoreError, ConfigError: as for `ask_stream`.
        """
        pipeline = self._open_pipeline()
        if self._effective_mode(None) != "extractive":
            self._llm_answerer(None, factory.LLMOptions())
            factory.preload_llm(self.settings)
        if not self.settings.embedder.startswith("openai:"):  # a search would send a request
            pipeline.search("warm", k=1, filters=Filters())

    def close(self) -> None:
        """Close the library. It is opened again when the agent is next used."""
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
        """Raise TypeError: an agent holds secrets and open files, so it cannot be pickled."""
        raise TypeError("PaperAgent cannot be pickled: it holds secrets and open files")

    # --- preparing a question ---

    def _effective_mode(self, mode: AskMode | None) -> AskMode:
        """Return ``mode``, or else that of the settings; raise ConfigError if its endpoint is missing."""
        mode = mode or self.settings.answer_mode
        if self._llm is None:
            factory.require_endpoint(self.settings, mode)
        return mode

    def _request(
        self, question: str, history: tuple[Turn, ...], k: int | None, filters: Filters
    ) -> AnswerRequest:
        from paperagent.answering.pipeline import AnswerRequest
        from paperagent.retrieval.question import clean_question

        return AnswerRequest(
            question=clean_question(question),
            history=history,
            k=arguments.top_k(self.settings.top_k if k is None else k),
            filters=filters,
        )

    def _take_notes(self) -> tuple[str, ...]:
        """Return the notes on the configuration at the first call, and nothing at later calls."""
        with self._lock:
            notes, self._pending_notes = self._pending_notes, ()
            return notes

    # --- parts, opened when they are first used ---

    def _open_store(self, *, create: bool = False) -> Store:
        with self._lock:
            if self._store is not None and self._store_identity != self._library_identity():
                self.close()  # the library was deleted or replaced by another
            if self._store is None:
                self._store = factory.open_store(self.settings, create=create)
                self._store_identity = self._library_identity()
            return self._store

    def _library_identity(self) -> tuple[int, int] | None:
        """Return device and inode of the library's file; None if it does not exist or is on a server."""
        from paperagent.library.home import DATABASE

        if self.settings.chroma_url:
            return None
        try:
            status = (self.home / DATABASE).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _load_models(self) -> factory.EmbeddingModels:
        with self._lock:
            if self._embedding_models is None:
                self._embedding_models = factory.load_embedding_models(self.settings)
                self.notes = self._pending_notes = self._embedding_models.notes
            return self._embedding_models

    def _open_pipeline(self) -> Pipeline:
        from paperagent.answering.pipeline import Pipeline

        with self._lock:
            store = self._open_store()
            if self._pipeline is None:
                encoder, embedder = self._load_models().encoder, self._load_models().embedder
                if embedder is not None:
                    factory.require_same_embedder(store, embedder.embedder_id)
                self._pipeline = Pipeline(
                    store,
                    encoder=encoder,
                    embedder=None if embedder is encoder else embedder,
                    thresholds=self._stored_thresholds(),
                )
            return self._pipeline

    def _open_llm(self, model: str | None) -> TextModel:
        """Return the chat model with this name. The model and its connection stay open for later calls."""
        with self._lock:
            name = model or self.settings.model or ""
            if name not in self._llms:
                self._llms[name] = factory.open_model(self.settings, model)
            return self._llms[name]

    def _judge_model(self) -> TextModel | None:
        """Return the model that judges claims, or None to use the model that writes them."""
        name = self.settings.judge_model
        return None if self._llm or name is None else self._open_llm(name)

    def _llm_answerer(self, model: str | None, options: factory.LLMOptions) -> LLMAnswerer:
        pipeline = self._open_pipeline()
        llm = self._llm or self._open_llm(model)
        options = replace(options, judge_model=self._judge_model())
        return factory.llm_answerer(self.settings, self._open_store(), pipeline, llm, options)

    def _select_answerer(self, model: str | None, options: factory.LLMOptions) -> SentenceSelector:
        pipeline = self._open_pipeline()
        llm = self._llm or self._open_llm(model)
        return factory.select_answerer(self.settings, self._open_store(), pipeline, llm, options)


@arguments.shows_options
def ask(question: str, **options: Unpack[AskOptions]) -> Answer:
    """Answer a question from the default library, with settings from the environment.

    The default library is ``PAPERAGENT_HOME``. It is opened once and stays open for later calls. May be
    called from several threads, and inside a running event loop.

    Args:
        question: The question.
        options: See `AskOptions`.

    Returns:
        The answer, or an abstention with its reason.

    Raises:
        PaperAgentError: as for `PaperAgent.ask_stream`.
    """
    return _default_agent().ask(question, **options)


_default_agents: dict[tuple[Path, int], PaperAgent] = {}
"""The agents of `ask`, by home and process."""
_default_lock = threading.Lock()


def _default_agent() -> PaperAgent:
    """Return the agent for the current settings; it is reused until they or the process change."""
    import os

    agent = PaperAgent()
    key = agent.home, os.getpid()
    with _default_lock:
        cached = _default_agents.get(key)
        if cached is not None and cached.settings == agent.settings:
            return cached
        if cached is not None:
            cached.close()
        _default_agents[key] = agent
        return agent


__all__ = ["PaperAgent", "PaperAgentError", "PaperNotFoundError", "ask"]
