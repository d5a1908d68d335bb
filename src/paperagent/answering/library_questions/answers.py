"""Answer questions about the library from its database: facts that are counted, and the papers behind them.

No model is called and nothing is cited. An answer says how it was counted, shows at most ten papers (its
``hits``), and says how to see the others.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperagent.answering.answers import EMPTY_LIBRARY
from paperagent.answering.citations import escape_markers
from paperagent.answering.library_questions.intents import Intent
from paperagent.answering.library_questions.papers import (
    MAX_PAPERS,
    LibraryPapers,
    fact,
    record_authors,
    record_date,
)
from paperagent.answering.library_questions.references import LAST, PaperRef
from paperagent.answering.library_questions.small_talk import REPLIES
from paperagent.layout import counted
from paperagent.text.terms import title_key
from paperagent.types import Answer, AnswerKind, Filters, Hit, Paper

if TYPE_CHECKING:
    from paperagent.library import Store
    from paperagent.retrieval.conversation import Turn

Topics = tuple[Sequence[tuple[str, int]], int]
"""The main topics with the number of papers on each, most first, and the number of papers analyzed."""

_WHICH_PAPER = (
    "Which paper do you mean? Name its title or id, such as “who wrote TITLE”, or ask a question first and "
    "then refer to a paper of the answer, such as “the first one”."
)
_AUTHORS_CHECKED, _IN_OVERVIEW = 200, 20
_LISTED_FACETS = 8


def small_talk_answer(question: str, intent: Intent) -> Answer:
    """Return the answer to a greeting, thanks, a call for help, or a goodbye."""
    return replace(_answer(REPLIES[intent.kind], kind="chat"), question=question)


@dataclass(frozen=True, slots=True)
class OverviewRequest:
    """The papers or the topic of an overview to write."""

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
        related: Callable[[str], Sequence[Hit]],
        topics: Callable[[], Topics],
    ) -> None:
        """Create it.

        Args:
            store: The open library.
            get: Returns the paper with an id in any common notation, or None.
            related: Returns the papers most similar to the one with an id.
            topics: Returns the main topics of the library.
        """
        self._store = store
        self._related = related
        self._topics = topics
        self._papers = LibraryPapers(store, get)

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
            return None if intent.if_found else replace(_answer(EMPTY_LIBRARY), question=question)
        intent = replace(intent, filters=_joined(filters, intent.filters))
        answer = {
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
        }[intent.kind](intent, history)
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

    def _limited(self, intent: Intent, history: Sequence[Turn]) -> tuple[Filters, str] | str:
        """Return the filters of an intent with their description, or why no paper can match them."""
        filters = intent.filters
        if intent.source:
            source = self._source(intent.source)
            if source is None:
                names = ", ".join(list(self._store.facets().sources)[:_LISTED_FACETS]) or "none"
                return f"No feed here is called “{intent.source}”; the feeds are: {names}."
            filters = replace(filters, source=source)
        author = intent.author
        if author == "same":
            papers = self._papers.resolve(LAST, history)
            if not papers or not papers[0].authors:
                return "The feed gives no authors of that paper." if papers else _WHICH_PAPER
            author = papers[0].authors[0]
        if author:
            filters = replace(filters, author=author)
        return filters, _describe(filters)

    def _source(self, name: str) -> str | None:
        key = title_key(name)
        sources = self._store.facets().sources
        equal = (s for s in sources if title_key(s) == key)
        return next(equal, None) or next((s for s in sources if key and key in title_key(s)), None)

    def _count(self, intent: Intent, history: Sequence[Turn]) -> Answer | None:
        limited = self._limited(intent, history)
        if isinstance(limited, str):
            return _answer(limited)
        filters, description = limited
        total = self._store.count()
        if intent.topic:
            return self._mentions(intent.topic, filters, description, intent)
        matching = self._store.matching(filters=filters, limit=MAX_PAPERS)
        if not matching.total and intent.if_found:
            return None
        if not description:
            facets = self._store.facets()
            span = f", from {facets.first_day} to {facets.last_day}" if facets.first_day else ""
            text = f"The library has {counted(total, 'paper')}{span}."
            return _answer(text, matching.papers, total, see_all=_list_command(filters))
        text = f"{matching.total:,} of {counted(total, 'paper')} {_are(matching.total)} {description}."
        text += self._why(filters, matching.total)
        return _answer(text, matching.papers, matching.total, see_all=_list_command(filters))

    def _mentions(self, topic: str, filters: Filters, description: str, intent: Intent) -> Answer | None:
        """Return how many papers mention a phrase, and the newest of them."""
        mentions = self._papers.mentions(topic, filters, intent.text_field)
        if not mentions.total and intent.if_found:
            return None
        base = self._store.matching(filters=filters, limit=1).total if filters else self._store.count()
        of = f"{base:,} papers {description}" if description else counted(base, "paper")
        where = f"in the {intent.text_field}" if intent.text_field else "in title or abstract"
        if mentions.total:
            verb = "mentions" if mentions.total == 1 else "mention"
            text = f"{mentions.total:,} of {of} {verb} “{topic}” {where}"
            if mentions.longer_only:
                forms = ", ".join(mentions.forms)
                exactly = mentions.total - mentions.longer_only
                text += f": {exactly:,} exactly, {mentions.longer_only:,} only in a longer form ({forms})"
            elif mentions.with_words > mentions.total and len(topic.split()) > 1:
                text += f"; {mentions.with_words:,} contain all its words, in some form"
            return _answer(f"{text}.", mentions.papers, mentions.total, see_all=_search(topic))
        text = f"None of the {of} mentions “{topic}” {where}."
        if not mentions.with_words or intent.text_field:
            return _answer(text + self._why(filters, base))
        text += f" All its words, in some form, {_are(mentions.with_words)} in {mentions.with_words:,}:"
        papers = self._papers.with_words(topic, filters)[1]
        return _answer(text, papers, mentions.with_words, see_all=_search(topic))

    def _list(self, intent: Intent, history: Sequence[Turn]) -> Answer | None:
        limited = self._limited(intent, history)
        if isinstance(limited, str):
            return _answer(limited)
        filters, description = limited
        if intent.topic:
            return self._mentions(intent.topic, filters, description, intent)
        oldest = intent.sort == "oldest"
        matching = self._store.matching(filters=filters, limit=MAX_PAPERS, oldest_first=oldest)
        if not matching.total:
            if intent.if_found:
                return None
            return _answer(f"No paper is {description}.{self._why(filters, 0)}")
        start = f"{counted(matching.total, 'paper')} {description or 'in the library'}"
        order = "; the oldest first:" if oldest else self._order(matching.total)
        return _answer(start + order, matching.papers, matching.total, see_all=_list_command(filters))

    def _newest(self, intent: Intent, history: Sequence[Turn]) -> Answer | None:
        if intent.unless_title and self._papers.named(intent.topic):
            return None
        if not intent.topic:
            return self._list(intent, history)
        limited = self._limited(intent, history)
        return _answer(limited) if isinstance(limited, str) else self._newest_on(intent.topic, *limited)

    def _newest_on(self, topic: str, filters: Filters, description: str) -> Answer:
        mentions = self._papers.mentions(topic, filters)
        total, papers = mentions.total, list(mentions.papers)
        verb, what = "mention", f"“{topic}” in title or abstract"
        if not total:
            total, papers = self._papers.with_words(topic, filters)
            verb, what = "contain", f"all words of “{topic}”, in some form"
        start = f"paper {description}" if description else "paper"
        if not total:
            return _answer(f"No {start} mentions “{topic}”.{self._why(filters, 0)}")
        subject = f"{total:,} {start if total == 1 else start.replace('paper', 'papers', 1)}"
        text = f"{subject} {verb}{'s' if total == 1 else ''} {what}{self._order(total)}"
        return _answer(text, papers, total, see_all=_search(topic))

    def _order(self, total: int) -> str:
        """Return the end of a sentence that introduces a list of papers: their order."""
        if not self._store.facets().first_day:
            return "; their feeds give no dates. Those read last:" if total > MAX_PAPERS else ":"
        return "; the newest first:" if total > 1 else ":"

    def _why(self, filters: Filters, total: int) -> str:
        """Return a sentence on why no paper matches the filters, or an empty string."""
        facets = self._store.facets()
        if total:
            return ""
        if filters.author:
            return "" if self._has_authors() else " The feeds of these papers give no authors."
        if filters.category:
            names = ", ".join(list(facets.categories)[:_LISTED_FACETS])
            return (
                f" The categories here are: {names}."
                if names
                else " The feeds of these papers give no categories."
            )
        if (filters.since or filters.until) and not facets.last_day:
            return " The feeds of these papers give no dates."
        if filters.since or filters.until:
            return f" The papers here are from {facets.first_day} to {facets.last_day}."
        return ""

    def _has_authors(self) -> bool:
        return any(paper.authors for paper in self._store.sample(_AUTHORS_CHECKED))

    # --- contents ---

    def _contents(self, _intent: Intent, _history: Sequence[Turn]) -> Answer:
        facets = self._store.facets()
        dates = f"{facets.first_day} to {facets.last_day}" if facets.first_day else "the feeds give none"
        if facets.first_day and facets.undated:
            dates += f" ({facets.undated:,} without a date)"
        topics, size = self._topics()
        sampled = f" of {size:,} papers" if size < facets.papers else ""
        rows = [
            ("Dates", dates),
            ("Feeds", _counts(facets.sources) or "unknown"),
            ("Categories", _counts(facets.categories) or "the feeds give none"),
            *([(f"Topics{sampled}", _counts(dict(topics)))] if topics else []),
        ]
        lines = "\n".join(f"- {name}: {value}" for name, value in rows)
        text = f"The library has {counted(facets.papers, 'paper')}.\n\n{lines}\n\n"
        return _answer(f"{text}Ask a question about them, or “list the titles”, “what's new?”.")

    def _authors(self, _intent: Intent, _history: Sequence[Turn]) -> Answer:
        """Return the authors with the most papers."""
        if not self._has_authors():
            return _answer("The feeds of these papers give no authors.")
        counts, papers = self._papers.authors()
        of = f"A sample of {papers:,} papers has" if papers < self._store.count() else "The papers here have"
        lines = "\n".join(f"- {name} ({count:,})" for name, count in list(counts.items())[:MAX_PAPERS])
        text = f"{of} {counted(len(counts), 'author')}. Those with the most papers:\n\n{lines}"
        return _answer(f"{text}\n\n“papers by NAME” lists the papers of an author.")

    # --- single papers ---

    def _existence(self, intent: Intent, _history: Sequence[Turn]) -> Answer | None:
        """Say whether a paper is here; a name that is no title may be that of an author."""
        ref = intent.paper or LAST
        if papers := self._papers.resolve(ref, ()):
            return _answer("Yes, the library has this paper:", papers)
        if ref.kind == "title" and ref.text[:1].isupper() and " " in ref.text and self._has_authors():
            by_author = self._list(Intent("list", author=ref.text, if_found=True), ())
            if by_author:
                return by_author
        return None if intent.if_found else self._absent(ref)

    def _absent(self, ref: PaperRef, *, nearest: bool = False) -> Answer:
        """Say that a paper is not here, and which papers mention it."""
        if ref.kind not in ("title", "id"):
            return _answer(_WHICH_PAPER)
        if ref.kind == "id":
            return _answer(f"No paper here has the id “{ref.text}”.")
        text = f"No paper titled “{ref.text}” is here"
        mentions = self._papers.mentions(ref.text)
        if mentions.total:
            mention = "mentions" if mentions.total == 1 else "mention"
            text += f"; {counted(mentions.total, 'paper')} {mention} it:"
            return _answer(text, mentions.papers, mentions.total, see_all=_search(ref.text))
        hits = self._papers.nearest(ref.text) if nearest else []
        return _answer(
            f"{text}, and no title or abstract mentions it.{' The nearest:' if hits else ''}", hits=hits
        )

    def _paper(self, intent: Intent, history: Sequence[Turn]) -> Answer | None:
        """Answer about the papers that the intent names: show, facts of the record, or similar papers."""
        ref = intent.paper or LAST
        if intent.exact_title:
            exact = self._papers.named(ref.text, exact=True)
            papers = [exact] if exact else []
        else:
            papers = self._papers.resolve(ref, history)
        if not papers:
            if intent.if_found or ref.kind == "topic":
                return None
            return self._absent(ref, nearest=intent.exact_title)
        if intent.kind == "similar":
            hits = self._related(papers[0].paper_id)
            text = f"Papers most similar to “{papers[0].title}”, by title and abstract:"
            return _answer(text, hits=hits) if hits else _answer("There is no other paper here.")
        if intent.kind == "paper":
            return _record_answer(papers[0])
        facts = [fact(intent.field, paper) for paper in papers[:MAX_PAPERS]]
        return _answer("\n\n".join(facts), papers[:MAX_PAPERS])

    def _overview(self, intent: Intent, history: Sequence[Turn]) -> Answer | OverviewRequest | None:
        papers = self._papers.resolve(intent.paper, history) if intent.paper else []
        if papers:
            return OverviewRequest(paper_ids=tuple(p.paper_id for p in papers))
        if intent.if_found or (intent.paper and intent.paper.kind == "topic"):
            return None
        if intent.paper and not intent.topic:
            return self._absent(intent.paper)
        limited = self._limited(intent, history)
        if isinstance(limited, str):
            return _answer(limited)
        if not intent.topic:
            papers = self._store.matching(filters=limited[0], limit=_IN_OVERVIEW).papers
            if not papers:
                return self._list(replace(intent, kind="list"), history)
        ids = tuple(paper.paper_id for paper in papers)
        return OverviewRequest(topic=intent.topic, paper_ids=ids, filters=limited[0])


def _answer(
    text: str,
    papers: Sequence[Paper] = (),
    total: int = 0,
    *,
    hits: Sequence[Hit] = (),
    see_all: str = "",
    kind: AnswerKind = "library",
) -> Answer:
    """Return an answer: a fact, then the titles of the papers behind it, then how to see the others."""
    hits = hits or tuple(Hit(paper, 0.0, rank) for rank, paper in enumerate(papers, start=1))
    if hits:
        titles = "\n".join(f"{hit.rank}. {hit.title}" for hit in hits)
        text = f"{text}\n\n{titles}"
    if total > len(hits) and see_all:
        text += f"\n\n… and {total - len(hits):,} more; {see_all}"
    return Answer(
        "", "answered", None, text, hits=tuple(hits), kind=kind, confidence=None if kind == "chat" else 1.0
    )


def _record_answer(paper: Paper) -> Answer:
    """Return an answer with the abstract and the record of a paper."""
    rows = [
        ("Authors", record_authors(paper)),
        ("Published", record_date(paper)),
        ("Categories", ", ".join(paper.categories)),
    ]
    lines = "\n".join(f"- {name}: {value}" for name, value in rows if value)
    text = "\n\n".join(part for part in (paper.abstract.strip(), lines) if part)
    return replace(_answer(text), hits=(Hit(paper, 0.0, 1),), answer=f"1. {paper.title}\n\n{text}")


def _joined(options: Filters, from_question: Filters) -> Filters:
    """Return the filters of the options, limited further by those that the question names."""
    changes = {
        name: value for name in ("since", "until", "category") if (value := getattr(from_question, name))
    }
    return replace(options, **changes)


def _describe(filters: Filters) -> str:
    """Return filters in words, such as "from cs.CL, since 2026-05-01"; empty without filters."""
    period = ""
    if filters.since and filters.until:
        one_day = filters.since == filters.until
        period = f"of {filters.since}" if one_day else f"from {filters.since} to {filters.until}"
    elif filters.since or filters.until:
        period = f"since {filters.since}" if filters.since else f"until {filters.until}"
    parts = [
        f"in {filters.category}" if filters.category else "",
        f"by {filters.author}" if filters.author else "",
        f"from the feed {filters.source}" if filters.source else "",
        period,
    ]
    return ", ".join(part for part in parts if part)


def _list_command(filters: Filters) -> str:
    """Return the command that lists all papers within filters."""
    values = {"author": filters.author, "since": filters.since, "until": filters.until}
    values |= {"category": filters.category, "source": filters.source}
    options = [word for name, value in values.items() if value for word in (f"--{name}", str(value))]
    options += [word for words in filters.exclude for word in ("--not", words)]
    command = shlex.join(["paperagent", "list", *options]).replace("'", '"')
    return f"'{command}' lists them"


def _search(topic: str) -> str:
    command = shlex.join(["paperagent", "search", topic]).replace("'", '"')
    return f"'{command}' ranks the papers by relevance"


def _counts(counts: Mapping[str, int]) -> str:
    """Return names with their counts, the most frequent ones."""
    largest = [f"{name} ({count:,})" for name, count in list(counts.items())[:_LISTED_FACETS]]
    further = len(counts) - len(largest)
    return ", ".join(largest) + (f" and {further:,} more" if further > 0 else "")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
