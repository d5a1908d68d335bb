"""Finds the papers that a message names or counts, and reports what their records contain."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from paperagent.answering.library_questions.intents import TextField
from paperagent.answering.library_questions.limits import Limits
from paperagent.answering.library_questions.references import Field, PaperRef, is_name_like
from paperagent.layout import counted
from paperagent.retrieval import scoring
from paperagent.retrieval.conversation import Turn, cited_papers
from paperagent.text.phrases import Phrase, term_variants
from paperagent.text.terms import index_terms, title_key
from paperagent.types import Answer, AnswerKind, Hit, Paper

if TYPE_CHECKING:
    from paperagent.library import Store

MAX_PAPERS = 10
"""The number of papers that an answer shows."""
_FORMS_CHECKED, _FORMS_NAMED = 300, 3
"""Maximum numbers: of papers compared with the phrase as typed, and of other forms that are named."""
_TITLE_CANDIDATES, _MIN_CONTAINED_WORDS = 100, 3
_IN_PLACE_CHECKED, _AUTHORS_OF = 5_000, 5_000
_LISTED_AUTHORS, _NEAREST = 30, 3
_NO_LIMITS = Limits()
_MAX_COUNTED = 20_000
"""The number of papers, the newest ones, whose records are counted."""
_HOW_MANY = re.compile(r"\bhow many\b", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s)\]}>]+")
_CODE_HOST = re.compile(r"git(?:hub|lab)|huggingface|code|bitbucket", re.IGNORECASE)
_KIND_OF_WORK = re.compile(
    r"(?:tokenizer|model|dataset|benchmark|framework|method|system|corpus|agent|algorithm|survey|library|toolkit)s?",
    re.IGNORECASE,
)
_INTRODUCES = (
    r"\b(?:introduc|propos|present|develop|releas|creat|build|call|dub|term|nam|design|contribut)\w*\W+"
    r"(?:(?:a|an|the|our|it|this|new|novel|as|simple|first)\s+)*[\"“'`]?{name}(?![\w-])"
)
"""How an abstract introduces what it names."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """The papers that mention a phrase."""

    total: int
    papers: tuple[Paper, ...]
    """The newest of them."""
    with_words: int
    """The number of papers with all words of the phrase, in any form and order."""
    exactly: int | None = None
    """The number of papers with the phrase as typed; None if there are too many papers to compare."""
    forms: tuple[str, ...] = ()
    """Some other forms that were counted, such as ``GPT-4o`` for ``GPT-4``, or a plural."""

    @property
    def how_counted(self) -> str:
        """The end of a sentence that says which forms were counted; empty if only the phrase as typed."""
        if not self.forms:
            return ""
        forms = " or ".join(f"“{form}”" for form in self.forms)
        if self.exactly is None:
            return f", also as {forms}"
        if not self.exactly:
            return f", only as {forms}"
        return f": {self.exactly:,} exactly, {self.total - self.exactly:,} only as {forms}"


class Matching(NamedTuple):
    """Papers that match some conditions."""

    total: int
    papers: list[Paper]
    """The newest or oldest of them."""


class LibraryPapers:
    """Looks up papers of one library by title, by id, by a phrase, or by an earlier answer."""

    def __init__(self, store: Store, get: Callable[[str], Paper | None]) -> None:
        """Create it.

        Args:
            store: The open library.
            get: Returns the paper with an id in any common notation, or None.
        """
        self._store = store
        self._get = get

    def matching(
        self,
        limits: Limits = _NO_LIMITS,
        *,
        words: Sequence[Sequence[str]] = (),
        phrase: Phrase | None = None,
        limit: int = MAX_PAPERS,
        oldest_first: bool = False,
    ) -> Matching:
        """Return the papers within the limits that contain the words or the phrase; see `Store.matching`.

        Without words and phrase, return all papers within the limits, in the order of `Store.list_papers`.
        """
        store, filters = self._store, limits.filters
        size = store.count() if limits.also else limit
        if words or phrase:
            total, papers = store.matching(
                words=words, phrase=phrase, filters=filters, limit=size, oldest_first=oldest_first
            )
        else:
            papers = store.list_papers(filters, sort="oldest" if oldest_first else "newest", limit=size)
            total = store.count_matching(filters)
        if not limits.also:
            return Matching(total, papers)
        papers = [paper for paper in papers if limits.also.admits(paper)]
        return Matching(len(papers), papers[:limit])

    def newest(self, limits: Limits) -> list[Paper]:
        """Return the papers within limits, at most 20,000."""
        return self.matching(limits, limit=_MAX_COUNTED).papers

    def mentions(self, phrase: str, limits: Limits = _NO_LIMITS, text_field: TextField = "") -> Mentions:
        """Return the papers whose title or abstract contains a phrase.

        Args:
            phrase: What they must contain literally.
            limits: Only papers that these admit count.
            text_field: Where they must contain it; then at most 5,000 papers are read.
        """
        to_find = Phrase(phrase)
        words = [*to_find.terms]
        if words and to_find.ends_in_name:
            variants = term_variants(to_find, list(self._store.similar_stems(words[-1][0], 1)))
            words[-1] = list(dict.fromkeys([*words[-1], *variants]))
        limit = _IN_PLACE_CHECKED if text_field else _FORMS_CHECKED
        matching = self.matching(limits, words=words, phrase=to_find, limit=limit)
        if text_field:
            inside = [
                p for p in matching.papers if to_find.is_in(p.title if text_field == "title" else p.abstract)
            ]
            return Mentions(len(inside), tuple(inside[:MAX_PAPERS]), 0)
        with_words = self.matching(limits, words=words, limit=1).total if words else 0
        others = [p for p in matching.papers if not to_find.is_whole_in(p.title, p.abstract)]
        spellings = Counter(to_find.form_in(p.title, p.abstract) for p in others).most_common()
        forms = {title_key(spelling): spelling for spelling, _ in reversed(spellings)}
        newest = tuple(matching.papers[:MAX_PAPERS])
        exactly = matching.total - len(others) if matching.total <= limit else None
        return Mentions(
            matching.total, newest, with_words, exactly, tuple(forms.values())[: -_FORMS_NAMED - 1 : -1]
        )

    def with_words(self, topic: str, limits: Limits, *, limit: int = MAX_PAPERS) -> tuple[int, list[Paper]]:
        """Return how many papers contain all words of a topic, and the newest of them."""
        words = [[stem] for stem in scoring.query_stems(topic)]
        if not words:
            return 0, []
        matching = self.matching(limits, words=words, limit=limit)
        return matching.total, matching.papers

    def named(self, title: str, *, exact: bool = False) -> Paper | None:
        """Return the paper with a title, with a name before the colon of its title, or with a part of it.

        Args:
            title: The title, in any case and punctuation.
            exact: Whether to accept only the whole title.
        """
        key, stems = title_key(title), scoring.query_stems(title)
        if not key or not stems:
            return None
        candidates = self._store.candidates(stems=stems, vector=None, limit=_TITLE_CANDIDATES)
        papers = list(self._store.get_many(sorted(c.paper_id for c in candidates)).values())
        if equal := [p for p in papers if title_key(p.title) == key]:
            return equal[0]
        if exact:
            return None
        if heads := [p for p in papers if ":" in p.title and title_key(p.title.partition(":")[0]) == key]:
            return heads[0]
        containing = [p for p in papers if Phrase(title).is_whole_in(p.title)]
        if len(title.split()) < _MIN_CONTAINED_WORDS:  # a title may contain the name of other work
            containing = [p for p in containing if is_name_like(title) and title_key(p.title).startswith(key)]
        if len(containing) == 1:
            return containing[0]
        introducing = self._introducing(title) if is_name_like(title) or title.istitle() else None
        return introducing or self._named_loosely(title, papers)

    def any_in(self, text: str) -> bool:
        """Return whether a word of a text names a paper."""
        return any(self.named(word) for word in text.split())

    def _named_loosely(self, title: str, papers: Sequence[Paper]) -> Paper | None:
        """Return the only paper that a few words name: by how its title begins, or by a name and a noun."""
        name, _, other = title.partition(" ")
        if is_name_like(name) and _KIND_OF_WORK.fullmatch(other):
            return self.named(name)
        is_long = len(title.split()) >= _MIN_CONTAINED_WORDS
        first, second = (title_key(title), "") if is_long else (title_key(name), title_key(other))
        keys = {p.paper_id: title_key(p.title) for p in papers}
        begin = [p for p in papers if keys[p.paper_id].startswith(first) and second in keys[p.paper_id]]
        return begin[0] if len(begin) == 1 and first and other else None

    def _introducing(self, name: str) -> Paper | None:
        """Return the only paper whose abstract introduces something with this name."""
        pattern = re.compile(_INTRODUCES.replace("{name}", re.escape(name)))
        matching = self._store.matching(words=Phrase(name).terms, phrase=Phrase(name), limit=_FORMS_CHECKED)
        papers = [paper for paper in matching.papers if pattern.search(paper.abstract)]
        return papers[0] if len(papers) == 1 else None

    def authors(self, limits: Limits) -> tuple[Mapping[str, int], int]:
        """Return the authors with their numbers of papers, highest first, and the number of papers read."""
        if limits:
            papers = self.newest(limits)
        elif self._store.count() <= _AUTHORS_OF:
            papers = list(self._store.papers())
        else:
            papers = self._store.sample(_AUTHORS_OF)
        counts = Counter(name for paper in papers for name in paper.authors)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))), len(papers)

    def nearest(self, text: str, limits: Limits) -> list[Hit]:
        """Return the papers that the words of a title find, within limits."""
        query = scoring.build_query(index_terms(text), self._store, vector=None)
        candidates = self._store.candidates(
            stems=query.stems, vector=None, limit=3 * _NEAREST, filters=limits.filters
        )
        ranked = scoring.rank(candidates, query)[:_NEAREST]
        papers = self._store.get_many([r.paper_id for r in ranked])
        hits = [Hit(papers[r.paper_id], r.score, 0, r.lexical) for r in ranked if r.paper_id in papers]
        hits = [hit for hit in hits if limits.admits(hit.paper)]
        return [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]

    def resolve(self, ref: PaperRef, history: Sequence[Turn], limits: Limits = _NO_LIMITS) -> list[Paper]:
        """Return the papers that a reference means; none if there are none.

        The only paper on a topic is the only one within the limits.
        """
        if ref.kind == "id":
            paper = self._get(ref.text)
            return [paper] if paper else []
        if ref.kind == "title":
            paper = self.named(ref.text)
            return [paper] if paper else []
        if ref.kind == "topic":
            total, papers = self.with_words(ref.text, limits, limit=2)
            return papers if total == 1 else []
        ids = self._mentioned(ref, history)
        papers_by_id = self._store.get_many(ids)
        return [papers_by_id[i] for i in ids if i in papers_by_id]

    def _mentioned(self, ref: PaperRef, history: Sequence[Turn]) -> list[str]:
        """Return the ids of the papers of the last answer that a reference means."""
        if ref.kind == "last":
            return (list(cited_papers(history)) or self._titles_in_text(history))[:1]
        turns = [turn for turn in history if not turn.states_facts]  # these do not number their papers
        ids = list(cited_papers(turns)) or self._titles_in_text(turns, several=True)
        if ref.kind == "all":
            return ids
        if ref.kind == "number":
            citations = next(
                (turn.citations for turn in reversed(turns) if turn.citations or turn.papers), ()
            )
            numbered = list(citations) or ids
            return numbered[ref.number - 1 : ref.number] if ref.number > 0 else []
        at = ref.number - 1 if ref.number > 0 else ref.number
        lists = (turn.papers for turn in reversed(turns) if turn.answered)
        ids = next((list(papers) for papers in lists if len(papers) > max(at, 1)), ids)
        return [ids[at]] if -len(ids) <= at < len(ids) else []

    def _titles_in_text(self, history: Sequence[Turn], *, several: bool = False) -> list[str]:
        """Return the papers whose titles the last answers contain, for a history of texts alone.

        With ``several``, an answer that names several papers is preferred to later ones that name one.
        """
        only: list[str] = []
        for turn in reversed(history):
            text = title_key(turn.answer)
            stems = list(dict.fromkeys(index_terms(turn.answer)))
            if not stems:
                continue
            candidates = self._store.candidates(stems=stems, vector=None, limit=_TITLE_CANDIDATES)
            papers = self._store.get_many(sorted(c.paper_id for c in candidates)).values()
            at = {p.paper_id: text.find(title_key(p.title)) for p in papers if title_key(p.title)}
            ids = sorted((i for i, position in at.items() if position >= 0), key=at.__getitem__)
            if len(ids) > 1 or (ids and not several):
                return ids
            only = only or ids
        return only


def record_authors(paper: Paper) -> str:
    more = len(paper.authors) - _LISTED_AUTHORS
    return ", ".join(paper.authors[:_LISTED_AUTHORS]) + (f" and {more} more" if more > 0 else "")


def record_date(paper: Paper) -> str:
    if paper.published:
        day = paper.published.isoformat()
        return f"{day}; revised {paper.updated}" if paper.updated and paper.updated > paper.published else day
    return f"listed on {paper.listed}" if paper.listed else ""


def fact(field: Field, paper: Paper, question: str = "") -> str:
    """Return a sentence with one field of a paper's record, or one that says it is not given."""
    name = f"“{paper.title}”"
    if field == "authors" and paper.authors and _HOW_MANY.search(question):
        return f"{name} has {counted(len(paper.authors), 'author')}: {record_authors(paper)}."
    day = record_date(paper)
    code = next((u for u in _URL.findall(paper.abstract) if _CODE_HOST.search(u)), "").rstrip(".,;")
    facts: Mapping[Field, tuple[str, str]] = {
        "authors": (f"{name} was written by {record_authors(paper)}.", record_authors(paper)),
        "published": (f"{name}: {'published ' if paper.published else ''}{day}.", day),
        "link": (f"{name}: {paper.url or paper.doi} (id {paper.paper_id})", paper.url or paper.doi or ""),
        "title": (f"{name} (id {paper.paper_id})", name),
        "category": (f"{name} is in {', '.join(paper.categories)}.", ", ".join(paper.categories)),
        "code": (f"The abstract of {name} links to {code}.", code),
        "upvotes": (f"{name} has {paper.upvotes} upvotes on Hugging Face.", str(paper.upvotes or "")),
        "bibtex": (f"{name}: 'paperagent export --ids {paper.paper_id}' prints its BibTeX entry.", name),
    }
    text, value = facts.get(field, ("", ""))
    if value:
        return text
    feeds = " and ".join(paper.sources) or "its feed"
    missing = {
        "authors": f"The feed gives no authors of {name}",
        "published": f"The feed gives no date of {name}",
        "link": f"The feed gives no link to {name}; its id is {paper.paper_id}",
        "category": f"The feed gives no category of {name}",
        "upvotes": f"The feed gives no upvotes of {name}",
        "code": f"The abstract of {name} gives no link to code",
        "license": f"The library does not record the license of {name}",
        "affiliation": f"The feed gives no affiliations of the authors of {name}",
        "venue": f"The library does not record where {name} was published; it was read from {feeds}",
        "citations": f"The library does not record how often {name} is cited",
    }
    return f"{missing[field]}."


def answered(
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


def record_answer(paper: Paper) -> Answer:
    """Return an answer with the abstract and the record of a paper."""
    rows = [
        ("Authors", record_authors(paper)),
        ("Published", record_date(paper)),
        ("Categories", ", ".join(paper.categories)),
        ("Id", paper.paper_id),
        ("Link", paper.url or ""),
    ]
    lines = "\n".join(f"- {name}: {value}" for name, value in rows if value)
    text = "\n\n".join(part for part in (f"“{paper.title}”", paper.abstract.strip(), lines) if part)
    return replace(answered(text), hits=(Hit(paper, 0.0, 1),))
