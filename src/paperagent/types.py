"""The data types of paperagent: frozen dataclasses without I/O.

A feed yields `Paper` objects and the library stores them. Retrieval returns `Hit` objects. An answer is made
of `Claim` objects, each of which points to `Citation` objects: sentences of abstracts. Every offset counts
Unicode code points in ``Paper.abstract``.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, get_args

from paperagent.notebook import Displayed
from paperagent.text import Sentence as Sentence  # noqa: PLC0414 - part of the public types

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from paperagent.layout import Block

    Vector = NDArray[np.float32]
    """An embedding of unit length, shape [dim]."""
    Matrix = NDArray[np.float32]
    """Embeddings as rows, shape [n, dim]."""

Progress = Callable[[str, int, int | None], None]
"""A callback ``progress(stage, done, total)``; ``total`` is None while it is unknown."""

Status = Literal["answered", "doubtful", "abstained", "incomplete", "refused"]
"""The outcome of a question.

``doubtful``: the claims quote the closest passages, which may not answer the question; ``answer`` begins with
that caveat. ``refused``: the model refused, or the cost limit forbids the call.
"""
AnswerKind = Literal["papers", "library", "chat"]
"""The source of an answer.

``papers``: sentences of abstracts. ``library``: facts from the database. ``chat``: none; the answer is a
greeting or help.
"""
Support = Literal["quoted", "supported", "unverified", "unsupported", "uncited"]
"""How a claim relates to the sentences that it cites.

``quoted``: it repeats them. ``supported``: verification or the LLM judge confirms it. ``unverified``:
verification neither confirms nor refutes it. ``unsupported``: it fails verification. ``uncited``: it cites
nothing.
"""
Mode = Literal["extractive", "llm"]
"""Whether an answer quotes sentences or was written by a model."""
AskMode = Literal["extractive", "select", "llm"]
"""How to answer: quote sentences, quote sentences that a model chooses, or let a model write."""

RETRACTED = "retracted"
"""The flag of a paper that its publisher retracted; ``Paper.withdrawn`` is then True as well."""
PARTIAL_DATE = "partial-date"
"""The flag of a paper whose feed gives no day, or no month; the date is then the first of the period."""


@dataclass(frozen=True, slots=True)
class Paper(Displayed):
    """A paper in the library. Texts are in Unicode NFC, without control characters."""

    paper_id: str
    """The arXiv id without version, else ``doi:…``, else a word of the title and a hash of the text, such as
    ``tindersift-c2002f86``.

    Before a paper without an arXiv id or DOI is stored, its id is the whole hash, ``sha256:…``, which the
    library keeps as a further id.
    """
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    published: dt.date | None = None
    """The day of first publication in UTC."""
    updated: dt.date | None = None
    """The day of this version in UTC."""
    listed: dt.date | None = None
    """The day on which the feed listed the paper, which may differ from publication; None if not given."""
    first_seen: dt.date | None = None
    """The day on which the library first read the paper; set by the library."""
    categories: tuple[str, ...] = ()
    url: str | None = None
    """An http(s) URL."""
    arxiv_id: str | None = None
    """The arXiv id without version, such as ``2508.13426`` or ``cs/0112017``."""
    doi: str | None = None
    """The DOI in lower case, without resolver, such as ``10.1000/xyz``."""
    version: int | None = None
    """The arXiv version, from 1."""
    sources: tuple[str, ...] = ()
    """The feeds that contained the paper, such as ``daily-papers``, in the order in which they were read."""
    upvotes: int | None = None
    """The number of upvotes on Hugging Face."""
    withdrawn: bool = False
    """Whether the authors withdrew the paper or the publisher retracted it."""
    flags: tuple[str, ...] = ()
    """What was unusual in the feed's record, such as ``control-characters`` or ``bad-date``."""
    ids: tuple[str, ...] = ()
    """Further ids, such as ``acl:2024.acl-long.1``; only `PaperAgent.get` and `PaperAgent.papers` fill it."""

    @property
    def day(self) -> dt.date | None:
        """The day that date filters use: ``published``, else ``listed``, else ``first_seen``."""
        return self.published or self.listed or self.first_seen

    @property
    def public_day(self) -> dt.date | None:
        """The day of publication, or else of listing in a feed; None if only the day of reading is known."""
        return self.published or self.listed

    @property
    def appeared(self) -> dt.date | None:
        """The day of a digest or of the web page: ``listed``, else ``published``, else ``first_seen``."""
        return self.listed or self.published or self.first_seen

    def to_dict(self) -> dict[str, Any]:
        """Return the paper as ``paperagent show --json`` prints it."""
        days = {name: getattr(self, name) for name in ("published", "updated", "listed", "first_seen")}
        return {
            "paper_id": self.paper_id,
            "title": self.title,
            "authors": list(self.authors),
            **{name: day.isoformat() if day else None for name, day in days.items()},
            "categories": list(self.categories),
            "sources": list(self.sources),
            "url": self.url,
            "arxiv_id": self.arxiv_id,
            "doi": self.doi,
            "ids": list(self.ids),
            "version": self.version,
            "upvotes": self.upvotes,
            "withdrawn": self.withdrawn,
            "flags": list(self.flags),
            "abstract": self.abstract,
        }

    @property
    def taken_back(self) -> str:
        """``retracted`` (by the publisher), ``withdrawn`` (by the authors), or an empty string."""
        return "" if not self.withdrawn else RETRACTED if RETRACTED in self.flags else "withdrawn"

    def __repr__(self) -> str:
        """Return a short form for debugging."""
        return f"Paper(paper_id={self.paper_id!r}, title={self.title!r})"

    def _blocks(self) -> Iterable[Block]:
        from paperagent.layout import paper_blocks

        return paper_blocks(self, ())


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record of a feed that is not a usable paper."""

    where: str
    """Its position, such as ``line 12`` or ``entry 3``."""
    reason: str
    """A short phrase, the same for each record with this fault, so that reasons can be counted."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A notice that a paper is withdrawn, without its text, such as a deleted record of OAI-PMH."""

    paper_id: str
    """An id under which the library may hold the paper."""
    source: str
    """The feed, as in `Paper.sources`."""


@dataclass(frozen=True, slots=True)
class FeedReport:
    """The result of ingesting one feed."""

    source: str
    """The feed as the caller named it, safe to display; a URL without its query."""
    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    pages: int = 0
    """The number of pages fetched; 0 for a file."""
    error: str | None = None
    """Why the feed was not read to its end; the records read before are in the library."""
    ignored: bool = False
    """Whether the file was found in a folder and is not a feed; ``error`` says why."""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "source": self.source,
            "read": self.read,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "skipped": dict(self.skipped),
            "pages": self.pages,
            "error": self.error,
            "ignored": self.ignored,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The result of an ingest. ``read`` = ``new`` + ``changed`` + ``unchanged``; duplicates are unchanged."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Reason → number of records skipped."""
    papers: int = 0
    """The number of papers in the library afterwards."""
    embedded: int = 0
    """The number of vectors that this ingest added."""
    pending: int = 0
    """The number of papers still without a vector."""
    notes: tuple[str, ...] = ()
    feeds: tuple[FeedReport, ...] = ()
    """The result of each feed, in the order in which they were read."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "read": self.read,
            "new": self.new,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "skipped": dict(self.skipped),
            "papers": self.papers,
            "vectors": {"added": self.embedded, "pending": self.pending},
            "notes": list(self.notes),
            "feeds": [feed.to_dict() for feed in self.feeds],
        }


@dataclass(frozen=True, slots=True)
class Filters:
    """Limits a search to papers by day, category, source, author, words and id. Days are inclusive."""

    since: dt.date | None = None
    """The first day: of publication, else of listing in a feed, else of reading; see `Paper.day`."""
    until: dt.date | None = None
    category: str | None = None
    """A category (``cs.CL``), or an archive (``cs``, which includes ``cs.CL``)."""
    source: str | None = None
    author: str | None = None
    """An author's name: whole words in any order, ignoring case and accents; initials may stand for words."""
    exclude: tuple[str, ...] = ()
    """Words and phrases that title and abstract must not contain, in any case, singular or plural."""
    ids: tuple[str, ...] = ()
    """The ids of the papers to search; empty for all."""

    def __bool__(self) -> bool:
        """Return whether any limit is set."""
        limits = (self.since, self.until, self.category, self.source, self.author, self.exclude, self.ids)
        return any(limits)

    def admits(self, paper: Paper) -> bool:
        """Return whether ``paper`` is within all limits."""
        if (self.ids and paper.paper_id not in self.ids) or not self._admits_day(paper.day):
            return False
        if self.category and not any(in_category(c, self.category) for c in paper.categories):
            return False
        if self.source and self.source not in paper.sources:
            return False
        return self._admits_author(paper) and not self._excludes_text(paper)

    def _admits_day(self, day: dt.date | None) -> bool:
        if day is None:
            return not (self.since or self.until)
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)

    def _admits_author(self, paper: Paper) -> bool:
        from paperagent.text.author_names import has_author

        return not self.author or has_author(paper.authors, self.author)

    def _excludes_text(self, paper: Paper) -> bool:
        if not self.exclude:
            return False
        from paperagent.text.phrases import PhraseInAnyCase

        return any(PhraseInAnyCase(phrase).is_in(paper.title, paper.abstract) for phrase in self.exclude)


def in_category(category: str, archive: str) -> bool:
    """Return whether ``category`` equals ``archive`` or belongs to it, ignoring case."""
    category, archive = category.lower(), archive.lower()
    return category == archive or category.startswith(archive + ".")


@dataclass(frozen=True, slots=True)
class Hit(Displayed):
    """A paper that a search returned."""

    paper: Paper
    score: float
    """The fused score, comparable between papers and queries of one library."""
    rank: int
    """The position in the results, from 1."""
    lexical: float = 0.0
    """The share of the query's information content that the paper's terms cover, about 0 to 1."""
    vector: float | None = None
    """The cosine similarity of query and paper, -1 to 1; None without vectors."""
    snippet: str = ""
    """The part of the abstract that matches the query best."""

    @property
    def paper_id(self) -> str:
        """The paper's id."""
        return self.paper.paper_id

    @property
    def title(self) -> str:
        """The paper's title."""
        return self.paper.title

    @property
    def published(self) -> dt.date | None:
        """The paper's day of first publication."""
        return self.paper.published

    @property
    def url(self) -> str | None:
        """The paper's URL."""
        return self.paper.url

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as ``paperagent search --json`` prints it."""
        day = self.published
        return {
            "paper_id": self.paper_id,
            "title": self.title,
            "score": round(self.score, 4),
            "rank": self.rank,
            "published": day.isoformat() if day else None,
            "url": self.url,
            "snippet": self.snippet,
            "withdrawn": self.paper.withdrawn,
        }

    def __repr__(self) -> str:
        """Return a short form for debugging."""
        return f"Hit(rank={self.rank}, score={self.score:.2f}, paper={self.paper!r})"

    def _blocks(self) -> Iterable[Block]:
        from paperagent.layout import hit_blocks

        return hit_blocks([self])


class Hits(Displayed, list[Hit]):
    """The hits of a search, best first. `print` and notebooks show this list as numbered papers."""

    __slots__ = ()

    def _blocks(self) -> Iterable[Block]:
        from paperagent.layout import Block, hit_blocks

        return hit_blocks(self) if self else [Block("note", "no matching papers")]


@dataclass(frozen=True, slots=True)
class Citation:
    """A sentence of an abstract that supports a claim; ``abstract[start:end] == quote``."""

    n: int
    """The number in the answer, from 1."""
    paper_id: str
    title: str
    url: str | None
    quote: str
    """The stored text of the abstract, with its LaTeX."""
    start: int
    end: int

    def to_dict(self) -> dict[str, Any]:
        """Return the citation as JSON-ready values."""
        return {
            "n": self.n,
            "paper_id": self.paper_id,
            "title": self.title,
            "url": self.url,
            "quote": self.quote,
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer that can be checked against its citations."""

    text: str
    """Readable text, without LaTeX, entities and tags, even if the claim quotes a sentence."""
    citations: tuple[int, ...]
    """The numbers of the citations, as in `Citation.n`."""
    support: Support
    checks: Mapping[str, Any] = field(default_factory=dict)
    """Check → its result: ``numbers``, ``negation`` (whether it passed), ``overlap`` (0 to 1), and others."""

    def to_dict(self) -> dict[str, Any]:
        """Return the claim as JSON-ready values; a check that could not run counts as failed."""
        return {
            "text": self.text,
            "citations": list(self.citations),
            "support": self.support,
            "checks": {"numbers": False, "negation": False, "overlap": 0.0, **self.checks},
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What the model calls of an answer used; all zero in extractive mode."""

    calls: int = 0
    input_tokens: int = 0
    """Tokens of the prompts, including ``cached_tokens``."""
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    """None if the price of a call is not known."""
    estimated: bool = False
    """Whether some tokens were estimated because the server did not report them."""

    def __add__(self, other: Usage) -> Usage:
        """Return the sum; its cost is None if the cost of either part is None."""
        costs_known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if costs_known else None,
            estimated=self.estimated or other.estimated,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the usage as JSON-ready values."""
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "estimated": self.estimated,
        }


@dataclass(frozen=True, slots=True)
class Answer(Displayed):
    """An answer with citations, or an abstention with its reason."""

    question: str
    status: Status
    reason: str | None
    """Why the status is not ``answered``, such as ``no_evidence``; None for an answer."""
    answer: str
    """The claims with their [n] markers as one text; for an abstention, what is missing.

    An unverified claim is followed by the sentences that it cites, each on a line that begins with ``> ``.
    """
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    """The papers retrieved, best first (``papers`` in the JSON)."""
    mode: Mode = "extractive"
    """``extractive`` also if a model chose the quoted sentences; ``model`` then names it."""
    model: str | None = None
    prompt_hash: str | None = None
    """The hash of the prompt template."""
    usage: Usage = field(default_factory=Usage)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Stage (``retrieve``, ``generate``, ``verify``, ``total``) → milliseconds."""
    confidence: float | None = None
    """The estimated probability that the library contains the answer, 0 to 1."""
    notes: tuple[str, ...] = ()
    """Messages for the user, such as which claims were withheld and why."""
    fallback: str | None = None
    """Why sentences are quoted although a model was asked, such as ``unreachable`` or ``malformed``."""
    kind: AnswerKind = "papers"
    """``papers``, ``library`` (a fact from the database, with its papers in ``hits``) or ``chat``."""

    @property
    def text(self) -> str:
        """The same as ``answer``."""
        return self.answer

    @property
    def papers(self) -> tuple[Hit, ...]:
        """The same as ``hits``."""
        return self.hits

    def __repr__(self) -> str:
        """Return a short form for debugging."""
        counts = f"claims={len(self.claims)}, citations={len(self.citations)}"
        return f"Answer(status={self.status!r}, question={self.question!r}, {counts})"

    def _blocks(self) -> Iterable[Block]:
        from paperagent.layout import answer_blocks

        return answer_blocks(self)

    def _repr_html_(self) -> str:
        """Return the answer as HTML, for notebooks; each source can be expanded to its cited sentences."""
        from paperagent.notebook import answer_html

        return answer_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as ``paperagent ask --json`` prints it."""
        stages = ("retrieve", "generate", "verify", "total")
        return {
            "question": self.question,
            "status": self.status,
            "kind": self.kind,
            "reason": self.reason,
            "answer": self.answer,
            "claims": [c.to_dict() for c in self.claims],
            "citations": [c.to_dict() for c in self.citations],
            "papers": [
                {"paper_id": h.paper_id, "title": h.title, "score": round(h.score, 4), "rank": h.rank}
                for h in self.hits
            ],
            "mode": self.mode,
            "model": self.model,
            "prompt_hash": self.prompt_hash,
            "usage": self.usage.to_dict(),
            "timings_ms": {s: round(self.timings_ms.get(s, 0.0), 2) for s in stages},
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "notes": list(self.notes),
            "fallback": self.fallback,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the answer for a result of `to_dict`; its papers have no abstract.

        Raises:
            KeyError, TypeError, ValueError: ``data`` does not have the expected shape.
        """
        claims = (
            Claim(c["text"], tuple(c["citations"]), c["support"], dict(c["checks"])) for c in data["claims"]
        )
        answer = cls(
            question=data["question"],
            status=data["status"],
            reason=data["reason"],
            answer=data["answer"],
            claims=tuple(claims),
            citations=tuple(Citation(**c) for c in data["citations"]),
            hits=tuple(
                Hit(Paper(h["paper_id"], h["title"], ""), h["score"], h["rank"]) for h in data["papers"]
            ),
            mode=data["mode"],
            model=data["model"],
            prompt_hash=data["prompt_hash"],
            usage=Usage(**data["usage"]),
            timings_ms=dict(data["timings_ms"]),
            confidence=data.get("confidence"),
            notes=tuple(data.get("notes", ())),
            fallback=data.get("fallback"),
            kind=data.get("kind", "papers"),
        )
        if not answer._has_valid_types():
            raise ValueError("answer: a value has a wrong type")
        return answer

    def _has_valid_types(self) -> bool:
        usage, cited = self.usage, self.citations
        texts = [self.question, self.answer, *self.notes, *(claim.text for claim in self.claims)]
        texts += [text for c in cited for text in (c.paper_id, c.title, c.quote)]
        texts += [text for hit in self.hits for text in (hit.paper_id, hit.title)]
        optional_texts = [self.reason, self.model, self.prompt_hash, self.fallback, *(c.url for c in cited)]
        integers = [n for c in cited for n in (c.n, c.start, c.end)]
        integers += [*(n for claim in self.claims for n in claim.citations), *(h.rank for h in self.hits)]
        integers += [usage.calls, usage.input_tokens, usage.cached_tokens, usage.output_tokens]
        numbers = [*self.timings_ms.values(), *(hit.score for hit in self.hits)]
        numbers += [number for number in (self.confidence, usage.cost_usd) if number is not None]
        choices: list[tuple[str, Any]] = [(self.status, Status), (self.mode, Mode), (self.kind, AnswerKind)]
        choices += [(claim.support, Support) for claim in self.claims]
        return (
            all(isinstance(text, str) for text in texts)
            and all(text is None or isinstance(text, str) for text in optional_texts)
            and all(type(number) is int for number in integers)
            and all(type(number) in {int, float} and math.isfinite(number) for number in numbers)
            and all(choice in get_args(names) for choice, names in choices)
            and {n for claim in self.claims for n in claim.citations} <= {c.n for c in cited}
            and isinstance(usage.estimated, bool)
        )


@dataclass(frozen=True, slots=True)
class Event:
    """A step of a streamed answer.

    ``kind`` determines which fields are set: ``retrieved`` sets ``hits``; ``claim`` sets ``claim``, its
    ``citations`` and ``mode``; ``done`` sets ``answer``.
    """

    kind: Literal["retrieved", "claim", "done"]
    hits: tuple[Hit, ...] = ()
    claim: Claim | None = None
    citations: tuple[Citation, ...] = ()
    answer: Answer | None = None
    mode: Mode | None = None
    """Whether the claim is quoted or was written by a model."""
    caveat: str = ""
    """For a claim of a ``doubtful`` answer: the caveat, to be shown once before the claims."""


class QueryEmbedder(Protocol):
    """Turns texts into unit vectors."""

    def embed(self, texts: Sequence[str]) -> Iterable[Vector]:
        """Yield a unit vector for each text, in order."""
        ...


class Embedder(QueryEmbedder, Protocol):
    """An embedding model that makes the vectors of the library."""

    @property
    def embedder_id(self) -> str:
        """The model and its variant, such as ``minilm-l6-v2-int8``. Vectors of two models never mix."""
        ...

    @property
    def dim(self) -> int:
        """The length of every vector."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text with the vectors of its tokens."""

    vector: Vector
    """The pooled vector of the text, unit length, shape [dim]."""
    states: Matrix
    """The vector of each token, unit length, shape [tokens, dim]; without special tokens."""
    spans: tuple[tuple[int, int], ...]
    """The start and end of each token in the text, in code points."""


class TokenEncoder(Protocol):
    """A model that also returns a vector for each token, to match single words of two texts."""

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Encode each text independently of the others."""
        ...
