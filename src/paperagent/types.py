"""The values that flow through paperagent: frozen, slotted, free of I/O.

A feed makes `Paper`s; the library keeps them; the retriever returns `Hit`s; the answerer
points at `Sentence`s, which become `Citation`s of an `Answer`. Every offset is a code-point
offset into ``Paper.abstract``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    """A unit-length embedding, shape [dim]."""
    Matrix = NDArray[np.float32]
    """Rows of vectors, shape [n, dim]."""

Progress = Callable[[str, int, int | None], None]
"""A callback ``progress(stage, done, total)``; ``total`` is None while it is not known."""

Status = Literal["answered", "abstained", "incomplete", "refused"]
Support = Literal["quoted", "supported", "unverified", "unsupported", "uncited"]
Mode = Literal["extractive", "llm"]
"""The kind of an answer: quoted sentences, or a text that a model wrote."""
AskMode = Literal["extractive", "select", "llm"]
"""The modes to choose from: quote, quote what a model chooses, or have a model write."""

RETRACTED = "retracted"
"""The flag of a paper that its publisher took back; such a paper is marked as withdrawn too."""
PARTIAL_DATE = "partial-date"
"""The flag of a paper whose day, or day and month, was not told: the first one stands."""


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper as the library holds it. Text is NFC, without control characters."""

    paper_id: str
    """arXiv id without version, else ``doi:…``, else ``sha256:…`` of the normalised title and abstract."""
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    published: dt.date | None = None
    """The day of first publication, UTC."""
    updated: dt.date | None = None
    """The day of the version held here, UTC."""
    listed: dt.date | None = None
    """The day the feed listed the paper (not its publication), where the feed says so."""
    first_seen: dt.date | None = None
    """The day the library first read the paper; set by the library."""
    categories: tuple[str, ...] = ()
    url: str | None = None
    """An http(s) address, or None."""
    arxiv_id: str | None = None
    """Without version, such as ``2508.13426`` or ``cs/0112017``."""
    doi: str | None = None
    """Lower case, without resolver, such as ``10.1000/xyz``."""
    version: int | None = None
    """arXiv version number."""
    sources: tuple[str, ...] = ()
    """The feeds that held this paper, such as ``daily-papers``, in order of first sight."""
    upvotes: int | None = None
    withdrawn: bool = False
    flags: tuple[str, ...] = ()
    """What cleaning noticed, such as ``control-characters`` or ``bad-date``."""
    ids: tuple[str, ...] = ()
    """Further ids, such as ``acl:2024.acl-long.1``: told by `PaperAgent.get` and `papers` alone."""

    @property
    def day(self) -> dt.date | None:
        """The day that date filters compare: published, else listed, else first seen."""
        return self.published or self.listed or self.first_seen

    @property
    def taken_back(self) -> str:
        """``retracted`` by its publisher or ``withdrawn`` by its authors; empty for any other paper."""
        return "" if not self.withdrawn else RETRACTED if RETRACTED in self.flags else "withdrawn"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record of a feed that could not become a paper, and why."""

    where: str
    """Such as ``line 12`` or ``entry 3``."""
    reason: str
    """A short phrase, the same for the same fault, so that reasons can be counted."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A feed's word that a paper is withdrawn, without the paper's text (OAI-PMH: a deleted record)."""

    paper_id: str
    """An id by which the library may know the paper."""
    source: str
    """The feed, as in ``Paper.sources``."""


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What one feed of an ingest gave."""

    source: str
    """As it was given, safe to show; an address without its query."""
    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    pages: int = 0
    """Pages fetched; 0 for a file."""
    error: str | None = None
    """Why it was not read to its end; what was read before that is in the library."""
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
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one ingest did. ``read`` = new + changed + unchanged (duplicates count as unchanged)."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Reason → number of records."""
    papers: int = 0
    """Papers in the library afterwards."""
    embedded: int = 0
    """Vectors added by this call."""
    pending: int = 0
    """Papers still without a vector."""
    notes: tuple[str, ...] = ()
    feeds: tuple[FeedReport, ...] = ()
    """Each feed by itself, in the order in which they were read."""

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
    """Limits a search to papers whose day, category and source match. Days are inclusive."""

    since: dt.date | None = None
    until: dt.date | None = None
    category: str | None = None
    """Exact (``cs.CL``) or a whole archive (``cs`` matches ``cs.CL``)."""
    source: str | None = None

    def __bool__(self) -> bool:
        """Tell whether any limit is set."""
        return any((self.since, self.until, self.category, self.source))

    def admits(self, paper: Paper) -> bool:
        """Tell whether ``paper`` is inside all limits."""
        day = paper.day
        if (self.since or self.until) and day is None:
            return False
        if self.since and day and day < self.since:
            return False
        if self.until and day and day > self.until:
            return False
        if self.category and not any(in_category(c, self.category) for c in paper.categories):
            return False
        return not self.source or self.source in paper.sources


def in_category(category: str, wanted: str) -> bool:
    """Tell whether ``category`` is ``wanted`` or lies in the archive ``wanted``, ignoring case."""
    category, wanted = category.lower(), wanted.lower()
    return category == wanted or category.startswith(wanted + ".")


@dataclass(frozen=True, slots=True)
class Hit:
    """A paper found by a search, best first."""

    paper: Paper
    score: float
    """Fused score, comparable between papers and queries of one library."""
    rank: int
    """1 for the best."""
    lexical: float = 0.0
    """Share of the query's information found in the paper, about 0 to 1."""
    vector: float | None = None
    """Cosine of query and paper, -1 to 1; None without vectors."""
    snippet: str = ""

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
        """The paper's day of publication."""
        return self.paper.published

    @property
    def url(self) -> str | None:
        """The paper's address."""
        return self.paper.url

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as `paperagent search --json` prints it."""
        day = self.paper.day
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


@dataclass(frozen=True, slots=True)
class Sentence:
    """``abstract[start:end] == text``."""

    index: int
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """One sentence of one abstract that a claim rests on."""

    n: int
    paper_id: str
    title: str
    url: str | None
    quote: str
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
    """One checkable sentence of an answer."""

    text: str
    citations: tuple[int, ...]
    support: Support
    checks: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the claim as JSON-ready values; a check that had no source to look at is not passed."""
        return {
            "text": self.text,
            "citations": list(self.citations),
            "support": self.support,
            "checks": {"numbers": False, "negation": False, "overlap": 0.0, **self.checks},
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What the model calls of one answer used. All zero in extractive mode."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    """None if the price of a call is not known."""
    estimated: bool = False
    """Whether some tokens were estimated because the server did not report them."""

    def __add__(self, other: Usage) -> Usage:
        """Return the sum; its cost is None if the cost of either part is None."""
        known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
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
class Answer:
    """A cited answer, or an abstention with its reason; the one type that `ask()` returns."""

    question: str
    status: Status
    reason: str | None
    answer: str
    """The claims joined, with [n] markers; for an abstention: what is missing.

    The cited sentences follow an unverified claim, each on a line that begins with ``> ``.
    """
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    """What was retrieved, best first (``papers`` in the JSON)."""
    mode: Mode = "extractive"
    """Also ``extractive`` where a model chose the quoted sentences; ``model`` then names it."""
    model: str | None = None
    prompt_hash: str | None = None
    usage: Usage = field(default_factory=Usage)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    """The abstention signal: estimated chance that the library holds the answer, 0 to 1."""
    notes: tuple[str, ...] = ()
    fallback: str | None = None
    """Why sentences are quoted where a model was asked: ``unreachable``, ``malformed``, ``abstained``, …"""

    @property
    def text(self) -> str:
        """The answer's text, as ``answer``."""
        return self.answer

    @property
    def papers(self) -> tuple[Hit, ...]:
        """What was retrieved, best first."""
        return self.hits

    def __str__(self) -> str:
        """Return the answer as plain text: the claims, then sources and notes."""
        from paperagent.layout import answer_blocks, document, plain_text

        return document(answer_blocks(self), plain_text)

    def _repr_markdown_(self) -> str:
        """Return the answer as Markdown, for notebooks."""
        from paperagent.layout import answer_blocks, document, markdown

        return document(answer_blocks(self), markdown)

    def _repr_html_(self) -> str:
        """Return the answer as HTML, for notebooks; mathematics in it is shown as text."""
        from paperagent.layout import answer_blocks, html

        body = "".join(map(html, answer_blocks(self)))
        return f'<div class="tex2jax_ignore mathjax_ignore">{body}</div>'

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as `paperagent ask --json` prints it."""
        stages = ("retrieve", "generate", "verify", "total")
        return {
            "question": self.question,
            "status": self.status,
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


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a streamed answer: ``retrieved`` (hits), ``claim`` (cited), ``done`` (answer)."""

    kind: Literal["retrieved", "claim", "done"]
    hits: tuple[Hit, ...] = ()
    claim: Claim | None = None
    citations: tuple[Citation, ...] = ()
    answer: Answer | None = None
    mode: Mode | None = None
    """Of a claim: whether it was quoted or written by a model."""


class QueryEmbedder(Protocol):
    """Turns texts into unit vectors in the space of the library's vectors."""

    def embed(self, texts: Sequence[str]) -> Iterable[Vector]:
        """Yield one unit vector per text, in order."""
        ...


class Embedder(QueryEmbedder, Protocol):
    """A named model that turns texts into unit vectors."""

    @property
    def embedder_id(self) -> str:
        """Names model and variant, such as ``minilm-l6-v2-int8``; vectors of two ids never mix."""
        ...

    @property
    def dim(self) -> int:
        """Length of every vector."""
        ...


class TokenEncoder(Protocol):
    """Gives the states of a text's word pieces, which `evidence` matches question words against."""

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return pooled vector and token states of each text, each encoded alone."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text seen by the encoder."""

    vector: Vector
    """Pooled, unit length, [dim]."""
    states: Matrix
    """Unit length, [tokens, dim], special tokens left out."""
    spans: tuple[tuple[int, int], ...]
    """Code-point span of each token in the text."""
