"""Answers questions about the library from its database: exact counts, and the papers behind them.

No model is called and nothing is cited. An answer says how it was counted, shows at most ten papers (its
``hits``), and says how to see the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent.answering.answers import EMPTY_LIBRARY
from paperagent.answering.citations import escape_markers
from paperagent.answering.library_questions.intents import Intent, IntentKind
from paperagent.answering.library_questions.limits import Limits, asks_for_one
from paperagent.answering.library_questions.papers import (
    MAX_PAPERS,
    LibraryPapers,
    answered,
    fact,
    record_answer,
)
from paperagent.answering.library_questions.references import LAST, PaperRef
from paperagent.answering.library_questions.small_talk import REPLIES
from paperagent.layout import counted
from paperagent.text.terms import title_key
from paperagent.types import Answer, Filters, Hit, Paper

if TYPE_CHECKING:
    from paperagent.library import Store
    from paperagent.library.facets import Facets
    from paperagent.retrieval.conversation import Turn

Topics = tuple[Sequence[tuple[str, int]], int]
"""The main topics with the number of papers on each, highest first, and the number of papers analyzed."""

_WHICH_PAPER = (
    "Which paper do you mean? Name its title or id, such as “who wrote TITLE”, or ask a question first and "
    "then refer to a paper of the answer, such as “the first one”."
)
_AUTHORS_CHECKED, _IN_OVERVIEW, _LISTED_FACETS = 200, 20, 8
_SUMMARIES, _MAX_KEPT = ("contents", "authors"), 100
"""The kinds of answers that are kept until the library changes, and how many."""


def small_talk_answer(question: str, intent: Intent) -> Answer:
    """Return the answer to a greeting, thanks, a call for help, or a goodbye."""
    return replace(answered(REPLIES[intent.kind], kind="chat"), question=question)


@dataclass(frozen=True, slots=True)
class OverviewRequest:
    """A request for an overview of a topic or of given papers."""

    topic: str = ""
    paper_ids: tuple[str, ...] = ()
    filters: Filters = Filters()  # noqa: RUF009 - frozen


class LibraryAnswerer:
    """Answers questions about one library."""

    def __init__(
        self,
        store: Store,
        *,
        get: Callable[[str], Paper | None],
        related: Callable[[str, Filters], Sequence[Hit]],
        topics: Callable[[Sequence[Paper] | None], Topics],
        count: Callable[[Iterable[Paper]], Facets],
        summaries: MutableMapping[tuple[IntentKind, Limits], Answer],
    ) -> None:
        """Create it.

        Args:
            store: The open library.
            get: Returns the paper with an id in any common notation, or None.
            related: Returns the papers most similar to the one with an id, within filters.
            topics: Returns the main topics of papers, or of the whole library.
            count: Returns the facets of papers.
            summaries: Keeps answers about contents and authors, for which many papers are read.
        """
        self._store = store
        self._related = related
        self._topics = topics
        self._facets_of = count
        self._summaries = summaries
        self._papers = LibraryPapers(store, get)
        self._question, self._one = "", False

    def answer(
        self,
        question: str,
        intent: Intent,
        *,
        history: Sequence[Turn] = (),
        filters: Filters = Filters(),  # noqa: B008
    ) -> Answer | OverviewRequest | None:
        """Answer a question, or return what to write an overview of.

        Args:
            question: The question as typed.
            intent: What `intents.classify` returned for it.
            history: The earlier turns, to which the question may refer.
            filters: Only papers that these admit count.

        Returns:
            None if the question is not about the library after all.
        """
        started = time.perf_counter()
        if not self._store.count():
            return None if intent.if_found else replace(answered(EMPTY_LIBRARY), question=question)
        self._question, self._one = question, asks_for_one(question)
        limits = self._limited(intent, filters, history)
        if isinstance(limits, str):
            return replace(answered(limits), question=question)
        methods: Mapping[str, Callable[..., Answer | OverviewRequest | None]] = {
            "count": self._count,
            "list": self._list,
            "newest": self._newest,
            "contents": self._contents,
            "authors": self._authors,
            "existence": self._existence,
            "paper": self._paper,
            "metadata": self._paper,
            "similar": self._paper,
            "overview": self._overview,
        }
        summary_key = (intent.kind, limits)
        answer = self._summaries.get(summary_key) or methods[intent.kind](intent, limits, history)
        if isinstance(answer, Answer) and intent.kind in _SUMMARIES and len(self._summaries) < _MAX_KEPT:
            self._summaries[summary_key] = answer
        if not isinstance(answer, Answer):
            return answer
        total = (time.perf_counter() - started) * 1000
        return replace(
            answer,
            question=question,
            answer=escape_markers(answer.answer),  # titles and abstracts may contain "[1]"
            timings_ms={"retrieve": total, "total": total},
        )

    # --- counts and lists ---

    def _limited(self, intent: Intent, filters: Filters, history: Sequence[Turn]) -> Limits | str:
        """Return the limits of the request and of an intent, or why no paper can match them."""
        source = self._source(intent.source) if intent.source else None
        if intent.source and source is None:
            names = ", ".join(list(self._store.facets().sources)[:_LISTED_FACETS]) or "none"
            return f"No feed here is called “{intent.source}”; the feeds are: {names}."
        author = intent.author
        if author == "same":
            papers = self._papers.resolve(LAST, history)
            if not papers or not papers[0].authors:
                return "The feed gives no authors of that paper." if papers else _WHICH_PAPER
            author = papers[0].authors[0]
        named = replace(
            intent.filters, source=source or intent.filters.source, author=author or intent.filters.author
        )
        return Limits(filters).within(named)

    def _source(self, name: str) -> str | None:
        key = title_key(name)
        sources = self._store.facets().sources
        equal = (s for s in sources if title_key(s) == key)
        return next(equal, None) or next((s for s in sources if key and key in title_key(s)), None)

    def _count(self, intent: Intent, limits: Limits, _history: Sequence[Turn] = ()) -> Answer | None:
        if intent.topic:
            return self._mentions(intent.topic, limits, intent)
        total = self._store.count()
        matching = self._papers.matching(limits, limit=1).total
        if not matching and intent.if_found:
            return None
        if not limits:
            facets = self._store.facets()
            span = f", from {facets.first_day} to {facets.last_day}" if facets.first_day else ""
            text = f"The library has {counted(total, 'paper')}{span}."
        elif not matching and (unknown := self._not_known(limits)):
            return answered(unknown)
        else:
            text = f"{matching:,} of {counted(total, 'paper')} {_are(matching)} {limits}."
            text += self._why(limits, matching)
        hint = limits.list_hint() if matching else ""
        return answered(f"{text}\n\n{hint}." if hint else text)

    def _mentions(self, topic: str, limits: Limits, intent: Intent) -> Answer | None:
        """Return how many papers mention a phrase, and the newest of them."""
        mentions = self._papers.mentions(topic, limits, intent.text_field)
        if not mentions.total and intent.if_found:
            return None
        base = self._papers.matching(limits, limit=1).total if limits else self._store.count()
        if not base:
            return answered(self._none(limits))
        of = f"{counted(base, 'paper')} {limits}" if limits else counted(base, "paper")
        where = f"in the {intent.text_field}" if intent.text_field else "in title or abstract"
        see_all = limits.search_hint(topic)
        if mentions.total:
            verb = "mentions" if mentions.total == 1 else "mention"
            text = f"{mentions.total:,} of {of} {verb} “{topic}” {where}{mentions.how_counted}"
            if not mentions.forms and mentions.with_words > mentions.total and len(topic.split()) > 1:
                text += f"; {mentions.with_words:,} contain all its words, in some form"
            text = f"{text}.{self._why(limits, base)}"
            return answered(text, mentions.papers, mentions.total, see_all=see_all)
        text = f"None of the {of} mentions “{topic}” {where}.{self._why(limits, base)}"
        if not mentions.with_words or intent.text_field:
            return answered(text)
        text += f" All its words, in some form, {_are(mentions.with_words)} in {mentions.with_words:,}:"
        papers = self._papers.with_words(topic, limits)[1]
        return answered(text, papers, mentions.with_words, see_all=see_all)

    def _list(self, intent: Intent, limits: Limits, _history: Sequence[Turn] = ()) -> Answer | None:
        if intent.topic:
            return self._mentions(intent.topic, limits, intent)
        oldest = intent.sort == "oldest"
        matching = self._papers.matching(limits, limit=1 if self._one else MAX_PAPERS, oldest_first=oldest)
        if not matching.total:
            return None if intent.if_found else answered(self._none(limits))
        if self._one:
            return self._first(matching.papers[0], limits, oldest=oldest)
        start = f"{counted(matching.total, 'paper')} {limits or 'in the library'}"
        order = self._order(matching.total, oldest=oldest)
        return answered(start + order, matching.papers, matching.total, see_all=limits.list_hint())

    def _first(self, paper: Paper, limits: Limits, *, oldest: bool) -> Answer:
        """Return the newest or the oldest paper."""
        within = f" {limits}" if limits else ""
        if not self._store.facets().first_day:
            when = f" on {paper.day}" if paper.day else ""
            return answered(f"The feeds give no dates. The first paper{within} that was read{when}:", [paper])
        adjective = "oldest" if oldest else "newest"
        day = paper.published or paper.listed
        of_day = limits.within(Filters(since=day, until=day))
        equal = self._papers.matching(of_day, limit=1).total if day else 1
        if equal > 1:
            return answered(
                f"The {adjective} {equal:,} papers{within} are all of {day}. One of them:", [paper]
            )
        return answered(f"The {adjective} paper{within}{f' is of {day}' if day else ''}:", [paper])

    def _newest(self, intent: Intent, limits: Limits, _history: Sequence[Turn] = ()) -> Answer | None:
        if intent.unless_title and self._papers.named(intent.topic):
            return None
        if not intent.topic:
            return self._list(intent, limits)
        return self._newest_on(intent.topic, limits)

    def _newest_on(self, topic: str, limits: Limits) -> Answer:
        mentions = self._papers.mentions(topic, limits)
        total, papers = mentions.total, list(mentions.papers)
        verb, what = "mention", f"“{topic}” in title or abstract{mentions.how_counted}"
        if not total:
            total, papers = self._papers.with_words(topic, limits)
            verb, what = "contain", f"all words of “{topic}”, in some form"
        within = f" {limits}" if limits else ""
        if not total:
            unknown = "" if self._papers.matching(limits, limit=1).total else self._not_known(limits)
            return answered(unknown or f"No paper{within} mentions “{topic}”.")
        subject = f"{counted(total, 'paper')}{within}"
        text = f"{subject} {verb}{'s' if total == 1 else ''} {what}"
        dated = bool(self._store.facets().first_day)
        text += self._order(total) if dated or total == 1 else ". Their feeds give no dates:"
        return answered(
            text,
            papers[: 1 if self._one else None],
            total,
            see_all=limits.search_hint(topic),
        )

    def _order(self, total: int, *, oldest: bool = False) -> str:
        """Return the end of a sentence that introduces a list of papers: their order."""
        if total == 1:
            return ":"
        if not self._store.facets().first_day:
            latest = "" if oldest else ", the latest day first"
            return f". Their feeds give no dates; in the order of reading{latest}:"
        return "; the oldest first:" if oldest else "; the newest first:"

    def _none(self, limits: Limits) -> str:
        """Return a sentence: no paper is within the limits, or the feeds do not have the data."""
        return self._not_known(limits) or f"No paper is {limits}.{self._why(limits, 0)}"

    def _not_known(self, limits: Limits) -> str:
        """Return the value in the limits that no paper here has, or an empty string."""
        facets = self._store.facets()
        used = (limits.filters, limits.also)
        if any(f.author for f in used) and not self._has_authors():
            return "The feeds of these papers give no authors."
        if any(f.category for f in used) and not facets.categories:
            return "The feeds of these papers give no categories."
        if any(f.since or f.until for f in used) and not facets.first_day:
            return "The feeds of these papers give no dates."
        return ""

    def _why(self, limits: Limits, total: int) -> str:
        """Return a sentence that explains how many papers are within limits, or an empty string."""
        facets = self._store.facets()
        in_period = limits.filters.since or limits.filters.until
        if total:
            undated = in_period and not facets.first_day
            return " Their feeds give no dates, so the day on which they were read counts." if undated else ""
        if limits.also or limits.filters.author:
            return ""
        if limits.filters.category:
            return f" The categories here are: {', '.join(list(facets.categories)[:_LISTED_FACETS])}."
        return f" The papers here are from {facets.first_day} to {facets.last_day}." if in_period else ""

    def _has_authors(self) -> bool:
        return any(paper.authors for paper in self._store.sample(_AUTHORS_CHECKED))

    # --- contents ---

    def _contents(self, _intent: Intent, limits: Limits, _history: Sequence[Turn] = ()) -> Answer:
        facets, topics, start = self._store.facets(), None, ""
        if limits:
            total = self._papers.matching(limits, limit=1).total
            if not total:
                return answered(self._none(limits))
            papers = self._papers.newest(limits)
            start = f"{total:,} of {counted(facets.papers, 'paper')} {_are(total)} {limits}."
            if len(papers) < total:
                start += f" Of the newest {len(papers):,} of them:"
            facets, topics = self._facets_of(papers), papers
        start = start or f"The library has {counted(facets.papers, 'paper')}."
        dates = f"{facets.first_day} to {facets.last_day}" if facets.first_day else "the feeds give none"
        if facets.first_day and facets.undated:
            dates += f" ({facets.undated:,} without a date)"
        main_topics, size = self._topics(topics)
        sampled = f" of {size:,} papers" if size < facets.papers else ""
        rows = [
            ("Dates", dates),
            ("Feeds", _counts(facets.sources) or "unknown"),
            ("Categories", _counts(facets.categories) or "the feeds give none"),
            *([(f"Topics{sampled}", _counts(dict(main_topics)))] if main_topics else []),
        ]
        lines = "\n".join(f"- {name}: {value}" for name, value in rows)
        hint = "Ask a question about them, or “list the titles”, “what's new?”."
        return answered(f"{start}\n\n{lines}\n\n{hint}")

    def _authors(self, _intent: Intent, limits: Limits, _history: Sequence[Turn] = ()) -> Answer:
        """Return the authors with the most papers."""
        if not self._has_authors():
            return answered("The feeds of these papers give no authors.")
        counts, papers = self._papers.authors(limits)
        if not papers:
            return answered(self._none(limits))
        total = self._papers.matching(limits, limit=1).total if limits else self._store.count()
        of = f"A sample of {papers:,} papers has" if papers < total else "The papers here have"
        of = f"{of.removesuffix(' here have')} {limits} have" if limits and papers == total else of
        lines = "\n".join(f"- {name} ({count:,})" for name, count in list(counts.items())[:MAX_PAPERS])
        text = f"{of} {counted(len(counts), 'author')}. Those with the most papers:\n\n{lines}"
        return answered(f"{text}\n\n“papers by NAME” lists the papers of an author.")

    # --- single papers ---

    def _existence(self, intent: Intent, limits: Limits, _history: Sequence[Turn]) -> Answer | None:
        """Answer whether the library has a paper, or papers by an author of that name."""
        ref = intent.paper or LAST
        if papers := self._papers.resolve(ref, (), limits):
            return self._excluded(ref, papers, limits) or answered("Yes, the library has this paper:", papers)
        if ref.kind == "title" and ref.text[:1].isupper() and " " in ref.text and self._has_authors():
            by_author = self._list(Intent("list", if_found=True), limits.within(Filters(author=ref.text)))
            if by_author:
                return by_author
        return None if intent.if_found else self._absent(ref, limits)

    def _excluded(self, ref: PaperRef, papers: Sequence[Paper], limits: Limits) -> Answer | None:
        """Return an answer if the filters exclude the paper that the message names by title or id."""
        if ref.kind not in ("title", "id") or limits.admits(papers[0]):
            return None
        return answered(f"“{papers[0].title}” is not among the papers {limits}.")

    def _absent(self, ref: PaperRef, limits: Limits, *, nearest: bool = False) -> Answer:
        """Answer that the library does not have a paper, and list the papers that mention it."""
        if ref.kind not in ("title", "id"):
            return answered(_WHICH_PAPER)
        if ref.kind == "id":
            return answered(f"No paper here has the id “{ref.text}”.")
        text = f"No paper titled “{ref.text}” is here"
        mentions = self._papers.mentions(ref.text, limits)
        within = f" {limits}" if limits else ""
        if mentions.total:
            mention = "mentions" if mentions.total == 1 else "mention"
            text += f"; {counted(mentions.total, 'paper')}{within} {mention} it:"
            return answered(text, mentions.papers, mentions.total, see_all=limits.search_hint(ref.text))
        hits = self._papers.nearest(ref.text, limits) if nearest else []
        mentioned = f"no paper{within}" if within else "no title or abstract"
        return answered(f"{text}, and {mentioned} mentions it.{' The nearest:' if hits else ''}", hits=hits)

    def _paper(self, intent: Intent, limits: Limits, history: Sequence[Turn]) -> Answer | None:
        """Answer about the papers that the intent names: abstract, record, or similar papers."""
        ref = intent.paper or LAST
        if intent.exact_title:
            papers = [paper] if (paper := self._papers.named(ref.text, exact=True)) else []
        else:
            papers = self._papers.resolve(ref, history, limits)
        if not papers:
            is_question = intent.exact_title and self._papers.any_in(ref.text)
            if intent.if_found or ref.kind == "topic" or is_question:
                return None
            return self._absent(ref, limits, nearest=intent.exact_title)
        if intent.kind == "similar":
            return self._similar(papers[0], limits)
        if excluded := self._excluded(ref, papers, limits):
            return excluded
        if intent.kind == "paper":
            return record_answer(papers[0])
        facts = [fact(intent.field, paper, self._question) for paper in papers[:MAX_PAPERS]]
        answer = answered("\n\n".join(facts))
        return replace(answer, hits=tuple(Hit(p, 0.0, n) for n, p in enumerate(papers[:MAX_PAPERS], 1)))

    def _similar(self, paper: Paper, limits: Limits) -> Answer:
        limits = replace(limits, filters=replace(limits.filters, ids=()))  # its relatives are elsewhere
        hits = self._related(paper.paper_id, limits.filters)
        within = f" {limits}" if limits else ""
        if not hits:
            return answered(f"No other paper is{within or ' here'}.")
        return answered(f"Papers{within} most similar to “{paper.title}”, by title and abstract:", hits=hits)

    def _overview(
        self, intent: Intent, limits: Limits, history: Sequence[Turn]
    ) -> Answer | OverviewRequest | None:
        ref, topic = intent.paper, intent.topic
        papers = self._papers.resolve(ref, history, limits) if ref else []
        if ref and papers:
            ids = tuple(paper.paper_id for paper in papers)
            return self._excluded(ref, papers, limits) or OverviewRequest(paper_ids=ids)
        if intent.if_found or (ref and ref.kind == "topic"):
            return None
        if ref and not topic:
            return self._absent(ref, limits)
        if topic:
            request = OverviewRequest(topic, filters=limits.filters)
            return self._newest_on(topic, limits) if limits.also else request
        papers = self._papers.matching(limits, limit=_IN_OVERVIEW).papers
        ids = tuple(paper.paper_id for paper in papers)
        return OverviewRequest(paper_ids=ids) if ids else answered(self._none(limits))


def _counts(counts: Mapping[str, int]) -> str:
    """Return names with their counts, the most frequent ones."""
    largest = [f"{name} ({count:,})" for name, count in list(counts.items())[:_LISTED_FACETS]]
    further = len(counts) - len(largest)
    return ", ".join(largest) + (f" and {further:,} more" if further > 0 else "")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
